// Nodes, affiliations, subscriptions and items in MongooseIM's tables of mod_pubsub_old: ours, and those that it left.
import { beforeAll, expect, test } from "vitest";
import { makeBare, parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { nodeDefaults } from "../../modules/mod_pubsub_old/plugins.ts";
import { PubsubOldStore } from "../../modules/mod_pubsub_old/store.ts";
import type { Affiliation, Item, NodeConfig, PubsubNode } from "../../modules/pubsub/model.ts";
import { whole } from "../support/personal.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const ALL = { newest: Number.POSITIVE_INFINITY, since: 0 };

onEachDatabase("pubsub_old", (database: TestDatabase) => {
  let db: Db;
  let store: PubsubOldStore;
  let names = 0;
  let clock = 1_700_000_000_000_000;
  const service = makeBare("", "pubsub.example.org");
  const romeo = makeBare("romeo", "example.org");
  const juliet = makeBare("juliet", "example.org");

  beforeAll(async () => {
    db = await database.open();
    store = new PubsubOldStore(db);
  });
  const newNode = async (
    config: Partial<NodeConfig> = {},
    affiliations: readonly [string, Affiliation][] = [[romeo.text, "owner"]],
    at = service,
    name = `node${++names}`,
    kind = "flat",
  ): Promise<PubsubNode> => {
    const full = { ...nodeDefaults(kind), ...config };
    return (await store.create({ service: at, name, kind, config: full, affiliations: new Map(affiliations) }))!;
  };
  const newItem = (id: string, payload = "<x xmlns='urn:x'/>", from = "romeo@example.org/orchard"): Item => ({
    id,
    payload,
    publisher: parseJid(from),
    at: ++clock,
  });
  const ids = (items: readonly Item[]) => items.map(({ id }) => id);

  test("a node comes back as it was made, once", async () => {
    const config = {
      title: "Żółć 馬 '\\ ? $1",
      access_model: "roster",
      roster_groups_allowed: ["Friends", "a,b"],
      max_items: Number.POSITIVE_INFINITY,
      collection: ["above"],
    } as const;
    const node = await newNode(config, [
      [romeo.text, "owner"],
      [juliet.text, "publish-only"],
      ["nurse@elsewhere.example", "outcast"],
    ]);
    expect(await store.load(service, node.name)).toEqual(node);
    expect(node.config).toEqual({ ...nodeDefaults("flat"), ...config });
    expect(node.affiliations.get(juliet.text)).toBe("publish-only");
    expect(await store.create(node)).toBeUndefined();
    expect(await store.load(service, "nothing")).toBeUndefined();
    expect(await store.load(makeBare("", "other.example.org"), node.name)).toBeUndefined();
  });

  test("MongooseIM's rows are read, and ours are written so that it reads them", async () => {
    await db.execute("INSERT INTO pubsub_nodes (p_key, name, type, owners, options) VALUES (?, ?, ?, ?, ?)", [
      service.text,
      "legacy",
      "flat",
      '["romeo@example.org"]',
      '{"title":"old","max_items":3,"access_model":"whitelist","unknown":1,"roster_groups_allowed":["f"],"notify_config":"x"}',
    ]);
    const [{ nidx }] = await db.query<{ nidx: number }>("SELECT nidx FROM pubsub_nodes WHERE name = 'legacy'");
    await db.execute(
      "INSERT INTO pubsub_affiliations (nidx, luser, lserver, aff) VALUES (?, 'romeo', 'example.org', 1)",
      [nidx],
    );
    await db.execute(
      "INSERT INTO pubsub_subscriptions (nidx, luser, lserver, lresource, type, sub_id, options) VALUES (?, 'juliet', 'example.org', 'b', 3, 'S1', ?)",
      [nidx, '{"deliver":false,"subscription_depth":1,"subscription_type":"items","show_values":["dnd"]}'],
    );
    await db.execute(
      `INSERT INTO pubsub_items (nidx, itemid, created_luser, created_lserver, created_at, modified_luser,
        modified_lserver, modified_lresource, modified_at, publisher, payload)
       VALUES (?, 'i1', 'romeo', 'example.org', 1, 'romeo', 'example.org', 'r', 2, NULL, ?)`,
      [nidx, "<item id='i1'><x xmlns='urn:x'>text &amp; more</x></item>"],
    );
    const node = (await store.load(service, "legacy"))!;
    expect(node.config).toMatchObject({
      title: "old",
      max_items: 3,
      access_model: "whitelist",
      roster_groups_allowed: ["f"],
      notify_config: false,
    });
    expect([...node.affiliations]).toEqual([["romeo@example.org", "owner"]]);
    expect(node.subscriptions.get("juliet@example.org/b")).toEqual([
      {
        jid: parseJid("juliet@example.org/b"),
        state: "subscribed",
        subid: "S1",
        options: {
          deliver: false,
          expire: undefined,
          include_body: false,
          show_values: ["dnd"],
          subscription_type: "items",
          subscription_depth: "1",
        },
      },
    ]);
    expect(await store.item(node, "i1")).toEqual({
      id: "i1",
      publisher: parseJid("romeo@example.org/r"),
      payload: "<x xmlns='urn:x'>text &amp; more</x>",
      at: 2,
    });
    // The other way round.
    const ours = await newNode({ title: "new" }, [
      [romeo.text, "owner"],
      [juliet.text, "member"],
    ]);
    await store.publish(ours, newItem("i2"), ALL);
    const [row] = await db.query<{ owners: string; options: string; type: string }>(
      "SELECT owners, options, type FROM pubsub_nodes WHERE nidx = ?",
      [ours.ref],
    );
    expect([JSON.parse(row.owners), row.type]).toEqual([["romeo@example.org"], "flat"]);
    expect(JSON.parse(row.options)).toMatchObject({ title: "new", max_items: 10, access_model: "open" });
    const affiliations = await db.query(
      "SELECT luser, lserver, aff FROM pubsub_affiliations WHERE nidx = ? ORDER BY aff",
      [ours.ref],
    );
    expect(affiliations).toEqual([
      { luser: "romeo", lserver: "example.org", aff: 1 },
      { luser: "juliet", lserver: "example.org", aff: 4 },
    ]);
    const [item] = await db.query<{ payload: string; publisher: string | null }>(
      "SELECT payload, publisher FROM pubsub_items WHERE nidx = ?",
      [ours.ref],
    );
    expect(item).toEqual({ payload: "<item id='i2'><x xmlns='urn:x'/></item>", publisher: null });
  });

  test("a personal node has its owner in the tables, as MongooseIM wants it", async () => {
    const node = await newNode({}, [], romeo, "urn:mine", "pep");
    expect(node.affiliations.get(romeo.text)).toBe("owner");
    const [row] = await db.query<{ owners: string }>("SELECT owners FROM pubsub_nodes WHERE nidx = ?", [node.ref]);
    expect(JSON.parse(row.owners)).toEqual([romeo.text]);
  });

  test("a new configuration is kept", async () => {
    const node = await newNode();
    await store.configure(node, { ...node.config, title: "other", item_expire: 60 });
    expect((await store.load(service, node.name))!.config).toEqual({ ...node.config, title: "other", item_expire: 60 });
  });

  test("affiliations change and go, and owners with them", async () => {
    const node = await newNode();
    await store.setAffiliations(
      node,
      new Map<string, Affiliation>([
        [juliet.text, "owner"],
        [romeo.text, "none"],
        ["a@b", "member"],
      ]),
    );
    const after = (await store.load(service, node.name))!;
    expect(Object.fromEntries(after.affiliations)).toEqual({ [juliet.text]: "owner", "a@b": "member" });
    const [row] = await db.query<{ owners: string }>("SELECT owners FROM pubsub_nodes WHERE nidx = ?", [node.ref]);
    expect(JSON.parse(row.owners)).toEqual([juliet.text]);
    expect(await store.affiliationsOf(service, makeBare("a", "b"))).toEqual([
      { node: node.name, affiliation: "member" },
    ]);
    expect(await store.affiliationsOf(makeBare("", "elsewhere"), makeBare("a", "b"))).toEqual([]);
    expect(await store.countOwned(service, juliet)).toBe(1);
  });

  test("subscriptions are written anew under the same JID and id", async () => {
    const node = await newNode();
    const jid = parseJid("nurse@example.org/x");
    const options = {
      deliver: true,
      expire: 1_800_000_000_000,
      include_body: true,
      show_values: ["away"],
      subscription_type: undefined,
      subscription_depth: "1",
    } as const;
    await store.putSubscription(node, { jid, state: "pending", subid: "1", options: undefined });
    expect(await store.pendingOf(service, romeo)).toContain(node.name);
    expect(await store.pendingOf(service, juliet)).not.toContain(node.name);
    await store.putSubscription(node, { jid, state: "subscribed", subid: "1", options });
    await store.putSubscription(node, { jid: jid.bare, state: "subscribed", subid: "2", options: undefined });
    const found = (await store.load(service, node.name))!.subscriptions;
    expect(found.get(jid.text)).toEqual([{ jid, state: "subscribed", subid: "1", options }]);
    expect(found.size).toBe(2);
    const own = await store.subscriptionsOf(service, jid.bare);
    expect(own.map(({ node: name, subscription }) => [name, subscription.jid.text]).sort()).toEqual([
      [node.name, "nurse@example.org"],
      [node.name, "nurse@example.org/x"],
    ]);
    await store.dropSubscriptions(node, found.get(jid.text)!);
    expect((await store.load(service, node.name))!.subscriptions.size).toBe(1);
  });

  test("items: the newest stay, what goes is told, the oldest first", async () => {
    const node = await newNode();
    const keep = { newest: 3, since: 0 };
    for (const id of ["a", "b", "c"]) expect(await store.publish(node, newItem(id), keep)).toEqual([]);
    expect(await store.publish(node, newItem("a", "<y xmlns='urn:y'/>"), keep)).toEqual([]);
    expect(ids(await store.newest(node, 10))).toEqual(["b", "c", "a"]);
    expect(await store.publish(node, newItem("d"), keep)).toEqual(["b"]);
    expect(await store.publish(node, newItem("e"), { newest: 1, since: 0 })).toEqual(["c", "a", "d"]);
    expect(ids(await store.newest(node, 10))).toEqual(["e"]);
    await store.publish(node, newItem("f"), { newest: 10, since: clock + 1 });
    expect(ids(await store.newest(node, 10))).toEqual(["f"]);
    expect(await store.trim(node, { newest: 0, since: 0 })).toEqual(["f"]);
  });

  test("a node that is gone takes no items", async () => {
    const node = await newNode();
    await store.remove(node);
    await expect(store.publish(node, newItem("a"), ALL)).rejects.toMatchObject({ code: "constraint" });
    expect(await db.query("SELECT itemid FROM pubsub_items WHERE nidx = ?", [node.ref])).toEqual([]);
  });

  test("the creator of an item stays its creator", async () => {
    const node = await newNode();
    await store.publish(node, newItem("a"), ALL);
    await store.publish(node, newItem("a", "<z xmlns='urn:z'/>", "juliet@example.org/b"), ALL);
    const [row] = await db.query(
      "SELECT created_luser, modified_luser, modified_lresource FROM pubsub_items WHERE nidx = ?",
      [node.ref],
    );
    expect(row).toEqual({ created_luser: "romeo", modified_luser: "juliet", modified_lresource: "b" });
    expect((await store.item(node, "a"))!.publisher.text).toBe("juliet@example.org/b");
  });

  test("of an account that goes, what it has published and what it has changed last goes too", async () => {
    const node = await newNode();
    const [goner, namesake] = ["goner@example.org/b", "goner@example.net/b"];
    await store.publish(node, newItem("others"), ALL);
    await store.publish(node, newItem("changed"), ALL);
    await store.publish(node, newItem("changed", "<z xmlns='urn:z'/>", goner), ALL);
    await store.publish(node, newItem("own", "", goner), ALL);
    await store.publish(node, newItem("begun", "", goner), ALL);
    await store.publish(node, newItem("begun"), ALL);
    await store.publish(node, newItem("namesakes"), ALL);
    await store.publish(node, newItem("namesakes", "", namesake), ALL);
    await store.removeUser(makeBare("goner", "example.org"));
    expect(ids(await store.newest(node, 10))).toEqual(["others", "namesakes"]);
  });

  test("item_publisher puts the publisher's JID into the row", async () => {
    const naming = new PubsubOldStore(db);
    naming.settings = { ...naming.settings, itemPublisher: true };
    const node = await newNode();
    await naming.publish(node, newItem("a"), ALL);
    const [row] = await db.query("SELECT publisher, payload FROM pubsub_items WHERE nidx = ?", [node.ref]);
    expect(row).toEqual({
      publisher: "romeo@example.org/orchard",
      payload: "<item id='a' publisher='romeo@example.org/orchard'><x xmlns='urn:x'/></item>",
    });
    expect((await naming.item(node, "a"))!.payload).toBe("<x xmlns='urn:x'/>");
  });

  test("pages and single items", async () => {
    const node = await newNode();
    for (const id of ["a", "b", "c", "d", "e"]) await store.publish(node, newItem(id), ALL);
    const page = async (request: Parameters<PubsubOldStore["page"]>[1]) => {
      const { items, index, count } = await store.page(node, request);
      return [ids(items).join(""), index, count];
    };
    expect(await page({ max: 2 })).toEqual(["ab", 0, 5]);
    expect(await page({ max: 2, after: "b" })).toEqual(["cd", 2, 5]);
    expect(await page({ max: 2, before: "b" })).toEqual(["a", 0, 5]);
    expect(await page({ max: 2, before: "" })).toEqual(["de", 3, 5]);
    expect(await page({ max: 2, index: 4 })).toEqual(["e", 4, 5]);
    expect(await page({ max: 0 })).toEqual(["", 0, 5]);
    await expect(page({ max: 2, after: "gone" })).rejects.toMatchObject({ condition: "item-not-found" });
    expect(ids(await store.itemsById(node, ["d", "nothing", "a"]))).toEqual(["d", "a"]);
    expect(await store.retract(node, "a")).toBe(true);
    expect(await store.retract(node, "a")).toBe(false);
    expect(await store.purgePublisher(node, juliet)).toEqual([]);
    await store.publish(node, newItem("j", "", "juliet@example.org/b"), ALL);
    expect(await store.purgePublisher(node, juliet)).toEqual(["j"]);
    await store.purge(node);
    expect(await store.newest(node, 1)).toEqual([]);
  });

  test("the last item, kept apart", async () => {
    const node = await newNode();
    const item = newItem("a", "<x xmlns='urn:x'>it</x>");
    await store.setLast(node, item);
    await store.setLast(node, { ...item, id: "b" });
    expect(await store.getLast(node)).toEqual({ ...item, id: "b", publisher: romeo });
    await store.dropLast(node, "a");
    expect(await store.getLast(node)).toBeDefined();
    await store.dropLast(node, "b");
    expect(await store.getLast(node)).toBeUndefined();
  });

  test("collections: what is at the top, and what is below; a name of another service is no parent", async () => {
    const here = makeBare("", "tree.example.org");
    const there = makeBare("", "tree.example.net");
    const top = await newNode({ node_type: "collection" }, [[romeo.text, "owner"]], here, "top");
    const leaf = await newNode({ collection: ["top"] }, [[romeo.text, "owner"]], here, "leaf");
    const other = await newNode({}, [[romeo.text, "owner"]], there, "leaf");
    expect((await store.roots(here, "", 10)).map((n) => n.name)).toEqual(["top"]);
    expect((await store.roots(there, "", 10)).map((n) => n.name)).toEqual(["leaf"]);
    expect((await store.children(here, "top", "", 10)).map((n) => n.name)).toEqual(["leaf"]);
    expect(await store.children(here, "top", "leaf", 10)).toEqual([]);
    await store.configure(leaf, { ...leaf.config, collection: [] });
    await store.remove(other);
    await store.configure(leaf, { ...leaf.config, collection: [] });
    expect((await store.roots(here, "", 10)).map((n) => n.name)).toEqual(["leaf", "top"]);
    await store.remove(top);
    expect((await store.nodes(here, "", 10)).map((n) => n.name)).toEqual(["leaf"]);
    expect(await store.countNodes(here)).toBe(1);
  });

  test("nodes are found by an option", async () => {
    const node = await newNode({ send_last_published_item: "on_sub_and_presence" });
    const other = await newNode({ title: '"send_last_published_item":"on_sub_and_presence"' });
    const found = await store.withOption("send_last_published_item", "on_sub_and_presence");
    expect(found).toContainEqual({ service: service.text, node: node.name });
    expect(found.some((n) => n.node === other.name)).toBe(false);
  });

  test("a removed user's own nodes go; what others have to do with stays for them, without his name", async () => {
    const tybalt = makeBare("tybalt", "example.org");
    const own = await newNode({}, [[tybalt.text, "owner"]]);
    const shared = await newNode({}, [
      [tybalt.text, "owner"],
      [juliet.text, "owner"],
    ]);
    const read = await newNode({}, [[tybalt.text, "owner"]]);
    const personal = await newNode({}, [], tybalt, "urn:p", "pep");
    await store.putSubscription(read, { jid: juliet, state: "subscribed", subid: "1", options: undefined });
    const others = await newNode();
    await store.putSubscription(others, { jid: tybalt, state: "subscribed", subid: "1", options: undefined });
    for (const node of [own, shared, read, personal, others]) {
      await store.publish(node, newItem("his", "<x xmlns='urn:x'/>", "tybalt@example.org/r"), ALL);
      await store.publish(node, newItem("hers", "<x xmlns='urn:x'/>", "juliet@example.org/r"), ALL);
    }
    expect(await whole(store.personalData(tybalt))).toEqual([
      {
        name: "pubsub_payloads",
        columns: ["node_name", "item_id", "payload"],
        rows: [own, shared, read, personal, others].map((node) => [node.name, "his", "<x xmlns='urn:x'/>"]),
      },
      {
        name: "pubsub_nodes",
        columns: ["node_name", "type"],
        rows: [
          [own.name, "flat"],
          [shared.name, "flat"],
          [read.name, "flat"],
          ["urn:p", "pep"],
        ].sort((a, b) => (a[0] < b[0] ? -1 : 1)),
      },
      { name: "pubsub_subscriptions", columns: ["node_name"], rows: [[others.name]] },
    ]);
    await store.removeUser(tybalt);
    expect(await store.load(service, own.name)).toBeUndefined();
    expect(await store.load(tybalt, "urn:p")).toBeUndefined();
    for (const node of [shared, read, others]) {
      const left = (await store.load(service, node.name))!;
      expect([...left.affiliations.keys(), ...left.subscriptions.keys()]).not.toContain(tybalt.text);
      expect(ids(await store.newest(left, 10))).toEqual(["hers"]);
    }
    expect((await whole(store.personalData(tybalt))).flatMap(({ rows }) => rows)).toEqual([]);
  });

  test("a removed domain takes its service's nodes with it, not those of a domain that ends alike", async () => {
    const gone = await newNode({}, [[juliet.text, "owner"]], makeBare("", "pubsub.gone.example"));
    const elsewhere = makeBare("", "pubsub.not.gone.example");
    const kept = await newNode({}, [["a@gone.example", "owner"]], elsewhere);
    await store.putSubscription(kept, { jid: juliet, state: "subscribed", subid: "s", options: undefined });
    const nobodys = await newNode({}, [["a@gone.example", "owner"]], elsewhere);
    await store.putSubscription(nobodys, {
      jid: makeBare("b", "gone.example"),
      state: "subscribed",
      subid: "s",
      options: undefined,
    });
    const personal = await newNode({}, [], makeBare("a", "gone.example"), "urn:p", "pep");
    await store.removeDomain("gone.example");
    expect(await store.load(gone.service, gone.name)).toBeUndefined();
    expect(await store.load(personal.service, "urn:p")).toBeUndefined();
    expect(await store.load(nobodys.service, nobodys.name)).toBeUndefined();
    const left = await store.load(kept.service, kept.name);
    expect([...left!.affiliations]).toEqual([]);
    expect([...left!.subscriptions.keys()]).toEqual([juliet.text]);
  });
});
