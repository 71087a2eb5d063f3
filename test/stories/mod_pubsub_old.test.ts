// XEP-0060: publish-subscribe on a domain of its own, under both ways to order nodes.
import { describe, expect, vi } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { PubsubOldStore } from "../../modules/mod_pubsub_old/store.ts";
import { childOf, childrenOf, find, show, textOf } from "../support/match.ts";
import {
  affiliations,
  create,
  deletion,
  discovery,
  form,
  fresh,
  items,
  NS_PUBSUB,
  owner,
  publish,
  pubsub,
  retract,
  subscribe,
  Talk,
  valuesOf,
} from "../support/pubsub-talk.ts";
import { type Scene, stage } from "../support/story.ts";

const SERVICE = "pubsub.localhost";
const covers = (...cases: string[]) => ({ covers: cases.map((name) => `pubsub_old_SUITE:${name}`) });
const talks = (...clients: ConstructorParameters<typeof Talk>[0][]) => clients.map((c) => new Talk(c, SERVICE));

for (const nodetree of ["dag", "tree"]) {
  const plugin = nodetree === "dag" ? "dag" : "flat";
  const service = (more = {}) => ({ modules: { mod_pubsub_old: { nodetree, plugins: [plugin], ...more } } });
  // One door shows the other nodetree well enough.
  const at = nodetree === "tree" ? ({ door: "tcp" } as const) : {};

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

    describe("the configuration of a node", () => {
      story(
        "§8.3: the defaults",
        { romeo: 1 },
        async ({ romeo }) => {
          const [r] = talks(romeo);
          expect(valuesOf(await r.gets("get", owner("<default/>")))).toMatchObject({
            "pubsub#deliver_payloads": "1",
            "pubsub#deliver_notifications": "1",
            "pubsub#notify_config": "0",
            "pubsub#notify_delete": "0",
            "pubsub#notify_retract": "0",
            "pubsub#persist_items": "1",
            "pubsub#title": "",
            "pubsub#max_items": "10",
            "pubsub#subscribe": "1",
            "pubsub#access_model": "open",
            "pubsub#roster_groups_allowed": [],
            "pubsub#publish_model": "publishers",
            "pubsub#purge_offline": "0",
            "pubsub#notification_type": "headline",
            "pubsub#max_payload_size": "60000",
            "pubsub#send_last_published_item": "never",
            "pubsub#presence_based_delivery": "0",
            "pubsub#type": "",
            "pubsub#collection": [],
          });
        },
        { ...at, ...covers("retrieve_default_configuration_test") },
      );

      const CONFIG = {
        "pubsub#title": "TARDIS",
        "pubsub#deliver_notifications": "1",
        "pubsub#deliver_payloads": "1",
        "pubsub#notify_config": "0",
        "pubsub#notify_delete": "1",
        "pubsub#notify_retract": "1",
        "pubsub#persist_items": "0",
        "pubsub#max_items": "10",
        "pubsub#subscribe": "0",
        "pubsub#access_model": "presence",
        "pubsub#publish_model": "publishers",
        "pubsub#purge_offline": "1",
        "pubsub#max_payload_size": "24601",
        "pubsub#send_last_published_item": "on_sub",
        "pubsub#presence_based_delivery": "1",
        "pubsub#notification_type": "normal",
        "pubsub#type": "urn:mim",
      };

      story(
        "§8.2: the form has MongooseIM's fields, and holds what was set",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const node = fresh();
          await r.creates(node);
          const fields = ["FORM_TYPE", ...Object.keys(CONFIG), "pubsub#roster_groups_allowed", "pubsub#collection"];
          expect(Object.keys(await r.configuration(node)).sort()).toEqual(fields.sort());
          await r.configures(node, CONFIG);
          expect(await r.configuration(node)).toMatchObject(CONFIG);
          await j.refused("get", owner(`<configure node="${node}"/>`), "auth", "forbidden");
          const change = owner(
            `<configure node="${node}">${form("node_config", { "pubsub#title": "Mine" })}</configure>`,
          );
          await j.refused("set", change, "auth", "forbidden");
          expect(await r.configuration(node)).toMatchObject(CONFIG);
          await r.deletes(node);
        },
        { ...at, ...covers("retrieve_configuration_test", "set_configuration_test") },
      );

      story(
        "§8.2.4: what is no configuration changes none",
        { romeo: 1 },
        async ({ romeo }) => {
          const [r] = talks(romeo);
          const node = fresh();
          await r.creates(node);
          const field = `<field var="pubsub#notify_config"><value>1</value></field>`;
          for (const inside of [
            "",
            `<configure node="${node}"/>`,
            `<configure node="${node}"><x xmlns="jabber:x:data" type="submit">${field}</x></configure>`,
            `<configure node="${node}"><x type="submit">${field}</x></configure>`,
            `<configure node="${node}">${form("node_config", { "pubsub#notify_config": "7" })}</configure>`,
          ]) {
            await r.refused("set", owner(inside), "modify", "bad-request");
          }
          expect(await r.configuration(node)).toMatchObject({ "pubsub#notify_config": "0" });
          await r.deletes(node);
        },
        { ...at, ...covers("set_configuration_errors_test") },
      );

      story(
        "§8.2.5.2: notify_config tells subscribers of a new configuration",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const node = fresh();
          await r.creates(node, { "pubsub#notify_config": "1" });
          await j.subscribes(node);
          await r.configures(node, { "pubsub#title": "newtitle" });
          expect(valuesOf(await j.event("configuration", node))).toMatchObject({ "pubsub#title": "newtitle" });
          await r.deletes(node);
        },
        { ...at, ...covers("notify_config_test") },
      );

      story(
        "§4.3: without notifications, without payloads, without items",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const [silent, light, transient] = [fresh(), fresh(), fresh()];
          await r.creates(silent, { "pubsub#deliver_notifications": "false" });
          await j.subscribes(silent);
          await r.publishes(silent, "item1");
          await j.hearsNothing();
          await r.creates(light, { "pubsub#deliver_payloads": "false" });
          await j.subscribes(light);
          await r.publishes(light, "item1");
          expect(childrenOf(await j.item(light, "item1"))).toEqual([]);
          await r.creates(transient, { "pubsub#persist_items": "false" });
          await j.subscribes(transient);
          await r.publishes(transient, "item1");
          expect(childrenOf(await j.item(transient, "item1"))).toHaveLength(1);
          expect(await j.items(transient)).toEqual([]);
          for (const node of [silent, light, transient]) await r.deletes(node);
        },
        { ...at, ...covers("disable_notifications_test", "disable_payload_test", "disable_persist_items_test") },
      );

      story(
        "presence_based_delivery: who is not online hears nothing",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const node = fresh();
          await r.creates(node, { "pubsub#presence_based_delivery": "true" });
          await j.subscribes(node, undefined, juliet.bare);
          juliet.sends`<presence type="unavailable"/>`;
          await juliet.settles();
          await r.publishes(node, "item2");
          await j.hearsNothing();
          await r.deletes(node);
        },
        { ...at, ...covers("notify_only_available_users_test") },
      );

      story(
        "without it an event of type normal waits for who is not there (XEP-0160)",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const node = fresh();
          await r.creates(node, { "pubsub#notification_type": "normal" });
          await j.subscribes(node, undefined, juliet.bare);
          juliet.sends`<presence type="unavailable"/>`;
          await juliet.settles();
          await r.publishes(node, "item1");
          await j.hearsNothing();
          juliet.sends`<presence/>`;
          await j.event("items", node);
          await r.deletes(node);
        },
        { ...at, ...covers("notify_unavailable_user_test") },
      );

      story(
        "§6.1.7: the last item is sent to a new subscriber, and when a subscriber comes online",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const [node, empty] = [fresh(), fresh()];
          const config = { "pubsub#send_last_published_item": "on_sub_and_presence" };
          await r.creates(node, config);
          await r.publishes(node, "item1");
          await r.publishes(node, "item2");
          await j.subscribes(node);
          await j.item(node, "item2");
          juliet.sends`<presence type="unavailable"/>`;
          juliet.sends`<presence/>`;
          await juliet.receives`<presence from="${juliet.full}"/><message from="${SERVICE}" type="headline"/>`;
          await j.hearsNothing();
          await r.creates(empty, config);
          await j.subscribes(empty);
          await j.hearsNothing();
          for (const name of [node, empty]) await r.deletes(name);
        },
        { ...at, ...covers("send_last_published_item_test", "send_last_published_item_no_items_test") },
      );
    });

    describe("affiliations", () => {
      story(
        "§8.9: publishers publish, members subscribe to what is closed to others",
        { romeo: 1, juliet: 1, nurse: 1 },
        async ({ romeo, juliet, nurse }) => {
          const [r, j, n] = talks(romeo, juliet, nurse);
          const node = fresh();
          await r.creates(node, { "pubsub#access_model": "whitelist", "pubsub#publish_model": "publishers" });
          expect(await r.affiliations(node)).toEqual({ [romeo.bare]: "owner" });
          await j.refused("set", publish(node, "item1"), "auth", "forbidden");
          await n.refused("set", subscribe(node, nurse.full), "cancel", "not-allowed", "closed-node");
          await n.refused("get", items(node), "cancel", "not-allowed", "closed-node");
          expect(await n.discovers()).not.toContain(node);
          await r.affiliates(node, { [juliet.bare]: "publisher", [nurse.bare]: "member" });
          await n.refused("set", publish(node, "nope"), "auth", "forbidden");
          await n.subscribes(node);
          await j.publishes(node, "item1");
          await n.item(node, "item1");
          expect(await n.discovers()).toContain(node);
          await r.affiliates(node, { [nurse.bare]: "none" });
          await n.subscriptionIs(node, "none");
          await j.publishes(node, "item2");
          await n.hearsNothing();
          await r.deletes(node);
        },
        { ...at, ...covers("get_affiliations_test", "add_publisher_and_member_test") },
      );

      story(
        "§8.9.2: a node is handed over, and keeps an owner",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const node = fresh();
          await r.creates(node);
          const error = await r.refused(
            "set",
            affiliations(node, { [romeo.bare]: "member" }),
            "modify",
            "not-acceptable",
          );
          const told = childrenOf(error)
            .filter((e) => e.name === "pubsub")
            .flatMap((e) => childrenOf(childrenOf(e)[0]));
          expect(told.map((e) => [e.attrs["jid"], e.attrs["affiliation"]])).toEqual([[romeo.bare, "owner"]]);
          expect(await r.affiliations(node)).toEqual({ [romeo.bare]: "owner" });
          await r.affiliates(node, { [juliet.bare]: "owner", [romeo.bare]: "none" });
          await r.refused("get", owner(`<affiliations node="${node}"/>`), "auth", "forbidden");
          expect(await j.affiliations(node)).toEqual({ [juliet.bare]: "owner" });
          await r.refused("set", deletion(node), "auth", "forbidden");
          await j.deletes(node);
        },
        { ...at, ...covers("swap_owners_test", "deny_no_owner_test") },
      );

      story(
        "§4.1: an outcast neither reads nor subscribes nor publishes, even where all others do",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet }) => {
          const [r, j] = talks(romeo, juliet);
          const node = fresh();
          await r.creates(node, { "pubsub#publish_model": "open" });
          await j.subscribes(node);
          await r.affiliates(node, { [juliet.bare]: "outcast" });
          await j.subscriptionIs(node, "none");
          await j.refused("set", publish(node, "x"), "auth", "forbidden");
          await j.refused("set", subscribe(node, juliet.full), "auth", "forbidden");
          await j.refused("get", items(node), "auth", "forbidden");
          await r.publishes(node, "y");
          await j.hearsNothing();
          await r.deletes(node);
        },
        at,
      );
    });

    story(
      "§4.5: presence and roster: who sees the owner's presence, or is in a group of his roster, as long as he is",
      { romeo: 1, juliet: 1, nurse: 1 },
      async ({ romeo, juliet, nurse, befriend }) => {
        const [r, j, n] = talks(romeo, juliet, nurse);
        const [seen, grouped] = [fresh(), fresh()];
        await r.creates(seen, { "pubsub#access_model": "presence" });
        await r.creates(grouped, { "pubsub#access_model": "roster", "pubsub#roster_groups_allowed": ["Friends"] });
        await j.refused(
          "set",
          subscribe(seen, juliet.full),
          "auth",
          "not-authorized",
          "presence-subscription-required",
        );
        await j.refused("set", subscribe(grouped, juliet.full), "auth", "not-authorized", "not-in-roster-group");
        await befriend(romeo, juliet);
        await romeo.settles();
        const group = (inside: string) =>
          `<iq type="set" id="roster"><query xmlns="jabber:iq:roster"><item jid="${juliet.bare}">${inside}</item></query></iq>`;
        romeo.says(group("<group>Friends</group>"));
        await romeo.settles();
        await j.subscribes(seen);
        await j.subscribes(grouped);
        await n.refused("get", items(seen), "auth", "not-authorized", "presence-subscription-required");
        await r.publishes(seen, "item1");
        await j.item(seen, "item1");
        await r.publishes(grouped, "item1");
        await j.item(grouped, "item1");
        romeo.says(group("<group>Foes</group>"));
        await romeo.settles();
        await r.publishes(grouped, "item2");
        await j.hearsNothing();
        romeo.sends`<presence to="${juliet.bare}" type="unsubscribed"/>`;
        await romeo.settles();
        await juliet.settles();
        await r.publishes(seen, "item2");
        await j.hearsNothing();
        await j.refused("get", items(seen), "auth", "not-authorized", "presence-subscription-required");
        for (const node of [seen, grouped]) await r.deletes(node);
      },
      at,
    );

    describe("subscriptions", () => {
      story(
        "§5.6: one's own subscriptions",
        { romeo: 1, juliet: 1 },
        async ({ romeo, juliet, server }) => {
          const [r, j] = talks(romeo, juliet);
          const before = await counter(server, "mod_pubsub_old_get_subscriptions_count");
          expect(await j.subscriptions()).toEqual([]);
          const [one, two] = [fresh("a"), fresh("b")];
          await r.creates(one);
          await j.subscribes(one);
          expect(await j.subscriptions()).toEqual([`${one} subscribed`]);
          await r.creates(two);
          await j.subscribes(two);
          expect(await j.subscriptions()).toEqual([`${one} subscribed`, `${two} subscribed`]);
          expect(await r.subscriptions()).toEqual([]);
          expect((await counter(server, "mod_pubsub_old_get_subscriptions_count")) - before).toBe(4);
          for (const node of [one, two]) await r.deletes(node);
        },
        { ...at, ...covers("retrieve_user_subscriptions_test") },
      );

      story(
        "§8.8.1: the owner sees who is subscribed, nobody else does",
        { romeo: 1, juliet: 1, nurse: 1 },
        async ({ romeo, juliet, nurse }) => {
          const [r, j, n] = talks(romeo, juliet, nurse);
          const node = fresh();
          await r.creates(node);
          expect(await r.subscribers(node)).toEqual([]);
          await j.refused("get", owner(`<subscriptions node="${node}"/>`), "auth", "forbidden");
          await j.subscribes(node);
          await n.subscribes(node, undefined, nurse.bare);
          expect(await r.subscribers(node)).toEqual([`${juliet.full} subscribed`, `${nurse.bare} subscribed`].sort());
          await r.deletes(node);
        },
        { ...at, ...covers("retrieve_node_subscriptions_test") },
      );

      story(
        "§8.8.2: the owner subscribes others and ends their subscriptions; they are told",
        { romeo: 1, juliet: 1, nurse: 1 },
        async ({ romeo, juliet, nurse }) => {
          const [r, j, n] = talks(romeo, juliet, nurse);
          const node = fresh();
          await r.creates(node);
          const change = (states: Record<string, string>) =>
            owner(
              `<subscriptions node="${node}">${Object.entries(states)
                .map(([jid, state]) => `<subscription jid="${jid}" subscription="${state}"/>`)
                .join("")}</subscriptions>`,
            );
          await r.gets("set", change({ [juliet.full]: "subscribed", [nurse.bare]: "subscribed" }));
          await j.subscriptionIs(node, "subscribed");
          await n.subscriptionIs(node, "subscribed", nurse.bare);
          expect(await r.subscribers(node)).toEqual([`${juliet.full} subscribed`, `${nurse.bare} subscribed`].sort());
          await j.refused("set", change({ [nurse.full]: "subscribed" }), "auth", "forbidden");
          await r.gets("set", change({ [juliet.full]: "none", [nurse.full]: "subscribed" }));
          await j.subscriptionIs(node, "none");
          await n.subscriptionIs(node, "subscribed");
          expect(await r.subscribers(node)).toEqual([`${nurse.bare} subscribed`, `${nurse.full} subscribed`].sort());
          await r.deletes(node);
        },
        { ...at, ...covers("modify_node_subscriptions_test") },
      );

      story(
        "§8.6: the owner lets one in and turns one away",
        { romeo: 1, juliet: 1, nurse: 1 },
        async ({ romeo, juliet, nurse }) => {
          const [r, j, n] = talks(romeo, juliet, nurse);
          const node = fresh();
          await r.creates(node, { "pubsub#access_model": "authorize" });
          expect((await j.subscribes(node)).attrs["subscription"]).toBe("pending");
          const first = await r.request(node, juliet.full);
          expect((await n.subscribes(node)).attrs["subscription"]).toBe("pending");
          const second = await r.request(node, nurse.full);
          // Nobody lets himself in.
          j.decides(first, true);
          await juliet.receives`<message type="error" from="${SERVICE}"/>`;
          expect(await r.subscribers(node)).toEqual([`${juliet.full} pending`, `${nurse.full} pending`].sort());
          r.decides(first, true);
          await j.subscriptionIs(node, "subscribed");
          r.decides(second, false);
          await n.subscriptionIs(node, "none");
          await r.publishes(node, "item1");
          await j.item(node, "item1");
          await n.hearsNothing();
          await n.refused("get", items(node), "auth", "not-authorized", "not-subscribed");
          await r.deletes(node);
        },
        { ...at, ...covers("process_subscription_requests_test") },
      );

      story(
        "§8.7: the owner asks which subscriptions wait for him, and gets the requests again",
        { romeo: 1, juliet: 1, nurse: 1 },
        async ({ romeo, juliet, nurse }) => {
          const [r, j, n] = talks(romeo, juliet, nurse);
          const node = fresh();
          await r.creates(node, { "pubsub#access_model": "authorize" });
          for (const t of [j, n]) {
            await t.subscribes(node);
            await r.request(node, t.client.full);
          }
          const command = (inside: string, attributes = `action="execute"`) =>
            `<command xmlns="http://jabber.org/protocol/commands" node="${NS_PUBSUB}#get-pending" ${attributes}>${inside}</command>`;
          const answer = await r.gets("set", command(""));
          const options = childrenOf(find(answer, "x")!).flatMap((f) =>
            childrenOf(f).filter((o) => o.name === "option"),
          );
          expect(options.map((o) => textOf(childrenOf(o)[0]))).toEqual([node]);
          const others = await j.gets("set", command(""));
          expect(show(others)).not.toContain(node);
          const untyped = `<x xmlns="jabber:x:data" type="submit"><field var="pubsub#node"><value>${node}</value></field></x>`;
          await r.refused("set", command(untyped), "modify", "bad-request");
          const wanted = command(form("subscribe_authorization", { "pubsub#node": node }));
          await j.refused("set", wanted, "auth", "forbidden");
          await j.hearsNothing();
          const done = await r.gets("set", wanted);
          expect(find(done, "command")!.attrs["status"]).toBe("completed");
          const asked = [await r.hears(), await r.hears()].map((m) => valuesOf(m)["pubsub#subscriber_jid"]);
          expect(asked.sort()).toEqual([juliet.full, nurse.full].sort());
          await r.deletes(node);
        },
        {
          ...at,
          ...covers(
            "retrieve_pending_subscription_requests_test",
            "retrieve_pending_subscription_requests_errors_test",
          ),
        },
      );
    });
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
