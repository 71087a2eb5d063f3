// Presence probes (RFC 6121 §4.3): asked at the first presence, answered for the account.

import { subscriptionLists } from "../../core/contacts.ts";
import type { MaybePromise, SubscriptionLists } from "../../core/hooks.ts";
import { isFull, type Jid, parseJid } from "../../core/jid.ts";
import type { ModuleContext, Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { viewText } from "../../core/xml/framer.ts";
import { xml } from "../../core/xml/markup.ts";
import { isDirectedTo } from "./directed.ts";
import { addressed, audience } from "./fan.ts";
import { lastPresence } from "./last.ts";

/**
 * Asks for the presence of contacts, given as text, in the name of a session (§4.3.1). Contacts of the same domain
 * who are connected here answer at once, the others are sent a probe.
 */
export async function probe(ctx: ModuleContext, session: Session, contacts: readonly string[]): Promise<void> {
  const { server, host } = ctx;
  const question = viewText("<presence type='probe'/>");
  question.from = session.jid;
  for (const text of contacts) {
    const contact = parseJid(text);
    const here = contact.domain === session.jid.domain && contact.local !== "" && host.hooks.filterLocal.length === 0;
    if (here && server.sessionsOf(contact.bare).length > 0) await answer(ctx, contact, session.jid);
    else await server.route(addressed(question, contact));
  }
}

/** A probe has come for an account or one of its resources (§4.3.2). */
export function answer(ctx: ModuleContext, to: Jid, from: Jid): MaybePromise<void> {
  const { server, host } = ctx;
  // Whoever is served here knows what the account's roster says, and nobody is there to be seen.
  if (server.sessionsOf(to.bare).length === 0 && server.hostTypeOf(from.domain) !== undefined) return;
  if (to.bare.text === from.bare.text) return tell(ctx, to, from);
  const lists = subscriptionLists(host, to.bare);
  const decide = (known: SubscriptionLists): MaybePromise<void> =>
    known.from.includes(from.bare.text) ? tell(ctx, to, from) : tellDirected(ctx, to, from);
  return lists instanceof Promise ? lists.then(decide) : decide(lists);
}

async function tell(ctx: ModuleContext, to: Jid, from: Jid): Promise<void> {
  for (const session of of(ctx, to)) {
    const presence = lastPresence(session);
    if (presence === undefined || session.jid.text === from.text) continue;
    if (from.bare.text === to.bare.text || (await maySee(ctx, session, from))) await send(ctx, presence, from);
  }
}

/** No subscription: those who were sent presence directly see it (§4.6.3), nobody else learns a thing. */
async function tellDirected(ctx: ModuleContext, to: Jid, from: Jid): Promise<void> {
  let told = false;
  for (const session of of(ctx, to)) {
    if (!isDirectedTo(session, from)) continue;
    told = true;
    if (!(await maySee(ctx, session, from))) continue;
    const presence = viewText("<presence/>");
    presence.from = session.jid;
    await send(ctx, presence, from);
  }
  if (told) return;
  // XEP-0016 §2.14: whom the account has blocked gets no answer.
  const probe = viewText("<presence type='probe'/>");
  probe.from = from;
  probe.to = to;
  const verdict = await ctx.host.hooks.fold("privacy_check_packet", "allow", {
    jid: to.bare,
    stanza: probe,
    dir: "in",
  });
  if (verdict !== "allow") return;
  await ctx.server.routeXml(to.bare, from.bare, xml`<presence to='${from.bare.text}' type='unsubscribed'/>`);
}

async function maySee(ctx: ModuleContext, session: Session, asker: Jid): Promise<boolean> {
  return (await audience(ctx, session, "", [asker.text])).length > 0;
}

function of({ server }: ModuleContext, to: Jid): readonly Session[] {
  const sessions = server.sessionsOf(to.bare);
  return isFull(to) ? sessions.filter((s) => s.jid.text === to.text) : [...sessions];
}

/** Sends a presence without `to` to one addressee. */
function send(ctx: ModuleContext, presence: Stanza, to: Jid): MaybePromise<void> {
  const session = isFull(to) ? ctx.server.session(to) : undefined;
  presence.to = to;
  return session === undefined ? ctx.server.route(addressed(presence, to)) : session.receive(presence, to);
}
