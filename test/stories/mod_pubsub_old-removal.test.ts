// What a user is told that is kept about him in nodes of the service and his own, and what is left of it when he goes.
import { describe, expect, vi } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { Client } from "../support/client.ts";
import { whole } from "../support/personal.ts";
import { fresh, SERVICE, Talk, talks } from "../support/pubsub-talk.ts";
import { covering, type Scene, stage } from "../support/story.ts";

const covers = covering("gdpr_SUITE");
const data = (text: string) => `<item-data xmlns="urn:gdpr">${text}</item-data>`;

/** The tables of one user, by name: payloads, nodes, subscriptions. */
async function told({ server }: Pick<Scene, "server">, of: Client) {
  const user = parseBareJid(of.bare);
  const tables = await whole(server.node.hostOf(user.domain)!.hooks.foldWhole("get_personal_data", [], { jid: user }));
  const table = (name: string, ...columns: string[]) => {
    const found = tables.find((t) => t.name === name)!;
    expect(found.columns).toEqual(columns);
    return found.rows.map((row) => row.join(" ")).sort();
  };
  return {
    payloads: table("pubsub_payloads", "node_name", "item_id", "payload"),
    nodes: table("pubsub_nodes", "node_name", "type"),
    subscriptions: table("pubsub_subscriptions", "node_name"),
  };
}
const NOTHING = { payloads: [], nodes: [], subscriptions: [] };

describe("personal data", () => {
  const { story } = stage({
    modules: { mod_caps: {}, mod_pubsub_old: { nodetree: "tree", plugins: ["flat", "pep", "push"] } },
  });

  story(
    "one's own items in all nodes, the nodes one has made, one's subscriptions; nothing of others",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const [r, j] = talks(romeo, juliet);
      const [one, two, push] = [fresh("a"), fresh("b"), fresh("c")];
      await r.creates(one);
      await r.creates(two);
      await new Talk(romeo, romeo.bare).creates("myns", { "pubsub#access_model": "authorize" });
      await j.creates(push, undefined, "push");
      await r.affiliates(one, { [juliet.bare]: "publish-only" });
      await r.publishes(one, "Item1", data("1"));
      await r.publishes(two, "Item2", data("2"));
      await j.publishes(one, "Item3", data("3"));
      await j.subscribes(two);
      expect(await told({ server }, romeo)).toEqual({
        payloads: [`${one} Item1 ${data("1")}`, `${two} Item2 ${data("2")}`],
        nodes: [`${one} flat`, `${two} flat`, "myns pep"].sort(),
        subscriptions: [],
      });
      expect(await told({ server }, juliet)).toEqual({
        payloads: [`${one} Item3 ${data("3")}`],
        nodes: [`${push} push`],
        subscriptions: [two],
      });
      for (const node of [one, two]) await r.deletes(node);
      await j.deletes(push);
    },
    covers(
      "retrieve_pubsub_old_payloads",
      "dont_retrieve_other_user_pubsub_old_payload",
      "retrieve_pubsub_old_subscriptions",
      "retrieve_created_pubsub_old_nodes",
      "retrieve_all_pubsub_old_data",
    ),
  );

  story(
    "subscriptions, push nodes and personal nodes go with the user",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const [r, j] = talks(romeo, juliet);
      const [node, push] = [fresh(), fresh()];
      await j.creates(node);
      await r.subscribes(node);
      await r.creates(push, undefined, "push");
      await new Talk(romeo, romeo.bare).publishes("myns", "x", data("x"));
      await server.node.removeUser(parseBareJid(romeo.bare));
      await vi.waitFor(async () => expect(await told({ server }, romeo)).toEqual(NOTHING));
      expect(await j.subscribers(node)).toEqual([]);
      expect(await j.discovers()).toEqual([node]);
      await j.publishes(node, "y");
      await j.deletes(node);
    },
    covers("remove_pubsub_old_subscriptions", "remove_pubsub_old_push_node", "remove_pubsub_old_pep_node"),
  );

  story(
    "a node stays when one who may publish to it goes, and the rest of its items",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const [r, j] = talks(romeo, juliet);
      const node = fresh();
      await r.creates(node);
      await r.affiliates(node, { [juliet.bare]: "publish-only" });
      await r.publishes(node, "his");
      await j.publishes(node, "hers");
      await server.node.removeUser(parseBareJid(juliet.bare));
      await vi.waitFor(async () => expect(await told({ server }, juliet)).toEqual(NOTHING));
      expect((await told({ server }, romeo)).nodes).toEqual([`${node} flat`]);
      expect(await r.affiliations(node)).toEqual({ [romeo.bare]: "owner" });
      expect(await r.items(node)).toEqual(["his"]);
      await r.deletes(node);
    },
    covers("remove_pubsub_old_dont_remove_node_when_only_publisher"),
  );

  story(
    "who takes a removed user's name later owns nothing of his",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server, another }) => {
      const [r, j] = talks(romeo, juliet);
      const node = fresh();
      await r.creates(node);
      await j.subscribes(node);
      await server.node.removeUser(parseBareJid(romeo.bare));
      await server.addAccount(romeo.local, "localhost", romeo.account.password);
      const second = await another(romeo).logsIn(server.target("tcp"), "laptop");
      const [s] = talks(second);
      await s.refused(
        "set",
        `<pubsub xmlns="http://jabber.org/protocol/pubsub#owner"><delete node="${node}"/></pubsub>`,
        "auth",
        "forbidden",
      );
      expect(await told({ server }, second)).toEqual(NOTHING);
      expect(await j.subscriptions()).toEqual([`${node} subscribed`]);
    },
    { door: "tcp" },
  );
});

describe("a domain", () => {
  const { story } = stage({
    general: { hosts: ["localhost"], host_types: ["dynamic"] },
    modules: { mod_caps: {}, mod_pubsub_old: { plugins: ["flat", "pep"] } },
  });
  story(
    "has a service of its own, whose nodes go with it",
    { romeo: 1 },
    async ({ romeo, server, actor }) => {
      const [one, other] = ["gone.example", "kept.example"];
      for (const domain of [one, other]) await server.node.domains.add(domain, "dynamic");
      const juliet = await (await actor("juliet", one)).logsIn(server.target("tcp"), "laptop");
      const nurse = await (await actor("nurse", other)).logsIn(server.target("tcp"), "laptop");
      const node = fresh();
      for (const domain of [one, other, "localhost"]) {
        await new Talk(domain === one ? juliet : nurse, `pubsub.${domain}`).creates(node);
      }
      await new Talk(juliet, `pubsub.${other}`).subscribes(node);
      await server.node.domains.remove(one, "dynamic", true);
      const store = new Talk(nurse, `pubsub.${other}`);
      await vi.waitFor(async () => expect(await store.subscribers(node)).toEqual([]));
      expect(await store.discovers()).toEqual([node]);
      await server.node.domains.add(one, "dynamic");
      expect(await new Talk(romeo, `pubsub.${one}`).discovers()).toEqual([]);
      expect(await new Talk(romeo, SERVICE).discovers()).toEqual([node]);
    },
    { door: "tcp" },
  );
});
