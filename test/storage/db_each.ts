// Runs a store's suite on every database there is: SQLite always, PostgreSQL and MariaDB where test/services.sh started
// them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { openStorage, type StorageOptions } from "../../core/storage/index.ts";
import type { MysqlOptions } from "../../core/storage/mysql/client.ts";
import { openPgsql, type PgsqlOptions } from "../../core/storage/pgsql.ts";
import { openSqlite } from "../../core/storage/sqlite/client.ts";

export interface TestDatabase {
  readonly dialect: "sqlite" | "pgsql" | "mysql";
  /** Opens the suite's database with MongooseIM's tables; closed after the suite. */
  open(): Promise<Db>;
  /** The same without any table made. */
  openEmpty(): Promise<Db>;
}

const pgsql = process.env["TEST_PGSQL"];
const mysql = process.env["TEST_MYSQL"];

/** How to reach a database of the test server. */
export const pgsqlOptions = (database?: string): PgsqlOptions => optionsOf(pgsql, database);
export const mysqlOptions = (database?: string): MysqlOptions => optionsOf(mysql, database);

/** Its client is loaded when it is wanted, as the server does. */
const openMysql = async (options: MysqlOptions): Promise<Db> =>
  (await import("../../core/storage/mysql/client.ts")).openMysql(options);

function optionsOf(server: string | undefined, database: string | undefined) {
  if (server === undefined) throw new Error("test/services.sh has not started this database");
  const url = new URL(server);
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
  describe.skipIf(pgsql === undefined)(`${title} on pgsql`, () => {
    serverSuite(suite, {
      dialect: "pgsql",
      drop: (name) => `DROP DATABASE ${name} WITH (FORCE)`,
      open: (database) => openStorage({ pgsql: pgsqlOptions(database) }),
      openEmpty: (database) => openPgsql({ ...pgsqlOptions(database), statementTimeoutMs: 30_000 }),
    });
  });
  describe.skipIf(mysql === undefined)(`${title} on mysql`, () => {
    serverSuite(suite, {
      dialect: "mysql",
      drop: (name) => `DROP DATABASE ${name}`,
      open: (database) => openStorage({ mysql: mysqlOptions(database) }),
      openEmpty: (database) => openMysql({ ...mysqlOptions(database), statementTimeoutMs: 30_000 }),
    });
  });
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

interface Server {
  dialect: "pgsql" | "mysql";
  /** The statement that removes a database. */
  drop(name: string): string;
  /** Without a name, the server's maintenance database. */
  open(database: string): Promise<Db>;
  openEmpty(database?: string): Promise<Db>;
}

function serverSuite(suite: (database: TestDatabase) => void, server: Server): void {
  const opened: Db[] = [];
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const onServer = async (sql: string) => {
    const db = await server.openEmpty();
    await db.execute(sql);
    await db.close();
  };
  beforeAll(() => onServer(`CREATE DATABASE ${name}`));
  afterAll(async () => {
    for (const db of opened) await db.close();
    await onServer(server.drop(name));
  });
  const keep = (db: Db) => {
    opened.push(db);
    return db;
  };
  suite({
    dialect: server.dialect,
    open: async () => keep(await server.open(name)),
    openEmpty: async () => keep(await server.openEmpty(name)),
  });
}

/** How the server opens a database of a test server; slow definitions are given their time. */
export function serverOptions(dialect: "pgsql" | "mysql", database?: string): StorageOptions {
  const patient = { statementTimeoutMs: 30_000 };
  return dialect === "pgsql"
    ? { pgsql: { ...pgsqlOptions(database), ...patient } }
    : { mysql: { ...mysqlOptions(database), ...patient } };
}

/** A database of a test server as it is; without a name, the one for maintenance. */
export function openEmptyDatabase(dialect: "pgsql" | "mysql", database?: string): Promise<Db> {
  const options = serverOptions(dialect, database);
  return "pgsql" in options ? openPgsql(options.pgsql) : openMysql((options as { mysql: MysqlOptions }).mysql);
}
