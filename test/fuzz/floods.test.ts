// What never ends, or comes in the smallest pieces: the framer keeps little of it and gives up in time.

import { expect, test } from "vitest";
import { Framer, type FrameSink, ScanPool } from "../../core/xml/framer.ts";
import { DEFAULT_LIMITS } from "../../core/xml/scan.ts";
import { Random } from "./random.ts";

const HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const MIB = 1 << 20;
/** A framer keeps at most an element, in a buffer that has doubled. */
const KEPT = 3 * DEFAULT_LIMITS.size;

class Flood implements FrameSink {
  outcome = "";
  elements = 0;
  most = 0;
  fed = 0;
  readonly framer: Framer;
  constructor(start: string) {
    this.framer = new Framer(this, new ScanPool(), DEFAULT_LIMITS);
    this.framer.feed(Buffer.from(start));
  }
  header(): boolean {
    return true;
  }
  element(): boolean {
    this.elements++;
    return true;
  }
  end(): void {
    this.outcome = "end";
  }
  malformed(condition: string): void {
    this.outcome = condition;
  }

  /** Feeds `unit` again and again, in pieces of `size` bytes, up to `total` or until the framer gives up. */
  pour(unit: string | (() => Buffer), size: number, total: number): this {
    const block =
      typeof unit === "string" ? Buffer.from(unit.repeat(Math.ceil((size + 64) / unit.length) + 1)) : undefined;
    const period = typeof unit === "string" ? Buffer.byteLength(unit) : 0;
    for (let at = 0; this.fed < total && this.outcome === ""; at += size) {
      const piece = block === undefined ? (unit as () => Buffer)() : block.subarray(at % period, (at % period) + size);
      this.framer.feed(Buffer.from(piece));
      this.fed += piece.length;
      this.most = Math.max(this.most, this.framer.buffered);
    }
    return this;
  }
}

// [what, what it follows, what is repeated, how the framer must end it]
const ENDLESS: [string, string, string, string][] = [
  ["text in an element", `${HEADER}<message>`, "lorem ipsum ", "policy-violation"],
  ["text of many bytes a character", `${HEADER}<message>`, "\u{1f600}\u20ac", "policy-violation"],
  ["references", `${HEADER}<message>`, "&amp;", "policy-violation"],
  ["CDATA", `${HEADER}<message><![CDATA[`, "]]", "policy-violation"],
  ["an attribute value", `${HEADER}<message to='`, "x>y", "policy-violation"],
  ["attributes", `${HEADER}<message`, " a='1'", "not-well-formed"],
  ["white space in a tag", `${HEADER}<message`, " \n", "policy-violation"],
  ["white space in an end tag", `${HEADER}<message></message`, " ", "policy-violation"],
  ["an element's name", `${HEADER}<m`, "essage", "policy-violation"],
  ["a prefix", `${HEADER}<m:`, "essage", "policy-violation"],
  ["an attribute's name", `${HEADER}<m `, "essage", "policy-violation"],
  ["children", `${HEADER}<message>`, "<a/>", "policy-violation"],
  ["nesting", `${HEADER}<message>`, "<a>", "policy-violation"],
  ["'<a'", `${HEADER}`, "<a", "not-well-formed"],
  ["'<a '", `${HEADER}`, "<a ", "not-well-formed"],
  ["'<'", `${HEADER}`, "<", "not-well-formed"],
  ["'&'", `${HEADER}<message>`, "&", "not-well-formed"],
  ["an entity's name", `${HEADER}<message>&`, "lol", "not-well-formed"],
  ["digits of a reference", `${HEADER}<message>&#`, "0", "not-well-formed"],
  ["a comment", `${HEADER}<message><!--`, "-", "restricted-xml"],
  ["a stream header", "<stream:stream ", " ", "policy-violation"],
  ["a name in the header", "<stream:", "stream", "policy-violation"],
  ["an XML declaration", "<?xml ", " ", "not-well-formed"],
  ["the stream's end tag", `${HEADER}</stream:stream`, "\n", "not-well-formed"],
  ["stream headers", "", HEADER, "policy-violation"],
];

