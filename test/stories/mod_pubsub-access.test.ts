// XEP-0060 §4: access models, affiliations, publish models, and what owners do about subscribers.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import {
  capabilities,
  follows,
  form,
  freshNode,
  item,
  itemEvent,
  NS_EVENT,
  NS_OWNER,
  NS_PUBSUB,
  Pubsub,
  publishing,
  wantsEvents,
} from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_caps: {}, mod_pubsub: {} } });
const silent = { silent: true } as const;
const CLOSED = ["cancel", "not-allowed", "closed-node"] as const;
const FORBIDDEN = ["auth", "forbidden"] as const;
const NOT_SUBSCRIBED = ["auth", "not-authorized", "not-subscribed"] as const;
const NOT_IN_GROUP = ["auth", "not-authorized", "not-in-roster-group"] as const;

const reads = (node: string) => `<items node="${node}"/>`;
const affiliate = (own: Pubsub, node: string, ...list: [Client, string][]) =>
  own.gets(
    "set",
    `<affiliations node="${node}">${list.map(([c, a]) => `<affiliation jid="${c.bare}" affiliation="${a}"/>`).join("")}</affiliations>`,
    NS_OWNER,
  );
const listOf = (answer: XElement, ns: string, name: string) =>
  childrenOf(childOf(childOf(answer, "pubsub", ns)!, name, ns)!).map((e) => e.attrs);
const stateEvent = (from: string, node: string, jid: string, state: string) =>
  `<message from="${from}" type="headline"><event xmlns="${NS_EVENT}"><subscription node="${node}" jid="${jid}" subscription="${state}"/></event></message>`;

story(
  "whitelist: the owner, and those on the list; contacts among them get events without a subscription",
  { romeo: 1, juliet: 1, mercutio: 1 },
  async ({ romeo, juliet, mercutio }) => {
    const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
    const node = freshNode();
    await romeo.comesOnline();
    for (const c of [juliet, mercutio]) await wantsEvents(c, node);
    for (const c of [juliet, mercutio]) await follows(c, romeo);
    await own.publish(node, "item1", { access_model: "whitelist" });
    for (const other of [hers, his]) {
      await other.refused("get", reads(node), CLOSED);
      await other.refused("get", `<items node="${node}"><item id="item1"/></items>`, CLOSED);
      const rsm = `${reads(node)}<set xmlns="http://jabber.org/protocol/rsm"><max>1</max><after>item1</after></set>`;
      await other.refused("get", rsm, CLOSED);
      await other.refused("set", `<subscribe node="${node}" jid="${other.client.bare}"/>`, CLOSED);
    }
    await affiliate(own, node, [juliet, "member"]);
    expect(await hers.items(node)).toEqual(["item1"]);
    await own.publish(node, "item2");
    await juliet.hears(itemEvent(romeo.bare, node, "item2"));
    await mercutio.receivesNothing();
    await hers.subscribe(node, juliet.bare);
    await juliet.settles();
    // Off the list: nothing is left.
    await affiliate(own, node, [juliet, "none"]);
    await juliet.hears(stateEvent(romeo.bare, node, juliet.bare, "none"));
    await own.publish(node, "item3");
    await juliet.receivesNothing();
    await hers.refused("get", reads(node), CLOSED);
  },
  silent,
);

story(
  "roster: contacts in the groups that the node is open to",
  { romeo: 1, juliet: 1, mercutio: 1 },
  async ({ romeo, juliet, mercutio }) => {
    const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
    const node = freshNode();
    await romeo.comesOnline();
    for (const c of [juliet, mercutio]) await wantsEvents(c, node);
    for (const c of [juliet, mercutio]) await follows(c, romeo);
    const grouped = `<item jid="${juliet.bare}"><group>Loves</group></item>`;
    romeo.says(`<iq type="set" id="r"><query xmlns="jabber:iq:roster">${grouped}</query></iq>`);
    await romeo.settles();
    await own.create(node, { access_model: "roster", roster_groups_allowed: ["Loves", "Family"] });
    await own.publish(node, "item1");
    await juliet.hears(itemEvent(romeo.bare, node, "item1"));
    await mercutio.receivesNothing();
    expect(await hers.items(node)).toEqual(["item1"]);
    await his.refused("get", reads(node), NOT_IN_GROUP);
    await his.refused("set", `<subscribe node="${node}" jid="${mercutio.bare}"/>`, NOT_IN_GROUP);
  },
  silent,
);

