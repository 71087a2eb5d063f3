// What is searched for: words, in every script, in time.
import fc from "fast-check";
import { expect, test } from "vitest";
import { viewText } from "../../../../core/xml/framer.ts";
import { escapeXml } from "../../../../core/xml/markup.ts";
import { normalise, searchedText, words } from "../../../../modules/mod_mam/search/normalise.ts";

test.each([
  ["Hi there! My cat's name is John", "hi there my cats name is john"],
  ["  a,b.c:d;e<f=g>h?i!j  ", "a b c d e f g h i j"],
  ["well-known (really) snake_case 50% £9", "wellknown really snake_case 50 9"],
  ["two\nlines\tand \u00a0 more", "two lines and more"],
  ["ZAŻÓŁĆ Gęślą JAŹŃ", "zażółć gęślą jaźń"],
  ["Привет, МИР! 你好。世界 ١٢", "привет мир 你好世界 ١٢"],
  ["lol 😂 🙅", "lol"],
  ["e\u0301te\u0301", "ete"],
  ["?!.", ""],
  ["", ""],
])("%j is searched as %j", (body, expected) => {
  expect(normalise(body)).toBe(expected);
});

/** Texts of letters, separators and what is dropped, in and out of ASCII. */
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."aZ0_ ,.;-'\n\tż中😂\u0301") }),
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary" }),
);

test("what has been normalised is words with one space between them, and stays as it is", () => {
  fc.assert(
    fc.property(text, (body) => {
      const result = normalise(body);
      expect(result).toMatch(/^(?:[\p{L}\p{N}_]+(?: [\p{L}\p{N}_]+)*)?$/u);
      expect(normalise(result)).toBe(result);
    }),
  );
});

test("ASCII is normalised as every other script", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (body) => {
      expect(normalise(`${body} ż`)).toBe(`${normalise(body)} ż`.trim());
    }),
  );
});

test("a query is at most ten words, each once", () => {
  expect(words("Cat, dog? CAT's dog")).toEqual(["cat", "dog", "cats"]);
  expect(words("a b c d e f g h i j k l")).toEqual([..."abcdefghij"]);
  expect(words(" ,.")).toEqual([]);
  fc.assert(
    fc.property(text, (query) => {
      const found = words(query);
      expect(found.length).toBeLessThanOrEqual(10);
      for (const word of found) expect(normalise(query).split(" ")).toContain(word);
    }),
  );
});

test.each([
  ["<body>Hi, YOU there</body>", "hi you there"],
  ["<body >Hi</body >", "hi"],
  ["<body>Hi</body  >", "hi"],
  ["<body a='>'>Hi</body>", "hi"],
  ["<body xml:lang='en'>Hi &amp; bye &lt;x></body>", "hi bye x"],
  ["<body>a&#x20;b &#380;</body>", "a b ż"],
  ["<body><![CDATA[<b> & c]]></body>", "b c"],
  ["<body>one<i xmlns='urn:x'>two</i> three</body>", "one three"],
  ["<body>ZAŻÓŁĆ</body>", "zażółć"],
  ["<body/>", ""],
  ["<body></body>", ""],
  ["<body xmlns='urn:example:other'>Hi</body>", ""],
  ["<subject>Hi</subject>", ""],
  ["<body>one</body><body xml:lang='pl'>dwa</body>", "one"],
])("of a message with %s, %j is searched", (inner, expected) => {
  expect(searchedText(viewText(`<message type='chat'>${inner}</message>`))).toBe(expected);
});

test("the body is searched as its text is", () => {
  fc.assert(
    fc.property(text, (body) => {
      const clean = body.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, " ");
      expect(searchedText(viewText(`<message><body>${escapeXml(clean)}</body></message>`))).toBe(normalise(clean));
    }),
  );
});

test("a long hostile text takes no longer than any other of its length", () => {
  for (const unit of [" ", ", ", "-", "a -", "ż -", "  ż", "\u0301 "]) {
    const began = performance.now();
    normalise(unit.repeat(500_000));
    expect(performance.now() - began, unit).toBeLessThan(2000);
  }
});
