// XEP-0379: who asks for a subscription with a token of the user becomes a contact at once, both ways.

import { StanzaError } from "../../core/errors.ts";
import { STOP } from "../../core/hooks.ts";
import type { Stanza } from "../../core/stanza.ts";
import { acceptUnasked } from "../mod_roster/index.ts";
import { type InviteContext, NS_PARS } from "./invite.ts";

/**
 * Takes a request that carries an invitation of the one it is for. Any other is left to the roster, as if it had no
 * token (§4.1): one of somebody else, one that has ended or is used up, and when the roster is full.
 */
export async function subscribe(stanza: Stanza, ctx: InviteContext): Promise<typeof STOP | undefined> {
  const { store, log } = ctx;
  const user = stanza.to.bare;
  const contact = stanza.from.bare;
  const token = stanza.kidAttr(stanza.find("preauth", NS_PARS), "token") ?? "";
  if (token === "" || contact.text === user.text) return;
  const invite = await store.find(user.domain, token, ctx.now());
  if (invite?.kind !== "roster" || invite.inviter !== user.local || !(await store.take(invite.id))) return;
  try {
    if (await acceptUnasked(ctx.host, user, contact)) return STOP;
  } catch (error) {
    if (!(error instanceof StanzaError)) log.error("invitation_failed", { error, user: user.text });
  }
  // Nothing came of it: they are contacts already, or the roster is full.
  await store.giveBack(invite.id);
}
