// What nodes of the service do when users come and go: last items to subscribers (§6.1.7), items of who has left.

import { type BareJid, makeBare } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { broadcast, Delivery, delayOf, eventOf, isActive, itemEvent, retractEvent } from "../pubsub/event.ts";
import type { Context, Running } from "./context.ts";
import type { Engine } from "./tree.ts";

/** Loads what is to be watched; told at the start of the feature. */
export async function loadWatched({ store }: Context, { watch }: Running): Promise<void> {
  for (const node of await store.withOption("purge_offline", true)) watch.add("purge_offline", node);
  for (const node of await store.withOption("send_last_published_item", "on_sub_and_presence")) {
    if (!node.service.includes("@")) watch.add("last_on_presence", node);
  }
}

/** A session became available: the last items of the nodes that it is subscribed to, where they are to be sent then. */
export async function cameOnline(ctx: Context, { service: engine, watch }: Running, session: Session): Promise<void> {
  if (!watch.any("last_on_presence")) return;
  const services = new Set([...watch.of("last_on_presence")].map((watched) => watched.service));
  for (const address of services) {
    const service = makeBare("", address);
    for (const { node: name, subscription } of await ctx.store.subscriptionsOf(service, session.jid.bare)) {
      const meant = subscription.jid.text === session.jid.text || subscription.jid.text === session.jid.bare.text;
      if (!meant || !isActive(subscription, ctx.now()) || !watch.has("last_on_presence", service, name)) continue;
      await giveLast(engine, service, name, session);
    }
  }
}

async function giveLast(engine: Engine, service: BareJid, name: string, session: Session): Promise<void> {
  const node = await engine.nodes.get(service, name);
  const item = node?.config.deliver_notifications ? await engine.lastItem(node) : undefined;
  if (node === undefined || item === undefined || !session.available) return;
  const audience = await engine.profile.audience(node);
  if (!audience.admits(session.jid.bare)) return;
  new Delivery(engine, eventOf(node, itemEvent(engine, node, item), delayOf(item)), false).toSession(session);
}

/** The last session of a user has ended: nodes with `purge_offline` forget what he published. */
export async function wentOffline(ctx: Context, running: Running, user: BareJid): Promise<void> {
  if (!running.watch.any("purge_offline") || ctx.server.sessionsOf(user).length > 0) return;
  for (const { service, node: name } of [...running.watch.of("purge_offline")]) {
    const address = parseAddress(service);
    const engine = address.isDomain ? running.service : running.pep;
    const node = await engine?.nodes.get(address, name);
    if (engine === undefined || node === undefined) continue;
    const ids = await ctx.store.purgePublisher(node, user);
    if (ids.length === 0) continue;
    for (const id of ids) await running.last?.drop(node, id);
    if (node.config.notify_retract) await broadcast(engine, node, eventOf(node, retractEvent(node, ids)));
  }
}

function parseAddress(service: string): BareJid {
  const at = service.indexOf("@");
  return at < 0 ? makeBare("", service) : makeBare(service.slice(0, at), service.slice(at + 1));
}
