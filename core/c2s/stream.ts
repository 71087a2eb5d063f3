// The client's stream (RFC 6120): one machine for every door. It knows no socket: bytes come in through `feed`, output
// goes to a Conn. What comes before a session is in negotiate.ts; this file is the session.

import { StanzaError, StreamError } from "../errors.ts";
import { noStore } from "../hints.ts";
import { type Entry, type SessionEnd, STOP, type Verdict } from "../hooks.ts";
import type { FullJid, Jid } from "../jid.ts";
import type { MaybePromise, Session } from "../module.ts";
import { NS_FRAMING, NS_STREAM } from "../ns.ts";
import { errorReply } from "../replies.ts";
import { IQ, type Kind, MESSAGE, OTHER, PRESENCE, type Stanza } from "../stanza.ts";
import { escapeXml, type Markup } from "../xml/markup.ts";
import type { FrameError } from "../xml/scan.ts";
import { encode } from "../xml/writer.ts";
import type { AckHolder, C2sOptions, Conn, ConnOwner } from "./conn.ts";
import { type StreamCounters, type StreamEngine, type StreamHost, TIMED } from "./engine.ts";
import { openStream, sendHeader } from "./header.ts";
import { ACTIVE, CLOSED, DETACHED, NEGOTIATING, StreamInput } from "./input.ts";
import { negotiate } from "./negotiate.ts";
import { Negotiation } from "./negotiation.ts";
import type { StreamManagement } from "./sm.ts";

/** Bytes a client may leave unread, before its stream ends. */
const MAX_BACKLOG = 8 * 1024 * 1024;
/** Bytes a client may leave unread before it gets more of what was stored for it. */
const MAX_REPLAY = 256 * 1024;

export class C2S extends StreamInput implements Session, ConnOwner, AckHolder {
  jid!: FullJid;
  host!: StreamHost;
  domain = "";
  sid = 0;
  /** Milliseconds since 1970 of the session's beginning; 0 before. */
  since = 0;
  slots: unknown[] | undefined = undefined;
  /** What is only needed until there is a session. */
  nego: Negotiation | undefined;
  sm: StreamManagement | undefined = undefined;
  priority = 0;
  presence: Stanza | undefined = undefined;
  anonymous = false;
  /** Language of the stream header, "" when it had none or the server's. */
  lang = "";
  /** Resolves when everything that the session's end causes is done: its messages are stored, its presence is told. */
  ending: Promise<void> | undefined = undefined;
  /** The session has waited for its client at least once. */
  wasDetached = false;
  /** Stanzas that the client may still send in the second that has begun at `allowedSince`, milliseconds since 1970. */
  private allowance = 0;
  private allowedSince = 0;
  /** A stanza waits because too many have come. */
  private delayed = false;
  private inbox: Promise<void> | undefined = undefined;
  /** Takes back the end of a session that waits for its client. */
  private stay: (() => void) | undefined = undefined;
  /** ` from='...'` of this session's stanzas. */
  private lead = "";
  private lastToText = "";
  private lastTo: Jid | undefined = undefined;

  constructor(engine: StreamEngine, conn: Conn, options: C2sOptions) {
    super(engine, conn, options);
    this.nego = new Negotiation(engine.now());
    engine.waiting.add(this);
  }

  // --- What features read -------------------------------------------------------------------------------------------

  get address(): string {
    return this.conn?.address ?? "";
  }
  get port(): number {
    return this.conn?.port ?? 0;
  }
  get unread(): number {
    return this.conn?.backlog ?? 0;
  }
  get secure(): boolean {
    return this.conn?.secure ?? false;
  }
  get available(): boolean {
    return this.presence !== undefined;
  }
  get detached(): boolean {
    return this.state >= DETACHED || this.conn === undefined;
  }
  /** Nothing can be given to it any more: it has ended, or has lost its connection and will end. */
  get gone(): boolean {
    return this.state === CLOSED || (this.conn === undefined && this.sm === undefined);
  }
  /** Resolves when a stanza that is being worked on is done with; undefined when none is. */
  get working(): Promise<void> | undefined {
    return this.work;
  }
  get closed(): boolean {
    return this.state === CLOSED;
  }

