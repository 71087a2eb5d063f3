// Searches of archives for words, in both forms, against a naive model; and what they read.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type Db, type SqlValue, StorageError } from "../../core/storage/db.ts";
import { ROOMS, type SearchForm, type SearchMode, searchForm } from "../../modules/mod_mam/search/form.ts";
import { MAX_WORD, normalise, words } from "../../modules/mod_mam/search/normalise.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

/** Ids are 59 bits. */
const ID = 457_000_000_000_000_000n;
/** One-letter and stop words, words that begin another, what LIKE and query languages mistake, other scripts, giants. */
const VOCABULARY = [
  ...["a", "the", "of", "cat", "cats", "catalogue", "_", "snake_case", "case", "and", "or", "not", "near", "50", "u1x"],
  ...["żółć", "zolc", "кот", "коты", "你好", "你", "नमस", "١٢", "ß", "x1y2z3"],
  ...["w".repeat(60), "w".repeat(61), "v".repeat(90), "l".repeat(3000)],
];
const word = fc.constantFrom(...VOCABULARY);
const OWNERS = [1, 2, 11, 1234567890];

interface Row {
  owner: number;
  id: bigint;
  body: string;
}

const COLUMNS = [
  ...["id", "user_id", "from_jid", "remote_bare_jid", "remote_resource", "direction", "message"],
  ...["search_body", "origin_id", "is_groupchat"],
];
const insert = (db: Db, rows: readonly Row[]): Promise<void> =>
  db.insertMany(
    "mam_message",
    COLUMNS,
    rows.map(({ owner, id, body }): SqlValue[] => [
      ...[id, owner, "", "juliet", "", "I", new Uint8Array([1])],
      ...[body, null, false],
    ]),
  );

const PREPARING = {
  pause: async () => {},
  failed: (error: Error) => {
    throw error;
  },
  running: () => true,
};
async function prepared(db: Db, mode: SearchMode): Promise<SearchForm> {
  const form = searchForm(db, mode);
  await form.prepare(PREPARING);
  return form;
}

async function find(db: Db, form: SearchForm, owner: number, wanted: readonly string[]): Promise<bigint[]> {
  const { sql, params } = form.where(owner, wanted, "m");
  const rows = await db.query<{ id: number | bigint }>(
    `SELECT m.id FROM mam_message m WHERE m.user_id = ? AND ${sql} ORDER BY m.id`,
    [owner, ...params],
  );
  return rows.map(({ id }) => BigInt(id));
}

function model(rows: readonly Row[], mode: SearchMode, owner: number, wanted: readonly string[]): bigint[] {
  // Of a long word, the beginning is compared.
  const has = (body: string, one: string) =>
    mode === "like" ? body.includes(one) : body.split(" ").some((word) => word.slice(0, MAX_WORD) === one);
  return rows
    .filter((row) => row.owner === owner && wanted.every((one) => has(row.body, one)))
    .map(({ id }) => id)
    .sort((a, b) => (a < b ? -1 : 1));
}

