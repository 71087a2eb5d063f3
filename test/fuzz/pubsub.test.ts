// Random requests of several users at a time to a pubsub service and to each other's personal nodes: everything is
// answered, nothing fails inside, no two requests wait for each other, and what is in memory is what the tables hold.
import { expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { Client } from "../support/client.ts";
import { show } from "../support/match.ts";
import { create, deletion, discovery, ENTRY, form, items, NS_PUBSUB, owner, pubsub } from "../support/pubsub-talk.ts";
import { stage } from "../support/story.ts";
import { Random } from "./random.ts";

const ROUNDS = 15;
const AT_ONCE = 10;
const SERVICE = "pubsub.localhost";
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  node_type: ["collection", "leaf"],
  collection: ["n1", "n2", "n3"],
  access_model: ["open", "whitelist", "authorize", "presence", "roster", "7"],
  publish_model: ["open", "publishers", "subscribers"],
  max_items: ["0", "1", "2", "max", "-1"],
  persist_items: ["0", "1"],
  deliver_payloads: ["0", "1"],
  notify_retract: ["1", "true"],
  notify_config: ["1", "x"],
  purge_offline: ["1"],
  send_last_published_item: ["on_sub", "on_sub_and_presence", "never"],
  item_expire: ["1", "max"],
  deliver: ["0", "1"],
  expire: ["2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "x"],
  "show-values": ["away", "x"],
  subscription_type: ["nodes", "items"],
  subscription_depth: ["1", "all"],
  digest: ["0", "1"],
  bogus: ["1"],
};

/** What a user may ask for next. */
function request(random: Random, nodes: readonly string[], jids: readonly string[]): ["get" | "set", string] {
  const node = random.pick(nodes);
  const jid = random.pick(jids);
  const some = (type: string): string => {
    const fields = [0, 1].slice(random.below(3)).map(() => random.pick(Object.keys(FIELDS)));
    return form(type, Object.fromEntries(fields.map((f) => [`pubsub#${f}`, random.pick(FIELDS[f])])));
  };
  const id = random.pick(["i1", "i2", "i3"]);
  const payload = random.pick([ENTRY, ENTRY, "", `<a xmlns="u"/><b xmlns="v"/>`, `<n:x xmlns:n="q"/>`]);
  const affiliation = random.pick(["owner", "publisher", "publish-only", "member", "none", "outcast", "x"]);
  const state = random.pick(["subscribed", "none", "pending", "x"]);
  const page = random.pick(["", "<max>1</max>", "<max>1</max><before/>", "<max>x</max>", "<after>i1</after>"]);
  return random.pick<["get" | "set", string]>([
    ["set", create(node)],
    ["set", create(node, { "pubsub#node_type": "collection" })],
    ["set", pubsub(`<create node="${node}"/><configure>${some("node_config")}</configure>`)],
    ["set", pubsub(`<publish node="${node}"><item id="${id}">${payload}</item></publish>`)],
    ["set", pubsub(`<publish node="${node}"/><publish-options>${some("publish-options")}</publish-options>`)],
    ["set", pubsub(`<retract node="${node}" notify="1"><item id="${id}"/></retract>`)],
    ["get", pubsub(`<items node="${node}"/><set xmlns="http://jabber.org/protocol/rsm">${page}</set>`)],
    ["set", pubsub(`<subscribe node="${node}" jid="${jid}"/><options>${some("subscribe_options")}</options>`)],
    ["set", pubsub(`<subscribe node="${node}" jid="${jid}"/>`)],
    ["set", pubsub(`<unsubscribe node="${node}" jid="${jid}"/>`)],
    ["set", pubsub(`<options node="${node}" jid="${jid}">${some("subscribe_options")}</options>`)],
    ["get", pubsub(random.pick(["<subscriptions/>", "<affiliations/>", "<default/>", "<x/>", ""]))],
    ["set", owner(`<configure node="${node}">${some("node_config")}</configure>`)],
    ["set", deletion(node)],
    ["set", owner(`<purge node="${node}"/>`)],
    [
      "set",
      owner(`<affiliations node="${node}"><affiliation jid="${jid}" affiliation="${affiliation}"/></affiliations>`),
    ],
    [
      "set",
      owner(`<subscriptions node="${node}"><subscription jid="${jid}" subscription="${state}"/></subscriptions>`),
    ],
    ["get", discovery(random.pick(["info", "items"]), node)],
    [
      "set",
      `<command xmlns="http://jabber.org/protocol/commands" node="${NS_PUBSUB}#get-pending">${form("subscribe_authorization", { "pubsub#node": node })}</command>`,
    ],
  ]);
}

/** Takes answers until all of these ids have had one. */
async function answered(c: Client, open: Map<string, string>): Promise<void> {
  while (open.size > 0) {
    const e = await c.skipsTo((x) => x.name === "iq" && open.has(x.attrs["id"]));
    const asked = open.get(e.attrs["id"]);
    if (show(e).includes("internal-server-error")) throw new Error(`It failed inside: ${asked}`);
    open.delete(e.attrs["id"]);
  }
}

/** What the owners see of all nodes. */
async function seen(clients: readonly Client[], nodes: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  for (const c of clients) {
    for (const node of nodes) {
      for (const what of ["configure", "affiliations", "subscriptions", "items"]) {
        for (const to of [SERVICE, c.bare]) {
          const payload = what === "items" ? items(node) : owner(`<${what} node="${node}"/>`);
          c.says(`<iq type="get" id="seen" to="${to}">${payload}</iq>`);
          const answer = show(await c.skipsTo((x) => x.name === "iq" && x.attrs["id"] === "seen"));
          const parts = answer.match(/<(affiliation|subscription|item|field|value|error)[^>]*>[^<]*/g) ?? [];
          all.push(`${c.full} ${to} ${node} ${what}: ${parts.sort().join(" ")}`);
        }
      }
    }
  }
  return all;
}

for (const [seed, nodetree, plugins] of [
  [1, "dag", ["dag", "flat", "pep"]],
  [2, "tree", ["hometree", "flat", "pep"]],
] as const) {
  const { story } = stage({
    modules: { mod_caps: {}, mod_pubsub_old: { nodetree, plugins: [...plugins], last_item_cache: "mnesia" } },
  });
  story(
    `nodetree = "${nodetree}"`,
    { romeo: 1, juliet: 1, nurse: 2 },
    async ({ romeo, juliet, nurse, server }) => {
      const random = new Random(seed);
      const clients = [romeo, juliet, ...nurse];
      const homes = clients.flatMap(({ local }) => [`/home/localhost/${local}`, `/home/localhost/${local}/x`]);
      const nodes = nodetree === "dag" ? ["n1", "n2", "n3", "n4"] : ["n1", ...homes];
      const jids = [...clients.flatMap((c) => [c.full, c.bare]), "x@elsewhere.example"];
      for (let round = 0; round < ROUNDS; round++) {
        const open = clients.map((c) => {
          const asked = new Map<string, string>();
          for (let i = 0; i < AT_ONCE; i++) {
            const [type, payload] = request(random, nodes, jids);
            const to = random.below(4) === 0 ? random.pick(clients).bare : SERVICE;
            asked.set(`${round}-${i}`, payload);
            c.says(`<iq type="${type}" id="${round}-${i}" to="${to}">${payload}</iq>`);
          }
          return asked;
        });
        for (const [i, c] of clients.entries()) await answered(c, open[i]);
      }
      const before = await seen(clients, nodes);
      // Somebody who was never there is removed: nothing changes but that all is read anew.
      await server.node.hostOf("localhost")!.hooks.notify("remove_user", { jid: parseBareJid("nobody@localhost") });
      expect(await seen(clients, nodes)).toEqual(before);
      romeo.tally.assertions++;
    },
    { door: "tcp" },
  );
}
