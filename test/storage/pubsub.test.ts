// PEP nodes in MongooseIM's tables and ours: what is stored is there again, what MongooseIM has written is understood.
import { beforeAll, describe, expect, test } from "vitest";
import { type BareJid, makeBare, parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { PUBLISHED_ELSEWHERE } from "../../core/storage/migrations/0028_pubsub_publisher.ts";
import { PepStore } from "../../modules/mod_pubsub/store.ts";
import {
  type Item,
  type NodeConfig,
  PLAIN_CONFIG,
  type PubsubNode,
  type Subscription,
} from "../../modules/pubsub/model.ts";
import { manyTimes } from "../support/many-times.ts";
import { whole } from "../support/personal.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const DEFAULTS: NodeConfig = {
  ...PLAIN_CONFIG,
  access_model: "presence",
  max_items: Number.POSITIVE_INFINITY,
  max_payload_size: 1000,
  presence_based_delivery: true,
  notify_delete: true,
  send_last_published_item: "on_sub_and_presence",
};
const ALL = { newest: Number.POSITIVE_INFINITY, since: 0 };

onEachDatabase("pubsub", (database: TestDatabase) => {
  let db: Db;
  let store: PepStore;
  let accounts = 0;
  const account = (): BareJid => makeBare(`romeo${++accounts}`, "pep.example");
  const make = async (service: BareJid, name = "urn:node", config: Partial<NodeConfig> = {}): Promise<PubsubNode> => {
    const node = await store.create({ service, name, config: { ...DEFAULTS, ...config }, affiliations: new Map() });
    if (node === undefined) throw new Error("There is such a node");
    return node;
  };
  const item = (id: string, at: number, publisher = "juliet@pep.example/balcony"): Item => ({
    id,
    at,
    publisher: parseJid(publisher),
    payload: `<a xmlns='urn:a'>${id} żółć 🐎 '; --</a>`,
  });
  const ids = (items: readonly Item[]) => items.map((i) => i.id);
  const to = (jid: string, state: Subscription["state"] = "subscribed"): Subscription => ({
    jid: parseJid(jid),
    state,
    subid: "",
    options: undefined,
  });
  const rows = (sql: string) => db.query<Record<string, unknown>>(sql);

  beforeAll(async () => {
    db = await database.open();
    store = new PepStore(db);
    store.defaults = DEFAULTS;
  });

  test("a node is there as it was made, once", async () => {
    const service = account();
    const config: NodeConfig = {
      ...DEFAULTS,
      access_model: "roster",
      roster_groups_allowed: ["Loves", "x'y"],
      title: "max",
      item_expire: 60,
      max_items: 0,
    };
    const affiliations = new Map([["nurse@pep.example", "member"] as const]);
    expect(await store.create({ service, name: "urn:Node", config, affiliations })).toBeDefined();
    expect(
      await store.create({ service, name: "urn:Node", config: DEFAULTS, affiliations: new Map() }),
    ).toBeUndefined();
    expect(await store.load(service, "urn:Node")).toEqual({
      service,
      name: "urn:Node",
      ref: 0,
      config,
      affiliations,
      subscriptions: new Map(),
    });
    expect(await store.load(service, "urn:node")).toBeUndefined();
    expect(await store.load(account(), "urn:Node")).toBeUndefined();
    expect(await store.countNodes(service)).toBe(1);
  });

  test("max is kept apart from the numbers", async () => {
    const service = account();
    const node = await make(service, "n", { title: "max" });
    expect((await store.load(service, "n"))?.config).toEqual({ ...DEFAULTS, title: "max" });
    const next = { ...DEFAULTS, max_items: 5, item_expire: 7, access_model: "authorize" as const };
    await store.configure(node, next);
    expect((await store.load(service, "n"))?.config).toEqual(next);
  });

  test("the columns are MongooseIM's: what it does not know is presence to it", async () => {
    const service = account();
    for (const [model, column] of [
      ["open", "open"],
      ["presence", "presence"],
      ["whitelist", "presence"],
      ["authorize", "presence"],
      ["roster", "presence"],
    ] as const) {
      await make(service, model, { access_model: model, max_items: 3 });
      const [row] = await db.query<Record<string, unknown>>(
        "SELECT access_model, max_items FROM pubsub_node WHERE service_user = ? AND node_id = ?",
        [service.local, model],
      );
      expect(row).toEqual({ access_model: column, max_items: 3 });
      expect((await store.load(service, model))?.config.access_model).toBe(model);
    }
  });

  test("MongooseIM's nodes are read, and its changes to ours", async () => {
    const service = account();
    const params = [service.domain, service.local];
    const insert = "INSERT INTO pubsub_node (service_domain, service_user, node_id, access_model, max_items)";
    await db.execute(`${insert} VALUES (?, ?, 'theirs', 'open', NULL)`, params);
    await db.execute(
      `INSERT INTO pubsub_item (service_domain, service_user, node_id, item_id, publisher_domain, publisher_user,
       publisher_resource, payload, published_at) VALUES (?, ?, 'theirs', 'i', ?, ?, '', '<a/>', 1700000000000000)`,
      [...params, ...params],
    );
    const node = await store.load(service, "theirs");
    expect(node?.config).toEqual({ ...DEFAULTS, access_model: "open" });
    expect(await store.item(node as PubsubNode, "i")).toEqual({
      id: "i",
      publisher: service,
      payload: "<a/>",
      at: 1_700_000_000_000_000,
    });
    await make(service, "ours", { access_model: "whitelist" });
    await db.execute(
      "UPDATE pubsub_node SET access_model = 'open' WHERE service_domain = ? AND service_user = ? AND node_id = 'ours'",
      params,
    );
    expect((await store.load(service, "ours"))?.config.access_model).toBe("open");
  });

  test("items: one for each id, the newest of so many, in the order of their publication", async () => {
    const node = await make(account());
    for (const [k, id] of ["a", "b", "c"].entries()) await store.publish(node, item(id, k + 1), ALL);
    await store.publish(node, item("a", 4), ALL);
    expect(ids(await store.newest(node, 10))).toEqual(["b", "c", "a"]);
    expect(await store.item(node, "a")).toEqual(item("a", 4));
    expect(await store.item(node, "z")).toBeUndefined();
    expect(ids(await store.itemsById(node, ["a", "z", "b", "a"]))).toEqual(["a", "b"]);
    await store.publish(node, item("d", 5), { newest: 2, since: 0 });
    expect(ids(await store.newest(node, 10))).toEqual(["a", "d"]);
    await store.trim(node, { newest: Number.POSITIVE_INFINITY, since: 5 });
    expect(ids(await store.newest(node, 10))).toEqual(["d"]);
    await store.trim(node, { newest: 0, since: 0 });
    expect(await store.newest(node, 10)).toEqual([]);
  });

  test("items: retracted, purged, with their publisher", async () => {
    const node = await make(account());
    const other = await make(account());
    for (const n of [node, other])
      for (const id of ["a", "b", "c"]) await store.publish(n, item(id, id.charCodeAt(0)), ALL);
    await store.publish(node, item("d", 200, "nurse@pep.example"), ALL);
    expect(await store.retract(node, "a")).toBe(true);
    expect(await store.retract(node, "a")).toBe(false);
    expect(await store.purgePublisher(node, makeBare("juliet", "pep.example"))).toEqual(
      expect.arrayContaining(["b", "c"]),
    );
    expect(ids(await store.newest(node, 9))).toEqual(["d"]);
    await store.purge(node);
    expect(await store.newest(node, 9)).toEqual([]);
    expect(await store.newest(other, 9)).toHaveLength(3);
  });

  test("items in pages", async () => {
    const node = await make(account());
    for (const id of ["a", "b", "c", "d", "e"]) await store.publish(node, item(id, id.charCodeAt(0)), ALL);
    const page = async (request: Parameters<PepStore["page"]>[1]) => {
      const { items, index, count } = await store.page(node, request);
      return [ids(items).join(""), index, count];
    };
    expect(await page({ max: 2 })).toEqual(["ab", 0, 5]);
    expect(await page({ max: 2, after: "b" })).toEqual(["cd", 2, 5]);
    expect(await page({ max: 2, before: "" })).toEqual(["de", 3, 5]);
    expect(await page({ max: 2, before: "c" })).toEqual(["ab", 0, 5]);
    expect(await page({ max: 2, index: 4 })).toEqual(["e", 4, 5]);
    expect(await page({ max: 0 })).toEqual(["", 0, 5]);
    expect(await page({ max: 2, after: "e" })).toEqual(["", 0, 5]);
    await expect(page({ max: 2, after: "z" })).rejects.toMatchObject({ condition: "item-not-found" });
  });

  test("subscriptions: MongooseIM's table has the active ones, ours those that wait", async () => {
    const service = account();
    const node = await make(service);
    const juliet = makeBare("juliet", "pep.example");
    await store.putSubscription(node, to("juliet@pep.example", "pending"));
    await store.putSubscription(node, to("juliet@pep.example/r"));
    await store.putSubscription(node, to("pubsub.example"));
    const active = `SELECT subscriber_user, subscriber_resource FROM pubsub_subscription WHERE service_user = '${service.local}' ORDER BY subscriber_user`;
    expect(await rows(active)).toEqual([
      { subscriber_user: "", subscriber_resource: "" },
      { subscriber_user: "juliet", subscriber_resource: "r" },
    ]);
    const states = async () =>
      [...((await store.load(service, node.name))?.subscriptions.values() ?? [])]
        .flat()
        .map((s) => `${s.jid.text} ${s.state}`);
    expect((await states()).sort()).toEqual([
      "juliet@pep.example pending",
      "juliet@pep.example/r subscribed",
      "pubsub.example subscribed",
    ]);
    expect((await store.subscriptionsOf(service, juliet)).map((s) => s.subscription.state)).toEqual([
      "subscribed",
      "pending",
    ]);
    await store.putSubscription(node, to("juliet@pep.example"));
    expect(await states()).not.toContain("juliet@pep.example pending");
    await store.dropSubscriptions(node, [to("juliet@pep.example"), to("juliet@pep.example/r")]);
    expect(await states()).toEqual(["pubsub.example subscribed"]);
    expect(await store.subscriptionsOf(service, juliet)).toEqual([]);
  });

  test("affiliations: set, changed, taken back", async () => {
    const service = account();
    const node = await make(service);
    await store.setAffiliations(
      node,
      new Map([
        ["a@pep.example", "member"],
        ["b@pep.example", "outcast"],
      ]),
    );
    await store.setAffiliations(
      node,
      new Map([
        ["a@pep.example", "owner"],
        ["b@pep.example", "none"],
      ]),
    );
    expect((await store.load(service, node.name))?.affiliations).toEqual(new Map([["a@pep.example", "owner"]]));
    expect(await store.affiliationsOf(service, makeBare("a", "pep.example"))).toEqual([
      { node: node.name, affiliation: "owner" },
    ]);
    expect(await store.affiliationsOf(service, makeBare("b", "pep.example"))).toEqual([]);
  });

  test("a node that is deleted leaves nothing", async () => {
    const service = account();
    const node = await make(service, "n", { access_model: "whitelist" });
    await store.publish(node, item("a", 1), ALL);
    await store.putSubscription(node, to("a@pep.example"));
    await store.putSubscription(node, to("b@pep.example", "pending"));
    await store.setAffiliations(node, new Map([["a@pep.example", "member"]]));
    await store.remove(node);
    for (const table of [
      "pubsub_node",
      "pubsub_item",
      "pubsub_subscription",
      "mongooseim_pubsub_config",
      "mongooseim_pubsub_affiliation",
      "mongooseim_pubsub_pending",
    ]) {
      expect(await rows(`SELECT node_id FROM ${table} WHERE service_user = '${service.local}'`)).toEqual([]);
    }
    // Nobody publishes to what is gone.
    await expect(store.publish(node, item("b", 2), ALL)).rejects.toMatchObject({ code: "constraint" });
  });

  test("nodes of an account, by name, from one on", async () => {
    const service = account();
    for (const name of ["c", "a", "b"]) await make(service, name, { title: name });
    expect((await store.nodes(service, "", 2)).map((n) => n.name)).toEqual(["a", "b"]);
    expect((await store.nodes(service, "b", 2)).map((n) => [n.name, n.config.title])).toEqual([["c", "c"]]);
  });

  test("the newest items of many accounts", async () => {
    const people = Array.from({ length: 70 }, account);
    for (const [k, service] of people.entries()) {
      if (k % 2 === 1) continue;
      const node = await make(service, "mood", { access_model: k === 0 ? "whitelist" : "open" });
      await make(service, "empty");
      const other = await make(service, "tune");
      for (const at of [1, 2, 3]) await store.publish(node, item(`mood${at}`, at), ALL);
      await store.publish(other, item("tune1", 5), ALL);
    }
    const users = people.map((p) => p.local);
    const moods = await store.lastItems("pep.example", users, ["mood", "empty", "nothing"]);
    expect(moods).toHaveLength(35);
    expect(new Set(moods.map((m) => `${m.name} ${m.item.id}`))).toEqual(new Set(["mood mood3"]));
    expect(moods.find((m) => m.service.text === people[0].text)?.config.access_model).toBe("whitelist");
    expect((await store.lastItems("pep.example", [users[0]], undefined)).map((l) => l.name)).toEqual(["mood", "tune"]);
    expect(await store.lastItems("other.example", users, ["mood"])).toEqual([]);
  });

  test("the newest item of a node that everybody may read", async () => {
    const service = account();
    const [open, closed] = [await make(service, "open", { access_model: "open" }), await make(service, "closed")];
    for (const node of [open, closed]) {
      for (const at of [2, 1]) await store.publish(node, { ...item(`i${at}`, at), publisher: service }, ALL);
      await store.publish(node, item("i3", 3), ALL);
    }
    expect(await store.newestOpen(service, "open")).toBe(item("i2", 2).payload);
    expect(await store.newestOpen(service, "closed")).toBeUndefined();
    expect(await store.newestOpen(account(), "open")).toBeUndefined();
  });

  test("who is removed leaves nothing, neither as owner nor as guest; personal data are his", async () => {
    const [romeo, juliet] = [account(), account()];
    const [his, hers] = [await make(romeo, "his"), await make(juliet, "hers", { access_model: "open" })];
    await store.publish(his, { ...item("Item1", 1), publisher: romeo }, ALL);
    await store.publish(hers, { ...item("Item2", 1), publisher: juliet }, ALL);
    for (const [node, guest] of [
      [hers, romeo],
      [his, juliet],
    ] as const) {
      await store.putSubscription(node, to(guest.text));
      await store.putSubscription(node, to(`${guest.text}/r`, "pending"));
      await store.setAffiliations(node, new Map([[guest.text, "member"]]));
    }
    const payload = item("Item1", 1).payload;
    expect(await whole(store.personalData(romeo))).toEqual([
      {
        name: "pubsub_items",
        columns: ["node_id", "item_id", "publisher_jid", "payload"],
        rows: [["his", "Item1", romeo.text, payload]],
      },
      { name: "pubsub_nodes", columns: ["node_id", "access_model"], rows: [["his", "presence"]] },
      {
        name: "pubsub_subscriptions",
        columns: ["service_jid", "node_id", "subscriber_jid"],
        rows: [[juliet.text, "hers", romeo.text]],
      },
      {
        name: "pubsub_pending_subscriptions",
        columns: ["service_jid", "node_id", "subscriber_jid"],
        rows: [[juliet.text, "hers", `${romeo.text}/r`]],
      },
      {
        name: "pubsub_affiliations",
        columns: ["service_jid", "node_id", "affiliation"],
        rows: [[juliet.text, "hers", "member"]],
      },
    ]);
    await store.removeUser(romeo);
    expect((await whole(store.personalData(romeo))).map((d) => d.rows)).toEqual([[], [], [], [], []]);
    const left = await store.load(juliet, "hers");
    expect([left?.affiliations.size, left?.subscriptions.size]).toEqual([0, 0]);
    expect(ids(await store.newest(hers, 9))).toEqual(["Item2"]);
    await store.removeDomain("pep.example");
    for (const table of [
      "pubsub_node",
      "pubsub_item",
      "pubsub_subscription",
      "mongooseim_pubsub_config",
      "mongooseim_pubsub_affiliation",
      "mongooseim_pubsub_pending",
    ]) {
      expect(await rows(`SELECT node_id FROM ${table}`)).toEqual([]);
    }
  });

  describe("what somebody has published in others' nodes", () => {
    const [GONE, STAYS] = ["published.example", "stays.example"];
    /** More than one batch deletes. */
    const MANY = 1100;
    const of = (id: string, at: number, publisher: string): Item => item(id, at, publisher);
    const left = async (node: PubsubNode) => ids(await store.newest(node, MANY)).toSorted();
    let made = 0;

    /** Somebody's node with items of several people, and the one who goes. */
    async function shared(domain: string) {
      const n = ++made;
      const [goner, owner] = [makeBare(`goner${n}`, domain), makeBare(`owner${n}`, STAYS)];
      const node = await make(owner, "shared");
      await store.publish(node, of("his", 1, `${goner.text}/r`), ALL);
      await store.publish(node, of("his2", 2, goner.text), ALL);
      await store.publish(node, of("owners", 3, owner.text), ALL);
      await store.publish(node, of("namesake", 4, `${goner.local}@${STAYS}`), ALL);
      await store.publish(node, of("similar", 5, `${goner.local}x@other.example`), ALL);
      return { goner, owner, node };
    }

    test("goes with him, and nothing else; he is told of it before", async () => {
      const { goner, owner, node } = await shared(GONE);
      const own = await make(goner, "own");
      await store.publish(own, of("mine", 1, goner.text), ALL);
      const [items] = await whole(store.personalData(goner));
      expect(items.rows.map(([name, id, publisher]) => [name, id, publisher])).toEqual([
        ["own", "mine", goner.text],
        ["shared", "his", `${goner.text}/r`],
        ["shared", "his2", goner.text],
      ]);
      expect((await whole(store.personalData(owner)))[0].rows).toHaveLength(5);
      await store.removeUser(goner);
      expect(await left(node)).toEqual(["namesake", "owners", "similar"]);
      expect((await whole(store.personalData(goner)))[0].rows).toEqual([]);
      expect(await store.item(node, "his")).toBeUndefined();
    });

    test("goes with his domain, in batches that go on where they were stopped", async () => {
      const { goner, node } = await shared(GONE);
      await manyTimes(MANY, (k) => store.publish(node, of(`many${k}`, 10 + k, goner.text), ALL));
      const batches: number[] = [];
      const stopped = store.removeDomain(GONE, (n) => {
        batches.push(n);
        throw new Error("stopped");
      });
      await expect(stopped).rejects.toThrow("stopped");
      expect(batches).toEqual([1000]);
      const [{ n }] = await rows(`SELECT count(*) AS n FROM pubsub_item WHERE publisher_domain = '${GONE}'`);
      expect(Number(n)).toBe(MANY + 2 - 1000);
      await store.removeDomain(GONE, (count) => void batches.push(count));
      expect(batches).toEqual([1000, MANY + 2 - 1000]);
      expect(await left(node)).toEqual(["namesake", "owners", "similar"]);
    });

    test("is found by its index", async () => {
      expect(await planOf(db, { domain: GONE, user: "goner1" })).toContain("i_mongooseim_pubsub_item_publisher");
    });
  });
});

/** How the database goes about finding what somebody has published in others' nodes. */
async function planOf(db: Db, { domain, user }: { domain: string; user: string }): Promise<string> {
  const select = `SELECT item_id FROM pubsub_item WHERE publisher_domain = '${domain}' AND publisher_user = '${user}'
    AND ${PUBLISHED_ELSEWHERE}`;
  const explain = { sqlite: "EXPLAIN QUERY PLAN", pgsql: "EXPLAIN", mysql: "EXPLAIN" }[db.dialect];
  return JSON.stringify(await db.query(`${explain} ${select}`));
}
