// What is different with Oracle's MySQL 8, as far as its documentation lets one play it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MysqlOptions, openMysql } from "../../core/storage/mysql/client.ts";
import { FakeMysql } from "./mysql_fake.ts";

describe("MySQL 8", () => {
  const server = new FakeMysql("sécret");
  let options: MysqlOptions;
  beforeAll(async () => {
    const port = await server.listen();
    options = { host: "127.0.0.1", port, database: "d", username: "u", password: "sécret", statementTimeoutMs: 3000 };
  });
  afterAll(() => server.close());

  test("lets in by caching_sha2_password without TLS, and its sessions are set up with its own variables", async () => {
    await (await openMysql(options)).close();
    const [version, set, level] = server.queries;
    expect(version).toBe("SELECT VERSION() AS version, @@max_allowed_packet AS most");
    expect(set).toMatch(/^SET SESSION sql_mode = '[A-Z_,]+', time_zone = '\+00:00', max_execution_time = 3000, /);
    expect(set).not.toContain("max_statement_time");
    expect(level).toBe("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  });

  test("refuses a wrong password", async () => {
    await expect(openMysql({ ...options, password: "wrong" })).rejects.toMatchObject({
      code: "unavailable",
      message: `Cannot reach MySQL at "127.0.0.1:${options.port}": Access denied`,
    });
  });

  test.each([
    ["5.7.44-log", "MySQL 5.7.44-log"],
    ["10.1.48-MariaDB", "10.1.48-MariaDB"],
    ["5.5.5-10.1.48-MariaDB", "5.5.5-10.1.48-MariaDB"],
  ])("%s is refused for its age", async (version, named) => {
    server.version = version;
    await expect(openMysql(options)).rejects.toMatchObject({
      code: "syntax",
      message: `Cannot reach MySQL at "127.0.0.1:${options.port}": ${named} is too old: MySQL 8.0 or MariaDB 10.2 or newer is needed`,
    });
  });

  test.each(["8.0.17", "9.7.0", "5.5.5-10.11.2-MariaDB", "10.2.0-MariaDB", "11.4.2-MariaDB", "what a proxy says"])(
    "%s is new enough",
    async (version) => {
      server.version = version;
      await (await openMysql(options)).close();
    },
  );
});