story(
  "authorize: a subscription waits for the owner, who lets in or not",
  { romeo: 1, juliet: 1, mercutio: 1 },
  async ({ romeo, juliet, mercutio }) => {
    const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
    const node = freshNode();
    await own.publish(node, "item1", { access_model: "authorize" });
    const asked = async (c: Client, pubsub: Pubsub) => {
      const answer = await pubsub.subscribe(node, c.bare);
      expect(childrenOf(childOf(answer, "pubsub", NS_PUBSUB)!)[0].attrs["subscription"]).toBe("pending");
      const message = await romeo.hears(`<message from="${romeo.bare}"/>`);
      const fields = childrenOf(childOf(message, "x", "jabber:x:data")!).filter((f) => f.name === "field");
      const value = (name: string) => fields.find((f) => f.attrs["var"] === name)?.children[0];
      expect((value("pubsub#subscriber_jid") as XElement).children).toEqual([c.bare]);
      expect((value("pubsub#node") as XElement).children).toEqual([node]);
      await pubsub.refused("get", reads(node), NOT_SUBSCRIBED);
      await pubsub.refused("set", `<subscribe node="${node}" jid="${c.full}"/>`, [
        "auth",
        "not-authorized",
        "pending-subscription",
      ]);
    };
    const answers = (c: Client, jid: string, allow: string) =>
      c.says(
        `<message to="${romeo.bare}">${form("subscribe_authorization", { node, subscriber_jid: jid, allow })}</message>`,
      );
    await asked(juliet, hers);
    await asked(mercutio, his);
    await own.publish(node, "item2");
    for (const c of [juliet, mercutio]) await c.receivesNothing();
    // Nobody answers for the owner.
    answers(mercutio, mercutio.bare, "true");
    await romeo.hears(`<message from="${mercutio.full}"/>`);
    await mercutio.receivesNothing();
    await his.refused("get", reads(node), NOT_SUBSCRIBED);
    answers(romeo, juliet.bare, "true");
    await juliet.hears(stateEvent(romeo.bare, node, juliet.bare, "subscribed"));
    answers(romeo, mercutio.bare, "false");
    await mercutio.hears(stateEvent(romeo.bare, node, mercutio.bare, "none"));
    await romeo.receivesNothing();
    await own.publish(node, "item3");
    await juliet.hears(itemEvent(romeo.bare, node, "item3"));
    await mercutio.receivesNothing();
    expect(await hers.items(node)).toEqual(["item1", "item2", "item3"]);
    // A form of another kind is a message as any other.
    romeo.says(`<message to="${romeo.bare}">${form("node_config", { allow: "1" })}</message>`);
    await romeo.hears(`<message from="${romeo.full}"/>`);
  },
);

