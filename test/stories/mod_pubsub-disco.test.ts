// XEP-0163 §6, XEP-0060 §5: what can be discovered of an account's nodes; and the options of the feature.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import { fieldsOf, follows, freshNode, NS_PUBSUB, Pubsub } from "../support/pubsub.ts";
import { covering, stage } from "../support/story.ts";

const NS_INFO = "http://jabber.org/protocol/disco#info";
const NS_ITEMS = "http://jabber.org/protocol/disco#items";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
const pep = covering("pep_SUITE");
const OPEN = { access_model: "open" };

const nodeAttribute = (node?: string) => (node === undefined ? "" : ` node="${node}"`);
async function discovers(c: Client, ns: string, jid: string, node?: string): Promise<XElement> {
  c.says(`<iq type="get" id="d" to="${jid}"><query xmlns="${ns}"${nodeAttribute(node)}/></iq>`);
  return childOf(await c.hears(`<iq type="result" id="d" from="${jid}"/>`), "query", ns)!;
}
async function cannotDiscover(c: Client, ns: string, jid: string, condition: string, node?: string): Promise<void> {
  c.says(`<iq type="get" id="d" to="${jid}"><query xmlns="${ns}"${nodeAttribute(node)}/></iq>`);
  await c.hears(
    `<iq type="error" id="d" from="${jid}"><error type="cancel"><${condition} xmlns="${NS_STANZAS}"/></error></iq>`,
  );
}
const identitiesOf = (query: XElement) =>
  childrenOf(query).flatMap((e) => (e.name === "identity" ? [`${e.attrs["category"]}/${e.attrs["type"]}`] : []));
const featuresOf = (query: XElement) =>
  childrenOf(query).flatMap((e) => (e.name === "feature" ? [e.attrs["var"] ?? ""] : []));
const nodesOf = (query: XElement) => childrenOf(query).flatMap((e) => e.attrs["node"] ?? []);

/** What MongooseIM tells, and what we have beside that. */
const FEATURES = [
  ...["", "#access-open", "#access-presence", "#auto-create", "#config-node", "#create-and-configure", "#create-nodes"],
  ...["#delete-nodes", "#item-ids", "#last-published", "#persistent-items", "#publish", "#publish-options"],
  ...["#retrieve-items", "#subscribe", "#access-whitelist", "#access-roster", "#access-authorize", "#rsm"],
].map((f) => NS_PUBSUB + f);
const FILTERED = `${NS_PUBSUB}#filtered-notifications`;

async function tellsFeatures(c: Client, filtered: boolean): Promise<void> {
  const query = await discovers(c, NS_INFO, c.bare);
  expect(identitiesOf(query)).toContain("pubsub/pep");
  expect(identitiesOf(query)).not.toContain("pubsub/service");
  const features = featuresOf(query);
  expect(features).toEqual(expect.arrayContaining(FEATURES));
  expect(features.includes(FILTERED)).toBe(filtered);
}

describe("with mod_caps", () => {
  const { story } = stage({ modules: { mod_caps: {}, mod_pubsub: {} } });

  story(
    "XEP-0163 §6.1: an account says that it has nodes; one that is not there says nothing",
    { romeo: 1 },
    async ({ romeo }) => {
      await tellsFeatures(romeo, true);
      await cannotDiscover(romeo, NS_INFO, "unknown@localhost", "service-unavailable");
    },
    pep("disco_info"),
  );

  story(
    "XEP-0163 §6.2: a node is shown to those who may read it",
    { romeo: 1, juliet: 1, mercutio: 1 },
    async ({ romeo, juliet, mercutio }) => {
      const node = freshNode();
      await new Pubsub(romeo, romeo.bare).publish(node, "item1");
      await follows(juliet, romeo);
      for (const c of [romeo, juliet]) {
        const query = await discovers(c, NS_INFO, romeo.bare, node);
        expect(query.attrs["node"]).toBe(node);
        expect(identitiesOf(query)).toEqual(["pubsub/leaf"]);
        expect(featuresOf(query)).toEqual([NS_PUBSUB]);
        expect(fieldsOf(childOf(query, "x", "jabber:x:data")!)).toMatchObject({
          FORM_TYPE: [`${NS_PUBSUB}#meta-data`],
          access_model: ["presence"],
        });
      }
      await cannotDiscover(romeo, NS_INFO, romeo.bare, "item-not-found", freshNode());
      await cannotDiscover(mercutio, NS_INFO, romeo.bare, "service-unavailable", node);
      await cannotDiscover(mercutio, NS_INFO, romeo.bare, "service-unavailable", freshNode());
    },
    pep("disco_info_node"),
  );

  story(
    "XEP-0163 §6.2: the nodes of an account, for those who may read them",
    { romeo: 1, juliet: 1, mercutio: 1 },
    async ({ romeo, juliet, mercutio }) => {
      const own = new Pubsub(romeo, romeo.bare);
      const [node, secret] = [freshNode(), freshNode()];
      await own.publish(node, "item1");
      await own.publish(secret, "item1", { access_model: "whitelist" });
      await follows(juliet, romeo);
      expect(nodesOf(await discovers(romeo, NS_ITEMS, romeo.bare))).toEqual([node, secret].sort());
      expect(nodesOf(await discovers(juliet, NS_ITEMS, romeo.bare))).toEqual([node]);
      expect(childrenOf(await discovers(mercutio, NS_ITEMS, romeo.bare))).toEqual([]);
      expect(childrenOf(await discovers(romeo, NS_ITEMS, "unknown@localhost"))).toEqual([]);
    },
    pep("disco_items"),
  );

  story(
    "what is at a node is not discovered, but asked for",
    { romeo: 1, juliet: 1, mercutio: 1 },
    async ({ romeo, juliet, mercutio }) => {
      const node = freshNode();
      await new Pubsub(romeo, romeo.bare).publish(node, "item1");
      await follows(juliet, romeo);
      await cannotDiscover(romeo, NS_ITEMS, romeo.bare, "item-not-found", node);
      await cannotDiscover(juliet, NS_ITEMS, romeo.bare, "item-not-found", node);
      await cannotDiscover(mercutio, NS_ITEMS, romeo.bare, "service-unavailable", node);
    },
    pep("disco_items_node"),
  );

  story(
    "XEP-0163 §6.2: an open node is shown to everybody",
    { romeo: 1, juliet: 1, mercutio: 1 },
    async ({ romeo, juliet, mercutio }) => {
      const own = new Pubsub(romeo, romeo.bare);
      const node = freshNode();
      await own.create(node, { ...OPEN, title: "Moods" });
      await own.publish(node, "item1");
      await follows(juliet, romeo);
      for (const c of [romeo, juliet, mercutio]) {
        const query = await discovers(c, NS_ITEMS, romeo.bare);
        const item = childrenOf(query).find((i) => i.attrs["node"] === node)!;
        expect(item.attrs).toMatchObject({ jid: romeo.bare, name: "Moods" });
        expect(identitiesOf(await discovers(c, NS_INFO, romeo.bare, node))).toEqual(["pubsub/leaf"]);
      }
    },
    pep("disco_items_open"),
  );
});

