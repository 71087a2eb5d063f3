// Parts of the publish-subscribe engine: configurations, pages, nodes in memory.
import { describe, expect, test } from "vitest";
import { makeBare, parseJid } from "../../../core/jid.ts";
import { StorageError, type StorageErrorCode } from "../../../core/storage/db.ts";
import { pageMarkup } from "../../../core/xml/rsm.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import { type Configurable, configForm, configured, meets, resultForm } from "../../../modules/pubsub/fields.ts";
import type { NodeConfig, PubsubNode, Subscription } from "../../../modules/pubsub/model.ts";
import { NodeTable } from "../../../modules/pubsub/nodes.ts";
import { boundedPage } from "../../../modules/pubsub/rsm.ts";
import type { PubsubStore } from "../../../modules/pubsub/store.ts";

const OFFER: Configurable = {
  fields: ["title", "access_model", "max_items", "notify_config", "contact", "roster_groups_allowed"],
  accessModels: ["open", "presence"],
  maxItems: 100,
  maxPayloadSize: 1000,
};
const CONFIG = {
  title: "",
  access_model: "presence",
  max_items: Number.POSITIVE_INFINITY,
  notify_config: false,
  contact: [],
  roster_groups_allowed: ["a", "b"],
} as unknown as NodeConfig;
const values = (fields: Record<string, string | string[]>) =>
  new Map(Object.entries(fields).map(([k, v]) => [`pubsub#${k}`, typeof v === "string" ? [v] : v] as const));

describe("a configuration", () => {
  test("takes the values of a form", () => {
    const next = configured(
      CONFIG,
      values({ title: "T", max_items: "7", notify_config: "true", contact: ["a@b"] }),
      OFFER,
    );
    expect(next).toEqual({ ...CONFIG, title: "T", max_items: 7, notify_config: true, contact: ["a@b"] });
    expect(CONFIG.title).toBe("");
    expect(configured({ ...CONFIG, max_items: 7 }, values({ max_items: "max" }), OFFER)).toEqual(CONFIG);
  });

  test.each([
    [{ nonsense: "1" }, "bad-request"],
    [{ notify_delete: "1" }, "bad-request"],
    [{ notify_config: "2" }, "bad-request"],
    [{ notify_config: ["1", "0"] }, "bad-request"],
    [{ max_items: "1e3" }, "bad-request"],
    [{ contact: ["@"] }, "bad-request"],
    [{ roster_groups_allowed: Array(101).fill("g") as string[] }, "bad-request"],
    [{ access_model: "whitelist" }, "not-acceptable"],
  ])("refuses %j", (fields, condition) => {
    expect(() => configured(CONFIG, values(fields), OFFER)).toThrow(expect.objectContaining({ condition }));
  });

  test.each([
    [{}, true],
    [{ access_model: "presence", max_items: "max" }, true],
    [{ max_items: "100" }, true],
    [{ max_items: "99" }, false],
    [{ access_model: "open" }, false],
    [{ nonsense: "1" }, false],
    [{ notify_config: "false" }, true],
    [{ roster_groups_allowed: ["b", "a"] }, true],
    [{ roster_groups_allowed: ["a"] }, false],
    [{ roster_groups_allowed: "a" }, false],
  ])("meets %j: %s", (fields, yes) => {
    expect(meets(CONFIG, values(fields), OFFER)).toBe(yes);
  });

  test("is shown in forms: to fill in, as a whole, and what others may know", () => {
    const form = configForm({ ...CONFIG, title: "<T>" }, OFFER).text;
    expect(form).toContain("var='pubsub#title'><value>&lt;T&gt;</value>");
    expect(form).toContain("<value>presence</value><option><value>open</value></option>");
    expect(form).not.toContain("whitelist");
    expect(resultForm(CONFIG, OFFER, "node_config").text).toContain("pubsub#notify_config");
    expect(resultForm(CONFIG, OFFER, "meta-data").text).not.toContain("pubsub#notify_config");
  });
});

describe("a page", () => {
  const ask = (inside: string) =>
    boundedPage(parseElement(`<set xmlns='http://jabber.org/protocol/rsm'>${inside}</set>`));
  test.each([
    ["", { max: 100 }],
    ["<max>5</max>", { max: 5 }],
    ["<max>500</max><after>x</after>", { max: 100, after: "x" }],
    ["<after/>", { max: 100 }],
    ["<before/>", { max: 100, before: "" }],
    ["<max>0</max><index>7</index>", { max: 0, index: 7 }],
  ])("%s", (inside, wanted) => expect(ask(inside)).toEqual(wanted));

  test.each(["<max>-1</max>", "<max/>", "<index>x</index>", "<after>a</after><before/>"])("%s is none", (inside) => {
    expect(() => ask(inside)).toThrow(expect.objectContaining({ condition: "bad-request" }));
  });

  test("says where it is", () => {
    expect(pageMarkup({ items: ["a", "b"], index: 3, count: 9 }, String).text).toContain(
      "<first index='3'>a</first><last>b</last><count>9</count>",
    );
    expect(pageMarkup({ items: [], index: 0, count: 9 }, String).text).not.toContain("first");
  });
});

