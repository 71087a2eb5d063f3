// The input side of a client's stream, for both framings: bytes in, elements out, one at a time and in order, however
// long the handler of one takes. Bounds what waits, and reads no faster than the shaper allows.

import { StreamError } from "../errors.ts";
import type { MaybePromise } from "../module.ts";
import { NS_FRAMING } from "../ns.ts";
import type { Shaper } from "../shaper.ts";
import type { Stanza } from "../stanza.ts";
import { Framer, type FrameSink, viewElement } from "../xml/framer.ts";
import { FrameError, NO_SCOPE } from "../xml/scan.ts";
import type { C2sOptions, Conn } from "./conn.ts";
import type { StreamEngine, Traffic } from "./engine.ts";

export const NEGOTIATING = 0;
export const ACTIVE = 1;
/** The connection is lost, the session waits for its client (XEP-0198). */
export const DETACHED = 2;
export const CLOSED = 3;

/** Bytes of input that may wait while a handler works, before the connection is paused. */
const WAITING_INPUT = 64 * 1024;
const MAX_WAITING_INPUT = 1024 * 1024;
/** What a message that waits costs beside its bytes. */
const WAITING_MESSAGE = 128;
/** Bytes of an element before there is a session, whatever the listener allows after. */
const EARLY_SIZE = 65_536;

export abstract class StreamInput implements FrameSink {
  state = NEGOTIATING;
  conn: Conn | undefined;
  protected traffic: Traffic;
  protected framer: Framer | undefined;
  protected whole: Buffer[] | undefined = undefined;
  protected wholeBytes = 0;
  private readonly shaper: Shaper | undefined;
  /** What a handler of this stream's input still does; nothing is read meanwhile. */
  protected work: Promise<void> | undefined = undefined;
  protected paused = false;
  /** Until when the shaper has reading stopped, by the engine's steady clock. */
  protected throttled = 0;

  constructor(
    readonly engine: StreamEngine,
    conn: Conn,
    readonly options: C2sOptions,
  ) {
    this.conn = conn;
    this.traffic = trafficOf(engine, conn);
    this.shaper = engine.shaper(options.shaper);
    if (conn.framing === "stream") {
      const size = Math.min(options.limits.size, EARLY_SIZE);
      this.framer = new Framer(this, engine.scans, { ...options.limits, size });
    }
  }

  /** A stream header (or <open/>) came. */
  protected abstract opened(header: Stanza): void;
  /** An element came; a promise has the next ones wait. */
  protected abstract took(stanza: Stanza): MaybePromise<void>;
  /** Everything that had come is done with. */
  protected abstract workedOff(): void;
  /** A handler failed. */
  protected abstract broke(error: unknown): void;
  abstract fail(error: StreamError): void;
  abstract end(): void;
  abstract malformed(condition: FrameError["condition"] | "unsupported-encoding" | "bad-format", what: string): void;

  feed(bytes: Buffer): void {
    if (this.state === CLOSED) return;
    // Whatever goes wrong is this stream's end, not that of the process.
    try {
      this.take(bytes);
    } catch (error) {
      this.broke(error);
    }
  }

  private take(bytes: Buffer): void {
    this.traffic.in += bytes.length;
    if (this.shaper !== undefined) {
      const wait = this.shaper.take(bytes.length, this.engine.steady());
      if (wait > 0) this.throttle(wait);
    }
    if (this.framer !== undefined) {
      this.framer.feed(bytes);
      if (this.work !== undefined && !this.paused && this.framer.buffered > WAITING_INPUT) this.pause();
      return;
    }
    if (this.work !== undefined) {
      this.whole ??= [];
      this.whole.push(bytes);
      this.wholeBytes += bytes.length + WAITING_MESSAGE;
      // A WebSocket cannot be paused: what waits is bounded here.
      if (this.wholeBytes > MAX_WAITING_INPUT) this.fail(new StreamError("policy-violation", "too much at once"));
      return;
    }
    this.message(bytes);
  }

  /** One message of RFC 7395: <open/>, <close/> or an element of the stream. */
  private message(bytes: Buffer): void {
    let s: Stanza;
    try {
      s = viewElement(bytes, NO_SCOPE, this.options.limits);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.malformed(error.condition, error.message);
      return;
    }
    if (s.inNs(NS_FRAMING)) {
      const name = s.name;
      if (name === "open") this.header(s);
      else if (name === "close") this.end();
      else this.fail(new StreamError("invalid-xml", "only open and close are known in this namespace"));
      return;
    }
    if (s.nsS < 0) {
      this.fail(new StreamError("invalid-namespace", "an element must say its namespace"));
      return;
    }
    this.element(s);
  }

  /** Stops reading for a while: the shaper says so. */
  private throttle(ms: number): void {
    this.throttled = this.engine.steady() + ms;
    this.pause();
    this.engine.wheel.after(ms, () => {
      if (this.work === undefined) this.unpause();
    });
  }

  private pause(): void {
    this.paused = true;
    this.conn?.pause();
  }

  protected unpause(): void {
    if (!this.paused || this.throttled > this.engine.steady()) return;
    this.paused = false;
    this.conn?.resume();
  }

  header(header: Stanza): boolean {
    if (this.state === CLOSED) return false;
    this.opened(header);
    return this.state !== CLOSED && this.work === undefined;
  }

  element(stanza: Stanza): boolean {
    if (this.state === CLOSED) return false;
    let done: MaybePromise<void>;
    try {
      done = this.took(stanza);
    } catch (error) {
      this.broke(error);
      return false;
    }
    if (done !== undefined) {
      this.wait(done);
      return false;
    }
    return this.state !== CLOSED;
  }

  /** Reads on when `work` is done: a session's stanzas keep their order whatever awaits. */
  wait(work: Promise<void>): void {
    const before = this.work;
    const mine = (before === undefined ? work : Promise.all([before, work]).then(() => undefined))
      .catch((error: unknown) => this.broke(error))
      .then(() => {
        if (this.work !== mine) return;
        this.work = undefined;
        if (this.state !== CLOSED) this.goOn();
      });
    this.work = mine;
  }

  private goOn(): void {
    try {
      this.unpause();
      if (this.framer !== undefined) this.framer.resume();
      else this.catchUp();
    } catch (error) {
      this.broke(error);
    }
    if (this.work === undefined) this.workedOff();
  }

  private catchUp(): void {
    while (this.work === undefined && this.state !== CLOSED && this.whole !== undefined) {
      const next = this.whole.shift()!;
      this.wholeBytes -= next.length + WAITING_MESSAGE;
      if (this.whole.length === 0) this.whole = undefined;
      this.message(next);
    }
  }
}

function trafficOf({ traffic }: StreamEngine, conn: Conn): Traffic {
  if (conn.framing === "whole") return traffic.websocket;
  return conn.secure ? traffic.tls : traffic.tcp;
}
