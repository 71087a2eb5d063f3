// Requests of publish-subscribe as types (XEP-0060).
import { describe, expect, test } from "vitest";
import { StanzaError } from "../../../core/errors.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import { NS_OWNER, parseRequest } from "../../../modules/pubsub/request.ts";

const NS = "http://jabber.org/protocol/pubsub";
const form = (type: string, inside = "") =>
  `<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>${NS}#${type}</value></field>${inside}</x>`;
const ask = (type: "get" | "set", inside: string, ns = NS) =>
  parseRequest(type, parseElement(`<pubsub xmlns='${ns}'>${inside}</pubsub>`));
const TITLE = "<field var='pubsub#title'><value>T</value></field>";

describe("what is asked", () => {
  test.each([
    ["set", "<create/>", NS, { kind: "create", node: undefined, config: undefined }],
    [
      "set",
      `<create node='n'/><configure>${form("node_config", TITLE)}</configure>`,
      NS,
      { kind: "create", node: "n", config: new Map([["pubsub#title", ["T"]]]) },
    ],
    ["set", "<create node='n'/><configure/>", NS, { kind: "create", config: new Map() }],
    ["set", "<publish node='n'/>", NS, { kind: "publish", node: "n", item: undefined, options: undefined }],
    ["set", "<publish node='n'><item id=''/></publish>", NS, { item: { id: undefined, payload: undefined } }],
    ["set", "<retract node='n' notify='1'><item id='i'/></retract>", NS, { kind: "retract", id: "i", notify: true }],
    ["get", "<items node='n'/>", NS, { kind: "items", ids: [], newest: undefined, page: undefined }],
    ["get", "<items node='n' max_items='3'/>", NS, { newest: 3 }],
    [
      "get",
      "<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><max>1000</max><before/></set>",
      NS,
      { page: { max: 100, before: "" } },
    ],
    ["set", "<subscribe node='n' jid='A@B'/>", NS, { kind: "subscribe", node: "n", options: undefined }],
    ["set", `<subscribe node='n' jid='a@b'/><options/>`, NS, { options: new Map() }],
    ["set", "<unsubscribe node='n' jid='a@b' subid='s'/>", NS, { kind: "unsubscribe", subid: "s" }],
    ["get", "<subscriptions/>", NS, { kind: "subscriptions", node: undefined }],
    ["get", "<affiliations node='n'/>", NS, { kind: "affiliations", node: "n" }],
    ["get", "<options node='n' jid='a@b'/>", NS, { kind: "options" }],
    ["get", "<default/>", NS, { kind: "default options" }],
    ["get", "<default/>", NS_OWNER, { kind: "default configuration" }],
    ["get", "<configure node='n'/>", NS_OWNER, { kind: "configuration", node: "n" }],
    [
      "set",
      "<configure node='n'><x xmlns='jabber:x:data' type='cancel'/></configure>",
      NS_OWNER,
      { kind: "configure", config: undefined },
    ],
    ["set", "<delete node='n'><redirect uri='xmpp:x'/></delete>", NS_OWNER, { kind: "delete", redirect: "xmpp:x" }],
    ["set", "<purge node='n'/>", NS_OWNER, { kind: "purge" }],
    [
      "set",
      "<affiliations node='n'><affiliation jid='a@b' affiliation='none'/></affiliations>",
      NS_OWNER,
      { kind: "set affiliations", changes: [{ affiliation: "none" }] },
    ],
    [
      "set",
      "<subscriptions node='n'><subscription jid='a@b' subscription='none'/></subscriptions>",
      NS_OWNER,
      { kind: "set subscriptions", changes: [{ state: "none", subid: undefined }] },
    ],
  ] as const)("%s %s", (type, inside, ns, wanted) => {
    expect(ask(type, inside, ns)).toMatchObject(wanted);
  });

  test("a JID is prepared", () => {
    expect(ask("set", "<subscribe node='n' jid='A@B/R'/>")).toMatchObject({ jid: { text: "a@b/R" } });
  });
});

