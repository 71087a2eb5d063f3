import { describe, expect, test } from "vitest";
import { parseJid } from "../../../core/jid.ts";
import modCaps from "../../../modules/mod_caps/index.ts";
import modPubsubOld from "../../../modules/mod_pubsub_old/index.ts";
import { MemoryLastItems } from "../../../modules/mod_pubsub_old/last.ts";
import { nodeDefaults, pathParent } from "../../../modules/mod_pubsub_old/plugins.ts";
import { configOf, itemText, optionsText, payloadOf } from "../../../modules/mod_pubsub_old/rows.ts";
import { FakeServer } from "../../support/fake-server.ts";

describe("the configuration", () => {
  test.each([
    ["access_model", "nobody"],
    ["publish_model", "all"],
    ["send_last_published_item", "always"],
    ["notification_type", "chat"],
    ["node_type", "twig"],
  ])("default_node_config.%s = %j means nothing", async (option, value) => {
    const server = new FakeServer();
    const start = server.startModule(modPubsubOld, { default_node_config: { [option]: value } });
    await expect(start).rejects.toThrow(`default_node_config.${option}`);
  });

  test("the plugin pep needs mod_caps", async () => {
    await expect(new FakeServer().startModule(modPubsubOld, { plugins: ["pep"] })).rejects.toThrow("mod_caps");
    const server = new FakeServer();
    await server.startModule(modCaps);
    await server.startModule(modPubsubOld, { plugins: ["pep"] });
  });

  test("a kind of node that MongooseIM would load from elsewhere is told", async () => {
    const server = new FakeServer();
    await server.startModule(modCaps);
    await server.startModule(modPubsubOld, { plugins: ["pep"], pep_mapping: [{ namespace: "urn:x", node: "mb" }] });
    expect(server.logged.join()).toContain("pep_mapping_unknown");
  });
});

test.each([
  ["/home/localhost/romeo", undefined],
  ["/home/localhost/romeo/a", "/home/localhost/romeo"],
  ["/home/localhost/romeo/a/b", "/home/localhost/romeo/a"],
  ["a/b/c/d/e", undefined],
  ["node", undefined],
])("above %s is %s", (name, parent) => expect(pathParent(name)).toBe(parent));

describe("rows", () => {
  const item = { id: "a'&", publisher: parseJid("romeo@localhost/x"), payload: "<x xmlns='u'>1 &gt; 0</x>", at: 1 };

  test.each([item.payload, "", "<x xmlns='u'/>"])("an item's payload %s comes back", (payload) => {
    expect(payloadOf(itemText({ ...item, payload }, undefined))).toBe(payload);
    expect(payloadOf(itemText({ ...item, payload }, item.publisher))).toBe(payload);
  });

  test.each([
    ["<item id='a' xmlns='http://jabber.org/protocol/pubsub'><x xmlns='u'/></item>", /<x xmlns=["']u["']\/>/],
    ["<item id='a'/>", /^$/],
    ["<x xmlns='bare'/>", /^<x xmlns='bare'\/>$/],
  ])("MongooseIM's %s is read", (text, payload) => expect(payloadOf(text)).toMatch(payload));

  test("options of the wrong type are those of the kind", () => {
    const text =
      '{"max_items":"many","title":5,"subscribe":"yes","roster_groups_allowed":["a",1],"access_model":"whitelist"}';
    expect(configOf(text, nodeDefaults("flat"))).toEqual({
      ...nodeDefaults("flat"),
      roster_groups_allowed: ["a"],
      access_model: "whitelist",
    });
    expect(configOf("[]", nodeDefaults("pep"))).toEqual(nodeDefaults("pep"));
    expect(configOf(optionsText(nodeDefaults("push")), nodeDefaults("flat"))).toEqual(nodeDefaults("push"));
  });
});

test("last items in memory are bounded, the oldest go", async () => {
  const items = new MemoryLastItems();
  const publisher = parseJid("a@b/c");
  for (let ref = 1; ref <= 20; ref++) {
    await items.set({ ref }, { id: `${ref}`, publisher, payload: "x".repeat(1_000_000), at: ref });
  }
  expect(await items.get({ ref: 1 })).toBeUndefined();
  expect((await items.get({ ref: 20 }))?.id).toBe("20");
  await items.drop({ ref: 20 }, "other");
  expect(await items.get({ ref: 20 })).toBeDefined();
  await items.drop({ ref: 20 }, "20");
  expect(await items.get({ ref: 20 })).toBeUndefined();
});
