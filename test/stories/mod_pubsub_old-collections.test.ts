// XEP-0248: nodes in collections, and hometree nodes, which are ordered by their paths.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childrenOf, find } from "../support/match.ts";
import {
  create,
  discovery,
  form,
  fresh,
  items,
  owner,
  publish,
  SERVICE,
  subscribe,
  talks,
} from "../support/pubsub-talk.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("pubsub_old_SUITE");
const COLLECTION = { "pubsub#node_type": "collection" };
const within = (...collections: string[]) => ({ "pubsub#collection": collections });

describe("collections", () => {
  const { story } = stage({ modules: { mod_pubsub_old: { nodetree: "dag", plugins: ["dag"] } } });

  story(
    "§7.1, §6.1: a collection is made, subscribed to and deleted",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const node = fresh("collection");
      await r.creates(node, COLLECTION);
      expect((await j.subscribes(node)).attrs["subid"]).toMatch(/./);
      await j.unsubscribes(node);
      await r.refused("set", publish(node, "x"), "cancel", "feature-not-implemented");
      await r.deletes(node);
      expect(await r.discovers()).not.toContain(node);
    },
    covers("create_delete_collection_test", "subscribe_unsubscribe_collection_test"),
  );

  story(
    "§7.3: what was in a collection that is deleted stays, in none",
    { romeo: 1 },
    async ({ romeo }) => {
      const [r] = talks(romeo);
      const [node, leaf] = [fresh("collection"), fresh("leaf")];
      await r.creates(node, COLLECTION);
      await r.creates(leaf, within(node));
      expect(await r.configuration(leaf)).toMatchObject({ "pubsub#collection": node });
      await r.deletes(node);
      expect(await r.configuration(leaf)).toMatchObject({ "pubsub#collection": [] });
      expect(await r.discovers()).toContain(leaf);
      await r.deletes(leaf);
    },
    covers("collection_delete_makes_leaf_parentless"),
  );

  story(
    "§5.3.1.1: who subscribes to a collection hears of the items of all leaves, and by which collection",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const [node, one, two] = [fresh("collection"), fresh("leaf"), fresh("leaf")];
      await r.creates(node, COLLECTION);
      await r.creates(one, within(node));
      await r.creates(two, within(node));
      await j.subscribes(node);
      await r.publishes(one, "item1");
      await j.item(one, "item1", [node]);
      await r.publishes(two, "item2");
      await j.item(two, "item2", [node]);
      for (const name of [one, two, node]) await r.deletes(name);
    },
    covers("notify_collection_test"),
  );

  story(
    "§5.3.1.2: and of new leaves",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const [node, leaf] = [fresh("collection"), fresh("leaf")];
      await r.creates(node, COLLECTION);
      await j.subscribes(node);
      await r.creates(leaf, within(node));
      await j.event("create", leaf);
      await r.publishes(leaf, "item1");
      await j.item(leaf, "item1", [node]);
      for (const name of [leaf, node]) await r.deletes(name);
    },
    covers("notify_collection_leaf_and_item_test"),
  );

  story(
    "a subscription of an account reaches all of its resources, one of a resource that one",
    { romeo: 1, juliet: 2, nurse: 2 },
    async ({ romeo, juliet: [j1, j2], nurse: [n1, n2] }) => {
      const [r, one, other, third, fourth] = talks(romeo, j1, j2, n1, n2);
      const [node, leaf] = [fresh("collection"), fresh("leaf")];
      await r.creates(node, COLLECTION);
      await r.creates(leaf, within(node));
      await one.subscribes(node);
      await third.subscribes(node, undefined, n1.bare);
      await r.publishes(leaf, "item1");
      await one.item(leaf, "item1", [node]);
      await other.hearsNothing();
      await third.item(leaf, "item1", [node]);
      await fourth.item(leaf, "item1", [node]);
      for (const name of [leaf, node]) await r.deletes(name);
    },
    covers("notify_collection_bare_jid_test"),
  );

  story(
    "subscribers of the leaf itself hear of no collection; who has both subscriptions hears it once",
    { romeo: 1, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      const [r, j, n] = talks(romeo, juliet, nurse);
      const [node, leaf] = [fresh("collection"), fresh("leaf")];
      await r.creates(node, COLLECTION);
      await r.creates(leaf, within(node));
      await j.subscribes(node);
      await n.subscribes(leaf);
      await r.publishes(leaf, "item1");
      await j.item(leaf, "item1", [node]);
      await n.item(leaf, "item1");
      await j.subscribes(leaf);
      await r.publishes(leaf, "item2");
      await j.item(leaf, "item2", [node]);
      await j.hearsNothing();
      await n.item(leaf, "item2");
      expect(await j.subscriptions()).toEqual([`${node} subscribed`, `${leaf} subscribed`].sort());
      for (const name of [leaf, node]) await r.deletes(name);
    },
    covers(
      "notify_collection_and_leaf_test",
      "notify_collection_and_leaf_same_user_test",
      "retrieve_subscriptions_collection_test",
    ),
  );

  story(
    "a leaf in two collections, and a collection in a collection",
    { romeo: 1, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      const [r, j, n] = talks(romeo, juliet, nurse);
      const [one, two, both] = [fresh("collection"), fresh("collection"), fresh("leaf")];
      for (const name of [one, two]) await r.creates(name, COLLECTION);
      await r.creates(both, within(one, two));
      await j.subscribes(one);
      await n.subscribes(two);
      await r.publishes(both, "item1");
      await j.item(both, "item1", [one]);
      await n.item(both, "item1", [two]);
      const [top, middle, leaf] = [fresh("collection"), fresh("collection"), fresh("leaf")];
      await r.creates(top, COLLECTION);
      await r.creates(middle, { ...COLLECTION, ...within(top) });
      await r.creates(leaf, within(middle));
      await j.subscribes(middle);
      await n.subscribes(top);
      await r.publishes(leaf, "item1");
      await j.item(leaf, "item1", [middle]);
      await n.item(leaf, "item1", [top]);
      await r.refused("set", configuring(top, within(middle)), "cancel", "conflict");
      await r.refused("set", configuring(top, within(top)), "cancel", "item-not-found");
      for (const name of [both, one, two, leaf, middle, top]) await r.deletes(name);
    },
    covers("notify_collections_with_same_leaf_test", "notify_nested_collections_test"),
  );

  story(
    "§6.2: a subscription may be for items or for nodes, and for one level",
    { romeo: 1, juliet: 1, nurse: 1 },
    async ({ romeo, juliet, nurse }) => {
      const [r, j, n] = talks(romeo, juliet, nurse);
      const [top, middle, leaf] = [fresh("collection"), fresh("collection"), fresh("leaf")];
      await r.creates(top, COLLECTION);
      await j.subscribes(top, { "pubsub#subscription_type": "nodes", "pubsub#subscription_depth": "1" });
      await n.subscribes(top, { "pubsub#subscription_type": "items", "pubsub#subscription_depth": "all" });
      await r.creates(middle, { ...COLLECTION, ...within(top) });
      await j.event("create", middle);
      await r.creates(leaf, within(middle));
      await r.publishes(leaf, "item1");
      await j.hearsNothing();
      await n.item(leaf, "item1", [top]);
      await r.configures(leaf, { "pubsub#collection": [top, middle] });
      const { attrs, children } = find(await j.event("collection", top), "collection")!;
      expect([attrs["node"], children]).toMatchObject([top, [{ name: "associate", attrs: { node: leaf } }]]);
      for (const name of [leaf, middle, top]) await r.deletes(name);
    },
  );

  story(
    "nobody hears by a collection what the leaf does not let him read, nor puts a node into another's collection",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const [node, leaf] = [fresh("collection"), fresh("leaf")];
      await r.creates(node, COLLECTION);
      await j.subscribes(node);
      await r.creates(leaf, { ...within(node), "pubsub#access_model": "whitelist" });
      await r.publishes(leaf, "secret");
      await j.hearsNothing();
      await j.refused("get", items(leaf), "cancel", "not-allowed", "closed-node");
      const intruder = fresh("leaf");
      await j.refused("set", create(intruder, within(node)), "auth", "forbidden");
      await j.refused("set", create(intruder, within("none")), "cancel", "item-not-found");
      await j.creates(intruder);
      await j.refused("set", create(fresh("leaf"), within(intruder)), "cancel", "not-allowed");
      expect(await r.discovers(node)).toEqual([leaf]);
      expect(await j.discovers(node)).toEqual([]);
      await j.deletes(intruder);
      for (const name of [leaf, node]) await r.deletes(name);
    },
  );

  story(
    "§4: nodes in a collection are found there, not at the top",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const [node, one, two, alone] = [fresh("collection"), fresh("leaf"), fresh("leaf"), fresh("alone")];
      await j.refused("get", discovery("items", node), "cancel", "item-not-found");
      await r.creates(node, COLLECTION);
      expect(await j.discovers(node)).toEqual([]);
      await r.creates(one, within(node));
      await r.creates(two, within(node));
      await r.creates(alone);
      const top = await j.discovers();
      expect(top).toEqual(expect.arrayContaining([node, alone]));
      expect(top).not.toContain(one);
      expect((await j.discovers(node)).sort()).toEqual([one, two].sort());
      const info = await j.gets("get", discovery("info", node));
      expect(find(info, "identity")!.attrs).toMatchObject({ category: "pubsub", type: "collection" });
      await r.publishes(one, "item1");
      await r.publishes(two, "item2");
      expect(await j.items(one)).toEqual(["item1"]);
      expect(await j.items(two)).toEqual(["item2"]);
      const names = await j.gets("get", discovery("items", one));
      expect(childrenOf(find(names, "query")!).map((e) => [e.attrs["jid"], e.attrs["name"]])).toEqual([
        [SERVICE, "item1"],
      ]);
      for (const name of [one, two, alone, node]) await r.deletes(name);
    },
    covers("discover_top_level_nodes_test", "discover_child_nodes_test", "request_all_items_leaf_test"),
  );

  story(
    "the configuration of the leaf counts: no events, no payloads, no items",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const node = fresh("collection");
      await r.creates(node, COLLECTION);
      const [silent, light, transient] = [fresh("leaf"), fresh("leaf"), fresh("leaf")];
      await r.creates(silent, { ...within(node), "pubsub#deliver_notifications": "false" });
      await r.creates(light, { ...within(node), "pubsub#deliver_payloads": "false" });
      await r.creates(transient, { ...within(node), "pubsub#persist_items": "false" });
      await j.subscribes(node);
      await r.publishes(silent, "item1");
      await j.hearsNothing();
      await r.publishes(light, "item1");
      expect(childrenOf(await j.item(light, "item1", [node]))).toEqual([]);
      await r.publishes(transient, "item1");
      await j.item(transient, "item1", [node]);
      expect(await j.items(transient)).toEqual([]);
      for (const name of [silent, light, transient, node]) await r.deletes(name);
    },
    covers("disable_notifications_leaf_test", "disable_payload_leaf_test", "disable_persist_items_leaf_test"),
  );
});

