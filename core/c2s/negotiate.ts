// Everything before a session: stream headers and features (RFC 6120 §4), STARTTLS (§5), SASL (§6), resource
// binding (§7), each a small step on the stream machine.

import { StanzaError, StreamError } from "../errors.ts";
import { type MaybePromise, STOP } from "../hooks.ts";
import { type FullJid, JidError, makeBare, withResource } from "../jid.ts";
import { NS_BIND, NS_CLIENT, NS_FRAMING, NS_SASL, NS_SASL_CB, NS_SESSION, NS_STREAM, NS_TLS } from "../ns.ts";
import {
  channelBindingTypes,
  decodeBase64,
  offeredMechanisms,
  type SaslContext,
  type SaslExchange,
  type SaslStep,
  startMechanism,
} from "../sasl/index.ts";
import { IQ, OTHER, type Stanza } from "../stanza.ts";
import { escapeXml, type Markup } from "../xml/markup.ts";
import type { C2S } from "./stream.ts";

/** Wrong passwords on one stream before it ends. */
const MAX_GUESSES = 5;
/** Failures of any kind: a client may try mechanism after mechanism before it finds one that both sides can do. */
const MAX_FAILURES = 20;

/** Sessions of an account where `max_user_sessions` does not say. */
const MAX_SESSIONS = 100;

/** State that a stream needs only until it has a session. */
export class Negotiation {
  /** Milliseconds since 1970 of the last step. */
  since: number;
  headerSent = false;
  /** A header has come on the current stream. */
  open = false;
  lang = "";
  failures = 0;
  /** Failures after a user was named: somebody may be guessing passwords. */
  guesses = 0;
  /** Prepared localpart, once authenticated. */
  local: string | undefined = undefined;
  offered: readonly string[] = [];
  exchange: SaslExchange | undefined = undefined;
  sasl: SaslContext | undefined = undefined;
  tlsStarted = false;
  /** Bare JID that the client says it is, in its header; undefined when it did not. */
  claimed: string | undefined = undefined;

  constructor(now: number) {
    this.since = now;
  }

  restarted(now: number): void {
    this.since = now;
    this.open = false;
    this.headerSent = false;
  }

  /** Opens our side of the stream when the peer's header could not be read (RFC 6120 §4.9.1.1). */
  answerHeader(c2s: C2S): void {
    sendHeader(c2s, c2s.domain);
  }
}

