// The last presence of a session: kept as little as can be, since nearly every session has one.

import type { Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { viewElement, viewText } from "../../core/xml/framer.ts";

/** What sessions without show, status or anything else share; it has no sender. */
const PLAIN = viewText("<presence/>");

/** What to keep of a broadcast presence: a copy of its own, since the stanza is a view on all that was received. */
export function keepable(presence: Stanza): Stanza {
  if (presence.childCount === 0 && presence.appended === "") return PLAIN;
  const { text } = presence;
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.utf8Write(text);
  const kept = viewElement(bytes);
  kept.from = presence.from;
  kept.lead = presence.lead;
  kept.appended = presence.appended;
  kept.removed = presence.removed && [...presence.removed];
  return kept;
}

/** The presence of an available session, to be sent to somebody: a copy, from the session's JID. */
export function lastPresence(session: Session): Stanza | undefined {
  const kept = session.presence;
  if (kept === undefined) return undefined;
  const copy = kept === PLAIN ? viewText("<presence/>") : kept.clone();
  copy.from = session.jid;
  return copy;
}
