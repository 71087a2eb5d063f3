// What service discovery tells of the service, its nodes and their items (XEP-0060 §5.1 to §5.5).

import { infoMarkup, itemsMarkup } from "../../core/disco/answers.ts";
import { StanzaError } from "../../core/errors.ts";
import type { Iq } from "../../core/module.ts";
import { NS_COMMANDS, NS_DISCO_INFO, NS_DISCO_ITEMS, NS_RSM } from "../../core/ns.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { contactForms } from "../mod_disco/index.ts";
import { requireReader } from "../pubsub/access.ts";
import { COMMON_FEATURES, nodeItem } from "../pubsub/discovery.ts";
import { resultForm } from "../pubsub/fields.ts";
import { NS_PUBSUB } from "../pubsub/form.ts";
import type { PubsubNode } from "../pubsub/model.ts";
import { GET_PENDING } from "../pubsub/pending.ts";
import { boundedPage } from "../pubsub/rsm.ts";
import type { NodeHead } from "../pubsub/store.ts";
import type { Context } from "./context.ts";
import { serviceKinds } from "./profile.ts";
import type { Engine } from "./tree.ts";

const FEATURES = [
  ...COMMON_FEATURES,
  "get-pending",
  "instant-nodes",
  "retrieve-default-sub",
  "subscription-options",
].sort();
const COLLECTION_FEATURES = ["collections", "multi-collection"];

/** Nodes in one answer. */
const MAX_LISTED = 500;

/** disco#info of the service, or of one of its nodes. */
export async function serviceInfo(engine: Engine, ctx: Context, iq: Iq): Promise<Markup> {
  const name = iq.payload.attrs["node"] ?? "";
  if (name === "") {
    const { plugins, nodetree } = ctx.config;
    const identities = [{ category: "pubsub", type: "service", name: "Publish-Subscribe" }];
    if (plugins.includes("pep")) identities.push({ category: "pubsub", type: "pep", name: "Personal eventing" });
    const creates = serviceKinds(ctx).length > 0;
    const own = nodetree === "dag" ? [...FEATURES, ...COLLECTION_FEATURES] : FEATURES;
    const names = creates ? own : own.filter((feature) => !NEED_KINDS.includes(feature));
    const features = [NS_COMMANDS, NS_DISCO_INFO, NS_DISCO_ITEMS, NS_PUBSUB];
    features.push(...names.map((feature) => `${NS_PUBSUB}#${feature}`));
    return infoMarkup({ identities, features, forms: contactForms(ctx.host, "mod_pubsub_old") }, "");
  }
  if (name === GET_PENDING) {
    const identities = [{ category: "automation", type: "command-node", name: "Pending subscriptions" }];
    return infoMarkup({ identities, features: [NS_COMMANDS], forms: [] }, name);
  }
  const node = await visibleNode(engine, iq, name);
  const { title, node_type } = node.config;
  const identity = { category: "pubsub", type: node_type, ...(title !== "" && { name: title }) };
  const form = resultForm(node.config, engine.profile.limits, "meta-data");
  return infoMarkup({ identities: [identity], features: [NS_DISCO_INFO, NS_PUBSUB], forms: [form] }, name);
}
/** What makes no sense where no node can be made. */
const NEED_KINDS = ["auto-create", "create-and-configure", "create-nodes", "instant-nodes"];

/** disco#items: nodes at the top of the service, nodes in a collection, items of a leaf; in parts (XEP-0059) if asked. */
export async function serviceItems(engine: Engine, ctx: Context, iq: Iq): Promise<Markup> {
  const name = iq.payload.attrs["node"] ?? "";
  if (name === NS_COMMANDS) {
    return itemsMarkup([{ jid: iq.to.text, node: GET_PENDING, name: "Pending subscriptions" }], name);
  }
  const set = iq.payload.getChild("set", NS_RSM);
  const { max, after = "" } = set === undefined ? { max: MAX_LISTED } : boundedPage(set, MAX_LISTED);
  const service = iq.to.bare;
  if (name === "") {
    const heads = await engine.store.roots(service, after, max);
    return listed(engine, iq, heads, name, set !== undefined || heads.length === MAX_LISTED);
  }
  const node = await visibleNode(engine, iq, name);
  const heads = await engine.store.children(service, name, after, max);
  if (node.config.node_type === "collection" || heads.length > 0 || ctx.config.nodetree === "tree") {
    if (heads.length > 0 || node.config.node_type === "collection") {
      return listed(engine, iq, heads, name, set !== undefined || heads.length === MAX_LISTED);
    }
  }
  await requireReader(engine, node, iq.from.bare);
  const items = await engine.store.newest(node, MAX_LISTED);
  return itemsMarkup(
    items.map(({ id }) => ({ jid: service.text, name: id })),
    name,
  );
}

async function listed(
  engine: Engine,
  iq: Iq,
  heads: readonly NodeHead[],
  node: string,
  paged: boolean,
): Promise<Markup> {
  const shown = await visibleOf(engine, iq, heads);
  const jid = iq.to.bare.text;
  const items = shown.map((head) => nodeItem(jid, head));
  const [first, last] = [heads[0], heads.at(-1)];
  const ends = first && last && xml`<first>${first.name}</first><last>${last.name}</last>`;
  return itemsMarkup(items, node, paged ? xml`<set xmlns='${NS_RSM}'>${ends}</set>` : undefined);
}

/** Nodes that are for a few are not told to others. */
async function visibleOf(engine: Engine, iq: Iq, heads: readonly NodeHead[]): Promise<NodeHead[]> {
  const hidden = ({ config }: NodeHead): boolean => config.access_model === "whitelist";
  if (!heads.some(hidden)) return [...heads];
  const own = new Set(
    (await engine.store.affiliationsOf(iq.to.bare, iq.from.bare))
      .filter(({ affiliation }) => affiliation !== "outcast")
      .map(({ node }) => node),
  );
  return heads.filter((head) => !hidden(head) || own.has(head.name));
}

/** @throws StanzaError item-not-found, for a node that is for others too */
async function visibleNode(engine: Engine, iq: Iq, name: string): Promise<PubsubNode> {
  const node = await engine.nodes.get(iq.to.bare, name);
  const hidden = node?.config.access_model === "whitelist" && engine.affiliation(node, iq.from.bare) === "none";
  if (node === undefined || hidden) throw new StanzaError("item-not-found");
  return node;
}
