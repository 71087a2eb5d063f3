// Rosters in rosterusers, rostergroups and roster_version: our own rows, and those that MongooseIM left.
import { beforeAll, describe, expect, test } from "vitest";
import type { StanzaError } from "../../core/errors.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import { PAGE } from "../../core/storage/batches.ts";
import type { Db } from "../../core/storage/db.ts";
import type { RosterItem } from "../../modules/mod_roster/item.ts";
import { Rosters } from "../../modules/mod_roster/roster.ts";
import { RosterStore } from "../../modules/mod_roster/store.ts";
import { STATES } from "../../modules/mod_roster/subscription.ts";
import { manyTimes } from "../support/many-times.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("rosters", (database: TestDatabase) => {
  let db: Db;
  let store: RosterStore;
  let users = 0;

  beforeAll(async () => {
    db = await database.open();
    store = new RosterStore(db);
  });

  // Part of a key in MySQL, and then of limited length.
  const LONGEST_GROUP = database.dialect === "mysql" ? 250 : 1000;
  const newUser = (domain = "roster.example"): BareJid => makeBare(`romeo${++users}`, domain);
  const item = (jid: string, more: Partial<RosterItem> = {}): RosterItem => ({
    jid,
    name: "",
    groups: [],
    state: "none",
    askMessage: "",
    ...more,
  });
  const write = (user: BareJid, it: RosterItem, version?: string): Promise<void> =>
    store.write(user, it, { groups: true, version });

  test.each(STATES)("an item in state %s comes back as it was", async (state) => {
    const user = newUser();
    await write(user, item("juliet@example.com", { state }));
    expect(await store.roster(user)).toEqual([item("juliet@example.com", { state })]);
  });

  test.each([
    ["no name, no group", {}],
    ["a name and groups", { name: "Juliet", groups: ["Family", "Verona"] }],
    ["other scripts", { name: "Żaneta 🐎 \u200dä", groups: ["Семья", "家族", "🏰"] }],
    ["what SQL could mistake", { name: "'; DROP TABLE rosterusers; --", groups: ["\\", "a'b", "?", "$1"] }],
    ["long texts", { name: "n".repeat(1023), groups: ["g".repeat(LONGEST_GROUP)], askMessage: "m".repeat(20_000) }],
    ["a hundred groups", { groups: Array.from({ length: 100 }, (_, i) => `group ${String(i).padStart(3, "0")}`) }],
    ["groups that differ in case", { groups: ["Friends", "friends"] }],
  ])("an item with %s comes back as it was", async (_, more) => {
    const user = newUser();
    const it = item("juliet@example.com", more);
    await write(user, it);
    const back = await store.item(user, it.jid);
    expect({ ...back, groups: back?.groups.toSorted() }).toEqual({ ...it, groups: it.groups.toSorted() });
  });

  test("what there is between a domain's accounts and those of others, over more than one page", async () => {
    const domain = "out_side.example";
    const people = Array.from({ length: 12 }, () => newUser(domain));
    const expected: string[] = [];
    for (const user of people) {
      // Those of the same domain go with it, a name that LIKE might take for it does not; one is of no state at all.
      await write(user, item(`friend@${domain}`, { state: "both" }));
      await write(user, item("friend@outxside.example", { state: "from" }));
      await write(user, item("nothing@x.example"));
      await write(user, item("asks@x.example", { state: "none/in" }));
      expected.push(`${user.text} asks@x.example none/in`, `${user.text} friend@outxside.example from`);
    }
    const [first] = people;
    await manyTimes(PAGE, (k) => write(first, item(`many${k}@x.example`, { state: "to", groups: ["a", "b"] })));
    for (let k = 0; k < PAGE; k++) expected.push(`${first.text} many${k}@x.example to`);
    await write(newUser("other.example"), item("friend@x.example", { state: "both" }));
    const found: string[] = [];
    const sizes: number[] = [];
    for await (const page of store.outside(domain)) {
      sizes.push(page.length);
      for (const { user, jid, state } of page) found.push(`${user.text} ${jid} ${state}`);
    }
    expect(found.toSorted()).toEqual(expected.toSorted());
    expect(sizes).toEqual([PAGE, expected.length - PAGE]);
  });

  test("contacts come in the same order each time, each with its own groups", async () => {
    const user = newUser();
    for (const jid of ["b@x", "a@x", "ä@x", "c@x/res"]) await write(user, item(jid, { groups: [`of ${jid}`, "all"] }));
    const roster = await store.roster(user);
    expect(roster.map(({ jid }) => jid).toSorted()).toEqual(["a@x", "b@x", "c@x/res", "ä@x"].toSorted());
    for (const { jid, groups } of roster) expect(groups.toSorted()).toEqual(["all", `of ${jid}`]);
    expect(await store.roster(user)).toEqual(roster);
  });

  test("writing again replaces name, state and groups", async () => {
    const user = newUser();
    await write(user, item("a@x", { name: "Old", groups: ["one", "two"], state: "to" }));
    const changed = item("a@x", { name: "New", groups: ["two", "three"].toSorted(), state: "both" });
    await write(user, changed);
    expect(await store.roster(user)).toEqual([changed]);
  });

  test("groups stay when they are not part of the change", async () => {
    const user = newUser();
    const before = item("a@x", { groups: ["one"] });
    await write(user, before);
    await store.write(user, { ...before, state: "to" }, { groups: false, version: undefined });
    expect(await store.roster(user)).toEqual([{ ...before, state: "to" }]);
  });

  test("a deleted contact leaves with its groups, and the others stay", async () => {
    const user = newUser();
    for (const jid of ["a@x", "b@x"]) await write(user, item(jid, { groups: ["g"] }));
    await store.delete(user, "a@x", undefined);
    expect((await store.roster(user)).map(({ jid }) => jid)).toEqual(["b@x"]);
    const groups = await db.query("SELECT jid FROM rostergroups WHERE username = ?", [user.local]);
    expect(groups).toEqual([{ jid: "b@x" }]);
  });

  test("a version changes with the item it belongs to", async () => {
    const user = newUser();
    expect(await store.version(user)).toBeUndefined();
    await write(user, item("a@x"), "v1");
    expect(await store.version(user)).toBe("v1");
    await store.delete(user, "a@x", "v2");
    expect(await store.version(user)).toBe("v2");
    await store.setVersion(user, "v3");
    expect(await store.version(user)).toBe("v3");
  });

  test("a contact whose address is too long for an index is refused whole, or kept whole", async () => {
    const user = newUser();
    const random = Array.from(
      { length: 1000 },
      (_, i) => ((i * 7919 + 13) % 36).toString(36) + ((i * i) % 31).toString(36),
    );
    const long = item(`${random.join("")}@${"d".repeat(200)}/${random.toReversed().join("")}`, { groups: ["g"] });
    const done = await write(user, long).then(
      () => "kept",
      (error: { code: string }) => error.code,
    );
    expect(["kept", "constraint"]).toContain(done);
    expect(await store.roster(user)).toEqual(done === "kept" ? [long] : []);
  });

  test("an item that the database cannot hold is not acceptable, and nothing of it is kept", async () => {
    const user = newUser();
    const long = item("juliet@example.com", { groups: ["g".repeat(1000)] });
    const done = await new Rosters(store)
      .change(user, long.jid, undefined, () => long)
      .then(
        () => "kept",
        (error: StanzaError) => error.condition,
      );
    expect(done).toBe(database.dialect === "mysql" ? "not-acceptable" : "kept");
    expect(await store.roster(user)).toEqual(done === "kept" ? [long] : []);
  });

  test("many who write at the same time lose nothing", async () => {
    const user = newUser();
    const jids = Array.from({ length: 40 }, (_, i) => `c${i % 20}@x`);
    await Promise.all(jids.map((jid, i) => write(user, item(jid, { groups: [`g${i}`, "all"] }), `v${i}`)));
    const roster = await store.roster(user);
    expect(roster).toHaveLength(20);
    for (const { groups } of roster) expect(groups).toHaveLength(2);
    expect(await store.count(user)).toEqual({ items: 20, requests: 0 });
  });

  describe("rows of MongooseIM", () => {
    const insert = (user: BareJid, values: Record<string, string>): Promise<boolean> =>
      db.insertNew("rosterusers", {
        server: user.domain,
        username: user.local,
        jid: "juliet@example.com",
        nick: "",
        subscription: "N",
        ask: "N",
        askmessage: "",
        ...values,
      });

    test.each([
      ["B", "N", "both"],
      ["T", "N", "to"],
      ["F", "N", "from"],
      ["N", "N", "none"],
      ["N", "O", "none/out"],
      ["N", "I", "none/in"],
      ["N", "B", "none/out+in"],
      ["F", "O", "from/out"],
      ["T", "I", "to/in"],
      ["N", "S", "none/out"],
      ["B", "U", "both"],
    ])("with subscription %s and ask %s are %s", async (subscription, ask, state) => {
      const user = newUser();
      await insert(user, { subscription, ask });
      expect(await store.roster(user)).toEqual([item("juliet@example.com", { state: state as RosterItem["state"] })]);
    });

    test("are what we write too", async () => {
      const user = newUser();
      await write(user, item("a@x", { name: "A", state: "from/out", askMessage: "please", groups: ["g"] }), "v");
      const of = "WHERE server = ? AND username = ?";
      const params = [user.domain, user.local];
      expect(await db.query(`SELECT jid, nick, subscription, ask, askmessage FROM rosterusers ${of}`, params)).toEqual([
        { jid: "a@x", nick: "A", subscription: "F", ask: "O", askmessage: "please" },
      ]);
      expect(await db.query(`SELECT jid, grp FROM rostergroups ${of}`, params)).toEqual([{ jid: "a@x", grp: "g" }]);
      expect(await db.query(`SELECT version FROM roster_version ${of}`, params)).toEqual([{ version: "v" }]);
    });
  });

  test("personal data has MongooseIM's columns, a row for each contact", async () => {
    const user = newUser();
    await write(user, item("a@x", { name: "A", groups: ["g1", "g2"], state: "to/in", askMessage: "hi" }));
    expect(await store.personalData(user)).toEqual([
      {
        name: "roster",
        columns: ["jid", "name", "subscription", "ask", "groups", "askmessage", "xs"],
        rows: [["a@x", "A", "to", "in", "g1, g2", "hi", ""]],
      },
    ]);
  });
});
