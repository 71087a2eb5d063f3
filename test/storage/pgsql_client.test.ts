// What the PostgreSQL client library does to others on a connection when one request goes wrong, and what we make of it.
import { type AddressInfo, createConnection, createServer } from "node:net";
import { expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { onServer } from "./db_server.ts";
import { ServerRelay } from "./server_relay.ts";

onServer("pgsql", (server) => {
  const { table } = server;
  const TEXT = "SELECT ?::text AS t";

  /** Asks for each text at once; those that came back wrong. */
  const asks = async (db: Db, texts: readonly string[]) => {
    const answers = await Promise.all(texts.map((t) => db.query(TEXT, [t]).catch((error: unknown) => error)));
    return texts.flatMap((t, i) => (Bun.deepEquals(answers[i], [{ t }]) ? [] : [[t, answers[i]]]));
  };
  const ids = Array.from({ length: 40 }, (_, i) => `text ${i}`);

  test("the rows before an error are no part of the next answer", async () => {
    const one = await server.open({ poolSize: 1 });
    const breaksOff = one.query("SELECT 1 / (3 - n) AS n FROM generate_series(1, 5) AS n");
    const next = one.query("SELECT 7 AS n");
    await expect(breaksOff).rejects.toMatchObject({ code: "constraint" });
    expect(await next).toEqual([{ n: 7 }]);
    expect(await one.query("SELECT 8 AS n")).toEqual([{ n: 8 }]);
  });

  test("prepared statements that the server has forgotten: everyone gets his own answer", async () => {
    const one = await server.open({ poolSize: 1, callTimeoutMs: 3000 });
    await asks(one, ids);
    await one.execute("DEALLOCATE ALL");
    const some = asks(one, ids);
    // While what failed is on its way again.
    const others: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      await Bun.sleep(0);
      others.push(one.query("SELECT 99 AS t, ?::int AS x", [i]));
    }
    expect(await some).toEqual([]);
    expect(await Promise.all(others)).toEqual(others.map((_, x) => [{ t: 99, x }]));
    expect(one.stats().queued).toBe(0);
  });

  test("bytes are written as they are by a statement that the server has forgotten", async () => {
    const one = await server.open({ poolSize: 1 });
    await one.execute(`CREATE TABLE ${table}_b (id int, b bytea)`);
    const insert = `INSERT INTO ${table}_b (id, b) VALUES (?, ?)`;
    const b = Uint8Array.of(1, 2, 3);
    await one.execute(insert, [1, b]);
    await one.execute("DEALLOCATE ALL");
    await one.execute(insert, [2, b]);
    await one.execute("DEALLOCATE ALL");
    await one.transaction([3, 4].map((id) => ({ sql: insert, params: [id, b] })));
    const rows = await one.query(`SELECT id, b FROM ${table}_b ORDER BY id`);
    await one.execute(`DROP TABLE ${table}_b`);
    expect(rows).toEqual([1, 2, 3, 4].map((id) => ({ id, b })));
  });

  test("so it is when a pooler says it in other words than PostgreSQL's", async () => {
    const relay = createServer((near) => {
      const far = createConnection(server.port, "127.0.0.1");
      near.on("data", (bytes) => far.write(bytes));
      // By the routine, among others, the client library knows it.
      far.on("data", (bytes: Buffer) =>
        near.write(
          Buffer.from(bytes.toString("latin1").replace("RFetchPreparedStatement", "RFetchSomePoolersOwnOne"), "latin1"),
        ),
      );
      near.on("error", () => {});
      near.on("close", () => far.destroy());
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const one = await server.open({ port: (relay.address() as AddressInfo).port, poolSize: 1 });
    const add = { sql: `UPDATE ${table} SET n = n + ? WHERE id = ?`, params: [1, 1] };
    await one.execute(add.sql, add.params);
    await one.execute("DEALLOCATE ALL");
    expect(await one.execute(add.sql, add.params)).toBe(1);
    expect(await one.transaction([add, add])).toEqual([1, 1]);
    expect(await one.query(`SELECT n FROM ${table} WHERE id = 1`)).toEqual([{ n: 4 }]);
    await one.close();
    relay.close();
  });

  test("a transaction of many statements that the server has forgotten is done, once", async () => {
    const one = await server.open({ poolSize: 1 });
    const add = Array.from({ length: 12 }, (_, i) => ({
      sql: `UPDATE ${table} SET n = n + ? WHERE id <> ${100 + i}`,
      params: [1],
    }));
    await one.transaction(add);
    await one.execute("DEALLOCATE ALL");
    expect(await one.transaction(add)).toEqual(add.map(() => 2));
    expect(await one.query(`SELECT n FROM ${table}`)).toEqual([{ n: 24 }, { n: 24 }]);
  });

  test("a table that changes under a prepared statement is read as it is now, by all who ask", async () => {
    const one = await server.open({ poolSize: 1 });
    await one.execute(`CREATE TABLE ${table}_c (id int)`);
    await one.execute(`INSERT INTO ${table}_c VALUES (1)`);
    const read = () => Promise.all(Array.from({ length: 20 }, () => one.query(`SELECT * FROM ${table}_c`)));
    await read();
    await server.db.execute(`ALTER TABLE ${table}_c ADD COLUMN b int NOT NULL DEFAULT 5`);
    const after = await read();
    await one.execute(`DROP TABLE ${table}_c`);
    expect(after).toEqual(Array.from({ length: 20 }, () => [{ id: 1, b: 5 }]));
  });

  test.each([
    ["too many values", () => ["SELECT 1", Array.from({ length: 66_000 }, () => 1)] as const],
    ["a value that is none", () => [TEXT, [undefined as unknown as string]] as const],
    ["a number for bytes", () => [`SELECT ?::bytea AS b`, [5]] as const],
  ])("a request with %s harms no other", async (_, bad) => {
    const one = await server.open({ poolSize: 1, callTimeoutMs: 3000 });
    const [sql, params] = bad();
    // Once for it to be prepared.
    await one.query(sql, params).catch(() => undefined);
    const slow = one.query("SELECT pg_sleep(0.2), 5 AS n");
    await Bun.sleep(20);
    const refused = one.query(sql, params).catch((error: unknown) => error);
    const others = asks(one, ids);
    expect(await slow).toMatchObject([{ n: 5 }]);
    expect(await others).toEqual([]);
    await refused;
  });

  test("a statement with fewer values than it has places takes no other along", async () => {
    const one = await server.open({ poolSize: 1 });
    await one.query("SELECT 1");
    const slow = one.execute(`UPDATE ${table} SET n = 3 FROM (SELECT pg_sleep(0.2)) AS slept WHERE id = 1`);
    const wrong = one.query("SELECT ?::int AS a, ?::int AS b", [1]);
    const after = asks(one, ids);
    await expect(wrong).rejects.toMatchObject({ code: "syntax", maybeDone: false });
    expect([await slow, await after]).toEqual([1, []]);
  });

  test("the server does not keep ever more prepared statements", async () => {
    const one = await server.open({ poolSize: 1 });
    const some = (from: number) =>
      Promise.all(Array.from({ length: 600 }, (_, i) => one.query(`SELECT ${from + i} AS n, ?::int AS x`, [1])));
    const answers = [...(await some(0)), ...(await Bun.sleep(1100).then(() => some(600)))];
    expect(answers).toEqual(answers.map((_, n) => [{ n, x: 1 }]));
    const [{ n }] = await one.query<{ n: number }>("SELECT count(*) AS n FROM pg_prepared_statements");
    expect(n).toBeLessThan(700);
    await expect.poll(() => one.stats().wire?.connections, { timeout: 2000 }).toBe(1);
  });

  test("no connection is left behind by one that was being made when all were dropped", async () => {
    const relay = await new ServerRelay({ host: "127.0.0.1", port: server.port }).start();
    const changes: boolean[] = [];
    const far = await server.open({
      port: relay.port,
      ssl: "prefer",
      poolSize: 3,
      connectTimeoutMs: 20_000,
      graceMs: 0,
      changed: ({ up }) => changes.push(up),
    });
    relay.freeze();
    const lost = await Promise.allSettled(Array.from({ length: 3 }, () => far.query("SELECT 1")));
    expect(lost.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    relay.thaw();
    await expect.poll(() => changes, { timeout: 5000 }).toEqual([false, true]);
    expect(await far.query("SELECT 1 AS n")).toEqual([{ n: 1 }]);
    await expect.poll(() => far.stats().wire?.connections, { timeout: 2000 }).toBe(1);
    await far.close();
    await relay.stop();
  }, 15_000);
});
