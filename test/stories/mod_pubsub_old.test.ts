// XEP-0060: publish-subscribe on a domain of its own, under both ways to order nodes: nodes, items, and their options.
import { describe, expect, vi } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { PubsubOldStore } from "../../modules/mod_pubsub_old/store.ts";
import { childOf, childrenOf, find, show, textOf } from "../support/match.ts";
import {
  create,
  discovery,
  form,
  fresh,
  items,
  NODETREES,
  NS_PUBSUB,
  owner,
  publish,
  pubsub,
  retract,
  SERVICE,
  subscribe,
  type Talk,
  talks,
  valuesOf,
} from "../support/pubsub-talk.ts";
import { covering, type Scene, stage } from "../support/story.ts";

const covers = covering("pubsub_old_SUITE");

for (const { nodetree, service, at } of NODETREES) {
  describe(`nodetree = "${nodetree}"`, () => {
    const { story } = stage(service());

    story(
      "§5.1, §5.2: the service is discovered, and its nodes as they come and go",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        romeo.says(`<iq type="get" id="s" to="localhost">${discovery("info")}</iq>`);
        expect(show(await romeo.receives`<iq type="result" id="s"/>`)).toContain(`<feature var="${NS_PUBSUB}"/>`);
        romeo.says(`<iq type="get" id="i" to="localhost">${discovery("items")}</iq>`);
        expect(show(await romeo.receives`<iq type="result" id="i"/>`)).toContain(`<item jid="${SERVICE}"`);
        romeo.says(`<iq type="get" id="a">${discovery("info")}</iq>`);
        expect(show(await romeo.receives`<iq type="result" id="a"/>`)).not.toContain(`<feature var="${NS_PUBSUB}"/>`);
        const [r, j] = talks(romeo, juliet);
        const info = show(await r.gets("get", discovery("info")));
        expect(info).toContain(`<identity category="pubsub" name="Publish-Subscribe" type="service"/>`);
        expect(info).toContain(`<feature var="${NS_PUBSUB}"/>`);
        const [one, two] = [fresh(), fresh()];
        expect(await j.discovers()).not.toContain(one);
        await r.creates(one);
        expect(await j.discovers()).toContain(one);
        await r.creates(two);
        expect(await j.discovers()).toEqual(expect.arrayContaining([one, two]));
        await r.deletes(one);
        await r.deletes(two);
        expect(await j.discovers()).not.toContain(one);
      },
      {
        ...at,
        ...covers(
          "discover_features_test",
          "discover_service_features_test",
          "discover_sm_features_test",
          "discover_nodes_test",
          "create_delete_node_test",
        ),
      },
    );

    story(
      "§8.1.3: a node is made with a configuration; a wrong one makes none",
      { romeo: 1 },
      async ({ romeo }) => {
        const [r] = talks(romeo);
        const node = fresh();
        const configure = (inside: string) => pubsub(`<create node="${node}"/><configure>${inside}</configure>`);
        const wrong = form("node_config", { "pubsub#notify_config": "7" });
        const untyped = `<x xmlns="jabber:x:data" type="submit"><field var="pubsub#notify_config"><value>1</value></field></x>`;
        for (const inside of [untyped, wrong]) await r.refused("set", configure(inside), "modify", "bad-request");
        expect(await r.discovers()).not.toContain(node);
        await r.gets("set", configure(""));
        await r.refused("set", configure(""), "cancel", "conflict");
        await r.deletes(node);
      },
      { ...at, ...covers("create_node_errors_test") },
    );

    story(
      "§6.1, §6.2: subscribing with a resource and without, each with an id",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, server }) => {
        const [r, j] = talks(romeo, juliet);
        const node = fresh();
        await r.creates(node);
        const before = await counter(server, "mod_pubsub_old_set_subscribe_count");
        for (const jid of [juliet.full, juliet.bare]) {
          const { attrs } = await j.subscribes(node, undefined, jid);
          expect(attrs["subscription"]).toBe("subscribed");
          expect(attrs["subid"]).toMatch(/./);
          const again = await j.subscribes(node, undefined, jid);
          expect(again.attrs["subid"]).toBe(attrs["subid"]);
          await j.unsubscribes(node, jid);
          await j.refused(
            "set",
            pubsub(`<unsubscribe node="${node}" jid="${jid}"/>`),
            "cancel",
            "unexpected-request",
            "not-subscribed",
          );
        }
        await r.deletes(node);
        expect((await counter(server, "mod_pubsub_old_set_subscribe_count")) - before).toBe(4);
      },
      { ...at, ...covers("subscribe_unsubscribe_test") },
    );

    story(
      "§6.3: options of a subscription: none without one, given with it, changed later, and they count",
      { romeo: 1, juliet: 1, nurse: 1 },
      async ({ romeo, juliet, nurse }) => {
        const [r, j, n] = talks(romeo, juliet, nurse);
        const node = fresh();
        await r.creates(node);
        const ask = (jid: string) => pubsub(`<options node="${node}" jid="${jid}"/>`);
        for (const t of [r, j, n]) await t.refused("get", ask(t.client.full), "modify", "not-subscribed");
        await j.subscribes(node, { "pubsub#deliver": "true" });
        await n.subscribes(node, { "pubsub#deliver": "false" });
        const deliver = async (t: Talk) => valuesOf(await t.gets("get", ask(t.client.full)))["pubsub#deliver"];
        expect([await deliver(j), await deliver(n)]).toEqual(["true", "false"]);
        await r.publishes(node, "item1");
        await j.item(node, "item1");
        await n.hearsNothing();
        const change = (jid: string, value: string) =>
          pubsub(
            `<options node="${node}" jid="${jid}">${form("subscribe_options", { "pubsub#deliver": value })}</options>`,
          );
        await j.gets("set", change(juliet.full, "false"));
        expect(await deliver(j)).toBe("false");
        await j.refused("set", change(juliet.full, "perhaps"), "modify", "bad-request", "invalid-options");
        await j.refused("set", change(nurse.full, "true"), "auth", "forbidden");
        await j.refused("get", ask(nurse.full), "auth", "forbidden");
        await r.publishes(node, "item2");
        await j.hearsNothing();
        expect(await deliver(n)).toBe("false");
        await r.deletes(node);
      },
      {
        ...at,
        ...covers(
          "subscribe_options_test",
          "subscribe_options_deliver_option_test",
          "subscribe_options_separate_request_test",
        ),
      },
    );

    story(
      "§6.3: the others are honoured too: presence, an end, a body",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const [r, j] = talks(romeo, juliet);
        const node = fresh();
        await r.creates(node);
        await j.subscribes(node, { "pubsub#show-values": ["away", "dnd"], "pubsub#include_body": "1" });
        await r.publishes(node, "unseen");
        await j.hearsNothing();
        juliet.sends`<presence><show>dnd</show></presence>`;
        await juliet.receives`<presence from="${juliet.full}"/>`;
        await r.publishes(
          node,
          "seen",
          `<entry xmlns="http://www.w3.org/2005/Atom"><title>Good  night</title></entry>`,
        );
        const message = await j.event("items", node);
        expect(textOf(childOf(message, "body")!)).toBe("Good night");
        await j.refused(
          "set",
          subscribe(node, juliet.full, { "pubsub#expire": "2001-01-01T00:00:00Z" }),
          "modify",
          "invalid-options",
        );
        const soon = new Date(Date.now() + 300).toISOString();
        await j.subscribes(node, { "pubsub#expire": soon });
        await new Promise((resolve) => setTimeout(resolve, 400));
        await r.publishes(node, "late");
        await j.subscriptionIs(node, "none");
        await j.hearsNothing();
        expect(await r.subscribers(node)).toEqual([]);
        await r.deletes(node);
      },
      at,
    );

    story(
      "§7.1: publishing makes the node, and an item with a known id takes the old one's place",
      { romeo: 1 },
      async ({ romeo, server }) => {
        const [r] = talks(romeo);
        const node = fresh();
        const before = await counter(server, "mod_pubsub_old_set_publish_count");
        await r.publishes(node, "item1");
        expect(await r.items(node, "item1")).toEqual(["item1"]);
        const changed = `<entry xmlns="http://www.w3.org/2005/Atom"><new_entry/></entry>`;
        await r.publishes(node, "item1", changed);
        const answer = await r.gets("get", items(node, "item1"));
        expect(show(find(answer, "entry")!)).toContain("<new_entry/>");
        expect(await r.items(node)).toEqual(["item1"]);
        await r.deletes(node);
        expect((await counter(server, "mod_pubsub_old_set_publish_count")) - before).toBe(2);
      },
      { ...at, ...covers("publish_test", "publish_with_existing_id_test") },
    );

    story(
      "§7.1: an item more than max_items: the new one is told first, then that the oldest is gone",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const [r, j] = talks(romeo, juliet);
        const node = fresh();
        await r.creates(node, { "pubsub#max_items": "1", "pubsub#notify_retract": "1" });
        await r.publishes(node, "item1");
        await j.subscribes(node);
        await r.publishes(node, "item2");
        await j.item(node, "item2");
        await j.retraction(node, "item1");
        expect(await r.items(node)).toEqual(["item2"]);
        await r.deletes(node);
      },
      { ...at, ...covers("publish_with_max_items_test") },
    );

    story(
      "§7.1.2.1: a subscribed resource gets events alone, a subscribed account on all of its resources",
      { romeo: 1, juliet: 2, nurse: 2 },
      async ({ romeo, juliet: [j1, j2], nurse: [n1, n2] }) => {
        const [r, one, other, third, fourth] = talks(romeo, j1, j2, n1, n2);
        const node = fresh();
        await r.creates(node, { "pubsub#presence_based_delivery": "1" });
        await one.subscribes(node);
        await third.subscribes(node, undefined, n1.bare);
        await r.publishes(node, "item1");
        await one.item(node, "item1");
        await other.hearsNothing();
        await third.item(node, "item1");
        await fourth.item(node, "item1");
        await r.deletes(node);
      },
      { ...at, ...covers("notify_test") },
    );

    story(
      "§6.5, §7.2: reading all items and one, retracting, and what subscribers hear of it",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const [r, j] = talks(romeo, juliet);
        const node = fresh();
        await r.creates(node);
        await r.publishes(node, "item1");
        await r.publishes(node, "item2");
        expect(await j.items(node)).toEqual(["item2", "item1"]);
        expect(await j.items(node, "item1")).toEqual(["item1"]);
        await r.retracts(node, "item1");
        expect(await j.items(node)).toEqual(["item2"]);
        await r.configures(node, { "pubsub#notify_retract": "1" });
        await j.subscribes(node);
        await r.retracts(node, "item2");
        await j.retraction(node, "item2");
        expect(await j.items(node)).toEqual([]);
        await r.refused("set", retract(node, "item2"), "cancel", "item-not-found");
        await r.deletes(node);
      },
      { ...at, ...covers("request_all_items_test", "request_particular_item_test", "retract_test") },
    );

    story(
      "§6.5.4: items in pages (XEP-0059)",
      { romeo: 1 },
      async ({ romeo }) => {
        const [r] = talks(romeo);
        const node = fresh();
        await r.creates(node);
        for (const id of ["a", "b", "c", "d", "e"]) await r.publishes(node, id);
        const page = async (inside: string) => {
          const set = `<set xmlns="http://jabber.org/protocol/rsm">${inside}</set>`;
          const answer = await r.gets("get", pubsub(`<items node="${node}"/>${set}`));
          const ids = childrenOf(find(answer, "items")!).map((e) => e.attrs["id"]);
          return [ids.join(""), textOf(find(answer, "count")!)];
        };
        expect(await page("<max>2</max>")).toEqual(["ab", "5"]);
        expect(await page("<max>2</max><after>b</after>")).toEqual(["cd", "5"]);
        expect(await page("<max>2</max><before/>")).toEqual(["de", "5"]);
        expect(await page("<max>2</max><before>d</before>")).toEqual(["bc", "5"]);
        expect(await page("<max>0</max>")).toEqual(["", "5"]);
        await r.deletes(node);
      },
      at,
    );

    story(
      "purge_offline: the items of a publisher go when he does",
      { romeo: 1, juliet: 0 },
      async ({ romeo, juliet }) => {
        const [r] = talks(romeo);
        const node = fresh();
        await r.creates(node, { "pubsub#purge_offline": "1", "pubsub#publish_model": "open" });
        const guest = await juliet.comes();
        await guest.comesOnline();
        const [j] = talks(guest);
        await r.publishes(node, "item1");
        await j.publishes(node, "item2");
        expect(await r.items(node)).toEqual(["item2", "item1"]);
        await guest.leaves();
        await vi.waitFor(async () => expect(await r.items(node)).toEqual(["item1"]));
        await r.deletes(node);
      },
      { ...at, ...covers("retract_when_user_goes_offline_test") },
    );

    story(
      "§8.5: only the owner purges a node",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, server }) => {
        const [r, j] = talks(romeo, juliet);
        const node = fresh();
        await r.creates(node);
        await r.publishes(node, "item1");
        await r.publishes(node, "item2");
        const purge = owner(`<purge node="${node}"/>`);
        const before = await counter(server, "mod_pubsub_old_set_purge_errors");
        await j.refused("set", purge, "auth", "forbidden");
        expect((await counter(server, "mod_pubsub_old_set_purge_errors")) - before).toBe(1);
        expect(await j.items(node)).toEqual(["item2", "item1"]);
        await r.gets("set", purge);
        expect(await j.items(node)).toEqual([]);
        await r.deletes(node);
      },
      { ...at, ...covers("purge_all_items_test") },
    );

    story(
      "§7.2.3.1: who may only publish retracts what is his own",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const [r, j] = talks(romeo, juliet);
        const node = fresh();
        await r.creates(node);
        await r.affiliates(node, { [juliet.bare]: "publish-only" });
        await j.publishes(node, "item1");
        await r.publishes(node, "item2");
        await j.retracts(node, "item1");
        await j.refused("set", retract(node, "item2"), "auth", "forbidden");
        expect(await r.items(node)).toEqual(["item2"]);
        await r.deletes(node);
      },
      { ...at, ...covers("publish_only_retract_items_scope_test") },
    );
  });

  describe(`nodetree = "${nodetree}", item_publisher`, () => {
    const { story } = stage(service({ item_publisher: true }));
    story(
      "items name who published them",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet }) => {
        const [r, j] = talks(romeo, juliet);
        const node = fresh();
        await r.creates(node);
        await j.subscribes(node);
        await r.publishes(node, "item1");
        expect((await j.item(node, "item1")).attrs["publisher"]).toBe(romeo.full);
        expect(find(await r.gets("get", items(node, "item1")), "item")!.attrs["publisher"]).toBe(romeo.full);
        await r.deletes(node);
      },
      {
        ...at,
        ...covers("get_item_with_publisher_option_test", "receive_item_notification_with_publisher_option_test"),
      },
    );
  });

  for (const last_item_cache of ["mnesia", "rdbms"]) {
    describe(`nodetree = "${nodetree}", last_item_cache = "${last_item_cache}"`, () => {
      const { story } = stage(service({ last_item_cache }));
      story(
        "the last item is kept ready, also of a node that keeps none; a purge forgets it",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const node = fresh();
          await r.creates(node, { "pubsub#send_last_published_item": "on_sub", "pubsub#persist_items": "0" });
          await r.publishes(node, "item1");
          await r.publishes(node, "item2");
          await j.subscribes(node);
          await j.item(node, "item2");
          await j.unsubscribes(node);
          await r.gets("set", owner(`<purge node="${node}"/>`));
          await j.subscribes(node);
          await j.hearsNothing();
          expect(await j.items(node)).toEqual([]);
          await r.deletes(node);
        },
        {
          ...at,
          ...covers("send_last_published_item_test", "send_last_published_item_no_items_test", "purge_all_items_test"),
        },
      );
    });
  }
}

