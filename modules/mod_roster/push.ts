// Roster pushes (RFC 6121 §2.1.6) and roster versions (§2.6).

import { createHash } from "node:crypto";
import type { MaybePromise } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Session, Slot } from "../../core/module.ts";
import { pushTo } from "../../core/replies.ts";
import { escapeXml } from "../../core/xml/markup.ts";
import type { RosterContext } from "./context.ts";
import { isHidden, itemXml, queryXml, type RosterItem } from "./item.ts";
import type { Change } from "./roster.ts";

/** The session has asked for the roster, or changed it. */
const ASKED = new Slot<true>();
const VERSION_BYTES = 10;

export function showInterest(session: Session | undefined): void {
  if (session !== undefined && ASKED.get(session) === undefined) ASKED.set(session, true);
}

/**
 * Whether a session gets pushes and answers to subscription requests. RFC 6121 §2.2 asks for those that requested the
 * roster; available ones that did not get them too, because clients of MongooseIM do.
 */
export const isInterested = (session: Session): boolean => session.available || ASKED.get(session) === true;

/** A version for a roster that is about to change; undefined when versions are not stored. */
export function newVersion({ config, server }: RosterContext): string | undefined {
  return config.versioning && config.store_current_id ? server.token(VERSION_BYTES) : undefined;
}

/** The version as a hash of what a client sees. */
export function hashVersion(items: readonly RosterItem[]): string {
  const hash = createHash("sha1");
  for (const item of items) if (!isHidden(item)) hash.update(itemXml(item));
  return hash.digest("hex");
}

/** Tells the account's interested sessions what has become of an item, if there is something to see. */
export function pushChange(
  ctx: RosterContext,
  user: BareJid,
  { before, after }: Change,
  version: string | undefined,
): MaybePromise<void> {
  if (after === before) return;
  if (after !== undefined && !isHidden(after)) return push(ctx, user, itemXml(after), version);
  if (before !== undefined && !isHidden(before)) return push(ctx, user, removedXml(before.jid), version);
}

/** Pushes an item as it is stored now. */
export const pushItem = (ctx: RosterContext, user: BareJid, item: RosterItem, version: string | undefined) =>
  push(ctx, user, itemXml(item), version);

const removedXml = (jid: string): string => `<item jid='${escapeXml(jid)}' subscription='remove'/>`;

function push(ctx: RosterContext, user: BareJid, item: string, stored: string | undefined): MaybePromise<void> {
  const sessions = ctx.server.sessionsOf(user).filter(isInterested);
  if (sessions.length === 0) return;
  if (!ctx.config.versioning || stored !== undefined) return write(ctx, user, sessions, queryXml(item, stored));
  const items = ctx.store.items(ctx.server, user);
  if (!(items instanceof Promise)) return write(ctx, user, sessions, queryXml(item, hashVersion(items)));
  return items.then((all) => write(ctx, user, sessions, queryXml(item, hashVersion(all))));
}

function write(ctx: RosterContext, user: BareJid, sessions: readonly Session[], query: string): void {
  pushTo(user, sessions, `push${ctx.server.token(8)}`, query);
  ctx.metrics.mod_roster_push_count.add(sessions.length);
}
