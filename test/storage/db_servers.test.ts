// What the stores on PostgreSQL and MySQL do alike when the server is slow, contended or away.
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import type { Db, StorageError } from "../../core/storage/db.ts";
import { onServer, SERVERS } from "./db_server.ts";
import { ServerRelay } from "./server_relay.ts";

const nowhere = { host: "127.0.0.1", database: "x", username: "x" };
const one = [{ n: 1 }];
const PORTS = { pgsql: 5432, mysql: 3306 };

describe.each(["pgsql", "mysql"] as const)("%s", (dialect) => {
  const {
    name,
    open,
    pause,
    slow: slowly,
    slowWrite,
    id: ownId,
    end,
    account,
    dropAccount,
    wrongPassword,
    noDatabase,
  } = SERVERS[dialect];

  test("a server that is not there is named at once", async () => {
    await expect(open({ ...nowhere, port: 1 })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(`^Cannot reach ${name} at "127.0.0.1:1": .*ECONNREFUSED`),
    });
  });

  test("a server that accepts and stays silent is given up", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const started = performance.now();
    const opening = open({ ...nowhere, port: silent.port, connectTimeoutMs: 200, statementTimeoutMs: 200 });
    await expect(opening).rejects.toMatchObject({ code: "unavailable" });
    expect(performance.now() - started).toBeLessThan(2000);
    silent.stop(true);
  });

  onServer(dialect, (server) => {
    const { table } = server;

    test.each([
      ["a wrong password", { password: "wrong" }, wrongPassword],
      ["a database that does not exist", { database: "nowhere" }, noDatabase],
    ])("%s is unavailable, with the server's words in one line", async (_, more, words) => {
      await expect(server.open(more)).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(`^Cannot reach ${name} at "127.0.0.1:\\d+": ${words}[^\\n]*$`),
      });
    });

    test("a slow statement ends in a timeout", async () => {
      const slow = await server.open({ statementTimeoutMs: 100 });
      await expect(slow.query(slowly(table, 5))).rejects.toMatchObject({ code: "timeout" });
      expect(await slow.query("SELECT 1 AS n")).toEqual(one);
    });

    test("a value too long for its column breaks a constraint", async () => {
      const write = server.db.execute(`UPDATE ${table} SET n = ? WHERE id = ?`, [2 ** 40, 2]);
      await expect(write).rejects.toMatchObject({ code: "constraint" });
    });

    test("transactions that lock each other out are both done, one of them again", async () => {
      const { db } = server;
      const add = (id: number) => ({ sql: `UPDATE ${table} SET n = n + 1 WHERE id = ?`, params: [id] });
      const some = { sql: pause(0.1) };
      await Promise.all([db.transaction([add(1), some, add(2)]), db.transaction([add(2), some, add(1)])]);
      expect(await db.query(`SELECT n FROM ${table} ORDER BY id`)).toEqual([{ n: 2 }, { n: 2 }]);
    });

    /** Ends the connection on which `work` is, after a moment. */
    const endedWithin = async <T>(other: Db, work: (other: Db) => Promise<T>): Promise<T> => {
      const [{ id }] = await other.query<{ id: number }>(ownId);
      const [result] = await Promise.all([work(other), Bun.sleep(100).then(() => server.db.execute(end(id)))]);
      return result;
    };
    const update = { sql: `UPDATE ${table} SET n = 99` };

    test("a connection that the server ends is made again, and what only reads is read again", async () => {
      const other = await server.open({ poolSize: 1 });
      expect((await endedWithin(other, (it) => it.query(pause(1)))).length).toBe(1);
      expect(await other.query("SELECT 1 AS n")).toEqual(one);
    });

    test("a connection that is ended while it has nothing to do is missed by nobody", async () => {
      const other = await server.open({ poolSize: 1 });
      await endedWithin(other, () => Bun.sleep(300));
      // Not done twice for that, either: each says how many rows it changed.
      expect(await other.execute(`UPDATE ${table} SET n = n + 1 WHERE id = 1`)).toBe(1);
      expect(await other.query(`SELECT n FROM ${table} WHERE id = 1`)).toEqual([{ n: 1 }]);
    });

    test("a write whose connection is ended may have been done, and says so", async () => {
      const other = await server.open({ poolSize: 1 });
      const error = await endedWithin(other, (it) => it.execute(slowWrite(table, 2)).catch((e: unknown) => e));
      expect(error).toMatchObject({ code: "unavailable", maybeDone: true });
    });

    test("an upsert whose connection is ended is done again", async () => {
      const other = await server.open({ poolSize: 1 });
      const held = server.db.transaction([{ sql: `UPDATE ${table} SET n = 1 WHERE id = 1` }, { sql: pause(0.5) }]);
      await Bun.sleep(50);
      // It waits for the row.
      await endedWithin(other, (it) => it.upsert(table, { id: 1 }, { n: 7 }));
      await held;
      expect(await server.db.query(`SELECT n FROM ${table} WHERE id = 1`)).toEqual([{ n: 7 }]);
    });

    test("a transaction whose connection is ended before COMMIT is undone, and says so", async () => {
      const other = await server.open({ poolSize: 1, graceMs: 0 });
      const error = await endedWithin(other, (it) =>
        it.transaction([update, { sql: pause(2) }]).catch((e: unknown) => e),
      );
      expect(error).toMatchObject({ code: "unavailable", maybeDone: false });
      expect(await other.query(`SELECT n FROM ${table} WHERE n = 99`)).toEqual([]);
      expect(await other.transaction([update])).toEqual([2]);
    });

    test("no statement of a transaction whose connection is ended is done by itself, however many there are", async () => {
      const other = await server.open({ poolSize: 1, graceMs: 0 });
      // More than a client library sends ahead, new texts, and long ones.
      const add = (n: number) => ({ sql: `UPDATE ${table} SET n = n + ? WHERE id = ${n % 7}`, params: [1] });
      const long = { sql: `UPDATE ${table} SET n = 99 WHERE 'x' <> ?`, params: ["x".repeat(300_000)] };
      const many = Array.from({ length: 300 }, (_, n) => (n % 50 === 49 ? long : add(n)));
      const error = await endedWithin(other, (it) =>
        it.transaction([...many.slice(0, 20), { sql: pause(2) }, ...many]).catch((e: unknown) => e),
      );
      expect(error).toMatchObject({ code: "unavailable", maybeDone: false });
      await Bun.sleep(200);
      expect(await server.db.query(`SELECT n FROM ${table} WHERE n <> 0`)).toEqual([]);
    });

    test("a transaction whose connection is ended before COMMIT is done on another, once", async () => {
      const other = await server.open({ poolSize: 1 });
      const add = { sql: `UPDATE ${table} SET n = n + 1` };
      const results = await endedWithin(other, (it) => it.transaction([add, { sql: pause(0.5) }, add]));
      expect([results[0], results[2]]).toEqual([2, 2]);
      expect(await server.db.query(`SELECT n FROM ${table}`)).toEqual([{ n: 2 }, { n: 2 }]);
    });

    test("a write for which there is no server at first is done when it is back, once", async () => {
      const relay = await new ServerRelay({ host: "127.0.0.1", port: server.port }).start();
      const far = await server.open({ port: relay.port, poolSize: 2 });
      await far.query("SELECT 1");
      await relay.stop();
      await Bun.sleep(50);
      // The first ones find out.
      const writes = [1, 2, 1, 2, 1].map((id) => far.execute(`UPDATE ${table} SET n = n + 1 WHERE id = ?`, [id]));
      const started = Bun.sleep(500).then(() => relay.start());
      const results = await Promise.allSettled(writes);
      expect(results).toEqual(results.map(() => ({ status: "fulfilled", value: 1 })));
      expect(await server.db.query(`SELECT n FROM ${table} ORDER BY id`)).toEqual([{ n: 3 }, { n: 2 }]);
      expect(far.stats().queued).toBe(0);
      await started;
      await far.close();
      await relay.stop();
    });

    test("a server that lets in and then stays silent is given up, as a pooler without a server is", async () => {
      const ends = new Set<Socket>();
      const relay = createServer((near) => {
        const far = createConnection(server.port, "127.0.0.1");
        // A simple query: of MySQL in the first packet of an exchange.
        near.on("data", (bytes: Buffer) => isQuery(bytes) || far.write(bytes));
        far.on("data", (bytes) => near.write(bytes));
        ends.add(near);
        near.on("error", () => {});
        near.on("close", () => {
          ends.delete(near);
          far.destroy();
        });
      });
      const isQuery = (bytes: Buffer) => (dialect === "pgsql" ? bytes[0] === 0x51 : bytes[3] === 0 && bytes[4] === 3);
      await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
      const { port } = relay.address() as AddressInfo;
      const opening = server.open({ host: "127.0.0.1", port, connectTimeoutMs: 1000 });
      await expect(opening).rejects.toMatchObject({ code: "unavailable" });
      await expect.poll(() => ends.size, { timeout: 2000 }).toBe(0);
      relay.close();
    });

    test("a connection that breaks while others have taken all that the account may have takes no other along", async () => {
      const user = `u${crypto.randomUUID().replaceAll("-", "")}`.slice(0, 32);
      for (const sql of account(user, 2)) await server.db.execute(sql);
      const login = { username: user, password: user };
      const changes: boolean[] = [];
      const pool = await server.open({ ...login, poolSize: 2, changed: ({ up }) => changes.push(up) });
      // The look whether there is a server has a connection for a moment.
      const both = () => Promise.allSettled([pool.query(pause(0.05)), pool.query<{ id: number }>(ownId)]);
      const states = async () => (await both()).map(({ status }) => status).toSorted();
      const wellInTime = { timeout: 5000 };
      await expect.poll(states, wellInTime).toEqual(["fulfilled", "fulfilled"]);
      const [, broken] = await both();
      if (broken.status === "rejected") throw broken.reason;
      await server.db.execute(end(broken.value[0].id));
      let other: Db | undefined;
      const taken = async (): Promise<void> => {
        other ??= await server.open({ ...login, poolSize: 1 });
        await other.query(ownId);
      };
      await expect.poll(() => taken().then(() => "taken", String), wellInTime).toBe("taken");
      // It is found out by a request or two, which are done on the connection that is left, as are the others.
      const done = [];
      for (let i = 0; i < 20; i++) done.push(...(await both()), ...(await Promise.allSettled([pool.query(ownId)])));
      expect(done.filter(({ status }) => status === "rejected")).toEqual([]);
      expect([pool.stats().up, changes]).toEqual([true, []]);
      await other?.close();
      await expect.poll(states, wellInTime).toEqual(["fulfilled", "fulfilled"]);
      await pool.close();
      await server.db.execute(dropAccount(user));
    });

    test("a connection that was given up with a request on it has room for the next", async () => {
      const { host, port = PORTS[dialect] } = SERVERS[dialect].options();
      const relay = await new ServerRelay({ host, port }).start();
      const pool = await server.open({ host: "127.0.0.1", port: relay.port, poolSize: 1, statementTimeoutMs: 1000 });
      expect(await pool.query("SELECT 1 AS n")).toEqual(one);
      relay.freeze();
      const asked = [pool.query("SELECT 1 AS n"), pool.execute(`UPDATE ${table} SET n = 0`)];
      const ends = await Promise.allSettled(asked);
      expect(ends).toMatchObject([{ reason: { code: "unavailable" } }, { reason: { code: "unavailable" } }]);
      // The client library is told nothing more of what it had sent.
      await relay.stop();
      await relay.start();
      relay.thaw();
      const again = () => pool.query("SELECT 1 AS n").catch(({ message }: StorageError) => message);
      await expect.poll(again, { timeout: 5000 }).toEqual(one);
      await pool.close();
      await relay.stop();
    });

    test("past the bound of the queue new requests fail at once", async () => {
      const small = await server.open({ maxRequests: 5 });
      const results = await Promise.allSettled(Array.from({ length: 6 }, () => small.query("SELECT 1")));
      const refused = results.filter(({ status }) => status === "rejected");
      expect(refused).toMatchObject([{ reason: { code: "unavailable" } }]);
    });

    test.each(["available_worker", "random_worker", "next_worker"] as const)("strategy %s", async (strategy) => {
      const other = await server.open({ poolSize: 3, strategy });
      const texts = Array.from({ length: 200 }, (_, i) => "x".repeat(i));
      const answers = await Promise.all(texts.map((text) => other.query("SELECT length(?) AS n", [text])));
      expect(answers.flat()).toEqual(texts.map((_, n) => ({ n })));
      expect(other.stats()).toMatchObject({ queued: 0, rows: 200, up: true, wire: { connections: 3 } });
    });

    test("keepalive_interval: a connection with nothing to do is asked something", async () => {
      const other = await server.open({ poolSize: 1, keepAliveMs: 50 });
      await other.query("SELECT 1");
      const before = other.stats().wire?.sent.count ?? 0;
      await expect.poll(() => (other.stats().wire?.sent.count ?? 0) - before, { timeout: 2000 }).toBeGreaterThan(3);
      expect(other.stats().queued).toBe(0);
    });

    test("the time that requests take is told", async () => {
      const told: string[] = [];
      const report = (call: string, microseconds: number) => told.push(microseconds > 0 ? call : "");
      const other = await server.open({ calls: { report } });
      await other.query("SELECT 1");
      await other.execute(`DROP TABLE IF EXISTS ${table}_never`);
      await other.transaction([{ sql: `DELETE FROM ${table} WHERE id = 0` }]);
      expect(told).toEqual(["execute", "query", "execute"]);
    });
  });
});
