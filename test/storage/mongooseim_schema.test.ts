// Databases of MongooseIM, by version: recognised, brought up to 6.8 where that only adds, and left alone otherwise.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeProblem } from "../../core/storage/check.ts";
import { type Db, type Statement, StorageError } from "../../core/storage/db.ts";
import { openStorage, type StorageOptions } from "../../core/storage/index.ts";
import { inspect } from "../../core/storage/inspect.ts";
import { migrate } from "../../core/storage/migrations/runner.ts";
import { examine } from "../../core/storage/upgrade.ts";
import {
  type MongooseimDialect,
  type MongooseimVersion,
  mongooseimSchema,
  VERSIONS,
} from "../support/mongooseim-ddl.ts";
import { fillMongooseim } from "../support/mongooseim-rows.ts";
import { schemaCtl } from "../support/schema-ctl.ts";
import { mysqlOptions, openEmptyDatabase, pgsqlOptions, serverOptions } from "./db_each.ts";

const MADE_BY: Readonly<Record<MongooseimVersion, string>> = {
  "6.0": "6.0 to 6.1",
  "6.2.0": "6.2.0",
  "6.2.1": "6.2.1 to 6.3.1",
  "6.3.2": "6.3.2 to 6.5",
  "6.6": "6.6 to 6.7",
  "6.8": "6.8",
};

const connectionOf = (dialect: MongooseimDialect) => {
  const { host, port = 0, username, password = "" } = dialect === "pgsql" ? pgsqlOptions() : mysqlOptions();
  return { host, port, username, password };
};

const OURS = /^mongooseim_/;

for (const dialect of ["pgsql", "mysql"] as const) {
  describe.skipIf(process.env[`TEST_${dialect.toUpperCase()}`] === undefined)(`MongooseIM's tables on ${dialect}`, () =>
    suite(dialect),
  );
}

