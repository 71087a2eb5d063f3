// Private XML storage in private_storage: our own rows, and those that MongooseIM left.
import { beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import mod_private from "../../modules/mod_private.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

interface PrivateStore {
  multiGetData(jid: ReturnType<typeof makeBare>, namespaces: readonly string[]): Promise<Map<string, string>>;
  multiSetData(
    jid: ReturnType<typeof makeBare>,
    entries: readonly { namespace: string; data: string }[],
  ): Promise<void>;
}

onEachDatabase("private storage", (database: TestDatabase) => {
  let db: Db;
  let store: PrivateStore & ReturnType<NonNullable<typeof mod_private.store>>;
  const romeo = makeBare("romeo", "private.example");

  beforeAll(async () => {
    db = await database.open();
    store = mod_private.store?.(db) as typeof store;
  });

  test.each([
    ["urn:example:plain", "<a xmlns='urn:example:plain'/>"],
    ["urn:example:żółć:🐎", "<a xmlns='urn:example:żółć:🐎'>Zażółć gęślą jaźń 🐎</a>"],
    ["urn:example:' ? $1 \\", "<a xmlns=\"urn:example:' ? $1 \\\">'; --</a>"],
    ["urn:example:long", `<a xmlns='urn:example:long'>${"x".repeat(60_000)}</a>`],
    ["n".repeat(250), `<a xmlns='${"n".repeat(250)}'/>`],
  ])("keeps an element as it was (%#)", async (namespace, data) => {
    await store.multiSetData(romeo, [{ namespace, data }]);
    expect(await store.multiGetData(romeo, [namespace])).toEqual(new Map([[namespace, data]]));
  });

  test("replaces an element, and tells namespaces by case", async () => {
    const entries = [
      { namespace: "urn:Case", data: "<a/>" },
      { namespace: "urn:case", data: "<b/>" },
    ];
    await store.multiSetData(romeo, entries);
    await store.multiSetData(romeo, [{ namespace: "urn:case", data: "<c/>" }]);
    expect(await store.multiGetData(romeo, ["urn:Case", "urn:case", "urn:other"])).toEqual(
      new Map([
        ["urn:Case", "<a/>"],
        ["urn:case", "<c/>"],
      ]),
    );
  });

  test("keeps the elements of each user apart", async () => {
    await store.multiSetData(romeo, [{ namespace: "urn:own", data: "<mine/>" }]);
    expect(await store.multiGetData(makeBare("juliet", "private.example"), ["urn:own"])).toEqual(new Map());
    expect(await store.multiGetData(makeBare("romeo", "other.example"), ["urn:own"])).toEqual(new Map());
  });

  test("keeps one of the elements that many wrote at the same time", async () => {
    const values = Array.from({ length: 30 }, (_, i) => `<v>${i}</v>`);
    await Promise.all(values.map((data) => store.multiSetData(romeo, [{ namespace: "urn:race", data }])));
    expect(values).toContain((await store.multiGetData(romeo, ["urn:race"])).get("urn:race"));
  });

  test("reads what MongooseIM wrote", async () => {
    const user = makeBare("mim", "private.example");
    const data = '<storage xmlns="storage:bookmarks"><conference name="ż" jid="r@muc"/></storage>';
    await db.execute("INSERT INTO private_storage (server, username, namespace, data) VALUES (?, ?, ?, ?)", [
      user.domain,
      user.local,
      "storage:bookmarks",
      data,
    ]);
    expect(await store.multiGetData(user, ["storage:bookmarks"])).toEqual(new Map([["storage:bookmarks", data]]));
  });

  test("is personal data, with MongooseIM's columns", async () => {
    const user = makeBare("personal", "private.example");
    await store.multiSetData(user, [
      { namespace: "urn:b", data: "<b/>" },
      { namespace: "urn:a", data: "<a/>" },
    ]);
    expect(await store.personalData(user)).toEqual([
      {
        name: "private",
        columns: ["ns", "xml"],
        rows: [
          ["urn:a", "<a/>"],
          ["urn:b", "<b/>"],
        ],
      },
    ]);
  });
});
