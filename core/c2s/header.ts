// Stream headers (RFC 6120 §4.7, RFC 7395 §3.4): the client's is checked, ours answers it.

import { StreamError } from "../errors.ts";
import { NS_CLIENT, NS_FRAMING, NS_STREAM } from "../ns.ts";
import type { Stanza } from "../stanza.ts";
import { escapeXml } from "../xml/markup.ts";
import { sendFeatures } from "./features.ts";
import type { C2S } from "./stream.ts";

/** Sends our header for `domain`, unless it was sent: also when the peer's could not be read (RFC 6120 §4.9.1.1). */
export function sendHeader(c2s: C2S, domain: string = c2s.domain): void {
  const { engine, conn } = c2s;
  const nego = c2s.nego!;
  if (nego.headerSent) return;
  nego.headerSent = true;
  const peer = nego.local === undefined ? nego.claimed : `${nego.local}@${domain}`;
  const to = peer === undefined ? "" : ` to='${escapeXml(peer)}'`;
  const rest = ` from='${escapeXml(domain === "" ? engine.defaultDomain : domain)}' id='${engine.token(8)}'${to} version='1.0' xml:lang='${escapeXml(engine.language)}'`;
  c2s.say(
    conn?.framing === "whole"
      ? `<open xmlns='${NS_FRAMING}'${rest}/>`
      : `<?xml version='1.0'?><stream:stream${rest} xmlns='${NS_CLIENT}' xmlns:stream='${NS_STREAM}'>`,
  );
}

/** A stream header came: answers it and sends the features. False when the stream was ended. */
export function openStream(c2s: C2S, header: Stanza): boolean {
  const nego = c2s.nego!;
  if (nego.open) {
    c2s.fail(new StreamError("bad-format", "the stream is open already"));
    return false;
  }
  nego.open = true;
  nego.since = c2s.engine.steady();
  const to = header.toText;
  const fail = (error: StreamError): false => {
    if (!c2s.engine.hidden) sendHeader(c2s);
    c2s.fail(error);
    return false;
  };
  if (c2s.conn?.framing === "stream") {
    if (!header.inNs(NS_STREAM)) return fail(new StreamError("invalid-namespace"));
    if (header.name !== "stream") return fail(new StreamError("bad-format"));
    const content = header.attr("xmlns");
    if (content !== undefined && content !== NS_CLIENT) return fail(new StreamError("invalid-namespace"));
  }
  if (!/^[1-9]\d*\.\d+$/.test(header.attr("version") ?? "")) return fail(new StreamError("unsupported-version"));
  if (to === undefined) return fail(new StreamError("host-unknown", "a stream needs a 'to'"));
  const domain = c2s.engine.jids.parse(to);
  const host =
    domain === undefined || domain.resource !== "" || domain.local !== ""
      ? undefined
      : c2s.engine.hostOf(domain.domain);
  if (host === undefined || domain === undefined) return fail(new StreamError("host-unknown"));
  // After authentication the stream is still the one of the domain that authenticated (RFC 6120 §6.4.6).
  if (nego.local !== undefined && domain.domain !== c2s.domain) return fail(new StreamError("host-unknown"));
  c2s.domain = domain.domain;
  c2s.host = host;
  // §4.7.1: who the client says it is is answered in 'to', and must be who it proves to be.
  const claimed = header.fromText === undefined ? undefined : c2s.engine.jids.parse(header.fromText)?.bare;
  nego.claimed = claimed?.text;
  // XEP-0388 §2.1: nobody of another domain can prove that here.
  if (claimed !== undefined && claimed.domain !== c2s.domain) return fail(new StreamError("invalid-from"));
  if (nego.local !== undefined && !isClaimed(c2s, nego.local)) return fail(new StreamError("invalid-from"));
  const lang = header.lang;
  nego.lang = lang !== undefined && lang !== c2s.engine.language && lang.length <= 35 ? lang : "";
  if (c2s.engine.draining) return fail(c2s.engine.farewell());
  sendHeader(c2s);
  sendFeatures(c2s);
  return c2s.state === 0;
}

/** Whether the client's header named nobody else than it has proved to be; a name for one session cannot be foretold. */
export function isClaimed({ nego, domain, anonymous }: C2S, local: string): boolean {
  return nego!.claimed === undefined || anonymous || nego!.claimed === `${local}@${domain}`;
}
