// Every kind of value, written and read on each database, transactions and upserts: what MongooseIM's rdbms_SUITE checks.
import { beforeAll, beforeEach, expect, type TestContext, test } from "vitest";
import type { Db, SqlValue, Statement } from "../../core/storage/db.ts";
import { asBoolean } from "../../core/storage/db.ts";
import { createTable } from "../../core/storage/ddl.ts";
import { DIALECTS, escapeLike } from "../../core/storage/dialect.ts";
import { bigint, boolean, bytes, char, int, oneOf, type Table, text, varchar } from "../../core/storage/schema.ts";
import { onEachDatabase } from "./db_each.ts";

const maybe = { nullable: true };
/** MongooseIM's table for this suite. */
const TEST_TYPES: Table = {
  name: "test_types",
  columns: {
    unicode: text(maybe),
    unicode250: varchar(250, maybe),
    binary_data_8k: bytes(maybe),
    binary_data_65k: bytes({ ...maybe, mysql: "blob" }),
    binary_data_16m: bytes({ ...maybe, mysql: "mediumblob" }),
    ascii_char: char(maybe),
    ascii_string: varchar(250, maybe),
    int32: int(maybe),
    int64: bigint(maybe),
    enum_char: oneOf("test_enum_char", ["A", "B", "C"], maybe),
    bool_flag: boolean(maybe),
  },
};

/** A test that stands for cases of rdbms_SUITE. */
const covering = (title: string, cases: readonly string[], run: () => Promise<void>): void =>
  test(title, async ({ task }: TestContext) => {
    await run();
    const assertions = expect.getState().assertionCalls;
    Object.assign(task.meta, { story: { covers: cases.map((name) => `rdbms_SUITE:${name}`), assertions } });
  });

const ASCII = [
  "",
  "1",
  "test",
  "\\",
  "\\\\",
  "'",
  "''",
  "'''",
  '"',
  '""',
  "\r\n",
  "\r",
  "\n",
  "?",
  "$1",
  "%",
  "a".repeat(250),
];
const digits = Array.from({ length: 10 }, (_, i) => String(i + 1).repeat(1000)).join("");
const UNICODE = [...ASCII, "юникод", "😁", digits, "a".repeat(10_000), "\n".repeat(10_000)];
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const BINARY = [
  ...UNICODE.map((value) => new Uint8Array(Buffer.from(value))),
  Uint8Array.of(0),
  Uint8Array.of(240, 159),
  Uint8Array.of(240, 159, 0),
  Uint8Array.from({ length: 256 }, (_, i) => i),
  filled(1024, 1),
  filled(8002, 8),
  filled(100_000, 0),
  filled(16_777_215, 16),
];
const upTo = (most: number): Uint8Array[] => BINARY.map((value) => value.subarray(0, most));

interface Kind {
  column: string;
  values: readonly SqlValue[];
  cases: readonly string[];
}
const KINDS: readonly Kind[] = [
  { column: "int32", values: [1, -1, 0, 42, 2_147_483_647], cases: ["int32_case"] },
  { column: "int64", values: [1, -1, 0, 42, 2_147_483_647, 2n ** 63n - 1n], cases: ["int64_case"] },
  { column: "unicode", values: UNICODE, cases: ["unicode_case"] },
  { column: "unicode250", values: UNICODE.map((v) => [...v].slice(0, 250).join("")), cases: ["unicode250_case"] },
  { column: "ascii_char", values: ["a", "b"], cases: ["ascii_char_case"] },
  { column: "ascii_string", values: ["a", "b", ...ASCII], cases: ["ascii_string_case"] },
  { column: "binary_data_8k", values: upTo(8000), cases: ["binary_8k_case"] },
  { column: "binary_data_65k", values: upTo(65_535), cases: ["binary_65k_case"] },
  { column: "binary_data_16m", values: BINARY, cases: ["binary_16m_case"] },
  { column: "enum_char", values: ["A", "B", "C"], cases: ["enum_char_case"] },
];

