// The output side of a session's stream: what is delivered to its client, the features that see it on the way, and the
// bound on what the client leaves unread.

import { StanzaError, StreamError } from "../errors.ts";
import { noStore } from "../hints.ts";
import { type Entry, type SessionEnd, STOP } from "../hooks.ts";
import type { FullJid, Jid } from "../jid.ts";
import type { MaybePromise, Session } from "../module.ts";
import { NS_SM } from "../ns.ts";
import { IQ, type Kind, MESSAGE, PRESENCE, type Stanza } from "../stanza.ts";
import { logOf } from "../storage/away.ts";
import { escapeXml, type Markup } from "../xml/markup.ts";
import { encode } from "../xml/writer.ts";
import type { AckHolder, Conn } from "./conn.ts";
import type { StreamCounters, StreamHost } from "./engine.ts";
import { CLOSED, DETACHED, NEGOTIATING, StreamInput } from "./input.ts";
import type { Outbox } from "./outbox.ts";
import { REQUEST, type StreamManagement } from "./sm.ts";

/** Bytes a client may leave unread, before its stream ends. */
const MAX_BACKLOG = 8 * 1024 * 1024;
/** Bytes a client may leave unread before it gets more of what was stored for it. */
const MAX_REPLAY = 256 * 1024;
/** Characters of messages that are written at once where many answer a request. */
const TOGETHER = 8 * 1024;

export abstract class StreamOutput extends StreamInput implements Session, AckHolder {
  jid!: FullJid;
  host!: StreamHost;
  domain = "";
  sid = 0;
  slots: unknown[] | undefined = undefined;
  sm: StreamManagement | undefined = undefined;
  priority = 0;
  presence: Stanza | undefined = undefined;
  anonymous = false;
  private inbox: Promise<void> | undefined = undefined;
  /** What its client has sent and what waits; made when something does. */
  outbox: Outbox | undefined = undefined;
  /** What is being worked on waits for the client to read. */
  protected forClient = false;

  abstract close(error: StreamError | undefined, reason: SessionEnd): void;

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
  get closed(): boolean {
    return this.state === CLOSED;
  }

  setPresence(stanza: Stanza | undefined, priority: number): void {
    this.presence = stanza;
    this.priority = priority;
  }

  // --- Delivery -----------------------------------------------------------------------------------------------------

