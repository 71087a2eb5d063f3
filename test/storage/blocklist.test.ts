// Accounts that may not log in, in table blocklist.
import { beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { BlocklistStore } from "../../modules/mod_blocklist/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("the blocklist", (database: TestDatabase) => {
  let db: Db;
  let store: BlocklistStore;
  const romeo = makeBare("romeo", "one.example");
  const juliet = makeBare("julia.żółta", "one.example");

  beforeAll(async () => {
    db = await database.open();
    store = new BlocklistStore(db);
  });

  test("knows who is blocked, and why", async () => {
    expect(await store.isBlocked(romeo)).toBe(false);
    await store.block(romeo, undefined);
    await store.block(juliet, "Spam 🥫 '");
    expect([await store.isBlocked(romeo), await store.isBlocked(juliet)]).toEqual([true, true]);
    expect(await store.isBlocked(makeBare("romeo", "two.example"))).toBe(false);
    expect(await store.list("one.example", undefined, 0)).toEqual([
      { user: "julia.żółta", reason: "Spam 🥫 '" },
      { user: "romeo", reason: undefined },
    ]);
    expect(await store.personalData(juliet)).toEqual([
      { name: "blocklist", columns: ["jid", "reason"], rows: [[juliet.text, "Spam 🥫 '"]] },
    ]);
    await store.block(romeo, "later");
    expect(await store.count("one.example")).toBe(2);
    expect((await store.list("one.example", 1, 1))[0].reason).toBe("later");
  });

  test("is the same for another server on this database", async () => {
    const other = new BlocklistStore(db);
    expect(await other.isBlocked(romeo)).toBe(true);
    expect([store.wasJustBlocked(romeo), other.wasJustBlocked(romeo)]).toEqual([true, false]);
  });

  test("lets a user go once", async () => {
    expect([await store.unblock(romeo), await store.unblock(romeo)]).toEqual([true, false]);
    expect([await store.isBlocked(romeo), store.wasJustBlocked(romeo)]).toEqual([false, false]);
    expect(await store.personalData(romeo)).toEqual([{ name: "blocklist", columns: ["jid", "reason"], rows: [] }]);
  });

  test("is given in pages", async () => {
    for (let i = 0; i < 25; i++) await store.block(makeBare(`u${String(i).padStart(2, "0")}`, "pages.example"), "x");
    const names = async (limit: number | undefined, index: number) =>
      (await store.list("pages.example", limit, index)).map(({ user }) => user);
    expect(await names(2, 0)).toEqual(["u00", "u01"]);
    expect(await names(2, 23)).toEqual(["u23", "u24"]);
    expect(await names(undefined, 24)).toEqual(["u24"]);
    expect(await names(5, 25)).toEqual([]);
  });

  test("forgets who is removed, and whole domains", async () => {
    const user = makeBare("u03", "pages.example");
    await store.removeUser(user);
    expect([await store.isBlocked(user), await store.count("pages.example")]).toEqual([false, 24]);
    await store.removeDomain("pages.example");
    expect(await store.count("pages.example")).toBe(0);
    expect(store.wasJustBlocked(makeBare("u04", "pages.example"))).toBe(false);
    expect(await store.count("one.example")).toBe(1);
  });
});
