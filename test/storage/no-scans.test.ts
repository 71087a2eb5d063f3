// Nobody's request reads the rows of everybody: each statement of a store that is about one user finds its rows by an
// index that leads to that user.
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserStore } from "../../core/auth/store.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { BATCH, PAGE } from "../../core/storage/batches.ts";
import type { Db, SqlValue } from "../../core/storage/db.ts";
import { openPgsql } from "../../core/storage/pgsql.ts";
import { MODULES } from "../../modules/index.ts";
import type { PepStore } from "../../modules/mod_pubsub/store.ts";
import { nodeDefaults } from "../../modules/mod_pubsub_old/plugins.ts";
import { manyTimes } from "../support/many-times.ts";
import { whole } from "../support/personal.ts";
import { type Access, accesses, noting } from "../support/statements.ts";
import { onEachDatabase, pgsqlOptions, type TestDatabase } from "./db_each.ts";
import { FILL } from "./fill.ts";
import { READ } from "./reads.ts";

/** Columns that many rows share: an index by these alone reads a whole domain, or more. */
const SHARED = new Set(
  `server lserver service_domain publisher_domain subscriber_domain entity_domain created_lserver modified_lserver box aff
   type kind access_model`.split(/\s+/),
);

/** What may read more than a user's rows, by the beginning of a statement, and why. */
const ALLOWED: readonly { readonly sql: RegExp; readonly why: string }[] = [
  { sql: /FROM broadcast_jobs/, why: "about an administrator's broadcasts, of which a domain has few" },
  {
    sql: /^DELETE FROM mongooseim_invites WHERE expires_at <= \?$/,
    why: "by an index of times, those that have ended",
  },
];

const keeping = MODULES.filter((module) => module.store !== undefined);
const OTHERS = 100;

