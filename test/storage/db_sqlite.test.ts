// What the embedded database does when the machine, the disk or another process misbehaves.
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import type { Db, SqlValue } from "../../core/storage/db.ts";
import { openStorage } from "../../core/storage/index.ts";
import { openSqlite, type SqliteOptions } from "../../core/storage/sqlite/client.ts";

const root = mkdtempSync(join(tmpdir(), "mongooseim-sqlite-"));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
const newFile = () => join(root, `${++count}.db`);
const open = async (options: Partial<SqliteOptions> = {}): Promise<Db> => {
  const db = await openSqlite({ file: newFile(), ...options });
  await db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, data BLOB)");
  return db;
};
const insert = "INSERT INTO t (data) VALUES (?)";
const kilobytes = (n: number) => new Uint8Array(n * 1024);

test.each([1, 2, 3])("every acknowledged row survives kill -9 (run %i)", async (run) => {
  const stateDir = join(root, `kill${run}`);
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, "db_writer.ts"), stateDir], { stdout: "pipe" });
  let printed = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    printed += decoder.decode(chunk, { stream: true });
    if (printed.length > run * 20_000) child.kill("SIGKILL");
  }
  expect(await child.exited).toBe(137);
  const acknowledged = printed.slice(0, printed.lastIndexOf("\n")).split("\n");
  const db = await openStorage({ stateDir });
  const rows = await db.query<{ username: string }>("SELECT username FROM offline_message");
  await db.close();
  const kept = new Set(rows.map(({ username }) => username));
  expect(acknowledged.length).toBeGreaterThan(1000);
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
});

test("requests run in the order in which they were issued, reads between writes", async () => {
  const db = await open();
  const [, one, , two] = await Promise.all([
    db.execute(insert, [null]),
    db.query("SELECT count(*) AS n FROM t"),
    db.transaction([
      { sql: insert, params: [null] },
      { sql: insert, params: [null] },
    ]),
    db.query("SELECT count(*) AS n FROM t"),
  ]);
  expect([one, two]).toEqual([[{ n: 1 }], [{ n: 3 }]]);
  await db.close();
});

test("requests of one turn share a commit", async () => {
  const db = await open();
  const before = db.stats().batches;
  await Promise.all(Array.from({ length: 1000 }, () => db.execute(insert, [null])));
  expect(db.stats()).toMatchObject({ batches: before + 1, queued: 0 });
  await db.close();
});

test("what no column takes fails its own request, and what is left out is null", async () => {
  const db = await open();
  const wide = "INSERT INTO t (id, data) VALUES (?, ?), (?, ?)";
  const odd = (value: unknown): SqlValue[] => [value as SqlValue, Buffer.from("of another"), 2n ** 53n + 1n, "c"];
  const written = await Promise.allSettled([
    db.execute(insert, [Buffer.from("before")]),
    db.execute(wide, odd(new Date())),
    db.execute(wide, odd([1, 2])),
    db.execute(wide, [10, undefined as unknown as SqlValue, 11, Buffer.from("b")]),
    db.execute(insert, [Buffer.from("behind")]),
    db.execute(insert, [new Uint8Array(0)]),
  ]);
  expect(written.map(({ status }) => status === "fulfilled")).toEqual([true, false, false, true, true, true]);
  const rows = await db.query<{ id: number; data: Uint8Array | null }>("SELECT id, data FROM t ORDER BY id");
  expect(rows.map(({ id, data }) => [id, data === null ? null : Buffer.from(data).toString()])).toEqual([
    [1, "before"],
    [10, null],
    [11, "b"],
    [12, "behind"],
    [13, ""],
  ]);
  await db.close();
});

