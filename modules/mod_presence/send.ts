// Presence that a client sends: available, unavailable, directed (RFC 6121 §4.2, §4.4-§4.6), and the end of a session.

import { subscriptionLists } from "../../core/contacts.ts";
import { StanzaError } from "../../core/errors.ts";
import { type MaybePromise, type SessionEnd, STOP, type Stop, type SubscriptionLists } from "../../core/hooks.ts";
import { parseJid } from "../../core/jid.ts";
import { type ModuleContext, type Session, Slot } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { logOf } from "../../core/storage/away.ts";
import { viewText } from "../../core/xml/framer.ts";
import { escapeXml } from "../../core/xml/markup.ts";
import { deliverRequests, rosterOf } from "../mod_roster/index.ts";
import { directedOf, forgetDirected, rememberDirected, takeDirected } from "./directed.ts";
import { audience, toAudience, toContacts, toSessions } from "./fan.ts";
import { keepable, lastPresence } from "./last.ts";
import { probe } from "./probe.ts";

/** A client has sent presence that is no subscription stanza. */
export function clientSent(presence: Stanza, session: Session, ctx: ModuleContext): MaybePromise<Stop> {
  const { type } = presence;
  const directed = presence.toText !== undefined && presence.to.text !== session.jid.bare.text;
  // "available" is no type, but MongooseIM takes it; presence to oneself is presence to all. Nobody else need see that.
  if (type === "available") return clientSent(without("type", presence), session, ctx);
  if (!directed && presence.toText !== undefined) return clientSent(without("to", presence), session, ctx);
  switch (type) {
    case "":
      return directed ? sendDirected(presence, session, ctx) : available(presence, session, ctx);
    case "unavailable":
      return directed ? sendDirected(presence, session, ctx) : unavailable(presence, session, ctx);
    case "probe":
      if (!directed) throw new StanzaError("bad-request", "a probe is for somebody else");
      return stopAfter(ctx.server.route(presence));
    case "error":
      return directed ? stopAfter(ctx.server.route(presence)) : STOP;
    default:
      throw new StanzaError("bad-request", "Invalid presence type");
  }
}

function stopAfter(done: MaybePromise<void>): MaybePromise<Stop> {
  return done === undefined ? STOP : done.then((): Stop => STOP);
}

function without(attribute: "type" | "to", presence: Stanza): Stanza {
  const { element } = presence;
  delete element.attrs[attribute];
  const copy = viewText(element.toString());
  copy.from = presence.from;
  copy.to = presence.to;
  copy.lead = presence.lead;
  copy.origin = presence.origin;
  copy.appended = presence.appended;
  copy.removed = presence.removed && [...presence.removed];
  return copy;
}

/**
 * The value of <priority/>, 0 without one (§4.7.2.3).
 * @throws StanzaError bad-request when it is not a whole number from -128 to 127
 */
function priorityOf(presence: Stanza): number {
  if (!presence.has("priority")) return 0;
  const text = presence.childText("priority")!.trim();
  const value = Number(text);
  if (/^[+-]?\d{1,3}$/.test(text) && value >= -128 && value <= 127) return value;
  throw new StanzaError("bad-request", "a priority is a whole number from -128 to 127");
}

// --- Available ---------------------------------------------------------------------------------------------------------

function available(presence: Stanza, session: Session, ctx: ModuleContext): MaybePromise<Stop> {
  const priority = priorityOf(presence);
  const next = (lists: SubscriptionLists): MaybePromise<Stop> =>
    session.available
      ? changePresence(presence, priority, session, ctx, lists)
      : firstPresence(presence, priority, session, ctx, lists);
  const lists = subscriptionLists(ctx.host, session.jid.bare);
  return lists instanceof Promise ? lists.then(next) : next(lists);
}

/** §4.2: the session becomes available. Stored messages come first, as MongooseIM has it. */
async function firstPresence(
  presence: Stanza,
  priority: number,
  session: Session,
  ctx: ModuleContext,
  lists: SubscriptionLists,
): Promise<Stop> {
  const { hooks } = ctx.host;
  // It may have ended while its roster was read: then there is nobody to be seen.
  if (ENDED.get(session) === true) return STOP;
  session.setPresence(keepable(presence), priority);
  await hooks.notify("set_presence", { session, stanza: presence });
  await hooks.notify("user_available", { session });
  if (priority >= 0) await hooks.notify("resend_offline_messages", { session });
  if (!session.available) return STOP;
  await broadcast(presence, session, ctx, lists);
  for (const other of [...ctx.server.sessionsOf(session.jid.bare)]) {
    const theirs = other === session ? undefined : lastPresence(other);
    if (theirs !== undefined) toSessions(ctx, theirs, [session]);
  }
  await probe(ctx, session, await audience(ctx, session, "probe", lists.to));
  const roster = rosterOf(ctx.host);
  if (roster !== undefined && session.available) await deliverRequests(roster, session);
  return STOP;
}

/** §4.4: an available session changes its presence. */
function changePresence(
  presence: Stanza,
  priority: number,
  session: Session,
  ctx: ModuleContext,
  lists: SubscriptionLists,
): MaybePromise<Stop> {
  const wasNegative = session.priority < 0;
  session.setPresence(keepable(presence), priority);
  const told = ctx.host.hooks.notify("set_presence", { session, stanza: presence });
  // Messages were stored while the session wanted none (XEP-0160 §3).
  const last = (): MaybePromise<Stop> =>
    wasNegative && priority >= 0 ? stopAfter(ctx.host.hooks.notify("resend_offline_messages", { session })) : STOP;
  const then = (): MaybePromise<Stop> => {
    const shown = broadcast(presence, session, ctx, lists);
    return shown === undefined ? last() : shown.then(last);
  };
  return told === undefined ? then() : told.then(then);
}

