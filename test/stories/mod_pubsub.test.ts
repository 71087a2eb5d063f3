// XEP-0163, XEP-0060: nodes of an account, their items, and who gets events.
import { expect } from "vitest";
import { childOf, childrenOf } from "../support/match.ts";
import {
  ENTRY,
  follows,
  freshNode,
  item,
  itemEvent,
  NS_EVENT,
  NS_PUBSUB,
  Pubsub,
  publishing,
  retractEvent,
  wantsEvents,
} from "../support/pubsub.ts";
import { covering, stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_caps: {}, mod_pubsub: {} } });
const pep = covering("pep_SUITE");
const silent = { silent: true } as const;
const OPEN = { access_model: "open" };

story(
  "XEP-0060 §8.1, §8.4: a node is made and deleted; its subscribers are told",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const [node, alone] = [freshNode(), freshNode()];
    const made = await own.create(node, OPEN);
    expect(childOf(childOf(made, "pubsub", NS_PUBSUB)!, "create", NS_PUBSUB)!.attrs["node"]).toBe(node);
    await hers.subscribe(node, juliet.full);
    expect(await own.items(node)).toEqual([]);
    await own.remove(node);
    await juliet.hears(
      `<message from="${romeo.bare}" type="headline"><event xmlns="${NS_EVENT}"><delete node="${node}"/></event></message>`,
    );
    await own.refused("get", `<items node="${node}"/>`, ["cancel", "item-not-found"]);
    await own.create(alone);
    await own.remove(alone);
  },
  pep("create_and_delete"),
);

story(
  "XEP-0060 §8.1.3, §8.2: a node has the default configuration, and another when its owner says so",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const [empty, node] = [freshNode(), freshNode()];
    await own.create(empty, {});
    const defaults = await own.configuration(empty);
    expect(defaults).toMatchObject({ access_model: ["presence"], max_items: ["max"], publish_model: ["publishers"] });
    await own.create(node);
    await own.configure(node, { access_model: "presence", max_items: "max" });
    expect(await own.configuration(node)).toEqual(defaults);
    await own.configure(node, { access_model: "open", max_items: "10" });
    expect(await own.configuration(node)).toEqual({ ...defaults, access_model: ["open"], max_items: ["10"] });
  },
  pep("create_with_empty_config", "create_and_configure"),
);

story("XEP-0060 §8.2: every field that is offered is kept", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  const node = freshNode();
  await own.create(node);
  const fields = {
    title: "Max's <moods>",
    description: "What I feel",
    type: "urn:mood",
    language: "en",
    contact: ["romeo@montague.lit"],
    access_model: "roster",
    publish_model: "subscribers",
    roster_groups_allowed: ["Friends", "Enemies"],
    subscribe: "0",
    persist_items: "0",
    max_items: "7",
    item_expire: "3600",
    max_payload_size: "1000",
    deliver_notifications: "0",
    deliver_payloads: "0",
    presence_based_delivery: "0",
    notification_type: "normal",
    notify_config: "1",
    notify_delete: "0",
    notify_retract: "1",
    notify_sub: "1",
    purge_offline: "1",
    send_last_published_item: "on_sub",
  };
  const escaped = { ...fields, title: "Max&apos;s &lt;moods&gt;" };
  await own.configure(node, escaped);
  const wanted = Object.entries(fields).map(([k, v]) => [k, typeof v === "string" ? [v] : v]);
  const { FORM_TYPE, ...got } = await own.configuration(node);
  expect(FORM_TYPE).toEqual([`${NS_PUBSUB}#node_config`]);
  expect(got).toEqual(Object.fromEntries(wanted));
});

story(
  "XEP-0060 §8.2: fewer max_items cut what is stored",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await own.create(node);
    for (const id of ["item0", "item1", "item2"]) await own.publish(node, id);
    expect(await own.items(node)).toEqual(["item0", "item1", "item2"]);
    await own.configure(node, { max_items: "2" });
    expect(await own.items(node)).toEqual(["item1", "item2"]);
    await own.configure(node, { max_items: "0" });
    expect(await own.items(node)).toEqual([]);
  },
  pep("create_and_configure_with_max_items"),
);

