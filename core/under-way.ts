// Work that has been begun, for whoever must not come between.

export class UnderWay {
  readonly #works = new Set<Promise<unknown>>();

  /** Counts work in until it comes to its end, well or not. */
  add<T>(work: Promise<T>): Promise<T> {
    this.#works.add(work);
    const done = (): boolean => this.#works.delete(work);
    work.then(done, done);
    return work;
  }

  /** Resolves when everything that has been begun so far has come to its end. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#works);
  }
}
