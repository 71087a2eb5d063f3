// Retention of archives: what is older than an id goes, owner by owner, so many messages at a time.
import { beforeAll, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { Ageing } from "../../modules/mod_mam/sql/ageing.ts";
import { Owners } from "../../modules/mod_mam/sql/owners.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const COLUMNS = [
  ...["id", "user_id", "from_jid", "remote_bare_jid", "remote_resource", "direction", "message"],
  ...["search_body", "origin_id", "is_groupchat"],
];
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
      const number = await owners.number({ local: `user${i}`, domain });
      numbers.push(number);
      const rows = Array.from({ length: n }, (_, m) => [
        ...[BASE + BigInt(m), number, "a@b/c", "a@b", "c", "I", new Uint8Array([1]), "", null, false],
      ]);
      await db.insertMany("mam_message", COLUMNS, rows);
    }
    return numbers;
  }

  const ageing = () =>
    new Ageing(db, owners, async (number, id, limit) => {
      expect(limit).toBeGreaterThan(0);
      const old = await db.query<{ id: bigint | number | string }>(
        "SELECT id FROM mam_message WHERE user_id = ? AND id < ? ORDER BY id LIMIT ?",
        [number, id, limit],
      );
      for (const row of old) {
        await db.execute("DELETE FROM mam_message WHERE user_id = ? AND id = ?", [number, BigInt(row.id)]);
      }
      return old.length;
    });

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

  test("batch after batch, each going on where the one before stopped", async () => {
    const numbers = await fill("aged.example", [3, 0, 5, 10, 2]);
    const others = await fill("young.example", [7]);
    const old = ageing();
    const id = BASE + 4n;
    expect(await old.countBefore("aged.example", id)).toBe(3 + 0 + 4 + 4 + 2);
    expect(await old.deleteBefore("aged.example", id, 5)).toBe(5);
    expect(await left(numbers)).toEqual([0, 0, 3, 10, 2]);
    expect(await old.deleteBefore("aged.example", id, 5)).toBe(5);
    expect(await left(numbers)).toEqual([0, 0, 1, 7, 2]);
    expect(await old.deleteBefore("aged.example", id, 5)).toBe(3);
    expect(await left(numbers)).toEqual([0, 0, 1, 6, 0]);
    expect(await old.countBefore("aged.example", id)).toBe(0);
    expect(await left(others)).toEqual([7]);
    // From the beginning again: another day, the first owners have something too.
    expect(await old.deleteBefore("aged.example", BASE + 100n, 100)).toBe(7);
    expect(await old.deleteBefore("aged.example", BASE + 100n, 100)).toBe(0);
  });

  test("more owners than one statement looks at", async () => {
    const counts = Array.from({ length: 450 }, (_, i) => (i % 150 === 149 ? 2 : 0));
    const numbers = await fill("many.example", counts);
    const old = ageing();
    expect(await old.countBefore("many.example", BASE + 1n)).toBe(3);
    expect(await old.deleteBefore("many.example", BASE + 1n, 2)).toBe(2);
    expect(await old.deleteBefore("many.example", BASE + 1n, 2)).toBe(1);
    expect((await left(numbers)).reduce((a, b) => a + b)).toBe(3);
  });
});
