import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { opaqueString, PrecisError, usernameCaseMapped } from "../../../../core/precis/index.ts";

function reasonOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof PrecisError) return error.reason;
    throw error;
  }
  return "no error";
}

describe("RFC 8265 §3.5, table 1: usernames", () => {
  test.each([
    [1, "juliet@example.com", "juliet@example.com"],
    [2, "fussball", "fussball"],
    [3, "fu\u00DFball", "fu\u00DFball"],
    [4, "\u03C0", "\u03C0"],
    [5, "\u03A3", "\u03C3"],
    [6, "\u03C3", "\u03C3"],
    [7, "\u03C2", "\u03C2"],
  ])("%i: %s becomes %s", (_, text, canonical) => {
    expect(usernameCaseMapped(text)).toBe(canonical);
  });
});

describe("RFC 8265 §3.5, table 2: no usernames", () => {
  test.each([
    [8, "foo bar", "disallowed"],
    [9, "", "empty"],
    [10, "henry\u2163", "disallowed"],
    [11, "\u265A", "disallowed"],
  ])("%i: %j", (_, text, reason) => {
    expect(reasonOf(() => usernameCaseMapped(text))).toBe(reason);
  });
});

describe("UsernameCaseMapped", () => {
  test.each([
    ["case", "\u0416\u0423\u041A", "\u0436\u0443\u043A"],
    ["full width", "\uFF21\uFF42\uFF13", "ab3"],
    ["half width with a voicing mark", "\uFF76\uFF9E", "\u30AC"],
    ["composition", "e\u0301", "\u00E9"],
    ["composition after lower-casing", "E\u0301", "\u00E9"],
    ["capital dotted I", "\u0130", "i\u0307"],
    ["capital sharp s keeps its s", "\u1E9E", "\u00DF"],
  ])("%s: %s becomes %s", (_, text, canonical) => {
    expect(usernameCaseMapped(text)).toBe(canonical);
  });

  test.each([
    ["Hebrew", "\u05D0\u05D1", "no error"],
    ["Hebrew with a number", "\u05D01", "no error"],
    ["Arabic with a mark at the end", "\u0628\u064B", "no error"],
    ["a number before Hebrew", "1\u05D0", "bidi"],
    ["Hebrew among Latin", "a\u05D0", "bidi"],
    ["Latin among Hebrew", "\u05D0a\u05D1", "bidi"],
    ["European and Arabic digits together", "\u0628\u06601", "bidi"],
    ["Hebrew that ends with a hyphen", "\u05D0-", "bidi"],
  ])("bidi rule: %s: %j, %s", (_, text, reason) => {
    expect(reasonOf(() => usernameCaseMapped(text))).toBe(reason);
  });
});

describe("RFC 8265 §4.3, table 3: passwords", () => {
  test.each([
    [12, "correct horse battery staple", "correct horse battery staple"],
    [13, "Correct Horse Battery Staple", "Correct Horse Battery Staple"],
    [14, "\u03C0\u00DF\u00E5", "\u03C0\u00DF\u00E5"],
    [15, "Jack of \u2666s", "Jack of \u2666s"],
    [16, "foo\u1680bar", "foo bar"],
  ])("%i: %j becomes %j", (_, text, canonical) => {
    expect(opaqueString(text)).toBe(canonical);
  });
});

describe("RFC 8265 §4.3, table 4: no passwords", () => {
  test.each([
    [17, "", "empty"],
    [18, "my cat is a \u0009by", "disallowed"],
  ])("%i: %j", (_, text, reason) => {
    expect(reasonOf(() => opaqueString(text))).toBe(reason);
  });
});

describe("OpaqueString", () => {
  test("keeps width", () => expect(opaqueString("\uFF21")).toBe("\uFF21"));
  test("composes", () => expect(opaqueString("A\u030A")).toBe("\u00C5"));
  test("keeps spaces at the ends", () => expect(opaqueString(" a ")).toBe(" a "));
  test("a long password costs time in proportion", () => {
    const start = performance.now();
    reasonOf(() => opaqueString("\u0628\u200C".repeat(30_000)));
    reasonOf(() => opaqueString("\u30FB".repeat(60_000)));
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe("properties", () => {
  const anyText = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));
  test.each([
    ["usernameCaseMapped", usernameCaseMapped],
    ["opaqueString", opaqueString],
  ])("%s is idempotent and throws nothing but PrecisError", (_, profile) => {
    fc.assert(
      fc.property(anyText, (text) => {
        fc.pre(reasonOf(() => profile(text)) === "no error");
        const once = profile(text);
        expect(profile(once)).toBe(once);
      }),
    );
  });
});
