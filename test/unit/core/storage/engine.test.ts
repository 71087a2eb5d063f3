import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SqliteEngine, takeLock } from "../../../../core/storage/sqlite/engine.ts";
import {
  CHANGES,
  FAILED,
  LIST,
  QUERY,
  ROWS,
  RUN,
  RUN_MANY,
  TRANSACTION,
  type Wire,
} from "../../../../core/storage/sqlite/protocol.ts";

let engine: SqliteEngine;
const INSERT = "INSERT INTO t VALUES (?, ?)";
const SELECT = "SELECT a, b FROM t ORDER BY a";

beforeEach(() => {
  engine = new SqliteEngine({ file: ":memory:", synchronous: "full", cacheKib: 256, busyTimeoutMs: 0, maxBytes: 0 });
  run([RUN, 0, 0], ["CREATE TABLE t (a INTEGER PRIMARY KEY, b)"]);
});
afterEach(() => engine.close());

/** Runs operations whose statements are numbered from 1: 0 is that of beforeEach. */
function run(operations: Wire, texts: string[]): Wire {
  return engine.run([0, 2 + operations.length, ...operations, ...texts]).slice(2);
}

test("rows come back flat, with their columns' names", () => {
  const reply = run([RUN, 1, 2, 1, "x", RUN, 1, 2, 2, null, QUERY, 2, 0], [INSERT, SELECT]);
  expect(reply).toEqual([CHANGES, 1, CHANGES, 1, ROWS, 2, 2, "a", "b", 1, "x", 2, null]);
});

test("an integer past 2^53 is a bigint, and one within is a number", () => {
  const reply = run([QUERY, 1, 2, 2n ** 53n, 2n ** 53n - 1n], ["SELECT ? AS x, ? AS y"]);
  expect(reply).toEqual([ROWS, 2, 1, "x", "y", 2n ** 53n, 2 ** 53 - 1]);
});

test("an integer past 64 bits breaks a constraint", () => {
  expect(run([QUERY, 1, 1, 2n ** 64n], ["SELECT ?"]).slice(0, 2)).toEqual([FAILED, "constraint"]);
});

test("a failing operation fails alone", () => {
  const reply = run([RUN, 1, 2, 1, "x", RUN, 1, 2, 1, "y", RUN, 1, 2, 2, "z"], [INSERT]);
  expect(reply).toEqual([CHANGES, 1, FAILED, "constraint", "UNIQUE constraint failed: t.a", CHANGES, 1]);
});

test("many rows are inserted all or none", () => {
  const reply = run([RUN_MANY, 1, 2, 2, 1, "x", 1, "y", QUERY, 2, 0, RUN_MANY, 1, 2, 1, 3, "z"], [INSERT, SELECT]);
  expect(reply).toEqual([FAILED, "constraint", "UNIQUE constraint failed: t.a", ROWS, 2, 0, "a", "b", CHANGES, 1]);
});

test("a transaction is done whole or not at all", () => {
  const good = [TRANSACTION, 2, 1, 2, 1, "x", 1, 2, 2, "y"];
  const bad = [TRANSACTION, 2, 1, 2, 3, "x", 1, 2, 1, "y"];
  const reply = run([...good, ...bad, QUERY, 2, 0], [INSERT, "SELECT count(*) AS n FROM t"]);
  expect(reply).toEqual([LIST, 2, 1, 1, FAILED, "constraint", "UNIQUE constraint failed: t.a", ROWS, 1, 1, "n", 2]);
});

test("a wrong number of parameters is a wrong statement", () => {
  expect(run([RUN, 1, 1, 1], [INSERT]).slice(0, 2)).toEqual([FAILED, "syntax"]);
});

test("a reset starts the list of statements anew", () => {
  run([QUERY, 1, 0], ["SELECT 1"]);
  expect(engine.run([1, 5, QUERY, 0, 0, "SELECT 7 AS n"]).slice(2)).toEqual([ROWS, 1, 1, "n", 7]);
});

test("a batch that only reads leaves nothing to checkpoint", () => {
  engine.checkpoint();
  run([QUERY, 1, 0], [SELECT]);
  expect(engine.dirty).toBe(false);
  run([RUN, 2, 2, 1, "x"], [INSERT]);
  expect(engine.dirty).toBe(true);
});

test("WITH may lead a statement that writes", () => {
  run([QUERY, 1, 0], ["WITH one AS (SELECT 1 AS a) INSERT INTO t SELECT a, 'w' FROM one RETURNING a"]);
  expect(engine.dirty).toBe(true);
});

/** For root a file's mode means nothing. */
const unprivileged =
  process.getuid?.() === 0
    ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", process.execPath]
    : [process.execPath];
const engineFile = JSON.stringify(join(import.meta.dirname, "../../../../core/storage/sqlite/engine.ts"));
const runs = (code: string) =>
  Bun.spawnSync([...unprivileged, "-e", code], { cwd: "/", stdout: "pipe", stderr: "pipe" });

test.skipIf(!runs(`await import(${engineFile})`).success)(
  "a lock that this user may only read is none: it would keep nobody out",
  () => {
    const dir = mkdtempSync(join(tmpdir(), "lock-"));
    const file = join(dir, "mongooseim.db");
    writeFileSync(`${file}.lock`, "");
    chmodSync(`${file}.lock`, 0o444);
    chmodSync(dir, 0o755);
    const tries = `const { takeLock } = await import(${engineFile});
      try { takeLock(${JSON.stringify(file)}); console.log("taken"); } catch (error) { console.log(error.message); }`;
    expect(runs(tries).stdout.toString().trimEnd()).toBe(
      `Cannot open database "${file}": this user may not write to "${file}.lock"; give it to the user that runs the server`,
    );
    rmSync(dir, { recursive: true });
  },
);

test("a lock is one user's at a time, and leaves nothing beside it", () => {
  const dir = mkdtempSync(join(tmpdir(), "lock-"));
  const file = join(dir, "mongooseim.db");
  const lock = takeLock(file);
  expect(() => takeLock(file)).toThrow(/another server is using it/);
  lock.close();
  takeLock(file).close();
  expect(readdirSync(dir)).toEqual(["mongooseim.db.lock"]);
  rmSync(dir, { recursive: true });
});

test("a new database, its log and its lock are for nobody else to read, whatever the directory", () => {
  const dir = mkdtempSync(join(tmpdir(), "private-"));
  const settings = { synchronous: "full", cacheKib: 256, busyTimeoutMs: 0, maxBytes: 0 } as const;
  const made = new SqliteEngine({ file: join(dir, "mongooseim.db"), ...settings });
  made.run([0, 5, RUN, 0, 0, "CREATE TABLE t (a)"]);
  const modes = readdirSync(dir).map((name) => [name, statSync(join(dir, name)).mode & 0o777]);
  expect(modes.sort()).toEqual(["", "-shm", "-wal", ".lock"].map((end) => [`mongooseim.db${end}`, 0o600]).sort());
  made.close();
  rmSync(dir, { recursive: true });
});
