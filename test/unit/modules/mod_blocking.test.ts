// XEP-0191: the block list as a part of the default privacy list.
import { beforeEach, describe, expect, test } from "vitest";
import modBlocking from "../../../modules/mod_blocking/index.ts";
import { block, blockedIn, unblock } from "../../../modules/mod_blocking/items.ts";
import modPresence from "../../../modules/mod_presence/index.ts";
import modPrivacy, { EVERY_KIND, type Item } from "../../../modules/mod_privacy/index.ts";
import modRoster from "../../../modules/mod_roster/index.ts";
import { Random } from "../../fuzz/random.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const NS = "urn:xmpp:blocking";
const ROMEO = "romeo@localhost/orchard";
const JULIET = "juliet@localhost/balcony";

const item = (order: number, value: string, over: Partial<Item> = {}): Item => ({
  type: "jid",
  value,
  action: "block",
  order,
  kinds: EVERY_KIND,
  ...over,
});
const show = (items: readonly Item[]) => items.map(({ order, value, action }) => `${order} ${action} ${value}`);

describe("a block list in a privacy list", () => {
  test("is its rules that turn everything of a JID away", () => {
    const items = [
      item(1, "a@x"),
      item(2, "b@x", { action: "deny" }),
      item(3, "c@x", { kinds: 1 }),
      item(4, "d@x", { action: "allow" }),
      item(5, "Friends", { type: "group", action: "deny" }),
    ];
    expect(blockedIn(items)).toEqual(["a@x", "b@x"]);
  });

  test("grows behind what is blocked and before all else", () => {
    expect(show(block([], ["a@x", "a@x", "b@x"]))).toEqual(["0 block a@x", "1 block b@x"]);
    const rest = item(9, "x", { action: "allow" });
    expect(show(block([item(1, "a@x"), rest], ["b@x"]))).toEqual(["1 block a@x", "2 block b@x", "9 allow x"]);
    // No room: the orders are given anew.
    const tight = [item(1, "a@x"), item(2, "x", { action: "allow" })];
    expect(show(block(tight, ["b@x"]))).toEqual(["1 block a@x", "2 block b@x", "3 allow x"]);
    expect(show(block([item(0, "x", { action: "allow" })], ["b@x"]))).toEqual(["1 block b@x", "2 allow x"]);
    expect(show(block([item(2_147_483_647, "a@x")], ["b@x"]))).toEqual(["1 block a@x", "2 block b@x"]);
  });

  test("a rule that comes too late to block is moved", () => {
    const items = [item(1, "x", { action: "allow" }), item(2, "b@x", { action: "deny" })];
    expect(show(block(items, ["b@x"]))).toEqual(["0 block b@x", "1 allow x"]);
  });

  test("what changes nothing gives the same items", () => {
    const items = [item(1, "a@x"), item(2, "c@x", { action: "allow" })];
    expect(block(items, ["a@x"])).toBe(items);
    expect(unblock(items, ["b@x", "c@x"])).toBe(items);
    expect(show(unblock(items, []))).toEqual(["2 allow c@x"]);
  });

  test("has each JID that was blocked and not unblocked, before all else, under orders of their own", () => {
    const chance = new Random(191);
    for (let round = 0; round < 300; round++) {
      let items: readonly Item[] = chance.once(2)
        ? []
        : [item(chance.below(3), "x", { action: "allow" }), item(3 + chance.below(3), "g", { type: "group" })];
      const wanted = new Set<string>();
      for (let step = 0; step < 20; step++) {
        const jids = Array.from({ length: 1 + chance.below(3) }, () => `u${chance.below(8)}@y`);
        if (chance.once(3)) {
          items = unblock(items, jids);
          for (const jid of jids) wanted.delete(jid);
        } else {
          items = block(items, jids);
          for (const jid of jids) wanted.add(jid);
        }
        const sorted = items.toSorted((a, b) => a.order - b.order);
        expect(sorted).toEqual(items);
        expect(new Set(items.map(({ order }) => order)).size).toBe(items.length);
        expect(
          items
            .slice(0, wanted.size)
            .map(({ value }) => value)
            .sort(),
        ).toEqual([...wanted].sort());
      }
    }
  });
});

