// Erlang's external term format: what a real Erlang wrote is read, it reads what we write (fixtures of
// test/fixtures/erlang), and nothing that is no term does harm.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Atom,
  decodeTerm,
  encodeTerm,
  Float,
  Improper,
  type Term,
  TermError,
  type TermErrorCode,
  TermMap,
  Tuple,
} from "../../../../core/erlang/term.ts";
import { OURS } from "../../../fixtures/erlang/ours.ts";

const FIXTURES = join(import.meta.dirname, "../../../fixtures/erlang");

function table(file: string): Map<string, string> {
  const lines = readFileSync(join(FIXTURES, file), "utf8").trimEnd().split("\n");
  return new Map(lines.map((line) => line.split("\t") as [string, string]));
}

const b = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const atom = (name: string) => new Atom(name);

function codeOf(run: () => unknown): TermErrorCode | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof TermError) return error.code;
    throw error;
  }
  return undefined;
}

/** What the fixtures' names stand for. */
const WRITTEN: Readonly<Record<string, Term>> = {
  zero: 0,
  "255": 255,
  "256": 256,
  "-1": -1,
  "2^31-1": 2147483647,
  "-2^31": -2147483648,
  "2^31": 2147483648,
  "2^53-1": Number.MAX_SAFE_INTEGER,
  "2^64": 2n ** 64n,
  "-2^64": -(2n ** 64n),
  "large integer": 2n ** 2100n,
  "1.5": new Float(1.5),
  "-0.001": new Float(-0.001),
  "old float": new Float(3.25),
  "latin1 atom": atom("ok"),
  "utf8 atom": atom("ok"),
  "wide atom": atom("Ж"),
  "long atom": atom("Ж".repeat(200)),
  "empty binary": b(""),
  binary: b("café"),
  nil: [],
  string: [97, 98, 99],
  list: [1, 300, atom("ok")],
  improper: new Improper([b("a")], b("b")),
  "empty tuple": new Tuple([]),
  tuple: new Tuple([atom("a"), b("b"), new Tuple([1])]),
  "large tuple": new Tuple(Array(300).fill(7)),
  "empty map": new TermMap([]),
  map: new TermMap([[b("id"), b("1")]]),
  compressed: Array(50).fill(b("again")),
  "not worth compressing": new Tuple([atom("ok")]),
  "permanent fields": [
    new Tuple([atom("mongoose"), atom("expire"), 5]),
    new Tuple([atom("mod_x"), b("key"), new TermMap([[atom("a"), 1]])]),
  ],
};

describe("with a real Erlang", () => {
  const written = table("terms.tsv");
  const reads = table("reads.tsv");

  test.each(Object.entries(WRITTEN))("%s is read", (name, term) => {
    expect(plain(decodeTerm(hex(written.get(name)!)))).toEqual(plain(term));
  });

  test.each(OURS)("it reads what we write: %#", (term, printed) => {
    expect(reads.get(Buffer.from(encodeTerm(term)).toString("hex"))).toBe(printed);
  });
});

/** Views of buffers are compared as bytes. */
function plain(term: Term): unknown {
  if (term instanceof Uint8Array) return { bytes: Buffer.from(term).toString("hex") };
  if (Array.isArray(term)) return term.map(plain);
  if (term instanceof Tuple) return { tuple: term.items.map(plain) };
  if (term instanceof TermMap) return { map: term.pairs.map(([k, v]) => [plain(k), plain(v)]) };
  if (term instanceof Improper) return { items: term.items.map(plain), tail: plain(term.tail) };
  if (term instanceof Atom) return { atom: term.name };
  if (term instanceof Float) return { float: Object.is(term.value, -0) ? "-0" : term.value };
  return term;
}

const { term: anyTerm } = fc.letrec<{ term: Term }>((tie) => ({
  term: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }).map((n) => (Number.isSafeInteger(Number(n)) ? Number(n) : n)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => new Float(n)),
    fc.string({ unit: "grapheme", maxLength: 40 }).map(atom),
    fc.uint8Array({ maxLength: 3000 }),
    fc.array(fc.nat(255)),
    fc.array(tie("term"), { maxLength: 6 }),
    fc.array(tie("term"), { maxLength: 6 }).map((items) => new Tuple(items)),
    fc.array(fc.tuple(tie("term"), tie("term")), { maxLength: 4 }).map((pairs) => new TermMap(pairs)),
    fc.array(fc.nat(255), { minLength: 1, maxLength: 4 }).map((items) => new Improper(items, atom("end"))),
  ),
}));

