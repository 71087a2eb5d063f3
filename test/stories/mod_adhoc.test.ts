// XEP-0050: commands are found and run. Stages and their errors are in test/unit/modules/mod_adhoc.test.ts.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS = "http://jabber.org/protocol/commands";
const INFO = "http://jabber.org/protocol/disco#info";
const ITEMS = "http://jabber.org/protocol/disco#items";

async function asks(c: Client, to: string, ns: string, node?: string): Promise<XElement> {
  c.says(`<iq type="get" id="d" to="${to}"><query xmlns="${ns}"${node ? ` node="${node}"` : ""}/></iq>`);
  const answer = await c.hears(`<iq type="result" id="d" from="${to}"/>`);
  const query = childOf(answer, "query", ns);
  if (query === undefined) throw new Error("no query in the answer");
  return query;
}
const named = (e: XElement, name: string) => childrenOf(e).filter((c) => c.name === name);
const nodes = (query: XElement) => named(query, "item").map((i) => [i.attrs["node"], i.attrs["jid"]]);
const features = (query: XElement) => named(query, "feature").map((f) => f.attrs["var"]);
const identities = (query: XElement) =>
  named(query, "identity").map((i) => `${i.attrs["category"]}/${i.attrs["type"]}`);

describe("with the list hidden", () => {
  const { story } = stage({ modules: { mod_adhoc: {} } });

  story(
    "XEP-0050 §2.1: the server and accounts announce commands",
    { romeo: 1 },
    async ({ romeo }) => {
      expect(features(await asks(romeo, "localhost", INFO))).toContain(NS);
      expect(features(await asks(romeo, romeo.bare, INFO))).toContain(NS);
    },
    { covers: ["adhoc_SUITE:disco_info", "adhoc_SUITE:disco_info_sm"] },
  );

  story(
    "XEP-0050 §2.2: the list of commands has an identity of its own",
    { romeo: 1 },
    async ({ romeo }) => {
      expect(identities(await asks(romeo, "localhost", INFO, NS))).toEqual(["automation/command-list"]);
      expect(identities(await asks(romeo, romeo.bare, INFO, NS))).toEqual(["automation/command-list"]);
    },
    { covers: ["adhoc_SUITE:disco_info_commands", "adhoc_SUITE:disco_info_sm_commands"] },
  );

  story(
    "XEP-0050 §2.2: so has each command",
    { romeo: 1 },
    async ({ romeo }) => {
      const info = await asks(romeo, "localhost", INFO, "ping");
      expect(identities(info)).toEqual(["automation/command-node"]);
      expect(features(info)).toEqual([NS, "jabber:x:data"]);
    },
    { covers: ["adhoc_SUITE:disco_info_ping"] },
  );

  story(
    "report_commands_node off: the list is not among the items, and can be asked for",
    { romeo: 1 },
    async ({ romeo }) => {
      expect(nodes(await asks(romeo, "localhost", ITEMS)).map(([node]) => node)).not.toContain(NS);
      expect(nodes(await asks(romeo, romeo.bare, ITEMS)).map(([node]) => node)).not.toContain(NS);
      expect(nodes(await asks(romeo, "localhost", ITEMS, NS))).toEqual([["ping", "localhost"]]);
      expect(nodes(await asks(romeo, "localhost", ITEMS, "ping"))).toEqual([]);
      expect(nodes(await asks(romeo, romeo.bare, ITEMS, NS))).toEqual([]);
    },
    {
      covers: [
        "adhoc_SUITE:disco_items_hidden",
        "adhoc_SUITE:disco_items_sm_hidden",
        "adhoc_SUITE:disco_items_commands",
      ],
    },
  );

  story(
    "XEP-0050 §2.4.1: ping is answered at once",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="set" id="p" to="localhost"><command xmlns="${NS}" node="ping" action="execute"/></iq>`;
      const answer = await romeo.receives`<iq type="result" id="p" from="localhost"/>`;
      const command = childOf(answer, "command", NS);
      expect(command?.attrs).toMatchObject({ node: "ping", status: "completed", "xml:lang": "en" });
      expect(command?.attrs["sessionid"]).toMatch(/^[0-9a-f]{32}$/);
      expect(command?.children).toMatchObject([{ name: "note", attrs: { type: "info" }, children: ["Pong"] }]);
    },
    { covers: ["adhoc_SUITE:ping"] },
  );

  story("XEP-0050 §3.4: what is wrong with a request is told", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
    const refuses = async (tag: string, condition: string, extra = "", to = "localhost"): Promise<void> => {
      romeo.says(`<iq type="set" id="e" to="${to}"><command xmlns="${NS}" ${tag}/></iq>`);
      const application = extra === "" ? "" : `<${extra} xmlns="${NS}"/>`;
      await romeo.hears(
        `<iq type="error" id="e" from="${to}"><command xmlns="${NS}" ${tag}/><error><${condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>${application}</error></iq>`,
      );
    };
    await refuses(`action="execute"`, "bad-request");
    await refuses(`node="ping" action="jump"`, "bad-request", "malformed-action");
    await refuses(`node="ping" action="next"`, "bad-request", "bad-action");
    await refuses(`node="ping" xml:lang="not a language"`, "bad-request", "bad-locale");
    await refuses(`node="ping" sessionid="mine"`, "bad-request", "bad-sessionid");
    await refuses(`node="pong"`, "item-not-found");
    await refuses(`node="pong"`, "item-not-found", "", romeo.bare);
    // A stranger learns nothing about the account.
    await refuses(`node="pong"`, "service-unavailable", "", juliet.bare);
    await refuses(`node="pong"`, "service-unavailable", "", "nobody@localhost");
    romeo.sends`<iq type="get" id="g" to="localhost"><command xmlns="${NS}" node="ping"/></iq>`;
    await romeo.receives`<iq type="error" id="g"><error><not-allowed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
  });

  story("XEP-0050 §3.4: a completed command's session is over", { romeo: 1 }, async ({ romeo }) => {
    romeo.sends`<iq type="set" id="p" to="localhost"><command xmlns="${NS}" node="ping"/></iq>`;
    const answer = await romeo.receives`<iq type="result" id="p"/>`;
    const id = childOf(answer, "command", NS)?.attrs["sessionid"];
    romeo.says(`<iq type="set" id="q" to="localhost"><command xmlns="${NS}" node="ping" sessionid="${id}"/></iq>`);
    await romeo.receives`<iq type="error" id="q"><error type="cancel"><not-allowed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><session-expired xmlns="${NS}"/></error></iq>`;
  });
});

describe("with the list shown", () => {
  const { story } = stage({ modules: { mod_adhoc: { report_commands_node: true } } });

  story(
    "report_commands_node: the list is among the items of the server and of accounts",
    { romeo: 1 },
    async ({ romeo }) => {
      expect(nodes(await asks(romeo, "localhost", ITEMS))).toContainEqual([NS, "localhost"]);
      expect(nodes(await asks(romeo, romeo.bare, ITEMS))).toContainEqual([NS, romeo.bare]);
    },
    { covers: ["adhoc_SUITE:disco_items_visible", "adhoc_SUITE:disco_items_sm_visible"] },
  );
});
