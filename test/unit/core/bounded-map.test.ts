import { expect, test } from "vitest";
import { BoundedMap } from "../../../core/bounded-map.ts";

const keys = (map: BoundedMap<string, string | undefined>): string => [...map].map(([key]) => key).join("");
const bounded = () => new BoundedMap<string, string | undefined>(10, (text) => text?.length ?? 1);

test("what was set longest ago gives way", () => {
  const map = bounded();
  map.set("a", "aaaa");
  map.set("b", "bbbb");
  map.set("c", undefined);
  expect(keys(map)).toBe("abc");
  expect([map.has("c"), map.get("c"), map.has("d")]).toEqual([true, undefined, false]);
  map.set("a", "aaaaa");
  expect(keys(map)).toBe("bca");
  map.set("d", "dd");
  expect(keys(map)).toBe("cad");
});

test("what is too heavy by itself stays until the next comes", () => {
  const map = bounded();
  map.set("a", "a");
  map.set("b", "b".repeat(20));
  expect(keys(map)).toBe("b");
  map.set("c", "c");
  expect(keys(map)).toBe("c");
});

test("what is deleted weighs nothing", () => {
  const map = bounded();
  map.set("a", "aaaaaaaa");
  map.delete("a");
  map.delete("a");
  map.set("b", "bbbbbbbb");
  map.set("c", "cc");
  expect(keys(map)).toBe("bc");
  map.clear();
  map.set("d", "dddddddddd");
  expect(keys(map)).toBe("d");
});
