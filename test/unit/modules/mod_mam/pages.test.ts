// XEP-0313 §4.2: pages of an archive of fifteen messages.
import { expect, test } from "vitest";
import { query, read, shownId, verona } from "./asked.ts";

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => (to < from ? from - i : from + i));
const after = (n: number) => `<after>${shownId(n)}</after>`;
const before = (n: number) => `<before>${shownId(n)}</before>`;
const ends = (first: number, last: number) => ({ first: shownId(first), last: shownId(last) });

test.each([
  ["everything", "", {}, range(1, 15), { index: "0", count: "15", complete: true, ...ends(1, 15) }],
  ["the first five", "<max>5</max>", {}, range(1, 5), { index: "0", count: "15", complete: false, ...ends(1, 5) }],
  ["an empty after", "<max>5</max><after/>", {}, range(1, 5), { index: "0", count: "15", complete: false }],
  ["MongooseIM's old name", "<limit>5</limit>", {}, range(1, 5), { count: "15" }],
  ["the last five", "<max>5</max><before/>", {}, range(11, 15), { index: "10", count: "15", complete: false }],
  ["all, from the end", "<before/>", {}, range(1, 15), { index: "0", count: "15", complete: true }],
  ["after one", `<max>5</max>${after(2)}`, {}, range(3, 7), { index: "2", count: "15", complete: false }],
  ["after, one left", `<max>5</max>${after(9)}`, {}, range(10, 14), { index: "9", complete: false }],
  ["after, all left", `<max>5</max>${after(10)}`, {}, range(11, 15), { index: "10", complete: true }],
  ["after the last", `<max>5</max>${after(15)}`, {}, [], { first: undefined, count: "15", complete: true }],
  ["before one", `<max>5</max>${before(10)}`, {}, range(5, 9), { index: "4", count: "15", complete: false }],
  ["before, all left", `<max>5</max>${before(6)}`, {}, range(1, 5), { index: "0", complete: true }],
  ["before the first", `<max>5</max>${before(1)}`, {}, [], { first: undefined, count: "15", complete: true }],
  ["an index", "<max>5</max><index>5</index>", {}, range(6, 10), { index: "5", count: "15", complete: false }],
  ["an index beyond", "<max>5</max><index>999999999</index>", {}, [], { count: "15", complete: true }],
  ["the count alone", "<max>0</max>", {}, [], { first: undefined, count: "15", complete: false }],
  ["the count, from an index", "<max>0</max><index>5</index>", {}, [], { count: "15", complete: false }],
  ["the count, from the end", "<max>0</max><before/>", {}, [], { count: "15", complete: false }],
  ["after-id", "<max>5</max>", { "after-id": shownId(4) }, range(5, 9), { index: "0", count: "11" }],
  [
    "after-id, the last",
    "<max>5</max><before/>",
    { "after-id": shownId(4) },
    range(11, 15),
    { index: "6", count: "11" },
  ],
  [
    "between two",
    "<max>5</max><before/>",
    { "after-id": shownId(5), "before-id": shownId(11) },
    range(6, 10),
    { index: "0", count: "5", complete: true },
  ],
  ["MongooseIM's from and to", "", { "from-id": shownId(5), "to-id": shownId(7) }, range(5, 7), { count: "3" }],
  ["ids", "", { ids: [shownId(10), shownId(5), shownId(5)] }, [5, 10], { count: "2", complete: true }],
  ["nothing counted", "<max>5</max>", { simple: "true" }, range(1, 5), { index: undefined, count: undefined }],
  ["simple, after", `<max>3</max>${after(5)}`, { simple: "true" }, range(6, 8), { complete: false }],
  ["simple, to the end", `<max>5</max>${after(10)}`, { simple: "true" }, range(11, 15), { complete: true }],
  ["simple, before", `<max>5</max>${before(6)}`, { simple: "true" }, range(1, 5), { complete: true }],
  ["simple, none before", `<max>0</max>${before(1)}`, { simple: "true" }, [], { complete: true, count: undefined }],
  ["simple, one before", `<max>0</max>${before(2)}`, { simple: "true" }, [], { complete: false }],
])("%s", async (_what, rsm, fields, numbers, wanted) => {
  const { romeo } = await verona();
  await romeo.sends(query(rsm, fields));
  expect(read(romeo.received())).toMatchObject({ fin: true, numbers, ...wanted });
});

test("a flipped page is sent from its end, and is the same page (§4.2.4)", async () => {
  const { romeo } = await verona();
  await romeo.sends(query("<max>5</max>", {}, { more: "<flip-page/>" }));
  expect(read(romeo.received())).toMatchObject({ numbers: range(5, 1), index: "0", ...ends(1, 5) });
});

test("no page is longer than the server allows, nor counted where it does not", async () => {
  const { romeo, counters } = await verona(15, { limits: { default: 3, most: 4, simple: true } });
  await romeo.sends(query("<max>1000</max>"), query(""));
  const texts = romeo.received();
  expect(read(texts.slice(0, 5))).toMatchObject({ numbers: range(1, 4), count: undefined, complete: false });
  expect(read(texts.slice(5))).toMatchObject({ numbers: range(1, 3), index: undefined });
  expect([counters.lookup.value, counters.simple.value, counters.size.value]).toEqual([2, 2, 7]);
});

test("an empty archive answers with nothing, and is complete", async () => {
  const { romeo } = await verona(0);
  await romeo.sends(query(""));
  expect(read(romeo.received())).toMatchObject({ numbers: [], count: "0", complete: true, first: undefined });
});

test.each([
  ["an id that is no id", "<after>PURPLEFE965CC9</after>", {}, "not-acceptable"],
  ["an id of another kind", "<before>bef3a242-99ce-402a-9ffc-2f3c20da92d4</before>", {}, "not-acceptable"],
  ["an id below zero", "<after>-1</after>", {}, "not-acceptable"],
  ["an id that is not there", "<after>AV25E9SCO50K</after>", {}, "item-not-found"],
  ["before one that is not there", "<before>AV25E9SCO50K</before>", {}, "item-not-found"],
  ["one that is not there, uncounted", "<after>AV25E9SCO50K</after>", { simple: "true" }, "item-not-found"],
  ["after-id that is not there", "", { "after-id": "AV25E9SCO50K" }, "item-not-found"],
  ["before-id that is not there", "", { "before-id": "AV25E9SCO50K" }, "item-not-found"],
  ["ids of which one is not there", "", { ids: [shownId(3), "AV25E9SCO50K"] }, "item-not-found"],
  ["ids that are none", "", { ids: ["§"] }, "not-acceptable"],
  ["a negative number", "<max>-1</max>", {}, "bad-request"],
  ["a number that is none", "<max>five</max>", {}, "bad-request"],
  ["a number that is not whole", "<max>1.5</max>", {}, "bad-request"],
  ["a negative index", "<index>-1</index>", {}, "bad-request"],
  ["two directions", `<index>1</index><before/>`, {}, "bad-request"],
])("%s is refused", async (_what, rsm, fields, error) => {
  const { romeo, counters } = await verona();
  await romeo.sends(query(rsm, fields));
  expect(read(romeo.received())).toMatchObject({ numbers: [], fin: false, error });
  expect(counters.droppedIq.value).toBe(1);
});

test("more ids than a query may name are refused", async () => {
  const { romeo } = await verona();
  const ids = Array.from({ length: 501 }, (_, i) => (BigInt(i) + 1n).toString(32));
  await romeo.sends(query("", { ids }));
  expect(read(romeo.received()).error).toBe("policy-violation");
});
