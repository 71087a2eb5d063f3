// PostgreSQL databases in which MongooseIM's tables are not alone, or not all the user's to use.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { openStorage } from "../../core/storage/index.ts";
import { examine } from "../../core/storage/upgrade.ts";
import { mongooseimSchema } from "../support/mongooseim-ddl.ts";
import { openEmptyDatabase, pgsqlOptions } from "./db_each.ts";

describe.skipIf(process.env["TEST_PGSQL"] === undefined)("a PostgreSQL database", () => {
  let maintenance: Db;
  const made: string[] = [];
  const user = `u_${crypto.randomUUID().slice(0, 8)}`;
  beforeAll(async () => {
    maintenance = await openEmptyDatabase("pgsql");
    await maintenance.execute(`CREATE ROLE ${user} LOGIN PASSWORD 'x'`);
  });
  afterAll(async () => {
    for (const name of made) await maintenance.execute(`DROP DATABASE ${name} WITH (FORCE)`);
    await maintenance.execute(`DROP ROLE ${user}`);
    await maintenance.close();
  });

  /** A database with MongooseIM's tables in the first schema of the search path; `others` come before them. */
  async function database(path: string, others: readonly string[] = []): Promise<{ name: string; db: Db }> {
    const name = `mim_${crypto.randomUUID().replaceAll("-", "")}`;
    await maintenance.execute(`CREATE DATABASE ${name}`);
    made.push(name);
    const first = await openEmptyDatabase("pgsql", name);
    for (const sql of others) await first.execute(sql);
    await first.execute(`ALTER DATABASE ${name} SET search_path = ${path}`);
    await first.close();
    const db = await openEmptyDatabase("pgsql", name);
    for (const sql of mongooseimSchema("pgsql", "6.0")) await db.execute(sql);
    return { name, db };
  }
  const serve = async (name: string, login: object = {}): Promise<void> =>
    (await openStorage({ pgsql: { ...pgsqlOptions(name), ...login } })).close();
  const limited = { username: user, password: "x" };

  test("of two schemas on the search path the first one's tables are looked at", async () => {
    const { name, db } = await database("xmpp, public", [
      "CREATE SCHEMA xmpp",
      "CREATE TABLE public.users (id serial PRIMARY KEY, username integer)",
      // What an old trial of MongooseIM has left.
      "CREATE TABLE public.mam_message (is_groupchat boolean)",
    ]);
    await serve(name);
    const [{ n }] = await db.query<{ n: number }>("SELECT count(*) AS n FROM mam_message WHERE NOT is_groupchat");
    expect(n).toBe(0);
    expect((await examine(db)).runs).toEqual([]);
    await db.close();
  });

  test("tables that the user may not use are told, with what mends it, before anything is changed", async () => {
    const { name, db } = await database("public");
    await db.execute(`GRANT CREATE ON SCHEMA public TO ${user}`);
    const cure = [
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${user}`,
      `GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${user}`,
    ];
    const words = (tables: string) =>
      `Cannot use database: user ${user} may not read and write ${tables} (let their owner run ${cure.join("; ")})`;
    for (const sql of cure) await db.execute(sql);
    await db.execute(`REVOKE ALL ON users FROM ${user}`);
    await db.execute(`REVOKE UPDATE ON last FROM ${user}`);
    const refused = serve(name, limited);
    await expect(refused).rejects.toThrow(/ may not read and write (users, last|last, users) \(/);
    await db.execute(`GRANT UPDATE ON last TO ${user}`);
    await expect(serve(name, limited)).rejects.toMatchObject({ message: words("users") });
    // Nothing has been made meanwhile.
    const tables = await db.query("SELECT relname FROM pg_class WHERE relname LIKE 'mongooseim%'");
    expect(tables).toEqual([]);
    await serve(name);
    // By the owner: the user had no right to the tables that have come.
    await db.execute(`REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ${user}`);
    await expect(serve(name, limited)).rejects.toThrow(/mongooseim_migrations/);
    // Without the second statement rows that are numbered could be read and not be made.
    await db.execute(cure[0]);
    await expect(serve(name, limited)).rejects.toThrow(
      / may not use .*\bbroadcast_jobs_id_seq\b.* \(let their owner run /,
    );
    await db.execute(cure[1]);
    await serve(name, limited);
    await db.execute(`DROP OWNED BY ${user}`);
    await db.close();
  });

  test("an index that carries more columns is a key, one that is looked at only in the end is none", async () => {
    const { name, db } = await database("public");
    await db.execute("ALTER TABLE last DROP CONSTRAINT last_pkey");
    await db.execute("CREATE UNIQUE INDEX last_key ON last (server, username) INCLUDE (seconds)");
    await serve(name);
    await db.execute("DROP INDEX last_key");
    await db.execute("ALTER TABLE last ADD PRIMARY KEY (server, username) DEFERRABLE");
    await expect(serve(name)).rejects.toThrow(/last has no unique key \(server, username\)/);
    await db.close();
  });

  test("what it says of how values are written changes nothing", async () => {
    const { name, db } = await database("public");
    await db.close();
    for (const setting of ["bytea_output = escape", "datestyle = German", "timezone = 'Asia/Tokyo'"])
      await maintenance.execute(`ALTER DATABASE ${name} SET ${setting}`);
    const served = await openStorage({ pgsql: pgsqlOptions(name) });
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const row = { box: "inbox", muted_until: 0, unread_count: 0, timestamp: 1, msg_id: "", remote_bare_jid: "b@x" };
    await served.insertNew("inbox", { luser: "a", lserver: "x", content: bytes, ...row });
    const found = await served.query<{ content: Uint8Array; at: string }>(
      "SELECT content, TIMESTAMP '2024-03-02 01:02:03' AS at FROM inbox",
    );
    expect(found).toEqual([{ content: bytes, at: "2024-03-02 01:02:03" }]);
    await served.close();
  });

  test("one that is read-only is not brought up to date, and the step is named", async () => {
    const { name, db } = await database("public");
    await db.execute(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await expect(serve(name)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /^Cannot bring the database up to date \(step 1, mongooseim_tables\): .*read-only/,
      ),
    });
    await db.close();
  });
});
