// Things that are done one after the other, each kind for itself.

export class Turns {
  /** The end of the last thing to be done, by key; nothing where nothing is being done. */
  readonly #last = new Map<string, Promise<void>>();

  /** Does something after all that was asked for under the same key before. */
  take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const result = before === undefined ? work() : before.then(work);
    const done = result.then(nothing, nothing);
    this.#last.set(key, done);
    void done.then(() => {
      if (this.#last.get(key) === done) this.#last.delete(key);
    });
    return result;
  }

  /** Something is being done under this key. */
  has(key: string): boolean {
    return this.#last.has(key);
  }

  /** Resolves when everything that was asked for so far is done. */
  async settled(): Promise<void> {
    await Promise.all(this.#last.values());
  }
}

const nothing = (): void => {};
