// Publishing and retracting items (XEP-0060 §7).

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import type { BareJid, Jid } from "../../core/jid.ts";
import { StorageError } from "../../core/storage/db.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { standalone } from "../../core/xml/standalone.ts";
import { anyNode, requirePublisher } from "./access.ts";
import { makeNode } from "./create.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { pubsubError, unsupported } from "./errors.ts";
import { broadcast, eventOf, itemEvent, retractEvent } from "./event.ts";
import { configured, meets } from "./fields.ts";
import { type FormValues, NS_PUBSUB } from "./form.ts";
import type { Item, NodeConfig, PubsubNode } from "./model.ts";
import type { NewItem, Request } from "./request.ts";

export async function publish(
  engine: PubsubEngine,
  asker: Asker,
  { node: name, item, options }: Request & { kind: "publish" },
): Promise<Markup> {
  const node = await nodeToPublish(engine, asker, name, item, options);
  const stored = await publishItem(engine, node, asker.from, item);
  const inside = stored === undefined ? undefined : xml`<item id='${stored.id}'/>`;
  return xml`<pubsub xmlns='${NS_PUBSUB}'><publish node='${name}'>${inside}</publish></pubsub>`;
}

/** The node to publish to, made when the service does that (§7.1.4); nothing is made for an item that it refuses. */
async function nodeToPublish(
  engine: PubsubEngine,
  asker: Asker,
  name: string,
  item: NewItem | undefined,
  options: FormValues | undefined,
): Promise<PubsubNode> {
  const who = asker.from.bare;
  const there = (node: PubsubNode): PubsubNode => {
    requirePublisher(engine, node, who);
    // XEP-0248 §5: items are published to leaves.
    if (node.config.node_type === "collection") throw unsupported("publish");
    if (options !== undefined && !meets(node.config, options, engine.profile.limits)) {
      throw pubsubError("precondition-not-met");
    }
    checkItem(engine, node.config, item);
    return node;
  };
  const found = await engine.nodes.get(asker.service, name);
  if (found !== undefined) return there(found);
  const { profile } = engine;
  if (!profile.autoCreate) throw profile.missing(asker.service, who, false);
  const config = configOfNew(engine, asker.service, name, options);
  if (!(await profile.mayCreate(asker.service, who, name))) throw new StanzaError("forbidden");
  checkItem(engine, config, item);
  if (item?.payload !== undefined) checkSize(engine, config, markupOf(item.payload));
  const made = await makeNode(engine, asker, name, config);
  // Somebody has been faster.
  return made ?? there(await anyNode(engine, asker, name));
}

/** @throws StanzaError conflict: a node that is made so does not meet the options */
function configOfNew(
  engine: PubsubEngine,
  service: BareJid,
  name: string,
  options: FormValues | undefined,
): NodeConfig {
  const { profile } = engine;
  const defaults = profile.defaults(service, profile.kindOf?.(service, undefined, name));
  if (options === undefined) return defaults;
  try {
    return configured(defaults, options, engine.profile.limits);
  } catch (error) {
    if (error instanceof StanzaError) throw pubsubError("precondition-not-met", error.text);
    throw error;
  }
}

/** §7.1.3.4 to §7.1.3.6 */
function checkItem({ profile }: PubsubEngine, config: NodeConfig, item: NewItem | undefined): void {
  const transient = !config.persist_items;
  const light = !config.deliver_payloads;
  if (item === undefined) {
    if (transient && light) return;
    throw pubsubError("item-required");
  }
  if (transient && light) throw pubsubError("item-forbidden");
  if (item.payload === undefined && !(light && !transient)) throw pubsubError("payload-required");
  if (item.id !== undefined && item.id.length > profile.limits.itemId) {
    throw new StanzaError("not-acceptable", `An item's id has at most ${profile.limits.itemId} characters`);
  }
}