function sendHeader(c2s: C2S, domain: string): void {
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
  nego.since = c2s.engine.now();
  const to = header.toText;
  const fail = (error: StreamError): false => {
    if (!c2s.engine.hidden) sendHeader(c2s, c2s.domain);
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
  nego.claimed = header.fromText === undefined ? undefined : c2s.engine.jids.parse(header.fromText)?.bare.text;
  if (nego.local !== undefined && !isClaimed(c2s, nego.local)) return fail(new StreamError("invalid-from"));
  const lang = header.lang;
  nego.lang = lang !== undefined && lang !== c2s.engine.language && lang.length <= 35 ? lang : "";
  if (c2s.engine.draining) return fail(c2s.engine.farewell());
  sendHeader(c2s, c2s.domain);
  sendFeatures(c2s, nego);
  return c2s.state === 0;
}

function isClaimed({ nego, domain, anonymous }: C2S, local: string): boolean {
  return nego!.claimed === undefined || anonymous || nego!.claimed === `${local}@${domain}`;
}

function sendFeatures(c2s: C2S, nego: Negotiation): void {
  const { host, options, conn } = c2s;
  const authenticated = nego.local !== undefined;
  const own: string[] = [];
  if (authenticated) {
    own.push(`<bind xmlns='${NS_BIND}'/>`);
    if (options.legacySession) own.push(`<session xmlns='${NS_SESSION}'><optional/></session>`);
  } else {
    const canTls = options.starttls !== "no" && !c2s.secure;
    if (canTls) {
      own.push(`<starttls xmlns='${NS_TLS}'>${options.starttls === "required" ? "<required/>" : ""}</starttls>`);
    }
    if (!canTls || options.starttls === "offered") own.push(mechanisms(c2s, nego));
  }
  const send = (features: readonly Markup[]): void => {
    const open = conn?.framing === "whole" ? `<stream:features xmlns:stream='${NS_STREAM}'>` : "<stream:features>";
    c2s.writeElement(`${open}${own.join("")}${features.map((f) => f.text).join("")}</stream:features>`);
  };
  // A stream that must be encrypted first offers nothing else (RFC 6120 §5.3.1).
  if (!authenticated && options.starttls === "required" && !c2s.secure) {
    send([]);
    return;
  }
  const more = host.hooks.fold("c2s_stream_features", [], { session: c2s, domain: c2s.domain, authenticated });
  if (more instanceof Promise) c2s.wait(more.then(send));
  else send(more);
}

function mechanisms(c2s: C2S, nego: Negotiation): string {
  const { host, conn, engine, options } = c2s;
  const exporter = conn?.secure && conn.exporter?.() !== undefined ? () => conn.exporter!()! : undefined;
  const endpoint = conn?.secure && conn.endpoint?.() !== undefined ? () => conn.endpoint!()! : undefined;
  const sasl: SaslContext = {
    domain: c2s.domain,
    auth: host.auth,
    tls: c2s.secure,
    random: (n) => engine.random(n),
    exporter,
    endpoint,
    certificate: conn?.certificate?.(),
    offered: [],
    allowedMethods: options.allowedMethods as SaslContext["allowedMethods"],
    onError: (error) => engine.log.limited("auth", 5)?.error("authentication_backend_failed", { error }),
  };
  // What is offered depends on the host type and the channel alone: it is worked out once for each kind.
  const kind = `${sasl.tls} ${exporter !== undefined} ${endpoint !== undefined} ${sasl.certificate?.authorized} ${options.allowedMethods}`;
  let offer = host.offers.get(kind);
  if (offer === undefined) {
    const offered = offeredMechanisms(sasl);
    offer = { offered, xml: offerXml(offered, sasl) };
    host.offers.set(kind, offer);
  }
  nego.offered = offer.offered;
  sasl.offered = offer.offered;
  nego.sasl = sasl;
  return offer.xml;
}

function offerXml(offered: readonly string[], sasl: SaslContext): string {
  if (offered.length === 0) return "";
  const types = offered.some((m) => m.endsWith("-PLUS")) ? channelBindingTypes(sasl) : [];
  const bindings =
    types.length === 0
      ? ""
      : `<sasl-channel-binding xmlns='${NS_SASL_CB}'>${types.map((t) => `<channel-binding type='${t}'/>`).join("")}</sasl-channel-binding>`;
  return `${bindings}<mechanisms xmlns='${NS_SASL}'>${offered.map((m) => `<mechanism>${m}</mechanism>`).join("")}</mechanisms>`;
}

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
  // Registration, stream management's <resume/>: a feature may know it.
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
  nego.sasl = undefined;
  c2s.writeElement(`<proceed xmlns='${NS_TLS}'/>`);
  // What came behind <starttls/> in clear must not be read as if it had come encrypted (RFC 6120 §5.4.3.3).
  c2s.restart(false);
  conn.startTls(c2s.domain);
}

function failure(c2s: C2S, condition: string, text?: string, claimed?: string): void {
  const nego = c2s.nego!;
  nego.exchange = undefined;
  const more = text === undefined ? "" : `<text xml:lang='en'>${escapeXml(text)}</text>`;
  c2s.writeElement(`<failure xmlns='${NS_SASL}'><${condition}/>${more}</failure>`);
  c2s.host.counters.authFailures++;
  if (claimed !== undefined) nego.guesses++;
  if (++nego.failures >= MAX_FAILURES || nego.guesses >= MAX_GUESSES)
    c2s.fail(new StreamError("policy-violation", "too many failed log-ins"));
}

