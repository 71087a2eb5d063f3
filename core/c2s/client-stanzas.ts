// What a session's client sends: its pace, its addresses, the features that see it, and its way into routing.

import { StanzaError, StreamError } from "../errors.ts";
import { type Entry, STOP, type Verdict } from "../hooks.ts";
import type { Jid } from "../jid.ts";
import type { HostType, MaybePromise } from "../module.ts";
import { NS_STREAM } from "../ns.ts";
import { errorReply } from "../replies.ts";
import { IQ, type Kind, MESSAGE, OTHER, PRESENCE, type Stanza } from "../stanza.ts";
import { logOf } from "../storage/away.ts";
import { escapeXml } from "../xml/markup.ts";
import type { Arrivals } from "./arrivals.ts";
import { type StreamCounters, TIMED } from "./engine.ts";
import { Outbox, type OutboxOwner } from "./outbox.ts";
import { StreamOutput } from "./output.ts";

export abstract class ClientStanzas extends StreamOutput implements OutboxOwner {
  /** Language of the stream header, "" when it had none or the server's. */
  lang = "";
  /** Stanzas that the client may still send in the second that has begun at `allowedSince`, by the steady clock. */
  protected allowance = 0;
  protected allowedSince = 0;
  /** A stanza waits because too many have come. */
  protected delayed = false;
  /** ` from='...'` of this session's stanzas. */
  private lead = "";
  private lastToText = "";
  private lastTo: Jid | undefined = undefined;

  /** A stanza, or what else came. */
  protected handle(s: Stanza): MaybePromise<void> {
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
    const wait = this.allowedSince + 1000 - engine.steady();
    this.allowance = rate - 1;
    this.allowedSince = engine.steady() + Math.max(0, wait);
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
    // Only messages are read on while others wait to be durable: nothing else may overtake those.
    // A session that has ended meanwhile says nothing more: its presence has been taken back, its account may be gone.
    if (s.kind !== MESSAGE && this.outbox?.busy) {
      return this.outbox.drained?.then(() => (this.closed ? undefined : this.stanza(s)));
    }
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
    if (!this.readAddresses(s)) return this.closed ? undefined : this.count(s);
    let done: MaybePromise<void>;
    try {
      done = this.send(s);
    } catch (error) {
      this.refuse(s, error);
      return this.count(s);
    }
    if (done === undefined) return this.count(s);
    return done.catch((error: unknown) => this.refuse(s, error)).then(() => this.count(s));
  }

  /** A stanza is dealt with. A promise when what was sent waits and no more should be read. */
  private count(s: Stanza): MaybePromise<void> {
    if (s.commit === undefined && s.lag === undefined && !this.outbox?.busy) {
      this.sm?.count();
      return;
    }
    this.outbox ??= new Outbox(this);
    this.outbox.count(s);
    if (this.outbox.full) return this.outbox.drained;
  }

  /** Takes a stanza that is on its way and has to wait for a write, or behind one that does. */
  later(s: Stanza, host: HostType | undefined): void {
    this.outbox ??= new Outbox(this);
    this.outbox.put(s, host);
  }

  get arrivals(): Arrivals {
    return this.engine.arrivals;
  }

  deliver(s: Stanza, host: HostType | undefined): MaybePromise<void> {
    return this.engine.deliver(s, host);
  }

  handled(count: number): void {
    this.sm?.count(count);
  }

  answer(): void {
    this.conn?.askLate();
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
      s.mayLag = true;
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
  refuse(s: Stanza, error: unknown, from?: string): void {
    if (!(error instanceof StanzaError)) {
      const what = "stanza_handler_failed";
      logOf(this.engine.log, what, error)?.error(what, { error, jid: this.jid.text });
      error = new StanzaError("internal-server-error");
    }
    if (s.type === "error" || (s.kind === IQ && s.type === "result")) return;
    const { hooks } = this.host;
    if (s.kind === MESSAGE && hooks.route(hooks.undelivered, s) === STOP) return;
    this.writeError(errorReply(s, error as StanzaError, from));
  }
}

function countErrorReceived(counters: StreamCounters, kind: Kind): void {
  if (kind === MESSAGE) counters.messageErrorsReceived++;
  else if (kind === IQ) counters.iqErrorsReceived++;
  else counters.presenceErrorsReceived++;
}
