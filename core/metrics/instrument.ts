// Instruments, and families of them by label values. Labels are bound once, outside the hot path: what is left there is
// adding to a field.

/** A count that only grows. */
export class Counter {
  value = 0;

  add(n = 1): void {
    this.value += n;
  }
}

/** A value that goes up and down. */
export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  add(n = 1): void {
    this.value += n;
  }
}

/** A counter or gauge that is asked for its value when metrics are read. */
export class Probe {
  readonly #read: () => number;

  constructor(read: () => number) {
    this.#read = read;
  }

  /** The value now; undefined when the probe fails or has nothing to say (NaN), and then no sample is shown. */
  get value(): number | undefined {
    try {
      const value = this.#read();
      return Number.isNaN(value) ? undefined : value;
    } catch {
      return undefined;
    }
  }
}

/** MongooseIM's histogram buckets, for microseconds and bytes alike: the powers of two from 1 to 2^30. */
export const POWERS_OF_TWO: readonly number[] = Array.from({ length: 31 }, (_, n) => 2 ** n);

/** Values counted in buckets whose upper bounds are fixed. */
export class Histogram {
  readonly bounds: readonly number[];
  /** Values a bucket, the last one for those above every bound; not cumulative. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;

  constructor(bounds: readonly number[] = POWERS_OF_TWO) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    this.counts[this.#bucket(value)]!++;
    this.sum += value;
    this.count++;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  /** Observes `n`: the name that features know for all their instruments. */
  add(n = 1): void {
    this.observe(n);
  }

  /** The value that a share `q` (0 to 1) of the values does not exceed, as near as the buckets tell; 0 when empty. */
  quantile(q: number): number {
    if (this.count === 0) return 0;
    const rank = q * this.count;
    let below = 0;
    for (let i = 0; i < this.bounds.length; i++) {
      const inside = this.counts[i]!;
      if (inside > 0 && below + inside >= rank) {
        const low = Math.max(i === 0 ? 0 : this.bounds[i - 1]!, Math.min(this.min, this.bounds[i]!));
        const high = Math.min(this.bounds[i]!, this.max);
        return low + ((high - low) * (rank - below)) / inside;
      }
      below += inside;
    }
    return this.max;
  }

  #bucket(value: number): number {
    if (this.bounds === POWERS_OF_TWO) {
      if (value <= 1) return 0;
      return value <= 2 ** 30 ? 32 - Math.clz32(Math.ceil(value) - 1) : 31;
    }
    let i = 0;
    while (i < this.bounds.length && value > this.bounds[i]!) i++;
    return i;
  }
}

/** An instrument that has its labels. */
export type Instrument = Counter | Gauge | Probe | Histogram;
export type InstrumentKind = "counter" | "gauge" | "histogram";

/** The values of a family's labels, all of them. */
export type Labels<L extends string> = Readonly<Record<L, string>>;

/** One metric name with an instrument for each combination of label values. */
export class Family<I extends Instrument = Instrument, L extends string = string> {
  readonly name: string;
  readonly help: string;
  readonly kind: InstrumentKind;
  readonly labelNames: readonly L[];
  readonly #make: () => I;
  readonly #series = new Map<string, { readonly labels: Labels<L>; readonly instrument: I }>();

  constructor(kind: InstrumentKind, name: string, help: string, labelNames: readonly L[], make: () => I) {
    this.kind = kind;
    this.name = name;
    this.help = help;
    this.labelNames = labelNames;
    this.#make = make;
  }

  /** The instrument of these label values; the same one each time. */
  bind(labels: Labels<L>): I {
    const key = this.#key(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known.instrument;
    return this.#put(key, labels, this.#make());
  }

  /** Puts an instrument under these label values, in place of the one that was there. */
  protected put(labels: Labels<L>, instrument: I): void {
    this.#put(this.#key(labels), labels, instrument);
  }

  /** Forgets the instrument of these label values, as when a host type or a listener is gone. */
  unbind(labels: Labels<L>): void {
    this.#series.delete(this.#key(labels));
  }

  series(): Iterable<{ readonly labels: Labels<L>; readonly instrument: I }> {
    return this.#series.values();
  }

  #put(key: string, labels: Labels<L>, instrument: I): I {
    this.#series.set(key, { labels, instrument });
    return instrument;
  }

  #key(labels: Labels<L>): string {
    return this.labelNames.length === 0 ? "" : JSON.stringify(this.labelNames.map((name) => labels[name]));
  }
}

/** A family of counters or gauges: counted by hand, or read through probes from numbers that are kept elsewhere. */
export class ScalarFamily<I extends Counter | Gauge, L extends string = string> extends Family<I | Probe, L> {
  /** @throws Error when these label values are read through a probe already */
  override bind(labels: Labels<L>): I {
    const instrument = super.bind(labels);
    if (instrument instanceof Probe) throw new Error(`Cannot count in "${this.name}": it is read through a probe`);
    return instrument;
  }

  /** Shows what `read` answers under these label values; it is called at each reading, so it should be cheap. */
  probe(labels: Labels<L>, read: () => number): void {
    this.put(labels, new Probe(read));
  }
}
