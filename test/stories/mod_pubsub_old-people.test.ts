// XEP-0060 §8.6 to §8.9: who has to do with a node of the service, and what its owners do about it.
import { describe, expect } from "vitest";

import { childrenOf, find, show, textOf } from "../support/match.ts";
import {
  affiliations,
  deletion,
  form,
  fresh,
  items,
  NODETREES,
  NS_PUBSUB,
  owner,
  publish,
  SERVICE,
  subscribe,
  talks,
  valuesOf,
} from "../support/pubsub-talk.ts";
import { covering, type Scene, stage } from "../support/story.ts";

const covers = covering("pubsub_old_SUITE");

for (const { nodetree, service, at } of NODETREES) {
  describe(`nodetree = "${nodetree}"`, () => {
    const { story } = stage(service());

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
}

/** What a counter of the feature stands at. */
async function counter(server: Scene["server"], name: string): Promise<number> {
  const line = new RegExp(`^${name}{[^}]*} (\\d+)`, "m").exec(server.node.registry.render());
  return Number(line?.[1] ?? 0);
}