describe("hometree", () => {
  const { story } = stage({ modules: { mod_pubsub_old: { nodetree: "tree", plugins: ["hometree"] } } });
  const home = (c: Client) => `/home/${c.domain}/${c.local}`;

  story(
    "nodes are made at home, below what is there, by who lives there",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const node = `${home(romeo)}/${fresh()}`;
      await r.refused("set", create(node), "auth", "forbidden");
      await r.creates(home(romeo));
      await r.creates(node);
      await j.refused("set", create(`${home(romeo)}/${fresh()}`), "auth", "forbidden");
      await j.refused("set", create(`/${fresh()}`), "auth", "forbidden");
      await j.refused("set", subscribe(`${node}/none`, juliet.full), "cancel", "item-not-found");
      await r.deletes(node);
      await r.deletes(home(romeo));
    },
    covers("can_create_node_with_existing_parent_path", "cant_create_node_with_missing_parent_path"),
  );

  story(
    "there are no collections beside the paths",
    { romeo: 1 },
    async ({ romeo }) => {
      const [r] = talks(romeo);
      await r.refused("set", create(home(romeo), COLLECTION), "cancel", "feature-not-implemented");
      await r.refused("set", create(home(romeo), within("n")), "modify", "not-acceptable");
      await r.creates(home(romeo));
      await r.refused("set", configuring(home(romeo), within("n")), "modify", "not-acceptable");
      await r.configures(home(romeo), { "pubsub#max_items": "1000" });
      expect(await r.configuration(home(romeo))).toMatchObject({ "pubsub#max_items": "10" });
      await r.deletes(home(romeo));
    },
    { door: "tcp" },
  );

  story(
    "the nodes below a path are found there, and go with it",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const node = `${home(romeo)}/${fresh()}`;
      await j.refused("get", discovery("items", home(romeo)), "cancel", "item-not-found");
      await r.creates(home(romeo));
      expect(await j.discovers(home(romeo))).toEqual([]);
      await r.creates(node);
      await r.creates(`${node}/deep`);
      expect(await j.discovers(home(romeo))).toEqual([node]);
      const top = await j.discovers();
      expect(top).toContain(home(romeo));
      expect(top).not.toContain(node);
      await r.deletes(home(romeo));
      expect(await j.discovers()).not.toContain(home(romeo));
      for (const gone of [node, `${node}/deep`]) {
        await j.refused("get", discovery("items", gone), "cancel", "item-not-found");
      }
    },
    covers("disco_node_children_by_path_prefix", "deleting_parent_path_deletes_children"),
  );
});

const configuring = (node: string, fields: Record<string, string | string[]>) =>
  owner(`<configure node="${node}">${form("node_config", fields)}</configure>`);
