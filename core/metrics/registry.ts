// The registry of instruments: declares them, renders them for Prometheus, lists them for operations.
import type { Instrument, InstrumentKind } from "./instrument.ts";
import { Counter, Family, Gauge, Histogram, POWERS_OF_TWO, ScalarFamily } from "./instrument.ts";
import { renderFamily } from "./text.ts";

/** One instrument's values for an administrator: see `Registry.list`. */
export interface Reading {
  readonly name: string;
  readonly kind: InstrumentKind;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, number>>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const NO_LABELS: readonly never[] = [];

/** All instruments of a node. */
export class Registry {
  readonly #families = new Map<string, Family>();

  /**
   * The counters of this name. Asking again with the same kind and labels gives the same family.
   * @throws Error on a name that Prometheus does not allow or that has another kind or other labels already
   */
  counter<const L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = NO_LABELS,
  ): ScalarFamily<Counter, L> {
    return this.#family(name, labelNames, new ScalarFamily("counter", name, help, labelNames, () => new Counter()));
  }

  /** The gauges of this name; see `counter`. */
  gauge<const L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = NO_LABELS,
  ): ScalarFamily<Gauge, L> {
    return this.#family(name, labelNames, new ScalarFamily("gauge", name, help, labelNames, () => new Gauge()));
  }

  /** The histograms of this name; see `counter`. */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = NO_LABELS,
    bounds: readonly number[] = POWERS_OF_TWO,
  ): Family<Histogram, L> {
    return this.#family(name, labelNames, new Family("histogram", name, help, labelNames, () => new Histogram(bounds)));
  }

  /** The families by name, for documentation. */
  families(): readonly Family[] {
    return [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** All samples in Prometheus' text format 0.0.4. */
  render(): string {
    return this.families().map(renderFamily).join("");
  }

  /**
   * All values by name: counters have `count`, gauges `value`, histograms `n mean min max median p75 p90 p95 p99 p999`
   * (the quantiles as near as the buckets tell).
   */
  list(): Reading[] {
    const readings: Reading[] = [];
    for (const family of this.families()) {
      for (const { labels, instrument } of family.series()) {
        const values = valuesOf(family.kind, instrument);
        if (values !== undefined) readings.push({ name: family.name, kind: family.kind, labels, values });
      }
    }
    return readings;
  }

  #family<F>(name: string, labelNames: readonly string[], made: F & { readonly kind: InstrumentKind }): F {
    const known = this.#families.get(name);
    if (known !== undefined) {
      if (known.kind !== made.kind || known.labelNames.join() !== labelNames.join()) {
        throw new Error(`Cannot declare metric "${name}" again with another kind or other labels`);
      }
      return known as unknown as F;
    }
    if (!NAME.test(name)) throw new Error(`Cannot use "${name}" as a metric name: Prometheus allows [a-zA-Z0-9_:]`);
    const bad = labelNames.find((label) => !LABEL.test(label) || label === "le");
    if (bad !== undefined) throw new Error(`Cannot use "${bad}" as a label of metric "${name}"`);
    this.#families.set(name, made as unknown as Family);
    return made;
  }
}

function valuesOf(kind: InstrumentKind, instrument: Instrument): Readonly<Record<string, number>> | undefined {
  if (instrument instanceof Histogram) {
    const { count: n, sum, min, max } = instrument;
    return {
      n,
      mean: n === 0 ? 0 : sum / n,
      min: n === 0 ? 0 : min,
      max: n === 0 ? 0 : max,
      median: instrument.quantile(0.5),
      p75: instrument.quantile(0.75),
      p90: instrument.quantile(0.9),
      p95: instrument.quantile(0.95),
      p99: instrument.quantile(0.99),
      p999: instrument.quantile(0.999),
    };
  }
  const { value } = instrument;
  if (value === undefined) return undefined;
  return kind === "counter" ? { count: value } : { value };
}
