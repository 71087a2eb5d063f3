// XEP-0060: what is wrong is answered with the error that the XEP has for it, and changes nothing.
import { expect } from "vitest";
import {
  ENTRY,
  type Fields,
  follows,
  form,
  freshNode,
  item,
  NS_OWNER,
  NS_PUBSUB,
  Pubsub,
  publishing,
  wantsEvents,
} from "../support/pubsub.ts";
import { covering, stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_caps: {}, mod_pubsub: {} } });
const pep = covering("pep_SUITE");
const BAD = ["modify", "bad-request"] as const;
const FORBIDDEN = ["auth", "forbidden"] as const;
const MISSING = ["cancel", "item-not-found"] as const;
const UNKNOWN = "<unexpected/>";
const OPEN = { access_model: "open" };
const withForm = (node: string, x: string) => `<configure node="${node}">${x}</configure>`;

story(
  "requests that there are not",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    for (const ns of [NS_PUBSUB, NS_OWNER]) {
      for (const type of ["set", "get"] as const) {
        await own.refused(type, `<unknown-action node="x"/>`, BAD, ns);
        await own.refused(type, "", BAD, ns);
      }
    }
    await own.refused("get", `<publish node="x"/>`, BAD);
    await own.refused("set", `<items node="x"/>`, BAD);
    romeo.says(
      `<iq type="set" id="w" to="${romeo.bare}"><pubstub xmlns="${NS_PUBSUB}"><create node="x"/></pubstub></iq>`,
    );
    await romeo.hears(
      `<iq type="error" id="w"><error type="modify"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
    );
  },
  pep("bad_request_fails"),
);

story(
  "XEP-0060 §8.2: a form of another type, or with options that are none, configures nothing",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await own.create(node);
    const before = await own.configuration(node);
    await own.refused("set", withForm(node, form("node_config", OPEN, false)), BAD, NS_OWNER);
    await own.refused("set", withForm(node, form("publish-options", OPEN)), BAD, NS_OWNER);
    await own.refused("set", withForm(node, `<x xmlns="urn:other"/>`), BAD, NS_OWNER);
    const wrongs: Fields[] = [
      { nonsense: "1" },
      { access_model: "nobody" },
      { max_items: "-1" },
      { notify_config: "perhaps" },
      { title: "x".repeat(1025) },
      { contact: ["@@"] },
    ];
    for (const wrong of wrongs) {
      await own.refused("set", withForm(node, form("node_config", wrong)), BAD, NS_OWNER);
    }
    await own.refused(
      "set",
      withForm(node, form("node_config", { max_payload_size: "999999999" })),
      ["modify", "not-acceptable"],
      NS_OWNER,
    );
    await own.gets("set", withForm(node, `<x xmlns="jabber:x:data" type="cancel"/>`), NS_OWNER);
    expect(await own.configuration(node)).toEqual(before);
  },
  pep("configure_with_invalid_form_fails"),
);

story(
  "XEP-0060 §8.1: nobody makes nodes at another's account",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await hers.refused("set", `<create node="${node}"/>`, FORBIDDEN);
    await hers.refused("set", publishing(node, item("item2")), FORBIDDEN);
    await own.refused("get", `<items node="${node}"/>`, MISSING);
  },
  pep("create_at_foreign_jid_fails"),
);

story(
  "XEP-0060 §8.1.3: a node is made once",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await own.create(node);
    await own.refused("set", `<create node="${node}"/>`, ["cancel", "conflict"]);
    await own.refused("set", `<create node="${"x".repeat(126)}"/>`, ["modify", "not-acceptable"]);
  },
  pep("create_duplicate_node_fails"),
);

story(
  "XEP-0060 §8.1.3: a node is not made with a configuration that is none",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    const make = (configure: string) => `<create node="${node}"/><configure>${configure}</configure>`;
    await own.refused("set", make(form("node_config", { definitely_invalid_option: "1" })), BAD);
    await own.refused("set", make(form("node_config", { access_model: "not-a-real-model" })), BAD);
    for (const max_items of ["-1", "abc", ["1", "2"]]) {
      await own.refused("set", make(form("node_config", { max_items })), BAD);
    }
    await own.refused("set", `<create node="${node}"/><configure/>${UNKNOWN}`, BAD);
    await own.refused("set", make(form("node_config", OPEN, false)), BAD);
    await own.refused("get", `<items node="${node}"/>`, MISSING);
  },
  pep("create_with_invalid_config_fails"),
);

story(
  "XEP-0060 §8.2, §8.4: what is not there cannot be managed",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await own.refused("set", `<delete node="${node}"/>`, MISSING, NS_OWNER);
    await own.refused("get", `<configure node="${node}"/>`, MISSING, NS_OWNER);
    await own.refused("set", withForm(node, form("node_config", OPEN)), MISSING, NS_OWNER);
    await own.refused("set", `<purge node="${node}"/>`, MISSING, NS_OWNER);
    for (const what of ["affiliations", "subscriptions"]) {
      await own.refused("get", `<${what} node="${node}"/>`, MISSING, NS_OWNER);
    }
  },
  pep("delete_nonexistent_node_fails", "manage_nonexistent_node_fails"),
);

story(
  "XEP-0060 §6.5: items are asked for by ids that are some, or by a number that is one",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await own.create(node);
    await own.refused("get", `<items node="${node}"><item/></items>`, BAD);
    await own.refused("get", `<items node="${node}"><item/><item id="item1"/></items>`, BAD);
    for (const max of ["abc", "-10", "0"]) await own.refused("get", `<items node="${node}" max_items="${max}"/>`, BAD);
    await own.refused("get", `<items node="${node}" max_items="2"><item id="item1"/></items>`, BAD);
  },
  pep("get_item_without_id_fails", "get_items_with_invalid_max_items_fails"),
);

story(
  "XEP-0060 §8: only the owner manages a node, whether it is there or not",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await own.publish(node, "item1", OPEN);
    await hers.subscribe(node, juliet.bare);
    const before = await own.configuration(node);
    await juliet.settles();
    for (const name of [node, freshNode()]) {
      await hers.refused("get", `<configure node="${name}"/>`, FORBIDDEN, NS_OWNER);
      await hers.refused("set", withForm(name, form("node_config", OPEN)), FORBIDDEN, NS_OWNER);
      await hers.refused("set", `<delete node="${name}"/>`, FORBIDDEN, NS_OWNER);
      await hers.refused("set", `<purge node="${name}"/>`, FORBIDDEN, NS_OWNER);
      await hers.refused("get", `<affiliations node="${name}"/>`, FORBIDDEN, NS_OWNER);
      await hers.refused("get", `<subscriptions node="${name}"/>`, FORBIDDEN, NS_OWNER);
      const [who, what] = [`jid="${juliet.bare}"`, `affiliation="owner"`];
      await hers.refused(
        "set",
        `<affiliations node="${name}"><affiliation ${who} ${what}/></affiliations>`,
        FORBIDDEN,
        NS_OWNER,
      );
      const inside = `<subscription jid="${romeo.bare}" subscription="subscribed"/>`;
      await hers.refused("set", `<subscriptions node="${name}">${inside}</subscriptions>`, FORBIDDEN, NS_OWNER);
      await hers.refused("set", `<retract node="${name}"><item id="item1"/></retract>`, FORBIDDEN);
      await hers.refused("set", publishing(name, item("item2")), FORBIDDEN);
    }
    await hers.refused("get", "<default/>", FORBIDDEN, NS_OWNER);
    expect(await own.configuration(node)).toEqual(before);
    expect(await own.items(node)).toEqual(["item1"]);
  },
  pep("manage_foreign_node_fails", "publish_to_foreign_node_fails"),
);

story(
  "XEP-0060 §7.1.3: an item is one, with an id or without, and one payload",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    await own.refused("set", publishing(node, ""), ["modify", "bad-request", "item-required"]);
    await own.refused("set", publishing(node, item("item2", "")), ["modify", "bad-request", "payload-required"]);
    await own.refused("set", publishing(node, item("item3", ENTRY + ENTRY)), [
      "modify",
      "bad-request",
      "invalid-payload",
    ]);
    await own.refused("set", publishing(node, item("item4") + item("item4")), BAD);
    await own.refused("set", publishing(node, ENTRY), BAD);
    await own.refused("set", publishing(node, item("x".repeat(126))), ["modify", "not-acceptable"]);
    await own.refused("get", `<items node="${node}"/>`, MISSING);
  },
  pep("publish_with_invalid_items_fails"),
);

story(
  "XEP-0060 §7.1.3.6: what a node wants of an item depends on its configuration",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const [bare, light, small] = [freshNode(), freshNode(), freshNode()];
    await own.create(bare, { persist_items: "0", deliver_payloads: "0" });
    await own.gets("set", publishing(bare, ""));
    await own.refused("set", publishing(bare, item("a")), ["modify", "bad-request", "item-forbidden"]);
    await own.create(light, { deliver_payloads: "0" });
    await own.publish(light, "a", undefined, "");
    await own.create(small, { max_payload_size: "20" });
    await own.refused("set", publishing(small, item("a")), ["modify", "not-acceptable", "payload-too-big"]);
    await own.publish(small, "b", undefined, `<a xmlns="u"/>`);
    expect(await own.items(small)).toEqual(["b"]);
  },
);

story(
  "XEP-0060 §7.1.5: publish-options are preconditions",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const node = freshNode();
    const unmet = ["cancel", "conflict", "precondition-not-met"] as const;
    await own.refused("set", publishing(node, item("item1"), { definitely_invalid_option: "1" }), unmet);
    await own.refused("set", publishing(node, item("item1"), { access_model: "not-a-real-model" }), unmet);
    await own.refused("get", `<items node="${node}"/>`, MISSING);
    await own.create(node);
    await own.refused("set", publishing(node, item("item1"), OPEN), unmet);
    await own.refused("set", publishing(node, item("item1"), { definitely_invalid_option: "1" }), unmet);
    await own.publish(node, "item1", { access_model: "presence", persist_items: "true", max_items: "max" });
    const other = freshNode();
    await own.refused("set", publishing(other, item("item1"), OPEN) + UNKNOWN, BAD);
    const untyped = `<publish-options>${form("publish-options", OPEN, false)}</publish-options>`;
    await own.refused("set", publishing(other, item("item1")) + untyped, BAD);
    await own.refused("get", `<items node="${other}"/>`, MISSING);
    expect(await own.items(node)).toEqual(["item1"]);
  },
  pep("publish_options_invalid_config_fails"),
);

story(
  "XEP-0060: a node has a name",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const required = ["modify", "bad-request", "nodeid-required"] as const;
    await own.refused("set", "<create/>", ["modify", "not-acceptable", "nodeid-required"]);
    await own.refused("get", "<configure/>", required, NS_OWNER);
    await own.refused("set", `<configure>${form("node_config", OPEN)}</configure>`, required, NS_OWNER);
    await own.refused("set", `<publish>${item("a")}</publish>`, required);
    await own.refused("get", "<items/>", required);
    await own.refused("set", `<subscribe jid="${romeo.bare}"/>`, required);
    await own.refused("set", "<delete/>", required, NS_OWNER);
    await own.refused("set", "<purge/>", required, NS_OWNER);
  },
  pep("request_without_nodeid_fails"),
);

story(
  "XEP-0060 §7.2.2: what cannot be retracted",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    const retract = (inside: string, attributes = "") => `<retract node="${node}"${attributes}>${inside}</retract>`;
    const one = `<item id="item1"/>`;
    await own.refused("set", `<retract>${one}</retract>`, ["modify", "bad-request", "nodeid-required"]);
    await own.refused("set", retract(one), MISSING);
    await own.publish(node, "item1");
    await own.refused("set", retract("<item/>"), ["modify", "bad-request", "item-required"]);
    await own.refused("set", retract(""), ["modify", "bad-request", "item-required"]);
    await own.refused("set", retract(item("item1")), BAD);
    await own.refused("set", retract(`<item id="item404"/>`), MISSING);
    await own.refused("set", retract(`${one}<item id="item2"/>`), BAD);
    await hers.refused("set", retract(one), FORBIDDEN);
    await own.refused("set", retract(one, ` notify="definitely-invalid"`), BAD);
    expect(await own.items(node)).toEqual(["item1"]);
  },
  pep("retract_invalid_request_fails"),
);

story(
  "XEP-0060 §6.1.3, §6.2.3: subscriptions that are not to be had",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const [node, open] = [freshNode(), freshNode()];
    const subscribe = (name: string, jid: string) => `<subscribe node="${name}" jid="${jid}"/>`;
    const unsubscribe = (name: string, jid: string) => `<unsubscribe node="${name}" jid="${jid}"/>`;
    await own.refused("set", subscribe(node, romeo.bare), MISSING);
    await own.refused("set", unsubscribe(node, romeo.bare), MISSING);
    await own.create(node);
    const presence = ["auth", "not-authorized", "presence-subscription-required"] as const;
    await hers.refused("set", subscribe(node, juliet.bare), presence);
    await own.create(open, OPEN);
    const invalid = ["modify", "bad-request", "invalid-jid"] as const;
    await hers.refused("set", subscribe(open, romeo.bare), invalid);
    await hers.refused("set", subscribe(open, "@@"), invalid);
    await hers.subscribe(open, juliet.full);
    await hers.refused("set", unsubscribe(open, romeo.bare), FORBIDDEN);
    await hers.refused("set", unsubscribe(open, juliet.bare), ["cancel", "unexpected-request", "not-subscribed"]);
    await hers.refused("set", `<unsubscribe node="${open}" jid="${juliet.full}" subid="x"/>`, [
      "modify",
      "not-acceptable",
      "invalid-subid",
    ]);
    for (const type of ["get", "set"] as const) {
      await hers.refused(type, `<options node="${open}" jid="${juliet.full}"/>`, ["cancel", "feature-not-implemented"]);
    }
    expect(await hers.items(open)).toEqual([]);
  },
  pep(
    "subscribe_presence_required_fails",
    "subscribe_to_nonexistent_node_fails",
    "subscribe_with_invalid_jid_fails",
    "unsubscribe_foreign_jid_fails",
  ),
);

story(
  "XEP-0060 §6.2.3: a contact has no subscription to end",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const node = freshNode();
    await romeo.comesOnline();
    await wantsEvents(juliet, node);
    await own.create(node);
    await follows(juliet, romeo);
    await hers.refused("set", `<unsubscribe node="${node}" jid="${juliet.full}"/>`, [
      "cancel",
      "unexpected-request",
      "not-subscribed",
    ]);
  },
  { silent: true, ...pep("unsubscribe_implicit_fails") },
);