  setPresence(stanza: Stanza | undefined, priority: number): void {
    this.presence = stanza;
    this.priority = priority;
  }

  // --- Input: what StreamInput asks for -----------------------------------------------------------------------------

  protected opened(header: Stanza): void {
    if (this.state !== NEGOTIATING) this.fail(new StreamError("bad-format", "the stream is open already"));
    else openStream(this, header);
  }

  protected took(stanza: Stanza): MaybePromise<void> {
    (this.host ?? this.engine).counters.sizesIn.observe(stanza.end - stanza.start);
    return this.state === ACTIVE ? this.handle(stanza) : negotiate(this, stanza);
  }

  protected broke(error: unknown): void {
    if (error instanceof StreamError) this.fail(error);
    else {
      this.engine.log.error("stream_handler_failed", { error, jid: this.jid?.text ?? "", domain: this.domain });
      this.fail(new StreamError("internal-server-error"));
    }
  }

  /** What had come before the connection broke was worked on first. */
  protected workedOff(): void {
    if (this.conn === undefined && this.state === ACTIVE) this.lost();
  }

  end(): void {
    this.close(undefined, "closed");
  }

  malformed(condition: FrameError["condition"] | "unsupported-encoding" | "bad-format", what: string): void {
    this.fail(new StreamError(condition, what));
  }

  secured(): void {
    this.traffic = this.engine.traffic.tls;
    this.nego?.restarted(this.engine.now());
  }

  // --- A session's stanzas --------------------------------------------------------------------------------------------

  private handle(s: Stanza): MaybePromise<void> {
    const { host } = this;
    if (s.kind === OTHER) {
      host.counters.othersReceived++;
      if (s.is("error", NS_STREAM)) host.counters.streamErrorsReceived++;
      const verdict = host.hooks.session(host.hooks.sendOther, s, this);
      if (verdict === STOP) return;
      if (verdict !== undefined) return verdict.then((v) => this.unknown(v));
      this.unknown(undefined);
      return;
    }
    return --this.allowance < 0 ? this.slowly(s) : this.stanza(s);
  }

  /** The allowance of a second is used up: the stanza, and what comes after it, waits for the rest of that second. */
  private slowly(s: Stanza): MaybePromise<void> {
    const { engine } = this;
    const rate = this.options.maxStanzaRate;
    const wait = this.allowedSince + 1000 - engine.now();
    this.allowance = rate - 1;
    this.allowedSince = engine.now() + Math.max(0, wait);
    if (wait <= 0) return this.stanza(s);
    engine.log.limited("stanza_rate", 10)?.info("client_sends_too_fast", { jid: this.jid.text });
    this.delayed = true;
    return new Promise<void>((resolve) => {
      engine.wheel.after(wait, resolve);
    }).then(() => {
      this.delayed = false;
      return this.closed ? undefined : this.stanza(s);
    });
  }

  private stanza(s: Stanza): MaybePromise<void> {
    const timed = s.kind === MESSAGE && (this.host.counters.messagesReceived & (TIMED - 1)) === 0;
    return timed ? this.timedStanza(s) : this.plainStanza(s);
  }

  private timedStanza(s: Stanza): MaybePromise<void> {
    const from = performance.now();
    const ended = (): void => this.host.counters.messageTimes.observe((performance.now() - from) * 1000);
    const done = this.plainStanza(s);
    return done === undefined ? ended() : done.then(ended);
  }

  private plainStanza(s: Stanza): MaybePromise<void> {
    if (!this.readAddresses(s)) return;
    let done: MaybePromise<void>;
    try {
      done = this.send(s);
    } catch (error) {
      this.refuse(s, error);
      this.sm?.count();
      return;
    }
    if (done === undefined) {
      this.sm?.count();
      return;
    }
    return done.catch((error: unknown) => this.refuse(s, error)).then(() => this.sm?.count());
  }

  private unknown(verdict: Verdict): void {
    if (verdict !== STOP) this.fail(new StreamError("unsupported-stanza-type"));
  }

