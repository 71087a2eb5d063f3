// A whole server whose accounts, rosters and messages are in MariaDB; and what it does when that is killed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { openMysql } from "../../core/storage/mysql/client.ts";
import { show } from "../support/match.ts";
import { StoryServer } from "../support/story-server.ts";
import { MysqlProcess } from "./mysql_process.ts";
import { answerTo, isMissedByNobody, keepsAllOf, keptIn, survives, usersOf } from "./server_suite.ts";

describe.skipIf(process.env["TEST_MYSQL"] === undefined)("a server on MySQL", () => {
  let mysql: MysqlProcess;
  let db: Db;
  let server: StoryServer;
  const users = usersOf(() => server);

  const configured = (password = mysql.password) =>
    keptIn({
      ...{ driver: "mysql", host: "127.0.0.1", port: mysql.port, database: "test", username: "tls", password },
      tls: { verify_mode: "none" },
    });
  beforeAll(async () => {
    mysql = new MysqlProcess();
    await mysql.start();
    server = await StoryServer.start(configured());
    const { port, password } = mysql;
    db = await openMysql({ host: "127.0.0.1", port, database: "test", username: "test", password, maxPauseMs: 500 });
  }, 60_000);
  afterAll(async () => {
    await server.close();
    await db.close();
    await mysql.remove();
  });

  test("keeps accounts, rosters, vCards, private elements and last activity there, over TLS", () =>
    keepsAllOf("juliet", users, db));

  test("names that differ in an accent only are different accounts", async () => {
    await users.account("jose");
    await users.account("josé");
    const jose = await users.online("jose");
    jose.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="nurse@localhost"/></query></iq>`;
    expect((await answerTo(jose, "r")).attrs["type"]).toBe("result");
    const other = await users.online("josé");
    other.sends`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`;
    expect(show(await answerTo(other, "r"))).not.toContain("nurse");
  });

  test(
    "while MySQL is killed clients are told what cannot be done, and nothing stored is lost",
    () => survives({ name: "killed", fail: () => mysql.kill(), mend: () => mysql.start(), doneLater: "never" }, users),
    60_000,
  );

  test(
    "a restart of MySQL is missed by nobody",
    () => isMissedByNobody({ name: "restarted", fail: () => mysql.kill(), mend: () => mysql.start() }, users),
    60_000,
  );

  test("does not wait for a database that lets it not in, and says so in one line", async () => {
    const started = performance.now();
    await expect(server.restarts(configured("wrong"))).rejects.toThrow(
      /^Cannot reach MySQL at "127\.0\.0\.1:\d+": Access denied for user [^\n]+$/,
    );
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
