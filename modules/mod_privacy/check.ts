// Stanzas judged by privacy lists (XEP-0016 §2.2, §2.14): what a session sends, what comes for it, and what comes for
// an account without a session to take it.

import { STRANGER } from "../../core/contacts.ts";
import { StanzaError } from "../../core/errors.ts";
import {
  type ContactInfo,
  type FoldHooks,
  type MaybePromise,
  STOP,
  type Stop,
  type SubscriptionLists,
  type Verdict,
} from "../../core/hooks.ts";
import { type BareJid, isFull, type Jid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { MESSAGE, PRESENCE, type Stanza } from "../../core/stanza.ts";
import { appliedTo, hasChosen, type PrivacyContext } from "./context.ts";
import {
  type Action,
  type Contact,
  IQ_IN,
  MESSAGE_IN,
  OTHER,
  PRESENCE_IN,
  PRESENCE_OUT,
  type PrivacyList,
} from "./list.ts";

const BLOCKED = "<blocked xmlns='urn:xmpp:blocking:errors'/>";

/** The kind of a stanza that goes out or comes in, as lists have it. */
function kindOf(stanza: Stanza, dir: "in" | "out"): number {
  if (stanza.kind === PRESENCE) {
    if (stanza.type !== "" && stanza.type !== "unavailable") return OTHER;
    return dir === "in" ? PRESENCE_IN : PRESENCE_OUT;
  }
  if (dir === "out") return OTHER;
  return stanza.kind === MESSAGE ? MESSAGE_IN : IQ_IN;
}

/** Of any list of the user's: his own sessions, his account, his server. */
export const isOutOfReach = (user: BareJid, peer: Jid): boolean =>
  peer.bare.text === user.text || peer.text === user.domain;

/**
 * What a list says of a stanza. A user's own sessions, his account and his server are never out of his reach (§2.1,
 * and XEP-0191 §5), or he could not take back what he has done.
 */
export function judge(
  ctx: PrivacyContext,
  list: PrivacyList,
  user: BareJid,
  peer: Jid,
  kind: number,
): MaybePromise<Action> {
  if (isOutOfReach(user, peer)) return "allow";
  return list.verdict(kind, peer, (needsGroups) => contactOf(ctx, user, peer.bare, needsGroups));
}

// What a fold gives back when nobody has said anything: there is no roster, or it could not be read.
const NO_INFO: ContactInfo = Object.freeze({ ...STRANGER });
const NO_LISTS: SubscriptionLists = Object.freeze({ from: [], to: [] });

/**
 * What the user's roster says of somebody: at once, for a connected user, when groups do not matter.
 * @throws Error when the roster cannot be read
 */
function contactOf(
  { host: { hooks } }: PrivacyContext,
  user: BareJid,
  peer: BareJid,
  needsGroups: boolean,
): MaybePromise<Contact> {
  const unread = (hook: "roster_get_jid_info" | "roster_get_subscription_lists"): Contact => {
    if (hooks.has(hook)) throw new Error("The roster cannot be read");
    return STRANGER;
  };
  if (needsGroups) {
    const given = (info: ContactInfo): Contact => (info === NO_INFO ? unread("roster_get_jid_info") : info);
    const info = hooks.fold("roster_get_jid_info", NO_INFO, { jid: user, contact: peer });
    return info instanceof Promise ? info.then(given) : given(info);
  }
  const given = (lists: SubscriptionLists): Contact => {
    if (lists === NO_LISTS) return unread("roster_get_subscription_lists");
    const [isFrom, isTo] = [lists.from.includes(peer.text), lists.to.includes(peer.text)];
    return { subscription: isFrom ? (isTo ? "both" : "from") : isTo ? "to" : "none", groups: [] };
  };
  const lists = hooks.fold("roster_get_subscription_lists", NO_LISTS, { jid: user });
  return lists instanceof Promise ? lists.then(given) : given(lists);
}

/** Counts what was said, and says whether the stanza may go on. */
function passes({ metrics }: PrivacyContext, action: Action): boolean {
  if (action === "allow") return true;
  if (action === "block") metrics.mod_privacy_check_packet_blocked_count.add();
  else metrics.mod_privacy_check_packet_denied_count.add();
  return false;
}

// --- Sessions -----------------------------------------------------------------------------------------------------------

/** user_send_*: the sender is told what he may not send (§2.14). */
export function sent(stanza: Stanza, session: Session, ctx: PrivacyContext): Verdict {
  ctx.metrics.mod_privacy_check_packet_count.add();
  const list = appliedTo(session);
  if (list === undefined) return;
  const action = judge(ctx, list, session.jid.bare, stanza.to, kindOf(stanza, "out"));
  const decide = (said: Action): void => {
    if (passes(ctx, said)) return;
    throw new StanzaError("not-acceptable", undefined, "cancel", said === "block" ? BLOCKED : undefined);
  };
  return action instanceof Promise ? action.then(decide, (error: unknown) => unknown(ctx, error)) : decide(action);
}

/** A database that is away keeps from saying what a list says: then nothing passes, and who can is asked to try again. */
function unknown(ctx: PrivacyContext, error: unknown): never {
  if (error instanceof StanzaError) throw error;
  ctx.log.limited("judge", 10)?.error("privacy_check_failed", { error });
  throw new StanzaError("internal-server-error");
}

/** user_receive_*: see `turnAway`. */
export function received(stanza: Stanza, session: Session, ctx: PrivacyContext): Verdict {
  ctx.metrics.mod_privacy_check_packet_count.add();
  const list = appliedTo(session);
  return list === undefined ? undefined : incoming(ctx, list, session.jid.bare, stanza);
}

function incoming(
  ctx: PrivacyContext,
  list: PrivacyList,
  user: BareJid,
  stanza: Stanza,
): MaybePromise<Stop | undefined> {
  const action = judge(ctx, list, user, stanza.from, kindOf(stanza, "in"));
  const decide = (said: Action): Stop | undefined => (passes(ctx, said) ? undefined : turnAway(stanza));
  return action instanceof Promise ? action.then(decide, (e: unknown) => unjudged(ctx, stanza, e)) : decide(action);
}

function unjudged(ctx: PrivacyContext, stanza: Stanza, error: unknown): Stop {
  if (!isSilent(stanza)) return unknown(ctx, error);
  ctx.log.limited("judge", 10)?.error("privacy_check_failed", { error });
  return STOP;
}

/**
 * Messages and requests are answered as if nobody were there; presence, answers and errors go without a word (§2.14), and
 * so do messages of rooms, which would take an error for the user's having left.
 */
function turnAway(stanza: Stanza): Stop {
  if (isSilent(stanza)) return STOP;
  throw new StanzaError("service-unavailable");
}

const isSilent = ({ kind, type }: Stanza): boolean =>
  kind === PRESENCE || type === "error" || type === "result" || type === "groupchat";

// --- Accounts -----------------------------------------------------------------------------------------------------------

/** The default list of an account: that of a session of his which has none of its own, else the stored one. */
export function accountList(ctx: PrivacyContext, user: BareJid): MaybePromise<PrivacyList | undefined> {
  for (const session of ctx.server.sessionsOf(user)) if (!hasChosen(session)) return appliedTo(session);
  return ctx.store.defaultList(user);
}

/** For an account, not for one of its sessions: its default list applies (§2.2). */
export function arrived(stanza: Stanza, ctx: PrivacyContext): Verdict {
  const user = stanza.to.bare;
  if (stanza.from.bare.text === user.text) return;
  ctx.metrics.mod_privacy_check_packet_count.add();
  const list = accountList(ctx, user);
  const next = (known: PrivacyList | undefined): MaybePromise<Stop | undefined> =>
    known === undefined ? undefined : incoming(ctx, known, user, stanza);
  return list instanceof Promise ? list.then(next, (e: unknown) => unjudged(ctx, stanza, e)) : next(list);
}

/**
 * The fold privacy_check_packet: what the list that would be applied says of a stanza. A message for an account is turned
 * away when each of its sessions turns it away.
 */
export function checkPacket(
  acc: Action,
  { jid, stanza, dir }: FoldHooks["privacy_check_packet"]["params"],
  ctx: PrivacyContext,
): MaybePromise<Action> {
  if (acc !== "allow") return acc;
  ctx.metrics.mod_privacy_check_packet_count.add();
  const session = dir === "in" ? addressee(ctx, stanza.to) : (stanza.origin as Session | undefined);
  const own = session !== undefined && session.jid.bare.text === jid.text;
  if (!own && dir === "in" && stanza.kind === MESSAGE) {
    const sessions = ctx.server.sessionsOf(jid);
    if (sessions.length > 0) return toSessions(ctx, jid, stanza, sessions, 0);
  }
  const list = own ? appliedTo(session) : accountList(ctx, jid);
  const next = (known: PrivacyList | undefined): MaybePromise<Action> => {
    if (known === undefined) return "allow";
    const action = judge(ctx, known, jid, dir === "in" ? stanza.from : stanza.to, kindOf(stanza, dir));
    return action instanceof Promise ? action.then((said) => counted(ctx, said)) : counted(ctx, action);
  };
  return list instanceof Promise ? list.then(next) : next(list);
}

/** What the lists of a user's sessions say of a message for all of them, from one session on. */
function toSessions(
  ctx: PrivacyContext,
  user: BareJid,
  message: Stanza,
  sessions: readonly Session[],
  from: number,
): MaybePromise<Action> {
  for (let i = from; ; i++) {
    const list = appliedTo(sessions[i]);
    const action = list === undefined ? "allow" : judge(ctx, list, user, message.from, MESSAGE_IN);
    const ends = (said: Action): boolean => said === "allow" || i + 1 === sessions.length;
    if (action instanceof Promise) {
      return action.then((said) => (ends(said) ? counted(ctx, said) : toSessions(ctx, user, message, sessions, i + 1)));
    }
    if (ends(action)) return counted(ctx, action);
  }
}

/** The fold amp_determine_strategy: what the addressee has turned away ends nowhere. */
export async function ampStrategy(
  strategy: FoldHooks["amp_determine_strategy"]["acc"],
  { stanza, to, event }: FoldHooks["amp_determine_strategy"]["params"],
  ctx: PrivacyContext,
): Promise<FoldHooks["amp_determine_strategy"]["acc"]> {
  if (event !== "initial" || to.bare.isDomain) return strategy;
  const action = await checkPacket("allow", { jid: to.bare, stanza, dir: "in" }, ctx);
  return action === "allow" ? strategy : { deliver: ["none"] };
}

const addressee = ({ server }: PrivacyContext, to: Jid): Session | undefined =>
  isFull(to) ? server.session(to) : undefined;

function counted(ctx: PrivacyContext, action: Action): Action {
  passes(ctx, action);
  return action;
}
