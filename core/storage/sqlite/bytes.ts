// Bytes and 64-bit integers among the values that travel between the main thread and the SQLite worker, which are dear
// to clone: bytes go in one buffer that is handed over, integers as two numbers.
//
// In a message the place of each is `undefined`. At its end come two numbers for each in order (the offset and the
// length of bytes; the high half of an integer and the low half, turned below zero), their count, and the buffer or null.
import type { SqlValue } from "../db.ts";

type Places = (SqlValue | undefined)[];

/** The least that is allocated. */
const LEAST = 1024;

/** Gathers what is dear of one message. */
export class Bytes {
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes that were taken in. */
  #used = 0;
  readonly #pairs: number[] = [];
  readonly #halves = halves();

  /** @param expected bytes that will be taken in, when that is known */
  constructor(expected = 0) {
    if (expected > 0) this.#buffer = new Uint8Array(expected);
  }

  get size(): number {
    return this.#used;
  }

  /** Takes in a value that is dear, and says whether it is one; bytes are copied. */
  takes(value: SqlValue): boolean {
    if (typeof value === "bigint") return this.#integer(value);
    // Whatever else there is goes as it is, for SQLite to refuse: what fails here fails the whole message.
    if (!(value instanceof Uint8Array)) return false;
    this.#bytes(value);
    return true;
  }

  /** A wider one goes as it is too. */
  #integer(value: bigint): boolean {
    const both = this.#halves;
    both.setBigInt64(0, value);
    if (both.getBigInt64(0) !== value) return false;
    this.#pairs.push(both.getInt32(0), -1 - both.getUint32(4));
    return true;
  }

  #bytes(value: Uint8Array): void {
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
    for (const number of this.#pairs) message.push(number);
    const buffer = this.#buffer;
    message.push(this.#pairs.length / 2, buffer ?? null);
    return buffer === undefined ? [] : [buffer.buffer];
  }
}

const halves = (): DataView => new DataView(new ArrayBuffer(8));

/** Takes what is dear out of a message that is whole. Returns what is to be handed over with it. */
export function pack(message: SqlValue[]): ArrayBuffer[] {
  const places: Places = message;
  // A row's bytes are views of the buffer, which lives as long as one of them: it has no room to spare.
  let size = 0;
  for (const value of message) if (value instanceof Uint8Array) size += value.length;
  const bytes = new Bytes(size);
  for (let i = 0; i < message.length; i++) if (bytes.takes(message[i])) places[i] = undefined;
  return bytes.seal(message);
}

/** Puts what is dear where it belongs, in place. */
export function unpack(message: SqlValue[]): void {
  const buffer = message.pop();
  const count = message.pop() as number;
  if (count === 0) return;
  const places: Places = message;
  const end = message.length - 2 * count;
  const both = halves();
  for (let i = 0, pair = end; pair < message.length; i++) {
    if (places[i] !== undefined) continue;
    const first = message[pair++] as number;
    const second = message[pair++] as number;
    if (second < 0) {
      both.setInt32(0, first);
      both.setUint32(4, -1 - second);
      places[i] = both.getBigInt64(0);
    } else places[i] = (buffer as Uint8Array).subarray(first, first + second);
  }
  message.length = end;
}