describe("what is refused", () => {
  const bad = "bad-request";
  test.each([
    ["get", "", NS, bad, undefined],
    ["get", "<create/>", NS, bad, undefined],
    ["set", "<create xmlns='urn:other'/>", NS, bad, undefined],
    ["set", "<create/><publish-options/>", NS, bad, undefined],
    ["set", "<create/><configure/><more/>", NS, bad, undefined],
    ["set", "<create/><configure><a/></configure>", NS, bad, undefined],
    ["set", `<create/><configure>${form("other", TITLE)}</configure>`, NS, bad, undefined],
    ["set", `<create/><configure>${form("node_config", TITLE + TITLE)}</configure>`, NS, bad, undefined],
    ["set", `<create/><configure>${form("node_config", "<field/>")}</configure>`, NS, bad, undefined],
    ["set", "<publish/>", NS, bad, "nodeid-required"],
    ["set", "<publish node='n'><item/><item/></publish>", NS, bad, "max-items-exceeded"],
    ["set", "<publish node='n'><item><a/><b/></item></publish>", NS, bad, "invalid-payload"],
    ["set", "<retract node='n'/>", NS, bad, "item-required"],
    ["set", "<retract node='n' notify='x'><item id='i'/></retract>", NS, bad, undefined],
    ["get", "<items node='n'><item/></items>", NS, bad, undefined],
    ["get", "<items node='n'><a xmlns='u' id='i'/></items>", NS, bad, undefined],
    ["get", "<items node='n' max_items='1.5'/>", NS, bad, undefined],
    ["get", `<items node='n'>${"<item id='i'/>".repeat(1001)}</items>`, NS, bad, undefined],
    ["set", "<subscribe node='n'/>", NS, bad, "invalid-jid"],
    ["set", "<subscribe node='n' jid='@'/>", NS, bad, "invalid-jid"],
    ["set", "<unsubscribe node='n'/>", NS, bad, "jid-required"],
    ["set", "<unsubscribe node='n' jid='@'/>", NS, "jid-malformed", undefined],
    ["set", "<affiliations node='n'/>", NS_OWNER, bad, undefined],
    ["set", "<affiliations node='n'><a/></affiliations>", NS_OWNER, bad, undefined],
    ["set", "<affiliations node='n'><affiliation jid='a@b'/></affiliations>", NS_OWNER, bad, undefined],
    [
      "set",
      "<subscriptions node='n'><subscription jid='a@b' subscription='x'/></subscriptions>",
      NS_OWNER,
      bad,
      undefined,
    ],
    ["set", "<create/>", NS_OWNER, bad, undefined],
  ] as const)("%s %s", (type, inside, ns, condition, extra) => {
    try {
      ask(type, inside, ns);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(StanzaError);
      const { condition: is, extra: more } = error as StanzaError;
      expect([is, /<([a-z-]+) /.exec(more ?? "")?.[1]]).toEqual([condition, extra]);
    }
  });

  test("nonsense never breaks the parser", () => {
    const names = ["create", "publish", "item", "items", "retract", "subscribe", "options", "configure", "x", "field"];
    const more = [
      "affiliations",
      "affiliation",
      "subscription",
      "default",
      "delete",
      "redirect",
      "set",
      "max",
      "value",
    ];
    const spaces = ["", NS, NS_OWNER, "jabber:x:data", "http://jabber.org/protocol/rsm"];
    const attributes = [
      "node",
      "jid",
      "id",
      "subid",
      "var",
      "type",
      "max_items",
      "affiliation",
      "subscription",
      "notify",
    ];
    const values = ["", "n", "a@b", "submit", "FORM_TYPE", "1", "-1", "owner", "none", "@@"];
    let seed = 7;
    const pick = <T>(list: readonly T[]): T => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
      return list[seed % list.length];
    };
    const element = (depth: number): string => {
      const name = pick([...names, ...more]);
      const ns = pick(spaces);
      const a = [...new Set([pick(attributes), pick(attributes)])].map((k) => ` ${k}='${pick(values)}'`).join("");
      const inside = depth === 0 ? pick(["", "text"]) : element(depth - 1).repeat(Number(pick(["0", "1", "2"])));
      return `<${name}${ns === "" ? "" : ` xmlns='${ns}'`}${a}>${inside}</${name}>`;
    };
    let parsed = 0;
    for (let k = 0; k < 20_000; k++) {
      try {
        ask(pick(["get", "set"]), element(2) + pick(["", element(2)]), pick([NS, NS_OWNER]));
        parsed++;
      } catch (error) {
        expect(error).toBeInstanceOf(StanzaError);
      }
    }
    expect(parsed).toBeGreaterThan(10);
  });
});