story(
  "XEP-0060 §7.1: no more than max_items are kept, the newest",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const [node, other] = [freshNode(), freshNode()];
    await own.create(node, { max_items: "2" });
    for (const id of ["item0", "item1", "item2"]) await own.publish(node, id);
    expect(await own.items(node)).toEqual(["item1", "item2"]);
    // An item that is published again is new.
    await own.publish(node, "item1");
    await own.publish(node, "item3");
    expect(await own.items(node)).toEqual(["item1", "item3"]);
    await own.publish(other, "item0", { max_items: "1" });
    await own.publish(other, "item1");
    expect(await own.items(other)).toEqual(["item1"]);
  },
  pep("create_with_max_items_and_publish", "publish_with_max_items"),
);

story(
  "XEP-0163 §4.3.2: who is reached in three ways gets an event once",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await romeo.comesOnline();
    await wantsEvents(juliet, node);
    await own.create(node, OPEN);
    await follows(juliet, romeo);
    await hers.subscribe(node, juliet.full);
    await hers.subscribe(node, juliet.bare);
    await own.publish(node, "item1");
    await juliet.hears(itemEvent(romeo.bare, node, "item1"));
    await juliet.receivesNothing();
    expect(await hers.items(node)).toEqual(["item1"]);
  },
  { ...silent, ...pep("create_open_and_publish_both_subs") },
);

for (const [model, covers] of [
  ["open", "create_open_and_publish_explicit_sub"],
  ["presence", "create_presence_and_publish_explicit_sub"],
] as const) {
  story(
    `XEP-0060 §6.1, §6.2: an explicit subscription to a node that is ${model}`,
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
      const node = freshNode();
      await own.create(node, { access_model: model });
      if (model === "presence") await follows(juliet, romeo);
      const answer = await hers.subscribe(node, juliet.full);
      const [subscription] = childrenOf(childOf(answer, "pubsub", NS_PUBSUB)!);
      expect(subscription.attrs).toMatchObject({ node, jid: juliet.full, subscription: "subscribed" });
      await own.publish(node, "item1");
      await juliet.hears(itemEvent(romeo.bare, node, "item1"));
      expect(await hers.items(node)).toEqual(["item1"]);
      await hers.unsubscribe(node, juliet.full);
      await own.publish(node, "item2");
      await juliet.receivesNothing();
    },
    pep(covers),
  );
}

for (const [model, covers] of [
  ["open", "create_open_and_publish_implicit_sub"],
  ["presence", "create_presence_and_publish_implicit_sub"],
] as const) {
  story(
    `XEP-0163 §4: a contact that wants them gets the events of a node that is ${model}`,
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
      const node = freshNode();
      await romeo.comesOnline();
      await wantsEvents(juliet, node);
      await own.create(node, { access_model: model });
      await follows(juliet, romeo);
      await own.publish(node, "item1");
      await juliet.hears(itemEvent(romeo.bare, node, "item1"));
      expect(await hers.items(node)).toEqual(["item1"]);
    },
    { ...silent, ...pep(covers) },
  );
}

for (const [model, covers] of [
  ["open", "create_open_and_publish_no_sub"],
  ["presence", "create_presence_and_publish_no_sub"],
] as const) {
  story(
    `XEP-0163 §4: no event of a node that is ${model} for strangers, nor for those who do not want it`,
    { romeo: 1, juliet: 1, mercutio: 1 },
    async ({ romeo, juliet, mercutio }) => {
      const [own, hers, his] = [romeo, juliet, mercutio].map((c) => new Pubsub(c, romeo.bare));
      const node = freshNode();
      await romeo.comesOnline();
      await mercutio.comesOnline();
      await wantsEvents(juliet, node);
      await own.create(node, { access_model: model });
      await follows(mercutio, romeo);
      await own.publish(node, "item1");
      for (const c of [romeo, juliet, mercutio]) await c.receivesNothing();
      expect(await own.items(node)).toEqual(["item1"]);
      expect(await his.items(node)).toEqual(["item1"]);
      if (model === "open") expect(await hers.items(node)).toEqual(["item1"]);
      else {
        const error = ["auth", "not-authorized", "presence-subscription-required"] as const;
        await hers.refused("get", `<items node="${node}"/>`, error);
      }
    },
    { ...silent, ...pep(covers) },
  );
}

