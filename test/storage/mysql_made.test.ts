// What is particular to the tables of a MySQL database: those that MongooseIM made there, and migrations that are cut short.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserStore } from "../../core/auth/store.ts";
import { type BareJid, makeBare, parseJid } from "../../core/jid.ts";
import type { Db, StorageError } from "../../core/storage/db.ts";
import { createTable } from "../../core/storage/ddl.ts";
import { openStorage } from "../../core/storage/index.ts";
import { inspect } from "../../core/storage/inspect.ts";
import { MONGOOSEIM_TABLES } from "../../core/storage/migrations/0001_mongooseim.ts";
import type { Migration } from "../../core/storage/migrations/migration.ts";
import { migrate } from "../../core/storage/migrations/runner.ts";
import { openMysql } from "../../core/storage/mysql/client.ts";
import { MYSQL_COLLATION } from "../../core/storage/schema.ts";
import { InboxStore } from "../../modules/mod_inbox/store.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { OfflineStore } from "../../modules/mod_offline/store.ts";
import { PepStore } from "../../modules/mod_pubsub/store.ts";
import { stateOf } from "../../modules/mod_roster/item.ts";
import { RosterStore } from "../../modules/mod_roster/store.ts";
import type { NodeConfig } from "../../modules/pubsub/model.ts";
import { mysqlOptions } from "./db_each.ts";

