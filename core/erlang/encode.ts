// Writes Erlang's external term format, to be read by `binary_to_term`.

import { deflateSync } from "node:zlib";
import {
  Atom,
  Float,
  Improper,
  MAX_INTEGER_BYTES,
  TAG,
  TERM_LIMITS,
  type Term,
  TermError,
  TermMap,
  Tuple,
  VERSION,
} from "./value.ts";

export interface EncodeOptions {
  /** Compress the term, when that makes it smaller. */
  compressed?: boolean;
}

/**
 * A term as bytes.
 * @throws TermError for what no term can be: a number that is no integer, a name of more than 255 characters, a term
 * past `TERM_LIMITS`
 */
export function encodeTerm(term: Term, { compressed = false }: EncodeOptions = {}): Uint8Array {
  const writer = new Writer();
  writer.term(term, 0);
  const plain = writer.done();
  return compressed ? compress(plain) : plain;
}

/** Bytes that a compressed term has before its stream: version, tag, size. */
const HEAD = 6;

function compress(plain: Uint8Array): Uint8Array {
  // The version byte stays outside of what is compressed.
  const inner = plain.subarray(1);
  const stream = deflateSync(inner);
  if (HEAD + stream.length >= plain.length) return plain;
  const out = new Uint8Array(HEAD + stream.length);
  out[0] = VERSION;
  out[1] = TAG.compressed;
  new DataView(out.buffer).setUint32(2, inner.length);
  out.set(stream, HEAD);
  return out;
}

class Writer {
  #bytes = Buffer.allocUnsafe(1024);
  #at = 0;

  constructor() {
    this.#byte(VERSION);
  }

  done(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.#at));
  }

  term(term: Term, depth: number): void {
    if (depth > TERM_LIMITS.depth) {
      throw new TermError("too-deep", `Cannot write a term that is more than ${TERM_LIMITS.depth} levels deep`);
    }
    if (term instanceof Uint8Array) {
      this.#head(TAG.binary, term.length);
      this.#put(term);
    } else if (typeof term === "number") this.#integer(term);
    else if (typeof term === "bigint") this.#big(term);
    else if (term instanceof Tuple) {
      if (term.items.length < 256) this.#head8(TAG.smallTuple, term.items.length);
      else this.#head(TAG.largeTuple, term.items.length);
      this.#all(term.items, depth);
    } else if (term instanceof Atom) this.#atom(term.name);
    else if (term instanceof TermMap) {
      this.#head(TAG.map, term.pairs.length);
      for (const pair of term.pairs) this.#all(pair, depth);
    } else if (term instanceof Float) this.#float(term.value);
    else if (term instanceof Improper) {
      if (term.items.length === 0) throw new TermError("value", "Cannot write an improper list without an element");
      this.#head(TAG.list, term.items.length);
      this.#all(term.items, depth);
      this.term(term.tail, depth + 1);
    } else this.#list(term, depth);
  }

  #all(items: readonly Term[], depth: number): void {
    for (const item of items) this.term(item, depth + 1);
  }

  #list(items: readonly Term[], depth: number): void {
    if (items.length === 0) {
      this.#byte(TAG.nil);
    } else if (items.length < 65_536 && items.every(isByte)) {
      const at = this.#need(3 + items.length);
      this.#bytes[at] = TAG.string;
      this.#bytes.writeUInt16BE(items.length, at + 1);
      for (let i = 0; i < items.length; i++) this.#bytes[at + 3 + i] = items[i] as number;
    } else {
      this.#head(TAG.list, items.length);
      this.#all(items, depth);
      this.#byte(TAG.nil);
    }
  }

  #integer(value: number): void {
    if (!Number.isSafeInteger(value)) throw new TermError("value", `Cannot write ${value} as an integer`);
    if (isByte(value)) this.#head8(TAG.smallInteger, value);
    else if (value === (value | 0)) {
      const at = this.#need(5);
      this.#bytes[at] = TAG.integer;
      this.#bytes.writeInt32BE(value, at + 1);
    } else this.#big(BigInt(value));
  }

  #big(value: bigint): void {
    if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) {
      this.#integer(Number(value));
      return;
    }
    const negative = value < 0n;
    const hex = (negative ? -value : value).toString(16);
    const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex").reverse();
    if (magnitude.length > MAX_INTEGER_BYTES) {
      throw new TermError("too-big", `Cannot write an integer of ${magnitude.length} bytes`);
    }
    if (magnitude.length < 256) this.#head8(TAG.smallBig, magnitude.length);
    else this.#head(TAG.largeBig, magnitude.length);
    this.#byte(negative ? 1 : 0);
    this.#put(magnitude);
  }

  #atom(name: string): void {
    const bytes = Buffer.from(name);
    if (name.length > 255 && [...name].length > 255) {
      throw new TermError("value", "Cannot write an atom of more than 255 characters");
    }
    if (bytes.length < 256) this.#head8(TAG.smallAtomUtf8, bytes.length);
    else {
      const at = this.#need(3);
      this.#bytes[at] = TAG.atomUtf8;
      this.#bytes.writeUInt16BE(bytes.length, at + 1);
    }
    this.#put(bytes);
  }

  #float(value: number): void {
    if (!Number.isFinite(value)) throw new TermError("value", `Cannot write ${value} as a number`);
    const at = this.#need(9);
    this.#bytes[at] = TAG.newFloat;
    this.#bytes.writeDoubleBE(value, at + 1);
  }

  /** A tag and the number that follows it in four bytes. */
  #head(tag: number, n: number): void {
    const at = this.#need(5);
    this.#bytes[at] = tag;
    this.#bytes.writeUInt32BE(n, at + 1);
  }
  /** The same in one byte. */
  #head8(tag: number, n: number): void {
    const at = this.#need(2);
    this.#bytes[at] = tag;
    this.#bytes[at + 1] = n;
  }
  #byte(value: number): void {
    const at = this.#need(1);
    this.#bytes[at] = value;
  }
  #put(bytes: Uint8Array): void {
    const at = this.#need(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Position of `n` bytes to write; the room doubles, so that what is copied in all is no more than twice the end. */
  #need(n: number): number {
    const at = this.#at;
    const end = at + n;
    if (end > TERM_LIMITS.size)
      throw new TermError("too-big", `Cannot write a term of more than ${TERM_LIMITS.size} bytes`);
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, 2 * this.#bytes.length));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#at = end;
    return at;
  }
}

const isByte = (value: Term): value is number => typeof value === "number" && value === (value & 0xff);
