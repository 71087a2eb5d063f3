// Much that is sent to one client: what is sent in one turn of the event loop waits in memory, so the turn must end
// before that is too much.

/** Characters that are sent in one turn. */
const TURN = 128 * 1024;

export class Pace {
  #sent = 0;

  /** Counts characters that were sent; a promise when the client is to get its chance to read first. */
  sent(characters: number): Promise<void> | undefined {
    this.#sent += characters;
    if (this.#sent <= TURN) return undefined;
    this.#sent = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }
}