function suite(dialect: MongooseimDialect): void {
  let maintenance: Db;
  const made: string[] = [];
  beforeAll(async () => {
    maintenance = await openEmptyDatabase(dialect);
  });
  afterAll(async () => {
    for (const name of made)
      await maintenance.execute(`DROP DATABASE ${name}${dialect === "pgsql" ? " WITH (FORCE)" : ""}`);
    await maintenance.close();
  });

  /** A database with a version's tables, filled when asked; open without having been looked at. */
  async function database(
    version: MongooseimVersion,
    filled = false,
    characters = dialect === "mysql" ? "CHARACTER SET utf8mb4" : "",
  ): Promise<{ name: string; db: Db }> {
    const name = `mim_${crypto.randomUUID().replaceAll("-", "")}`;
    await maintenance.execute(`CREATE DATABASE ${name} ${characters}`);
    made.push(name);
    const db = await openEmptyDatabase(dialect, name);
    for (const sql of mongooseimSchema(dialect, version)) await db.execute(sql);
    if (filled) await fillMongooseim(db);
    return { name, db };
  }
  const serve = async (name: string): Promise<void> => (await openStorage(serverOptions(dialect, name))).close();
  const script = (step: string): string => `priv/migrations/${dialect}_${step}.sql`;
  const whole = dialect === "pgsql" ? "priv/pg.sql" : "priv/mysql.sql";

  // MariaDB takes seconds for its partitions.
  describe.each(dialect === "pgsql" ? VERSIONS : (["6.0", "6.6"] as const))("of version %s", (version) => {
    test("are recognised, brought up to 6.8, and keep their rows", async () => {
      const { name, db } = await database(version, true);
      const before = await examine(db);
      expect(before.madeBy).toBe(MADE_BY[version]);
      expect(before.problems).toEqual([]);
      const tables = [...(await inspect(db)).tables.keys()];
      const rows = async () => {
        const all = await Promise.all(tables.map((t) => db.query<Record<string, unknown>>(`SELECT * FROM ${t}`)));
        return Object.fromEntries(tables.map((t, i) => [t, all[i].map(({ is_groupchat: _, ...row }) => row)]));
      };
      const kept = await rows();
      await serve(name);
      expect(await rows()).toEqual(kept);
      const after = await examine(db);
      expect([after.madeBy, after.runs, after.problems]).toEqual(["6.8", [], []]);
      const groups = await db.query<{ n: number }>("SELECT count(*) AS n FROM mam_message WHERE is_groupchat");
      expect(Number(groups[0].n)).toBe(0);
      // A second start finds nothing to do.
      await serve(name);
      await db.close();
    });
  });

  test("of 6.2.0 lack two keys that nobody needs: it is told, with the script that makes them", async () => {
    const { db } = await database("6.2.0");
    expect((await examine(db)).notes).toEqual([
      { table: "rostergroups", kind: "key", detail: "server, username, jid, grp", harmless: true },
      { table: "discovery_nodes", kind: "key", detail: "node_name", harmless: true },
    ]);
    await db.close();
  });

  test("of a database without all of Unicode are told, and served", async () => {
    const narrow = dialect === "pgsql" ? "TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'" : "CHARACTER SET latin1";
    const { name, db } = await database("6.8", false, narrow);
    const { notes } = await examine(db);
    const table = dialect === "pgsql" ? "" : expect.stringMatching(/^(?!.*users)(?=.*\bblocklist, ).*\binbox\b/);
    const detail = dialect === "pgsql" ? "LATIN1" : "latin1";
    expect(notes).toEqual([{ table, kind: "characters", detail, harmless: true }]);
    expect(describeProblem(dialect, notes[0])).toMatch(
      dialect === "pgsql"
        ? "the database has no characters but those of LATIN1 (only a new one, with ENCODING UTF8, has more)"
        : /^blocklist, .*, inbox.* have no characters but those of latin1 \(ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4\)$/,
    );
    await serve(name);
    await db.close();
  });

  test("a column of the wrong type is told, and nothing is changed", async () => {
    const { name, db } = await database("6.6");
    await db.execute("DROP TABLE mam_message");
    const [create] = mongooseimSchema(dialect, "6.6").filter((sql) => sql.startsWith("CREATE TABLE mam_message "));
    await db.execute(create.replace(/(message`?) (bytea|mediumblob)/, "$1 text"));
    await expect(serve(name)).rejects.toMatchObject({
      message: `Cannot use database: mam_message.message is text instead of ${dialect === "pgsql" ? "bytea" : "mediumblob"} (see MongooseIM's ${whole})`,
    });
    expect([...(await inspect(db)).tables.keys()].filter((table) => OURS.test(table))).toEqual([]);
    await db.close();
  });

  test("a number that is too narrow is told", async () => {
    const { name, db } = await database("6.8");
    await db.execute(
      dialect === "pgsql"
        ? "ALTER TABLE inbox ALTER COLUMN timestamp TYPE integer"
        : "ALTER TABLE inbox MODIFY timestamp int NOT NULL",
    );
    await expect(serve(name)).rejects.toThrow(/inbox\.timestamp is int(eger)? instead of bigint/);
    await db.close();
  });

  test("a database from before 6.0 is refused with the script that it wants", async () => {
    const { name, db } = await database("6.0");
    await db.execute("ALTER TABLE domain_settings DROP COLUMN status");
    await expect(serve(name)).rejects.toMatchObject({
      message: `Cannot use database: domain_settings.status is missing (see MongooseIM's ${script("5.1.0_6.0.0")})`,
    });
    expect((await examine(db)).madeBy).toBe("before 6.0");
    await db.close();
  });

  test("an upgrade that was cut short goes on, and two servers that start together do it once", async () => {
    const { name, db } = await database("6.0", true);
    const [upgrade] = (await examine(db)).runs.filter(({ id }) => id === 16);
    // As MySQL leaves it, which commits at each definition.
    await db.execute(upgrade.statements[0]);
    await db.execute((await examine(db)).runs[0].statements[1]);
    await Promise.all([serve(name), serve(name), serve(name)]);
    expect((await examine(db)).runs).toEqual([]);
    const applied = await db.query<{ id: number }>("SELECT id FROM mongooseim_migrations");
    expect(new Set(applied.map(({ id }) => id)).size).toBe(applied.length);
    await db.close();
  });

  if (dialect === "mysql") {
    test("an upgrade that is killed after each of its statements is whole in the end", async () => {
      const { name, db } = await database("6.0", true);
      const left = new Set<number>();
      // MySQL commits at each definition: what a killed server leaves is the first of those that it was about to run.
      const killed: Db = new Proxy(db, {
        get(target, key) {
          if (key !== "transaction")
            return Reflect.get(target, key, target).bind?.(target) ?? Reflect.get(target, key, target);
          return async (statements: readonly Statement[]) => {
            const definition = statements.find(({ sql }) => /^(CREATE|ALTER) /.test(sql));
            if (definition === undefined) return target.transaction(statements);
            await target.execute(definition.sql);
            throw new StorageError("unavailable", "killed");
          };
        },
      });
      for (let kills = 0; ; kills++) {
        expect(kills).toBeLessThan(60);
        left.add((await examine(db)).runs.flatMap((run) => run.statements).length);
        const done = await migrate(killed).then(
          () => true,
          (error: StorageError) => !error.message.endsWith(": killed"),
        );
        if (done) break;
      }
      // Each run had less to do than the one before.
      expect(left.size).toBeGreaterThan(20);
      expect((await examine(db)).runs).toEqual([]);
      await serve(name);
      await db.close();
    });

    test("a domain that is there twice stops the upgrade with a line that names the step", async () => {
      const { name, db } = await database("6.8");
      for (const host_type of ["a", "b"])
        await db.insertNew("domain_settings", { domain: "x.org", host_type, status: 1 });
      await expect(serve(name)).rejects.toThrow(
        /^Cannot bring the database up to date \(step 17, mongooseim_keys\): Duplicate entry 'x\.org'/,
      );
      await db.execute("DELETE FROM domain_settings WHERE host_type = 'b'");
      await serve(name);
      await db.close();
    });
  }

  test("mongooseimctl schema says what would be done, and does it", async () => {
    const { name, db } = await database("6.2.0", true);
    const { host, port, username, password } = connectionOf(dialect);
    const dir = mkdtempSync(join(tmpdir(), "schema-"));
    const connection = { driver: dialect, host, port, database: name, username, password };
    const run = (...words: string[]) => schemaCtl(dir, connection, ...words);
    const [before, told] = await run("check");
    expect(before).toBe(4);
    expect(told).toContain(
      `outgoing_pools.rdbms.default (${host}:${port}/${name}): not up to date; tables of MongooseIM 6.2.0\n`,
    );
    expect(told).toContain("discovery_nodes has no unique key (node_name)");
    const [, statements] = await run("upgrade", "--dry-run");
    expect(statements).toContain("ALTER TABLE mam_message ADD COLUMN is_groupchat boolean NOT NULL DEFAULT FALSE;\n");
    expect((await examine(db)).madeBy).toBe("6.2.0");
    expect((await run("upgrade"))[0]).toBe(0);
    expect((await run("check"))[0]).toBe(0);
    // CockroachDB makes other ids unless it is told for each session; PostgreSQL does not know how.
    if (dialect === "pgsql") {
      const [, refused] = await schemaCtl(dir, { ...connection, driver: "cockroachdb" }, "upgrade");
      expect(refused).toContain('unrecognized configuration parameter "serial_normalization"');
    }
    rmSync(dir, { recursive: true });
    await db.close();
  });

  test("a user who may not change the database gets the statements for somebody who may", async () => {
    const { name, db } = await database("6.0", true);
    const user = `u_${crypto.randomUUID().slice(0, 8)}`;
    const grants =
      dialect === "pgsql"
        ? [
            `CREATE ROLE ${user} LOGIN PASSWORD 'x'`,
            `REVOKE CREATE ON SCHEMA public FROM PUBLIC`,
            `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${user}`,
            `GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${user}`,
          ]
        : [
            `CREATE USER '${user}'@'%' IDENTIFIED BY 'x'`,
            `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name}.* TO '${user}'@'%'`,
          ];
    for (const sql of grants) await db.execute(sql);
    const limited = { ...serverOptions(dialect, name) } as Record<string, object>;
    const options = { [dialect]: { ...limited[dialect], username: user, password: "x" } } as unknown as StorageOptions;
    const message = await openStorage(options).then(
      async (opened) => {
        await opened.close();
        return "opened";
      },
      (error: Error) => error.message,
    );
    const [head, ...statements] = message.split("\n");
    expect(head).toMatch(
      /^Cannot bring the database up to date: its user may not \(.+\)\. Let its owner run this, and start again:$/,
    );
    expect(statements.join("\n")).toContain("ALTER TABLE mam_message ADD COLUMN is_groupchat");
    for (const sql of statements) await db.execute(sql.replace(/;$/, ""));
    const opened = await openStorage(options);
    expect((await examine(opened)).runs).toEqual([]);
    await opened.insertNew("blocklist", { luser: "a", lserver: "b", reason: null });
    await opened.close();
    if (dialect === "pgsql") {
      await db.execute(`DROP OWNED BY ${user}`);
      await db.execute(`DROP ROLE ${user}`);
    } else await db.execute(`DROP USER '${user}'@'%'`);
    await db.close();
  });
}
