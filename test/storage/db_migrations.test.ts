// Migrations on each database: made once, continued when interrupted, and gentle to what is there.
import { expect, test } from "vitest";
import { checkSchema } from "../../core/storage/check.ts";
import type { Db } from "../../core/storage/db.ts";
import { inspect } from "../../core/storage/inspect.ts";
import { MONGOOSEIM_TABLES } from "../../core/storage/migrations/0001_mongooseim.ts";
import { MIGRATIONS } from "../../core/storage/migrations/index.ts";
import type { Migration } from "../../core/storage/migrations/migration.ts";
import { migrate } from "../../core/storage/migrations/runner.ts";
import { onEachDatabase } from "./db_each.ts";

const step = (id: number, ...statements: string[]): Migration => ({
  id,
  name: `step${id}`,
  statements: () => statements.map((sql) => ({ sql })),
});
const tables = async (db: Db) => [...(await inspect(db)).tables.keys()].filter((name) => !name.startsWith("sqlite_"));

const refused = (script: string): string =>
  `Cannot use database: last.seconds is missing (see MongooseIM's ${script}); last.state is missing ` +
  `(see MongooseIM's ${script}); last has no unique key (server, username) (see MongooseIM's ${script})`;

onEachDatabase("a database of the first version", (database) => {
  test("gets the tables that have come since, and keeps its rows", async () => {
    const db = await database.openEmpty();
    const first = MIGRATIONS.filter(({ id }) => id <= 2);
    expect((await migrate(db, { migrations: first })).map(({ id }) => id)).toEqual([1, 2]);
    const user = { server: "localhost", username: "romeo" };
    await db.insertNew("users", { ...user, password: "secret" });
    await db.insertNew("rosterusers", {
      ...user,
      jid: "juliet@localhost",
      nick: "Żuliet",
      subscription: "B",
      ask: "N",
      askmessage: "",
    });
    await db.insertNew("rostergroups", { ...user, jid: "juliet@localhost", grp: "Capulets" });
    await db.insertNew("vcard", { ...user, vcard: "<vCard xmlns='vcard-temp'/>" });
    await db.insertNew("offline_message", { timestamp: 1, ...user, from_jid: "a@b", packet: "<message/>" });
    const kept = ["users", "rosterusers", "rostergroups", "vcard", "offline_message"];
    const rows = () => Promise.all(kept.map((table) => db.query(`SELECT * FROM ${table}`)));
    const before = await rows();
    expect(before.map(({ length }) => length)).toEqual([1, 1, 1, 1, 1]);
    const since = MIGRATIONS.filter(({ id }) => id > 2);
    expect((await migrate(db)).map(({ id }) => id)).toEqual(since.map(({ id }) => id));
    expect(await rows()).toEqual(before);
    expect(await tables(db)).toEqual(expect.arrayContaining(["mongooseim_invites", "mongooseim_pubsub_config"]));
    expect(await checkSchema(db, MONGOOSEIM_TABLES)).toEqual([]);
  });
});

onEachDatabase("migrations", (database) => {
  // The tests follow one database through its life, in this order.
  let db: Db;

  test("a dry run tells every statement and does none", async () => {
    db = await database.openEmpty();
    const [run] = await migrate(db, { dryRun: true });
    expect(run).toMatchObject({ id: 1, name: "mongooseim_tables" });
    expect(run.statements.join("\n")).toContain("CREATE TABLE IF NOT EXISTS users");
    expect(await tables(db)).toEqual([]);
  });

  test("a table that lacks columns is left as it is, and its problems are told", async () => {
    await db.execute("CREATE TABLE last (username varchar(250), server varchar(250), extra text)");
    await migrate(db);
    expect((await checkSchema(db, MONGOOSEIM_TABLES)).filter(({ kind }) => kind === "missing")).toEqual([
      { table: "last", column: "seconds", kind: "missing" },
      { table: "last", column: "state", kind: "missing" },
    ]);
  });

  test("a database that lacks columns is not served", async () => {
    // The embedded database is locked by the connection above.
    if (database.dialect === "sqlite") await db.close();
    await expect(database.open()).rejects.toMatchObject({
      message: {
        sqlite: "Cannot use database: last.seconds is missing; last.state is missing",
        pgsql: refused("priv/pg.sql"),
        mysql: refused("priv/mysql.sql"),
      }[database.dialect],
    });
    if (database.dialect === "sqlite") db = await database.openEmpty();
  });

  test("the tables of an existing MongooseIM database stay, with their rows", async () => {
    await db.execute("DELETE FROM mongooseim_migrations");
    await db.insertNew("domain_admins", { domain: "localhost", pass_details: "x" });
    await db.execute("DROP TABLE last");
    await db.execute("DROP TABLE blocklist");
    const [run] = await migrate(db);
    const made = run.statements.filter((sql) => sql.startsWith("CREATE TABLE"));
    expect(made.map((sql) => sql.split(" ")[5])).toEqual(["last", "blocklist"]);
    expect(await db.query("SELECT pass_details FROM domain_admins")).toEqual([{ pass_details: "x" }]);
    expect(await checkSchema(db, MONGOOSEIM_TABLES)).toEqual([]);
  });

  test("a second run does nothing", async () => {
    expect(await migrate(db)).toEqual([]);
  });

  test("a migration that fails leaves nothing (but what MySQL commits at once), and the next run continues with it", async () => {
    const first = step(101, "CREATE TABLE m1 (a int)");
    const broken = step(102, "CREATE TABLE m2 (a int)", "INSERT INTO m9 VALUES (1)");
    await expect(migrate(db, { migrations: [first, broken] })).rejects.toMatchObject({ code: "syntax" });
    const left = await tables(db);
    expect([left.includes("m1"), left.includes("m2")]).toEqual([true, database.dialect === "mysql"]);
    const runs = await migrate(db, { migrations: [first, step(102, "CREATE TABLE IF NOT EXISTS m2 (a int)")] });
    expect(runs.map(({ id }) => id)).toEqual([102]);
  });

  test("of servers that start together one runs the migration", async () => {
    const other = database.dialect === "sqlite" ? db : await database.openEmpty();
    const late = step(103, "CREATE TABLE m3 (a int)");
    const runs = await Promise.all([migrate(db, { migrations: [late] }), migrate(other, { migrations: [late] })]);
    expect(runs.flat()).toHaveLength(1);
  });
});
