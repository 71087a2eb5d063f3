// What every database promises to the stores, on each of them.
import { beforeAll, expect, test } from "vitest";
import { asBoolean, asTime, type Db, type SqlValue } from "../../core/storage/db.ts";
import { Random } from "../fuzz/random.ts";
import { onEachDatabase } from "./db_each.ts";

const user = (username: string) => ({ username, server: "localhost", password: "secret" });

onEachDatabase("a database", (database) => {
  let db: Db;
  const names = async (like: string): Promise<string[]> =>
    (
      await db.query<{ username: string }>("SELECT username FROM users WHERE username LIKE ? ORDER BY username", [like])
    ).map(({ username }) => username);

  beforeAll(async () => {
    db = await database.open();
  });

  const TYPES: [table: string, column: string, row: Record<string, SqlValue>, value: SqlValue][] = [
    ["domain_admins", "pass_details", { domain: "text", pass_details: "Žluť 🐎 '?' \\ \n" }, "Žluť 🐎 '?' \\ \n"],
    ["domain_admins", "pass_details", { domain: "empty", pass_details: "" }, ""],
    ["mongoose_cluster_id", "v", { k: "null", v: null }, null],
    ["auth_token", "seq_no", { owner: "zero", seq_no: 0 }, 0],
    ["auth_token", "seq_no", { owner: "safe", seq_no: 1_700_000_000_000_000 }, 1_700_000_000_000_000],
    ["auth_token", "seq_no", { owner: "big", seq_no: 435_200_000_000_000_255n }, 435_200_000_000_000_255n],
    ["pubsub_last_item", "created_at", lastItem(-9_223_372_036_854_775_808n), -9_223_372_036_854_775_808n],
    ["auth_token", "seq_no", { owner: "small bigint", seq_no: 7n }, 7],
    ["event_pusher_push_subscription", "form", pushForm('{"a":[1,"?"]}'), '{"a":[1,"?"]}'],
    ["inbox", "content", inbox(new Uint8Array([0, 1, 127, 128, 255])), new Uint8Array([0, 1, 127, 128, 255])],
    ["inbox", "content", inbox(new Uint8Array(0)), new Uint8Array(0)],
  ];
  test.each(TYPES)("%s.%s keeps its value (%#)", async (table, column, row, value) => {
    await db.execute(`DELETE FROM ${table}`);
    await db.insertNew(table, row);
    const rows = await db.query<Record<string, SqlValue>>(`SELECT ${column} FROM ${table}`);
    // MySQL's JSON has spaces of its own.
    if (column === "form") for (const each of rows) each[column] = JSON.stringify(JSON.parse(String(each[column])));
    expect(rows).toEqual([{ [column]: value }]);
  });

  test("an enum column keeps its value and refuses another", async () => {
    await db.insertNew("mam_config", { user_id: 1, remote_jid: "", behaviour: "R" });
    expect(await db.query("SELECT behaviour FROM mam_config")).toEqual([{ behaviour: "R" }]);
    await expect(db.execute("UPDATE mam_config SET behaviour = ?", ["X"])).rejects.toMatchObject({
      code: "constraint",
    });
  });

  test.each([true, false, 1, 0])("a boolean column keeps %s", async (value) => {
    await db.execute("DELETE FROM broadcast_worker_state");
    await db.execute("DELETE FROM broadcast_jobs");
    await db.insertNew("broadcast_jobs", broadcastJob);
    const [{ id }] = await db.query<{ id: number }>("SELECT id FROM broadcast_jobs");
    await db.insertNew("broadcast_worker_state", { broadcast_id: id, finished: value });
    const [{ finished }] = await db.query<{ finished: SqlValue }>("SELECT finished FROM broadcast_worker_state");
    expect(asBoolean(finished)).toBe(Boolean(value));
  });

  test("a timestamp column that was not given holds the present time", async () => {
    await db.insertNew("users", user("now"));
    const [row] = await db.query<{ created_at: string }>("SELECT created_at FROM users WHERE username = 'now'");
    expect(Math.abs(Date.now() - asTime(row.created_at))).toBeLessThan(5000);
  });

  test("bytes are taken when the request is made, for the caller reuses its buffer", async () => {
    await db.execute("DELETE FROM inbox");
    const buffer = new Uint8Array([1, 2, 3, 4]);
    const done = db.insertNew("inbox", inbox(buffer.subarray(1, 3)));
    buffer.fill(9);
    await done;
    expect(await db.query("SELECT content FROM inbox")).toEqual([{ content: new Uint8Array([2, 3]) }]);
  });

  test("a counted column goes up", async () => {
    await db.insertNew("domain_events", { domain: "a" });
    await db.insertNew("domain_events", { domain: "b" });
    const rows = await db.query<{ id: number; domain: string }>("SELECT id, domain FROM domain_events ORDER BY id");
    expect(rows.map(({ domain }) => domain)).toEqual(["a", "b"]);
  });

  // RETURNING, which Oracle's MySQL does not know: no store may use it.
  if (database.dialect !== "mysql") {
    test("a query that writes gives its rows", async () => {
      const sql = "INSERT INTO domain_settings (domain, host_type) VALUES (?, ?) RETURNING domain, status";
      expect(await db.query(sql, ["example.com", "localhost"])).toEqual([{ domain: "example.com", status: 1 }]);
      expect(await db.query("SELECT domain FROM domain_settings")).toEqual([{ domain: "example.com" }]);
    });
  }

  test("execute tells how many rows changed", async () => {
    await db.insertMany("users", ["username", "server", "password"], rowsOf("counted", 3));
    expect(await db.execute("UPDATE users SET password = ? WHERE username LIKE 'counted%'", ["x"])).toBe(3);
    expect(await db.execute("DELETE FROM users WHERE username = 'nobody'")).toBe(0);
  });

  test("a request that breaks a constraint fails alone among those committed with it", async () => {
    const results = await Promise.allSettled([
      db.execute("INSERT INTO users (username, server, password) VALUES ('alone1', 'localhost', '')"),
      db.execute("INSERT INTO users (username, server, password) VALUES ('alone1', 'localhost', '')"),
      db.execute("INSERT INTO users (username, server) VALUES ('alone2', 'localhost')"),
      db.execute("INSERT INTO users (username, server, password) VALUES ('alone3', 'localhost', '')"),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "fulfilled", "rejected", "rejected"]);
    for (const result of results)
      if (result.status === "rejected")
        expect(result.reason).toMatchObject({ name: "StorageError", code: "constraint" });
    expect(await names("alone%")).toEqual(["alone1", "alone3"]);
  });

  test("a wrong statement is reported as syntax", async () => {
    await expect(db.execute("INSERT INTO nowhere VALUES (1)")).rejects.toMatchObject({ code: "syntax" });
    await expect(db.query("SELECT ?", [])).rejects.toMatchObject({ code: "syntax" });
  });

  test("a transaction tells the rows changed by each statement", async () => {
    const insert = "INSERT INTO users (username, server, password) VALUES (?, 'localhost', '')";
    const changes = await db.transaction([
      { sql: insert, params: ["tx1"] },
      { sql: insert, params: ["tx2"] },
      { sql: "UPDATE users SET password = 'x' WHERE username LIKE 'tx_'" },
      { sql: "DELETE FROM users WHERE username = ?", params: ["nobody"] },
    ]);
    expect(changes).toEqual([1, 1, 2, 0]);
  });

  test("a transaction that fails leaves nothing, and its neighbours stay", async () => {
    const insert = "INSERT INTO users (username, server, password) VALUES (?, 'localhost', '')";
    const [before, failed, after] = await Promise.allSettled([
      db.execute(insert, ["back0"]),
      db.transaction([
        { sql: insert, params: ["back1"] },
        { sql: insert, params: ["back1"] },
      ]),
      db.execute(insert, ["back2"]),
    ]);
    expect([before.status, after.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(failed).toMatchObject({ status: "rejected", reason: { code: "constraint" } });
    expect(await names("back%")).toEqual(["back0", "back2"]);
  });

  test("statements of a transaction run in order", async () => {
    await db.insertNew("users", user("order"));
    const append = "UPDATE users SET password = password || ? WHERE username = 'order'";
    await db.transaction([..."ABCDEFGHIJ"].map((letter) => ({ sql: append, params: [letter] })));
    expect(await db.query("SELECT password FROM users WHERE username = 'order'")).toEqual([
      { password: "secretABCDEFGHIJ" },
    ]);
  });

  test("upsert inserts, then updates", async () => {
    const keys = { server: "localhost", username: "romeo" };
    await db.upsert("last", keys, { seconds: 1, state: "asleep" });
    await db.upsert("last", keys, { seconds: 2, state: "awake" });
    expect(await db.query("SELECT seconds, state FROM last")).toEqual([{ seconds: 2, state: "awake" }]);
  });

  test("upsert without values leaves a row that exists", async () => {
    await db.upsert("mongoose_cluster_id", { k: "bare" }, {});
    await db.upsert("mongoose_cluster_id", { k: "bare" }, {});
    expect(await db.query("SELECT v FROM mongoose_cluster_id WHERE k = 'bare'")).toEqual([{ v: null }]);
  });

  test("of a hundred who insert the same key, one is told that it did", async () => {
    const told = await Promise.all(Array.from({ length: 100 }, () => db.insertNew("users", user("race"))));
    expect(told.filter(Boolean)).toHaveLength(1);
  });

  test("insertNew refuses a row that breaks another rule", async () => {
    await expect(db.insertNew("users", { ...user("nothing"), password: null })).rejects.toMatchObject({
      code: "constraint",
    });
  });

  test("insertMany inserts all rows or none", async () => {
    const columns = ["username", "server", "password"];
    const rows = rowsOf("many", 5);
    await expect(db.insertMany("users", columns, [...rows, rows[0]])).rejects.toMatchObject({ code: "constraint" });
    expect(await names("many%")).toEqual([]);
    await db.insertMany("users", columns, rows);
    await db.insertMany("users", columns, []);
    expect(await names("many%")).toHaveLength(5);
  });

  test("insertMany keeps every kind of value, as one row at a time does", async () => {
    const texts = [
      "",
      "NULL",
      "null",
      'a "quoted" one',
      "\\",
      "\\x41",
      "{1,2}",
      "a,b",
      "line\nbreak",
      "Žluť 🐎",
      "'; --",
      "$1",
    ];
    const bytes = new Uint8Array(256).map((_, i) => i);
    const columns = ["id", "user_id", "from_jid", "remote_bare_jid", "remote_resource", "direction", "message"];
    const rows = texts.map((text, i): SqlValue[] => [
      ...[435_200_000_000_000_000n + BigInt(i), 7, text, text, text, i % 2 ? "I" : "O", i % 2 ? bytes : text],
      ...[text, i % 3 ? text : null, i % 2 === 0],
    ]);
    await db.execute("DELETE FROM mam_message");
    await db.insertMany("mam_message", [...columns, "search_body", "origin_id", "is_groupchat"], rows);
    const found = await db.query<Record<string, SqlValue>>(
      "SELECT * FROM mam_message WHERE user_id = ? ORDER BY id",
      [7],
    );
    const text = (value: SqlValue): SqlValue => (value instanceof Uint8Array ? Buffer.from(value).toString() : value);
    expect(found.map((row) => [BigInt(row["id"] as bigint), text(row["from_jid"]), text(row["search_body"])])).toEqual(
      rows.map((row) => [row[0], row[2], row[7]]),
    );
    expect(found.map((row) => text(row["origin_id"]))).toEqual(rows.map((row) => row[8]));
    expect(found.map((row) => [row["direction"], asBoolean(row["is_groupchat"])])).toEqual(
      rows.map((row) => [row[5], row[9]]),
    );
    expect(
      found.map((row, i) => (i % 2 ? new Uint8Array(row["message"] as Uint8Array) : text(row["message"]))),
    ).toEqual(rows.map((row) => row[6]));
  });

  test("insertMany keeps a value whatever the rows beside it have", async () => {
    const random = new Random(20_261_127);
    // What a text or its bytes could be taken for when many travel as one.
    const texts = ["", "\u0001", "\u0002", "\u0002\u0001", "a\u0001b", "NULL", "\\x00", "{}", '"', "Žluť 🐎", "plain"];
    const bytes = [
      ...texts.map((text) => new Uint8Array(Buffer.from(text))),
      new Uint8Array([0]),
      new Uint8Array([255, 254]),
    ];
    const columns = ["id", "user_id", "from_jid", "remote_bare_jid", "remote_resource", "direction", "message"];
    await db.execute("DELETE FROM mam_message");
    const kept: SqlValue[][] = [];
    for (let batch = 0; batch < 150; batch++) {
      // Of most batches every value is harmless, or every one of a column is.
      const some = <T>(all: readonly T[], harmless: readonly T[]): readonly T[] =>
        random.below(3) === 0 ? all : harmless;
      const from = [0, 1, 2, 3].map(() => some(texts, ["", "NULL", "Žluť 🐎", "\\", '"']));
      const messages = some(bytes, bytes.slice(5, 11));
      const rows = Array.from({ length: 1 + random.below(6) }, (_, i): SqlValue[] => [
        ...[BigInt(batch * 10 + i), 7, random.pick(from[0]), random.pick(from[1]), random.pick(from[2]), "I"],
        ...[random.pick(messages), random.below(3) === 0 ? null : random.pick(from[3]), null, true],
      ]);
      await db.insertMany("mam_message", [...columns, "search_body", "origin_id", "is_groupchat"], rows);
      kept.push(...rows);
    }
    const found = await db.query<Record<string, SqlValue>>("SELECT * FROM mam_message WHERE user_id = 7 ORDER BY id");
    const text = (value: SqlValue): SqlValue => (value instanceof Uint8Array ? Buffer.from(value).toString() : value);
    expect(
      found.map((row) => [
        ...[BigInt(row["id"] as bigint), text(row["from_jid"]), text(row["remote_bare_jid"])],
        ...[text(row["remote_resource"]), new Uint8Array(row["message"] as Uint8Array), text(row["search_body"])],
      ]),
    ).toEqual(kept.map((row) => [row[0], row[2], row[3], row[4], row[6], row[7]]));
  });

  test("insertMany takes more rows than one statement has parameters", async () => {
    await db.insertMany("users", ["username", "server", "password"], rowsOf("crowd", 25_001));
    expect(await db.query("SELECT count(*) AS n FROM users WHERE username LIKE 'crowd%'")).toEqual([{ n: 25_001 }]);
  });

  test("insertMany refuses a row of the wrong width", async () => {
    await expect(db.insertMany("users", ["username", "server"], [["a"]])).rejects.toMatchObject({ code: "syntax" });
  });

  test("10,000 requests at once are all done", async () => {
    const sql = "INSERT INTO users (username, server, password) VALUES (?, 'localhost', '')";
    const changes = await Promise.all(Array.from({ length: 10_000 }, (_, i) => db.execute(sql, [`at-once-${i}`])));
    expect(changes.every((n) => n === 1)).toBe(true);
    expect(await db.query("SELECT count(*) AS n FROM users WHERE username LIKE 'at-once-%'")).toEqual([{ n: 10_000 }]);
    expect(db.stats().queued).toBe(0);
  });

  test("a closed database has done what was issued before, and refuses more", async () => {
    const other = database.dialect === "sqlite" ? db : await database.open();
    const sql = "INSERT INTO users (username, server, password) VALUES (?, 'localhost', '')";
    const pending = Array.from({ length: 500 }, (_, i) => other.execute(sql, [`closing-${i}`]));
    await Promise.all([other.close(), other.close()]);
    expect(await Promise.all(pending)).toHaveLength(500);
    await expect(other.execute(sql, ["late"])).rejects.toMatchObject({ code: "unavailable" });
    db = await database.open();
    expect(await names("closing-%")).toHaveLength(500);
  });
});

function rowsOf(name: string, count: number): string[][] {
  return Array.from({ length: count }, (_, i) => [`${name}-${i}`, "localhost", ""]);
}

function inbox(content: Uint8Array): Record<string, SqlValue> {
  return {
    luser: "romeo",
    lserver: "localhost",
    remote_bare_jid: "juliet@localhost",
    content,
    timestamp: 1,
    unread_count: 0,
  };
}

function lastItem(created_at: bigint): Record<string, SqlValue> {
  return { nidx: 1, itemid: "i", created_luser: "romeo", created_lserver: "localhost", created_at, payload: "" };
}

function pushForm(form: string): Record<string, SqlValue> {
  return { owner_jid: "romeo@localhost", node: "n", pubsub_jid: "push.localhost", form, created_at: 1 };
}

const broadcastJob = {
  name: "news",
  server: "localhost",
  host_type: "localhost",
  from_jid: "admin@localhost",
  subject: "",
  body: "",
  rate: 1,
  recipient_group: "all_users_in_domain",
  recipient_count: 0,
};