describe("what the server itself asks", () => {
  const { story } = stage({ modules: { mod_pubsub_old: {} } });
  story(
    "the items of a node, and one of them, by service and name",
    { romeo: 1 },
    async ({ romeo, server }) => {
      const [r] = talks(romeo);
      const node = fresh();
      await r.creates(node);
      await r.publishes(node, "item1");
      await r.publishes(node, "item2");
      const store = [...server.node.hosts.values()][0].modules.get("mod_pubsub_old")?.ctx.store as PubsubOldStore;
      const service = makeBare("", SERVICE);
      const found = (await store.load(service, node))!;
      expect((await store.newest(found, 10)).map(({ id }) => id)).toEqual(["item1", "item2"]);
      expect((await store.item(found, "item2"))?.publisher.text).toBe(romeo.full);
      expect(await store.item(found, "itemX")).toBeUndefined();
      expect(await store.load(service, "no_such_node_here")).toBeUndefined();
      await r.deletes(node);
    },
    covers("debug_get_items_test", "debug_get_item_test"),
  );
});

describe("push nodes", () => {
  const { story } = stage({ modules: { mod_pubsub_old: { plugins: ["flat", "push"] } } });
  const NOTIFICATION = `<notification xmlns="urn:xmpp:push:0"><x xmlns="jabber:x:data" type="form"><field var="FORM_TYPE"><value>urn:xmpp:push:summary</value></field><field var="message-count"><value>1</value></field></x></notification>`;
  story(
    "XEP-0357 §7: a notification is handed to the push service, and nothing is kept",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const [r, j] = talks(romeo, juliet);
      const node = fresh();
      await r.creates(node, undefined, "push");
      const [host] = [...server.node.hosts.values()];
      let result: "ok" | "failed" | "device_not_registered" = "ok";
      const heard: unknown[] = [];
      host.hooks.add(
        "test",
        {
          push_notifications: (_acc, { forms, options }) => {
            heard.push([forms[0].get("message-count"), options.get("device_id"), options.get("service")]);
            return result;
          },
        },
        undefined,
      );
      const options = { device_id: "token", service: "apns" };
      await j.publishes(node, "itemid", NOTIFICATION, options);
      expect(heard).toEqual([["1", "token", "apns"]]);
      expect(await r.items(node)).toEqual([]);
      await j.refused("set", publish(node, "x", NOTIFICATION), "cancel", "conflict", "precondition-not-met");
      await j.refused("set", publish(node, "x", undefined, options), "modify", "bad-request");
      result = "device_not_registered";
      await j.refused(
        "set",
        publish(node, "x", NOTIFICATION, options),
        "cancel",
        "not-acceptable",
        "device-not-registered",
      );
      result = "failed";
      await j.refused("set", publish(node, "x", NOTIFICATION, options), "modify", "bad-request");
      host.hooks.remove("test");
      await r.deletes(node);
    },
  );
});

