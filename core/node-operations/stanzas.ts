// Stanzas sent in a user's name: they take the way of a client's own, through the user_send_* hooks and the router.

import { StanzaError } from "../errors.ts";
import { STOP } from "../hooks.ts";
import { isFull } from "../jid.ts";
import type { Session } from "../module.ts";
import type { Node } from "../node.ts";
import { OperationError, type StanzaOps } from "../operations.ts";
import { IQ, MESSAGE, OTHER, PRESENCE, type Stanza } from "../stanza.ts";
import { AbsentSession } from "./absent-session.ts";
import { Followers } from "./followers.ts";

export function stanzaOps(node: Node): StanzaOps {
  const followers = new Followers();
  return {
    async send(stanza) {
      const { from } = stanza;
      const host = node.hostOf(from.domain);
      if (host === undefined) throw new OperationError("unknown_user", "User's domain does not exist");
      if (stanza.kind === OTHER) throw new OperationError("bad_stanza", "A stanza is a message, a presence or an iq");
      const there = isFull(from) ? node.session(from) : undefined;
      await sendAs(node, stanza, there ?? new AbsentSession(node, host, from));
    },
    follow(user) {
      const host = node.hostOf(user.domain);
      if (host === undefined) throw new OperationError("unknown_user", "User's domain does not exist");
      return followers.follow(host, user);
    },
  };
}

/**
 * Sends a stanza, its `from` and `to` set, as if the session's client had sent it. A refusal goes to the sender, as
 * any error stanza would.
 */
export async function sendAs(node: Node, stanza: Stanza, session: Session): Promise<void> {
  const { hooks } = session.host;
  // Answers go straight to a client that is there; those to an absent one take the way of all stanzas.
  if (!(session instanceof AbsentSession)) stanza.origin = session;
  const lists = { [MESSAGE]: hooks.sendMessage, [PRESENCE]: hooks.sendPresence, [IQ]: hooks.sendIq };
  try {
    // A user who is not there has what he would have if he were, such as his privacy list.
    if (session instanceof AbsentSession) await hooks.notify("user_open_session", { session });
    checkIq(stanza);
    if ((await hooks.session(lists[stanza.kind], stanza, session)) === STOP) return;
    await node.route(stanza);
    // Who asked is answered when the message is safe.
    if (!(session instanceof AbsentSession)) await node.session(session.jid)?.outbox?.drained;
  } catch (error) {
    if (!(error instanceof StanzaError)) throw error;
    await node.bounce(stanza, error);
  }
}

/** RFC 6120 §8.2.3: a request has one child. */
function checkIq(stanza: Stanza): void {
  if (stanza.kind !== IQ || stanza.type === "result" || stanza.type === "error") return;
  if ((stanza.type === "get" || stanza.type === "set") && stanza.childCount === 1) return;
  throw new StanzaError("bad-request");
}
