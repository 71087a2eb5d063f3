// Bounds how many password hashes are computed at once, so that a storm of log-ins leaves processor time for messages.
import { deriveKeys } from "./scram-keys.ts";
import type { HashName, ScramKeys } from "./types.ts";

/** The queue of hashes is full: the caller answers "try again later". */
export class HasherBusyError extends Error {
  override readonly name = "HasherBusyError";
}

export interface HasherOptions {
  /** Hashes computed at the same time, each on a thread of its own; 2. */
  concurrency?: number;
  /** Hashes that may wait; 20,000, which is some ten seconds of work and more than any client waits. */
  maxWaiting?: number;
}

/** A first-come-first-served queue before PBKDF2 (1 to 6 ms of CPU for 10,000 rounds). One a node. */
export class PasswordHasher {
  readonly #concurrency: number;
  readonly #maxWaiting: number;
  /** A linked list: shifting an array of thousands would cost each log-in more than the one before. */
  #head: Waiting | undefined;
  #tail: Waiting | undefined;
  #waiting = 0;
  #running = 0;

  constructor({ concurrency = 2, maxWaiting = 20_000 }: HasherOptions = {}) {
    this.#concurrency = concurrency;
    this.#maxWaiting = maxWaiting;
  }

  /** Hashes that wait for their turn. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Hashes that are being computed. */
  get running(): number {
    return this.#running;
  }

  /** Computes SCRAM keys of a prepared password; rejects with {@link HasherBusyError} when too many wait. */
  async derive(hash: HashName, password: string, salt: Uint8Array, iterations: number): Promise<ScramKeys> {
    if (this.#running < this.#concurrency) this.#running++;
    else await this.#turn();
    try {
      return await deriveKeys(hash, password, salt, iterations);
    } finally {
      this.#done();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting >= this.#maxWaiting) {
      throw new HasherBusyError(`Cannot hash a password now: ${this.#waiting} are waiting`);
    }
    this.#waiting++;
    return new Promise((start) => {
      const last: Waiting = { start, next: undefined };
      if (this.#tail) this.#tail.next = last;
      else this.#head = last;
      this.#tail = last;
    });
  }

  /** Hands the place to the next in line, or frees it. */
  #done(): void {
    const first = this.#head;
    if (!first) {
      this.#running--;
      return;
    }
    this.#head = first.next;
    if (!first.next) this.#tail = undefined;
    this.#waiting--;
    first.start();
  }
}

interface Waiting {
  start: () => void;
  next: Waiting | undefined;
}
