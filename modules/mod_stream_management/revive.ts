// A stanza that was written for a client and did not reach it, on its way again.

import { type Jid, tryParseJid } from "../../core/jid.ts";
import { NS_DELAY } from "../../core/ns.ts";
import { idBy } from "../../core/stable-id.ts";
import { MESSAGE, type Stanza } from "../../core/stanza.ts";
import { xml } from "../../core/xml/markup.ts";

/**
 * Gives a stanza its addresses back, and a message the time it was first sent (XEP-0203) unless it has one.
 * False when nobody can be told to have sent it.
 */
export function revive(s: Stanza, to: Jid, domain: string, at: number): boolean {
  const from = tryParseJid(s.fromText ?? domain);
  if (from === undefined) return false;
  s.from = from;
  s.to = to;
  s.revived = true;
  if (s.kind !== MESSAGE) return true;
  // It passed the archive before it was written for the client: there it has this id, and is not kept once more.
  s.stableId = idBy(s, to.bare.text);
  s.archived = s.stableId !== undefined;
  if (!s.has("delay", NS_DELAY)) {
    s.append(xml`<delay xmlns='${NS_DELAY}' from='${domain}' stamp='${new Date(at).toISOString()}'/>`);
  }
  return true;
}
