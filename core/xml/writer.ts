// The writer: a stanza's bytes as they leave. What came in is copied; only the header is made anew.

import type { Stanza } from "../stanza.ts";
import { KID } from "./scan.ts";

/** Room to write one stanza in; grows, never shrinks below its start. One a node, used synchronously. */
export class Scratch {
  bytes: Buffer = Buffer.allocUnsafeSlow(256 * 1024);

  /** Makes room for `n` bytes; what was written before is gone. */
  need(n: number): Buffer {
    if (n > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(Math.max(n, this.bytes.length * 2));
    return this.bytes;
  }
}

/**
 * Writes a stanza into `out`; returns its length in bytes. A `from` attribute of the original is left out.
 * @param lead markup right after the name, with a leading space: ` from='...'`, and ` xml:lang='...'` when the stanza has none
 * @param to markup that takes the place of the to attribute when not empty: ` to='...'`
 * @param xmlns declares jabber:client on an element that does not say it (RFC 7395 framing)
 */
export function encode(out: Scratch, s: Stanza, lead: string, to: string, xmlns: boolean): number {
  const raw = s.raw;
  const extra = s.appended;
  const b = out.need(s.end - s.start + (s.nameE - s.nameS) + 64 + 3 * (lead.length + to.length + extra.length));
  let p = raw.copy(b, 0, s.start, s.nameE);
  p += b.utf8Write(lead, p);
  if (xmlns && s.nsS < 0) p += b.latin1Write(" xmlns='jabber:client'", p);
  if (to !== "") p += b.utf8Write(to, p);
  // The attributes, less those replaced.
  let at = s.nameE;
  if (s.fromA >= 0 && to !== "" && s.toA >= 0) {
    const fromFirst = s.fromA < s.toA;
    p += raw.copy(b, p, at, fromFirst ? s.fromA : s.toA);
    at = (fromFirst ? s.fromE : s.toE) + 1;
    p += raw.copy(b, p, at, fromFirst ? s.toA : s.fromA);
    at = (fromFirst ? s.toE : s.fromE) + 1;
  } else if (s.fromA >= 0) {
    p += raw.copy(b, p, at, s.fromA);
    at = s.fromE + 1;
  } else if (to !== "" && s.toA >= 0) {
    p += raw.copy(b, p, at, s.toA);
    at = s.toE + 1;
  }
  if (extra === "" && s.removed === undefined) return p + raw.copy(b, p, at, s.end);

  if (s.selfClosed) {
    // "<presence/>" gets an inside: the tag ends in "/>".
    p += raw.copy(b, p, at, s.tagE - 2);
    b[p++] = 0x3e;
  } else {
    p += raw.copy(b, p, at, s.tagE);
    at = s.tagE;
    if (s.removed) {
      for (const k of [...s.removed].sort((x, y) => x - y)) {
        p += raw.copy(b, p, at, s.kids[k * KID]);
        // "]]" and ">" must not meet where a child was between them.
        if (b[p - 1] === 0x5d) p += b.latin1Write("&#93;", p - 1) - 1;
        at = s.kids[k * KID + 1];
      }
    }
    p += raw.copy(b, p, at, s.closeS);
  }
  p += b.utf8Write(extra, p);
  b[p++] = 0x3c;
  b[p++] = 0x2f;
  p += raw.copy(b, p, s.start + 1, s.nameE);
  b[p++] = 0x3e;
  return p;
}