  /** Sets the trusted addresses (RFC 6120 §8.1). False when the stanza was answered with an error. */
  private readAddresses(s: Stanza): boolean {
    const jid = this.jid;
    if (s.fromS >= 0 && !s.fromIs(jid.text) && !s.fromIs(jid.bare.text)) {
      const claimed = this.engine.jids.parse(s.fromText!);
      if (claimed?.text !== jid.text && claimed?.text !== jid.bare.text) {
        this.fail(new StreamError("invalid-from"));
        return false;
      }
    }
    s.from = jid;
    // Made at the first stanza: an idle client keeps none.
    if (this.lead === "") this.lead = ` from='${escapeXml(jid.text)}'`;
    s.lead = s.langS < 0 && this.lang !== "" ? `${this.lead} xml:lang='${escapeXml(this.lang)}'` : this.lead;
    s.origin = this;
    if (s.toS < 0) s.to = jid.bare;
    else if (this.lastTo !== undefined && s.toIs(this.lastToText)) s.to = this.lastTo;
    else {
      const text = s.toText!;
      const to = this.engine.jids.parse(text);
      if (to === undefined) {
        s.to = jid.bare;
        this.refuse(s, new StanzaError("jid-malformed"), this.domain);
        this.sm?.count();
        return false;
      }
      s.to = to;
      this.lastTo = to;
      this.lastToText = text;
    }
    return true;
  }

  /** Shows the stanza to the host type's features, then routes it. */
  private send(s: Stanza): MaybePromise<void> {
    const { host } = this;
    const { hooks, counters } = host;
    let list: readonly Entry[];
    if (s.kind === MESSAGE) {
      counters.messagesReceived++;
      list = hooks.sendMessage;
    } else if (s.kind === PRESENCE) {
      counters.presencesReceived++;
      list = hooks.sendPresence;
    } else {
      counters.iqReceived++;
      if (!this.iqIsSane(s)) throw new StanzaError("bad-request");
      list = hooks.sendIq;
    }
    if (s.type === "error") countErrorReceived(counters, s.kind);
    if (list.length > 0) {
      const verdict = hooks.session(list, s, this);
      if (verdict === STOP) return;
      if (verdict !== undefined) return verdict.then((v) => (v === STOP ? undefined : this.engine.route(s)));
    }
    return this.engine.route(s);
  }

  /** RFC 6120 §8.2.3: an id, a known type, one child in a request, at most one in a result. */
  private iqIsSane(s: Stanza): boolean {
    if (s.idS < 0) return false;
    switch (s.type) {
      case "get":
      case "set":
        return s.childCount === 1;
      case "result":
        return s.childCount <= 1;
      default:
        return s.type === "error";
    }
  }

  /** Answers one's own stanza with an error; errors are not answered. */
  private refuse(s: Stanza, error: unknown, from?: string): void {
    if (!(error instanceof StanzaError)) {
      this.engine.log.error("stanza_handler_failed", { error, jid: this.jid.text });
      error = new StanzaError("internal-server-error");
    }
    if (s.type === "error" || (s.kind === IQ && s.type === "result")) return;
    const { hooks } = this.host;
    if (s.kind === MESSAGE && hooks.route(hooks.undelivered, s) === STOP) return;
    this.write(errorReply(s, error as StanzaError, from));
  }

  // --- Output -------------------------------------------------------------------------------------------------------

  receive(s: Stanza, to?: Jid): MaybePromise<void> {
    if (this.inbox !== undefined) return this.queue(() => this.deliver(s, to));
    const done = this.deliver(s, to);
    if (done !== undefined) this.queueing(done);
    return done;
  }

  /**
   * As `receive`, for what was stored for this client and comes all at once: one that is slow to read or to acknowledge
   * is waited for. A bound that ended the stream would store it all again, and again. What a feature turns away (the
   * sender was blocked since) is dropped: its sender was told long ago that it is stored, and is not to learn who comes
   * online.
   */
  replay(s: Stanza): MaybePromise<void> {
    if (this.conn !== undefined && this.conn.backlog > MAX_REPLAY) {
      return new Promise<void>((resolve) => {
        this.engine.wheel.after(0, resolve);
      }).then(() => this.replay(s));
    }
    this.sm?.allow();
    const refused = (error: unknown): void => {
      if (!(error instanceof StanzaError)) throw error;
    };
    try {
      return this.receive(s)?.catch(refused);
    } catch (error) {
      return refused(error);
    }
  }

