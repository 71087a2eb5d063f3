// Since when and until when a message waits for its addressee.

import { NS_DELAY, NS_EXPIRE } from "../../core/ns.ts";
import { parseDateTime } from "../../core/operations/scalars.ts";
import type { Stanza } from "../../core/stanza.ts";

const MICRO = 1_000_000;

/** Up to thirty years; what waits for longer never expires. */
const SECONDS = /^\d{1,9}$/;

/** When a message expires (XEP-0023), in microseconds like `now`; undefined for never. */
export function expiry(message: Stanza, now: number): number | undefined {
  const seconds = message.child("x", NS_EXPIRE)?.attrs["seconds"];
  return seconds !== undefined && SECONDS.test(seconds) && Number(seconds) > 0
    ? now + Number(seconds) * MICRO
    : undefined;
}

const DELAY = /<delay\b[^>]*\bstamp='([^']+)'[^>]*?(?:\/>|>[^<]*<\/delay>)/;

/**
 * A delay that this server has put on the message already (it had been on its way to a stream that broke): takes it
 * off and returns its time in microseconds.
 * @param domain the addressee's, in whose name the server does so
 */
export function takeOwnDelay(message: Stanza, domain: string): number | undefined {
  const found = DELAY.exec(message.appended);
  if (found === null) return message.revived ? takeStored(message, domain) : undefined;
  message.appended = message.appended.replace(found[0], "");
  return timeOf(found[1]);
}

/** Of a message that had been stored before. It is the last: its sender may have said such a thing himself. */
function takeStored(message: Stanza, domain: string): number | undefined {
  for (let k = message.childCount - 1; k >= 0; k--) {
    if (message.kidNs(k) !== NS_DELAY || message.kidAttr(k, "from") !== domain) continue;
    message.removeChild(k);
    return timeOf(message.kidAttr(k, "stamp"));
  }
  return undefined;
}

function timeOf(stamp: string | undefined): number | undefined {
  try {
    return parseDateTime(stamp);
  } catch {
    return undefined;
  }
}
