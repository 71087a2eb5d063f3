// What is particular to MySQL's store: its statements, TLS, and a server that is killed.
import { createConnection, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MysqlOptions, openMysql } from "../../core/storage/mysql/client.ts";
import { onServer } from "./db_server.ts";
import { MysqlProcess } from "./mysql_process.ts";

onServer("mysql", (server) => {
  const { table } = server;

  test("an update counts the rows that it found, also those that were so already", async () => {
    const update = { sql: `UPDATE ${table} SET n = 0 WHERE id IN (1, 2, 3)` };
    expect(await server.db.execute(update.sql)).toBe(2);
    expect(await server.db.transaction([update, update])).toEqual([2, 2]);
  });

  test("an upsert counts one row, and a row that was there counts none for insertNew", async () => {
    const upsert = `INSERT INTO ${table} (id, n) VALUES (?, ?) ON DUPLICATE KEY UPDATE n = VALUES(n)`;
    expect([await server.db.execute(upsert, [7, 1]), await server.db.execute(upsert, [7, 2])]).toEqual([1, 1]);
    expect([
      await server.db.insertNew(table, { id: 7, n: 2 }),
      await server.db.insertNew(table, { id: 8, n: 2 }),
    ]).toEqual([false, true]);
    expect(await server.db.execute(`DELETE FROM ${table} WHERE id > 2`)).toBe(2);
  });

  test("statements are read as the other databases read them", async () => {
    expect(await server.db.query(`SELECT 'a' || 'b\\' AS "joined", length('''') AS n`)).toEqual([
      { joined: "ab\\", n: 1 },
    ]);
  });

  test("a definition that comes between does not spoil what was prepared", async () => {
    const all = `SELECT * FROM ${table} WHERE id = ?`;
    await server.db.query(all, [1]);
    await server.db.execute(`ALTER TABLE ${table} ADD COLUMN more int NOT NULL DEFAULT 5`);
    expect(await server.db.query(all, [1])).toEqual([{ id: 1, n: 0, more: 5 }]);
    await server.db.execute(`ALTER TABLE ${table} DROP COLUMN more`);
    expect(await server.db.query(all, [1])).toEqual([{ id: 1, n: 0 }]);
  });

  test("a statement that names no table fails until there is one", async () => {
    const sql = `SELECT n FROM ${table}_late WHERE n = ?`;
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => server.db.query(sql, [1])));
    expect(new Set(results.map((r) => r.status === "rejected" && r.reason.code))).toEqual(new Set(["syntax"]));
    await server.db.execute(`CREATE TABLE ${table}_late (n int)`);
    expect(await server.db.query(sql, [1])).toEqual([]);
    await server.db.execute(`DROP TABLE ${table}_late`);
  });

  test("more statement texts than a connection keeps prepared all work", async () => {
    const small = await server.open({ poolSize: 1 });
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 300; i++) expect(await small.query(`SELECT ? AS c${i}`, [i])).toEqual([{ [`c${i}`]: i }]);
  });

  /** A relay to the server that shows each packet of a client to `see`, by its command. */
  async function through(see: (command: number, packet: Buffer, near: Socket) => void) {
    const relay = createServer((near) => {
      const far = createConnection(server.port, "127.0.0.1");
      near.on("data", (packet: Buffer) => {
        see(packet[3] === 0 ? packet[4] : -1, packet, near);
        if (!near.destroyed) far.write(packet);
      });
      far.on("data", (bytes) => near.write(bytes));
      for (const [end, other] of [
        [near, far],
        [far, near],
      ]) {
        end.on("error", () => {});
        end.on("close", () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const address = relay.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return { port: address.port, close: () => relay.close() };
  }
  const PREPARE = 0x16;
  const EXECUTE = 0x17;
  const add = { sql: `UPDATE ${table} SET n = n + ? WHERE id = ?`, params: [1, 1] };

  test("what another server in the place of the first has not prepared is prepared there", async () => {
    let other = false;
    const relay = await through((command, packet) => {
      // A number that is no statement's.
      if (other && command === EXECUTE) packet.writeUInt32LE(123_456, 5);
      if (command === EXECUTE) other = false;
    });
    const one = await server.open({ port: relay.port, poolSize: 1 });
    for (const _ of [1, 2]) {
      other = true;
      expect(await one.execute(add.sql, add.params)).toBe(1);
      other = true;
      expect(await one.transaction([add, add])).toEqual([1, 1]);
    }
    expect(await server.db.query(`SELECT n FROM ${table} WHERE id = 1`)).toEqual([{ n: 6 }]);
    await one.close();
    relay.close();
  });

  test("a write whose connection is lost while it is prepared is done on another, once", async () => {
    let cuts = 2;
    const relay = await through((command, _, near) => {
      if (command === PREPARE && cuts-- > 0) near.destroy();
    });
    const one = await server.open({ port: relay.port, poolSize: 1 });
    expect(await one.execute(add.sql, add.params)).toBe(1);
    expect([cuts, await server.db.query(`SELECT n FROM ${table} WHERE id = 1`)]).toEqual([-1, [{ n: 1 }]]);
    await one.close();
    relay.close();
  });

  test("a transaction that waited too long for a lock is done again", async () => {
    const impatient = await server.open({ statementTimeoutMs: 1500 });
    const slow = server.db.transaction([
      { sql: `UPDATE ${table} SET n = 10 WHERE id = 1` },
      { sql: "SELECT SLEEP(1.3)" },
    ]);
    await Bun.sleep(100);
    await impatient.transaction([{ sql: `UPDATE ${table} SET n = n + 1 WHERE id = 1` }]);
    await slow;
    expect(await server.db.query(`SELECT n FROM ${table} WHERE id = 1`)).toEqual([{ n: 11 }]);
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
    // The first log-in of a user: MySQL has no hash of the password at hand and wants the password itself, encrypted.
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

  test("a way to log in that is not known is named", async ({ skip }) => {
    skip(server.isOracle, "the plugin is MariaDB's");
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

  test("connections to a server that was read-only are made anew until one may write", async () => {
    const readOnly = server.isOracle ? "transaction_read_only" : "tx_read_only";
    const admin = await openMysql(options());
    await admin.execute("CREATE TABLE moved (id int PRIMARY KEY)");
    await admin.execute(`SET GLOBAL ${readOnly} = 1`);
    const pool = await openMysql({ ...options(), poolSize: 2 });
    const write = (id: number) => pool.execute("INSERT INTO moved (id) VALUES (?)", [id]);
    await expect(write(1)).rejects.toMatchObject({ code: "unavailable" });
    await admin.execute(`SET GLOBAL ${readOnly} = 0`);
    await expect.poll(() => write(1).catch(() => 0), { timeout: 5000 }).toBe(1);
    expect(await Promise.all([write(2), write(3)])).toEqual([1, 1]);
    await pool.close();
    await admin.close();
  });

  test("a row that is more than the server takes is refused for that, and costs no connection", async () => {
    const admin = await openMysql(options());
    const [{ n: usual }] = await admin.query<{ n: number }>("SELECT @@max_allowed_packet AS n");
    await admin.execute("CREATE TABLE large (id int PRIMARY KEY, b longblob, t longtext)");
    await admin.execute("SET GLOBAL max_allowed_packet = 1048576");
    const pool = await openMysql({ ...options(), poolSize: 1 });
    const id = () => pool.query<{ id: number }>("SELECT CONNECTION_ID() AS id");
    const before = await id();
    const row = (n: number, bytes: number) => [n, new Uint8Array(bytes), ""];
    const refused = { code: "constraint", message: expect.stringContaining("max_allowed_packet"), maybeDone: false };
    const columns = ["id", "b", "t"];
    await expect(pool.insertMany("large", columns, [row(1, 9), row(2, 3_000_000), row(3, 9)])).rejects.toMatchObject(
      refused,
    );
    await expect(pool.execute("INSERT INTO large VALUES (4, NULL, ?)", ["é".repeat(600_000)])).rejects.toMatchObject(
      refused,
    );
    await pool.insertMany("large", columns, [row(5, 900_000), row(6, 900_000), row(7, 9)]);
    expect(await pool.query("SELECT id FROM large ORDER BY id")).toEqual([{ id: 5 }, { id: 6 }, { id: 7 }]);
    expect(await id()).toEqual(before);
    await admin.execute(`SET GLOBAL max_allowed_packet = ${usual}`);
    await pool.close();
    await admin.close();
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
