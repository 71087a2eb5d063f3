// XEP-0060: what a node's configuration does, pages of items, purging; XEP-0223, XEP-0384, XEP-0490 on top of it.
import { expect } from "vitest";
import { childOf, childrenOf } from "../support/match.ts";
import {
  type Fields,
  follows,
  freshNode,
  item,
  itemEvent,
  NS_EVENT,
  NS_OWNER,
  NS_PUBSUB,
  Pubsub,
  publishing,
  retractEvent,
  wantsEvents,
} from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_caps: {}, mod_pubsub: {} } });
const silent = { silent: true } as const;
const NS_RSM = "http://jabber.org/protocol/rsm";
const OPEN = { access_model: "open" };
const CLOSED = ["cancel", "not-allowed", "closed-node"] as const;

story("XEP-0059: items in pages, both ways", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  const node = freshNode();
  for (const id of ["a", "b", "c", "d", "e"]) await own.publish(node, id);
  const page = async (inside: string) => {
    const answer = await own.gets("get", `<items node="${node}"/><set xmlns="${NS_RSM}">${inside}</set>`);
    const pubsub = childOf(answer, "pubsub", NS_PUBSUB)!;
    const set = childOf(pubsub, "set", NS_RSM)!;
    const first = childOf(set, "first", NS_RSM);
    return {
      ids: childrenOf(childOf(pubsub, "items", NS_PUBSUB)!).map((i) => i.attrs["id"]),
      first: first && [first.children[0], first.attrs["index"]],
      last: childOf(set, "last", NS_RSM)?.children[0],
      count: childOf(set, "count", NS_RSM)?.children[0],
    };
  };
  expect(await page("<max>2</max>")).toEqual({ ids: ["a", "b"], first: ["a", "0"], last: "b", count: "5" });
  expect(await page("<max>2</max><after>b</after>")).toEqual({
    ids: ["c", "d"],
    first: ["c", "2"],
    last: "d",
    count: "5",
  });
  expect(await page("<max>2</max><before/>")).toEqual({ ids: ["d", "e"], first: ["d", "3"], last: "e", count: "5" });
  expect(await page("<max>2</max><before>d</before>")).toMatchObject({ ids: ["b", "c"], first: ["b", "1"] });
  expect(await page("<max>2</max><index>3</index>")).toMatchObject({ ids: ["d", "e"], first: ["d", "3"] });
  expect(await page("<max>0</max>")).toEqual({ ids: [], first: undefined, last: undefined, count: "5" });
  const bad = ["modify", "bad-request"] as const;
  for (const wrong of ["<max>x</max>", "<max>1</max><after>a</after><before>b</before>"]) {
    await own.refused("get", `<items node="${node}"/><set xmlns="${NS_RSM}">${wrong}</set>`, bad);
  }
  const unknown = `<items node="${node}"/><set xmlns="${NS_RSM}"><after>z</after></set>`;
  await own.refused("get", unknown, ["cancel", "item-not-found"]);
});

