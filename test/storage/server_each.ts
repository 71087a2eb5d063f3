// Runs a suite against a whole server on every database there is, each with a database of its own.
import { afterAll, beforeAll, describe } from "vitest";
import { type Changes, StoryServer } from "../support/story-server.ts";
import { mysqlOptions, openEmptyDatabase, pgsqlOptions } from "./db_each.ts";

const SERVERS = [
  { dialect: "pgsql", there: process.env["TEST_PGSQL"] !== undefined, at: pgsqlOptions, drop: " WITH (FORCE)" },
  { dialect: "mysql", there: process.env["TEST_MYSQL"] !== undefined, at: mysqlOptions, drop: "" },
] as const;

/**
 * Declares a suite once for each database.
 * @param changes to the usual configuration of stories; what has backend "rdbms" is then in that database
 * @param suite is given the server, once its tests run
 */
export function onEachServer(title: string, changes: Changes, suite: (server: () => StoryServer) => void): void {
  describe(`${title} on sqlite`, () => started(changes, suite));
  for (const { dialect, there, at, drop } of SERVERS) {
    describe.skipIf(!there)(`${title} on ${dialect}`, () => {
      if (!there) return;
      const database = `test_${crypto.randomUUID().replaceAll("-", "")}`;
      const onServer = async (sql: string): Promise<void> => {
        const db = await openEmptyDatabase(dialect);
        await db.execute(sql);
        await db.close();
      };
      beforeAll(() => onServer(`CREATE DATABASE ${database}`));
      afterAll(() => onServer(`DROP DATABASE ${database}${drop}`));
      const { host = "", port = 0, username, password } = at();
      const connection = { driver: dialect, host, port, username, password: `${password}`, database };
      started({ ...changes, outgoing_pools: { rdbms: { default: { workers: 4, connection } } } }, suite);
    });
  }
}

function started(changes: Changes, suite: (server: () => StoryServer) => void): void {
  let server: StoryServer;
  beforeAll(async () => {
    server = await StoryServer.start(changes);
  }, 60_000);
  afterAll(() => server?.close());
  suite(() => server);
}
