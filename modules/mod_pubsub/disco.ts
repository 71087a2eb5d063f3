// What service discovery tells of an account's nodes (XEP-0163 §6, XEP-0060 §5).

import { StanzaError } from "../../core/errors.ts";
import type { DiscoItem, DiscoParams, Identity } from "../../core/hooks.ts";
import { MAX_LISTED, mayKnow, nodeItem, PERSONAL_FEATURES, visible } from "../pubsub/discovery.ts";
import type { PubsubEngine } from "../pubsub/engine.ts";
import { NS_PUBSUB } from "../pubsub/form.ts";
import type { NodeHead } from "../pubsub/store.ts";
import { NS_NATIVE } from "./bookmarks.ts";

export async function identities(engine: PubsubEngine, acc: Identity[], params: DiscoParams): Promise<Identity[]> {
  if (params.node === "") return [...acc, { category: "pubsub", type: "pep" }];
  const node = await visible(engine, params);
  if (node === undefined) return acc;
  const { title } = node.config;
  return [...acc, { category: "pubsub", type: "leaf", ...(title !== "" && { name: title }) }];
}

/** Features that are there when another one runs: what clients want is known, what is stored elsewhere is the same. */
const WITH: Readonly<Record<string, readonly string[]>> = {
  mod_caps: [`${NS_PUBSUB}#filtered-notifications`],
  mod_private: [`${NS_NATIVE}#compat`, "urn:xmpp:bookmarks-conversion:0"],
  mod_vcard: ["urn:xmpp:pep-vcard-conversion:0"],
};

export async function features(
  engine: PubsubEngine,
  acc: Set<string>,
  params: DiscoParams,
  modules: { has(name: string): boolean },
): Promise<Set<string>> {
  if (params.node !== "") return (await visible(engine, params)) === undefined ? acc : acc.add(NS_PUBSUB);
  acc.add(NS_PUBSUB).add(`${NS_NATIVE}#compat-pep`).add("urn:xmpp:mds:server-assist:0");
  for (const feature of PERSONAL_FEATURES) acc.add(`${NS_PUBSUB}#${feature}`);
  for (const [name, more] of Object.entries(WITH)) if (modules.has(name)) for (const feature of more) acc.add(feature);
  return acc;
}

export async function items(engine: PubsubEngine, acc: DiscoItem[], params: DiscoParams): Promise<DiscoItem[]> {
  if (params.node !== "") {
    // As in MongooseIM: what is at a node is asked for by pubsub itself.
    if ((await visible(engine, params)) !== undefined) throw new StanzaError("item-not-found");
    return acc;
  }
  const service = params.to.bare;
  const found: DiscoItem[] = [];
  for (const head of await engine.store.nodes(service, "", MAX_LISTED)) {
    if (!(await listed(engine, head, params))) continue;
    found.push(nodeItem(service.text, head));
  }
  return [...acc, ...found];
}

/** Whether the asker may know of a node; for most, its access model alone says so. */
async function listed(engine: PubsubEngine, { name, config }: NodeHead, params: DiscoParams): Promise<boolean> {
  if (params.from.bare.text === params.to.bare.text) return true;
  if (config.access_model === "open" || config.access_model === "authorize") return true;
  if (config.access_model === "presence" && params.subscribed) return true;
  const node = await engine.nodes.get(params.to.bare, name);
  return node !== undefined && (await mayKnow(engine, node, params.from.bare));
}