  receive(s: Stanza, to?: Jid): MaybePromise<void> {
    if (this.inbox !== undefined) return this.queue(() => this.hand(s, to));
    const done = this.hand(s, to);
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
    if (this.slow) return this.aMoment().then(() => this.replay(s));
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

  /** The client has much to read before it gets more of what came all at once. */
  private get slow(): boolean {
    return this.conn !== undefined && this.conn.backlog > MAX_REPLAY;
  }

  aMoment(): Promise<void> {
    this.forClient = true;
    return new Promise((resolve) => {
      this.engine.wheel.after(0, () => {
        this.forClient = false;
        resolve();
      });
    });
  }

  holdUntil(done: Promise<unknown>): void {
    const { inbox } = this;
    this.queueing((inbox === undefined ? done : inbox.then(() => done)).then(() => undefined));
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
        if (error instanceof StanzaError) return;
        logOf(this.engine.log, "delivery_failed", error)?.error("delivery_failed", { error, jid: this.jid.text });
      })
      .then(() => {
        if (this.inbox === mine) this.inbox = undefined;
      });
    this.inbox = mine;
  }

  private hand(s: Stanza, to: Jid | undefined): MaybePromise<void> {
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
    const origin = s.origin as StreamOutput | undefined;
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
    if (sm.tooMuch && sm.id !== "") {
      this.engine.resumable.delete(sm.id);
      sm.id = "";
    }
    if (this.conn === undefined) return;
    if (sm.ackEvery > 0 && ++sm.sinceRequest >= sm.ackEvery) {
      sm.sinceRequest = 0;
      this.writeElement(REQUEST);
    }
    if (this.conn.backlog > MAX_BACKLOG) this.overflow();
  }

  private overflow(): void {
    this.engine.log.limited("backlog", 10)?.warning("client_reads_too_slowly", { jid: this.jid?.text ?? "" });
    this.close(new StreamError("resource-constraint", "output is not being read"), "error");
  }

  /** Writes what the server itself says. Stanzas count for stream management. */
  write(markup: Markup | string): void {
    this.writeText(typeof markup === "string" ? markup : markup.text, false);
  }

  /**
   * Writes what answers a stanza of the client's that came to nothing. Hundreds may do so at once, when a database goes
   * away: that is no reason to end the stream of somebody who could not acknowledge them yet.
   */
  protected writeError(text: string): void {
    this.sm?.allow();
    this.writeText(text, true);
  }

  serve(messages: readonly string[]): MaybePromise<void> {
    for (let i = 0; i < messages.length; ) {
      if (this.state === CLOSED) return;
      if (this.slow) return this.aMoment().then(() => this.serve(messages.slice(i)));
      if (this.sm === undefined && this.conn?.framing === "stream") i = this.serveSome(this.conn, messages, i);
      else {
        this.sm?.allow();
        this.writeText(messages[i++], true);
      }
    }
  }

  /** Writes messages at once, from one on, until they are so many bytes. Returns where to go on. */
  private serveSome(conn: Conn, messages: readonly string[], from: number): number {
    const { counters } = this.host;
    let to = from;
    for (let sent = 0; to < messages.length && sent < TOGETHER; ) {
      const bytes = conn.writeText(messages[to++]);
      sent += bytes;
      counters.messagesSent++;
      counters.sizesOut.observe(bytes);
      this.traffic.out += bytes;
    }
    return to;
  }

  private writeText(text: string, copy: boolean): void {
    if (this.state === CLOSED) return;
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
    this.out(bytes, bytes.utf8Write(text, 0), copy, undefined);
  }

  // A stanza of this client waits in somebody's output buffer: it is handled, but not to be acknowledged yet.
  hold(): void {
    if (this.sm !== undefined) this.sm.held++;
  }

  release(): void {
    const { sm } = this;
    if (sm !== undefined && --sm.held === 0 && sm.asked) this.conn?.askLate();
  }

  /** <r/> came (XEP-0198 §4): it is answered when what came before is handled, and after what is written meanwhile. */
  asked(): void {
    if (!this.outbox?.ask()) this.conn?.askLate();
  }

  /** Everything of this turn has been written: answers <r/>. */
  late(): void {
    if (this.sm !== undefined) this.writeElement(`<a xmlns='${NS_SM}' h='${this.sm.report()}'/>`);
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
    const bytes = this.conn.writeText(text);
    this.traffic.out += bytes;
    return bytes;
  }

  request(type: "get" | "set", payload: Markup, timeoutMs: number, from?: Jid): Promise<Stanza | undefined> {
    const id = this.engine.token(8);
    const sender = escapeXml(from?.text ?? this.domain);
    const answer = this.engine.expect(this, id, timeoutMs);
    this.write(`<iq from='${sender}' id='${id}' to='${escapeXml(this.jid.text)}' type='${type}'>${payload.text}</iq>`);
    return answer;
  }
}

function countErrorSent(counters: StreamCounters, kind: Kind): void {
  if (kind === MESSAGE) counters.messageErrorsSent++;
  else if (kind === IQ) counters.iqErrorsSent++;
  else counters.presenceErrorsSent++;
}

/** The attributes of a tag up to a default namespace; ">" may stand in the value of any of them. */
const DECLARED = /(?:\s+(?!xmlns\s*=)[^\s=>/]+\s*=\s*(?:'[^']*'|"[^"]*"))*\s+xmlns\s*=/y;

/** A stanza with its namespace, as every one on a WebSocket has it (RFC 7395 §3.3.3). `nameEnd` is behind its name. */
export function withNamespace(text: string, nameEnd: number): string {
  DECLARED.lastIndex = nameEnd;
  return DECLARED.test(text) ? text : `${text.slice(0, nameEnd)} xmlns='jabber:client'${text.slice(nameEnd)}`;
}
