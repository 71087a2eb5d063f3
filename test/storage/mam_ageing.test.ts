// Retention of archives: what is older than an id goes, owner by owner, so many messages at a time.
import { beforeAll, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { Ageing } from "../../modules/mod_mam/sql/ageing.ts";
import { COLUMNS } from "../../modules/mod_mam/sql/archive.ts";
import { Owners } from "../../modules/mod_mam/sql/owners.ts";
import { allSteps } from "../support/steps.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const BASE = 457_000_000_000_000_000n;

onEachDatabase("ageing archives", (database: TestDatabase) => {
  let db: Db;
  let owners: Owners;
  beforeAll(async () => {
    db = await database.open();
    owners = new Owners(db, 10, Date.now);
  });

  /** Owners of a domain, each with messages 0 .. n-1. */
  async function fill(domain: string, counts: readonly number[]): Promise<number[]> {
    const numbers: number[] = [];
    for (const [i, n] of counts.entries()) {
      const number = await owners.number({ local: `user${String(i).padStart(4, "0")}`, domain });
      numbers.push(number);
      for (let from = 0; from < n; from += 1000) {
        const rows = Array.from({ length: Math.min(1000, n - from) }, (_, m) => [
          ...[BASE + BigInt(from + m), number, "a@b/c", "a@b", "c", "I", new Uint8Array([1]), "", null, false],
        ]);
        await db.insertMany("mam_message", COLUMNS, rows);
      }
    }
    return numbers;
  }

  async function left(numbers: readonly number[]): Promise<number[]> {
    const found: number[] = [];
    for (const number of numbers) {
      const [row] = await db.query<{ n: number | string }>("SELECT count(*) AS n FROM mam_message WHERE user_id = ?", [
        number,
      ]);
      found.push(Number(row.n));
    }
    return found;
  }

  test("step after step, each of some owners, until they are gone", async () => {
    const numbers = await fill("aged.example", [3, 0, 5, 10, 2]);
    const others = await fill("young.example", [7]);
    const gone: number[] = [];
    const ageing = new Ageing(db, (number) => gone.push(number));
    const id = BASE + 4n;
    expect(await ageing.countBefore("aged.example", id)).toBe(3 + 0 + 4 + 4 + 2);
    const found: unknown[] = [];
    for await (const n of ageing.deleteBefore("aged.example", id, 5)) if (n > 0) found.push(n, await left(numbers));
    expect(found).toEqual([5, [0, 0, 3, 10, 2], 5, [0, 0, 1, 7, 2], 3, [0, 0, 1, 6, 0]]);
    expect(new Set(gone)).toEqual(new Set([0, 2, 3, 4].map((i) => numbers[i])));
    expect(await ageing.countBefore("aged.example", id)).toBe(0);
    expect(await left(others)).toEqual([7]);
    // Another day the first owners have something too.
    expect(await allSteps(ageing.deleteBefore("aged.example", BASE + 100n, 100))).toBe(7);
    expect(await allSteps(ageing.deleteBefore("aged.example", BASE + 100n, 100))).toBe(0);
  });

  test("who stops in the middle has deleted what he was told of; a new server begins anew and deletes the rest", async () => {
    const numbers = await fill("stopped.example", [30, 30]);
    const ageing = () => new Ageing(db, () => {});
    for await (const n of ageing().deleteBefore("stopped.example", BASE + 20n, 7)) {
      expect(n).toBe(7);
      break;
    }
    expect(await left(numbers)).toEqual([23, 30]);
    expect(await ageing().countBefore("stopped.example", BASE + 20n)).toBe(33);
    expect(await allSteps(ageing().deleteBefore("stopped.example", BASE + 20n, 7))).toBe(33);
    expect(await left(numbers)).toEqual([10, 10]);
  });

  test("more owners than one statement looks at, and more messages than one counts", async () => {
    const counts = Array.from({ length: 450 }, (_, i): number => (i % 150 === 149 ? 2 : 0));
    counts[7] = 2500;
    const numbers = await fill("many.example", counts);
    const ageing = new Ageing(db, () => {});
    expect(await ageing.countBefore("many.example", BASE + 2400n)).toBe(2406);
    expect(await ageing.countBefore("many.example", BASE + 1n)).toBe(4);
    expect(await allSteps(ageing.deleteBefore("many.example", BASE + 2400n, 1000))).toBe(2406);
    expect((await left(numbers)).reduce((a, b) => a + b)).toBe(100);
  });
});
