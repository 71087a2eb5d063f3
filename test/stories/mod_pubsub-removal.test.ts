// What is left of nodes when accounts and domains are removed, and what an account is told that is kept about it.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import { whole } from "../support/personal.ts";
import { ENTRY, freshNode, itemEvent, NS_OWNER, Pubsub, publishing, item as pubsubItem } from "../support/pubsub.ts";
import { type Scene, stage } from "../support/story.ts";

const OPEN = { access_model: "open" };

async function personalData({ server }: Scene, jid: string) {
  const user = parseBareJid(jid);
  const data = await whole(server.node.hostOf(user.domain)!.hooks.foldWhole("get_personal_data", [], { jid: user }));
  return Object.fromEntries(data.filter((t) => t.name.startsWith("pubsub_")).map((t) => [t.name, t]));
}

describe("personal data", () => {
  const { story } = stage({ modules: { mod_pubsub: {} } });

  story(
    "items, nodes and subscriptions of a user and of nobody else; nothing once the account is removed",
    { romeo: 1, juliet: 1 },
    async (scene) => {
      const { romeo, juliet, server } = scene;
      const [his, hers] = [freshNode(), freshNode()];
      const own = new Pubsub(romeo, romeo.bare);
      await own.create(his);
      await own.publish(his, "Item1");
      await new Pubsub(juliet, juliet.bare).create(hers, OPEN);
      await new Pubsub(romeo, juliet.bare).subscribe(hers, romeo.bare);
      expect(await personalData(scene, romeo.bare)).toMatchObject({
        pubsub_items: {
          columns: ["node_id", "item_id", "publisher_jid", "payload"],
          rows: [[his, "Item1", romeo.full, ENTRY]],
        },
        pubsub_nodes: { columns: ["node_id", "access_model"], rows: [[his, "presence"]] },
        pubsub_subscriptions: {
          columns: ["service_jid", "node_id", "subscriber_jid"],
          rows: [[juliet.bare, hers, romeo.bare]],
        },
      });
      await server.node.removeUser(parseBareJid(romeo.bare));
      const left = await personalData(scene, romeo.bare);
      expect(Object.values(left).map((t) => t.rows)).toEqual([[], [], [], [], []]);
      expect((await personalData(scene, juliet.bare))["pubsub_nodes"].rows).toEqual([[hers, "open"]]);
    },
    { covers: ["gdpr_SUITE:retrieve_pubsub_data", "gdpr_SUITE:remove_pubsub_user"] },
  );
});

describe("an item in another's node", () => {
  const { story } = stage({ modules: { mod_pubsub: {} } });

  story(
    "goes with its publisher's account: nobody sees it any more, and the next owner of the name is not its publisher",
    { romeo: 1, juliet: 1, mercutio: 1 },
    async (scene) => {
      const { romeo, juliet, mercutio, server, another, door } = scene;
      const [node, open] = [freshNode(), freshNode()];
      const hers = new Pubsub(juliet, juliet.bare);
      await hers.create(node, OPEN);
      await hers.create(open, { ...OPEN, publish_model: "open" });
      await hers.gets(
        "set",
        `<affiliations node="${node}"><affiliation jid="${romeo.bare}" affiliation="publisher"/></affiliations>`,
        NS_OWNER,
      );
      const atHers = new Pubsub(romeo, juliet.bare);
      await hers.publish(node, "hers");
      await hers.publish(open, "hers");
      await atHers.publish(node, "his");
      await atHers.publish(open, "his");
      const reader = new Pubsub(mercutio, juliet.bare);
      expect(await reader.items(node)).toEqual(["hers", "his"]);
      expect((await personalData(scene, romeo.bare))["pubsub_items"].rows).toEqual(
        [node, open].toSorted().map((name) => [name, "his", romeo.full, ENTRY]),
      );
      await server.node.removeUser(parseBareJid(romeo.bare));
      for (const name of [node, open]) {
        for (const who of [hers, reader]) expect(await who.items(name)).toEqual(["hers"]);
        expect(await reader.items(name, "", `<item id="his"/>`)).toEqual([]);
      }
      // What a new subscriber is sent is the newest of those that are left.
      await reader.subscribe(node, mercutio.bare);
      await mercutio.hears(itemEvent(juliet.bare, node, "hers"));
      await server.addAccount(romeo.local, romeo.domain, romeo.account.password);
      const next = new Pubsub(await another(romeo).logsIn(server.target(door)), juliet.bare);
      await next.refused("set", publishing(node, pubsubItem("his")), ["auth", "forbidden"]);
      for (const name of [node, open]) {
        await next.refused("set", `<retract node="${name}"><item id="his"/></retract>`, ["auth", "forbidden"]);
      }
      await next.publish(open, "again");
      expect(await reader.items(open)).toEqual(["hers", "again"]);
    },
  );
});