/** @throws StanzaError payload-too-big (§7.1.3.4) */
function checkSize({ profile }: PubsubEngine, config: NodeConfig, payload: string): void {
  const most = Math.min(config.max_payload_size, profile.limits.maxPayloadSize);
  if (Buffer.byteLength(payload) > most) {
    throw pubsubError("payload-too-big", `A payload has at most ${most} bytes`);
  }
}

/**
 * Stores an item of somebody who may publish it and tells the subscribers; undefined for an event without an item.
 * @param derived the item was made from another one: the profile is not told of it
 */
export async function publishItem(
  engine: PubsubEngine,
  node: PubsubNode,
  publisher: Jid,
  { id, payload }: NewItem = { id: undefined, payload: undefined },
  derived = false,
): Promise<Item | undefined> {
  const { config } = node;
  if (!config.persist_items && !config.deliver_payloads) {
    await broadcast(engine, node, eventOf(node, xml`<items node='${node.name}'/>`));
    return undefined;
  }
  const text = payload === undefined ? "" : markupOf(payload);
  checkSize(engine, config, text);
  const item: Item = { id: id ?? engine.server.token(8), publisher, payload: text, at: engine.now() };
  const keep = engine.keep(node);
  const store = async () =>
    keep.newest > 0 ? stored(engine.store.publish(node, item, keep), engine, node) : undefined;
  await engine.change(node, store, async (gone) => {
    if (config.purge_offline && engine.server.sessionsOf(publisher.bare).length > 0) {
      engine.fleeting.remember(node, publisher.bare);
    }
    const event = eventOf(node, itemEvent(engine, node, item));
    await broadcast(engine, node, config.deliver_payloads ? { ...event, payload: text } : event);
    // After the news of the item that took their place.
    if (gone && gone.length > 0 && config.notify_retract) {
      await broadcast(engine, node, eventOf(node, retractEvent(node, gone)));
    }
  });
  // Outside of the node's turn: what is copied from node to node would wait in a circle.
  if (!derived) await engine.profile.published?.(node, item, payload);
  return item;
}

/** The node may have gone since it was looked up. */
async function stored<T>(done: Promise<T>, { profile }: PubsubEngine, { service }: PubsubNode): Promise<T> {
  try {
    return await done;
  } catch (error) {
    if (error instanceof StorageError && error.code === "constraint") throw profile.missing(service, service, false);
    throw error;
  }
}

/** An element's markup, with its namespace when it inherits it. */
export function markupOf(el: Element): string {
  const ns = el.getNS();
  if (ns !== undefined && !el.name.includes(":")) el.attrs["xmlns"] ??= ns;
  return standalone(el);
}

/** §7.2 */
export async function retract(
  engine: PubsubEngine,
  asker: Asker,
  { node: name, id, notify }: Request & { kind: "retract" },
): Promise<undefined> {
  const node = await engine.nodes.get(asker.service, name);
  const who = asker.from.bare;
  if (node === undefined) throw engine.profile.missing(asker.service, who, true);
  const affiliation = engine.affiliation(node, who);
  if (affiliation !== "owner" && affiliation !== "publisher") {
    // Others have what they have published.
    const item = affiliation === "outcast" ? undefined : await engine.store.item(node, id);
    if (item?.publisher.bare.text !== who.text) throw new StanzaError("forbidden");
  }
  // Unasked, it is told only where the node is configured to (§7.2.2.1).
  const told = notify || node.config.notify_retract;
  if (!(await retractItem(engine, node, id, told))) throw new StanzaError("item-not-found");
  await engine.profile.retracted?.(node, id);
}

/** Deletes an item, and says so when it is to be `told`; false when there is none. */
export function retractItem(engine: PubsubEngine, node: PubsubNode, id: string, told = true): Promise<boolean> {
  return engine.change(
    node,
    () => engine.store.retract(node, id),
    (gone) => (gone && told ? broadcast(engine, node, eventOf(node, retractEvent(node, [id]))) : undefined),
  );
}
