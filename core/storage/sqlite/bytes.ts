// Bytes among the values that travel between the main thread and the SQLite worker: in one buffer that is handed over,
// since a clone of each would cost more than all else of its row.
//
// In a message the place of each is `undefined`; at its end come an offset and a length for each in order, their count,
// and the buffer.
import type { SqlValue } from "../db.ts";

type Places = (SqlValue | undefined)[];

/** The least that is allocated. */
const LEAST = 1024;

/** Gathers the bytes of one message. */
export class Bytes {
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #used = 0;
  readonly #pairs: number[] = [];

  /** Copies bytes; `undefined` goes where they were. */
  add(value: Uint8Array): void {
    const end = this.#used + value.length;
    let buffer = this.#buffer;
    if (buffer === undefined || end > buffer.length) {
      const bigger = new Uint8Array(Math.max(LEAST, 2 ** Math.ceil(Math.log2(end))));
      if (buffer !== undefined) bigger.set(buffer);
      this.#buffer = buffer = bigger;
    }
    buffer.set(value, this.#used);
    this.#pairs.push(this.#used, value.length);
    this.#used = end;
  }

  /** Ends the message. Returns what is to be handed over with it. */
  seal(message: SqlValue[]): ArrayBuffer[] {
    const buffer = this.#buffer;
    if (buffer === undefined) return [];
    for (const number of this.#pairs) message.push(number);
    message.push(this.#pairs.length / 2, buffer);
    this.#buffer = undefined;
    return [buffer.buffer];
  }
}

/** Takes the bytes out of a message that is whole. Returns what is to be handed over with it. */
export function pack(message: SqlValue[]): ArrayBuffer[] {
  const places: Places = message;
  const bytes = new Bytes();
  for (let i = 0; i < message.length; i++) {
    const value = message[i];
    if (!(value instanceof Uint8Array)) continue;
    bytes.add(value);
    places[i] = undefined;
  }
  return bytes.seal(message);
}

/** Puts the bytes of a message that has come where they belong, in place. */
export function unpack(message: SqlValue[]): void {
  const buffer = message.at(-1);
  if (!(buffer instanceof Uint8Array)) return;
  const places: Places = message;
  const end = message.length - 2 - 2 * (message[message.length - 2] as number);
  for (let i = 0, pair = end; pair < message.length - 2; i++) {
    if (places[i] !== undefined) continue;
    const offset = message[pair++] as number;
    message[i] = buffer.subarray(offset, offset + (message[pair++] as number));
  }
  message.length = end;
}