onEachDatabase("searches of archives", (database: TestDatabase) => {
  let db: Db;
  beforeAll(async () => {
    db = await database.open();
  });
  const clear = () => db.execute("DELETE FROM mam_message");

  describe.each<SearchMode>(["like", "index"])("%s", (mode) => {
    test("finds what a model finds, whatever is written, changed and deleted", async () => {
      const form = await prepared(db, mode);
      const message = fc.record({
        owner: fc.constantFrom(...OWNERS),
        id: fc.integer({ min: 0, max: 30 }),
        body: fc.array(word, { maxLength: 8 }).map((list) => normalise(list.join(" "))),
      });
      const change = fc.record({
        kind: fc.constantFrom("delete", "empty"),
        owner: fc.constantFrom(...OWNERS),
        from: fc.integer({ min: 0, max: 30 }),
      });
      const query = fc.record({
        owner: fc.constantFrom(...OWNERS),
        words: fc.array(word, { minLength: 1, maxLength: 4 }).map((list) => words(list.join(" "))),
      });
      const history = fc.record({
        messages: fc.uniqueArray(message, { selector: (m) => `${m.owner} ${m.id}`, maxLength: 60 }),
        changes: fc.array(change, { maxLength: 4 }),
        queries: fc.array(query, { minLength: 1, maxLength: 6 }),
      });
      await fc.assert(
        fc.asyncProperty(history, async ({ messages, changes, queries }) => {
          await clear();
          let rows: Row[] = messages.map((m) => ({ ...m, id: ID + BigInt(m.id) }));
          if (rows.length > 0) await insert(db, rows);
          for (const { kind, owner, from } of changes) {
            const hit = (row: Row) => row.owner === owner && row.id >= ID + BigInt(from);
            const sql = kind === "delete" ? "DELETE FROM mam_message" : "UPDATE mam_message SET search_body = ''";
            await db.execute(`${sql} WHERE user_id = ? AND id >= ?`, [owner, ID + BigInt(from)]);
            rows =
              kind === "delete"
                ? rows.filter((row) => !hit(row))
                : rows.map((row) => (hit(row) ? { ...row, body: "" } : row));
          }
          for (const { owner, words: wanted } of queries)
            expect(await find(db, form, owner, wanted), wanted.join(" ")).toEqual(model(rows, mode, owner, wanted));
        }),
        { numRuns: 40 },
      );
    });

    test("no word asks for nothing", async () => {
      await clear();
      const form = await prepared(db, mode);
      await insert(db, [{ owner: 1, id: ID, body: "cat" }]);
      expect(await find(db, form, 1, [])).toEqual([ID]);
    });
  });

  test("an index is filled with what was there before it, and does not forget what came meanwhile", async () => {
    await clear();
    await drop(db);
    const old = Array.from(
      { length: 1100 },
      (_, i): Row => ({
        owner: OWNERS[i % 3],
        id: ID + BigInt(i),
        body: i % 7 === 0 ? "" : `old ${i % 2 === 0 ? "even" : "odd"} n${i}`,
      }),
    );
    await insert(db, old);
    const fresh: Row[] = [];
    const form = searchForm(db, "index");
    const check = async () => {
      for (const owner of OWNERS)
        for (const wanted of [["old", "even"], ["n700"], ["fresh"], ["nowhere"]])
          expect(await find(db, form, owner, wanted)).toEqual(model([...old, ...fresh], "index", owner, wanted));
    };
    const meanwhile = async () => {
      const row = { owner: 2, id: ID - 1n - BigInt(fresh.length), body: "fresh even" };
      fresh.push(row);
      await insert(db, [row]);
      await check();
    };
    await form.prepare({ ...PREPARING, pause: meanwhile });
    await check();
    await searchForm(db, "index").prepare({ ...PREPARING, pause: () => expect.unreachable("it is filled already") });
    await form.prepare(PREPARING);
    await check();
  });

  test("filling goes on where it was left", async () => {
    await clear();
    await drop(db);
    const rows = Array.from({ length: 1100 }, (_, i): Row => ({ owner: 1, id: ID + BigInt(i), body: `n${i} all` }));
    await insert(db, rows);
    let left = 2;
    await searchForm(db, "index").prepare({ ...PREPARING, running: () => left-- > 0 });
    const form = await prepared(db, "index");
    expect(await find(db, form, 1, ["all"])).toEqual(rows.map(({ id }) => id));
    expect(await find(db, form, 1, ["n1099"])).toEqual([ID + 1099n]);
  });

  if (database.dialect === "pgsql") {
    const NAME = "i_mongooseim_mam_message_words";
    const usesIndex = (form: SearchForm) => form.where(1, ["cat"]).sql.includes("plainto_tsquery");

    test("an index whose making was interrupted is made anew", async () => {
      await prepared(db, "index");
      await db.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(? AS regclass)", [NAME]);
      const form = await prepared(db, "index");
      expect(usesIndex(form)).toBe(true);
      expect(await db.query("SELECT indisvalid FROM pg_index WHERE indexrelid = CAST(? AS regclass)", [NAME])).toEqual([
        { indisvalid: true },
      ]);
    });

    test("in a large table it is left to the administrator, and searches are right without", async () => {
      await clear();
      await drop(db);
      await insert(db, [{ owner: 1, id: ID, body: "a cat" }]);
      await db.execute("UPDATE pg_class SET reltuples = 5000000 WHERE oid = CAST('mam_message' AS regclass)");
      const form = searchForm(db, "index");
      const failures: string[] = [];
      await form.prepare({ ...PREPARING, failed: ({ message }) => void failures.push(message) });
      expect(failures).toEqual([
        expect.stringMatching(/^Cannot index mam_message by itself.*run this on the database: /),
      ]);
      expect(usesIndex(form)).toBe(false);
      expect(await find(db, form, 1, ["cat"])).toEqual([ID]);
      expect(await find(db, form, 1, ["ca"])).toEqual([]);
      // He does what he was told.
      await db.execute(failures[0].slice(failures[0].indexOf("CREATE INDEX")));
      expect(usesIndex(await prepared(db, "index"))).toBe(true);
    });
  }

  test("a database that refuses leaves searches that are right", async () => {
    await clear();
    await insert(db, [
      { owner: 1, id: ID, body: "a cat" },
      { owner: 1, id: ID + 1n, body: "cats" },
    ]);
    const refusing = { ...shaped(db), transaction: refuse, execute: refuse, query: refuse };
    const form = searchForm(refusing, "index");
    const failures: StorageError[] = [];
    await form.prepare({ ...PREPARING, failed: (error) => void failures.push(error) });
    expect(failures.map(({ code }) => code)).toEqual(["full"]);
    expect(await find(db, form, 1, ["cat"])).toEqual([ID]);
  });

  test("rooms have an index of their own", async () => {
    const form = searchForm(db, "index", ROOMS);
    await form.prepare(PREPARING);
    const columns = ["id", "room_id", "sender_id", "nick_name", "message", "search_body", "origin_id"];
    const row = (id: bigint, body: string): SqlValue[] => [id, 5, 1, "n", new Uint8Array([1]), body, null];
    await db.insertMany("mam_muc_message", columns, [row(ID, "hello world"), row(ID + 1n, "hello")]);
    const { sql, params } = form.where(5, ["world"]);
    expect(
      await db.query(`SELECT search_body FROM mam_muc_message WHERE room_id = ? AND ${sql}`, [5, ...params]),
    ).toEqual([{ search_body: "hello world" }]);
  });

  test("a search in an archive of 10,000 messages reads nothing of others, and is quick", async () => {
    await clear();
    const body = (i: number) => `message number n${i} of many common words ${i % 100 === 0 ? "rare" : "usual"}`;
    for (const owner of [1, 2, 3])
      for (let at = 0; at < 10_000; at += 1000)
        await insert(
          db,
          Array.from({ length: 1000 }, (_, i) => ({ owner, id: ID + BigInt(at + i), body: body(at + i) })),
        );
    for (const mode of ["like", "index"] as const) {
      const form = await prepared(db, mode);
      const plan = await explain(db, form, 2, ["rare", "common"]);
      for (const line of plan) expect(line).not.toMatch(SCAN[database.dialect]);
      if (mode === "index") expect(plan.join("\n")).toMatch(INDEX[database.dialect]);
      expect(await find(db, form, 2, ["rare", "common"])).toHaveLength(100);
      const began = performance.now();
      for (let i = 0; i < 10; i++) expect(await find(db, form, 2, [`n${i * 991}`])).toContain(ID + BigInt(i * 991));
      expect((performance.now() - began) / 10).toBeLessThan(mode === "index" ? 50 : 500);
    }
  }, 60_000);
});