story(
  "XEP-0060 §7.1: nothing is kept at a node with max_items 0, but told",
  { juliet: 1 },
  async ({ juliet }) => {
    const own = new Pubsub(juliet, juliet.bare);
    const node = freshNode();
    await wantsEvents(juliet, node);
    await own.create(node, { max_items: "0" });
    const id = own.asks("set", publishing(node, item("item1")));
    await juliet.hears(`<iq type="result" id="${id}"/>${itemEvent(juliet.bare, node, "item1")}`);
    expect(await own.items(node)).toEqual([]);
  },
  { ...silent, ...pep("create_with_max_items_zero_and_publish") },
);

story(
  "XEP-0060 §6.5: items, all of them, by their ids, and the most recent ones",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    for (const id of ["item0", "item1", "item2"]) await own.publish(node, id);
    expect(await own.items(node)).toEqual(["item0", "item1", "item2"]);
    expect(await own.items(node, "", `<item id="item1"/>`)).toEqual(["item1"]);
    const some = `<item id="item1"/><item id="item404"/><item id="item0"/>`;
    expect(await own.items(node, "", some)).toEqual(["item1", "item0"]);
    expect(await own.items(node, ` max_items="2"`)).toEqual(["item1", "item2"]);
    const answer = await own.gets("get", `<items node="${node}" max_items="1"/>`);
    const items = childOf(childOf(answer, "pubsub", NS_PUBSUB)!, "items", NS_PUBSUB)!;
    expect(childOf(childrenOf(items)[0], "entry", "http://www.w3.org/2005/Atom")).toBeDefined();
  },
  pep("publish_and_get_items"),
);

story(
  "XEP-0060 §7.2: a retracted item is gone; nobody is told unless asked",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await romeo.comesOnline();
    await wantsEvents(juliet, node);
    for (const id of ["item1", "item2", "item3", "item4"]) await own.publish(node, id);
    await own.retract(node, "item4");
    const told = await follows(juliet, romeo);
    expect(told.map((m) => childrenOf(childrenOf(childrenOf(m)[0])[0])[0].attrs["id"])).toEqual(["item3"]);
    await own.retract(node, "item1");
    await own.retract(node, "item3", "false");
    await juliet.receivesNothing();
    expect(await own.items(node)).toEqual(["item2"]);
  },
  { ...silent, ...pep("publish_and_retract_item") },
);

story(
  "XEP-0060 §7.2.2.1: a retraction that is told",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await romeo.comesOnline();
    await wantsEvents(juliet, node);
    for (const id of ["item1", "item2", "item3"]) await own.publish(node, id);
    await own.retract(node, "item3", "true");
    expect((await follows(juliet, romeo)).length).toBe(1);
    await own.retract(node, "item1", "true");
    await juliet.hears(retractEvent(romeo.bare, node, "item1"));
    expect(await own.items(node)).toEqual(["item2"]);
  },
  { ...silent, ...pep("publish_and_retract_item_with_notify") },
);

story(
  "XEP-0163 §3: publishing makes the node; contacts get the event",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await romeo.comesOnline();
    await wantsEvents(juliet, node);
    await follows(juliet, romeo);
    await own.publish(node, "item1");
    await juliet.hears(itemEvent(romeo.bare, node, "item1"));
    expect(await hers.items(node)).toEqual(["item1"]);
    await juliet.receivesNothing();
  },
  { ...silent, ...pep("publish_implicit_sub") },
);

story(
  "XEP-0163 §4.3.4: a new subscriber gets the last item, once",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await own.publish(node, "item0", OPEN);
    await own.publish(node, "item1");
    const id = hers.asks("set", `<subscribe node="${node}" jid="${juliet.full}"/>`);
    await juliet.hears(`<iq type="result" id="${id}"/>`);
    await juliet.hears(itemEvent(romeo.bare, node, "item1", ENTRY, `<delay xmlns="urn:xmpp:delay" stamp="{any}"/>`));
    await hers.subscribe(node, juliet.full);
    await juliet.receivesNothing();
    await own.publish(node, "item2");
    await juliet.hears(itemEvent(romeo.bare, node, "item2"));
    expect(await hers.items(node)).toEqual(["item0", "item1", "item2"]);
  },
  pep("publish_open_explicit_sub"),
);