describe.skipIf(process.env["TEST_MYSQL"] === undefined)("on MySQL", () => {
  /** What tells every character apart: MariaDB's name, and MySQL's. */
  const EXACT = /\butf8mb4_(nopad|0900)_bin$/;
  const name = `made_${crypto.randomUUID().replaceAll("-", "")}`;
  let maintenance: Db;
  let isMariaDb: boolean;
  beforeAll(async () => {
    maintenance = await openMysql(mysqlOptions());
    const [{ version }] = await maintenance.query<{ version: string }>("SELECT VERSION() AS version");
    isMariaDb = version.includes("MariaDB");
  });
  afterAll(() => maintenance.close());

  describe("tables of MongooseIM, which compares as the server does by default", () => {
    let db: Db;
    beforeAll(async () => {
      await maintenance.execute(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
      const maker = await openMysql(mysqlOptions(name));
      for (const table of MONGOOSEIM_TABLES)
        for (const sql of createTable("mysql", table)) await maker.execute(sql.replace(MYSQL_COLLATION, ""));
      await maker.close();
      db = await openStorage({ mysql: mysqlOptions(name) });
    });
    afterAll(async () => {
      await db.close();
      await maintenance.execute(`DROP DATABASE ${name}`);
    });

    test("stay as they are, and ours that refer to them compare alike", async () => {
      const { collations } = await inspect(db);
      expect(collations?.get("users")).toMatch(/_ci$/);
      expect(collations?.get("mongooseim_pubsub_config")).toBe(collations?.get("pubsub_node"));
      expect(collations?.get("mongooseim_invites")).toMatch(EXACT);
    });

    test("keep nodes of publish-subscribe", async () => {
      const store = new PepStore(db);
      const user = makeBare("romeo", "localhost");
      const config = { access_model: "whitelist", max_items: 1 } as NodeConfig;
      const affiliations = new Map([[user.text, "owner" as const]]);
      const node = await store.create({ service: user, name: "n", config, affiliations });
      if (node === undefined) throw new Error("there is such a node");
      await store.publish(node, { id: "i", publisher: user, payload: "<a/>", at: 1 }, { newest: 1, since: 0 });
      expect(await db.query("SELECT item_id FROM pubsub_item")).toEqual([{ item_id: "i" }]);
      await store.removeUser(user);
      expect(await db.query("SELECT node_id FROM mongooseim_pubsub_config")).toEqual([]);
    });

    test("take names that differ in an accent for one, but nobody is let in or removed by the other name", async () => {
      const store = new UserStore(db);
      expect(await store.create("jose", "localhost", { plain: "secret" })).toBe(true);
      expect(await store.create("josé", "localhost", { plain: "other" })).toBe(false);
      expect(await store.exists("josé", "localhost")).toBe(false);
      expect(await store.credentials("josé", "localhost")).toBeUndefined();
      expect(await store.user("josé", "localhost")).toBeUndefined();
      expect(await store.setCredentials("josé", "localhost", { plain: "x" })).toBe(false);
      expect(await store.remove("josé", "localhost")).toBe(false);
      expect(await store.credentials("jose", "localhost")).toEqual({ plain: "secret" });
      expect(await store.setCredentials("jose", "localhost", { plain: "secret" })).toBe(true);
      expect(await store.remove("jose", "localhost")).toBe(true);
    });

    test("take contacts that differ in an accent for one, but none is shown, changed or deleted as the other", async () => {
      const store = new RosterStore(db);
      const user = makeBare("romeo", "localhost");
      const options = { groups: true, version: undefined };
      const contact = (jid: string, groups: string[]) => ({ jid, name: jid, askMessage: "", groups });
      const friend = { ...contact("josé@elsewhere.org", ["Friends"]), state: stateOf("both", "none") };
      const stranger = { ...contact("jose@elsewhere.org", []), state: stateOf("none", "in") };
      await store.write(user, friend, options);
      await store.write(user, friend, options);
      expect(await store.item(user, stranger.jid)).toBeUndefined();
      await expect(store.write(user, stranger, options)).rejects.toMatchObject({ code: "constraint" });
      await store.delete(user, stranger.jid, undefined);
      expect(await store.roster(user)).toEqual([friend]);
      await store.delete(user, friend.jid, undefined);
      await store.write(user, stranger, options);
      expect(await store.roster(user)).toEqual([stranger]);
    });

    test("hold messages of accounts that differ in an accent, and each is given, and has removed, its own", async () => {
      const store = new OfflineStore(db);
      const [jose, josé] = ["jose", "josé"].map((local) => makeBare(local, "localhost"));
      const from = "romeo@localhost/garden";
      for (const to of [jose, josé]) {
        await store.writeMessages(to, { timestamp: 1, expire: undefined, from, packet: `<message to='${to.text}'/>` });
      }
      const waiting = async (whose: BareJid) => (await store.popMessages(whose, 0, 10)).map(({ packet }) => packet);
      for (const whose of [jose, josé]) {
        expect(await waiting(whose)).toEqual([`<message to='${whose.text}'/>`]);
        const places = [await store.quota.take(whose, 2), await store.quota.take(whose, 2)];
        expect(places.map((place) => place !== undefined)).toEqual([true, false]);
      }
      await store.removeUser(jose);
      expect([await waiting(jose), await waiting(josé)]).toEqual([[], [`<message to='${josé.text}'/>`]]);
      await store.removeUser(josé);
    });

    test("hold conversations of those who differ in an accent, and each is shown, changed and removed as its own", async () => {
      const store = new InboxStore(db);
      const failed: unknown[] = [];
      store.events.failed = (error, entries) => void failed.push((error as StorageError).code, entries);
      const [jose, josé] = ["jose", "josé"].map((local) => makeBare(local, "localhost"));
      const [friend, other] = ["rené@elsewhere.org", "rene@elsewhere.org"];
      const said = (msgId: string) => ({ msgId, content: `<message id='${msgId}'/>` });
      await store.setInboxIncrUnread({ user: jose, remote: friend }, said("1"), 1);
      await store.setInboxIncrUnread({ user: jose, remote: friend }, said("2"), 2);
      // There is no place for another one's: it is told, and takes no other along.
      await Promise.all([
        store.setInbox({ user: jose, remote: other }, said("3"), 3),
        store.setInboxIncrUnread({ user: josé, remote: friend }, said("4"), 4),
        store.setInboxIncrUnread({ user: jose, remote: "third@elsewhere.org" }, said("5"), 5),
      ]);
      expect(failed).toEqual(["constraint", 1, "constraint", 1]);
      await store.resetUnread({ user: jose, remote: other }, "2");
      await store.removeInboxRow({ user: jose, remote: other }, false);
      expect(await store.setEntryProperties({ user: josé, remote: friend }, { read: true })).toBeUndefined();
      expect(await store.getFullEntry({ user: jose, remote: other })).toBeUndefined();
      expect(await store.getInbox(josé, { order: "asc" })).toEqual([]);
      await store.removeUser(josé);
      await store.bin.emptyOfUser(josé, 10);
      expect(await store.getInbox(jose, { order: "asc" })).toMatchObject([
        { remote: friend, unread: 2, content: "<message id='2'/>" },
        { remote: "third@elsewhere.org", unread: 1 },
      ]);
      await store.removeUser(jose);
    });

    test("have no archive of an account whose name is longer than their column, and nobody is told of an error", async () => {
      const writer = { enabled: true, batch_size: 1, flush_interval: 0, pool_size: 2 };
      const unfit: bigint[] = [];
      const observer = {
        flushed: () => undefined,
        dropped: () => expect.unreachable("its sender would be told"),
        unfit: (_owner: object, id: bigint) => void unfit.push(id),
      };
      const mam = new MamStore(db).sql({ cache_users: true, async_writer: writer }, observer, Date.now, undefined).sql;
      const from = parseJid("romeo@localhost/a");
      const rest = {
        from,
        remote: from,
        direction: "in",
        groupchat: false,
        searchBody: "",
        originId: undefined,
      } as const;
      const stanza = "<message><body>hi</body></message>";
      await mam.archive({ owner: makeBare("ы".repeat(126), "localhost"), id: 256n, stanza, ...rest });
      expect(unfit).toEqual([256n]);
      const juliet = makeBare("juliet", "localhost");
      await mam.archive({ owner: juliet, id: 512n, stanza, ...rest });
      expect((await mam.lookup(juliet, {}, { dir: "after", max: 5, count: false })).messages).toHaveLength(1);
    });

    test("an account is still found by its key", async () => {
      for (const username of ["a", "b"]) await db.insertNew("users", { server: "localhost", username, password: "x" });
      const one = "server = ? AND username = ? AND CONVERT(username USING utf8mb4) COLLATE utf8mb4_bin = ?";
      const plan = await db.query<{ key: string; type: string }>(
        `EXPLAIN ${isMariaDb ? "" : "FORMAT=TRADITIONAL "}SELECT password FROM users WHERE ${one}`,
        ["localhost", "b", "b"],
      );
      expect(plan.map(({ key, type }) => ({ key, type }))).toEqual([{ key: "PRIMARY", type: "const" }]);
    });
  });

  test("tables of ours tell texts apart by every character", async () => {
    const own = `${name}_own`;
    await maintenance.execute(`CREATE DATABASE ${own} CHARACTER SET latin1`);
    const db = await openStorage({ mysql: mysqlOptions(own) });
    const spaces = ["a", "A", "a ", "á", "🐎"];
    for (const k of spaces) expect(await db.insertNew("mongoose_cluster_id", { k, v: k })).toBe(true);
    for (const k of spaces)
      expect(await db.query("SELECT v FROM mongoose_cluster_id WHERE k = ?", [k])).toEqual([{ v: k }]);
    const { collations } = await inspect(db);
    for (const [table, collation] of collations ?? [])
      if (table !== "mongooseim_migrations") expect(`${table}: ${collation}`).toMatch(EXACT);
    await db.close();
    await maintenance.execute(`DROP DATABASE ${own}`);
  });

  describe("migrations", () => {
    const own = `${name}_migrations`;
    const steps = (id: number, ...sql: string[]): Migration => ({
      id,
      name: `step${id}`,
      statements: ({ tables }) =>
        sql
          .filter((text) => ![...tables.keys()].some((table) => text.startsWith(`CREATE TABLE ${table} `)))
          .map((text) => ({ sql: text })),
    });
    let db: Db;
    beforeAll(async () => {
      await maintenance.execute(`CREATE DATABASE ${own}`);
      db = await openMysql({ ...mysqlOptions(own), poolSize: 2 });
    });
    afterAll(async () => {
      await db.close();
      await maintenance.execute(`DROP DATABASE ${own}`);
    });
    const applied = async () =>
      (await db.query<{ id: number }>("SELECT id FROM mongooseim_migrations")).map((r) => r.id);
    /** The connection that sleeps in a statement. */
    const sleeper = async (): Promise<number> => {
      const sql = "SELECT id FROM information_schema.processlist WHERE db = ? AND state = 'User sleep'";
      return (await maintenance.query<{ id: number }>(sql, [own]))[0]?.id ?? 0;
    };

    test("one that is killed between two statements is not counted, and the next run makes the rest", async () => {
      const first = "CREATE TABLE m1 (a int)";
      const second = "CREATE TABLE m2 (a int)";
      const cut = migrate(db, { migrations: [steps(1, first, "INSERT INTO m1 VALUES (1)", "DO SLEEP(10)", second)] });
      const refused = expect(cut).rejects.toMatchObject({ code: "unavailable" });
      await expect.poll(sleeper).toBeGreaterThan(0);
      await maintenance.execute(`KILL ${await sleeper()}`);
      await refused;
      expect(await applied()).toEqual([]);
      expect(await db.query("SELECT a FROM m1")).toEqual([]);
      const runs = await migrate(db, { migrations: [steps(1, first, "INSERT INTO m1 VALUES (2)", second)] });
      expect(runs).toHaveLength(1);
      expect(await applied()).toEqual([1]);
      expect(await db.query("SELECT a FROM m1")).toEqual([{ a: 2 }]);
    });

    test("a second server waits for the first, and finds it done", async () => {
      const other = await openMysql(mysqlOptions(own));
      const slow = steps(2, "DO SLEEP(1)", "INSERT INTO m1 VALUES (3)");
      const one = migrate(db, { migrations: [slow] });
      await expect.poll(sleeper).toBeGreaterThan(0);
      const two = migrate(other, { migrations: [slow] });
      expect((await Promise.all([one, two])).flat()).toHaveLength(1);
      expect(await db.query("SELECT count(*) AS n FROM m1 WHERE a = 3")).toEqual([{ n: 1 }]);
      await other.close();
    });

    test("what its session was told for it does not stay", async () => {
      const limit = isMariaDb ? "@@max_statement_time" : "@@max_execution_time DIV 1000";
      const limits = await Promise.all(
        Array.from({ length: 4 }, () => db.query(`SELECT @@autocommit AS a, ${limit} AS t, SLEEP(0.05) AS s`)),
      );
      for (const rows of limits) expect(rows).toEqual([{ a: 1, t: 5, s: 0 }]);
    });
  });
});