story(
  "XEP-0060 §8.5, §8.2.5: subscribers hear of a purge, and of a new configuration where that is wanted",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await own.create(node, OPEN);
    await hers.subscribe(node, juliet.bare);
    await own.publish(node, "a");
    await juliet.hears(itemEvent(romeo.bare, node, "a"));
    await own.gets("set", `<purge node="${node}"/>`, NS_OWNER);
    const event = (inside: string) =>
      `<message from="${romeo.bare}" type="headline"><event xmlns="${NS_EVENT}">${inside}</event></message>`;
    await juliet.hears(event(`<purge node="${node}"/>`));
    expect(await own.items(node)).toEqual([]);
    await own.configure(node, { notify_config: "1", title: "Moods" });
    const told = await juliet.hears(`<message from="${romeo.bare}" type="headline"/>`);
    const configuration = childOf(childOf(told, "event", NS_EVENT)!, "configuration", NS_EVENT)!;
    expect(configuration.attrs["node"]).toBe(node);
    expect(JSON.stringify(childOf(configuration, "x", "jabber:x:data"))).toContain("Moods");
    await own.configure(node, { notify_config: "0" });
    await own.configure(node, { notify_retract: "1", notification_type: "normal" });
    await own.publish(node, "b");
    const normal = await juliet.hears(`<message from="${romeo.bare}"/>`);
    expect(normal.attrs["type"]).toBeUndefined();
    await own.retract(node, "b");
    const retracted = await juliet.hears(`<message from="${romeo.bare}"/>`);
    expect(JSON.stringify(retracted)).toContain("retract");
    await own.configure(node, { deliver_payloads: "0", notification_type: "headline" });
    await own.publish(node, "c");
    await juliet.hears(event(`<items node="${node}"><item id="c"/></items>`));
    await own.configure(node, { deliver_notifications: "0" });
    await own.publish(node, "d");
    await juliet.receivesNothing();
    expect(await hers.items(node)).toEqual(["c", "d"]);
    // Elsewhere from now on.
    await own.configure(node, { deliver_notifications: "1" });
    await own.gets("set", `<delete node="${node}"><redirect uri="xmpp:x@y?;node=z"/></delete>`, NS_OWNER);
    await juliet.hears(event(`<delete node="${node}"><redirect uri="xmpp:x@y?;node=z"/></delete>`));
  },
);

story(
  "purge_offline: what a publisher has published goes with him",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet }) => {
    const [own, hers] = [new Pubsub(laptop, laptop.bare), new Pubsub(juliet, laptop.bare)];
    const [node, stays] = [freshNode(), freshNode()];
    await own.create(node, { ...OPEN, purge_offline: "1", notify_retract: "1" });
    await own.publish(node, "a");
    await own.publish(stays, "b", OPEN);
    await hers.subscribe(node, juliet.bare);
    await juliet.settles();
    laptop.says(`<presence type="unavailable"/>`);
    await laptop.settles();
    expect(await hers.items(node)).toEqual(["a"]);
    phone.says(`<presence type="unavailable"/>`);
    await phone.settles();
    await juliet.hears(retractEvent(laptop.bare, node, "a"));
    expect(await hers.items(node)).toEqual([]);
    expect(await hers.items(stays)).toEqual(["b"]);
  },
);

story("item_expire: items go by themselves", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  const node = freshNode();
  await own.create(node, { item_expire: "1" });
  await own.publish(node, "a");
  expect(await own.items(node)).toEqual(["a"]);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await own.publish(node, "b");
  expect(await own.items(node)).toEqual(["b"]);
});

story(
  "send_last_published_item: never, and only to new subscribers",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const [never, once, always] = [freshNode(), freshNode(), freshNode()];
    await romeo.comesOnline();
    await own.publish(never, "a", { send_last_published_item: "never" });
    await own.publish(once, "b", { send_last_published_item: "on_sub" });
    await own.publish(always, "c", { send_last_published_item: "on_sub_and_presence" });
    await wantsEvents(juliet, never, once, always);
    const told = await follows(juliet, romeo);
    expect(told.map((m) => childrenOf(childrenOf(m)[0])[0].attrs["node"])).toEqual([always]);
  },
  silent,
);

story(
  "XEP-0223: private data is for the owner's clients alone, and they hear of it",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet }) => {
    const [own, hers] = [new Pubsub(laptop, laptop.bare), new Pubsub(juliet, laptop.bare)];
    const node = freshNode();
    await wantsEvents(phone, node);
    await laptop.settles();
    await follows(juliet, laptop);
    await wantsEvents(juliet, node);
    for (const c of [laptop, phone]) await c.settles();
    await own.publish(node, "current", { persist_items: "true", access_model: "whitelist" });
    await phone.hears(itemEvent(laptop.bare, node, "current"));
    await juliet.receivesNothing();
    await hers.refused("get", `<items node="${node}"/>`, CLOSED);
    // The precondition keeps what is private from a node that is not.
    const open = freshNode();
    await own.create(open, OPEN);
    const unmet = ["cancel", "conflict", "precondition-not-met"] as const;
    await own.refused("set", publishing(open, item("current"), { access_model: "whitelist" }), unmet);
    expect(await hers.items(open)).toEqual([]);
  },
);