onEachDatabase("what is about one user", (database: TestDatabase) => {
  const USER = makeBare("user", "one.example");
  let db: Db;
  let planner: Db;
  let statements: Map<string, readonly SqlValue[]>;

  const storesOn = (on: Db): Map<string, PersonalStore> => {
    const stores = new Map(keeping.map((module) => [module.name, module.store?.(on) as PersonalStore]));
    (stores.get("mod_pubsub") as PepStore).defaults = nodeDefaults("pep");
    return stores;
  };

  async function fill(on: Db, stores: ReadonlyMap<string, PersonalStore>, user: BareJid): Promise<void> {
    await new UserStore(on).create(user.local, user.domain, { plain: "p" });
    for (const [name, store] of stores) await FILL[name](store, user, on);
  }

  /** What is read in several pages. */
  async function fillMuch({ local, domain, text }: BareJid): Promise<void> {
    const many = (row: (k: number) => SqlValue[], rows = PAGE + 1): SqlValue[][] =>
      Array.from({ length: rows }, (_, k) => row(k));
    const [{ id }] = await db.query<{ id: number }>(
      "SELECT id FROM mam_server_user WHERE server = ? AND user_name = ?",
      [domain, local],
    );
    const [{ nidx }] = await db.query<{ nidx: number }>("SELECT nidx FROM pubsub_nodes WHERE p_key = ?", [text]);
    await db.insertMany(
      "mam_message",
      ["id", "user_id", "from_jid", "remote_bare_jid", "remote_resource", "direction", "message", "is_groupchat"],
      many((k) => [1000 + k, id, "a@b", "a@b", "", "I", "<message/>", false], BATCH + 1),
    );
    await db.insertMany(
      "inbox",
      ["luser", "lserver", "remote_bare_jid", "box", "content", "timestamp", "unread_count"],
      many((k) => [local, domain, `a${k}@b`, k % 2 === 0 ? "bin" : "inbox", "<message/>", k, 1]),
    );
    await db.insertMany(
      "offline_message",
      ["timestamp", "server", "username", "from_jid", "packet"],
      many(() => [1, domain, local, "a@b", "<message/>"]),
    );
    await db.insertMany(
      "mongooseim_held_stanzas",
      ["server", "username", "stream_id", "stanza", "held_at"],
      many(() => [domain, local, "s", "<message/>", 1]),
    );
    const publisher = ["publisher_domain", "publisher_user", "publisher_resource", "payload", "published_at"];
    for (const [owner, name] of [
      [local, "n"],
      ["other0", "n"],
    ]) {
      await db.insertMany(
        "pubsub_item",
        ["service_domain", "service_user", "node_id", "item_id", ...publisher],
        many((k) => [domain, owner, name, `${local} ${k}`, domain, local, "", "<x/>", k]),
      );
    }
    const created = ["created_luser", "created_lserver", "created_at"];
    const modified = ["modified_luser", "modified_lserver", "modified_lresource", "modified_at"];
    await db.insertMany(
      "pubsub_items",
      ["nidx", "itemid", ...created, ...modified, "payload"],
      many((k) => [nidx, `i${k}`, local, domain, k, local, domain, "", k, "<item/>"]),
    );
  }

  async function remove(): Promise<void> {
    await new UserStore(db).remove(USER.local, USER.domain);
    for (const store of storesOn(db).values()) await store.removeUser(USER);
    await db.execute("DELETE FROM pubsub_nodes WHERE p_key = ? AND name LIKE ?", [
      "pubsub.elsewhere.example",
      `%${USER.local} at ${USER.domain}`,
    ]);
  }

  async function anew(): Promise<void> {
    await remove();
    await fill(db, storesOn(db), USER);
    await fillMuch(USER);
  }

  /** Nodes of a service in collections. */
  async function fillCollections(): Promise<void> {
    const names = Array.from({ length: 4 * PAGE }, (_, k) => `node ${k}`);
    await db.insertMany(
      "pubsub_node_collections",
      ["name", "parent_name"],
      names.map((name, k) => [name, `collection ${k % 50}`]),
    );
    await db.insertMany(
      "pubsub_nodes",
      ["p_key", "name", "type", "owners", "options"],
      names.map((name) => ["pubsub.one.example", name, "flat", "[]", "{}"]),
    );
  }

  const analyse = async (): Promise<void> => {
    if (database.dialect === "pgsql") await db.execute("ANALYZE");
    if (database.dialect !== "mysql") return;
    // Rows that have just been deleted count in estimates.
    for (const t of ["inbox", "offline_message", "mongooseim_held_stanzas", "pubsub_item", "pubsub_items"]) {
      await db.execute(`ALTER TABLE ${t} FORCE`);
    }
    const tables = await db.query<{ t: string }>(
      "SELECT table_name AS t FROM information_schema.tables WHERE table_schema = DATABASE()",
    );
    for (const { t } of tables) await db.query(`ANALYZE TABLE ${t}`);
  };

  beforeAll(async () => {
    db = await database.open();
    planner = db;
    if (database.dialect === "pgsql") {
      const [{ name }] = await db.query<{ name: string }>("SELECT current_database() AS name");
      planner = await openPgsql({ ...pgsqlOptions(name), poolSize: 1 });
      // The tables are small: it would read them whole.
      await planner.execute("SET enable_seqscan = off");
    }
    const stores = storesOn(db);
    await manyTimes(OTHERS, (k) => fill(db, stores, makeBare(`other${k}`, "one.example")));
    const noted = noting(db);
    statements = noted.statements;
    const accounts = new UserStore(noted.db);
    const about = storesOn(noted.db);
    await fill(noted.db, about, USER);
    await fillMuch(USER);
    for (const store of about.values()) await whole(store.personalData(USER));
    await accounts.credentials(USER.local, USER.domain);
    await accounts.exists(USER.local, USER.domain);
    await accounts.user(USER.local, USER.domain);
    await accounts.setCredentials(USER.local, USER.domain, { plain: "p" });
    for (const [name, store] of about) await READ[name](store, USER, noted.db);
    // All of it again, for its removal, and once more for the plans.
    await anew();
    await accounts.remove(USER.local, USER.domain);
    for (const store of about.values()) await store.removeUser(USER);
    await anew();
    await remove();
    await fill(db, storesOn(db), USER);
    for (const k of [1, 2, 3]) await fillMuch(makeBare(`other${k}`, "one.example"));
    await fillCollections();
    await analyse();
  }, 60_000);

  afterAll(async () => {
    if (planner !== db) await planner?.close();
  });

  test("is asked for by every feature that keeps something", () => {
    expect(Object.keys(READ).toSorted()).toEqual(keeping.map(({ name }) => name).toSorted());
    expect(statements.size).toBeGreaterThan(150);
  });

  test("is found without going through the rows of others", async () => {
    const found: (Access & { sql: string })[] = [];
    for (const [sql, params] of statements) {
      if (/^\s*INSERT INTO \w+ \([^)]*\)\s+VALUES/.test(sql)) continue;
      for (const access of await accesses(planner, sql, params)) {
        if (access.by.every((column) => SHARED.has(column))) found.push({ ...access, sql: sql.replace(/\s+/g, " ") });
      }
    }
    const unknown = found.filter(({ sql }) => !ALLOWED.some((one) => one.sql.test(sql)));
    expect(unknown).toEqual([]);
  });
});