onEachDatabase("values and transactions", (database) => {
  let db: Db;
  beforeAll(async () => {
    db = await database.open();
    if (db.dialect === "pgsql") await db.execute("CREATE TYPE test_enum_char AS ENUM ('A', 'B', 'C')");
    for (const sql of createTable(db.dialect, TEST_TYPES)) await db.execute(sql);
  });
  beforeEach(async () => {
    for (const table of ["test_types", "last", "users", "inbox"]) await db.execute(`DELETE FROM ${table}`);
  });
  const texts = async (): Promise<(string | null)[]> =>
    (await db.query<{ unicode: string | null }>("SELECT unicode FROM test_types")).map(({ unicode }) => unicode).sort();
  const put = (value: string): Statement => ({ sql: "INSERT INTO test_types (unicode) VALUES (?)", params: [value] });

  for (const { column, values, cases } of KINDS) {
    // Values are always bound, never part of a statement's text: "read" writes many at once, "read_prep" one at a time.
    covering(
      `${column}: many at once`,
      cases.map((name) => `read_${name}`),
      async () => {
        for (const value of values) {
          await db.execute("DELETE FROM test_types");
          // Of the largest values, nine are more than a server takes at once.
          const rowsAtOnce = value instanceof Uint8Array && value.length > 1_000_000 ? 2 : 9;
          await db.insertMany("test_types", [column], Array(rowsAtOnce).fill([value]));
          const rows = await db.query<Record<string, SqlValue>>(`SELECT ${column} FROM test_types`);
          expect(rows).toHaveLength(rowsAtOnce);
          for (const row of rows) same(row[column], value);
        }
      },
    );

    covering(
      `${column}: one, and found by its value`,
      cases.map((name) => `read_prep_${name}`),
      async () => {
        for (const value of values) {
          await db.execute("DELETE FROM test_types");
          await db.execute(`INSERT INTO test_types (${column}) VALUES (?)`, [value]);
          const all = await db.query<Record<string, SqlValue>>(`SELECT ${column} FROM test_types`);
          const found = await db.query<Record<string, SqlValue>>(
            `SELECT ${column} FROM test_types WHERE ${column} = ?`,
            [value],
          );
          expect([all.length, found.length]).toEqual([1, 1]);
          for (const row of [...all, ...found]) same(row[column], value);
        }
      },
    );
  }

  covering("booleans", ["read_boolean_case", "read_prep_boolean_case"], async () => {
    for (const value of [true, false, 1, 0]) {
      await db.execute("DELETE FROM test_types");
      await db.execute("INSERT INTO test_types (bool_flag) VALUES (?)", [value]);
      await db.insertMany("test_types", ["bool_flag"], [[value]]);
      const rows = await db.query<{ bool_flag: SqlValue }>("SELECT bool_flag FROM test_types WHERE bool_flag = ?", [
        value,
      ]);
      expect(rows.map((row) => asBoolean(row.bool_flag))).toEqual([Boolean(value), Boolean(value)]);
    }
  });

  covering("constants", ["select_one_works_case", "select_ascii_string_works_case"], async () => {
    expect(await db.query("SELECT 1 AS n")).toEqual([{ n: 1 }]);
    expect(await db.query("SELECT 'ascii' AS t")).toEqual([{ t: "ascii" }]);
  });

  covering("the time of the database is a number of seconds", ["select_current_timestamp_case"], async () => {
    const [{ now }] = await db.query<{ now: number }>(`SELECT ${DIALECTS[db.dialect].unixSeconds} AS now`);
    expect(Math.abs(Number(now) - Date.now() / 1000)).toBeLessThan(60);
    expect(Number.isInteger(now)).toBe(true);
  });

  covering("LIKE with the user's own wildcards", ["select_like_case", "select_like_prep_case"], async () => {
    const cases = [
      { text: "hello user!", yes: ["hello", "user", "hell"], no: ["hi", "help", "h_llo", "%u"] },
      { text: "60% of 10$ is 6$", yes: ["60%", "10$", "$ is"], no: ["60$", "6%0", "_0%"] },
      { text: "snake_case \\ 'quoted'", yes: ["snake_", "\\", "'quoted'"], no: ["snake-", "e_e", "\\\\"] },
    ];
    for (const { text: value, yes, no } of cases) {
      await db.execute("DELETE FROM test_types");
      await db.execute("INSERT INTO test_types (unicode) VALUES (?)", [value]);
      const found = async (pattern: string): Promise<number> =>
        (await db.query("SELECT unicode FROM test_types WHERE unicode LIKE ? ESCAPE '$'", [`%${escapeLike(pattern)}%`]))
          .length;
      for (const pattern of yes) expect([pattern, await found(pattern)]).toEqual([pattern, 1]);
      for (const pattern of no) expect([pattern, await found(pattern)]).toEqual([pattern, 0]);
    }
  });

  covering("parameters of two tables in one statement", ["arguments_from_two_tables"], async () => {
    await db.insertMany(
      "users",
      ["username", "server", "password"],
      [
        ["alice", "domain", "secret"],
        ["bob", "domain", "billy"],
      ],
    );
    await db.insertMany(
      "last",
      ["username", "server", "seconds", "state"],
      [
        ["alice", "domain", 1_615_368_268, "ok"],
        ["bob", "domain", 1_610_000_000, "cool"],
      ],
    );
    const sql = `SELECT users.username FROM users LEFT JOIN last ON last.username = users.username
                 WHERE users.password = ? AND last.seconds > ?`;
    expect(await db.query(sql, ["secret", 1_611_000_000])).toEqual([{ username: "alice" }]);
  });

  covering("NULL beside values, in either order", ["insert_batch_with_null_case"], async () => {
    await db.insertMany("test_types", ["unicode"], [[null], ["check1"]]);
    await db.insertMany("test_types", ["unicode"], [["check2"], [null]]);
    const values = await texts();
    expect(values.filter((value) => value === null)).toHaveLength(2);
    expect(values.filter((value) => value !== null)).toEqual(["check1", "check2"]);
  });

  covering(
    "requests that nobody waits for, and those that somebody does",
    ["test_cast_insert", "test_request_insert"],
    async () => {
      void db.execute("INSERT INTO test_types (unicode) VALUES (?)", ["check1"]);
      void db.execute("INSERT INTO test_types (unicode) VALUES ('check2')");
      await expect.poll(texts).toEqual(["check1", "check2"]);
      const answers = ["check3", "check4"].map((value) =>
        db.execute("INSERT INTO test_types (unicode) VALUES (?)", [value]),
      );
      expect(await Promise.all(answers)).toEqual([1, 1]);
      expect(await texts()).toEqual(["check1", "check2", "check3", "check4"]);
    },
  );

  covering("a transaction of several statements", ["test_request_transaction"], async () => {
    expect(await db.transaction([put("check1"), put("check2")])).toEqual([1, 1]);
    expect(await texts()).toEqual(["check1", "check2"]);
  });

  covering(
    "a transaction that fails leaves nothing, and no connection inside it",
    ["prepare_without_execute_does_not_cause_inconsistency"],
    async () => {
      const broken = {
        sql: "INSERT INTO users (username, server, password) VALUES (?, 'localhost', ?)",
        params: ["u", null],
      };
      for (let i = 0; i < 6; i++)
        await expect(db.transaction([put("lost"), broken])).rejects.toMatchObject({ code: "constraint" });
      expect(await texts()).toEqual([]);
      await db.execute("INSERT INTO test_types (unicode) VALUES ('after')");
      const seen = await Promise.all(Array.from({ length: 12 }, texts));
      expect(new Set(seen.map((rows) => rows.join()))).toEqual(new Set(["after"]));
    },
  );

  const upsertLast = (username: string, seconds: number): Statement => ({
    sql: DIALECTS[db.dialect].upsert("last", ["server", "username"], ["seconds", "state"]),
    params: ["localhost", username, seconds, ""],
  });
  const seconds = async (): Promise<number[]> =>
    (await db.query<{ seconds: number }>("SELECT seconds FROM last ORDER BY username")).map((row) => row.seconds);

  covering("upserts, one and two at once", ["test_upsert_many1", "test_upsert_many2"], async () => {
    expect(await db.transaction([upsertLast("kate", 0)])).toEqual([1]);
    expect(await db.transaction([upsertLast("alice", 0), upsertLast("bob", 0)])).toEqual([1, 1]);
    expect(await seconds()).toEqual([0, 0, 0]);
  });

  covering(
    "upserts replace what is there",
    ["test_upsert_many1_replaces_existing", "test_upsert_many2_replaces_existing"],
    async () => {
      await db.transaction([upsertLast("kate", 0)]);
      await db.transaction([upsertLast("kate", 10)]);
      expect(await seconds()).toEqual([10]);
      await db.transaction([upsertLast("alice", 0), upsertLast("bob", 0)]);
      await db.transaction([upsertLast("alice", 10), upsertLast("bob", 10)]);
      expect(await seconds()).toEqual([10, 10, 10]);
    },
  );

  if (database.dialect === "pgsql")
    test("a transaction that loses is done again, five times at most", async ({ task }) => {
      await db.execute("CREATE SEQUENCE tries");
      const loses = (times: number): Statement => ({
        sql: `DO $$ BEGIN IF nextval('tries') < ${times} THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END IF; END $$`,
      });
      const tries = async (): Promise<number> =>
        Number((await db.query<{ n: number }>("SELECT last_value AS n FROM tries"))[0].n);
      expect(await db.transaction([put("won"), loses(3)])).toHaveLength(2);
      expect([await texts(), await tries()]).toEqual([["won"], 3]);
      await db.execute("ALTER SEQUENCE tries RESTART");
      await expect(db.transaction([put("lost"), loses(100)])).rejects.toMatchObject({
        code: "conflict",
        maybeDone: false,
      });
      expect([await texts(), await tries()]).toEqual([["won"], 5]);
      const names = [
        "test_restart_transaction_with_execute",
        "test_restart_transaction_with_execute_eventually_passes",
      ];
      Object.assign(task.meta, { story: { covers: names.map((name) => `rdbms_SUITE:${name}`), assertions: 4 } });
    });

  if (database.dialect !== "sqlite")
    test("the numbers of a pool move with its requests", async ({ task }) => {
      const before = { ...db.stats().wire?.received };
      const sent = { ...db.stats().wire?.sent };
      await db.query("SELECT 1 AS n");
      expect(db.stats().wire?.received.bytes).toBeGreaterThan(before.bytes ?? Number.POSITIVE_INFINITY);
      expect(db.stats().wire?.sent.bytes).toBeGreaterThan(sent.bytes ?? Number.POSITIVE_INFINITY);
      const waiting = Array.from({ length: 50 }, () => db.query("SELECT 1 AS n"));
      expect(db.stats().queued).toBe(50);
      await Promise.all(waiting);
      expect(db.stats().queued).toBe(0);
      const names = ["wpool_rdbms_stats_are_updated", "wpool_queue_lengths_are_updated"];
      Object.assign(task.meta, { story: { covers: names.map((name) => `rdbms_SUITE:${name}`), assertions: 4 } });
    });
});

function same(read: SqlValue, written: SqlValue): void {
  if (read instanceof Uint8Array && written instanceof Uint8Array) expect(Buffer.compare(read, written)).toBe(0);
  else expect(read).toBe(written);
}
