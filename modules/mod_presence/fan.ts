// Sending presence to many: one payload, an address for each (RFC 6121 §4.2.2, §4.4.2, §4.5.2).

import type { MaybePromise } from "../../core/hooks.ts";
import { type BareJid, type Jid, parseJid } from "../../core/jid.ts";
import type { HostType, ModuleContext, Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { logOf } from "../../core/storage/away.ts";
import { viewText } from "../../core/xml/framer.ts";
import { escapeXml } from "../../core/xml/markup.ts";

/** Presence that the server sends to many in a session's name. */
export type PresenceKind = "" | "unavailable" | "probe";

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /**
     * Bare or full JIDs, as text, that presence of a session is about to be sent to; a handler leaves out those who may
     * not have it. The account's other sessions get it anyhow. Without a session it is asked for the account, which tells
     * something of its own while its owner may be away.
     */
    presence_audience: {
      acc: readonly string[];
      params: { account: BareJid; session: Session | undefined; type: PresenceKind };
    };
  }
}

/** Which of these JIDs a presence of the session may be sent to (a fold: mod_privacy leaves some out). */
export function audience(
  ctx: ModuleContext,
  session: Session,
  type: PresenceKind,
  jids: readonly string[],
): MaybePromise<readonly string[]> {
  return jids.length === 0
    ? jids
    : ctx.host.hooks.fold("presence_audience", jids, { account: session.jid.bare, session, type });
}

/**
 * The available sessions among these that somebody may know of who sees their account's presence: not those that hide
 * theirs from him (XEP-0126).
 */
export async function sessionsSeenBy(host: HostType, asker: Jid, sessions: readonly Session[]): Promise<Session[]> {
  const seen: Session[] = [];
  for (const session of sessions) {
    if (!session.available) continue;
    const account = session.jid.bare;
    const own = asker.bare.text === account.text;
    const params = { account, session, type: "" } as const;
    if (own || (await host.hooks.fold("presence_audience", [asker.text], params)).length > 0) seen.push(session);
  }
  return seen;
}

/** Sends a session's presence to those of the contacts, given as text, who may have it. */
export function toAudience(
  ctx: ModuleContext,
  session: Session,
  presence: Stanza,
  contacts: readonly string[],
): MaybePromise<void> {
  const allowed = audience(ctx, session, presence.type === "unavailable" ? "unavailable" : "", contacts);
  if (allowed instanceof Promise) return allowed.then((jids) => toContacts(ctx, presence, jids));
  toContacts(ctx, presence, allowed);
}

/** A copy of a presence that says whom it is for: for the way to another server, which must be told. */
export function addressed(presence: Stanza, to: Jid): Stanza {
  const text = presence.text;
  const open = "<presence".length;
  const copy = viewText(`${text.slice(0, open)} to='${escapeXml(to.text)}'${text.slice(open)}`);
  copy.from = presence.from;
  copy.lead = presence.lead;
  copy.appended = presence.appended;
  copy.removed = presence.removed;
  copy.to = to;
  return copy;
}

/** Nobody waits until a presence has arrived: a client that is slow to be served holds up only itself. */
function unawaited(ctx: ModuleContext, done: MaybePromise<void>): void {
  if (done !== undefined)
    done.catch((error: unknown) =>
      logOf(ctx.log, "presence_not_delivered", error)?.error("presence_not_delivered", { error }),
    );
}

/** Shows a presence to the available sessions among these, all but `except`. */
export function toSessions(ctx: ModuleContext, presence: Stanza, sessions: readonly Session[], except?: Session): void {
  for (const session of sessions.length > 1 ? [...sessions] : sessions) {
    if (!session.available || session === except) continue;
    presence.to = session.jid;
    unawaited(ctx, session.receive(presence, session.jid));
  }
}

/** As `toSessions` for all sessions of a contact, past the filters of the domain, which may add something. */
function throughFilters(ctx: ModuleContext, presence: Stanza, contact: BareJid, sessions: readonly Session[]): void {
  const copy = presence.clone();
  copy.to = contact;
  const give = (passes: boolean): void => {
    if (passes) toSessions(ctx, copy, sessions);
  };
  const passes = ctx.server.passes(copy, ctx.host);
  if (passes instanceof Promise) unawaited(ctx, passes.then(give));
  else give(passes);
}

/**
 * Sends a presence without `to` attribute to contacts, given as text. Those of the sender's own domain who are
 * connected here get the very bytes; for the others it is routed.
 */
export function toContacts(ctx: ModuleContext, presence: Stanza, contacts: readonly string[]): void {
  const { server, host } = ctx;
  const { domain } = presence.from;
  const filtered = host.hooks.filterLocal.length > 0;
  for (const text of contacts) {
    const contact = parseJid(text);
    if (contact.domain === domain && contact.resource === "") {
      const sessions = server.sessionsOf(contact.bare);
      if (sessions.length > 0) {
        if (filtered) throughFilters(ctx, presence, contact.bare, sessions);
        else toSessions(ctx, presence, sessions);
        continue;
      }
    }
    unawaited(ctx, server.route(addressed(presence, contact)));
  }
}