const refuse = () => Promise.reject(new StorageError("full", "no space"));
/** A database with nothing but its dialect, to be filled in. */
const shaped = ({ dialect }: Db): Db =>
  ({ dialect, insertNew: refuse, insertMany: refuse, upsert: refuse, close: refuse }) as unknown as Db;

/** A plan's line that reads a whole table of messages. */
const SCAN = { sqlite: /^SCAN m\b/, pgsql: /Seq Scan/, mysql: /"access_type": "(ALL|table)"/ };
/** A plan that reads the index of words. */
const INDEX = {
  sqlite: /SCAN w VIRTUAL TABLE INDEX/,
  pgsql: /Bitmap Index Scan on i_mongooseim_mam_message_words/,
  // MariaDB; MySQL 9.
  mysql: /"access_type": "fulltext"|"index_access_type": "full_text_search"/,
};

async function explain(db: Db, form: SearchForm, owner: number, wanted: readonly string[]): Promise<string[]> {
  if (db.dialect === "pgsql") await db.execute("ANALYZE mam_message");
  const { sql, params } = form.where(owner, wanted, "m");
  const how = { sqlite: "EXPLAIN QUERY PLAN", pgsql: "EXPLAIN", mysql: "EXPLAIN FORMAT=JSON" }[db.dialect];
  const rows = await db.query(
    `${how} SELECT m.id FROM mam_message m WHERE m.user_id = ? AND ${sql} ORDER BY m.id LIMIT 50`,
    [owner, ...params],
  );
  return rows.map((row) => String("detail" in row ? row.detail : Object.values(row)[0]));
}

/** What docs/archive.md says takes the index away, whether it is there or not. */
async function drop(db: Db): Promise<void> {
  const manual = readFileSync(join(import.meta.dirname, "../../docs/archive.md"), "utf8");
  const name = { sqlite: "SQLite", mysql: "MySQL", pgsql: "PostgreSQL" }[db.dialect];
  const [, text] = new RegExp(`^-- ${name}.*\n((?:DROP .*\n)+)`, "m").exec(manual)!;
  for (const statement of text.split(";").filter((part) => part.trim() !== "")) {
    await db.execute(statement.trim().replace(/^DROP (INDEX CONCURRENTLY|\w+)/, "DROP $1 IF EXISTS"));
  }
  expect(await left(db)).toEqual([]);
}

/** What there is of the index. */
async function left(db: Db): Promise<unknown[]> {
  const of = {
    sqlite: "SELECT name FROM sqlite_master WHERE name",
    mysql: "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME",
    pgsql: "SELECT relname AS name FROM pg_class WHERE relname",
  };
  return db.query(`${of[db.dialect]} LIKE '%mongooseim_mam_message_words%'`);
}
