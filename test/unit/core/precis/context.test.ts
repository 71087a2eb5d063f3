import { describe, expect, test } from "vitest";
import { checkContext } from "../../../../core/precis/context.ts";
import { PrecisError } from "../../../../core/precis/index.ts";

function isInPlace(text: string): boolean {
  try {
    checkContext(text);
    return true;
  } catch (error) {
    if (error instanceof PrecisError && error.reason === "context") return false;
    throw error;
  }
}

describe("RFC 5892 appendix A: contextual rules", () => {
  test.each<[string, string, boolean]>([
    ["A.1 ZWNJ after a virama", "\u0915\u094D\u200C\u0937", true],
    ["A.1 ZWNJ between joining letters", "\u0628\u200C\u0628", true],
    ["A.1 ZWNJ between joining letters with marks", "\u0628\u064B\u200C\u064B\u0628", true],
    ["A.1 two ZWNJ, each between joining letters", "\u0628\u200C\u0628\u200C\u0628", true],
    ["A.1 a good ZWNJ does not excuse a bad one", "\u0628\u200C\u0628\u200C", false],
    ["A.1 two ZWNJ side by side", "\u0628\u200C\u200C\u0628", false],
    ["A.1 ZWNJ between Latin letters", "a\u200Cb", false],
    ["A.1 ZWNJ at the start", "\u200C\u0628\u200C\u0628", false],
    ["A.2 ZWJ after a virama", "\u0915\u094D\u200D\u0937", true],
    ["A.2 ZWJ after a letter", "\u0915\u200D\u0937", false],
    ["A.2 ZWJ at the start", "\u200Da", false],
    ["A.3 middle dot between two l", "paral\u00B7lel", true],
    ["A.3 middle dot before another letter", "al\u00B7a", false],
    ["A.3 middle dot at the end", "l\u00B7", false],
    ["A.4 keraia before Greek", "\u0375\u03B1", true],
    ["A.4 keraia before Latin", "\u0375a", false],
    ["A.4 keraia at the end", "\u03B1\u0375", false],
    ["A.5 geresh after Hebrew", "\u05D0\u05F3", true],
    ["A.5 geresh at the start", "\u05F3\u05D0", false],
    ["A.6 gershayim after Hebrew", "\u05D0\u05F4\u05D1", true],
    ["A.6 gershayim after Latin", "a\u05F4", false],
    ["A.7 Katakana middle dot among Katakana", "\u30AB\u30FB\u30AB", true],
    ["A.7 Katakana middle dot with Han", "\u6F22\u30FBa", true],
    ["A.7 Katakana middle dot among Latin", "a\u30FBb", false],
    ["A.8 Arabic-Indic digits alone", "\u0660\u0669", true],
    ["A.9 extended Arabic-Indic digits alone", "\u06F0\u06F9", true],
    ["A.8 and A.9 both kinds of digits", "\u0660a\u06F0", false],
  ])("%s", (_, text, allowed) => {
    expect(isInPlace(text)).toBe(allowed);
  });
});