test("large bytes come back as they were, and no message gathers more and more of them", async () => {
  const db = await open();
  const before = db.stats().batches;
  const large = kilobytes(3 * 1024).fill(1);
  large[large.length - 1] = 2;
  await Promise.all(Array.from({ length: 12 }, () => db.execute(insert, [large])));
  expect(db.stats().batches - before).toBeGreaterThanOrEqual(4);
  const huge = kilobytes(50 * 1024).fill(3);
  await db.execute(insert, [huge]);
  const rows = await db.query<{ data: Uint8Array }>("SELECT data FROM t ORDER BY id");
  expect(rows.map(({ data }) => Buffer.compare(data, data.length > large.length ? huge : large))).toEqual(
    new Array(13).fill(0),
  );
  await db.close();
});

test("more statement texts than are kept prepared all run", async () => {
  const db = await open();
  const rows = await Promise.all(Array.from({ length: 1300 }, (_, i) => db.query<{ n: number }>(`SELECT ${i} AS n`)));
  expect(rows.map(([{ n }]) => n)).toEqual(Array.from({ length: 1300 }, (_, i) => i));
  await db.close();
});

test("a second server on the same file is refused in one line, until the first has stopped", async () => {
  const file = newFile();
  const first = await open({ file });
  await expect(openSqlite({ file })).rejects.toMatchObject({
    code: "locked",
    message: `Cannot open database "${file}": another server is using it; stop that server or use another state directory`,
  });
  await first.close();
  await (await open({ file })).close();
});

test("a file that is no database is refused", async () => {
  const file = newFile();
  writeFileSync(file, "This is a letter, and not a database. ".repeat(100));
  await expect(openSqlite({ file })).rejects.toMatchObject({ code: "corrupt" });
});

test("a damaged page fails the request that meets it", async () => {
  const file = newFile();
  const db = await open({ file });
  await db.insertMany(
    "t",
    ["data"],
    Array.from({ length: 100 }, () => [kilobytes(2)]),
  );
  await db.close();
  const bytes = await Bun.file(file).bytes();
  bytes.fill(0xaa, 4096);
  writeFileSync(file, bytes);
  const damaged = await openSqlite({ file });
  await expect(damaged.query("SELECT sum(length(data)) FROM t")).rejects.toMatchObject({ code: "corrupt" });
  await damaged.close();
});

test("damage fails those who touch it alone, however many travel with them", async () => {
  const file = newFile();
  const db = await open({ file });
  await db.execute("CREATE TABLE damaged (a INTEGER PRIMARY KEY, b)");
  await db.execute("CREATE INDEX i ON damaged (b)");
  const rows = Array.from({ length: 2000 }, (_, a) => [a, `text ${a}`.repeat(5)]);
  await db.insertMany("damaged", ["a", "b"], rows);
  const [{ root: page }] = await db.query<{ root: number }>(
    "SELECT rootpage AS root FROM sqlite_master WHERE name = 'i'",
  );
  await db.close();
  const bytes = await Bun.file(file).bytes();
  bytes.fill(0xaa, (page - 1) * 4096, page * 4096);
  writeFileSync(file, bytes);
  const met: string[] = [];
  const again = await openSqlite({ file, damaged: (message) => met.push(message) });
  const touch = "SELECT a FROM damaged WHERE b = 'x'";
  const add = "INSERT INTO damaged VALUES (?, 'x')";
  const told = async (...done: Promise<unknown>[]) =>
    (await Promise.allSettled(done)).map((one) => (one.status === "fulfilled" ? one.value : one.reason.code));
  const one = () => again.query("SELECT 1 AS n");
  expect(await told(one(), one(), again.query(touch), one(), one(), one())).toEqual([
    [{ n: 1 }],
    [{ n: 1 }],
    "corrupt",
    ...new Array(3).fill([{ n: 1 }]),
  ]);
  expect(
    await told(
      again.execute(insert, [null]),
      again.execute("INSERT INTO t (id) VALUES (1)"),
      again.query(touch),
      again.execute(insert, [null]),
      again.execute(add, [3000]),
      again.query(`${add} RETURNING a`, [3001]),
      again.transaction([
        { sql: insert, params: [null] },
        { sql: add, params: [3002] },
      ]),
      again.insertMany("damaged", ["a", "b"], [[3003, "x"]]),
      again.query("SELECT count(*) AS n FROM t"),
      again.execute("UPDATE t SET data = 'x'"),
    ),
  ).toEqual([1, "constraint", "corrupt", 1, "corrupt", "corrupt", "corrupt", "corrupt", [{ n: 2 }], 2]);
  expect(met).toHaveLength(6);
  expect(await again.query("SELECT count(*) AS n FROM damaged NOT INDEXED WHERE a >= 3000")).toEqual([{ n: 0 }]);
  expect(await again.query("SELECT count(*) AS n FROM t WHERE data = 'x'")).toEqual([{ n: 2 }]);
  await again.close();
});

