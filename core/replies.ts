// Answers to stanzas as text: what a server writes in the addressee's name.

import type { StanzaError } from "./errors.ts";
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