/** To the user's available sessions, the sender among them, and to those who receive the user's presence. */
function broadcast(
  presence: Stanza,
  session: Session,
  ctx: ModuleContext,
  lists: SubscriptionLists,
): MaybePromise<void> {
  toSessions(ctx, presence, ctx.server.sessionsOf(session.jid.bare));
  return toAudience(ctx, session, presence, lists.from);
}

// --- Unavailable -------------------------------------------------------------------------------------------------------

/** §4.5: the client takes its presence back. */
function unavailable(presence: Stanza, session: Session, ctx: ModuleContext): MaybePromise<Stop> {
  const status = presence.has("status") ? presence.childText("status")! : "";
  return stopAfter(depart(presence, status, session, ctx));
}

/** Set on a session that has ended, for presence of it that is still being worked on. */
const ENDED = new Slot<true>();

/** What is told of a session that ended without saying so, in MongooseIM's words. */
const ENDS: Readonly<Record<Exclude<SessionEnd, "resumed">, string>> = {
  closed: "Shutdown by reason: stream_end",
  lost: "Shutdown by reason: socket_closed",
  replaced: "Replaced by new connection",
  kicked: "Shutdown by reason: kicked",
  shutdown: "Shutdown by reason: system_shutdown",
  timeout: "Shutdown by reason: resume_timeout",
  error: "Shutdown by reason: stream_error",
};

/** The session ends (§4.5.2: the server speaks for a client that could not). One that was resumed lives on. */
export function sessionEnds(session: Session, reason: SessionEnd, ctx: ModuleContext): MaybePromise<void> {
  if (reason === "resumed") return;
  ENDED.set(session, true);
  const status = ENDS[reason];
  const presence = viewText(`<presence type='unavailable'><status>${escapeXml(status)}</status></presence>`);
  presence.from = session.jid;
  return depart(presence, status, session, ctx);
}

/** Tells all who have seen the session that it is gone. One that nobody has seen goes without a word. */
function depart(presence: Stanza, status: string, session: Session, ctx: ModuleContext): MaybePromise<void> {
  const directed = takeDirected(session);
  if (!session.available) {
    if (directed !== undefined) return toAudience(ctx, session, presence, [...directed]);
    return;
  }
  session.setPresence(undefined, 0);
  const told = ctx.host.hooks.notify("unset_presence", { session, status });
  if (told !== undefined) {
    const what = "unset_presence_failed";
    const failed = (error: unknown): void => logOf(ctx.log, what, error)?.error(what, { error });
    void ctx.server.underWay.add(told).catch(failed);
  }
  const tell = ({ from }: SubscriptionLists): MaybePromise<void> => {
    toSessions(ctx, presence, ctx.server.sessionsOf(session.jid.bare), session);
    return toAudience(ctx, session, presence, directed === undefined ? from : united(from, directed, session));
  };
  const lists = subscriptionLists(ctx.host, session.jid.bare);
  return lists instanceof Promise ? lists.then(tell) : tell(lists);
}

/** §4.6.3: those who get the broadcast, then those who were sent presence directly. */
function united(from: readonly string[], directed: ReadonlySet<string>, session: Session): readonly string[] {
  const own = session.jid.bare.text;
  const others = [...directed].filter((jid) => {
    const bare = parseJid(jid).bare.text;
    return bare !== own && !from.includes(bare);
  });
  return [...from, ...others];
}

// --- Directed ----------------------------------------------------------------------------------------------------------

function sendDirected(presence: Stanza, session: Session, ctx: ModuleContext): MaybePromise<Stop> {
  if (presence.type === "unavailable") forgetDirected(session, presence.to);
  else rememberDirected(session, presence.to);
  return stopAfter(ctx.server.route(presence));
}

/** Sends a session's presence, or its absence, to one contact whose subscription has begun or ended. */
export function toContact(ctx: ModuleContext, session: Session, contact: string, visible: boolean): void {
  const presence = visible ? lastPresence(session) : viewText("<presence type='unavailable'/>");
  if (presence === undefined) return;
  presence.from = session.jid;
  const done = toAudience(ctx, session, presence, [contact]);
  done?.catch((error: unknown) =>
    logOf(ctx.log, "presence_not_delivered", error)?.error("presence_not_delivered", { error }),
  );
}

/** Who has seen a session's presence, as JIDs in text: contacts with a subscription, and whom it directed presence at. */
export function witnesses(ctx: ModuleContext, session: Session): MaybePromise<readonly string[]> {
  const all = ({ from }: SubscriptionLists): readonly string[] => united(from, directedOf(session), session);
  const lists = subscriptionLists(ctx.host, session.jid.bare);
  return lists instanceof Promise ? lists.then(all) : all(lists);
}

/**
 * Sends a session's presence, or its absence, to JIDs given as text, whatever features say about who may have it: for
 * the feature that has just changed that.
 */
export function showTo(ctx: ModuleContext, session: Session, jids: readonly string[], visible: boolean): void {
  const presence = visible ? lastPresence(session) : viewText("<presence type='unavailable'/>");
  if (presence === undefined || jids.length === 0) return;
  presence.from = session.jid;
  toContacts(ctx, presence, jids);
}
