// Answers to stanzas, and pushes, as text: what a server writes in the name of an account or of an addressee.

import type { StanzaError } from "./errors.ts";
import type { BareJid } from "./jid.ts";
import type { Session } from "./module.ts";
import type { Stanza } from "./stanza.ts";
import { escapeXml } from "./xml/markup.ts";

/** The result of a request: from its addressee, to its sender, with its id. `payload` is markup, "" for none. */
export function iqResult(stanza: Stanza, payload: string): string {
  return `<iq from='${escapeXml(stanza.to.text)}' id='${escapeXml(stanza.id ?? "")}' to='${escapeXml(stanza.from.text)}' type='result'${payload === "" ? "/>" : `>${payload}</iq>`}`;
}

/** The error reply to a stanza, with its payload (RFC 6120 §8.3.1); `from` stands in for an addressee that is no JID. */
export function errorReply(stanza: Stanza, error: StanzaError, from = stanza.to.text): string {
  const id = stanza.id === undefined ? "" : ` id='${escapeXml(stanza.id)}'`;
  return `<${stanza.name} from='${escapeXml(from)}'${id} to='${escapeXml(stanza.from.text)}' type='error'>${error.instead ?? stanza.innerXml}${error.toXml()}</${stanza.name}>`;
}

/** Tells sessions of an account of a change, in the account's name (RFC 6121 §2.1.6 and the like). `payload` is markup. */
export function pushTo(user: BareJid, sessions: readonly Session[], id: string, payload: string): void {
  const head = `<iq from='${escapeXml(user.text)}' id='${escapeXml(id)}'`;
  for (const session of sessions) {
    session.write(`${head} to='${escapeXml(session.jid.text)}' type='set'>${payload}</iq>`);
  }
}