test("what is written is read again, compressed or not", () => {
  fc.assert(
    fc.property(anyTerm, fc.boolean(), (term, compressed) => {
      expect(plain(decodeTerm(encodeTerm(term, { compressed })))).toEqual(plain(term));
    }),
    { numRuns: 300 },
  );
});

test("bytes that are no term, or half of one, give an error of ours and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      codeOf(() => decodeTerm(Uint8Array.of(131, ...bytes)));
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(anyTerm, fc.nat(), (term, n) => {
      const bytes = encodeTerm(term);
      const cut = bytes.subarray(0, n % bytes.length);
      expect(codeOf(() => decodeTerm(cut))).toMatch(/^(truncated|version)$/);
    }),
  );
});

describe("refuses", () => {
  test.each<[string, Uint8Array, TermErrorCode]>([
    ["no bytes", hex(""), "version"],
    ["another version", hex("826100"), "version"],
    ["bytes after the term", hex("83610000"), "trailing"],
    ["a process id", hex("8358"), "tag"],
    ["a tuple that claims four thousand million elements", hex("8369ffffffff"), "truncated"],
    ["a map that claims as many", hex("8374ffffffff"), "truncated"],
    ["a binary that claims as many bytes", hex("836dffffffff00"), "truncated"],
    ["an integer of a million bytes", hex(`836f000f424000${"ff".repeat(100)}`), "too-big"],
    ["a number that is none", hex("83467ff8000000000000"), "value"],
    ["an old number that is none", hex(`8363${"41".repeat(31)}`), "value"],
    ["an atom that is no UTF-8", hex("837702c328"), "value"],
    ["lists within lists without end", hex(`83${"6c00000001".repeat(100_000)}`), "too-deep"],
    ["a compressed term without a stream", hex("8350000000"), "truncated"],
    ["a compressed term that is damaged", hex("835000000003ffffff"), "compression"],
  ])("%s", (_name, bytes, code) => {
    expect(codeOf(() => decodeTerm(bytes))).toBe(code);
  });

  const packed = (says: number, inner: Uint8Array): Uint8Array => {
    const head = Buffer.alloc(6);
    head[0] = 131;
    head[1] = 80;
    head.writeUInt32BE(says, 2);
    return Buffer.concat([head, deflateSync(inner)]);
  };

  test("a stream that gives more or less than it says, or says more than is read", () => {
    const inner = encodeTerm(b("x".repeat(100))).subarray(1);
    expect(plain(decodeTerm(packed(inner.length, inner)))).toEqual(plain(b("x".repeat(100))));
    expect(codeOf(() => decodeTerm(packed(inner.length - 1, inner)))).toBe("compression");
    expect(codeOf(() => decodeTerm(packed(inner.length + 1, inner)))).toBe("compression");
    expect(codeOf(() => decodeTerm(packed(0xffff_ffff, inner)))).toBe("too-big");
  });

  test("a bomb, without making what it holds", () => {
    const bomb = packed(1000, Buffer.alloc(64 * 1024 * 1024, 106));
    const before = process.memoryUsage().rss;
    expect(codeOf(() => decodeTerm(bomb))).toBe("compression");
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1024 * 1024);
  });

  test("more terms than are read, however few bytes they take", () => {
    const nils = Buffer.concat([hex("836c001e8480"), Buffer.alloc(2_000_001, 106)]);
    expect(codeOf(() => decodeTerm(nils))).toBe("too-big");
  });

  test("to write what no term can be", () => {
    expect(codeOf(() => encodeTerm(1.5))).toBe("value");
    expect(codeOf(() => encodeTerm(new Float(Number.NaN)))).toBe("value");
    expect(codeOf(() => encodeTerm(atom("x".repeat(256))))).toBe("value");
    expect(codeOf(() => encodeTerm(new Uint8Array(17 * 1024 * 1024)))).toBe("too-big");
    let deep: Term = [];
    for (let i = 0; i < 3000; i++) deep = [deep];
    expect(codeOf(() => encodeTerm(deep))).toBe("too-deep");
  });
});
