// XEP-0445: a client shows its invitation before it registers; mod_register asks whether the account may be made.

import { StanzaError, StreamError } from "../../core/errors.ts";
import { STOP } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Session, Slot } from "../../core/module.ts";
import { IQ, type Stanza } from "../../core/stanza.ts";
import { attr, xml } from "../../core/xml/markup.ts";
import type { RegistrationPermit } from "../mod_register.ts";
import { makeMutual } from "../mod_roster/index.ts";
import { canRegister, type InviteContext, inviterOf, NS_PARS } from "./invite.ts";
import type { Invite } from "./store.ts";

/** Tokens that are none, on one stream before it ends. */
const MAX_GUESSES = 5;

/** The invitation that a stream has shown, and how often it showed something else. */
const SHOWN = new Slot<{ invite: Invite | undefined; guesses: number }>();

/** Takes <preauth/> from a stream that is not authenticated. */
export async function preauth(stanza: Stanza, session: Session, ctx: InviteContext): Promise<typeof STOP | undefined> {
  if (session.jid !== undefined || stanza.kind !== IQ || !canRegister(ctx)) return;
  const shown = SHOWN.get(session) ?? { invite: undefined, guesses: 0 };
  SHOWN.set(session, shown);
  const token = stanza.kidAttr(stanza.find("preauth", NS_PARS), "token") ?? "";
  const found = token === "" ? undefined : await ctx.store.find(session.domain, token, ctx.now());
  const head = xml`<iq from='${session.domain}'${attr("id", stanza.id)}`.text;
  if (found?.mayRegister) {
    // From now on the invitation's end does not matter (§4).
    shown.invite = found;
    session.write(`${head} type='result'/>`);
    return STOP;
  }
  shown.invite = undefined;
  const error = new StanzaError("item-not-found", "The provided token is invalid or expired");
  session.write(`${head} type='error'>${stanza.innerXml}${error.toXml()}</iq>`);
  if (++shown.guesses >= MAX_GUESSES) session.close(new StreamError("policy-violation", "too many tokens"), "error");
  return STOP;
}

/** What mod_register has to know before it makes an account. */
export async function permit(ctx: InviteContext, jid: BareJid, session: Session | undefined) {
  const shown = session && SHOWN.get(session)?.invite;
  const invite = shown !== undefined && (shown.account === "" || shown.account === jid.local) ? shown : undefined;
  const own = invite?.account === jid.local ? invite.id : undefined;
  if (await ctx.store.isReserved(jid.domain, jid.local, ctx.now(), own)) throw new StanzaError("conflict");
  return invite && permitOf(ctx, invite, session);
}

function permitOf(ctx: InviteContext, invite: Invite, session: Session | undefined): RegistrationPermit {
  const { store, config } = ctx;
  return {
    overridesAccess: config.override_access,
    async claim() {
      if (await store.take(invite.id)) return;
      throw new StanzaError("item-not-found", "The invitation has been used meanwhile");
    },
    release: () => store.giveBack(invite.id),
    async done(jid) {
      if (session !== undefined) SHOWN.set(session, undefined);
      const inviter = inviterOf(invite);
      if (invite.subscribe && inviter !== undefined) await makeMutual(ctx.host, inviter, jid);
    },
  };
}
