import { describe, expect, test } from "vitest";
import { z } from "zod";
import { capabilityHash, formOf, type Info, verification } from "../../../core/disco/caps.ts";
import { defineModule } from "../../../core/module.ts";
import { viewText } from "../../../core/xml/framer.ts";
import { Markup } from "../../../core/xml/markup.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import modDisco from "../../../modules/mod_disco/index.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const INFO = "http://jabber.org/protocol/disco#info";
const ITEMS = "http://jabber.org/protocol/disco#items";
const modExtra = defineModule({
  name: "mod_extra",
  xeps: [],
  config: z.strictObject({}),
  features: ["urn:extra", "msgoffline"],
  accountFeatures: ["urn:of:accounts"],
});

async function verona(config: Record<string, unknown> = {}) {
  const server = new FakeServer({ users: ["juliet"] });
  await server.startModule(modDisco, config);
  const romeo = server.connect("romeo@localhost/orchard");
  server.hook({
    roster_get_jid_info: (info, { jid, contact }) =>
      jid.local === "juliet" && contact.local === "romeo" ? { ...info, subscription: "both" } : info,
  });
  return { server, romeo };
}
async function ask(client: FakeClient, ns: string, to: string, node?: string) {
  const attr = node === undefined ? "" : ` node='${node}'`;
  await client.sends(`<iq type='get' id='d' to='${to}'><query xmlns='${ns}'${attr}/></iq>`);
  const reply = parseElement(client.received().at(-1)!);
  const query = reply.getChild("query", ns);
  const error = reply.getChild("error")?.getChildElements()[0].name;
  return {
    error: reply.attrs["type"] === "error" ? error : undefined,
    node: query?.attrs["node"],
    features: query?.getChildren("feature").map((f) => f.attrs["var"]),
    identities: query
      ?.getChildren("identity")
      .map((i) => `${i.attrs["category"]}/${i.attrs["type"]}/${i.attrs["name"]}`),
    items: query?.getChildren("item").map((i) => i.attrs["jid"]),
    text: String(query),
  };
}
async function streamFeatures(server: FakeServer, romeo: FakeClient): Promise<string> {
  const params = { session: romeo, domain: "localhost", authenticated: false };
  return (await server.host.hooks.fold("c2s_stream_features", [], params)).map(String).join("");
}

describe("the server (XEP-0030)", () => {
  test("is an instant messaging server with the features of all that runs, in order", async () => {
    const { server, romeo } = await verona();
    await server.startModule(modExtra);
    const { identities, features } = await ask(romeo, INFO, "localhost");
    expect(identities).toEqual(["server/im/MongooseIM"]);
    const caps = ["urn:xmpp:caps", "urn:xmpp:hash-function-text-names:sha-256", "urn:xmpp:hashes:2"];
    expect(features).toEqual(["http://jabber.org/protocol/caps", INFO, ITEMS, "msgoffline", "urn:extra", ...caps]);
  });

  test("has the features that hooks add", async () => {
    const { server, romeo } = await verona();
    server.hook({ disco_local_features: (features) => void features.add("urn:hooked") });
    expect((await ask(romeo, INFO, "localhost")).features).toContain("urn:hooked");
  });

  test.each([INFO, ITEMS])("does not know an unknown node (%s)", async (ns) => {
    const { romeo } = await verona();
    expect((await ask(romeo, ns, "localhost", "nonsense")).error).toBe("item-not-found");
  });

  test("answers for a node that a hook knows", async () => {
    const { server, romeo } = await verona();
    server.hook({ disco_local_features: (f, { node }) => (node === "known" ? void f.add("urn:of:node") : undefined) });
    const { features, node } = await ask(romeo, INFO, "localhost", "known");
    expect([features, node]).toEqual([["urn:of:node"], "known"]);
  });

  test("lists the extra domains and what hooks add", async () => {
    const { server, romeo } = await verona({ extra_domains: ["chat.example"] });
    server.hook({ disco_local_items: (items) => void items.push({ jid: "muc.localhost" }) });
    expect((await ask(romeo, ITEMS, "localhost")).items).toEqual(["chat.example", "muc.localhost"]);
  });

  test.each([
    [true, ["hidden.localhost"]],
    [false, []],
  ])("shows hidden services to users: %s", async (users_can_see_hidden_services, seen) => {
    const { server, romeo } = await verona({ users_can_see_hidden_services });
    server.hook({ disco_local_items: (items) => void items.push({ jid: "hidden.localhost", hidden: true }) });
    expect((await ask(romeo, ITEMS, "localhost")).items).toEqual(seen);
  });

  test("XEP-0157: tells the contact addresses that are its own", async () => {
    const { romeo } = await verona({
      server_info: [
        { name: "abuse-addresses", urls: ["mailto:abuse@shakespeare.lit"] },
        { name: "room-addresses", urls: ["mailto:x@y"], modules: ["mod_muc"] },
      ],
    });
    const { text } = await ask(romeo, INFO, "localhost");
    expect(text).toContain("<value>http://jabber.org/network/serverinfo</value>");
    expect(text).toContain("mailto:abuse@shakespeare.lit");
    expect(text).not.toContain("room-addresses");
  });
});