describe("nodes in memory", () => {
  const service = makeBare("romeo", "x.example");
  const subscription = (jid: string, subid = ""): Subscription => ({
    jid: parseJid(jid),
    state: "subscribed",
    subid,
    options: undefined,
  });

  function table(subscribers = 0) {
    const loads: string[] = [];
    const stored: string[] = [];
    const trouble: { code: StorageErrorCode | undefined } = { code: undefined };
    const node = (name: string): PubsubNode => ({
      service,
      name,
      ref: 0,
      config: CONFIG,
      affiliations: new Map(),
      subscriptions: new Map(Array.from({ length: subscribers }, (_, k) => [`u${k}@x`, [subscription(`u${k}@x`)]])),
    });
    const store = {
      async load(_service: unknown, name: string) {
        loads.push(name);
        await Promise.resolve();
        return name.startsWith("no") ? undefined : node(name);
      },
      create: async (made: PubsubNode) => ({ ...made, ref: 0, subscriptions: new Map() }),
      remove: async () => undefined,
      configure: async () => {
        if (trouble.code !== undefined) throw new StorageError(trouble.code, "the test says so");
      },
      putSubscription: async () => void stored.push("put"),
      dropSubscriptions: async () => void stored.push("drop"),
      setAffiliations: async () => void stored.push("affiliate"),
    };
    return { nodes: new NodeTable(store as unknown as PubsubStore), loads, stored, trouble };
  }

  test("a node is read once, whoever asks at the same time; one that is not there is asked for again", async () => {
    const { nodes, loads } = table();
    const [a, b] = await Promise.all([nodes.get(service, "a"), nodes.get(service, "a")]);
    expect(a).toBe(b);
    expect(nodes.get(service, "a")).toBe(a);
    expect(await nodes.get(service, "nothing")).toBeUndefined();
    expect(await nodes.get(service, "nothing")).toBeUndefined();
    expect(loads).toEqual(["a", "nothing", "nothing"]);
    nodes.clear();
    expect(await nodes.get(service, "a")).not.toBe(a);
  });

  test("turns of one node follow each other, those of another do not wait; one that fails holds up nobody", async () => {
    const { nodes } = table();
    const order: string[] = [];
    let go = (): void => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const first = nodes.turn(service, "a", async () => {
      order.push("first");
      await held;
      throw new Error("no");
    });
    const second = nodes.turn(service, "a", async () => void order.push("second"));
    await nodes.turn(service, "b", async () => void order.push("other"));
    expect(order).toEqual(["first", "other"]);
    go();
    await expect(first).rejects.toThrow("no");
    await second;
    expect(order).toEqual(["first", "other", "second"]);
  });

  test("subscriptions and affiliations change in memory when they have in the store", async () => {
    const { nodes, stored } = table();
    await nodes.turn(service, "a", async (node) => {
      if (node === undefined) throw new Error("no node");
      await nodes.putSubscription(node, subscription("a@x", "1"));
      await nodes.putSubscription(node, subscription("a@x", "2"));
      await nodes.putSubscription(node, { ...subscription("a@x", "2"), state: "pending" });
      expect(node.subscriptions.get("a@x")?.map((s) => [s.subid, s.state])).toEqual([
        ["1", "subscribed"],
        ["2", "pending"],
      ]);
      await nodes.dropSubscriptions(node, [subscription("a@x", "1")]);
      expect(node.subscriptions.get("a@x")).toHaveLength(1);
      await nodes.dropSubscriptions(node, [subscription("a@x", "2")]);
      await nodes.dropSubscriptions(node, []);
      expect(node.subscriptions.size).toBe(0);
      await nodes.setAffiliations(node, new Map([["a@x", "member"]]));
      await nodes.setAffiliations(node, new Map([["a@x", "none"]]));
      expect(node.affiliations.size).toBe(0);
    });
    expect(stored).toEqual(["put", "put", "put", "drop", "drop", "affiliate", "affiliate"]);
  });

  test("those that nobody used for long make room", async () => {
    const { nodes } = table(1000);
    for (let k = 0; k < 400; k++) await nodes.get(service, `n${k}`);
    expect(nodes.size).toBeLessThan(200);
    expect(nodes.get(service, "n399")).not.toBeInstanceOf(Promise);
    expect(nodes.get(service, "n0")).toBeInstanceOf(Promise);
  });

  test("a node that is deleted is not there any more", async () => {
    const { nodes, loads } = table();
    await nodes.turn(service, "a", (node) => nodes.remove(node as PubsubNode));
    await nodes.get(service, "a");
    expect(loads).toEqual(["a", "a"]);
  });

  test("a change that failed may have been done: the node is read again", async () => {
    const { nodes, loads, trouble } = table();
    const change = () =>
      nodes.turn(service, "a", (node) => nodes.configure(node as PubsubNode, { ...CONFIG, title: "new" }));
    await change();
    expect(loads).toEqual(["a"]);
    trouble.code = "unavailable";
    await expect(change()).rejects.toMatchObject({ code: "unavailable" });
    expect((await nodes.get(service, "a"))?.config.title).toBe("");
    expect(loads).toEqual(["a", "a"]);
    trouble.code = "constraint";
    await expect(change()).rejects.toThrow("item-not-found");
  });

  test("what was being read when everything was forgotten is not remembered", async () => {
    const { nodes, loads } = table();
    const before = nodes.get(service, "a");
    nodes.clear();
    await before;
    expect(nodes.size).toBe(0);
    await nodes.get(service, "a");
    expect(loads).toEqual(["a", "a"]);
  });
});