function authenticate(c2s: C2S, s: Stanza): MaybePromise<void> {
  const nego = c2s.nego!;
  if (nego.local !== undefined) {
    c2s.fail(new StreamError("not-authorized", "the stream is authenticated already"));
    return;
  }
  if (c2s.options.starttls === "required" && !c2s.secure) {
    failure(c2s, "encryption-required");
    return;
  }
  switch (s.name) {
    case "auth": {
      if (nego.exchange !== undefined) return failure(c2s, "malformed-request");
      const exchange = nego.sasl && startMechanism(s.attr("mechanism") ?? "", nego.sasl);
      if (exchange === undefined) return failure(c2s, "invalid-mechanism");
      const text = s.ownText;
      const initial = text === "" ? undefined : decodeBase64(text);
      if (text !== "" && initial === undefined) return failure(c2s, "incorrect-encoding");
      nego.exchange = exchange;
      return stepped(c2s, exchange.start(initial));
    }
    case "response": {
      if (nego.exchange === undefined) return failure(c2s, "malformed-request");
      const response = decodeBase64(s.ownText);
      if (response === undefined) return failure(c2s, "incorrect-encoding");
      return stepped(c2s, nego.exchange.next(response));
    }
    case "abort":
      return failure(c2s, "aborted");
    default:
      return failure(c2s, "malformed-request");
  }
}

function stepped(c2s: C2S, step: MaybePromise<SaslStep>): MaybePromise<void> {
  return step instanceof Promise ? step.then((s) => took(c2s, s)) : took(c2s, step);
}

const base64 = (data: Uint8Array): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");

function took(c2s: C2S, step: SaslStep): MaybePromise<void> {
  if (c2s.closed) return;
  const nego = c2s.nego!;
  nego.since = c2s.engine.now();
  if (step.kind === "challenge") {
    c2s.writeElement(`<challenge xmlns='${NS_SASL}'>${base64(step.data)}</challenge>`);
    return;
  }
  if (step.kind === "failure") {
    failure(c2s, step.condition, step.text, step.local);
    if (step.local !== undefined)
      return c2s.host.hooks.notify("auth_failed", { domain: c2s.domain, local: step.local });
    return;
  }
  nego.exchange = undefined;
  c2s.anonymous = step.anonymous === true;
  if (!isClaimed(c2s, step.local)) {
    c2s.fail(new StreamError("invalid-from"));
    return;
  }
  nego.local = step.local;
  c2s.writeElement(
    step.data === undefined || step.data.length === 0
      ? `<success xmlns='${NS_SASL}'/>`
      : `<success xmlns='${NS_SASL}'>${base64(step.data)}</success>`,
  );
  c2s.restart(true);
}

/** Resource binding (RFC 6120 §7). A session with the same full JID is replaced (§7.7.2.2). */
function bind(c2s: C2S, s: Stanza): MaybePromise<void> {
  const wanted = resourceWanted(s);
  let jid: FullJid;
  try {
    jid = withResource(makeBare(c2s.nego!.local!, c2s.domain), wanted ? wanted : c2s.engine.token(8));
  } catch (error) {
    if (!(error instanceof JidError)) throw error;
    return refuse(c2s, s, new StanzaError("bad-request", undefined, "modify"));
  }
  if (s.idS < 0) return refuse(c2s, s, new StanzaError("bad-request"));
  const rule = c2s.host.access.match(c2s.options.access, jid, c2s.domain);
  if (rule !== "allow") return forbidden(c2s, s, jid);
  const allowed = c2s.host.hooks.fold("session_opening_allowed_for_user", true, { jid });
  if (allowed instanceof Promise) return allowed.then((ok) => (ok ? bound(c2s, s, jid) : forbidden(c2s, s, jid)));
  return allowed ? bound(c2s, s, jid) : forbidden(c2s, s, jid);
}

