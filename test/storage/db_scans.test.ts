// Reads that go through very many rows: beside all other requests of the embedded store.
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { StorageError } from "../../core/storage/db.ts";
import { openSqlite } from "../../core/storage/sqlite/client.ts";
import { Scans } from "../../core/storage/sqlite/scans.ts";
import { MemoryDb } from "../support/memory-db.ts";

const root = mkdtempSync(join(tmpdir(), "scans-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let files = 0;
async function open() {
  const file = join(root, `${files++}.db`);
  const db = await openSqlite({ file });
  await db.execute("CREATE TABLE t (n INTEGER)");
  await db.insertMany(
    "t",
    ["n"],
    Array.from({ length: 1000 }, (_, n) => [n]),
  );
  return { db, file };
}

/** Takes seconds. */
const LONG = "SELECT count(*) AS n FROM t a, t b, t c WHERE a.n + b.n + c.n < ? AND a.n < 25";
const COUNT = "SELECT count(*) AS n FROM t";

test("hold nobody up, and see what was committed before", async () => {
  const { db } = await open();
  await db.scan(COUNT);
  let over = false;
  const long = db.scan<{ n: number }>(LONG, [3000]).finally(() => {
    over = true;
  });
  for (let i = 0; i < 50; i++) {
    await db.execute("INSERT INTO t VALUES (?)", [5000 + i]);
    expect(await db.query(COUNT)).toEqual([{ n: 1001 + i }]);
  }
  expect(over).toBe(false);
  // One transaction for the whole statement: it has seen nothing of them.
  expect((await long)[0].n).toBe(25 * 1000 * 1000);
  await db.execute("INSERT INTO t VALUES (6000)");
  expect(await db.scan(COUNT)).toEqual([{ n: 1051 }]);
  expect(db.stats().queued).toBe(0);
  await db.close();
});

test("are answered one by one", async () => {
  const { db } = await open();
  const shorter = LONG.replace("< 25", "< 5");
  await db.scan(COUNT);
  let over = 0;
  const [first, second, third] = [shorter, COUNT, shorter].map((sql) =>
    db.scan(sql, sql === COUNT ? [] : [3000]).finally(() => over++),
  );
  await first;
  await second;
  expect(over).toBe(2);
  await third;
  await db.close();
});

test("that follow each other without an end let the log be begun anew", async () => {
  const { db, file } = await open();
  await db.execute("CREATE TABLE large (data BLOB)");
  let over = false;
  const reading = [1, 2].map(async () => {
    while (!over) await db.scan(LONG.replace("< 25", "< 1"), [3000]);
  });
  const blob = new Uint8Array(1024 * 1024);
  let most = 0;
  for (let i = 0; i < 250; i++) {
    await db.execute("INSERT INTO large VALUES (?)", [blob]);
    if (i % 10 === 0) await db.execute("DELETE FROM large");
    await Bun.sleep(5);
    most = Math.max(most, Bun.file(`${file}-wal`).size);
  }
  over = true;
  await Promise.all(reading);
  expect(most).toBeGreaterThan(64 * 1024 * 1024);
  expect(most).toBeLessThan(160 * 1024 * 1024);
  await db.close();
});

test("hold no writes up for a log that somebody else keeps long", async () => {
  const { db, file } = await open();
  await db.execute("CREATE TABLE large (data BLOB)");
  const backup = new Database(file);
  backup.run("BEGIN");
  backup.query(COUNT).get();
  const blob = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 70; i++) await db.execute("INSERT INTO large VALUES (?)", [blob]);
  const began = performance.now();
  await Promise.all([db.scan(COUNT), db.scan(COUNT), Bun.sleep(5).then(() => db.execute("DELETE FROM t WHERE n < 0"))]);
  // The same when it has begun just now.
  backup.run("COMMIT");
  backup.run("BEGIN");
  backup.query(COUNT).get();
  await Promise.all([db.scan(COUNT), db.scan(COUNT), Bun.sleep(5).then(() => db.execute("DELETE FROM t WHERE n < 0"))]);
  expect(performance.now() - began).toBeLessThan(3000);
  backup.close();
  await db.close();
});

test("change nothing, and one that is wrong fails alone", async () => {
  const { db } = await open();
  await expect(db.scan("DELETE FROM t RETURNING n")).rejects.toBeInstanceOf(StorageError);
  await expect(db.scan("SELECT nothing FROM t")).rejects.toMatchObject({ code: "syntax" });
  expect(await db.scan(COUNT)).toEqual([{ n: 1000 }]);
  await db.close();
});

test("are answered before the database is closed, and refused then; the file is whole without its log", async () => {
  const { db, file } = await open();
  const long = db.scan<{ n: number }>(LONG, [3000]);
  const closed = db.close();
  await expect(db.scan(COUNT)).rejects.toMatchObject({ code: "unavailable" });
  expect((await long)[0].n).toBe(25 * 1000 * 1000);
  await closed;
  await db.close();
  expect(await Bun.file(`${file}-wal`).exists()).toBe(false);
  const again = await openSqlite({ file });
  expect(await again.query(COUNT)).toEqual([{ n: 1000 }]);
  await again.close();
});

test("make no new file where somebody has taken the file away", async () => {
  const { db, file } = await open();
  rmSync(file);
  await expect(db.scan(COUNT)).rejects.toMatchObject({ code: "unavailable" });
  expect(await Bun.file(file).exists()).toBe(false);
  await db.close();
});

test("in memory there is one connection, and all of it is seen", async () => {
  const db = await openSqlite({ file: ":memory:" });
  await db.execute("CREATE TABLE t (n INTEGER)");
  expect(await db.scan(COUNT)).toEqual([{ n: 0 }]);
  await db.close();
});

test("their worker comes when it is wanted and goes when it is not; one that fails is replaced; figures stay", async () => {
  let opened = 0;
  let closed = 0;
  let away = true;
  const scans = new Scans(async () => {
    opened++;
    if (away) throw new StorageError("unavailable", "not now");
    const db = new MemoryDb();
    const close = db.close.bind(db);
    db.close = async () => {
      closed++;
      await close();
    };
    return db;
  }, 30);
  const stats = { queued: 2, batches: 3, rows: 4, lastBatchMs: 5, up: true };
  await expect(scans.query("SELECT 1 AS n", [])).rejects.toMatchObject({ message: "not now" });
  away = false;
  expect(await scans.query("SELECT 1 AS n", [])).toEqual([{ n: 1 }]);
  await scans.query("SELECT 2 AS n", []);
  expect([opened, closed]).toEqual([2, 0]);
  await Bun.sleep(100);
  expect([opened, closed]).toEqual([2, 1]);
  expect(scans.addTo(stats)).toEqual({ ...stats, batches: 5 });
  await scans.query("SELECT 3 AS n", []);
  expect([opened, scans.addTo(stats).batches]).toEqual([3, 6]);
  await scans.close();
  expect(closed).toBe(2);
});
