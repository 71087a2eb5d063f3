// Subscription stanzas (RFC 6121 §3): what the user sends, what a contact sends, what waits for an answer.

import { StanzaError } from "../../core/errors.ts";
import { type BareJid, isFull, type Jid, parseJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { viewText } from "../../core/xml/framer.ts";
import { attr, xml } from "../../core/xml/markup.ts";
import { type RosterContext, rosterOf } from "./context.ts";
import { isHidden, itemXml, newItem, type RosterItem } from "./item.ts";
import { isInterested, newVersion, pushChange } from "./push.ts";
import type { Change } from "./roster.ts";
import {
  asked,
  hasFrom,
  hasTo,
  inbound,
  isAsked,
  outbound,
  type State,
  type SubscriptionType,
  type Transition,
} from "./subscription.ts";

declare module "../../core/hooks.ts" {
  interface NoticeHooks {
    /** The subscription between a user and a contact changed: presence must follow. Ours, not MongooseIM's. */
    roster_subscription_changed: { user: BareJid; contact: Jid; before: State; after: State };
  }
}

/**
 * A client has sent a subscription stanza: it is stamped with the user's bare JID (§3.1.2), the user's roster follows,
 * and it is routed if the contact's server has to know.
 * @throws StanzaError bad-request without a contact, not-allowed when the roster is full
 */
export async function clientSent(ctx: RosterContext, stanza: Stanza, session: Session): Promise<void> {
  if (stanza.toText === undefined) throw new StanzaError("bad-request", "a subscription is to somebody's presence");
  let sent = stanza;
  if (isFull(stanza.to)) {
    const { element } = stanza;
    element.attrs["to"] = stanza.to.bare.text;
    sent = viewText(element.toString());
    sent.to = stanza.to.bare;
    sent.origin = stanza.origin;
  }
  sent.from = session.jid.bare;
  const lang = / xml:lang='[^']*'$/.exec(stanza.lead)?.[0];
  sent.lead = lang === undefined ? "" : `${attr("from", sent.from.text)}${lang}`;
  await outgoing(ctx, sent, session.jid.bare, stanza.to.bare, stanza.type as SubscriptionType);
}

/** The user's side of a subscription stanza for a contact; `stanza` is from the user's bare JID. */
export async function outgoing(
  ctx: RosterContext,
  stanza: Stanza,
  user: BareJid,
  contact: BareJid,
  type: SubscriptionType,
): Promise<void> {
  if (user.text === contact.text) return;
  const version = newVersion(ctx);
  let transition: Transition | undefined;
  const change = await ctx.store.change(user, contact.text, version, (before) => {
    transition = outbound(before?.state ?? "none", type);
    return moved(before, contact, transition.next);
  });
  await pushChange(ctx, user, change, version);
  await ctx.host.hooks.notify("roster_out_subscription", { from: user, to: contact, type, stanza });
  if (transition?.stanza === "pass") await ctx.server.route(stanza);
  await announce(ctx, user, contact, change);
}

/** The user's side of a subscription stanza from a contact, local or not. */
export async function incoming(ctx: RosterContext, stanza: Stanza, type: SubscriptionType): Promise<void> {
  const user = stanza.to.bare;
  const contact = stanza.from.bare;
  if (user.text === contact.text) return;
  if (type === "subscribe" && !(await exists(ctx, user))) return;
  count(ctx, type);
  const message = type === "subscribe" ? (stanza.childText("status") ?? "") : "";
  const version = newVersion(ctx);
  let transition: Transition | undefined;
  const change = await ctx.store.change(user, contact.text, version, (before) => {
    transition = inbound(before?.state ?? "none", type);
    return moved(before, contact, transition.next, message);
  });
  if (transition?.stanza === "answer") {
    await ctx.server.routeXml(user, contact, xml`<presence to='${contact.text}' type='subscribed'/>`);
  } else if (transition?.stanza === "pass") {
    if (isFull(stanza.from)) {
      stanza.from = contact;
      stanza.lead = "";
    }
    // A request wants an answer from somebody who is there; the rest explains the push that follows (§3.1.6).
    const wanted = type === "subscribe" ? (s: Session) => s.available : isInterested;
    await deliver(ctx, user, stanza, wanted);
  }
  if (isSeen(change)) await pushChange(ctx, user, change, version);
  await ctx.host.hooks.notify("roster_in_subscription", { to: user, from: contact, type, stanza });
  await announce(ctx, user, contact, change);
}

