// Runs a store's suite on every database there is: SQLite always, PostgreSQL where test/services.sh started one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { openStorage } from "../../core/storage/index.ts";
import { openPgsql, type PgsqlOptions } from "../../core/storage/pgsql.ts";
import { openSqlite } from "../../core/storage/sqlite/client.ts";

export interface TestDatabase {
  readonly dialect: "sqlite" | "pgsql";
  /** Opens the suite's database with MongooseIM's tables; closed after the suite. */
  open(): Promise<Db>;
  /** The same without any table made. */
  openEmpty(): Promise<Db>;
}

const server = process.env["TEST_PGSQL"];

/** How to reach a database of the test server. */
export function pgsqlOptions(database?: string): PgsqlOptions {
  const url = new URL(server as string);
  return {
    host: url.hostname,
    port: Number(url.port),
    username: url.username,
    password: url.password,
    database: database ?? url.pathname.slice(1),
    poolSize: 4,
  };
}

/** Declares a suite once for each database; each run has a fresh database of its own. */
export function onEachDatabase(title: string, suite: (database: TestDatabase) => void): void {
  describe(`${title} on sqlite`, () => sqliteSuite(suite));
  describe.skipIf(server === undefined)(`${title} on pgsql`, () => pgsqlSuite(suite));
}

function sqliteSuite(suite: (database: TestDatabase) => void): void {
  const opened: Db[] = [];
  const dir = mkdtempSync(join(tmpdir(), "mongooseim-db-"));
  afterAll(async () => {
    for (const db of opened) await db.close();
    rmSync(dir, { recursive: true });
  });
  const keep = (db: Db) => {
    opened.push(db);
    return db;
  };
  suite({
    dialect: "sqlite",
    open: async () => keep(await openStorage({ stateDir: dir })),
    openEmpty: async () => keep(await openSqlite({ file: join(dir, "mongooseim.db") })),
  });
}

function pgsqlSuite(suite: (database: TestDatabase) => void): void {
  const opened: Db[] = [];
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const onServer = async (sql: string) => {
    const db = await openPgsql({ ...pgsqlOptions(), statementTimeoutMs: 30_000 });
    await db.execute(sql);
    await db.close();
  };
  beforeAll(() => onServer(`CREATE DATABASE ${name}`));
  afterAll(async () => {
    for (const db of opened) await db.close();
    await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
  });
  const keep = (db: Db) => {
    opened.push(db);
    return db;
  };
  suite({
    dialect: "pgsql",
    open: async () => keep(await openStorage({ pgsql: pgsqlOptions(name) })),
    openEmpty: async () => keep(await openPgsql(pgsqlOptions(name))),
  });
}
