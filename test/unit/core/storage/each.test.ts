import fc from "fast-check";
import { expect, test } from "vitest";
import { StorageError, type StorageErrorCode } from "../../../../core/storage/db.ts";
import { isUnfit, writeEach } from "../../../../core/storage/each.ts";

const letters = [..."abcdefg"];

/** Writes letters; `wrong` says which are refused and how. Gives what was asked, what is written, and the errors' words. */
async function written(wrong: Record<string, StorageErrorCode>, most?: number) {
  const asked: string[] = [];
  let there = "";
  const write = async (items: readonly string[]): Promise<void> => {
    asked.push(items.join(""));
    const bad = items.find((item) => item in wrong);
    if (bad !== undefined) throw new StorageError(wrong[bad], bad);
    there += items.join("");
  };
  const errors = await writeEach(letters, write, most);
  const failed = [...errors].map(([at, error]) => `${letters[at]}: ${(error as Error).message}`);
  return { asked, there, failed };
}

test("what fits is written together", async () => {
  expect(await written({})).toEqual({ asked: ["abcdefg"], there: "abcdefg", failed: [] });
  expect(await writeEach([], () => expect.unreachable("there is nothing to write"))).toEqual(new Map());
});

test.each(["constraint", "syntax"] as const)("what is refused for a %s keeps no other out", async (code) => {
  expect(await written({ b: code, g: code })).toEqual({
    asked: ["abcdefg", "abc", "a", "bc", "b", "c", "defg", "de", "fg", "f", "g"],
    there: "acdef",
    failed: ["b: b", "g: g"],
  });
});

test("exactly what is refused fails, all else is written once, in order, whatever is refused", async () => {
  const kinds = fc.array(fc.constantFrom("good", "good", "good", "bad"), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(kinds, fc.integer({ min: 1, max: 50 }), async (items, most) => {
      const numbered = items.map((kind, n) => ({ kind, n }));
      const there: number[] = [];
      const write = async (some: readonly { kind: string; n: number }[]): Promise<void> => {
        expect(some.length).toBeLessThanOrEqual(most);
        expect(some.length).toBeGreaterThan(0);
        if (some.some(({ kind }) => kind === "bad")) throw new StorageError("constraint", "bad");
        there.push(...some.map(({ n }) => n));
      };
      const errors = await writeEach(numbered, write, most);
      const of = (wanted: string) => numbered.filter(({ kind }) => kind === wanted).map(({ n }) => n);
      expect(there).toEqual(of("good"));
      expect([...errors.keys()]).toEqual(of("bad"));
    }),
  );
});

test("one among a thousand costs few writes, wherever it is", async () => {
  for (const bad of [0, 1, 499, 500, 998, 999]) {
    let asked = 0;
    const write = async (some: readonly number[]): Promise<void> => {
      asked++;
      if (some.includes(bad)) throw new StorageError("constraint", "bad");
    };
    const errors = await writeEach(
      Array.from({ length: 1000 }, (_, n) => n),
      write,
    );
    expect([...errors.keys()]).toEqual([bad]);
    expect(asked).toBeLessThanOrEqual(1 + 2 * Math.ceil(Math.log2(1000)));
  }
});

test("one alone is not asked for twice", async () => {
  let asked = 0;
  const error = new StorageError("constraint", "no");
  const write = () => {
    asked++;
    return Promise.reject(error);
  };
  expect(await writeEach(["a"], write)).toEqual(new Map([[0, error]]));
  expect(asked).toBe(1);
});

test.each(["unavailable", "timeout", "conflict", "full"] as const)("after %s the rest is not tried", async (code) => {
  expect(await written({ d: code })).toEqual({
    asked: ["abcdefg"],
    there: "",
    failed: letters.map((letter) => `${letter}: d`),
  });
  // While one that is refused is looked for.
  expect(await written({ b: "constraint", d: code })).toEqual({
    asked: ["abcdefg", "abc", "a", "bc", "b", "c", "defg"],
    there: "ac",
    failed: ["b: b", "d: d", "e: d", "f: d", "g: d"],
  });
});

test("so many at a time: only those around what is refused are written in parts", async () => {
  expect(await written({ d: "constraint" }, 3)).toEqual({
    asked: ["abc", "def", "d", "ef", "g"],
    there: "abcefg",
    failed: ["d: d"],
  });
  expect(await written({ d: "unavailable" }, 3)).toEqual({
    asked: ["abc", "def"],
    there: "abc",
    failed: ["d: d", "e: d", "f: d", "g: d"],
  });
});

test("what is no error of storage says nothing about what was written", () => {
  expect(isUnfit(new TypeError("constraint"))).toBe(false);
  expect(isUnfit(new StorageError("locked", "constraint"))).toBe(false);
  expect(isUnfit(new StorageError("syntax", ""))).toBe(true);
});