describe("without mod_caps", () => {
  const { story } = stage({ modules: { mod_pubsub: {} } });

  story(
    "nobody's interests are known: the account does not promise to heed them",
    { romeo: 1 },
    async ({ romeo }) => tellsFeatures(romeo, false),
    pep("disco_info_no_caps"),
  );

  story(
    "no contact gets events without a subscription",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const own = new Pubsub(romeo, romeo.bare);
      const node = freshNode();
      await own.create(node);
      await follows(juliet, romeo);
      await own.publish(node, "item1");
      await juliet.receivesNothing();
    },
    pep("create_presence_and_publish_implicit_sub_no_caps"),
  );
});

describe("default_node_config", () => {
  const { story } = stage({ modules: { mod_pubsub: { default_node_config: { access_model: "open", max_items: 1 } } } });

  story(
    "new nodes have it, however they are made",
    { romeo: 1 },
    async ({ romeo }) => {
      const own = new Pubsub(romeo, romeo.bare);
      const [made, published] = [freshNode(), freshNode()];
      await own.create(made);
      await own.publish(published, "item0");
      for (const node of [made, published]) {
        expect(await own.configuration(node)).toMatchObject({ access_model: ["open"], max_items: ["1"] });
      }
    },
    pep("create_uses_default_node_config", "autocreate_uses_default_node_config"),
  );
});

describe("the bounds", () => {
  const { story } = stage({
    modules: {
      mod_pubsub: {
        max_items_per_node: 3,
        max_nodes_per_user: 2,
        max_payload_size: 200,
        max_subscriptions_per_node: 1,
      },
    },
  });
  const TOO_BIG = `<a xmlns="u">${"x".repeat(200)}</a>`;

  story(
    "max_items_per_node: a node keeps so many, whatever it is configured to",
    { romeo: 1 },
    async ({ romeo }) => {
      const own = new Pubsub(romeo, romeo.bare);
      const [node, two] = [freshNode(), freshNode()];
      await own.create(node);
      for (const id of ["item0", "item1", "item2", "item3"]) await own.publish(node, id);
      expect(await own.items(node)).toEqual(["item1", "item2", "item3"]);
      await own.create(two, { max_items: "2" });
      for (const id of ["item0", "item1", "item2"]) await own.publish(two, id);
      expect(await own.items(two)).toEqual(["item1", "item2"]);
    },
    pep("create_with_max_items_per_node_and_publish"),
  );

  story("nodes, bytes and subscriptions have an end", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const nodes = [freshNode(), freshNode()];
    for (const node of nodes) await own.create(node, OPEN);
    const full = ["modify", "policy-violation", "max-nodes-exceeded"] as const;
    await own.refused("set", `<create node="${freshNode()}"/>`, full);
    await own.refused("set", `<publish node="${freshNode()}"><item><a xmlns="u"/></item></publish>`, full);
    const big = ["modify", "not-acceptable", "payload-too-big"] as const;
    await own.refused("set", `<publish node="${nodes[0]}"><item>${TOO_BIG}</item></publish>`, big);
    expect(await own.items(nodes[0])).toEqual([]);
    await hers.subscribe(nodes[0], juliet.bare);
    const many = ["modify", "policy-violation", "too-many-subscriptions"] as const;
    await hers.refused("set", `<subscribe node="${nodes[0]}" jid="${juliet.full}"/>`, many);
  });
});