story(
  "affiliations: who may read, publish and retract, and the list of them",
  { romeo: 1, juliet: 1, mercutio: 1 },
  async ({ romeo, juliet, mercutio }) => {
    const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
    const node = freshNode();
    await own.publish(node, "item0", { access_model: "open" });
    await his.subscribe(node, mercutio.bare);
    await mercutio.settles();
    await affiliate(own, node, [juliet, "publisher"], [mercutio, "outcast"]);
    await mercutio.hears(stateEvent(romeo.bare, node, mercutio.bare, "none"));
    await his.refused("get", reads(node), FORBIDDEN);
    await his.refused("set", `<subscribe node="${node}" jid="${mercutio.bare}"/>`, FORBIDDEN);
    await his.refused("set", publishing(node, item("x")), FORBIDDEN);
    await hers.publish(node, "item1");
    const answer = await own.gets("get", reads(node));
    const items = listOf(answer, NS_PUBSUB, "items");
    expect(items).toEqual([{ id: "item0" }, { id: "item1", publisher: juliet.full }]);
    await hers.retract(node, "item0");
    // Publish-only: no reading, and one's own items alone to retract.
    await affiliate(own, node, [mercutio, "publish-only"], [juliet, "member"]);
    await his.publish(node, "item2");
    await his.refused("get", reads(node), FORBIDDEN);
    await his.refused("set", `<retract node="${node}"><item id="item1"/></retract>`, FORBIDDEN);
    await his.retract(node, "item2");
    await hers.refused("set", publishing(node, item("y")), FORBIDDEN);
    const list = listOf(await own.gets("get", `<affiliations node="${node}"/>`, NS_OWNER), NS_OWNER, "affiliations");
    expect(list).toHaveLength(3);
    expect(list).toEqual(
      expect.arrayContaining([
        { jid: romeo.bare, affiliation: "owner" },
        { jid: juliet.bare, affiliation: "member" },
        { jid: mercutio.bare, affiliation: "publish-only" },
      ]),
    );
    const mine = listOf(await hers.gets("get", "<affiliations/>"), NS_PUBSUB, "affiliations");
    expect(mine).toEqual([{ node, affiliation: "member" }]);
    const owned = listOf(await own.gets("get", `<affiliations node="${node}"/>`), NS_PUBSUB, "affiliations");
    expect(owned).toEqual([{ node, affiliation: "owner" }]);
    // The account stays its owner's.
    const owner = `<affiliations node="${node}"><affiliation jid="${romeo.bare}" affiliation="none"/></affiliations>`;
    await own.refused("set", owner, ["modify", "not-acceptable"], NS_OWNER);
    const wrong = `<affiliations node="${node}"><affiliation jid="${juliet.bare}" affiliation="king"/></affiliations>`;
    await own.refused("set", wrong, ["modify", "bad-request"], NS_OWNER);
    // A second owner manages it too.
    await affiliate(own, node, [juliet, "owner"]);
    await hers.configure(node, { title: "Ours" });
    expect(await own.configuration(node)).toMatchObject({ title: ["Ours"] });
    await hers.remove(node);
    await own.refused("get", reads(node), ["cancel", "item-not-found"]);
  },
);

story(
  "publish models: subscribers, and everybody",
  { romeo: 1, juliet: 1, mercutio: 1 },
  async ({ romeo, juliet, mercutio }) => {
    const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
    const [some, all] = [freshNode(), freshNode()];
    await own.create(some, { access_model: "open", publish_model: "subscribers" });
    await own.create(all, { access_model: "open", publish_model: "open" });
    await hers.subscribe(some, juliet.bare);
    const id = hers.asks("set", publishing(some, item("a")));
    await juliet.hears(`<iq type="result" id="${id}"/><message from="${romeo.bare}" type="headline"/>`);
    await his.refused("set", publishing(some, item("b")), FORBIDDEN);
    await his.publish(all, "c");
    expect(await hers.items(all)).toEqual(["c"]);
    await hers.refused("set", `<retract node="${all}"><item id="c"/></retract>`, FORBIDDEN);
  },
);

