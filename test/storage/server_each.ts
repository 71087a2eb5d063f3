// Runs a suite against a whole server on every database there is, each with a database of its own.
import { afterAll, beforeAll, describe } from "vitest";
import { OwnDatabase } from "../support/story-database.ts";
import { type Changes, StoryServer } from "../support/story-server.ts";

const SERVERS = [
  { dialect: "pgsql", there: process.env["TEST_PGSQL"] !== undefined },
  { dialect: "mysql", there: process.env["TEST_MYSQL"] !== undefined },
] as const;

/**
 * Declares a suite once for each database.
 * @param changes to the usual configuration of stories; what has backend "rdbms" is then in that database
 * @param suite is given the server, once its tests run
 */
export function onEachServer(title: string, changes: Changes, suite: (server: () => StoryServer) => void): void {
  describe(`${title} on sqlite`, () => started(async () => changes, suite));
  for (const { dialect, there } of SERVERS) {
    describe.skipIf(!there)(`${title} on ${dialect}`, () => {
      let database: OwnDatabase | undefined;
      afterAll(() => database?.drop());
      started(async () => {
        database = await OwnDatabase.create(dialect);
        return { ...changes, outgoing_pools: database.pools };
      }, suite);
    });
  }
}

function started(changes: () => Promise<Changes>, suite: (server: () => StoryServer) => void): void {
  let server: StoryServer;
  beforeAll(async () => {
    server = await StoryServer.start(await changes());
  }, 60_000);
  afterAll(() => server?.close());
  suite(() => server);
}
