// Which messages wait for their addressee (RFC 6121 §8.5.2.2, XEP-0160 §3, XEP-0334), since when and until when.

import { NS_CHATSTATES, NS_DELAY, NS_HINTS, NS_SID } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";

const NS_EXPIRE = "jabber:x:expire";
const MICRO = 1_000_000;

/** Children that say something about a message and are nothing to be read later. */
const ASIDE: ReadonlySet<string> = new Set([NS_HINTS, NS_SID, NS_DELAY, NS_CHATSTATES, NS_EXPIRE]);

/**
 * Whether a message of a type that may be stored has something to store: a body, or a payload other than a chat state
 * and remarks about the message. The sender's hints come first.
 */
export function worthStoring(message: Stanza): boolean {
  if (message.has("no-store", NS_HINTS)) return false;
  if (message.hasBody || message.has("store", NS_HINTS)) return true;
  return message.children.some((child) => !ASIDE.has(child.ns) && child.name !== "thread");
}

/** When a message expires (XEP-0023), in microseconds like `now`; undefined for never. */
export function expiry(message: Stanza, now: number): number | undefined {
  const seconds = Number(message.child("x", NS_EXPIRE)?.attrs["seconds"]);
  return Number.isInteger(seconds) && seconds > 0 ? now + seconds * MICRO : undefined;
}

const DELAY = /<delay\b[^>]*\bstamp='([^']+)'[^>]*?(?:\/>|>[^<]*<\/delay>)/;

/**
 * A delay that this server has put on the message already (it had been on its way to a stream that broke): takes it
 * off and returns its time in microseconds.
 */
export function takeOwnDelay(message: Stanza): number | undefined {
  const found = DELAY.exec(message.appended);
  if (!found) return undefined;
  const ms = Date.parse(found[1]);
  if (Number.isNaN(ms)) return undefined;
  message.appended = message.appended.replace(found[0], "");
  return ms * 1000;
}