/** What Conversations, Dino and Gajim do. */
for (const [devices, bundle, bundleId, list] of [
  ["eu.siacs.conversations.axolotl.devicelist", "eu.siacs.conversations.axolotl.bundles:31415", "current", "axolotl"],
  ["urn:xmpp:omemo:2:devices", "urn:xmpp:omemo:2:bundles", "31415", "omemo:2"],
] as const) {
  story(
    `XEP-0384 (${list}): the list of devices and their bundles`,
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
      const deviceList = `<list xmlns="urn:devices"><device id="31415"/></list>`;
      const keys = `<bundle xmlns="urn:bundles"><spk id="0">${"A".repeat(44)}</spk></bundle>`;
      await romeo.comesOnline();
      await wantsEvents(juliet, devices);
      const max: Fields = { ...OPEN, max_items: "max" };
      const publishes = async (node: string, id: string, payload: string, options: Fields) => {
        await own.publish(node, id, options, payload);
        // A client that finds its node configured otherwise sets it right and goes on.
        await own.configure(node, options);
        await own.publish(node, id, options, payload);
      };
      await publishes(devices, "current", deviceList, OPEN);
      await publishes(bundle, bundleId, keys, max);
      // For everybody, contact or not: the first message is encrypted already.
      const found = await hers.gets("get", `<items node="${devices}"/>`);
      expect(JSON.stringify(found)).toContain("31415");
      const got = await hers.gets("get", `<items node="${bundle}"><item id="${bundleId}"/></items>`);
      expect(JSON.stringify(got)).toContain("A".repeat(44));
      const told = await follows(juliet, romeo);
      expect(told.map((m) => childrenOf(childrenOf(m)[0])[0].attrs["node"])).toEqual([devices]);
      await own.publish(devices, "current", OPEN, deviceList.replace("31415", "27182"));
      expect(JSON.stringify(await juliet.next())).toContain("27182");
    },
    silent,
  );
}

story(
  "XEP-0490: what was read is told to the account's other clients, each chat by itself",
  { romeo: 2 },
  async ({ romeo: [laptop, phone] }) => {
    const MDS = "urn:xmpp:mds:displayed:0";
    const own = new Pubsub(laptop, laptop.bare);
    await wantsEvents(phone, MDS);
    await laptop.settles();
    const options: Fields = {
      persist_items: "true",
      max_items: "max",
      send_last_published_item: "never",
      access_model: "whitelist",
    };
    const read = (id: string) =>
      `<displayed xmlns="${MDS}"><stanza-id xmlns="urn:xmpp:sid:0" by="${laptop.bare}" id="${id}"/></displayed>`;
    await own.publish(MDS, "juliet@localhost", options, read("1"));
    await phone.hears(itemEvent(laptop.bare, MDS, "juliet@localhost", read("1")));
    await own.publish(MDS, "nurse@localhost", options, read("2"));
    await phone.hears(itemEvent(laptop.bare, MDS, "nurse@localhost", read("2")));
    await own.publish(MDS, "juliet@localhost", options, read("3"));
    await phone.hears(itemEvent(laptop.bare, MDS, "juliet@localhost", read("3")));
    expect((await new Pubsub(phone, laptop.bare).items(MDS)).sort()).toEqual(["juliet@localhost", "nurse@localhost"]);
  },
);

