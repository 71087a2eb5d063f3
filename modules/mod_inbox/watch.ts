// Messages between users, on their way: what a user sends, and what comes for him.

import { archivable } from "../../core/hints.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { NS_MARKERS } from "../../core/ns.ts";
import { MESSAGE, type Stanza } from "../../core/stanza.ts";
import type { InboxContext } from "./config.ts";
import type { EntryKey } from "./entry.ts";
import { messageOf, sentMessageOf } from "./message.ts";
import { fromRoom } from "./rooms.ts";

/** Types of messages that inboxes are about. */
export const TYPES = ["chat", "", "normal", "groupchat"] as const;

/** user_send_message: the sender's own inbox. */
export function sent(stanza: Stanza, session: Session, ctx: InboxContext): void {
  if (stanza.copy) return;
  const key: EntryKey = { user: session.jid.bare, remote: stanza.to.bare.text };
  // What one says in a room comes back from it.
  if (stanza.type !== "groupchat" && archivable(stanza)) {
    const { store } = ctx;
    const message = sentMessageOf(stanza, key.user);
    const at = ctx.server.tick();
    keep(stanza, key, true, () => store.setInbox(key, message, at), ctx);
    return;
  }
  const read = markedAsRead(stanza, ctx);
  if (read !== undefined) stanza.wait(ctx.store.resetUnread(key, read));
}

/** filter_local_packet: the inbox of the addressee. */
export function received(stanza: Stanza, ctx: InboxContext): void {
  if (stanza.kind !== MESSAGE || stanza.copy || stanza.revived || stanza.to.isDomain) return;
  const user = stanza.to.bare;
  if (stanza.type === "groupchat") {
    const written = fromRoom(stanza, user, ctx);
    if (written !== undefined) stanza.wait(written);
    return;
  }
  const remote = stanza.from.bare.text;
  // What one says to oneself was seen when it was sent.
  if (remote === user.text || !archivable(stanza)) return;
  const wanted = isWanted(stanza, user, ctx);
  if (wanted === false) return;
  const { store } = ctx;
  const at = ctx.server.tick();
  const message = messageOf(stanza);
  const key: EntryKey = { user, remote };
  keep(stanza, key, wanted, () => store.setInboxIncrUnread(key, message, at), ctx);
}

/**
 * Has a message written to an inbox if it is `wanted` there, when it is safe in the archive: one that is not is never
 * delivered, and nobody has sent or got it.
 */
function keep(
  stanza: Stanza,
  { user }: EntryKey,
  wanted: true | Promise<boolean>,
  write: () => Promise<void>,
  ctx: InboxContext,
): void {
  // Nobody asks any more when the archive has refused the message.
  if (wanted !== true) wanted.catch(() => undefined);
  const looked = async (): Promise<void> => {
    if (await wanted) await write();
  };
  const failed = (error: unknown): void => {
    ctx.log.limited("write", 10)?.error("inbox_write_failed", { error, user: user.text });
  };
  stanza.after(() => (wanted === true ? write() : looked().catch(failed)));
}

/** Whether there is such a user, and he lets the message through. */
function isWanted(stanza: Stanza, user: BareJid, { host, server }: InboxContext): MaybePromise<boolean> {
  const known = server.sessionsOf(user).length > 0 || host.accountCache?.has(user.text) === true;
  const exists = known || host.auth.exists(user.local, user.domain);
  const judged = (there: boolean): MaybePromise<boolean> => {
    if (!there || !host.hooks.has("privacy_check_packet")) return there;
    const said = host.hooks.fold("privacy_check_packet", "allow", { jid: user, stanza, dir: "in" });
    return said instanceof Promise ? said.then((verdict) => verdict === "allow") : said === "allow";
  };
  return exists instanceof Promise ? exists.then(judged) : judged(exists);
}

/** Id of the message up to which the sender has read, as the markers say that count (XEP-0333). */
function markedAsRead(stanza: Stanza, { config }: InboxContext): string | undefined {
  for (const marker of config.reset_markers) {
    const k = stanza.find(marker, NS_MARKERS);
    const id = k < 0 ? undefined : stanza.kidAttr(k, "id");
    if (id) return id;
  }
  return undefined;
}
