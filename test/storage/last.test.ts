// Last activity in the table `last`: our own rows, and those that MongooseIM left.
import { beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { LastStore } from "../../modules/mod_last/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("last activity", (database: TestDatabase) => {
  let db: Db;
  let store: LastStore;

  beforeAll(async () => {
    db = await database.open();
    store = new LastStore(db);
  });

  test.each([
    ["no status", { seconds: 1_790_000_000, status: "" }],
    ["a status in other scripts", { seconds: 1_790_000_000, status: "Gute Nacht 🌙 спокойной ночи" }],
    ["what SQL could mistake", { seconds: 0, status: "'\\ ? $1 ; --\n" }],
    ["a long status", { seconds: 2_147_483_647, status: "z".repeat(30_000) }],
  ])("comes back as it was, with %s", async (title, last) => {
    const user = makeBare(title.replaceAll(" ", "."), "last.example");
    await store.setLastInfo(user, last);
    expect(await store.getLast(user)).toEqual(last);
  });

  test("is absent for who was never seen", async () => {
    expect(await store.getLast(makeBare("never", "last.example"))).toBeUndefined();
  });

  test("is replaced", async () => {
    const user = makeBare("twice", "last.example");
    await store.setLastInfo(user, { seconds: 1, status: "first" });
    await store.setLastInfo(user, { seconds: 2, status: "second" });
    expect(await store.getLast(user)).toEqual({ seconds: 2, status: "second" });
  });

  test("is what was asked for last, and nobody reads before it is stored", async () => {
    const user = makeBare("busy", "last.example");
    const all = Array.from({ length: 50 }, (_, i) => store.setLastInfo(user, { seconds: i, status: `${i}` }));
    expect(await store.getLast(user)).toEqual({ seconds: 49, status: "49" });
    const rest = Array.from({ length: 50 }, (_, i) => store.setLastInfo(user, { seconds: 50 + i, status: "" }));
    await Promise.all([...all, ...rest, store.removeUser(user)]);
    expect(await store.getLast(user)).toBeUndefined();
  });

  test("of MongooseIM's rows is read", async () => {
    const sql = "INSERT INTO last (server, username, seconds, state) VALUES ('last.example', 'mim', 1500000000, 'bye')";
    await db.execute(sql);
    expect(await store.getLast(makeBare("mim", "last.example"))).toEqual({ seconds: 1_500_000_000, status: "bye" });
  });

  test("of many users is found at once, of those who have been seen", async () => {
    for (const [name, seconds] of [
      ["żółć", 5],
      ["o-brien", 6],
    ] as const) {
      await store.setLastInfo(makeBare(name, "many.example"), { seconds, status: "" });
    }
    const found = await store.secondsOf("many.example", ["żółć", "nobody", "o-brien"]);
    expect([...found].toSorted()).toEqual([
      ["o-brien", 6],
      ["żółć", 5],
    ]);
    expect(await store.secondsOf("many.example", [])).toEqual(new Map());
  });

  test.each([
    [9, 2],
    [10, 1],
    [20, 0],
    // Past what a 32-bit column holds.
    [32_503_680_000, 0],
    [-1, 2],
  ])("after %d s is counted", async (seconds, expected) => {
    for (const [name, at] of [
      ["a", 10],
      ["b", 20],
    ] as const) {
      await store.setLastInfo(makeBare(name, "count.example"), { seconds: at, status: "" });
    }
    expect(await store.countActive("count.example", seconds)).toBe(expected);
  });

  test("is personal data", async () => {
    const user = makeBare("personal", "last.example");
    await store.setLastInfo(user, { seconds: 7, status: "s" });
    expect(await store.personalData(user)).toEqual([
      { name: "last", columns: ["seconds", "status"], rows: [["7", "s"]] },
    ]);
  });
});