story("XEP-0060 §8.3: the default configuration, of one's own nodes", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  const answer = await own.gets("get", "<default/>", NS_OWNER);
  expect(JSON.stringify(answer)).toContain("pubsub#access_model");
  // Without a `to`, an account is asked for itself.
  romeo.says(`<iq type="set" id="n"><pubsub xmlns="${NS_PUBSUB}">${publishing(freshNode(), item("a"))}</pubsub></iq>`);
  await romeo.hears(`<iq type="result" id="n"/>`);
  await own.refused("set", `<configure node="x"/>`, ["modify", "bad-request"], NS_OWNER);
});

story(
  "XEP-0060 §6.5.4: what is too much for one answer comes in part, and says so",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const [many, big] = [freshNode(), freshNode()];
    const answerOf = async (node: string, more = "") => {
      const pubsub = childOf(await own.gets("get", `<items node="${node}"${more}/>`), "pubsub", NS_PUBSUB)!;
      const set = childOf(pubsub, "set", NS_RSM);
      const count = set && childOf(set, "count", NS_RSM)?.children[0];
      return { ids: childrenOf(childOf(pubsub, "items", NS_PUBSUB)!).map((i) => i.attrs["id"]), count };
    };
    const publishes = async (node: string, total: number, payload: string) => {
      for (let k = 0; k < total; k++) own.asks("set", publishing(node, item(`i${k}`, payload)));
      for (let k = 0; k < total; k++) await romeo.hears(`<iq type="result"/>`);
    };
    await publishes(many, 230, `<a xmlns="u"/>`);
    const all = await answerOf(many);
    expect(all.ids).toEqual(Array.from({ length: 230 }, (_, k) => `i${k}`));
    expect(all.count).toBeUndefined();
    expect((await answerOf(many, ` max_items="150"`)).ids).toEqual(all.ids.slice(-150));
    await publishes(big, 105, `<a xmlns="u">${"x".repeat(30_000)}</a>`);
    const part = await answerOf(big);
    expect(part.ids).toHaveLength(100);
    expect([part.ids.at(-1), part.count]).toEqual(["i104", "105"]);
  },
  { door: "tcp" },
);

story(
  "XEP-0490 §4: what is told to the contact is told to the account's other clients, and the contact does not see it",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet }) => {
    const MDS = "urn:xmpp:mds:displayed:0";
    laptop.says(`<iq type="get" id="d"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`);
    expect(JSON.stringify(await laptop.hears(`<iq type="result" id="d"/>`))).toContain("urn:xmpp:mds:server-assist:0");
    await wantsEvents(phone, MDS);
    await laptop.settles();
    const displayed = `<displayed xmlns="${MDS}"><stanza-id xmlns="urn:xmpp:sid:0" by="${laptop.bare}" id="7"/></displayed>`;
    const marker = `<displayed xmlns="urn:xmpp:chat-markers:0" id="m1"/>`;
    laptop.says(`<message to="${juliet.bare}" type="chat">${marker}${displayed}</message>`);
    const got = await juliet.hears(`<message from="${laptop.full}"/>`);
    expect(JSON.stringify(got)).toContain("urn:xmpp:chat-markers:0");
    expect(JSON.stringify(got)).not.toContain(MDS);
    await phone.hears(itemEvent(laptop.bare, MDS, juliet.bare, displayed));
    const own = new Pubsub(laptop, laptop.bare);
    expect(await own.items(MDS)).toEqual([juliet.bare]);
    expect(await own.configuration(MDS)).toMatchObject({ access_model: ["whitelist"], max_items: ["max"] });
    await new Pubsub(juliet, laptop.bare).refused("get", `<items node="${MDS}"/>`, CLOSED);
    // A node that others can read gets nothing, and neither does the contact.
    await own.configure(MDS, OPEN);
    laptop.says(`<message to="${juliet.bare}" type="chat">${marker}${displayed.replace("7", "8")}</message>`);
    expect(JSON.stringify(await juliet.hears(`<message from="${laptop.full}"/>`))).not.toContain(MDS);
    await phone.receivesNothing();
  },
);
