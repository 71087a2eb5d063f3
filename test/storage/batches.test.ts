// Deleting and reading in batches.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { deleteInBatches, deleteThroughout, PAGE, pages } from "../../core/storage/batches.ts";
import type { Db } from "../../core/storage/db.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("batches", (database: TestDatabase) => {
  let db: Db;
  beforeAll(async () => {
    db = await database.open();
  });
  afterAll(() => db.close());
  beforeEach(async () => {
    await db.execute("DELETE FROM private_storage");
    await db.execute("DELETE FROM auth_token");
  });

  const fill = (server: string, n: number) =>
    db.insertMany(
      "private_storage",
      ["server", "username", "namespace", "data"],
      Array.from({ length: n }, (_, i) => [server, `user${i % 7}`, `urn:${i}`, "<x/>"]),
    );
  const count = async (server: string): Promise<number> => {
    const [row] = await db.query<{ n: number | string }>("SELECT count(*) AS n FROM private_storage WHERE server = ?", [
      server,
    ]);
    return Number(row.n);
  };
  const of = (server: string) => ({
    table: "private_storage",
    key: ["server", "username", "namespace"],
    where: "server = ?",
    params: [server],
  });

  test("all of a domain, no batch larger than the limit, nothing of another", async () => {
    await fill("one.example", 95);
    await fill("two.example", 30);
    const told: number[] = [];
    expect(await deleteInBatches(db, { ...of("one.example"), limit: 20 }, (n) => told.push(n))).toBe(95);
    expect(told).toEqual([20, 20, 20, 20, 15]);
    expect([await count("one.example"), await count("two.example")]).toEqual([0, 30]);
  });

  test("with a key that several rows share, all the same", async () => {
    await fill("one.example", 95);
    expect(await deleteInBatches(db, { ...of("one.example"), key: ["server", "username"], limit: 20 })).toBe(95);
    expect(await count("one.example")).toBe(0);
  });

  test("of a domain that has come since the database counted its rows, as fast as of any other", async () => {
    const columns = ["timestamp", "server", "username", "from_jid", "packet"];
    const rows = Array.from({ length: 12_000 }, (_, i) => [
      i,
      "new.example",
      "user",
      "other@example.com/x",
      "<message/>",
    ]);
    for (let at = 0; at < rows.length; at += 500) {
      await db.insertMany("offline_message", columns, rows.slice(at, at + 500));
    }
    const old = { table: "offline_message", key: ["id"], where: "server = ? AND timestamp < ?" };
    expect(await deleteInBatches(db, { ...old, params: ["new.example", 11_990] })).toBe(11_990);
  }, 8_000);

  test("nothing is no error", async () => {
    expect(await deleteInBatches(db, of("nowhere.example"))).toBe(0);
  });

  test("what others ask in between is answered in between", async () => {
    await fill("one.example", 200);
    const order: string[] = [];
    const removal = deleteInBatches(db, { ...of("one.example"), limit: 10 }, () => order.push("batch"));
    for (let i = 0; i < 3; i++) {
      await count("one.example");
      order.push("other");
    }
    expect(await removal).toBe(200);
    expect(order.indexOf("other")).toBeLessThan(order.lastIndexOf("batch"));
  });

  test("what no index finds is found a stretch at a time", async () => {
    const owners = Array.from({ length: 50 }, (_, i) => `user${i}@${i % 3 === 0 ? "one" : "two"}.example`);
    await db.insertMany(
      "auth_token",
      ["owner", "seq_no"],
      owners.map((owner) => [owner, 1]),
    );
    const sought = { table: "auth_token", column: "owner", where: "owner LIKE ? ESCAPE '$'", stretch: 7 };
    let rows = 0;
    const n = await deleteThroughout(db, { ...sought, params: ["%@one.example"] }, (some) => {
      rows += some;
    });
    expect([n, rows]).toEqual([17, 17]);
    const left = await db.query<{ owner: string }>("SELECT owner FROM auth_token");
    expect(left.map(({ owner }) => owner).toSorted()).toEqual(
      owners.filter((o) => o.endsWith("@two.example")).toSorted(),
    );
  });

  test("pages come one after the other, each when it is asked for", async () => {
    await fill("one.example", 2 * PAGE + 1);
    let asked = 0;
    type Row = { username: string; namespace: string };
    const read = (last: Row | undefined): Promise<Row[]> => {
      asked++;
      return db.query<Row>(
        `SELECT username, namespace FROM private_storage WHERE server = ? AND (username, namespace) > (?, ?)
         ORDER BY username, namespace LIMIT ${PAGE}`,
        ["one.example", last?.username ?? "", last?.namespace ?? ""],
      );
    };
    const seen = new Set<string>();
    const sizes: number[] = [];
    for await (const page of pages(read, (row) => row.namespace)) {
      sizes.push(page.length);
      expect(asked).toBe(sizes.length);
      for (const namespace of page) seen.add(namespace);
    }
    expect(sizes).toEqual([PAGE, PAGE, 1]);
    expect(seen.size).toBe(2 * PAGE + 1);
  });
});
