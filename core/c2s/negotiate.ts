// What may come on a stream without a session: STARTTLS (RFC 6120 §5), SASL (§6), resource binding (§7), and what
// features know before that. Each step is a file of its own.

import { StreamError } from "../errors.ts";
import { type MaybePromise, STOP } from "../hooks.ts";
import { NS_BIND, NS_SASL, NS_SESSION, NS_TLS } from "../ns.ts";
import { IQ, OTHER, type Stanza } from "../stanza.ts";
import { bind, legacySession } from "./bind.ts";
import { authenticate } from "./sasl.ts";
import type { C2S } from "./stream.ts";

/** An element on a stream without a session. */
export function negotiate(c2s: C2S, s: Stanza): MaybePromise<void> {
  const nego = c2s.nego!;
  if (!nego.open) {
    // Only WebSocket can send an element before <open/>.
    c2s.fail(new StreamError("not-authorized", "the stream is not open"));
    return;
  }
  const { counters } = c2s.host;
  if (s.kind === IQ) counters.iqReceived++;
  else if (s.kind === OTHER) counters.othersReceived++;
  if (nego.profile?.exclusive === true && !s.inNs(nego.profile.ns)) {
    c2s.fail(new StreamError(s.kind === OTHER ? "invalid-namespace" : "not-authorized"));
    return;
  }
  if (s.kind === OTHER) {
    if (s.inNs(NS_TLS)) return startTls(c2s, s);
    if (s.inNs(NS_SASL)) return authenticate(c2s, s);
  }
  if (nego.local !== undefined && s.kind === IQ && s.type === "set") {
    if (s.has("bind", NS_BIND)) return bind(c2s, s);
    if (s.has("session", NS_SESSION)) return c2s.write(legacySession(c2s, s));
  }
  const encryptFirst = nego.local === undefined && c2s.options.starttls === "required" && !c2s.secure;
  if (encryptFirst) {
    c2s.fail(new StreamError("policy-violation", "TLS is required"));
    return;
  }
  // Registration, XEP-0388's SASL, stream management's <resume/>: a feature may know it.
  const verdict = c2s.host.hooks.session(c2s.host.hooks.sendOther, s, c2s);
  const refuse = (): void => c2s.fail(new StreamError("not-authorized"));
  if (verdict === STOP) return;
  if (verdict === undefined) return refuse();
  return verdict.then((v) => (v === STOP || c2s.closed ? undefined : refuse()));
}

function startTls(c2s: C2S, s: Stanza): void {
  const nego = c2s.nego!;
  const { conn, options } = c2s;
  if (
    s.name !== "starttls" ||
    options.starttls === "no" ||
    c2s.secure ||
    nego.tlsStarted ||
    nego.local !== undefined ||
    conn?.framing !== "stream"
  ) {
    c2s.writeElement(`<failure xmlns='${NS_TLS}'/>`);
    c2s.close(undefined, "error");
    return;
  }
  nego.tlsStarted = true;
  // Nothing that was learnt in clear counts any more (§5.4.3.3).
  nego.exchange = undefined;
  nego.profile = undefined;
  nego.offer = undefined;
  nego.channel = undefined;
  c2s.writeElement(`<proceed xmlns='${NS_TLS}'/>`);
  // What came behind <starttls/> in clear must not be read as if it had come encrypted (RFC 6120 §5.4.3.3).
  c2s.restart(false);
  conn.startTls(c2s.domain);
}
