import { expect, test } from "vitest";
import { pageMarkup, pageOf, pageRequest } from "../../../../core/xml/rsm.ts";
import { parseElement } from "../../../../core/xml/tree.ts";

const requested = (inner: string) =>
  pageRequest(parseElement(`<query xmlns='q'><set xmlns='http://jabber.org/protocol/rsm'>${inner}</set></query>`));
const ALL = ["a", "b", "c", "d", "e"];
const same = (item: string) => item;

test("XEP-0059 §2: what is asked for", () => {
  expect(pageRequest(parseElement("<query xmlns='q'/>"))).toBeUndefined();
  expect(requested("<max>10</max><after>x</after>")).toEqual({ max: 10, after: "x" });
  expect(requested("<max>10</max><before/>")).toEqual({ max: 10, before: "" });
  expect(requested("<max>0</max><index>3</index>")).toEqual({ max: 0, index: 3 });
  // An xs:int, of which clients send the largest; white space around it is nothing.
  expect(requested("<max>2147483647</max>")?.max).toBe(999_999_999);
  expect(requested("<max>\n  10 </max><before/>")).toEqual({ max: 10, before: "" });
  for (const wrong of [
    "<max>ten</max>",
    "<max>-1</max>",
    "<max/>",
    "<max>1 0</max>",
    "<index>1.5</index>",
    "<after>a</after><before>b</before>",
  ]) {
    expect(() => requested(wrong)).toThrow("bad-request");
  }
});

test.each([
  [{}, ALL, 0],
  [{ max: 2 }, ["a", "b"], 0],
  [{ max: 2, after: "b" }, ["c", "d"], 2],
  [{ max: 9, after: "e" }, [], 5],
  [{ max: 2, before: "" }, ["d", "e"], 3],
  [{ max: 2, before: "c" }, ["a", "b"], 0],
  [{ max: 2, before: "b" }, ["a"], 0],
  [{ before: "c" }, ["a", "b"], 0],
  [{ max: 2, index: 4 }, ["e"], 4],
  [{ max: 2, index: 5 }, [], 5],
  [{ max: 0 }, [], 0],
])("XEP-0059 §2: the page of %j", (request, items, index) => {
  expect(pageOf(ALL, same, request)).toEqual({ items, index, count: 5 });
});

test("XEP-0059 §2.2: an item that is not there", () => {
  for (const request of [{ after: "x" }, { before: "x" }]) {
    expect(() => pageOf(ALL, same, request)).toThrow("item-not-found");
  }
  expect(pageOf([], same, { index: 0 })).toEqual({ items: [], index: 0, count: 0 });
});

test("XEP-0059 §2: what is told of a page", () => {
  expect(pageMarkup(pageOf(["<a>", "b", "c"], same, { max: 2 }), same).text).toBe(
    "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>&lt;a&gt;</first><last>b</last><count>3</count></set>",
  );
  expect(pageMarkup(pageOf(ALL, same, { max: 0 }), same).text).toBe(
    "<set xmlns='http://jabber.org/protocol/rsm'><count>5</count></set>",
  );
});
