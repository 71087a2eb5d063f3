// Addresses and ids that are longer than the columns for them: the message is kept all the same, on each database.
import { beforeAll, expect, test } from "vitest";
import { parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { PreferenceStore } from "../../modules/mod_mam/prefs/index.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("an archive", (database: TestDatabase) => {
  let db: Db;
  beforeAll(async () => {
    db = await database.open();
  });

  test.each([
    ["a long resource", `friend@elsewhere/${"r".repeat(251)}`, "friend@elsewhere", "o"],
    ["a resource of many bytes", `friend@elsewhere/${"ż".repeat(130)}`, "friend@elsewhere", "o"],
    ["one that just fits not with its account", `friend@elsewhere/${"r".repeat(240)}`, "friend@elsewhere", "o"],
    ["one that fits", `friend@elsewhere/${"ż".repeat(100)}`, `friend@elsewhere/${"ż".repeat(100)}`, "o"],
    ["a long origin-id", "friend@elsewhere/pc", "friend@elsewhere/pc", "o".repeat(251)],
    ["an origin-id of many bytes", "friend@elsewhere/pc", "friend@elsewhere/pc", "😀".repeat(63)],
  ])("keeps a message with %s", async (what, from, found, originId) => {
    const silent = { flushed() {}, dropped: () => expect.unreachable(), unfit: () => expect.unreachable() };
    const { sql } = new MamStore(db).sql({ cache_users: true }, silent);
    const owner = { local: what.replaceAll(" ", "-"), domain: "localhost" };
    const friend = parseJid(from);
    await sql.archive({
      id: 256n,
      owner,
      from: friend,
      remote: friend,
      direction: "in",
      stanza: "<message><body>x</body></message>",
      searchBody: "",
      originId,
      groupchat: false,
    });
    const page = { dir: "after", max: 5, count: true } as const;
    const { messages } = await sql.lookup(owner, { with: friend.bare }, page);
    expect(messages.map((message) => message.from)).toEqual([found]);
    const short = originId === "o";
    expect((await sql.byOriginId(owner, friend, "in", originId)) !== undefined).toBe(short);
  });

  test("keeps no address that it has no room for, and says so", async () => {
    const unfit: bigint[] = [];
    const silent = {
      flushed() {},
      dropped: () => expect.unreachable(),
      unfit: (_: object, id: bigint) => unfit.push(id),
    };
    const { sql } = new MamStore(db).sql({ cache_users: true }, silent);
    const friend = parseJid(`${"f".repeat(251)}@elsewhere`);
    const message = { stanza: "<message/>", searchBody: "", originId: undefined, groupchat: false };
    const owner = { local: "narrow", domain: "localhost" };
    await sql.archive({ ...message, id: 256n, owner, from: friend, remote: friend, direction: "in" });
    expect(unfit).toEqual([256n]);
    expect((await sql.lookup(owner, {}, { dir: "after", max: 5, count: true })).messages).toEqual([]);
  });

  test("has preferences for the longest JIDs that may be named", async () => {
    const store = new PreferenceStore(db);
    const jids = new Map([["ż".repeat(125), "A" as const]]);
    await store.save({ local: "prefs", domain: "localhost" }, { default: "N", jids });
    expect(await store.load({ local: "prefs", domain: "localhost" })).toEqual({ default: "N", jids });
  });
});
