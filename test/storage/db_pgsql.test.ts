// What PostgreSQL's store does when its network loses what it carries, and other things that are its own.
import { expect, test } from "vitest";
import { pgsqlOptions } from "./db_each.ts";
import { onServer } from "./db_server.ts";

onServer("pgsql", (server) => {
  const { table } = server;

  test("more settings of a session", async () => {
    const other = await server.open({ session: { lock_timeout: "1234ms" } });
    expect(await other.query("SELECT current_setting('lock_timeout') AS t")).toEqual([{ t: "1234ms" }]);
  });

  test("bytes are kept as they are by a database that writes text in another encoding", async () => {
    const database = `latin_${crypto.randomUUID().slice(0, 8)}`;
    await server.db.execute(
      `CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    const latin = await server.open({ database });
    await latin.execute("CREATE TABLE kept (id int, t text, b bytea)");
    const rows = ["é", "Žluť", "e"].map((text, i) => [i, "é", new Uint8Array(Buffer.from(text))]);
    await latin.insertMany("kept", ["id", "t", "b"], rows);
    expect(await latin.query("SELECT id, t, b FROM kept ORDER BY id")).toEqual(
      rows.map(([id, t, b]) => ({ id, t, b })),
    );
    await latin.close();
    await server.db.execute(`DROP DATABASE ${database}`);
  });

  test("a transaction whose answer to COMMIT is lost says that it may be done", async () => {
    let mute = false;
    const proxy = forward(pgsqlOptions().port as number, (towards, bytes) => {
      // The server gets the COMMIT; what it answers goes nowhere.
      if (towards === "server" && Buffer.from(bytes).includes("COMMIT")) mute = true;
      return towards === "client" && mute;
    });
    const far = await server.open({ port: proxy.port, poolSize: 1, callTimeoutMs: 500 });
    const lost = far.transaction([{ sql: `INSERT INTO ${table} (id, n) VALUES (10, 0)` }]);
    await expect(lost).rejects.toMatchObject({ code: "unavailable", maybeDone: true });
    expect(await server.db.query(`SELECT n FROM ${table} WHERE id = 10`)).toEqual([{ n: 0 }]);
    mute = false;
    proxy.stop(true);
  });

  test("after a failover that leaves connections to a server that is read-only now, new ones are made", async () => {
    const user = `u_${crypto.randomUUID().slice(0, 8)}`;
    const readOnly = (on: boolean) => server.db.execute(`ALTER ROLE ${user} SET default_transaction_read_only = ${on}`);
    await server.db.execute(`CREATE ROLE ${user} LOGIN PASSWORD 'x'`);
    await server.db.execute(`GRANT SELECT, UPDATE ON ${table} TO ${user}`);
    await readOnly(true);
    const changes: boolean[] = [];
    const login = { username: user, password: "x", poolSize: 2, graceMs: 0 };
    const pool = await server.open({ ...login, changed: ({ up }) => changes.push(up) });
    const write = () => pool.execute(`UPDATE ${table} SET n = n WHERE id = ?`, [1]);
    const both = () => Promise.allSettled([write(), write()]);
    // It said so: nothing was done.
    const refusal = { reason: { code: "unavailable", maybeDone: false } };
    expect(await both()).toMatchObject([refusal, refusal]);
    await readOnly(false);
    await expect.poll(() => write().catch(() => 0), { timeout: 5000 }).toBe(1);
    // Not only the connection that found out.
    expect(await both()).toMatchObject([{ value: 1 }, { value: 1 }]);
    expect(changes).toEqual([]);
    await pool.close();
    await server.db.execute(`DROP OWNED BY ${user}`);
    await server.db.execute(`DROP ROLE ${user}`);
  });

  test("a BEGIN behind many other requests begins a transaction, and its end ends it", async () => {
    const busy = await server.open({ poolSize: 1 });
    const bytes = "x".repeat(20_000);
    const work: Promise<unknown>[] = [];
    for (let i = 0; i < 400; i++) {
      work.push(busy.query("SELECT length(?) AS n", [bytes]));
      if (i % 4 === 0) work.push(busy.transaction([{ sql: `INSERT INTO ${table} (id, n) VALUES (${1000 + i}, 0)` }]));
    }
    await Promise.all(work);
    // Seen from outside: nothing of it is in a transaction that is still open.
    expect(await server.db.query(`SELECT count(*) AS n FROM ${table} WHERE id >= 1000`)).toEqual([{ n: 100 }]);
  });

  test("requests through a network that went dead are given up, and new connections are made when it is back", async () => {
    let dead = false;
    const proxy = forward(pgsqlOptions().port as number, () => dead);
    const options = { port: proxy.port, poolSize: 2, connectTimeoutMs: 300, statementTimeoutMs: 300, graceMs: 0 };
    const far = await server.open(options);
    dead = true;
    const started = performance.now();
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => far.query("SELECT 1")));
    expect(performance.now() - started).toBeLessThan(3000);
    expect(new Set(results.map((r) => r.status === "rejected" && r.reason.code))).toEqual(new Set(["unavailable"]));
    dead = false;
    await expect.poll(() => far.query("SELECT 1 AS n").catch(() => []), { timeout: 5000 }).toEqual([{ n: 1 }]);
    proxy.stop(true);
  });

  test("so they are while requests go on coming, of which some are given up every now and then", async () => {
    let dead = false;
    let over = false;
    const proxy = forward(pgsqlOptions().port as number, () => dead);
    const options = { port: proxy.port, poolSize: 2, connectTimeoutMs: 300, statementTimeoutMs: 300 };
    const far = await server.open(options);
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
    proxy.stop(true);
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
