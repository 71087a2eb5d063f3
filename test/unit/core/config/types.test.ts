// The option types that module authors use: pairs of a good value, with what it becomes, and a bad one.
import { expect, test } from "vitest";
import { z } from "zod";
import { editDistance, nearest } from "../../../../core/config/nearest.ts";
import * as types from "../../../../core/config/types.ts";

test.each<[name: string, schema: z.ZodType, good: unknown, becomes: unknown, bad: unknown]>([
  ["positive", types.positive(), 1, 1, 0],
  ["nonNegative", types.nonNegative(), 0, 0, -1],
  ["positiveOrInfinity", types.positiveOrInfinity(), "infinity", Number.POSITIVE_INFINITY, 0],
  [
    "nonNegativeOrInfinity",
    types.nonNegativeOrInfinity(),
    "infinity",
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ],
  ["nonEmpty", types.nonEmpty(), "x", "x", ""],
  ["port", types.port(), 65_535, 65_535, 65_536],
  ["domainName", types.domainName(), "Bücher.Example", "bücher.example", "a..b"],
  ["jidText", types.jidText(), "Alice@Example.org/Home", "alice@example.org/Home", "a@b@c@"],
  ["localPart", types.localPart(), "Alice", "alice", "a b"],
  ["accessRule", types.accessRule(), "all", "all", ""],
  ["ipAddress", types.ipAddress(), "0:0:0:0:0:0:0:1", "::1", "localhost"],
  ["ipMask", types.ipMask(), "::1", "::1", "10.0.0.0/33"],
  ["filename", types.filename(), "a.pem", "a.pem", ""],
  ["url", types.url(), "https://a.org/", "https://a.org/", "two words"],
  ["enumOf", types.enumOf("a", "b"), "b", "b", "c"],
  ["networkAddress", types.networkAddress(), "::1", "::1", "a b"],
  ["subdomainTemplate", types.subdomainTemplate(), "muc.@HOST@", "muc.@HOST@", "@HOST@.muc"],
  ["uniqueList", types.uniqueList(z.string()), [], [], ["a", "a"]],
  ["uniqueNonEmptyList", types.uniqueNonEmptyList(z.string()), ["a"], ["a"], []],
  ["keyedList", types.keyedList(z.object({ k: z.int() }), "k"), [{ k: 1 }], [{ k: 1 }], [{ k: 1 }, { k: 1 }]],
  ["iqdisc", types.iqdisc("no_queue"), undefined, { type: "no_queue" }, { type: "no_such" }],
])("%s", (_name, schema, good, becomes, bad) => {
  expect(schema.safeParse(good).data).toEqual(becomes);
  expect(schema.safeParse(bad).success).toBe(false);
});

test("notes survive what is put around a schema", () => {
  const schema = types.inert(types.positive(), "a reason").describe("An option");
  expect(types.notesOf(schema).inert).toBe("a reason");
});

test("a rule between keys is checked beside other problems of the table", () => {
  const table = types.rule(z.strictObject({ a: z.int(), b: z.int() }), (t) => t.a === t.b, "they differ");
  expect(table.safeParse({ a: 1, b: "x" }).error?.issues.map((issue) => issue.message)).toContain("they differ");
});

test.each([
  ["listne", "listen"],
  ["loglevle", "loglevel"],
  ["shapers", "shaper"],
  ["xyz", undefined],
])("the known key nearest to %s is %s", (word, known) => {
  expect(nearest(word, ["listen", "loglevel", "shaper", "acl"])).toBe(known);
});

test.each([
  ["", "abc", 3],
  ["acl", "alc", 1],
  ["kitten", "sitting", 3],
])("from %j to %j it takes %i edits", (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
});
