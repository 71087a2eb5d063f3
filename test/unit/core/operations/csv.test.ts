import { expect, test } from "vitest";
import { formatCsv, parseCsvLine } from "../../../../core/operations/csv.ts";

test("a field is quoted where RFC 4180 wants it, and a quote in it doubled", () => {
  expect(
    formatCsv([
      ["a", ""],
      ['say "x"', "1,2"],
      ["two\nlines", "two\r\nlines"],
      ["é", " "],
    ]),
  ).toBe('a,\r\n"say ""x""","1,2"\r\n"two\nlines","two\r\nlines"\r\né, \r\n');
  expect(formatCsv([])).toBe("");
});

test("what was written is read again", () => {
  for (const fields of [
    ["a", "b"],
    ['"', ",", '","'],
    ["", "", ""],
    ["ü'", "a b"],
  ]) {
    expect(parseCsvLine(formatCsv([fields]).slice(0, -2))).toEqual(fields);
  }
});
