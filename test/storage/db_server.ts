// A table of two rows on a test server, and pools of connections that are closed after the test that opened them.
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { openMysql } from "../../core/storage/mysql/client.ts";
import { openPgsql, type PgsqlOptions } from "../../core/storage/pgsql.ts";
import type { ServerOptions } from "../../core/storage/server.ts";
import { mysqlOptions, pgsqlOptions } from "./db_each.ts";

interface Server {
  readonly name: string;
  open(options: ServerOptions): Promise<Db>;
  options(): ServerOptions;
  /** Statements: do nothing for so many seconds, say which connection this is, end one. */
  pause(seconds: number): string;
  /** Reads a table slowly. MySQL lets SLEEP alone return early in place of an error. */
  slow(table: string, seconds: number): string;
  /** Sets `n` to 99, slowly. */
  slowWrite(table: string, seconds: number): string;
  readonly id: string;
  end(id: number): string;
  /** Make an account that may have so many connections; its name, of at most 32 characters, is its password. */
  account(name: string, connections: number): string[];
  dropAccount(name: string): string;
  /** How it refuses a wrong password and the database "nowhere". */
  readonly wrongPassword: string;
  readonly noDatabase: string;
}

export const SERVERS: Readonly<Record<"pgsql" | "mysql", Server>> = {
  pgsql: {
    name: "PostgreSQL",
    open: openPgsql,
    options: pgsqlOptions,
    pause: (seconds) => `SELECT pg_sleep(${seconds})`,
    slow: (table, seconds) => `SELECT pg_sleep(${seconds}) FROM ${table}`,
    slowWrite: (table, seconds) => `UPDATE ${table} SET n = 99 FROM (SELECT pg_sleep(${seconds})) AS slept`,
    id: "SELECT pg_backend_pid() AS id",
    end: (id) => `SELECT pg_terminate_backend(${id})`,
    account: (name, connections) => [`CREATE ROLE ${name} LOGIN PASSWORD '${name}' CONNECTION LIMIT ${connections}`],
    dropAccount: (name) => `DROP ROLE ${name}`,
    wrongPassword: "password authentication failed for user",
    noDatabase: 'database "nowhere" does not exist',
  },
  mysql: {
    name: "MySQL",
    open: openMysql,
    options: mysqlOptions,
    pause: (seconds) => `SELECT SLEEP(${seconds})`,
    slow: (table, seconds) => `SELECT id FROM ${table} WHERE SLEEP(${seconds}) = 0`,
    slowWrite: (table, seconds) => `UPDATE ${table} SET n = 99 WHERE SLEEP(${seconds}) = 0`,
    id: "SELECT CONNECTION_ID() AS id",
    end: (id) => `KILL ${id}`,
    account: (name, connections) => [
      `CREATE USER ${name}@'%' IDENTIFIED BY '${name}' WITH MAX_USER_CONNECTIONS ${connections}`,
      `GRANT SELECT ON *.* TO ${name}@'%'`,
    ],
    dropAccount: (name) => `DROP USER ${name}@'%'`,
    wrongPassword: "Access denied for user",
    noDatabase: "Unknown database 'nowhere'",
  },
};

export interface OnServer {
  /** Has a key `id`, of 1 and 2, and `n`, which is 0 when a test begins. */
  readonly table: string;
  readonly port: number;
  readonly db: Db;
  open(more?: Partial<PgsqlOptions>): Promise<Db>;
}

/** Declares a suite where test/services.sh has started the server. */
export function onServer(dialect: keyof typeof SERVERS, suite: (server: OnServer) => void): void {
  const { name, open, options } = SERVERS[dialect];
  describe.skipIf(process.env[`TEST_${dialect.toUpperCase()}`] === undefined)(`a ${name} server`, () => {
    const table = `t_${crypto.randomUUID().replaceAll("-", "")}`;
    const opened: Db[] = [];
    let db: Db;
    beforeAll(async () => {
      db = await open({ ...options(), statementTimeoutMs: 2000 });
      await db.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, n int NOT NULL)`);
      await db.execute(`INSERT INTO ${table} (id, n) VALUES (1, 0), (2, 0)`);
    });
    afterEach(async () => {
      for (const each of opened.splice(0)) await each.close();
      await db.execute(`UPDATE ${table} SET n = 0`);
    });
    afterAll(async () => {
      await db.execute(`DROP TABLE ${table}`);
      await db.close();
    });
    suite({
      table,
      get port() {
        return options().port ?? 0;
      },
      get db() {
        return db;
      },
      async open(more) {
        const each = await open({ ...options(), ...more });
        opened.push(each);
        return each;
      },
    });
  });
}