/** The resource that a client asks for; the way in which clients write it needs no tree. */
function resourceWanted(s: Stanza): string | null | undefined {
  const usual = /^<bind\s[^<>]*><resource>([^<&]*)<\/resource><\/bind>$/.exec(s.innerXml);
  return usual ? usual[1] : s.child("bind", NS_BIND)?.getChildText("resource", NS_BIND);
}

function forbidden(c2s: C2S, s: Stanza, jid: FullJid): MaybePromise<void> {
  refuse(c2s, s, new StanzaError("not-allowed"));
  return c2s.host.hooks.notify("forbidden_session", { jid });
}

function refuse(c2s: C2S, s: Stanza, error: StanzaError): void {
  const id = s.id === undefined ? "" : ` id='${escapeXml(s.id)}'`;
  c2s.write(`<iq${id} type='error'>${s.innerXml}${error.toXml()}</iq>`);
}

function bound(c2s: C2S, s: Stanza, jid: FullJid): MaybePromise<void> {
  if (c2s.closed) return;
  const old = c2s.engine.sessions.get(jid);
  if (old !== undefined) {
    old.close(new StreamError("conflict", "Replaced by new connection"), "replaced");
    // What the old one could not deliver must be stored before the new one asks for it; but not for ever.
    if (old.ending !== undefined) return replaced(c2s, old, old.ending).then(() => bound(c2s, s, jid));
  }
  return registered(c2s, s, jid);
}

/** Waits for the end of a replaced session, for `replaced_wait_timeout` at most: then its place is free anyhow. */
async function replaced(c2s: C2S, old: C2S, ending: Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = c2s.engine.wheel.after(c2s.engine.replacedWait, resolve);
    ending.then(() => {
      cancel();
      resolve();
    });
  });
  c2s.engine.sessions.remove(old);
}

function registered(c2s: C2S, s: Stanza, jid: FullJid): MaybePromise<void> {
  if (c2s.closed) return;
  const { host } = c2s;
  c2s.jid = jid;
  const id = escapeXml(s.id!);
  const answer = `<iq id='${id}' type='result'><bind xmlns='${NS_BIND}'><jid>${escapeXml(jid.text)}</jid></bind></iq>`;
  const opened = host.hooks.notify("user_open_session", { session: c2s });
  const go = (): MaybePromise<void> => {
    if (c2s.closed) return;
    // Somebody else may have bound the resource meanwhile.
    if (c2s.engine.sessions.get(jid) !== undefined) return bound(c2s, s, jid);
    c2s.begin(jid);
    c2s.write(answer);
    makeRoom(c2s);
    return host.hooks.notify("sm_register_connection", { session: c2s });
  };
  return opened === undefined ? go() : opened.then(go);
}

/** An account has as many sessions as `max_user_sessions` says: the oldest gives way to one more, as in MongooseIM. */
function makeRoom({ jid, domain, host, engine }: C2S): void {
  const sessions = engine.sessions.of(jid.bare.text);
  if (sessions.length === 1) return;
  const rule = host.access.match("max_user_sessions", jid.bare, domain);
  const most = typeof rule === "number" ? rule : MAX_SESSIONS;
  let oldest: C2S | undefined;
  let alive = 0;
  for (const s of sessions) {
    if (s.closed) continue;
    alive++;
    if (oldest === undefined || s.sid < oldest.sid) oldest = s;
  }
  if (alive > most) oldest?.close(new StreamError("conflict", "Replaced by new connection"), "replaced");
}

/** The session request of RFC 3921 §3: nothing is left to do. */
export function legacySession(c2s: C2S, s: Stanza): string {
  const id = escapeXml(s.id ?? "");
  const to = c2s.jid === undefined ? "" : ` to='${escapeXml(c2s.jid.text)}'`;
  return `<iq from='${escapeXml(c2s.domain)}' id='${id}'${to} type='result'/>`;
}