describe("an account", () => {
  test("is registered and has the features of accounts, for a contact", async () => {
    const { server, romeo } = await verona();
    await server.startModule(modExtra);
    const { identities, features } = await ask(romeo, INFO, "juliet@localhost");
    expect(identities).toEqual(["account/registered/undefined"]);
    expect(features).toContain("urn:of:accounts");
    expect(server.metric("mod_disco", "mod_disco_roster_get_count")).toBe(1);
  });

  test("shows its available sessions to a contact", async () => {
    const { server, romeo } = await verona();
    server.connect("juliet@localhost/balcony").setPresence(viewText("<presence/>"), 0);
    server.connect("juliet@localhost/chamber");
    expect((await ask(romeo, ITEMS, "juliet@localhost")).items).toEqual(["juliet@localhost/balcony"]);
  });

  test("does not exist for a stranger, and has the items of one that does not (XEP-0030 §8)", async () => {
    const { server } = await verona();
    const tybalt = server.connect("tybalt@localhost/vault");
    expect((await ask(tybalt, INFO, "juliet@localhost")).error).toBe("service-unavailable");
    const known = await ask(tybalt, ITEMS, "juliet@localhost");
    expect([known.error, known.items]).toEqual([undefined, []]);
  });

  test.each([INFO, ITEMS])("does not know an unknown node of its own (%s)", async (ns) => {
    const { romeo } = await verona();
    expect((await ask(romeo, ns, "romeo@localhost", "nonsense")).error).toBe("item-not-found");
  });
});

describe("the server's capabilities", () => {
  const EXODUS: Info = {
    identities: [{ category: "client", type: "pc", name: "Exodus 0.9.1" }],
    features: ["caps", "disco#info", "disco#items", "muc"].map((f) => `http://jabber.org/protocol/${f}`),
    forms: [],
  };
  test("XEP-0115 §5.2: the simple example", () => expect(verification(EXODUS)).toBe("QgayPKawpkPSDYmwT/WM94uAlu0="));

  test("XEP-0390 §4.3: the simple example", () => {
    const features = ["si", "bytestreams", "chatstates", "disco#info", "disco#items", "rosterx", "ibb"]
      .map((f) => `http://jabber.org/protocol/${f}`)
      .concat(
        "http://jabber.org/protocol/si/profile/file-transfer",
        "urn:xmpp:ping",
        "urn:xmpp:time",
        "urn:xmpp:receipts",
      )
      .concat(
        ["time", "privacy", "version", "roster", "last"].map((f) => `jabber:iq:${f}`),
        "jabber:x:oob",
      );
    const info = { identities: [{ category: "client", type: "mobile", name: "BombusMod" }], features, forms: [] };
    expect(capabilityHash(info)).toBe("kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=");
  });

  test("a form changes both hashes, the order of its fields and values does not", () => {
    const field = (name: string, ...values: string[]) =>
      `<field var='${name}'>${values.map((v) => `<value>${v}</value>`).join("")}</field>`;
    const form = (...fields: string[]): Info => ({
      ...EXODUS,
      forms: [formOf(new Markup(`<x xmlns='jabber:x:data' type='result'>${fields.join("")}</x>`))],
    });
    const a = form(field("FORM_TYPE", "urn:x"), field("b", "1", "2"), field("a", "3"));
    const b = form(field("a", "3"), field("b", "2", "1"), field("FORM_TYPE", "urn:x"));
    expect([verification(a), capabilityHash(a)]).toEqual([verification(b), capabilityHash(b)]);
    expect(verification(a)).not.toBe(verification(EXODUS));
  });

  test("are in the stream features, and lead to the answer that was hashed", async () => {
    const { server, romeo } = await verona();
    const text = await streamFeatures(server, romeo);
    const ver = /hash='sha-1' node='https:\/\/www.erlang-solutions.com\/products\/mongooseim.html' ver='([^']+)'/.exec(
      text,
    )![1];
    const hash = /<hash algo='sha-256' xmlns='urn:xmpp:hashes:2'>([^<]+)</.exec(text)![1];
    const plain = await ask(romeo, INFO, "localhost");
    for (const node of [
      `https://www.erlang-solutions.com/products/mongooseim.html#${ver}`,
      `urn:xmpp:caps#sha-256.${hash}`,
    ]) {
      const answer = await ask(romeo, INFO, "localhost", node);
      expect([answer.node, answer.features, answer.identities]).toEqual([node, plain.features, plain.identities]);
    }
  });

  test("of another version are not found", async () => {
    const { romeo } = await verona();
    const node = "https://www.erlang-solutions.com/products/mongooseim.html#AAAA";
    expect((await ask(romeo, INFO, "localhost", node)).error).toBe("item-not-found");
  });

  test("are computed once, and again when other features run", async () => {
    const { server, romeo } = await verona();
    let folds = 0;
    server.hook({ disco_local_features: () => void folds++ });
    const before = await streamFeatures(server, romeo);
    expect(await streamFeatures(server, romeo)).toBe(before);
    expect(folds).toBe(1);
    await server.startModule(modExtra);
    expect(await streamFeatures(server, romeo)).not.toBe(before);
  });
});