  /** Something is being delivered that waits: what comes after waits behind it. */
  private queue(next: () => MaybePromise<void>): Promise<void> {
    const done = this.inbox!.then(next);
    this.queueing(done);
    return done;
  }

  private queueing(done: Promise<void>): void {
    const mine = done
      .catch((error: unknown) => {
        // A feature's refusal is for the sender, who is told by whoever routed the stanza.
        if (!(error instanceof StanzaError)) this.engine.log.error("delivery_failed", { error, jid: this.jid.text });
      })
      .then(() => {
        if (this.inbox === mine) this.inbox = undefined;
      });
    this.inbox = mine;
  }

  private deliver(s: Stanza, to: Jid | undefined): MaybePromise<void> {
    const { hooks, counters } = this.host;
    let list: readonly Entry[];
    if (s.kind === MESSAGE) {
      counters.messagesSent++;
      list = hooks.receiveMessage;
    } else if (s.kind === PRESENCE) {
      counters.presencesSent++;
      list = hooks.receivePresence;
    } else {
      counters.iqSent++;
      list = hooks.receiveIq;
    }
    if (s.type === "error") countErrorSent(counters, s.kind);
    if (list.length > 0) {
      const verdict = hooks.session(list, s, this);
      if (verdict === STOP) return;
      if (verdict !== undefined) return verdict.then((v) => (v === STOP ? undefined : this.presend(s, to)));
    }
    return this.presend(s, to);
  }

  private presend(s: Stanza, to: Jid | undefined): MaybePromise<void> {
    const { hooks } = this.host;
    if (hooks.presend.length > 0) {
      const verdict = hooks.session(hooks.presend, s, this);
      if (verdict === STOP) return;
      if (verdict !== undefined) return verdict.then((v) => (v === STOP ? undefined : this.put(s, to)));
    }
    return this.put(s, to);
  }

  /** Writes a stanza out. One whose stream is gone goes back to routing. */
  put(s: Stanza, to?: Jid): MaybePromise<void> {
    if (this.gone) return this.engine.reroute(s);
    const lead = s.lead !== "" ? s.lead : ` from='${escapeXml(s.from.text)}'`;
    const scratch = this.engine.scratch;
    const { conn } = this;
    const n = encode(
      scratch,
      s,
      lead,
      to === undefined ? "" : ` to='${escapeXml(to.text)}'`,
      conn !== undefined && conn.framing === "whole",
    );
    const origin = s.origin as C2S | undefined;
    this.out(scratch.bytes, n, s.copy, origin?.sm === undefined ? undefined : origin);
    if (this.host.hooks.sent.length > 0) this.tellSent(s);
    if (this.state === DETACHED && s.kind === MESSAGE && !s.copy && !noStore(s)) return this.held();
  }

  /** What is written stays so, whatever a feature thinks of it. */
  private tellSent(s: Stanza): void {
    const { hooks } = this.host;
    try {
      const told = hooks.session(hooks.sent, s, this);
      if (told instanceof Promise) told.catch(() => undefined);
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error;
    }
  }

  /** A message waits for a client that may never come back: a feature keeps it safe before its sender is told. */
  private held(): MaybePromise<void> {
    const newest = this.sm?.newest();
    if (newest === undefined) return;
    const text = Buffer.from(newest.bytes, "latin1").toString();
    return this.host.hooks.notify("message_held", { session: this, text, at: newest.at });
  }

  private out(bytes: Buffer, n: number, copy: boolean, sender: AckHolder | undefined): void {
    const { conn, sm } = this;
    if (conn !== undefined) {
      conn.write(bytes, n, sender);
      this.traffic.out += n;
      this.host.counters.sizesOut.observe(n);
    }
    if (sm !== undefined) this.managed(sm, bytes.latin1Slice(0, n), copy);
    else if (conn !== undefined && conn.backlog > MAX_BACKLOG) this.overflow();
  }