for (const size of [1, 100, 65_536]) {
  test.each(ENDLESS)(
    `endless %s in pieces of ${size} is refused before much of it is kept`,
    (_, start, unit, outcome) => {
      const flood = new Flood(start).pour(unit, size, 4 * MIB);
      expect(flood.most).toBeLessThanOrEqual(KEPT);
      expect(flood.outcome).toBe(outcome);
      expect(flood.fed).toBeLessThanOrEqual(DEFAULT_LIMITS.size + 2 * size);
    },
  );
}

test("white space between stanzas may go on for ever and is not kept", () => {
  const flood = new Flood(HEADER).pour(" \n", 1000, 8 * MIB);
  expect(flood.outcome).toBe("");
  expect(flood.most).toBe(0);
});

test("stanzas may go on for ever; what is kept is at most one", () => {
  const flood = new Flood(HEADER).pour("<message to='a@b'><body>hello</body></message>", 97, 4 * MIB);
  expect(flood.outcome).toBe("");
  expect(flood.elements).toBeGreaterThan(90_000);
  expect(flood.most).toBeLessThan(1000);
});

test("a million bytes by chance: nothing is kept, every piece is answered", () => {
  for (const ascii of [false, true]) {
    for (const start of ["", HEADER, `${HEADER}<message>`, `${HEADER}<message><![CDATA[`, `${HEADER}<message a='`]) {
      const r = new Random(start.length + (ascii ? 1 : 0));
      const piece = (): Buffer =>
        Buffer.from(Array.from({ length: 500 }, () => (ascii ? 32 + r.below(95) : r.below(256))));
      const flood = new Flood(start).pour(piece, 500, MIB / 8);
      expect(flood.outcome).not.toBe("");
      expect(flood.framer.buffered).toBe(0);
    }
  }
});

test("a tag of 16 KB that comes byte by byte costs a bounded time, and so does a stanza of such tags", () => {
  const tag = `<a b='${"x".repeat(DEFAULT_LIMITS.tag - 16)}'/>`;
  const text = `${HEADER}<message>${tag.repeat(3)}</message>`;
  const flood = new Flood("");
  const started = performance.now();
  for (const byte of Buffer.from(text)) flood.framer.feed(Buffer.of(byte));
  expect(flood.elements).toBe(1);
  expect(performance.now() - started).toBeLessThan(10_000);
});

test("attributes that are compared with each other do not make a long tag slow", () => {
  const tag = `<a ${Array.from({ length: 64 }, (_, k) => `${"n".repeat(200)}${k}='1'`).join(" ")}/>`;
  const flood = new Flood(HEADER);
  const started = performance.now();
  for (let k = 0; k < 1000; k++) flood.framer.feed(Buffer.from(tag));
  expect(flood.elements).toBe(1000);
  expect(performance.now() - started).toBeLessThan(10_000);
});

test("a long namespace that many children use is not written out for each of them", () => {
  const uri = "u".repeat(12_000);
  const flood = new Flood(HEADER);
  const started = performance.now();
  flood.framer.feed(Buffer.from(`<message xmlns:a='${uri}'>${"<a:b/>".repeat(8000)}</message>`));
  expect(flood.outcome).toBe("policy-violation");
  expect(performance.now() - started).toBeLessThan(1000);
});

test("prefixes declared at every depth do not make a stanza slow", () => {
  const declarations = Array.from({ length: 60 }, (_, k) => ` xmlns:p${k}='u'`).join("");
  const inside = `<x${declarations}>`.repeat(20) + "<p0:a/>".repeat(4000) + "</x>".repeat(20);
  const flood = new Flood(HEADER);
  const started = performance.now();
  flood.framer.feed(Buffer.from(`<message${declarations}>${inside}</message>`));
  expect(flood.elements + (flood.outcome === "policy-violation" ? 1 : 0)).toBe(1);
  expect(performance.now() - started).toBeLessThan(2000);
});

test("memory stays flat under 200 MB of stanzas", () => {
  const flood = new Flood(HEADER);
  const unit = `<message to='a@b'><body>${"x".repeat(900)}</body></message>`;
  flood.pour(unit, 8192, 20 * MIB);
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  flood.fed = 0;
  flood.pour(unit, 8192, 200 * MIB);
  Bun.gc(true);
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);
});
