// Contacts that the user has agreed to beforehand, by an invitation (XEP-0379, XEP-0401).

import type { BareJid } from "../../core/jid.ts";
import type { HostType } from "../../core/module.ts";
import { xml } from "../../core/xml/markup.ts";
import { type RosterContext, rosterOf } from "./context.ts";
import { newItem } from "./item.ts";
import { newVersion, pushChange } from "./push.ts";
import { announce } from "./subscribe.ts";
import { hasFrom, hasTo, inbound, outbound, type State } from "./subscription.ts";

/** The user's item for the contact in the state that `next` gives for the present one. */
async function move(ctx: RosterContext, user: BareJid, contact: BareJid, next: (state: State) => State): Promise<void> {
  const version = newVersion(ctx);
  const change = await ctx.store.change(user, contact.text, version, (before) => {
    const item = before ?? newItem(contact.text);
    return { ...item, state: next(item.state), askMessage: "" };
  });
  await pushChange(ctx, user, change, version);
  await announce(ctx, user, contact, change);
}

/** What a request that the user grants at once makes of a state. */
const granted = (state: State): State => outbound(inbound(state, "subscribe").next, "subscribed").next;

/**
 * The user accepts the contact's request without being asked, and asks for the contact's presence in turn; a contact of
 * this server, who has asked by an invitation, grants it at once. False when the contact has the subscription already.
 * @throws StanzaError policy-violation when the user's roster is full
 */
export async function acceptUnasked(host: HostType, user: BareJid, contact: BareJid): Promise<boolean> {
  const ctx = rosterOf(host);
  if (ctx === undefined) return false;
  const { server } = ctx;
  const before = (await ctx.store.item(user, contact.text))?.state ?? "none";
  if (hasFrom(before)) return false;
  await move(ctx, user, contact, (state) => outbound(granted(state), "subscribe").next);
  const say = (type: "subscribed" | "subscribe") =>
    server.routeXml(user, contact, xml`<presence to='${contact.text}' type='${type}'/>`);
  await say("subscribed");
  if (hasTo(before)) return true;
  const theirs = server.hostTypeOf(contact.domain);
  const other = theirs && rosterOf(theirs);
  if (other === undefined) {
    await say("subscribe");
    return true;
  }
  await move(other, contact, user, granted);
  await server.routeXml(contact, user, xml`<presence to='${user.text}' type='subscribed'/>`);
  return true;
}

/**
 * Makes two users of a host type each other's contacts, with subscriptions both ways; their clients are told by pushes.
 * @throws StanzaError policy-violation when one's roster is full
 */
export async function makeMutual(host: HostType, a: BareJid, b: BareJid): Promise<void> {
  const ctx = rosterOf(host);
  if (ctx === undefined) return;
  await move(ctx, a, b, () => "both");
  await move(ctx, b, a, () => "both");
}
