// What service discovery tells of an account's nodes (XEP-0163 §6, XEP-0060 §5).

import type { DiscoItem, DiscoParams, Identity } from "../../core/hooks.ts";
import { MAX_LISTED, nodeItem, PERSONAL_FEATURES, visible } from "../pubsub/discovery.ts";
import { NS_PUBSUB } from "../pubsub/form.ts";
import type { Engine } from "./tree.ts";

const FEATURES = [...PERSONAL_FEATURES, "filtered-notifications", "subscription-options"];

const isOwner = ({ from, to }: DiscoParams): boolean => from.bare.text === to.bare.text;

/** As in MongooseIM an account is a pep service at any node that its owner asks about. */
export async function identities(engine: Engine, acc: Identity[], params: DiscoParams): Promise<Identity[]> {
  if (params.node === "" || isOwner(params)) return [...acc, { category: "pubsub", type: "pep" }];
  const node = await visible(engine, params);
  return node === undefined ? acc : [...acc, { category: "pubsub", type: node.config.node_type }];
}

export async function features(engine: Engine, acc: Set<string>, params: DiscoParams): Promise<Set<string>> {
  if (params.node !== "" && !isOwner(params)) {
    return (await visible(engine, params)) === undefined ? acc : acc.add(NS_PUBSUB);
  }
  acc.add(NS_PUBSUB);
  if (params.node === "") for (const feature of FEATURES) acc.add(`${NS_PUBSUB}#${feature}`);
  return acc;
}

export async function items(engine: Engine, acc: DiscoItem[], params: DiscoParams): Promise<DiscoItem[]> {
  const jid = params.to.bare.text;
  if (params.node !== "") {
    const node = await visible(engine, params);
    return node === undefined ? acc : [...acc, { jid, node: node.name }];
  }
  const found: DiscoItem[] = [];
  for (const head of await engine.store.nodes(params.to.bare, "", MAX_LISTED)) {
    const { name, config } = head;
    const plain = config.access_model === "open" || (config.access_model === "presence" && params.subscribed);
    if (!plain && !isOwner(params) && (await visible(engine, { ...params, node: name })) === undefined) continue;
    found.push(nodeItem(jid, head));
  }
  return [...acc, ...found];
}