describe("a domain", () => {
  const { story } = stage({
    general: { hosts: ["localhost"], host_types: ["dynamic"] },
    modules: { mod_pubsub: {} },
  });
  let made = 0;

  story(
    "takes its nodes along, and the subscriptions of its users elsewhere",
    {},
    async ({ server, graphql, account }) => {
      const [one, other] = [`removed${++made}.example`, `kept${made}.example`];
      for (const domain of [one, other]) {
        (await graphql.admin.calls("domain.addDomain", { domain, hostType: "dynamic" })).data;
      }
      const romeo = await (await account("romeo", one)).comes();
      const juliet = await (await account("juliet", other)).comes();
      for (const c of [romeo, juliet]) await c.comesOnline();
      const [his, hers] = [freshNode(), freshNode()];
      const [own, elsewhere] = [new Pubsub(romeo, romeo.bare), new Pubsub(romeo, juliet.bare)];
      const [julietOwn, atRomeo] = [new Pubsub(juliet, juliet.bare), new Pubsub(juliet, romeo.bare)];
      await own.create(his, OPEN);
      await own.publish(his, "item0");
      await julietOwn.create(hers, OPEN);
      await elsewhere.subscribe(hers, romeo.full);
      expect(await atRomeo.items(his)).toEqual(["item0"]);
      await julietOwn.publish(hers, "item1");
      await romeo.hears(itemEvent(juliet.bare, hers, "item1"));
      await julietOwn.configure(hers, { publish_model: "open" });
      const asked = elsewhere.asks("set", publishing(hers, pubsubItem("his")));
      await romeo.skipsTo((e) => e.name === "message");
      await romeo.hears(`<iq type="result" id="${asked}"/>`);
      expect(await julietOwn.items(hers)).toEqual(["item1", "his"]);
      await server.node.hostOf(one)!.hooks.notify("remove_domain", { domain: one });
      await atRomeo.refused("get", `<items node="${his}"/>`, ["cancel", "item-not-found"]);
      await julietOwn.publish(hers, "item2");
      await romeo.receivesNothing();
      expect(await julietOwn.items(hers)).toEqual(["item1", "item2"]);
      await julietOwn.remove(hers);
    },
    { covers: ["domain_removal_SUITE:pep_removal"] },
  );

  story(
    "is no longer let in where it was by nodes of another host type, whoever gets the name",
    { mercutio: 1 },
    async ({ server, graphql, account, another, door, mercutio }) => {
      const domain = `again${++made}.example`;
      (await graphql.admin.calls("domain.addDomain", { domain, hostType: "dynamic" })).data;
      const romeo = await (await account("romeo", domain)).comes();
      const node = freshNode();
      const own = new Pubsub(mercutio, mercutio.bare);
      await own.create(node, { access_model: "whitelist" });
      await own.publish(node, "item0");
      await own.gets(
        "set",
        `<affiliations node="${node}"><affiliation jid="${romeo.bare}" affiliation="member"/></affiliations>`,
        NS_OWNER,
      );
      expect(await new Pubsub(romeo, mercutio.bare).items(node)).toEqual(["item0"]);
      await server.node.removeUser(parseBareJid(romeo.bare));
      await server.addAccount(romeo.local, domain, romeo.account.password);
      const next = await another(romeo).logsIn(server.target(door));
      await new Pubsub(next, mercutio.bare).refused("get", `<items node="${node}"/>`, [
        "cancel",
        "not-allowed",
        "closed-node",
      ]);
    },
  );
});
