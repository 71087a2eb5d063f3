// What a message says about being kept and copied (XEP-0334), and what it is worth keeping for without a word. One
// place, so that offline storage, archives, copies and broken streams treat a message alike.

import { NS_CHATSTATES, NS_DELAY, NS_EXPIRE, NS_HINTS, NS_MARKERS, NS_RECEIPTS, NS_SID } from "./ns.ts";
import { retractionOf } from "./retraction.ts";
import type { Stanza } from "./stanza.ts";

/** Children that say something about a message and are nothing to be read later. */
const ASIDE: ReadonlySet<string> = new Set([NS_HINTS, NS_SID, NS_DELAY, NS_CHATSTATES, NS_EXPIRE]);
const NS_REACTIONS = "urn:xmpp:reactions:0";

/** `<no-store/>`: kept nowhere, not even until its addressee is there (XEP-0334 §4.2). */
export const noStore = (message: Stanza): boolean => message.has("no-store", NS_HINTS);

/** `<no-permanent-store/>` or `<no-store/>`: nothing that stays may hold it (XEP-0334 §4.1). */
export const noPermanentStore = (message: Stanza): boolean =>
  message.has(undefined, NS_HINTS) && (noStore(message) || message.has("no-permanent-store", NS_HINTS));

/** `<no-copy/>`: for its addressee alone (XEP-0334 §4.3). */
export const noCopy = (message: Stanza): boolean => message.has("no-copy", NS_HINTS);

/**
 * Whether a message of a type that may wait for its addressee (RFC 6121 §8.5.2.2, XEP-0160 §3) has something to wait
 * with: a body, or a payload other than a chat state and remarks about the message. The sender's hints come first.
 */
export function storable(message: Stanza): boolean {
  if (noStore(message)) return false;
  if (message.hasBody || message.has("store", NS_HINTS)) return true;
  return message.children.some((child) => !ASIDE.has(child.ns) && child.name !== "thread");
}

/**
 * Whether an archive keeps a message (XEP-0313 §5.1, XEP-0334): what has meaning to whoever reads the conversation
 * later. The type decides first, then the sender's hints, then the payload: a body, a retraction (XEP-0424), reactions
 * (XEP-0444).
 * @param bare whether receipts (XEP-0184) and chat markers (XEP-0333) without a body are kept too: MongooseIM's
 *   `archive_chat_markers`
 */
export function archivable(message: Stanza, bare = false): boolean {
  const { type } = message;
  if (type === "error" || type === "headline" || message.copy || noPermanentStore(message)) return false;
  if (message.hasBody || message.has("store", NS_HINTS)) return true;
  if (message.has(undefined, NS_REACTIONS) || retractionOf(message) !== undefined) return true;
  return bare && (message.has(undefined, NS_MARKERS) || message.has("received", NS_RECEIPTS));
}
