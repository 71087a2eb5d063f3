// Nothing is left of who was removed: every table is searched for the name, whatever features there are.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { UserStore } from "../../core/auth/store.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Db } from "../../core/storage/db.ts";
import { inspect } from "../../core/storage/inspect.ts";
import { MONGOOSEIM_TABLES } from "../../core/storage/migrations/0001_mongooseim.ts";
import { MODULES } from "../../modules/index.ts";
import { whole } from "../support/personal.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";
import { FILL } from "./fill.ts";
import { TABLES } from "./tables.ts";

/** Rows of somebody else that FILL puts beside a user's. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  pubsub_nodes: "p_key = 'pubsub.elsewhere.example'",
  pubsub_affiliations: "lserver = 'elsewhere.example'",
};

const keeping = MODULES.filter((module) => module.store !== undefined);

onEachDatabase("removal", (database: TestDatabase) => {
  let db: Db;
  let stores: Map<string, PersonalStore>;
  let accounts: UserStore;
  /** All tables with data, those that are referred to last. */
  let tables: string[];
  const USER = makeBare("thirteenletters", "one.example");
  const SAME_NAME = makeBare("thirteenletters", "two.example");
  const SAME_DOMAIN = makeBare("someoneelse", "one.example");
  /** Begins like the user, and holds what LIKE takes for wildcards. */
  const SIMILAR = makeBare("thirteenletters_%", "one.example");
  const ALL = [USER, SAME_NAME, SAME_DOMAIN, SIMILAR];

  beforeAll(async () => {
    db = await database.open();
    const referring = MONGOOSEIM_TABLES.map(({ name }) => name).toReversed();
    const others = [...(await inspect(db)).tables.keys()].filter(
      (name) => !referring.includes(name) && !/^sqlite_|migrations$/.test(name),
    );
    tables = [...others, ...referring];
  });
  beforeEach(async () => {
    await db.transaction(tables.map((name) => ({ sql: `DELETE FROM ${name}` })));
    stores = new Map(keeping.map((module) => [module.name, module.store?.(db) as PersonalStore]));
    accounts = new UserStore(db);
    for (const user of ALL) {
      await accounts.create(user.local, user.domain, { plain: "p" });
      for (const [name, store] of stores) await FILL[name](store, user, db);
    }
  });
  afterAll(() => db.close());

  /** Tables with a row that `test` finds something in. */
  async function tablesWith(test: (values: unknown[]) => boolean): Promise<string[]> {
    const found: string[] = [];
    for (const name of tables) {
      const rows = await db.query(`SELECT * FROM ${name}`);
      if (rows.some((row) => test(Object.values(row)))) found.push(name);
    }
    return found;
  }
  const tablesOf = (user: BareJid): Promise<string[]> =>
    tablesWith((values) => (values.includes(user.local) && values.includes(user.domain)) || values.includes(user.text));
  const tablesOfDomain = (domain: string): Promise<string[]> =>
    tablesWith((values) => values.some((v) => typeof v === "string" && (v === domain || v.endsWith(`@${domain}`))));

  test("every feature has something in its tables before", () => {
    expect(Object.keys(FILL).toSorted()).toEqual(keeping.map(({ name }) => name).toSorted());
  });

  test("every table is spoken for", async () => {
    const there = [...(await inspect(db)).tables.keys()].filter((name) => !/^sqlite_|^mam_message_p\d/.test(name));
    expect(there.toSorted()).toEqual(Object.keys(TABLES).toSorted());
  });

  /** Rows of every table, those of the users' accounts and of their archives found by the numbers that they have. */
  async function rowsOf(user: BareJid): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const named = (row: object): boolean => {
      const values = Object.values(row);
      return (values.includes(user.local) && values.includes(user.domain)) || values.includes(user.text);
    };
    const numbers = new Map<string, unknown[]>();
    for (const [table, column] of [
      ["mam_server_user", "id"],
      ["privacy_list", "id"],
    ]) {
      const rows = await db.query<Record<string, unknown>>(`SELECT * FROM ${table}`);
      numbers.set(
        table,
        rows.filter(named).map((row) => String(row[column])),
      );
    }
    const [mam, lists] = [numbers.get("mam_server_user") ?? [], numbers.get("privacy_list") ?? []];
    for (const name of tables) {
      const rows = await db.query<Record<string, unknown>>(`SELECT * FROM ${name}`);
      const own = rows.filter((row) => {
        if (name === "mam_message" || name === "mam_config") return mam.includes(String(row["user_id"]));
        if (name === "privacy_list_data") return lists.includes(String(row["id"]));
        return named(row);
      });
      if (own.length > 0) counts.set(name, own.length);
    }
    return counts;
  }

  test("each feature removes a user's rows from the tables that are its, and from no others", async () => {
    let before = await rowsOf(USER);
    for (const name of ["accounts", ...stores.keys()]) {
      if (name === "accounts") await accounts.remove(USER.local, USER.domain);
      else await stores.get(name)?.removeUser(USER);
      const after = await rowsOf(USER);
      for (const [table, rows] of before) {
        const left = TABLES[table].user === name ? undefined : rows;
        expect([name, table, after.get(table)]).toEqual([name, table, left]);
      }
      before = after;
    }
    expect([...before.keys()]).toEqual([]);
  });

  test("each feature exports what its tables say, and nothing else", async () => {
    for (const [name, store] of stores) {
      const files = (await whole(store.personalData(USER))).map((table) => table.name);
      const said = Object.values(TABLES).filter((kept) => kept.user === name);
      const told = new Set(said.flatMap(({ exported }) => (typeof exported === "string" ? [] : exported)));
      expect([name, files.toSorted()]).toEqual([name, [...told].toSorted()]);
    }
  });

  test("every table that has rows of a user is removed by the feature that it names", async () => {
    const count = async (): Promise<Map<string, number>> => {
      const counts = new Map<string, number>();
      for (const name of tables) {
        const but = ELSEWHERE[name] === undefined ? "" : `WHERE NOT (${ELSEWHERE[name]})`;
        const [{ n }] = await db.query<{ n: number | string }>(`SELECT count(*) AS n FROM ${name} ${but}`);
        counts.set(name, Number(n));
      }
      return counts;
    };
    const before = await count();
    for (const user of ALL) {
      await accounts.remove(user.local, user.domain);
      for (const store of stores.values()) await store.removeUser(user);
    }
    const features = new Set(["accounts", ...stores.keys()]);
    const after = await count();
    for (const [table, { user, domain }] of Object.entries(TABLES)) {
      if (features.has(user)) {
        expect([table, before.get(table) ?? 0]).not.toEqual([table, 0]);
        expect([table, after.get(table)]).toEqual([table, 0]);
      } else if (features.has(domain)) expect([table, after.get(table)]).toEqual([table, before.get(table)]);
    }
    for (const { domain } of ALL) for (const store of stores.values()) await store.removeDomain(domain);
    for (const [table, { domain }] of Object.entries(TABLES)) {
      if (features.has(domain)) expect([table, (await count()).get(table)]).toEqual([table, 0]);
    }
  });

  test("every feature keeps something of the user", async () => {
    expect((await tablesOf(USER)).length).toBeGreaterThan(keeping.length);
  });

  test("of a user leaves no row in any table, and the rows of all others", async () => {
    const before = await tablesOf(SIMILAR);
    await accounts.remove(USER.local, USER.domain);
    for (const store of stores.values()) await store.removeUser(USER);
    expect(await tablesOf(USER)).toEqual([]);
    for (const user of [SAME_NAME, SAME_DOMAIN, SIMILAR]) expect(await tablesOf(user)).toEqual(before);
  });

  test("of a domain leaves no row in any table, and the rows of the other domain", async () => {
    const before = await tablesOfDomain("two.example");
    await accounts.removeDomain("one.example");
    for (const store of stores.values()) await store.removeDomain("one.example");
    expect(await tablesOfDomain("one.example")).toEqual([]);
    expect(await tablesOfDomain("two.example")).toEqual(before);
  });

  test("of who has nothing is no error", async () => {
    const nobody = makeBare("nobody", "nowhere.example");
    for (const store of stores.values()) {
      await store.removeUser(nobody);
      await store.removeDomain(nobody.domain);
    }
  });

  test("personal data are tables of texts, as wide as their columns say, and of this user only", async () => {
    for (const [name, store] of stores) {
      for (const { columns, rows } of await whole(store.personalData(USER))) {
        expect([name, rows]).toEqual([name, [columns.map(() => expect.any(String))]]);
      }
      const nobodys = await whole(store.personalData(makeBare("nobody", "one.example")));
      expect([name, nobodys.flatMap(({ rows }) => rows)]).toEqual([name, []]);
    }
  });
});