  private managed(sm: StreamManagement, bytes: string, copy: boolean): void {
    if (!sm.push(bytes, this.engine.now(), copy)) {
      this.fail(new StreamError("resource-constraint", "too many unacknowledged stanzas"));
      return;
    }
    if (this.conn === undefined) return;
    if (sm.ackEvery > 0 && ++sm.sinceRequest >= sm.ackEvery) {
      sm.sinceRequest = 0;
      this.writeElement("<r xmlns='urn:xmpp:sm:3'/>");
    }
    if (this.conn.backlog > MAX_BACKLOG) this.overflow();
  }

  private overflow(): void {
    this.engine.log.limited("backlog", 10)?.warning("client_reads_too_slowly", { jid: this.jid?.text ?? "" });
    this.close(new StreamError("resource-constraint", "output is not being read"), "error");
  }

  /** Writes what the server itself says. Stanzas count for stream management. */
  write(markup: Markup | string): void {
    if (this.state === CLOSED) return;
    let text = typeof markup === "string" ? markup : markup.text;
    const stanza = /^<(message|presence|iq)(?=[\s/>])/.exec(text);
    if (stanza === null) {
      this.writeElement(text);
      return;
    }
    const { counters } = this.host;
    const kind = stanza[1] === "iq" ? IQ : stanza[1] === "message" ? MESSAGE : PRESENCE;
    if (kind === IQ) counters.iqSent++;
    else if (kind === MESSAGE) counters.messagesSent++;
    else counters.presencesSent++;
    if (text.lastIndexOf(" type='error'", text.indexOf(">")) > 0) countErrorSent(counters, kind);
    if (this.conn?.framing === "whole") text = withNamespace(text, stanza[0].length);
    if (this.state === NEGOTIATING) {
      counters.sizesOut.observe(this.say(text));
      return;
    }
    const scratch = this.engine.scratch;
    const bytes = scratch.need(text.length * 3);
    this.out(bytes, bytes.utf8Write(text, 0), false, undefined);
  }

  // A stanza of this client waits in somebody's output buffer: it is handled, but not to be acknowledged yet.
  hold(): void {
    if (this.sm !== undefined) this.sm.held++;
  }

  release(): void {
    const { sm } = this;
    if (sm !== undefined && --sm.held === 0 && sm.asked) this.conn?.askLate();
  }

  /** Everything of this turn has been written: answers <r/> (XEP-0198 §4). */
  late(): void {
    if (this.sm !== undefined) this.writeElement(`<a xmlns='urn:xmpp:sm:3' h='${this.sm.report()}'/>`);
  }

  /** Writes an element that is not a stanza, as it is. */
  writeElement(text: string): void {
    if (this.conn === undefined) return;
    const { counters } = this.host ?? this.engine;
    counters.othersSent++;
    counters.sizesOut.observe(this.say(text));
  }

  /** Writes what is no element: the beginning and the end of the stream. Returns its bytes. */
  say(text: string): number {
    if (this.conn === undefined) return 0;
    const n = Buffer.byteLength(text);
    this.traffic.out += n;
    this.conn.writeText(text);
    return n;
  }

  request(type: "get" | "set", payload: Markup, timeoutMs: number, from?: Jid): Promise<Stanza | undefined> {
    const id = this.engine.token(8);
    const sender = escapeXml(from?.text ?? this.domain);
    const answer = this.engine.expect(this, id, timeoutMs);
    this.write(`<iq from='${sender}' id='${id}' to='${escapeXml(this.jid.text)}' type='${type}'>${payload.text}</iq>`);
    return answer;
  }

  // --- Session life -------------------------------------------------------------------------------------------------

  /** The resource is bound: from here on the stream is a session of the directory. */
  begin(jid: FullJid): void {
    this.jid = jid;
    this.sid = this.engine.nextSid();
    this.since = this.engine.now();
    this.allowance = this.options.maxStanzaRate;
    this.allowedSince = this.since;
    this.lang = this.nego?.lang ?? "";
    this.engine.waiting.delete(this);
    this.nego = undefined;
    this.state = ACTIVE;
    if (this.framer) this.framer.limits = this.options.limits;
    this.conn?.settled?.();
    this.engine.sessions.add(this);
    this.host.counters.logins++;
  }

