// A small run of the framer's fuzzer (framer.ts has the large one): the same streams each time, then others each time.

import { expect, test } from "vitest";
import { fuzz, Recorder, read } from "./framer.ts";
import { mutate, stream } from "./grammar.ts";
import { Random } from "./random.ts";

const STREAMS = 10_000;

function expectNothingFound(seed: number): void {
  const report = fuzz(STREAMS, seed, 3);
  expect(report.problems, `repeat with: bun test/fuzz/framer.ts --streams ${STREAMS} --seed ${seed}`).toEqual([]);
  // The run says something only while it reaches all kinds of streams.
  expect(report.ended).toBeGreaterThan(STREAMS / 20);
  expect(report.elements).toBeGreaterThan(STREAMS / 5);
  expect(report.rewritten).toBeGreaterThan(STREAMS / 50);
  expect(report.written).toBeGreaterThan(STREAMS / 50);
  for (const condition of ["not-well-formed", "restricted-xml", "bad-format", "bad-namespace-prefix"]) {
    expect(report.refused.get(condition) ?? 0, condition).toBeGreaterThan(0);
  }
}

test("the framer agrees with saxes on damaged streams, whole and in pieces, and what is written is read the same", () => {
  expectNothingFound(1);
});

test("so it does on streams that were never tried before", () => {
  expectNothingFound(Math.floor(Math.random() * 2 ** 31));
});

const chunks = (bytes: Buffer, length: number): number[] =>
  Array.from({ length: Math.floor((bytes.length - 1) / length) }, (_, k) => (k + 1) * length);

test("a stream cut after every byte, and at every pair of places, gives what it gives whole", () => {
  const short = [
    "<?xml version='1.0'?><s xmlns='u'><a t='&lt;'>\u00e9]]</a></s>",
    "<s:s xmlns:s='u'><s:a b='1'/> <c><![CDATA[]]]]></c ></s:s>",
    "<s><a>&#x1F600;</a><b\n c='\u{1f600}' ><d/></b>x",
    "<s><a><!-- --></a>",
    "<s><a xmlns:p='u'><p:b/><q:b/></a>",
  ];
  for (const text of short) {
    const bytes = Buffer.from(text);
    const whole = read(bytes, []).summary();
    expect(read(bytes, chunks(bytes, 1)).summary(), text).toBe(whole);
    for (let i = 1; i < bytes.length; i++) {
      for (let j = i + 1; j <= bytes.length; j++) {
        const pieces = read(bytes, j < bytes.length ? [i, j] : [i]).summary();
        if (pieces !== whole) expect(pieces, `${text} at ${i}, ${j}`).toBe(whole);
      }
    }
  }
});

test("a stream of 300 stanzas gives the same in pieces of any length", () => {
  const r = new Random(7);
  const stanzas: string[] = [];
  while (stanzas.length < 300) {
    const inside = /<stream:stream[^>]*>([\s\S]*)<\/stream:stream/.exec(stream(r))?.[1];
    if (inside !== undefined) stanzas.push(inside);
  }
  const header =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:c='urn:c' xmlns:x='urn:x'>";
  const bytes = Buffer.from(`${header}${stanzas.join("")}</stream:stream>`);
  const whole = read(bytes, []);
  expect(whole.elements.length).toBeGreaterThan(100);
  for (const length of [1, 2, 3, 7, 64, 1000, 4096]) {
    expect(read(bytes, chunks(bytes, length)).summary(), `pieces of ${length}`).toBe(whole.summary());
  }
});

test("bytes by chance are refused, never an exception", () => {
  const r = new Random(11);
  for (let k = 0; k < 2000; k++) {
    const bytes = Buffer.from(Array.from({ length: 40 }, () => (k % 2 === 0 ? r.below(256) : 32 + r.below(95))));
    const prefix = k % 4 < 2 ? Buffer.from("<s><a>") : Buffer.alloc(0);
    const whole = read(Buffer.concat([prefix, bytes]), []);
    expect(whole).toBeInstanceOf(Recorder);
    expect(["", "end", "not-well-formed", "restricted-xml", "bad-format", "bad-namespace-prefix"]).toContain(
      whole.outcome,
    );
  }
});

test("mutations keep their seed", () => {
  const twice = [3, 3].map((seed) => {
    const r = new Random(seed);
    return mutate(r, Buffer.from(stream(r))).toString("hex");
  });
  expect(twice[0]).toBe(twice[1]);
});