describe("max_subscriptions_node", () => {
  const { story } = stage({ modules: { mod_pubsub_old: { max_subscriptions_node: 1 } } });
  story(
    "one subscriber too many finds the node closed",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [r, j] = talks(romeo, juliet);
      const node = fresh();
      await r.creates(node);
      await r.subscribes(node);
      await j.refused("set", subscribe(node, juliet.full), "cancel", "not-allowed", "closed-node");
      await r.deletes(node);
    },
    covers("max_subscriptions_test"),
  );
});

describe("limits", () => {
  const { story } = stage({
    modules: { mod_pubsub_old: { max_nodes_user: 2, plugins: ["flat"] } },
  });
  story("a user owns so many nodes, another as many again", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
    const [r, j] = talks(romeo, juliet);
    const nodes = [fresh(), fresh()];
    for (const node of nodes) await r.creates(node);
    await r.refused("set", create(fresh()), "modify", "policy-violation", "max-nodes-exceeded");
    await r.refused("set", publish(fresh(), "x"), "modify", "policy-violation", "max-nodes-exceeded");
    const other = fresh();
    await j.creates(other);
    await j.refused("set", create(fresh(), undefined, "dag"), "cancel", "feature-not-implemented");
    await r.refused("set", publish(nodes[0], "x".repeat(300)), "modify", "not-acceptable");
    await r.refused("set", create("x".repeat(300)), "modify", "not-acceptable");
    const big = `<entry xmlns="urn:x">${"x".repeat(60_001)}</entry>`;
    await r.refused("set", publish(nodes[0], "big", big), "modify", "not-acceptable", "payload-too-big");
    for (const node of nodes) await r.deletes(node);
    await j.deletes(other);
  });

  describe("access_createnode", () => {
    const { story } = stage({
      access: { nobody: [{ acl: "all", value: "deny" }] },
      modules: { mod_pubsub_old: { access_createnode: "nobody" } },
    });
    story("who may not make nodes makes none, by no way", { romeo: 1 }, async ({ romeo }) => {
      const [r] = talks(romeo);
      await r.refused("set", create(fresh()), "auth", "forbidden");
      await r.refused("set", publish(fresh(), "x"), "auth", "forbidden");
      expect(await r.discovers()).toEqual([]);
    });
  });
});

/** What a counter of the feature stands at. */
async function counter(server: Scene["server"], name: string): Promise<number> {
  const line = new RegExp(`^${name}{[^}]*} (\\d+)`, "m").exec(server.node.registry.render());
  return Number(line?.[1] ?? 0);
}
