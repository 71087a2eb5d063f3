// What MySQL's store does when the server is slow, contended or away.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { type MysqlOptions, openMysql } from "../../core/storage/mysql/client.ts";
import { mysqlOptions } from "./db_each.ts";
import { MysqlProcess } from "./mysql_process.ts";

const nowhere: MysqlOptions = { host: "127.0.0.1", database: "x", username: "x" };
const one = [{ n: 1 }];

test("a server that is not there is named at once", async () => {
  await expect(openMysql({ ...nowhere, port: 1 })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/^Cannot reach MySQL at "127.0.0.1:1": .*ECONNREFUSED/),
  });
});

test("a server that accepts and stays silent is given up", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const options = { ...nowhere, port: silent.port, connectTimeoutMs: 200, statementTimeoutMs: 200 };
  const started = performance.now();
  await expect(openMysql(options)).rejects.toMatchObject({ code: "unavailable" });
  expect(performance.now() - started).toBeLessThan(2000);
  silent.stop(true);
});

describe.skipIf(process.env["TEST_MYSQL"] === undefined)("a MySQL server", () => {
  let db: Db;
  const table = `t_${crypto.randomUUID().replaceAll("-", "")}`;
  beforeAll(async () => {
    db = await openMysql({ ...mysqlOptions(), statementTimeoutMs: 2000 });
    await db.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, n int NOT NULL)`);
    await db.insertMany(
      table,
      ["id", "n"],
      [
        [1, 0],
        [2, 0],
      ],
    );
  });
  afterAll(async () => {
    await db.execute(`DROP TABLE ${table}`);
    await db.close();
  });

  test("a wrong password is unavailable, with the server's words in one line", async () => {
    await expect(openMysql({ ...mysqlOptions(), password: "wrong" })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^Cannot reach MySQL at "127.0.0.1:\d+": Access denied for user [^\n]+$/),
    });
  });

  test("a database that does not exist is unavailable", async () => {
    await expect(openMysql(mysqlOptions("nowhere"))).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("Unknown database 'nowhere'"),
    });
  });

  test("a slow statement ends in a timeout", async () => {
    const slow = await openMysql({ ...mysqlOptions(), statementTimeoutMs: 100 });
    await expect(slow.query("SELECT SLEEP(?)", [5])).rejects.toMatchObject({ code: "timeout" });
    expect(await slow.query("SELECT 1 AS n")).toEqual(one);
    await slow.close();
  });

  test("a value too long for its column breaks a constraint", async () => {
    const write = db.execute(`UPDATE ${table} SET n = ? WHERE id = ?`, [2 ** 40, 2]);
    await expect(write).rejects.toMatchObject({ code: "constraint" });
  });

  test("an update counts the rows that it found, also those that were so already", async () => {
    const update = { sql: `UPDATE ${table} SET n = 0 WHERE id IN (1, 2, 3)` };
    expect(await db.execute(update.sql)).toBe(2);
    expect(await db.transaction([update, update])).toEqual([2, 2]);
  });

  test("an upsert counts one row, and a row that was there counts none for insertNew", async () => {
    const upsert = `INSERT INTO ${table} (id, n) VALUES (?, ?) ON DUPLICATE KEY UPDATE n = VALUES(n)`;
    expect([await db.execute(upsert, [7, 1]), await db.execute(upsert, [7, 2])]).toEqual([1, 1]);
    expect([await db.insertNew(table, { id: 7, n: 2 }), await db.insertNew(table, { id: 8, n: 2 })]).toEqual([
      false,
      true,
    ]);
    expect(await db.execute(`DELETE FROM ${table} WHERE id > 2`)).toBe(2);
  });

  test("statements are read as the other databases read them", async () => {
    expect(await db.query(`SELECT 'a' || 'b\\' AS "joined", length('''') AS n`)).toEqual([{ joined: "ab\\", n: 1 }]);
  });

  test("a definition that comes between does not spoil what was prepared", async () => {
    const all = `SELECT * FROM ${table} WHERE id = ?`;
    await db.query(all, [1]);
    await db.execute(`ALTER TABLE ${table} ADD COLUMN more int NOT NULL DEFAULT 5`);
    expect(await db.query(all, [1])).toEqual([{ id: 1, n: 0, more: 5 }]);
    await db.execute(`ALTER TABLE ${table} DROP COLUMN more`);
    expect(await db.query(all, [1])).toEqual([{ id: 1, n: 0 }]);
  });

  test("a statement that names no table fails until there is one", async () => {
    const sql = `SELECT n FROM ${table}_late WHERE n = ?`;
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => db.query(sql, [1])));
    expect(new Set(results.map((r) => r.status === "rejected" && r.reason.code))).toEqual(new Set(["syntax"]));
    await db.execute(`CREATE TABLE ${table}_late (n int)`);
    expect(await db.query(sql, [1])).toEqual([]);
    await db.execute(`DROP TABLE ${table}_late`);
  });

  test("more statement texts than a connection keeps prepared all work", async () => {
    const small = await openMysql({ ...mysqlOptions(), poolSize: 1 });
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 300; i++) expect(await small.query(`SELECT ? AS c${i}`, [i])).toEqual([{ [`c${i}`]: i }]);
    await small.close();
  });

  test("transactions that lock each other out are both done, one of them again", async () => {
    const add = (id: number) => ({ sql: `UPDATE ${table} SET n = n + 1 WHERE id = ?`, params: [id] });
    const pause = { sql: "SELECT SLEEP(0.1)" };
    await Promise.all([db.transaction([add(1), pause, add(2)]), db.transaction([add(2), pause, add(1)])]);
    expect(await db.query(`SELECT n FROM ${table} ORDER BY id`)).toEqual([{ n: 2 }, { n: 2 }]);
  });

  test("a transaction that waited too long for a lock is done again", async () => {
    const impatient = await openMysql({ ...mysqlOptions(), statementTimeoutMs: 1500 });
    const slow = db.transaction([{ sql: `UPDATE ${table} SET n = 10 WHERE id = 1` }, { sql: "SELECT SLEEP(1.3)" }]);
    await Bun.sleep(100);
    await impatient.transaction([{ sql: `UPDATE ${table} SET n = n + 1 WHERE id = 1` }]);
    await slow;
    expect(await db.query(`SELECT n FROM ${table} WHERE id = 1`)).toEqual([{ n: 11 }]);
    await impatient.close();
  });

  test("a connection that the server ends is made again", async () => {
    const other = await openMysql({ ...mysqlOptions(), poolSize: 1 });
    const [{ id }] = await other.query<{ id: number }>("SELECT CONNECTION_ID() AS id");
    const running = other.query("SELECT SLEEP(2)");
    await Promise.all([
      expect(running).rejects.toMatchObject({ code: "unavailable", maybeDone: true }),
      Bun.sleep(50).then(() => db.execute(`KILL ${id}`)),
    ]);
    await expect.poll(() => other.query("SELECT 1 AS n").catch(() => [])).toEqual(one);
    await other.close();
  });

  test("a transaction whose connection is ended is undone, and says so", async () => {
    const other = await openMysql({ ...mysqlOptions(), poolSize: 1 });
    const [{ id }] = await other.query<{ id: number }>("SELECT CONNECTION_ID() AS id");
    const running = other.transaction([{ sql: `UPDATE ${table} SET n = 99` }, { sql: "SELECT SLEEP(2)" }]);
    await Promise.all([
      expect(running).rejects.toMatchObject({ code: "unavailable", maybeDone: false }),
      Bun.sleep(100).then(() => db.execute(`KILL ${id}`)),
    ]);
    expect(await db.query(`SELECT n FROM ${table} WHERE n = 99`)).toEqual([]);
    await other.close();
  });

  test("past the bound of the queue new requests fail at once", async () => {
    const small = await openMysql({ ...mysqlOptions(), maxRequests: 5 });
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => small.query("SELECT 1")));
    expect(results.filter(({ status }) => status === "rejected")).toMatchObject([{ reason: { code: "unavailable" } }]);
    await small.close();
  });

  test.each(["available_worker", "random_worker", "next_worker"] as const)("strategy %s", async (strategy) => {
    const other = await openMysql({ ...mysqlOptions(), poolSize: 3, strategy });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => other.query("SELECT ? AS n", [i])));
    expect(answers.flat()).toEqual(Array.from({ length: 200 }, (_, n) => ({ n })));
    expect(other.stats()).toMatchObject({ queued: 0, rows: 200, up: true, wire: { connections: 3 } });
    await other.close();
  });

  test("keepalive_interval: a connection with nothing to do is asked something", async () => {
    const other = await openMysql({ ...mysqlOptions(), poolSize: 1, keepAliveMs: 50 });
    await other.query("SELECT 1");
    const before = other.stats().wire?.sent.count ?? 0;
    await expect.poll(() => (other.stats().wire?.sent.count ?? 0) - before, { timeout: 2000 }).toBeGreaterThan(3);
    await other.close();
  });

  test("the time that requests take is told", async () => {
    const told: string[] = [];
    const report = (call: string, microseconds: number) => told.push(microseconds > 0 ? call : "");
    const other = await openMysql({ ...mysqlOptions(), calls: { report } });
    await other.query("SELECT 1");
    await other.query("SHOW STATUS LIKE 'Uptime'");
    await other.transaction([{ sql: `DELETE FROM ${table} WHERE id = 0` }]);
    expect(told).toEqual(["execute", "query", "execute"]);
    await other.close();
  });
});

describe.skipIf(process.env["TEST_MYSQL"] === undefined)("a MySQL server of its own", () => {
  let server: MysqlProcess;
  const options = (): MysqlOptions => ({
    host: "127.0.0.1",
    port: server.port,
    database: "test",
    username: "test",
    password: server.password,
    poolSize: 3,
  });
  beforeAll(async () => {
    server = new MysqlProcess();
    await server.start();
  }, 60_000);
  afterAll(() => server.remove());

  const cipher = async (ssl: MysqlOptions["ssl"], username = "test"): Promise<string> => {
    const db = await openMysql({ ...options(), ssl, username });
    const [{ Value: value }] = await db.query<{ Value: string }>("SHOW STATUS LIKE 'Ssl_cipher'");
    await db.close();
    return value;
  };

  test("TLS is used where it is asked for, and its certificate verified", async () => {
    expect(await cipher(false)).toBe("");
    expect(await cipher("prefer")).not.toBe("");
    expect(await cipher({ rejectUnauthorized: false })).not.toBe("");
    expect(await cipher({ ca: server.ca, servername: "localhost" }, "tls")).not.toBe("");
  });

  test.each([
    ["one that no authority knows", () => true],
    ["one of another name", () => ({ ca: server.ca, servername: "db.example" })],
    ["one of another address", () => ({ ca: server.ca, host: "127.0.0.1", servername: "" })],
  ])("a certificate is refused: %s", async (_, ssl) => {
    await expect(openMysql({ ...options(), ssl: ssl() })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^Cannot reach MySQL at "[^"]+": .*cert[^\n]*$/i),
    });
  });

  test("a way to log in that is not known is named", async () => {
    const db = await openMysql(options());
    await db.execute("INSTALL SONAME 'auth_ed25519'");
    await db.execute("CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')");
    await db.close();
    await expect(openMysql({ ...options(), username: "ed" })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /: the user's way to log in, client_ed25519, is not one of caching_sha2_password, /,
      ),
    });
  });

  test("a user who must use TLS is refused without", async () => {
    await expect(openMysql({ ...options(), username: "tls" })).rejects.toMatchObject({ code: "unavailable" });
  });

  test("a server that is killed under load: what was answered is there, and service goes on when it is back", async () => {
    const db = await openMysql({ ...options(), maxPauseMs: 500 });
    await db.execute("CREATE TABLE kept (id int PRIMARY KEY)");
    const answered: number[] = [];
    let next = 0;
    let over = false;
    const writer = async (): Promise<void> => {
      while (!over) {
        const id = next++;
        await db.insertMany("kept", ["id"], [[id]]).then(
          () => answered.push(id),
          (error: unknown) => {
            expect(error).toMatchObject({ name: "StorageError", code: "unavailable" });
            return Bun.sleep(20);
          },
        );
      }
    };
    const writers = Array.from({ length: 8 }, writer);
    await expect.poll(() => answered.length, { timeout: 10_000 }).toBeGreaterThan(50);
    await server.kill();
    const before = answered.length;
    await expect.poll(() => db.stats().up, { timeout: 10_000 }).toBe(false);
    await server.start();
    await expect.poll(() => answered.length, { timeout: 15_000 }).toBeGreaterThan(before + 50);
    over = true;
    await Promise.all(writers);
    const rows = await db.query<{ id: number }>("SELECT id FROM kept");
    const present = new Set(rows.map(({ id }) => id));
    expect(answered.filter((id) => !present.has(id))).toEqual([]);
    await db.close();
  }, 60_000);
});