/** The item in another state; without a trace when the contact had only asked and that is settled. */
function moved(before: RosterItem | undefined, contact: Jid, next: State, message = ""): RosterItem | undefined {
  if (next === (before?.state ?? "none")) return before;
  if (next === "none" && before !== undefined && isHidden(before)) return undefined;
  const askMessage = !isAsked(next) ? "" : message !== "" ? message : (before?.askMessage ?? "");
  return { ...(before ?? newItem(contact.text)), state: next, askMessage };
}

/** Whether clients see the change: a request that waits for the user's answer shows in no item (§3.1.3). */
const isSeen = ({ before, after }: Change): boolean =>
  before === undefined || after === undefined || itemXml(before) !== itemXml(after);

async function deliver(ctx: RosterContext, user: BareJid, stanza: Stanza, wanted: (s: Session) => boolean) {
  for (const session of [...ctx.server.sessionsOf(user)]) {
    if (wanted(session)) await session.receive(stanza, session.jid);
  }
}

async function exists({ server, host }: RosterContext, user: BareJid): Promise<boolean> {
  return server.sessionsOf(user).length > 0 || (await host.auth.exists(user.local, user.domain));
}

/** Tells that a subscription is another one now: presence must follow. */
export async function announce(ctx: RosterContext, user: BareJid, contact: Jid, change: Change): Promise<void> {
  const before = change.before?.state ?? "none";
  const after = change.after?.state ?? "none";
  if (before === after) return;
  await ctx.host.hooks.notify("roster_subscription_changed", { user, contact, before, after });
}

/**
 * Counts what ends in a subscription or ends one, where it arrives. MongooseIM answers `unsubscribe` with
 * `unsubscribed` and counts that; by RFC 6121 §3.3.3 there is no such answer.
 */
function count({ metrics }: RosterContext, type: SubscriptionType): void {
  if (type === "subscribe") return;
  if (type === "subscribed") metrics.sm_presence_subscription_subscription_count.add();
  else metrics.sm_presence_subscription_unsubscription_count.add();
}

/** What a contact is told when an item goes (§2.5.2): the user wants no presence of theirs and gives none, requests included. */
function endsOf(state: State): SubscriptionType[] {
  const ends: SubscriptionType[] = [];
  if (hasTo(state) || asked(state)) ends.push("unsubscribe");
  if (hasFrom(state) || isAsked(state)) ends.push("unsubscribed");
  return ends;
}

const endStanza = (contact: BareJid, type: SubscriptionType) => xml`<presence to='${contact.text}' type='${type}'/>`;

/** What follows from the removal of an item. */
export async function endSubscriptions(ctx: RosterContext, user: BareJid, item: RosterItem): Promise<void> {
  const contact = parseJid(item.jid);
  for (const type of endsOf(item.state)) {
    await ctx.server.routeXml(user, contact.bare, endStanza(contact.bare, type));
  }
  await announce(ctx, user, contact, { before: item, after: undefined });
}

/**
 * What follows for a contact when the user's account is removed: as when the item is, but also where the contact has
 * blocked the user or is in another isolated domain, for it is somebody else who may have the name next. Rejects when the
 * contact's roster could not be changed.
 */
export async function leaveContact(
  ctx: RosterContext,
  user: BareJid,
  { jid, state }: Pick<RosterItem, "jid" | "state">,
): Promise<void> {
  const contact = parseJid(jid).bare;
  const host = ctx.server.hostTypeOf(contact.domain);
  const theirs = host && rosterOf(host);
  for (const type of endsOf(state)) {
    const markup = endStanza(contact, type);
    if (theirs === undefined) await ctx.server.routeXml(user, contact, markup);
    else {
      const stanza = viewText(markup.text);
      stanza.from = user;
      stanza.to = contact;
      await incoming(theirs, stanza, type);
    }
  }
}

/** Shows the requests that wait for an answer to a session that has become available (§3.1.3). */
export async function deliverRequests(ctx: RosterContext, session: Session): Promise<void> {
  const user = session.jid.bare;
  const { pending } = await ctx.store.summary(ctx.server, user);
  if (pending.length === 0) return;
  for (const { jid, askmessage } of await ctx.store.store.requests(user)) {
    const status = askmessage === "" ? undefined : xml`<status>${askmessage}</status>`;
    const request = viewText(xml`<presence type='subscribe'>${status}</presence>`.text);
    request.from = parseJid(jid);
    request.to = session.jid;
    await session.receive(request, session.jid);
  }
}
