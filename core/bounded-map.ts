// A map that is never heavier than it may be: what was set longest ago gives way to what comes.

export class BoundedMap<K, V> {
  readonly #values = new Map<K, V>();
  #weight = 0;

  /**
   * @param most the weight of all values together; one that alone is heavier stays until the next comes
   * @param weigh the weight of a value, which must not change while it is here
   */
  constructor(
    private readonly most: number,
    private readonly weigh: (value: V) => number,
  ) {}

  has(key: K): boolean {
    return this.#values.has(key);
  }

  get(key: K): V | undefined {
    return this.#values.get(key);
  }

  set(key: K, value: V): void {
    this.delete(key);
    this.#values.set(key, value);
    this.#weight += this.weigh(value);
    for (const oldest of this.#values.keys()) {
      if (this.#weight <= this.most || oldest === key) return;
      this.delete(oldest);
    }
  }

  delete(key: K): void {
    if (!this.#values.has(key)) return;
    this.#weight -= this.weigh(this.#values.get(key) as V);
    this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
    this.#weight = 0;
  }

  /** The oldest first; entries may be deleted meanwhile. */
  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.#values[Symbol.iterator]();
  }
}
