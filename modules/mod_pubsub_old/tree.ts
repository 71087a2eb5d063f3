// How nodes are ordered: in collections that their configuration names (nodetree dag), or by paths (nodetree tree).

import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import { ancestorsOf, associateEvent, createEvent, sendWide } from "../pubsub/collections.ts";
import type { Audience, PubsubEngine } from "../pubsub/engine.ts";
import { pubsubError, unsupported } from "../pubsub/errors.ts";
import { type Event, nodeEvent } from "../pubsub/event.ts";
import type { NewNode, NodeConfig, PubsubNode } from "../pubsub/model.ts";
import { homeOf, pathParent } from "./plugins.ts";
import type { PubsubOldStore } from "./store.ts";

export type Engine = PubsubEngine<PubsubOldStore>;

/** Nodes that are looked at in one go when a collection goes. */
const BATCH = 500;

/** Where a node is, by the nodetree of the service. */
export type Parents = (node: NewNode) => readonly string[];

export const parentsIn =
  (nodetree: "tree" | "dag"): Parents =>
  (node) => {
    if (node.kind === "hometree" && nodetree === "tree") {
      const parent = pathParent(node.name);
      return parent === undefined ? [] : [parent];
    }
    return nodetree === "dag" ? node.config.collection : [];
  };

/** Whether a user may make a hometree node of this name: at home, and below a node that is there. */
export async function mayHaveAtHome(engine: Engine, service: BareJid, who: BareJid, name: string): Promise<boolean> {
  const home = homeOf(who.local, who.domain);
  if (name === home) return true;
  if (!name.startsWith(`${home}/`) || name.endsWith("/") || name.includes("//")) return false;
  const parent = pathParent(name);
  return parent !== undefined && (await engine.nodes.peek(service, parent)) !== undefined;
}

/** @throws StanzaError for collections where nodes are ordered by their names alone */
export function checkTree({ config }: NewNode): void {
  if (config.node_type === "collection") throw unsupported("collections");
  if (config.collection.length > 0) throw new StanzaError("not-acceptable", "Nodes are in no collections here");
}

/**
 * XEP-0248 §7: the collections of a node are there, are collections, belong to who puts it there, and are not in it.
 * @throws StanzaError item-not-found, not-allowed, forbidden
 */
export async function checkCollections(
  engine: Engine,
  parents: Parents,
  node: NewNode,
  who: BareJid,
  before: PubsubNode | undefined,
): Promise<void> {
  const { service, name, config } = node;
  if (before !== undefined && before.config.node_type !== config.node_type) {
    throw new StanzaError("not-allowed", "A node stays what it was made as");
  }
  if (node.kind === "hometree") return;
  for (const collection of parents(node)) {
    if (before?.config.collection.includes(collection)) continue;
    const parent = collection === name ? undefined : await engine.nodes.peek(service, collection);
    if (parent === undefined) throw new StanzaError("item-not-found", `There is no collection "${collection}"`);
    if (parent.config.node_type !== "collection") throw new StanzaError("not-allowed", `"${collection}" is a leaf`);
    if (engine.affiliation(parent, who) !== "owner") throw new StanzaError("forbidden");
    const above = await ancestorsOf(engine, parent, parents);
    if (above.some((a) => a.node.name === name)) {
      throw pubsubError("invalid-options", "A collection cannot be in itself", "conflict");
    }
  }
}

/** A new node, or one with other collections than before: subscribers of the collections hear of it. */
export async function tellCollections(
  engine: Engine,
  parents: Parents,
  audience: Audience,
  node: PubsubNode,
  before: NodeConfig | undefined,
): Promise<void> {
  if (before === undefined) {
    if (parents(node).length > 0)
      await sendUp(engine, parents, audience, node, nodeEvent(node, createEvent(node)), false);
    return;
  }
  const known = new Set(before.collection);
  for (const collection of node.config.collection) {
    if (known.delete(collection)) continue;
    await tellOne(engine, audience, node, collection, "associate");
  }
  for (const collection of known) await tellOne(engine, audience, node, collection, "disassociate");
}

async function tellOne(
  engine: Engine,
  audience: Audience,
  node: PubsubNode,
  collection: string,
  what: "associate" | "disassociate",
): Promise<void> {
  const parent = await engine.nodes.peek(node.service, collection);
  if (parent === undefined) return;
  const alone = { ...node, subscriptions: new Map() };
  sendWide(engine, alone, nodeEvent(node, associateEvent(node, what, collection)), audience, [
    { node: parent, depth: 1 },
  ]);
}

/** An event to the subscribers of a node and of the collections above it. */
export async function sendUp(
  engine: Engine,
  parents: Parents,
  audience: Audience,
  node: PubsubNode,
  event: Event,
  own = true,
): Promise<void> {
  const ancestors = await ancestorsOf(engine, node, parents);
  sendWide(engine, own ? node : { ...node, subscriptions: new Map() }, event, audience, ancestors);
}

/** After a node was deleted: what was below its path goes too, what was in the collection is in none any more. */
export async function orphan(engine: Engine, nodetree: "tree" | "dag", gone: PubsubNode): Promise<void> {
  for (let after = ""; ; ) {
    const children = await engine.store.children(gone.service, gone.name, after, BATCH);
    for (const { name } of children) {
      after = name;
      await engine.nodes.turn(gone.service, name, async (child) => {
        if (child === undefined) return;
        if (child.kind === "hometree" && nodetree === "tree") {
          await engine.nodes.remove(child);
          await engine.profile.removed?.(child);
        } else {
          const collection = child.config.collection.filter((c) => c !== gone.name);
          await engine.nodes.configure(child, { ...child.config, collection });
        }
      });
    }
    if (children.length < BATCH) return;
  }
}