  /** The stream begins anew on the same connection (after TLS and SASL). Nothing that came early is kept after TLS. */
  restart(keepInput: boolean): void {
    this.framer?.restart(keepInput);
    this.nego?.restarted(this.engine.now());
  }

  /** Turns stream management on (XEP-0198 §3). */
  enableSm(sm: StreamManagement): void {
    this.sm = sm;
    if (sm.id !== "") this.engine.resumable.set(sm.id, this);
  }

  /**
   * Takes over the connection of a newer stream, whose client has shown that it is this session's (XEP-0198 §5).
   * Its unacknowledged stanzas are sent again after <resumed/> has been written, by `tell` when it is not to be written
   * by itself. Nothing may be worked on.
   */
  resumeOn(newer: C2S, tell = (resumed: string): void => this.writeElement(resumed)): void {
    const sm = this.sm!;
    this.stay?.();
    this.stay = undefined;
    newer.throttled = 0;
    newer.unpause();
    const { conn, framer } = newer;
    this.whole = newer.whole;
    this.wholeBytes = newer.wholeBytes;
    newer.conn = undefined;
    newer.framer = undefined;
    newer.state = CLOSED;
    this.engine.waiting.delete(newer);
    this.conn = conn;
    this.traffic = newer.traffic;
    this.framer = framer;
    if (framer) {
      framer.sink = this;
      framer.limits = this.options.limits;
    }
    conn?.setOwner(this);
    this.state = ACTIVE;
    sm.sinceRequest = 0;
    tell(`<resumed xmlns='urn:xmpp:sm:3' h='${sm.startOver()}' previd='${sm.id}'/>`);
    const { scratch } = this.engine;
    for (const { bytes } of sm.unacked()) {
      // The connection may be of another kind than the one it was written for.
      const name = conn?.framing === "whole" ? /^<\w+/.exec(bytes)?.[0].length : undefined;
      const text = name === undefined ? bytes : withNamespace(bytes, name);
      const b = scratch.need(text.length);
      const n = b.latin1Write(text, 0);
      conn?.write(b, n);
      this.traffic.out += n;
    }
    if (sm.waiting > 0 && sm.ackEvery > 0) this.writeElement("<r xmlns='urn:xmpp:sm:3'/>");
    const told = this.host.hooks.notify("session_resumed", { session: this });
    // The framer still answers to the newer stream's handler, which has ended: it reads on when this is done.
    this.wait(Promise.resolve(told));
  }

  /** Ends the connection, not the session: another connection of the same client is about to take it over. */
  giveUpConnection(): void {
    const { conn } = this;
    if (this.state !== ACTIVE || conn === undefined) return;
    this.sayError(new StreamError("conflict", "resumed by another connection"), conn);
    this.say(closing(conn));
    conn.setOwner(NOBODY);
    conn.end();
    this.lost();
  }

  /** Ends the stream with an error; the session ends with it. */
  fail(error: StreamError): void {
    this.close(error, "error");
  }

  close(error: StreamError | undefined, reason: SessionEnd): void {
    if (this.state === CLOSED) return;
    const { conn } = this;
    const unopened = this.nego !== undefined && !this.nego.headerSent;
    if (conn !== undefined && !(unopened && this.engine.hidden)) {
      if (unopened) sendHeader(this);
      if (error !== undefined) this.sayError(error, conn);
      this.say(closing(conn));
    }
    if (error !== undefined && this.engine.log.enabled("info")) {
      const { condition, text } = error;
      this.engine.log.info("stream_error", { condition, text, jid: this.jid?.text ?? "", address: this.address });
    }
    this.finish(reason);
  }

  private sayError(error: StreamError, conn: Conn): void {
    (this.host ?? this.engine).counters.streamErrorsSent++;
    this.writeElement(error.toXml(conn.framing === "whole"));
  }

  /** The connection is gone. What came before is still worked on. */
  closedConn(): void {
    this.conn = undefined;
    const more = this.delayed || this.whole !== undefined || (this.framer !== undefined && this.framer.buffered > 0);
    if (this.state !== ACTIVE || this.work === undefined || !more) this.lost();
  }

