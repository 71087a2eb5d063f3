// XEP-0060 §8.2, §8.3, §4.3: what nodes of the service are configured to, and what that does.
import { describe, expect } from "vitest";

import { childrenOf } from "../support/match.ts";
import { form, fresh, NODETREES, owner, SERVICE, talks, valuesOf } from "../support/pubsub-talk.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("pubsub_old_SUITE");

for (const { nodetree, service, at } of NODETREES) {
  describe(`nodetree = "${nodetree}"`, () => {
    const { story } = stage(service());

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
  });
}
