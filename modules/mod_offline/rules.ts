// Since when and until when a message waits for its addressee.

import { NS_EXPIRE } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";

const MICRO = 1_000_000;

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