test("a directory that does not exist is named", async () => {
  await expect(openSqlite({ file: join(root, "nowhere", "a.db") })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("nowhere"),
  });
});

test("a full disk fails what does not fit, and room made lets writes go on", async () => {
  const db = await open({ maxBytes: 256 * 1024 });
  await db.execute(insert, [kilobytes(100)]);
  await expect(db.execute(insert, [kilobytes(400)])).rejects.toMatchObject({ code: "full" });
  expect(await db.query("SELECT count(*) AS n FROM t")).toEqual([{ n: 1 }]);
  await db.execute("DELETE FROM t");
  expect(await db.execute(insert, [kilobytes(100)])).toBe(1);
  await db.close();
});

test("no request is acknowledged whose row was lost to a full disk", async () => {
  const db = await open({ maxBytes: 256 * 1024 });
  const results = await Promise.allSettled(
    [1, 400, 2, 3].map((size) => db.query<{ id: number }>(`${insert} RETURNING id`, [kilobytes(size)])),
  );
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(results[1]).toMatchObject({ reason: { code: "full" } });
  const acknowledged = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  expect(await db.query("SELECT id FROM t ORDER BY id")).toEqual(acknowledged);
  await db.close();
});

test("a shell that holds the file fails writes after the time-out, and reads go on", async () => {
  const file = newFile();
  const db = await open({ file, busyTimeoutMs: 50 });
  const shell = new Database(file);
  shell.run("BEGIN IMMEDIATE");
  const [write, read] = await Promise.allSettled([db.execute(insert, [null]), db.query("SELECT count(*) AS n FROM t")]);
  expect(write).toMatchObject({ reason: { code: "locked" } });
  expect(read).toMatchObject({ value: [{ n: 0 }] });
  // They wait for it together, and not one after the other.
  const began = performance.now();
  const writes = await Promise.allSettled(Array.from({ length: 100 }, () => db.execute(insert, [null])));
  expect(writes.filter(({ status }) => status === "rejected")).toHaveLength(100);
  expect(performance.now() - began).toBeLessThan(1500);
  shell.run("ROLLBACK");
  shell.close();
  expect(await db.execute(insert, [null])).toBe(1);
  await db.close();
});

test("a commit that the disk fails may be done, as a crash would show", async () => {
  const client = JSON.stringify(join(import.meta.dirname, "../../core/storage/sqlite/client.ts"));
  const writes = `const { openSqlite } = await import(${client});
    const db = await openSqlite({ file: ${JSON.stringify(newFile())} });
    await db.execute("CREATE TABLE t (data)");
    const write = () => Promise.allSettled([1, 2].map(() => db.execute("INSERT INTO t VALUES (zeroblob(3000))")));
    let [last] = await write();
    for (let i = 0; i < 1000 && last.status === "fulfilled"; i++) [last] = await write();
    const [{ n }] = await db.query("SELECT count(*) AS n FROM t");
    console.log(last.reason?.code, last.reason?.maybeDone, n > 0 && n % 2 === 0);
    process.exit(0);`;
  // No file may grow past 200 KB: an error of the disk, and not a full one.
  const limited = ["bash", "-c", 'trap "" XFSZ; ulimit -f 200; exec "$@"', "-", process.execPath, "-e", writes];
  expect(Bun.spawnSync(limited, { cwd: "/" }).stdout.toString()).toBe("unavailable true true\n");
});

