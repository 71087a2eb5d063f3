// Tells an account's clients what has become of an entry.

import type { BareJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { attr, xml } from "../../core/xml/markup.ts";
import { type InboxContext, NS_CONVERSATION } from "./config.ts";
import { type EntryKey, type Properties, propertiesMarkup } from "./entry.ts";

/**
 * To every client that is there, and to the one that asked.
 * @param id of the message
 */
export function announce(
  { user, remote }: EntryKey,
  properties: Properties,
  id: string,
  ctx: InboxContext,
  asked?: { readonly session: Session | undefined; readonly queryid: string },
): void {
  const { server } = ctx;
  const change = propertiesMarkup(properties, ctx.now() * 1000);
  const head = xml`jid='${remote}'${attr("queryid", asked?.queryid)}`;
  const message = xml`<message from='${user.text}' id='${id}' to='${user.text}'><x xmlns='${NS_CONVERSATION}' ${head}>${change}</x></message>`;
  for (const session of server.sessionsOf(user)) {
    if (session.available || session === asked?.session) session.write(message);
  }
}

/** A message has brought an entry back from the archive. */
export async function announceReturn(key: EntryKey, ctx: InboxContext): Promise<void> {
  const listens = (user: BareJid): boolean => ctx.server.sessionsOf(user).some((session) => session.available);
  if (!listens(key.user)) return;
  try {
    const properties = await ctx.store.getEntryProperties(key);
    if (properties !== undefined) announce(key, properties, ctx.server.token(8), ctx);
  } catch (error) {
    ctx.log.limited("read", 10)?.error("inbox_read_failed", { error, user: key.user.text });
  }
}
