// Pushes (XEP-0016 §2.6, XEP-0191 §3.3): all sessions of an account learn of a change, whoever made it.

import type { BareJid } from "../../core/jid.ts";
import { type Session, Slot } from "../../core/module.ts";
import { pushTo } from "../../core/replies.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import type { PrivacyContext } from "./context.ts";
import { NS_PRIVACY } from "./item.ts";

/** The session has asked for privacy lists, or changed them. */
const USES_LISTS = new Slot<true>();

export function noteUse(session: Session | undefined): void {
  if (session !== undefined && USES_LISTS.get(session) === undefined) USES_LISTS.set(session, true);
}

/**
 * Sends a payload to all sessions of an account. They get it after the answer to the one that asked, as MongooseIM has
 * it and clients expect: the handler that calls this has not returned its answer yet.
 */
export function push(ctx: PrivacyContext, user: BareJid, id: string, payload: Markup): void {
  setImmediate(() => {
    const sessions = [...ctx.server.sessionsOf(user)];
    pushTo(user, sessions, id, payload.text);
    ctx.metrics.mod_privacy_push_item_count.add(sessions.length);
  });
}

/** The payload of a push: the name of the list that has changed. */
export const changedList = (name: string): Markup => xml`<query xmlns='${NS_PRIVACY}'><list name='${name}'/></query>`;

/** A block list was edited, which is a privacy list to the sessions that use those: they are told as such. */
export function pushToUsers(ctx: PrivacyContext, user: BareJid, name: string): void {
  setImmediate(() => {
    const sessions = ctx.server.sessionsOf(user).filter((session) => USES_LISTS.get(session) === true);
    pushTo(user, sessions, `push${ctx.server.token(8)}`, changedList(name).text);
  });
}
