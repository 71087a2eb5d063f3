// Erlang terms as values.

/** An atom. */
export class Atom {
  constructor(readonly name: string) {}
}

/** A tuple. */
export class Tuple {
  constructor(readonly items: readonly Term[]) {}
}

/** A floating-point number: a JavaScript number is an integer here, as 1 and 1.0 are two terms in Erlang. */
export class Float {
  constructor(readonly value: number) {}
}

/** A map, as pairs in the order they were met. */
export class TermMap {
  constructor(readonly pairs: readonly (readonly [key: Term, value: Term])[]) {}
}

/** A list that ends in something other than the empty list, as Erlang's iodata may: `[<<"a">> | <<"b">>]`. */
export class Improper {
  constructor(
    readonly items: readonly Term[],
    readonly tail: Term,
  ) {}
}

/**
 * A term: integers are numbers when they are safe and bigints otherwise, binaries are bytes, proper lists are arrays.
 * Erlang's strings are lists of character codes.
 */
export type Term = number | bigint | Float | Atom | Uint8Array | Tuple | TermMap | Improper | readonly Term[];

/**
 * - `version`: the first byte is not 131
 * - `truncated`: the bytes end inside a term
 * - `trailing`: bytes follow the term
 * - `tag`: a kind of term that no database holds (process ids, functions, ...), or no tag at all
 * - `value`: a number or name that cannot be
 * - `too-deep`, `too-big`: past a bound
 * - `compression`: damaged, or not of the size it says
 */
export type TermErrorCode =
  | "version"
  | "truncated"
  | "trailing"
  | "tag"
  | "value"
  | "too-deep"
  | "too-big"
  | "compression";

/** Bytes that are no term, or a term that cannot be written. */
export class TermError extends Error {
  override readonly name = "TermError";
  constructor(
    readonly code: TermErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** First byte of every term. */
export const VERSION = 131;

/** Tags of the external term format (Erlang's ERTS manual, "External Term Format"). */
export const TAG = {
  newFloat: 70,
  compressed: 80,
  smallInteger: 97,
  integer: 98,
  float: 99,
  atom: 100,
  smallTuple: 104,
  largeTuple: 105,
  nil: 106,
  string: 107,
  list: 108,
  binary: 109,
  smallBig: 110,
  largeBig: 111,
  smallAtom: 115,
  map: 116,
  atomUtf8: 118,
  smallAtomUtf8: 119,
} as const;

export interface TermLimits {
  /** Terms within terms. */
  depth: number;
  /** Bytes of a term, uncompressed. */
  size: number;
  /** Terms in all, those inside others counted. */
  terms: number;
}

/** As much as the largest stanza may need. */
export const TERM_LIMITS: TermLimits = { depth: 2_000, size: 16 * 1024 * 1024, terms: 1_000_000 };
/** Bytes of an integer: more than any that a server stores. */
export const MAX_INTEGER_BYTES = 1_024;
