// Preferences of archiving in mam_config: our own rows, and those that MongooseIM left.
import { beforeAll, expect, test } from "vitest";
import type { Db } from "../../core/storage/db.ts";
import { PreferenceStore } from "../../modules/mod_mam/prefs/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("archiving preferences", (database: TestDatabase) => {
  let db: Db;
  let store: PreferenceStore;
  const owner = (local: string, domain = "prefs.example") => ({ local, domain });
  const jids = (...entries: [string, "A" | "N"][]) => new Map(entries);

  beforeAll(async () => {
    db = await database.open();
    store = new PreferenceStore(db);
  });

  test("an owner who has said nothing has no row", async () => {
    expect(await store.load(owner("nobody"))).toBeUndefined();
  });

  test("what was said is read again, and takes the place of what was said before", async () => {
    const first = { default: "R" as const, jids: jids(["żółw@prefs.example/🐢", "A"], ["tybalt@prefs.example", "N"]) };
    await store.save(owner("romeo"), first);
    expect(await store.load(owner("romeo"))).toEqual(first);
    const second = { default: "N" as const, jids: jids(["juliet@prefs.example", "A"]) };
    await store.save(owner("romeo"), second);
    expect(await store.load(owner("romeo"))).toEqual(second);
    const third = { default: "A" as const, jids: jids() };
    await store.save(owner("romeo"), third);
    expect(await store.load(owner("romeo"))).toEqual(third);
  });

  test("an owner has one number, however often and at once he writes", async () => {
    const one = { default: "N" as const, jids: jids() };
    await Promise.all([1, 2, 3].map(() => store.save(owner("often"), one).catch(() => undefined)));
    await store.save(owner("often"), one);
    const sql = "SELECT id FROM mam_server_user WHERE server = ? AND user_name = ?";
    expect(await db.query(sql, ["prefs.example", "often"])).toHaveLength(1);
    expect(await store.load(owner("often"))).toEqual(one);
  });

  test("MongooseIM's rows are read, and a missing default is always", async () => {
    await db.insertNew("mam_server_user", { server: "prefs.example", user_name: "old" });
    const [{ id }] = await db.query<{ id: number }>("SELECT id FROM mam_server_user WHERE user_name = 'old'");
    await db.execute("INSERT INTO mam_config (user_id, remote_jid, behaviour) VALUES (?, ?, 'N')", [id, "a@b/c"]);
    expect(await store.load(owner("old"))).toEqual({ default: "A", jids: jids(["a@b/c", "N"]) });
  });
});
