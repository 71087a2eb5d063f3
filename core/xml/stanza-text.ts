// A stanza as text, with the edits made to its view: for storing it, and for putting it into another one.

import type { Jid } from "../jid.ts";
import { NS_CLIENT } from "../ns.ts";
import type { Stanza } from "../stanza.ts";
import { escapeXml } from "./markup.ts";
import { encode, type Scratch } from "./writer.ts";

/** Room for one stanza, gone with it. */
class Once implements Scratch {
  bytes = Buffer.alloc(0);
  need(n: number): Buffer {
    this.bytes = Buffer.allocUnsafe(n);
    return this.bytes;
  }
}

/**
 * The stanza as it would be written to a client: `from` stamped, children removed and appended.
 * @param to replaces the to attribute when given
 * @param nested declares jabber:client when the stanza does not say its namespace, as a forwarded one must (XEP-0297)
 */
export function stanzaText(stanza: Stanza, to?: Jid, nested = false): string {
  return stanzaBytes(stanza, to, nested).utf8Slice();
}

/** As `stanzaText`, in UTF-8. */
export function stanzaBytes(stanza: Stanza, to?: Jid, nested = false): Buffer {
  const lead = stanza.lead !== "" ? stanza.lead : ` from='${escapeXml(stanza.from.text)}'`;
  const once = new Once();
  const n = encode(once, stanza, lead, to === undefined ? "" : ` to='${escapeXml(to.text)}'`, nested);
  return once.bytes.subarray(0, n);
}

/** The stanza as an element of its own, ready to go into <forwarded/>. */
export const forwardable = (stanza: Stanza): string => stanzaText(stanza, undefined, stanza.inNs(NS_CLIENT));
