// The client's stream (RFC 6120): one machine for every door. It knows no socket: bytes come in through `feed`, output
// goes to a Conn. What comes before a session is in negotiate.ts; this file is the session's life, from its beginning
// over the loss of its connection to its end. Its other sides: input.ts, client-stanzas.ts, output.ts.

import { StreamError } from "../errors.ts";
import type { SessionEnd } from "../hooks.ts";
import type { FullJid } from "../jid.ts";
import type { MaybePromise } from "../module.ts";
import { NS_FRAMING, NS_SM } from "../ns.ts";
import type { Stanza } from "../stanza.ts";
import { logOf } from "../storage/away.ts";
import type { FrameError } from "../xml/scan.ts";
import { ClientStanzas } from "./client-stanzas.ts";
import type { C2sOptions, Conn, ConnOwner } from "./conn.ts";
import type { StreamEngine } from "./engine.ts";
import { openStream, sendHeader } from "./header.ts";
import { ACTIVE, CLOSED, DETACHED, NEGOTIATING } from "./input.ts";
import { negotiate } from "./negotiate.ts";
import { Negotiation } from "./negotiation.ts";
import { withNamespace } from "./output.ts";
import { REQUEST, type StreamManagement } from "./sm.ts";

export class C2S extends ClientStanzas implements ConnOwner {
  /** The session's beginning, by the engine's steady clock; 0 before. */
  since = 0;
  /** What is only needed until there is a session. */
  nego: Negotiation | undefined;
  /** Resolves when everything that the session's end causes is done: its messages are stored, its presence is told. */
  ending: Promise<void> | undefined = undefined;
  /** The session has waited for its client at least once. */
  wasDetached = false;
  /** Takes back the end of a session that waits for its client. */
  private stay: (() => void) | undefined = undefined;

  constructor(engine: StreamEngine, conn: Conn, options: C2sOptions) {
    super(engine, conn, options);
    this.nego = new Negotiation(engine.steady());
    engine.waiting.add(this);
  }

  /** Resolves when the stanzas that are being worked on, or wait for a write, are done with; undefined when none is. */
  get working(): Promise<void> | undefined {
    const waiting = this.outbox?.drained;
    if (waiting === undefined) return this.work;
    return this.work === undefined ? waiting : Promise.all([this.work, waiting]).then(() => undefined);
  }

  /**
   * Resolves when what has come so far is done with, whatever comes behind it; undefined when nothing is being done, or it
   * is for its client, or for the client's rate, that the stream waits.
   */
  get begun(): Promise<unknown> | undefined {
    const work = this.delayed || this.forClient ? undefined : this.work;
    // What is worked on may have to wait for a write then.
    return work === undefined ? this.outbox?.passed : work.then(() => this.outbox?.passed);
  }

  /** Resolves when nothing is being worked on, nor what that has left to wait for a write. */
  async worked(): Promise<void> {
    for (let work = this.working; work !== undefined; work = this.working) await work;
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
      const what = "stream_handler_failed";
      const fields = { error, jid: this.jid?.text ?? "", domain: this.domain };
      logOf(this.engine.log, what, error)?.error(what, fields);
      this.fail(new StreamError("internal-server-error"));
    }
  }

  /** What had come before the connection broke was worked on first. */
  protected workedOff(): void {
    if (this.conn === undefined && this.state === ACTIVE) this.lost();
  }

  /** The client has said that it will send no more: what it has sent goes its way first, and it is told what does not. */
  end(): void {
    const waiting = this.outbox?.drained;
    if (waiting === undefined) this.close(undefined, "closed");
    else this.wait(waiting.then(() => this.close(undefined, "closed")));
  }

  malformed(condition: FrameError["condition"] | "unsupported-encoding" | "bad-format", what: string): void {
    this.fail(new StreamError(condition, what));
  }

  secured(): void {
    this.traffic = this.engine.traffic.tls;
    this.nego?.restarted(this.engine.steady());
  }
  // --- Session life -------------------------------------------------------------------------------------------------

  /** The resource is bound: from here on the stream is a session of the directory. */
  begin(jid: FullJid): void {
    this.jid = jid;
    this.sid = this.engine.nextSid();
    this.since = this.engine.steady();
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
    this.nego?.restarted(this.engine.steady());
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
    tell(`<resumed xmlns='${NS_SM}' h='${sm.startOver()}' previd='${sm.id}'/>`);
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
    if (sm.waiting > 0 && sm.ackEvery > 0) this.writeElement(REQUEST);
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
    const more =
      this.delayed ||
      this.outbox?.busy ||
      this.whole !== undefined ||
      (this.framer !== undefined && this.framer.buffered > 0);
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
    if (told === undefined) return;
    const what = "session_detach_failed";
    const failed = (error: unknown): void =>
      logOf(this.engine.log, what, error)?.error(what, { error, jid: this.jid.text });
    void this.engine.underWay.add(told).catch(failed);
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
    if (this.working !== undefined) this.part();
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
        await this.engine.forgetAnonymous(this.jid.bare, host);
      }
      this.conn = undefined;
    };
    // Out of the directory at once unless a feature waits: nobody routes to a stream that has ended.
    if (told === undefined) this.engine.sessions.remove(this);
    this.ending = this.engine.endings.add(after().catch((error: unknown) => this.endFailed(error)));
  }

  /** What it has begun is not yet done. */
  private part(): void {
    const { parting } = this.engine;
    parting.add(this);
    void this.worked().then(() => parting.delete(this));
  }

  private endFailed(error: unknown): void {
    logOf(this.engine.log, "session_end_failed", error)?.error("session_end_failed", { error, jid: this.jid.text });
  }

  /** Tells that the session ends; it ends whoever objects. */
  private terminates(reason: SessionEnd): MaybePromise<void> {
    try {
      return this.host.hooks
        .notify("user_terminate", { session: this, reason })
        ?.catch((error: unknown) => this.endFailed(error));
    } catch (error) {
      this.endFailed(error);
    }
  }
}

const NOBODY: ConnOwner = { feed() {}, secured() {}, late() {}, closedConn() {} };

const closing = (conn: Conn): string =>
  conn.framing === "whole" ? `<close xmlns='${NS_FRAMING}'/>` : "</stream:stream>";