test("when the worker fails, what it had been given may be done, and what waits is not", async () => {
  class Failing {
    onmessage: ((event: { data: unknown }) => void) | undefined;
    onerror: ((event: { message: string }) => void) | undefined;
    private open = false;
    addEventListener(): void {}
    terminate(): void {}
    postMessage(): void {
      if (this.open) setTimeout(() => this.onerror?.({ message: "error: it fails" }), 20);
      else queueMicrotask(() => this.onmessage?.({ data: { ok: true } }));
      this.open = true;
    }
  }
  vi.stubGlobal("Worker", Failing);
  try {
    const db = await openSqlite({ file: newFile() });
    const failure = (done: Promise<unknown>) => done.catch(({ code, maybeDone }) => [code, maybeDone]);
    const given = [failure(db.execute(insert, [null])), failure(db.query("SELECT 1"))];
    await Bun.sleep(5);
    const waits = failure(db.execute(insert, [null]));
    expect(await Promise.all(given)).toEqual([
      ["unavailable", true],
      ["unavailable", true],
    ]);
    expect(await waits).toEqual(["unavailable", false]);
    expect(await failure(db.query("SELECT 1"))).toEqual(["unavailable", false]);
    await db.close();
  } finally {
    vi.unstubAllGlobals();
  }
});

test("a worker that fails is replaced: what was acknowledged is there, and everything goes on", async () => {
  const workers: Worker[] = [];
  const Real = Worker;
  class Known extends Real {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      workers.push(this);
    }
  }
  vi.stubGlobal("Worker", Known);
  try {
    const changes: string[] = [];
    const file = newFile();
    const db = await open({
      file,
      changed: ({ up, error, awayMs = -1 }) => changes.push(up ? `back ${awayMs >= 0}` : `${error?.message}`),
    });
    await db.execute(insert, [null]);
    // What no request is like ends it.
    workers[0].postMessage(42);
    const given = await Promise.allSettled([db.execute(insert, [null]), db.query("SELECT 1")]);
    expect(given.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(db.stats()).toMatchObject({ up: false, queued: 0 });
    await expect(db.execute(insert, [null])).rejects.toMatchObject({ code: "unavailable", maybeDone: false });
    await expect.poll(() => db.stats().up, { timeout: 5000 }).toBe(true);
    expect(changes).toEqual([
      expect.stringMatching(/^Cannot use database: the storage worker failed: .*not a function/),
      "back true",
    ]);
    expect(await Promise.all([db.execute(insert, [null]), db.query("SELECT count(*) AS n FROM t")])).toEqual([
      1,
      [{ n: 2 }],
    ]);
    // Nobody else has got in meanwhile, nor does now.
    await expect(openSqlite({ file })).rejects.toMatchObject({ code: "locked" });
    // Closed while it is away.
    workers[1].postMessage(42);
    await expect(db.query("SELECT 1")).rejects.toMatchObject({ code: "unavailable" });
    await db.close();
    await expect
      .poll(() =>
        openSqlite({ file }).then(
          (again) => again.close(),
          () => "no",
        ),
      )
      .toBeUndefined();
    expect(db.stats().up).toBe(false);
  } finally {
    vi.unstubAllGlobals();
  }
});

test("past the bound of the queue new requests fail at once, and those before are done", async () => {
  const db = await open({ maxQueued: 10 });
  const results = await Promise.allSettled(Array.from({ length: 12 }, () => db.execute(insert, [null])));
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
  expect(results[11]).toMatchObject({ reason: { code: "unavailable" } });
  expect(await db.execute(insert, [null])).toBe(1);
  await db.close();
});

test("an idle database moves its commits out of the write-ahead log", async () => {
  const file = newFile();
  const db = await open({ file });
  await db.execute(insert, [kilobytes(64)]);
  const before = Bun.file(file).size;
  await expect.poll(() => Bun.file(file).size, { timeout: 5000 }).toBeGreaterThan(before + 60_000);
  await db.close();
});

test("a database in memory needs no file", async () => {
  const db = await open({ file: ":memory:" });
  expect(await db.execute(insert, [null])).toBe(1);
  await db.close();
});