  /** Without its connection a session ends, or waits for its client (XEP-0198 §5). */
  private lost(): void {
    this.conn = undefined;
    if (this.state !== ACTIVE || this.sm === undefined || this.sm.id === "" || this.engine.draining) {
      this.finish("lost");
      return;
    }
    this.state = DETACHED;
    this.wasDetached = true;
    this.framer?.stop();
    this.framer = undefined;
    this.whole = undefined;
    this.wholeBytes = 0;
    this.paused = false;
    this.throttled = 0;
    this.stay = this.engine.wheel.after(this.sm.resumeSeconds * 1000, () => this.finish("timeout"));
    const told = this.host.hooks.notify("session_detached", { session: this });
    told?.catch((error: unknown) => this.engine.log.error("session_detach_failed", { error, jid: this.jid.text }));
  }

  /** The session is over, whatever the reason: every end comes through here, once. */
  private finish(reason: SessionEnd): void {
    const wasSession = this.state === ACTIVE || this.state === DETACHED;
    const { conn, sm } = this;
    this.state = CLOSED;
    this.stay?.();
    this.stay = undefined;
    this.engine.waiting.delete(this);
    this.framer?.stop();
    conn?.setOwner(NOBODY);
    conn?.end();
    if (sm !== undefined && sm.id !== "") this.engine.resumable.delete(sm.id);
    if (!wasSession) {
      this.conn = undefined;
      return;
    }
    const { host } = this;
    host.counters.logouts++;
    const told = this.terminates(reason);
    const after = async () => {
      await told;
      this.engine.sessions.remove(this);
      await host.hooks.notify("sm_remove_connection", { session: this, reason });
      await host.hooks.notify("reroute_unacked_messages", { session: this });
      this.presence = undefined;
      if (this.anonymous && this.engine.sessions.of(this.jid.bare.text).length === 0) {
        await host.hooks.notify("anonymous_purge", { jid: this.jid.bare });
      }
      this.conn = undefined;
    };
    // Out of the directory at once unless a feature waits: nobody routes to a stream that has ended.
    if (told === undefined) this.engine.sessions.remove(this);
    const { endings } = this.engine;
    const ending = after()
      .catch((error: unknown) => this.engine.log.error("session_end_failed", { error, jid: this.jid.text }))
      .finally(() => endings.delete(ending));
    endings.add(ending);
    this.ending = ending;
  }

  /** Tells that the session ends; it ends whoever objects. */
  private terminates(reason: SessionEnd): MaybePromise<void> {
    const failed = (error: unknown): void => this.engine.log.error("session_end_failed", { error, jid: this.jid.text });
    try {
      return this.host.hooks.notify("user_terminate", { session: this, reason })?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

const NOBODY: ConnOwner = { feed() {}, secured() {}, late() {}, closedConn() {} };

function countErrorReceived(counters: StreamCounters, kind: Kind): void {
  if (kind === MESSAGE) counters.messageErrorsReceived++;
  else if (kind === IQ) counters.iqErrorsReceived++;
  else counters.presenceErrorsReceived++;
}

function countErrorSent(counters: StreamCounters, kind: Kind): void {
  if (kind === MESSAGE) counters.messageErrorsSent++;
  else if (kind === IQ) counters.iqErrorsSent++;
  else counters.presenceErrorsSent++;
}

const closing = (conn: Conn): string =>
  conn.framing === "whole" ? `<close xmlns='${NS_FRAMING}'/>` : "</stream:stream>";

/** The attributes of a tag up to a default namespace; ">" may stand in the value of any of them. */
const DECLARED = /(?:\s+(?!xmlns\s*=)[^\s=>/]+\s*=\s*(?:'[^']*'|"[^"]*"))*\s+xmlns\s*=/y;

/** A stanza with its namespace, as every one on a WebSocket has it (RFC 7395 §3.3.3). `nameEnd` is behind its name. */
function withNamespace(text: string, nameEnd: number): string {
  DECLARED.lastIndex = nameEnd;
  return DECLARED.test(text) ? text : `${text.slice(0, nameEnd)} xmlns='jabber:client'${text.slice(nameEnd)}`;
}
