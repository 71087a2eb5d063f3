import { describe, expect, test } from "vitest";
import { checkClass, derivedProperty, PrecisError, type StringClass } from "../../../../core/precis/index.ts";

function reasonOf(text: string, stringClass: StringClass): string {
  try {
    checkClass(text, stringClass);
  } catch (error) {
    if (error instanceof PrecisError) return error.reason;
    throw error;
  }
  return "ok";
}

describe("RFC 8264 §8: derived property values", () => {
  test.each([
    ["a letter", 0x61, "PVALID"],
    ["an ASCII symbol", 0x7e, "PVALID"],
    ["a capital", 0x416, "PVALID"],
    ["a mark", 0x301, "PVALID"],
    ["an ideograph", 0x6f22, "PVALID"],
    ["a modern Hangul syllable", 0xac00, "PVALID"],
    ["sharp s, an exception", 0xdf, "PVALID"],
    ["final sigma, an exception", 0x3c2, "PVALID"],
    ["the Tibetan mark tsheg, an exception", 0xf0b, "PVALID"],
    ["ideographic number zero, an exception", 0x3007, "PVALID"],
    ["space", 0x20, "FREE_PVAL"],
    ["no-break space", 0xa0, "FREE_PVAL"],
    ["a symbol", 0x265a, "FREE_PVAL"],
    ["an emoji", 0x1f600, "FREE_PVAL"],
    ["a punctuation mark", 0x2020, "FREE_PVAL"],
    ["a title-case letter", 0x1c5, "FREE_PVAL"],
    ["a Roman numeral", 0x2163, "FREE_PVAL"],
    ["a full-width letter", 0xff21, "FREE_PVAL"],
    ["the Kelvin sign", 0x212a, "FREE_PVAL"],
    ["a ligature", 0xfb01, "FREE_PVAL"],
    ["middle dot", 0xb7, "CONTEXTO"],
    ["an Arabic-Indic digit", 0x660, "CONTEXTO"],
    ["zero width joiner", 0x200d, "CONTEXTJ"],
    ["tatweel, an exception", 0x640, "DISALLOWED"],
    ["an old Hangul jamo", 0x1100, "DISALLOWED"],
    ["a control character", 0x07, "DISALLOWED"],
    ["delete", 0x7f, "DISALLOWED"],
    ["soft hyphen", 0xad, "DISALLOWED"],
    ["zero width space", 0x200b, "DISALLOWED"],
    ["a variation selector", 0xfe0f, "DISALLOWED"],
    ["a direction override", 0x202e, "DISALLOWED"],
    ["a line separator", 0x2028, "DISALLOWED"],
    ["a non-character", 0xfffe, "DISALLOWED"],
    ["a surrogate", 0xd800, "DISALLOWED"],
    ["a private character", 0xe000, "DISALLOWED"],
    ["an unassigned code point", 0x378, "UNASSIGNED"],
  ])("%s, %i, is %s as value", (_, codePoint, value) => {
    expect(derivedProperty(codePoint)).toBe(value);
  });

  test("the quick check of a whole string agrees with the algorithm for every code point of the first plane and a half", () => {
    const wrong: string[] = [];
    for (let codePoint = 1; codePoint < 0x1_8000; codePoint++) {
      const value = derivedProperty(codePoint);
      const text = String.fromCodePoint(codePoint);
      const expected = {
        identifier: value === "PVALID",
        freeform: value === "PVALID" || value === "FREE_PVAL",
      };
      if (value.startsWith("CONTEXT")) continue;
      if ((reasonOf(text, "identifier") === "ok") !== expected.identifier) wrong.push(codePoint.toString(16));
      if ((reasonOf(text, "freeform") === "ok") !== expected.freeform) wrong.push(codePoint.toString(16));
    }
    expect(wrong).toEqual([]);
  });
});

describe("the classes", () => {
  test.each<[string, string, string]>([
    ["juliet!~", "ok", "ok"],
    ["foo bar", "disallowed", "ok"],
    ["a\u0301", "ok", "ok"],
    ["\u2163", "disallowed", "ok"],
    ["a\u00AD", "disallowed", "disallowed"],
    ["\u0378", "unassigned", "unassigned"],
    ["a\u200D", "context", "context"],
  ])("%j: identifier %s, free form %s", (text, identifier, freeform) => {
    expect([reasonOf(text, "identifier"), reasonOf(text, "freeform")]).toEqual([identifier, freeform]);
  });
});

test("tr46 knows the Unicode version that the runtime knows, so their tables agree", () => {
  expect(require("tr46/package.json").unicodeVersion).toBe(`${process.versions["unicode"]}.0`);
});
