// Reads Erlang's external term format, as `term_to_binary` writes it.

import { inflateSync } from "node:zlib";
import {
  Atom,
  Float,
  Improper,
  MAX_INTEGER_BYTES,
  TAG,
  TERM_LIMITS,
  type Term,
  TermError,
  type TermLimits,
  TermMap,
  Tuple,
  VERSION,
} from "./value.ts";

/**
 * The term that bytes hold, compressed or not. Binaries are views on the bytes, or on what they were decompressed to.
 * @throws TermError
 */
export function decodeTerm(bytes: Uint8Array, limits: TermLimits = TERM_LIMITS): Term {
  if (bytes[0] !== VERSION)
    throw new TermError("version", `Not an Erlang term: it begins with ${bytes[0] ?? "nothing"}`);
  if (bytes[1] === TAG.compressed) return new Reader(inflate(bytes, limits.size), 0, limits).whole();
  if (bytes.length > limits.size) throw tooBig(bytes.length, limits.size);
  return new Reader(bytes, 1, limits).whole();
}

/** The bytes of a compressed term; never more than it says, whatever the stream would give. */
function inflate(bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.length < 6) throw truncated();
  const size = view(bytes).getUint32(2);
  if (size > max) throw tooBig(size, max);
  let out: Buffer;
  try {
    out = inflateSync(bytes.subarray(6), { maxOutputLength: Math.max(size, 1) });
  } catch (cause) {
    throw new TermError("compression", `Cannot decompress a term: ${(cause as Error).message}`, { cause });
  }
  if (out.length !== size) {
    throw new TermError("compression", `Cannot decompress a term: it has ${out.length} bytes and says ${size}`);
  }
  return out;
}

const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);
const truncated = (): TermError => new TermError("truncated", "Cannot read a term: it is cut off");
const tooBig = (n: number, max: number): TermError =>
  new TermError("too-big", `Cannot read a term of ${n} bytes: at most ${max} are read`);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: TermLimits;
  #at: number;
  #terms = 0;
  #depth = 0;

  constructor(bytes: Uint8Array, at: number, limits: TermLimits) {
    this.#bytes = bytes;
    this.#view = view(bytes);
    this.#at = at;
    this.#limits = limits;
  }

  whole(): Term {
    const term = this.#term();
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new TermError("trailing", `Cannot read a term: ${left} bytes follow it`);
    return term;
  }

  #term(): Term {
    if (++this.#terms > this.#limits.terms) {
      throw new TermError("too-big", `Cannot read a term of more than ${this.#limits.terms} terms`);
    }
    const tag = this.#byte();
    switch (tag) {
      case TAG.binary:
        return this.#take(this.#uint32());
      case TAG.nil:
        return [];
      case TAG.smallInteger:
        return this.#byte();
      case TAG.integer:
        return this.#view.getInt32(this.#skip(4));
      case TAG.smallTuple:
        return new Tuple(this.#inside(this.#byte()));
      case TAG.largeTuple:
        return new Tuple(this.#inside(this.#uint32()));
      case TAG.list:
        return this.#list(this.#uint32());
      case TAG.string:
        return Array.from(this.#take(this.#uint16()));
      case TAG.map:
        return this.#map(this.#uint32());
      case TAG.smallAtomUtf8:
        return this.#atom(this.#byte(), true);
      case TAG.atomUtf8:
        return this.#atom(this.#uint16(), true);
      case TAG.smallAtom:
        return this.#atom(this.#byte(), false);
      case TAG.atom:
        return this.#atom(this.#uint16(), false);
      case TAG.smallBig:
        return this.#big(this.#byte());
      case TAG.largeBig:
        return this.#big(this.#uint32());
      case TAG.newFloat:
        return this.#float(this.#view.getFloat64(this.#skip(8)));
      case TAG.float:
        return this.#oldFloat();
      default:
        throw new TermError("tag", `Cannot read a term with tag ${tag}`);
    }
  }

  /** Position of the next `n` bytes, which are there. */
  #skip(n: number): number {
    const at = this.#at;
    if (n > this.#bytes.length - at) throw truncated();
    this.#at = at + n;
    return at;
  }

  #byte(): number {
    return this.#bytes[this.#skip(1)];
  }
  #uint16(): number {
    return this.#view.getUint16(this.#skip(2));
  }
  #uint32(): number {
    return this.#view.getUint32(this.#skip(4));
  }
  #take(n: number): Uint8Array {
    const at = this.#skip(n);
    return this.#bytes.subarray(at, at + n);
  }

  /** The `n` terms inside of one; each takes a byte at least, so that a false number makes no large array. */
  #inside(n: number): Term[] {
    if (n > this.#bytes.length - this.#at) throw truncated();
    if (++this.#depth > this.#limits.depth) {
      throw new TermError("too-deep", `Cannot read a term that is more than ${this.#limits.depth} levels deep`);
    }
    const items: Term[] = [];
    for (let i = 0; i < n; i++) items.push(this.#term());
    this.#depth--;
    return items;
  }

  #list(n: number): Term {
    const items = this.#inside(n);
    if (this.#bytes[this.#at] === TAG.nil) {
      this.#at++;
      return items;
    }
    const [tail] = this.#inside(1);
    return new Improper(items, tail);
  }

  #map(n: number): TermMap {
    const flat = this.#inside(2 * n);
    const pairs: [Term, Term][] = [];
    for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
    return new TermMap(pairs);
  }

  #atom(n: number, wide: boolean): Atom {
    const bytes = this.#take(n);
    if (!wide) return new Atom(Buffer.from(bytes).latin1Slice());
    try {
      return new Atom(utf8.decode(bytes));
    } catch (cause) {
      throw new TermError("value", "Cannot read an atom: it is not UTF-8", { cause });
    }
  }

  /** Sign, then magnitude with the lowest byte first. */
  #big(n: number): number | bigint {
    if (n > MAX_INTEGER_BYTES) throw new TermError("too-big", `Cannot read an integer of ${n} bytes`);
    const negative = this.#byte() !== 0;
    const hex = Buffer.from(this.#take(n)).reverse().toString("hex");
    const magnitude = BigInt(`0x${hex || "0"}`);
    const value = negative ? -magnitude : magnitude;
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  /** 31 characters of decimal text, filled up with NUL. */
  #oldFloat(): Float {
    const text = Buffer.from(this.#take(31)).latin1Slice().replace(/\0+$/, "");
    if (!/^ *[+-]?\d+\.\d+(?:[eE][+-]?\d+)?$/.test(text)) {
      throw new TermError("value", "Cannot read a floating-point number: its text is none");
    }
    return this.#float(Number(text));
  }

  #float(value: number): Float {
    if (!Number.isFinite(value)) throw new TermError("value", "Cannot read a floating-point number: it is not finite");
    return new Float(value);
  }
}
