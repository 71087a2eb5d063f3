// What nodes of the service do when users come online: last items go to subscribers (XEP-0060 §6.1.7).

import { type BareJid, makeBare } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { Delivery, delayOf, eventOf, isActive, itemEvent } from "../pubsub/event.ts";
import type { Context, Running } from "./context.ts";
import type { Engine } from "./tree.ts";

/** Loads what is to be watched; told at the start of the feature. */
export async function loadWatched({ store }: Context, { watch }: Running): Promise<void> {
  for (const { service, node } of await store.withOption("send_last_published_item", "on_sub_and_presence")) {
    if (!service.includes("@")) watch.add(service, node);
  }
}

/** A session became available: the last items of the nodes that it is subscribed to, where they are to be sent then. */
export async function cameOnline(ctx: Context, { service: engine, watch }: Running, session: Session): Promise<void> {
  for (const address of watch.services()) {
    const service = makeBare("", address);
    for (const { node: name, subscription } of await ctx.store.subscriptionsOf(service, session.jid.bare)) {
      const meant = subscription.jid.text === session.jid.text || subscription.jid.text === session.jid.bare.text;
      if (!meant || !isActive(subscription, ctx.now()) || !watch.has(service, name)) continue;
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