story(
  "XEP-0163 §4: the account's own clients get events too, with the id that the server made up",
  { juliet: 1 },
  async ({ juliet }) => {
    const own = new Pubsub(juliet, juliet.bare);
    const node = freshNode();
    await wantsEvents(juliet, node);
    let id = own.asks("set", publishing(node, item("item1")));
    await juliet.hears(`<iq type="result" id="${id}"/>${itemEvent(juliet.bare, node, "item1")}`);
    expect(await own.items(node)).toEqual(["item1"]);
    id = own.asks("set", publishing(node, item(undefined)));
    const both = [await juliet.next(), await juliet.next()];
    const answer = both.find((e) => e.name === "iq")!;
    const published = childrenOf(childOf(childOf(answer, "pubsub", NS_PUBSUB)!, "publish", NS_PUBSUB)!)[0].attrs["id"]!;
    const event = both.find((e) => e.name === "message")!;
    expect(childrenOf(childrenOf(childrenOf(event)[0])[0])[0].attrs["id"]).toBe(published);
    expect(await own.items(node, "", `<item id="${published}"/>`)).toEqual([published]);
  },
  { ...silent, ...pep("publish_self_notify") },
);

for (const managed of [false, true]) {
  story(
    `XEP-0163 §4.3.4: a new contact gets the last item${managed ? ", over stream management too" : ""}`,
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      if (managed) for (const c of [romeo, juliet]) await c.managesStream();
      const own = new Pubsub(romeo, romeo.bare);
      const node = freshNode();
      await romeo.comesOnline();
      await wantsEvents(juliet, node);
      await own.publish(node, "item1");
      await own.publish(node, "item2");
      const [told, ...others] = await follows(juliet, romeo);
      expect(others).toEqual([]);
      expect(childrenOf(childrenOf(childrenOf(told)[0])[0])[0].attrs["id"]).toBe("item2");
      expect(childOf(told, "delay", "urn:xmpp:delay")?.attrs["stamp"]).toMatch(/^\d{4}-\d\d-\d\dT/);
      await own.publish(node, "item3");
      await juliet.hears(itemEvent(romeo.bare, node, "item3"));
    },
    { ...silent, ...pep(`send_last_item_on_implicit_sub${managed ? "_with_sm" : ""}`) },
  );
}

story(
  "XEP-0163 §4.3.4: a client gets the last items when its interests become known, and not again with the same",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await own.publish(node, "item2");
    await befriend(romeo, juliet);
    await juliet.settles();
    await wantsEvents(juliet, node);
    await juliet.hears(itemEvent(romeo.bare, node, "item2"));
    await wantsEvents(juliet, node);
    await juliet.receivesNothing();
  },
  pep("send_last_item_on_caps"),
);

story(
  "an account that is removed has no nodes any more, nor subscriptions elsewhere",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, server, another }) => {
    const [his, hers] = [freshNode(), freshNode()];
    const [own, julietOwn] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, juliet.bare)];
    await own.create(his, OPEN);
    await own.publish(his, "item0");
    await julietOwn.create(hers, OPEN);
    await new Pubsub(romeo, juliet.bare).subscribe(hers, romeo.bare);
    expect(await new Pubsub(juliet, romeo.bare).items(his)).toEqual(["item0"]);
    await julietOwn.publish(hers, "item1");
    await romeo.hears(itemEvent(juliet.bare, hers, "item1"));
    await server.node.removeUser((await import("../../core/jid.ts")).parseBareJid(romeo.bare));
    await server.addAccount(romeo.local, romeo.domain, romeo.account.password);
    const anew = await another(romeo).logsIn(server.target("tcp"));
    await anew.comesOnline();
    await new Pubsub(juliet, romeo.bare).refused("get", `<items node="${his}"/>`, ["cancel", "item-not-found"]);
    await julietOwn.publish(hers, "item2");
    await anew.receivesNothing();
    expect(await julietOwn.items(hers)).toEqual(["item1", "item2"]);
  },
  pep("remove_user_deletes_nodes_and_subscriptions"),
);