story(
  "XEP-0060 §8.8, §5.6: the owner's list of subscriptions, and each subscriber's own",
  { romeo: 1, juliet: 1, mercutio: 1 },
  async ({ romeo, juliet, mercutio }) => {
    const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
    const node = freshNode();
    await own.create(node, { access_model: "open", notify_sub: "1" });
    await hers.subscribe(node, juliet.full);
    await romeo.hears(stateEvent(romeo.bare, node, juliet.full, "subscribed"));
    const list = async () =>
      listOf(await own.gets("get", `<subscriptions node="${node}"/>`, NS_OWNER), NS_OWNER, "subscriptions");
    expect(await list()).toEqual([{ jid: juliet.full, subscription: "subscribed" }]);
    const change = (...entries: [string, string][]) =>
      `<subscriptions node="${node}">${entries.map(([jid, s]) => `<subscription jid="${jid}" subscription="${s}"/>`).join("")}</subscriptions>`;
    await own.gets("set", change([juliet.full, "none"], [mercutio.bare, "subscribed"]), NS_OWNER);
    await juliet.hears(stateEvent(romeo.bare, node, juliet.full, "none"));
    await mercutio.hears(stateEvent(romeo.bare, node, mercutio.bare, "subscribed"));
    expect(await list()).toEqual([{ jid: mercutio.bare, subscription: "subscribed" }]);
    await own.refused(
      "set",
      change([juliet.bare, "subscribed"], [mercutio.bare, "pending"]),
      ["modify", "not-acceptable"],
      NS_OWNER,
    );
    expect(await list()).toHaveLength(1);
    const mine = { node, jid: mercutio.bare, subscription: "subscribed" };
    expect(listOf(await his.gets("get", "<subscriptions/>"), NS_PUBSUB, "subscriptions")).toEqual([mine]);
    const at = await his.gets("get", `<subscriptions node="${node}"/>`);
    expect(listOf(at, NS_PUBSUB, "subscriptions")).toEqual([mine]);
    expect(listOf(await hers.gets("get", "<subscriptions/>"), NS_PUBSUB, "subscriptions")).toEqual([]);
    await his.unsubscribe(node, mercutio.bare);
    await romeo.hears(stateEvent(romeo.bare, node, mercutio.bare, "none"));
  },
);

story(
  "presence: who loses the presence of the owner loses the events, with a subscription or without",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await romeo.comesOnline();
    await wantsEvents(juliet, node);
    await own.create(node);
    await follows(juliet, romeo);
    await hers.subscribe(node, juliet.bare);
    await own.publish(node, "item1");
    await juliet.hears(itemEvent(romeo.bare, node, "item1"));
    romeo.says(`<presence to="${juliet.bare}" type="unsubscribed"/>`);
    await romeo.settles();
    await juliet.settles();
    await own.publish(node, "item2");
    await juliet.receivesNothing();
    await hers.refused("get", reads(node), ["auth", "not-authorized", "presence-subscription-required"]);
  },
  silent,
);

describe("with mod_blocking", () => {
  const blocking = stage({ modules: { mod_caps: {}, mod_pubsub: {}, mod_privacy: {}, mod_blocking: {} } });

  blocking.story(
    "XEP-0191: who is blocked gets no events, no last items and no answers, contact or subscriber",
    { romeo: 1, juliet: 1, mercutio: 1 },
    async ({ romeo, juliet, mercutio, another, server }) => {
      const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
      const node = freshNode();
      await romeo.comesOnline();
      await wantsEvents(juliet, node);
      await wantsEvents(mercutio, node);
      await follows(juliet, romeo);
      await follows(mercutio, romeo);
      await own.publish(node, "item1", { access_model: "open" });
      for (const c of [juliet, mercutio]) await c.hears(itemEvent(romeo.bare, node, "item1"));
      await hers.subscribe(node, juliet.bare);
      await juliet.settles();
      romeo.says(`<iq type="set" id="b"><block xmlns="urn:xmpp:blocking"><item jid="${juliet.bare}"/></block></iq>`);
      await romeo.hears(`<iq type="result" id="b"/><iq type="set"/>`);
      await juliet.settles();
      await own.publish(node, "item2");
      await mercutio.hears(itemEvent(romeo.bare, node, "item2"));
      await juliet.receivesNothing();
      await hers.refused("get", reads(node), ["cancel", "service-unavailable"]);
      expect(await his.items(node)).toEqual(["item1", "item2"]);
      // New clients: romeo is there, then he is not.
      for (const there of [true, false]) {
        if (!there) await romeo.leaves();
        for (const [c, items] of [
          [juliet, 0],
          [mercutio, 1],
        ] as const) {
          const phone = await another(c).logsIn(server.target("tcp"));
          phone.says(`<presence>${capabilities([node, `${node}+notify`]).c}</presence>`);
          // What is read for it comes when it has been read.
          if (items > 0) await phone.skipsTo((e) => e.name === "message");
          else for (let k = 0; k < 3; k++) expect((await phone.settles()).map((e) => e.name)).not.toContain("message");
          await phone.leaves();
        }
      }
    },
    silent,
  );
});
