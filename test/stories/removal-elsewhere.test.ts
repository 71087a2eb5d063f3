// Accounts and domains that go are gone in the databases of other host types too, and from features that their own host
// type does not run: nobody who gets the name has what was theirs.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { Client } from "../support/client.ts";
import { retrieved } from "../support/personal.ts";
import { ENTRY, freshNode, NS_OWNER, Pubsub, publishing, item as pubsubItem } from "../support/pubsub.ts";
import { type Scene, stage } from "../support/story.ts";

const file = (database: string) => ({ rdbms: { default: { connection: { driver: "sqlite", database } } } });
const MODULES = { mod_pubsub: { backend: "rdbms" }, mod_private: { backend: "rdbms" } };

/** Two files, and a host type that has no nodes. */
const { story } = stage({
  general: { hosts: ["localhost", "b.example", "bare.example"], host_types: ["dynamic"] },
  outgoing_pools: file("a.db"),
  modules: MODULES,
  host_config: [
    { host: "b.example", outgoing_pools: file("b.db") },
    { host: "bare.example", modules: { mod_presence: {}, mod_roster: {}, mod_disco: {} } },
  ],
});

interface Nodes {
  /** Only those whom the owner names may read it. */
  readonly listed: string;
  /** Everybody may publish. */
  readonly open: string;
}

/** Somebody's nodes, where a guest publishes, is subscribed and is named. */
async function guestOf(owner: Client, guest: Client): Promise<Nodes> {
  const nodes = { listed: freshNode(), open: freshNode() };
  const own = new Pubsub(owner, owner.bare);
  await own.create(nodes.listed, { access_model: "whitelist" });
  await own.create(nodes.open, { access_model: "open", publish_model: "open" });
  const named = `<affiliation jid="${guest.bare}" affiliation="publisher"/>`;
  await own.gets("set", `<affiliations node="${nodes.listed}">${named}</affiliations>`, NS_OWNER);
  await own.publish(nodes.open, "owners");
  const at = new Pubsub(guest, owner.bare);
  await at.publish(nodes.listed, "guests");
  await at.publish(nodes.open, "guests");
  expect(await at.items(nodes.listed)).toEqual(["guests"]);
  await at.subscribe(nodes.open, guest.bare);
  await guest.skipsTo((e) => e.name === "message");
  return nodes;
}

/** What is left when the guest has gone and somebody else has the name. */
async function isForgotten(owner: Client, next: Client, { listed, open }: Nodes): Promise<void> {
  const [own, at] = [new Pubsub(owner, owner.bare), new Pubsub(next, owner.bare)];
  expect(await own.items(listed)).toEqual([]);
  expect(await own.items(open)).toEqual(["owners"]);
  await at.refused("get", `<items node="${listed}"/>`, ["cancel", "not-allowed", "closed-node"]);
  await at.refused("set", publishing(listed, pubsubItem("guests")), ["auth", "forbidden"]);
  await own.publish(open, "news");
  await next.receivesNothing();
}

async function cameAgain({ server, another, door }: Scene, gone: Client): Promise<Client> {
  await server.addAccount(gone.local, gone.domain, gone.account.password);
  return (await another(gone).logsIn(server.target(door))).comesOnline();
}

describe("an account", () => {
  for (const [title, guests, owners] of [
    ["in the database of another host type", "localhost", "b.example"],
    ["in the server's database, whose own host type has another", "b.example", "localhost"],
    ["of a feature that its host type does not run", "bare.example", "localhost"],
  ] as const) {
    story(title, {}, async (scene) => {
      const { account, server, graphql } = scene;
      const owner = await (await (await account("owner", owners)).comes()).comesOnline();
      const guest = await (await (await account("guest", guests)).comes()).comesOnline();
      const nodes = await guestOf(owner, guest);
      const exported = await retrieved(graphql.ctl, guest);
      expect(exported["pubsub_items"]?.rows.toSorted()).toEqual(
        [nodes.listed, nodes.open].map((node) => [node, "guests", guest.full, ENTRY]).toSorted(),
      );
      await server.node.removeUser(parseBareJid(guest.bare));
      await isForgotten(owner, await cameAgain(scene, guest), nodes);
    });
  }
});

describe("a domain", () => {
  let made = 0;
  story("in the database of another host type", {}, async (scene) => {
    const { account, server, graphql } = scene;
    const domain = `gone${++made}.example`;
    const add = async () => void (await graphql.admin.calls("domain.addDomain", { domain, hostType: "dynamic" })).data;
    await add();
    const owner = await (await (await account("owner", "b.example")).comes()).comesOnline();
    const guest = await (await (await account("guest", domain)).comes()).comesOnline();
    const nodes = await guestOf(owner, guest);
    await server.node.domains.remove(domain, "dynamic", true);
    await add();
    await isForgotten(owner, await cameAgain(scene, guest), nodes);
  });
});
