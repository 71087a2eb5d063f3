// What PostgreSQL's store does when the server is slow, contended or away.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { openPgsql, type PgsqlOptions } from "../../core/storage/pgsql.ts";
import { pgsqlOptions } from "./db_each.ts";

const nowhere: PgsqlOptions = { host: "127.0.0.1", database: "x", username: "x" };

test("a server that is not there is named at once", async () => {
  await expect(openPgsql({ ...nowhere, port: 1 })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/^Cannot reach PostgreSQL at "127.0.0.1:1": .*ECONNREFUSED/),
  });
});

test("a server that accepts and stays silent is given up", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const options = { ...nowhere, port: silent.port, connectTimeoutMs: 200, statementTimeoutMs: 200 };
  const started = performance.now();
  await expect(openPgsql(options)).rejects.toMatchObject({ code: "unavailable" });
  expect(performance.now() - started).toBeLessThan(2000);
  silent.stop(true);
});

describe.skipIf(process.env["TEST_PGSQL"] === undefined)("a PostgreSQL server", () => {
  let db: Db;
  const table = `t_${crypto.randomUUID().replaceAll("-", "")}`;
  beforeAll(async () => {
    db = await openPgsql({ ...pgsqlOptions(), statementTimeoutMs: 2000 });
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

  test("a wrong password is unavailable, with the server's words", async () => {
    await expect(openPgsql({ ...pgsqlOptions(), password: "wrong" })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("password authentication failed"),
    });
  });

  test("more settings of a session", async () => {
    const other = await openPgsql({ ...pgsqlOptions(), session: { lock_timeout: "1234ms" } });
    expect(await other.query("SELECT current_setting('lock_timeout') AS t")).toEqual([{ t: "1234ms" }]);
    await other.close();
  });

  test("a slow statement ends in a timeout", async () => {
    const slow = await openPgsql({ ...pgsqlOptions(), statementTimeoutMs: 100 });
    await expect(slow.query("SELECT pg_sleep(?)", [5])).rejects.toMatchObject({ code: "timeout" });
    await slow.close();
  });

  test("a value too long for its column breaks a constraint", async () => {
    await expect(db.query(`SELECT n FROM ${table} WHERE id = ?`, [2 ** 40])).rejects.toMatchObject({
      code: "constraint",
    });
  });

  test("transactions that lock each other out are both done, one of them again", async () => {
    const add = (id: number) => ({ sql: `UPDATE ${table} SET n = n + 1 WHERE id = ?`, params: [id] });
    const pause = { sql: "SELECT pg_sleep(0.1)" };
    await Promise.all([db.transaction([add(1), pause, add(2)]), db.transaction([add(2), pause, add(1)])]);
    expect(await db.query(`SELECT n FROM ${table} ORDER BY id`)).toEqual([{ n: 2 }, { n: 2 }]);
  });

  test("a connection that the server ends is made again", async () => {
    const other = await openPgsql({ ...pgsqlOptions(), poolSize: 1 });
    const [{ pid }] = await other.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const running = other.query("SELECT pg_sleep(2)");
    await Promise.all([
      expect(running).rejects.toMatchObject({ code: "unavailable" }),
      Bun.sleep(50).then(() => db.query("SELECT pg_terminate_backend(?)", [pid])),
    ]);
    // What was sent before the end was noticed is lost with it.
    await expect.poll(() => other.query("SELECT 1 AS n").catch(() => [])).toEqual([{ n: 1 }]);
    await other.close();
  });

  test("a transaction whose connection is ended before COMMIT is undone, and says so", async () => {
    const other = await openPgsql({ ...pgsqlOptions(), poolSize: 1 });
    const [{ pid }] = await other.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const running = other.transaction([
      { sql: `INSERT INTO ${table} (id, n) VALUES (9, 0)` },
      { sql: "SELECT pg_sleep(2)" },
    ]);
    await Promise.all([
      expect(running).rejects.toMatchObject({ code: "unavailable", maybeDone: false }),
      Bun.sleep(100).then(() => db.query("SELECT pg_terminate_backend(?)", [pid])),
    ]);
    expect(await other.query(`SELECT n FROM ${table} WHERE id = 9`)).toEqual([]);
    expect(await other.transaction([{ sql: `INSERT INTO ${table} (id, n) VALUES (9, 1)` }])).toEqual([1]);
    await other.close();
  });

  test("a transaction whose answer to COMMIT is lost says that it may be done", async () => {
    const server = pgsqlOptions();
    let mute = false;
    const proxy = forward(server.port as number, (towards, bytes) => {
      // The server gets the COMMIT; what it answers goes nowhere.
      if (towards === "server" && Buffer.from(bytes).includes("COMMIT")) mute = true;
      return towards === "client" && mute;
    });
    const far = await openPgsql({ ...server, port: proxy.port, poolSize: 1, callTimeoutMs: 500 });
    const lost = far.transaction([{ sql: `INSERT INTO ${table} (id, n) VALUES (10, 0)` }]);
    await expect(lost).rejects.toMatchObject({ code: "unavailable", maybeDone: true });
    expect(await db.query(`SELECT n FROM ${table} WHERE id = 10`)).toEqual([{ n: 0 }]);
    mute = false;
    await far.close();
    proxy.stop(true);
  });

  test("a BEGIN behind many other requests begins a transaction, and its end ends it", async () => {
    const busy = await openPgsql({ ...pgsqlOptions(), poolSize: 1 });
    const bytes = "x".repeat(20_000);
    const work: Promise<unknown>[] = [];
    for (let i = 0; i < 400; i++) {
      work.push(busy.query("SELECT length(?) AS n", [bytes]));
      if (i % 4 === 0) work.push(busy.transaction([{ sql: `INSERT INTO ${table} (id, n) VALUES (${1000 + i}, 0)` }]));
    }
    await Promise.all(work);
    // Seen from outside: nothing of it is in a transaction that is still open.
    expect(await db.query(`SELECT count(*) AS n FROM ${table} WHERE id >= 1000`)).toEqual([{ n: 100 }]);
    await busy.close();
  });

  test.each(["available_worker", "random_worker", "next_worker"] as const)("strategy %s", async (strategy) => {
    const other = await openPgsql({ ...pgsqlOptions(), poolSize: 3, strategy });
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => other.query("SELECT CAST(? AS int) AS n", [i])),
    );
    expect(answers.flat()).toEqual(Array.from({ length: 200 }, (_, n) => ({ n })));
    expect(other.stats()).toMatchObject({ queued: 0, up: true, wire: { connections: 3 } });
    await other.close();
  });

  test("keepalive_interval: a connection with nothing to do is asked something", async () => {
    const other = await openPgsql({ ...pgsqlOptions(), poolSize: 1, keepAliveMs: 50 });
    await other.query("SELECT 1");
    const before = other.stats().wire?.sent.count ?? 0;
    await expect.poll(() => (other.stats().wire?.sent.count ?? 0) - before, { timeout: 2000 }).toBeGreaterThan(3);
    expect(other.stats().queued).toBe(0);
    await other.close();
  });

  test("requests through a network that went dead are given up, and new connections are made when it is back", async () => {
    const server = pgsqlOptions();
    let dead = false;
    const proxy = forward(server.port as number, () => dead);
    const options = { ...server, port: proxy.port, poolSize: 2, connectTimeoutMs: 300, statementTimeoutMs: 300 };
    const far = await openPgsql(options);
    dead = true;
    const started = performance.now();
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => far.query("SELECT 1")));
    expect(performance.now() - started).toBeLessThan(3000);
    expect(new Set(results.map((r) => r.status === "rejected" && r.reason.code))).toEqual(new Set(["unavailable"]));
    dead = false;
    await expect.poll(() => far.query("SELECT 1 AS n").catch(() => []), { timeout: 5000 }).toEqual([{ n: 1 }]);
    await far.close();
    proxy.stop(true);
  });

  test("so they are while requests go on coming, of which some are given up every now and then", async () => {
    const server = pgsqlOptions();
    let dead = false;
    let over = false;
    const proxy = forward(server.port as number, () => dead);
    const options = { ...server, port: proxy.port, poolSize: 2, connectTimeoutMs: 300, statementTimeoutMs: 300 };
    const far = await openPgsql(options);
    const answeredAt = [0, 0, 0, 0, 0, 0];
    const asks = async (n: number): Promise<void> => {
      await Bun.sleep(n * 100);
      while (!over) {
        const answer = await far.query("SELECT 1").catch(() => undefined);
        if (answer !== undefined) answeredAt[n] = performance.now();
        await Bun.sleep(10);
      }
    };
    const asking = answeredAt.map((_, n) => asks(n));
    await Bun.sleep(700);
    dead = true;
    await Bun.sleep(2500);
    dead = false;
    const back = performance.now();
    await expect.poll(() => answeredAt.every((at) => at > back), { timeout: 3000 }).toBe(true);
    over = true;
    await Promise.all(asking);
    await far.close();
    proxy.stop(true);
  });

  test("past the bound of the queue new requests fail at once", async () => {
    const small = await openPgsql({ ...pgsqlOptions(), maxRequests: 5 });
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => small.query("SELECT 1")));
    expect(results.filter(({ status }) => status === "rejected")).toMatchObject([{ reason: { code: "unavailable" } }]);
    await small.close();
  });
});

/** A TCP proxy that swallows what `swallows` says. */
function forward(port: number, swallows: (towards: "server" | "client", bytes: Uint8Array) => boolean) {
  type Side = { peer: Bun.Socket<Side> | undefined; towards: "server" | "client" };
  const relay = {
    data(socket: Bun.Socket<Side>, data: Uint8Array) {
      if (!swallows(socket.data.towards, data)) socket.data.peer?.write(data);
    },
    close(socket: Bun.Socket<Side>) {
      socket.data.peer?.end();
    },
    error() {},
  };
  return Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      ...relay,
      async open(socket) {
        socket.data = { peer: undefined, towards: "server" };
        socket.pause();
        socket.data.peer = await Bun.connect<Side>({
          hostname: "127.0.0.1",
          port,
          data: { peer: socket, towards: "client" },
          socket: relay,
        });
        socket.resume();
      },
    },
  });
}