describe("the command", () => {
  let server: FakeServer;
  let romeo: FakeClient;
  let juliet: FakeClient;
  const set = (name: "block" | "unblock", ...jids: string[]) =>
    `<iq type='set' id='s'><${name} xmlns='${NS}'>${jids.map((jid) => `<item jid='${jid}'/>`).join("\n")}</${name}></iq>`;
  const list = (...jids: string[]) =>
    `<iq from='romeo@localhost' id='g' to='${ROMEO}' type='result'><blocklist xmlns='${NS}'>${jids.map((jid) => `<item jid='${jid}'/>`).join("")}</blocklist></iq>`;
  const ask = `<iq type='get' id='g'><blocklist xmlns='${NS}'/></iq>`;
  const privacy = (type: string, inner: string) =>
    `<iq type='${type}' id='p'><query xmlns='jabber:iq:privacy'>${inner}</query></iq>`;
  const stored = () =>
    server.db.query(
      "SELECT l.name, i.t, i.value, i.action, i.match_all FROM privacy_list l JOIN privacy_list_data i ON i.id = l.id ORDER BY i.ord",
    );

  beforeEach(async () => {
    server = new FakeServer({ users: ["romeo", "juliet"] });
    for (const def of [modRoster, modPresence]) await server.startModule(def);
    await server.startModule(modPrivacy, { max_items: 5 });
    await server.startModule(modBlocking);
    romeo = server.connect(ROMEO);
    juliet = server.connect(JULIET);
    await server.settle();
  });

  test("makes MongooseIM's list and has it apply", async () => {
    await romeo.sends(set("block", "Juliet@localhost"));
    expect(romeo.received()).toEqual([
      `<iq from='romeo@localhost' to='${ROMEO}' id='s' type='result'></iq>`,
      `<iq from='romeo@localhost' id='push' to='${ROMEO}' type='set'><block xmlns='${NS}'><item jid='juliet@localhost'/></block></iq>`,
    ]);
    expect(await stored()).toEqual([
      { name: "blocking", t: "j", value: "juliet@localhost", action: "b", match_all: 1 },
    ]);
    expect(await server.db.query("SELECT name FROM privacy_default_list")).toEqual([{ name: "blocking" }]);
    await romeo.sends(ask);
    romeo.hears(list("juliet@localhost"));
    await romeo.sends(set("unblock", "juliet@localhost"));
    romeo.received();
    expect(await stored()).toEqual([]);
    expect(await server.db.query("SELECT name FROM privacy_default_list")).toEqual([]);
    await romeo.sends(ask);
    romeo.hears(list());
  });

  test("edits the default list that is there, and shows what it blocks", async () => {
    await romeo.sends(
      privacy(
        "set",
        "<list name='public'><item action='deny' order='3' type='jid' value='nurse@localhost'/><item action='allow' order='5'/></list>",
      ),
      privacy("set", "<default name='public'/>"),
    );
    romeo.received();
    await romeo.sends(ask);
    romeo.hears(list("nurse@localhost"));
    await romeo.sends(set("block", "juliet@localhost"));
    const heard = romeo.received();
    // One push for the block list, and one for the session that uses privacy lists.
    expect(
      heard.filter((text) => text.includes("type='set'")).map((text) => /xmlns='([^']+)'/.exec(text)?.[1]),
    ).toEqual([NS, "jabber:iq:privacy"]);
    expect((await stored()).map((row) => Object.values(row).slice(0, 4))).toEqual([
      ["public", "j", "nurse@localhost", "d"],
      ["public", "j", "juliet@localhost", "b"],
      ["public", "n", "", "a"],
    ]);
    await juliet.sends(`<message to='${ROMEO}' id='m'><body>hi</body></message>`);
    romeo.hears();
    await romeo.sends(set("unblock"));
    romeo.received();
    await romeo.sends(ask);
    romeo.hears(list());
    expect((await stored()).map((row) => Object.values(row).slice(0, 2))).toEqual([["public", "n"]]);
  });

  test("tells the user whom he has blocked", async () => {
    await romeo.sends(set("block", "juliet@localhost"));
    romeo.received();
    await romeo.sends(`<message to='${JULIET}' id='m' type='chat'><body>hi</body></message>`);
    romeo.hears(
      `<message from='${JULIET}' id='m' to='${ROMEO}' type='error'><body>hi</body><error code='406' type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error></message>`,
    );
    juliet.hears();
  });

  test.each([
    ["bad-request", "<block xmlns='urn:xmpp:blocking'/>"],
    ["bad-request", "<block xmlns='urn:xmpp:blocking'><item/></block>"],
    ["bad-request", "<block xmlns='urn:xmpp:blocking'><jid jid='a@x'/></block>"],
    ["bad-request", "<blocklist xmlns='urn:xmpp:blocking'/>"],
    ["bad-request", "<other xmlns='urn:xmpp:blocking'/>"],
    ["jid-malformed", "<block xmlns='urn:xmpp:blocking'><item jid='a@b@c'/></block>"],
    ["jid-malformed", "<unblock xmlns='urn:xmpp:blocking'><item jid='@x'/></unblock>"],
  ])("is refused as %s: %s", async (condition, payload) => {
    await romeo.sends(`<iq type='set' id='s'>${payload}</iq>`);
    const heard = romeo.received();
    expect(heard).toHaveLength(1);
    expect(heard[0]).toContain(`<${condition} `);
    expect(await stored()).toEqual([]);
  });

  test("is bounded by the items of a list", async () => {
    await romeo.sends(set("block", "a@x", "b@x", "c@x", "d@x", "e@x"));
    romeo.received();
    await romeo.sends(set("block", "f@x"));
    expect(romeo.received()[0]).toContain("<policy-violation");
    await romeo.sends(set("block", "a@x"), set("unblock", "a@x"), set("block", "f@x"));
    expect(romeo.received().filter((text) => text.includes("type='error'"))).toEqual([]);
    expect((await stored()).map((row) => Object.values(row)[2])).toEqual(["b@x", "c@x", "d@x", "e@x", "f@x"]);
  });

  test("given by two sessions at once adds up", async () => {
    const garden = server.connect("romeo@localhost/garden");
    await Promise.all([romeo.sends(set("block", "a@x", "b@x")), garden.sends(set("block", "b@x", "c@x"))]);
    expect((await stored()).map((row) => Object.values(row)[2]).sort()).toEqual(["a@x", "b@x", "c@x"]);
  });

  test("blocks one resource, one domain, or a room's occupant alone", async () => {
    await romeo.sends(set("block", JULIET, "rooms.localhost/Juliet", "evil.example"));
    romeo.received();
    const other = server.connect("juliet@localhost/street");
    await juliet.sends(`<message to='${ROMEO}' id='1'><body>x</body></message>`);
    await other.sends(`<message to='${ROMEO}' id='2'><body>x</body></message>`);
    for (const [n, from] of [
      "capulet@rooms.localhost/Juliet",
      "capulet@rooms.localhost/Nurse",
      "a@evil.example/x",
    ].entries()) {
      await server.receivesFrom(
        `<message from='${from}' to='${ROMEO}' id='${n + 3}' type='groupchat'><body>x</body></message>`,
      );
    }
    expect(romeo.received().map((text) => /id='(\d)'/.exec(text)?.[1])).toEqual(["2", "4"]);
  });
});
