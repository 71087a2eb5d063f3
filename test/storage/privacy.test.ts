// Privacy lists in MongooseIM's three tables: our own rows, and those that MongooseIM left.
import { beforeAll, expect, test } from "vitest";
import { type BareJid, makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { EVERY_KIND, IQ_IN, type Item, MESSAGE_IN, PRESENCE_OUT, PrivacyList } from "../../modules/mod_privacy/list.ts";
import { PrivacyStore } from "../../modules/mod_privacy/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const item = (order: number, over: Partial<Item> = {}): Item => ({
  type: "none",
  value: "",
  action: "deny",
  kinds: EVERY_KIND,
  ...over,
  order,
});

onEachDatabase("privacy lists", (database: TestDatabase) => {
  let db: Db;
  let store: PrivacyStore;
  let users = 0;
  const someone = (): BareJid => makeBare(`user${++users}`, "privacy.example");
  const tables = ["privacy_list", "privacy_list_data", "privacy_default_list"];
  const counts = () =>
    Promise.all(
      tables.map(async (table) => Number((await db.query<{ n: number }>(`SELECT count(*) AS n FROM ${table}`))[0].n)),
    );
  /** Writes a list over what there is of it. */
  const write = async (user: BareJid, name: string, items: readonly Item[], asDefault = false) =>
    store.replace(user, await store.list(user, name), new PrivacyList(name, items), asDefault);
  const items = async (user: BareJid, name: string) => (await store.list(user, name))?.items;

  const rich: readonly Item[] = [
    item(0, { type: "jid", value: "żółw@example.org/🐢", action: "block" }),
    item(1, { type: "group", value: "It's \\ a % group", kinds: MESSAGE_IN | PRESENCE_OUT }),
    item(7, { type: "subscription", value: "both", action: "allow", kinds: IQ_IN }),
    item(2_147_483_647, { kinds: 15 }),
  ];

  beforeAll(async () => {
    db = await database.open();
    store = new PrivacyStore(db);
  });

  test("keep every item as it was, by order", async () => {
    const user = someone();
    await write(user, "Lista żółta 'x'", rich.toReversed());
    expect(await items(user, "Lista żółta 'x'")).toEqual(rich);
    expect(await items(user, "other")).toBeUndefined();
  });

  test("are replaced: what is not in the new list is gone, the rest is written once", async () => {
    const user = someone();
    await write(user, "l", rich);
    const next = [rich[0], item(1, { action: "allow" }), item(9)];
    await write(user, "l", next);
    expect(await items(user, "l")).toEqual(next);
    await write(user, "l", [item(3)]);
    expect(await items(user, "l")).toEqual([item(3)]);
  });

  test("hold thousands of items", async () => {
    const user = someone();
    const many = Array.from({ length: 3001 }, (_, i) => item(i, { type: "jid", value: `u${i}@example.org` }));
    await write(user, "l", many, true);
    expect((await store.defaultList(user))?.items).toEqual(many);
    const fewer = many.filter((_, i) => i % 3 !== 0);
    await write(user, "l", fewer);
    expect(await items(user, "l")).toEqual(fewer);
  });

  test("have names, sorted; one without items does not exist", async () => {
    const user = someone();
    for (const name of ["b", "a", "c"]) await write(user, name, [item(1)]);
    await db.insertNew("privacy_list", { server: user.domain, username: user.local, name: "left by a crash" });
    expect(await store.names(user)).toEqual(["a", "b", "c"]);
    expect(await store.list(user, "left by a crash")).toBeUndefined();
    await write(user, "left by a crash", [item(2)]);
    expect(await items(user, "left by a crash")).toEqual([item(2)]);
  });

  test("one of them is the default list", async () => {
    const user = someone();
    expect(await store.defaultList(user)).toBeUndefined();
    await write(user, "a", [item(1)]);
    await write(user, "b", rich, true);
    expect(await store.defaultList(user)).toEqual(new PrivacyList("b", rich));
    await store.setDefault(user, "a");
    expect((await store.defaultList(user))?.name).toBe("a");
    await store.remove(user, "b");
    expect((await store.defaultList(user))?.name).toBe("a");
    await store.remove(user, "a");
    expect(await store.defaultList(user)).toBeUndefined();
    expect(await store.names(user)).toEqual([]);
    await write(user, "a", [item(1)], true);
    await store.forgetDefault(user);
    expect(await store.defaultList(user)).toBeUndefined();
  });

  test("of each user are his own", async () => {
    const [one, two] = [someone(), someone()];
    const namesake = makeBare(one.local, "other.example");
    for (const user of [one, two, namesake]) await write(user, "l", [item(users++)], true);
    const theirs = await Promise.all([items(two, "l"), items(namesake, "l")]);
    await write(one, "l", rich);
    await store.remove(one, "l");
    expect(await Promise.all([items(two, "l"), items(namesake, "l")])).toEqual(theirs);
    expect((await store.defaultList(two))?.name).toBe("l");
  });

  test("that MongooseIM wrote are read", async () => {
    const user = makeBare("mim", "privacy.example");
    const key = { server: user.domain, username: user.local };
    await db.insertNew("privacy_list", { ...key, name: "blocking" });
    const [{ id }] = await db.query<{ id: number }>("SELECT id FROM privacy_list WHERE username = 'mim'");
    const none = { match_all: false, match_iq: false, match_message: false, match_presence_in: false };
    const rows = [
      { t: "j", value: "bob@localhost", action: "b", ord: 1, ...none, match_all: true, match_presence_out: false },
      { t: "s", value: "none", action: "d", ord: 2, ...none, match_message: true, match_presence_out: true },
      { t: "n", value: "", action: "a", ord: 3, ...none, match_all: true, match_presence_out: false },
    ];
    for (const row of rows) await db.insertNew("privacy_list_data", { id, ...row });
    await db.insertNew("privacy_default_list", { ...key, name: "blocking" });
    expect(await store.defaultList(user)).toEqual(
      new PrivacyList("blocking", [
        item(1, { type: "jid", value: "bob@localhost", action: "block" }),
        item(2, { type: "subscription", value: "none", kinds: MESSAGE_IN | PRESENCE_OUT }),
        item(3, { action: "allow" }),
      ]),
    );
  });

  test("are personal data", async () => {
    const user = someone();
    await write(user, "b", [item(5, { type: "jid", value: "x@y", action: "block" })], true);
    await write(user, "a", [item(1, { kinds: MESSAGE_IN | IQ_IN })]);
    expect(await store.personalData(user)).toEqual([
      {
        name: "privacy",
        columns: ["list", "default", "order", "type", "value", "action", "stanzas"],
        rows: [
          ["a", "false", "1", "none", "", "deny", "message, iq"],
          ["b", "true", "5", "jid", "x@y", "block", "all"],
        ],
      },
    ]);
    expect(await store.personalData(someone())).toEqual([expect.objectContaining({ rows: [] })]);
  });

  test("go with their user, and with their domain", async () => {
    const user = makeBare("leaver", "gone.example");
    const other = makeBare("stayer", "gone.example");
    const before = await counts();
    for (const one of [user, other]) await write(one, "l", rich, true);
    await store.removeUser(user);
    expect(await store.names(user)).toEqual([]);
    expect(await items(other, "l")).toEqual(rich);
    await store.removeDomain("gone.example");
    expect(await counts()).toEqual(before);
  });
});
