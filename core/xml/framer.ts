// The framer: from received bytes to stream headers, stanzas and the end of the stream, for both framings: a stream
// over TCP (RFC 6120 §4) and whole elements (RFC 7395, RFC 7590 BOSH bodies' children).

import { Stanza } from "../stanza.ts";
import { canonicalText } from "./canonical.ts";
import { isSpace } from "./chars.ts";
import { type FrameCondition, FrameError, type Limits, NO_SCOPE, Scan, type Scope } from "./scan.ts";

/** Who gets what the framer finds. `header` and `element` return false to make the framer wait for `resume`. */
export interface FrameSink {
  /** A stream header, its attributes readable on the view; `declared` false when an XML declaration was malformed. */
  header(header: Stanza): boolean;
  element(stanza: Stanza): boolean;
  /** The peer closed its stream. */
  end(): void;
  /** The input is not acceptable; nothing more is read. */
  malformed(condition: FrameCondition | "unsupported-encoding" | "bad-format", what: string): void;
}

/** Scanners to borrow: a connection holds one only while an element is incomplete. */
export class ScanPool {
  private readonly free: Scan[] = [];
  take(): Scan {
    return this.free.pop() ?? new Scan();
  }
  give(scan: Scan): void {
    if (this.free.length < 64 && scan.kids.length < 4096) this.free.push(scan);
  }
}

const PROLOG = 0;
const OPEN = 1;
const DONE = 2;
/** The XML declaration has been read, the stream header has not. */
const DECLARED = 3;

const MAX_DECLARATION = 256;
const STREAM_ONLY: Scope = { defaultNs: "jabber:client", prefixes: [["stream", "http://etherx.jabber.org/streams"]] };
/** A carry buffer starts at this size and doubles. */
const CARRY = 512;

export class Framer {
  private phase = PROLOG;
  private scope: Scope = NO_SCOPE;
  private rootName = "";
  private carry: Buffer | undefined;
  private carryLength = 0;
  private scan: Scan | undefined;
  private fresh = true;
  private waiting = false;
  private running = false;
  /** Set when the rest of the bytes being read must not be read. */
  private cut = false;

  constructor(
    /** May be replaced: a resumed session takes over the framer of its new connection. */
    public sink: FrameSink,
    private readonly pool: ScanPool,
    /** May be replaced while the stream goes on: stricter before authentication. */
    public limits: Limits,
  ) {}

  /** Bytes that wait for `resume` or for the rest of their element. */
  get buffered(): number {
    return this.carryLength;
  }

  /** Takes received bytes. The framer may keep a reference to them: the caller must not write to them again. */
  feed(bytes: Buffer): void {
    if (this.phase === DONE) return;
    let buffer = bytes;
    let n = bytes.length;
    if (this.carry) {
      n = this.keep(bytes);
      buffer = this.carry;
    }
    if (this.waiting || this.running) {
      if (!this.carry) this.stash(buffer, 0, n);
      return;
    }
    this.go(buffer, n);
  }

  /** Goes on after `header` or `element` returned false. */
  resume(): void {
    if (!this.waiting || this.phase === DONE) return;
    this.waiting = false;
    if (this.carry && !this.running) this.go(this.carry, this.carryLength);
  }

  /** Begins a new stream on the same connection: after TLS, after SASL. Bytes that came early stay when `keep`. */
  restart(keep = true): void {
    this.phase = PROLOG;
    this.scope = NO_SCOPE;
    if (keep) return;
    this.drop();
    this.cut = this.running;
  }

  /** Reads nothing more. */
  stop(): void {
    this.phase = DONE;
    this.drop();
  }

  private drop(): void {
    this.carry = undefined;
    this.carryLength = 0;
    if (this.scan) this.pool.give(this.scan);
    this.scan = undefined;
  }

  /** Appends to the carry buffer; returns the bytes in it. */
  private keep(bytes: Buffer): number {
    const length = this.carryLength + bytes.length;
    let carry = this.carry!;
    if (length > carry.length || !this.fresh) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(CARRY, this.fresh ? carry.length * 2 : 0, length));
      carry.copy(bigger, 0, 0, this.carryLength);
      this.carry = carry = bigger;
      this.fresh = true;
    }
    bytes.copy(carry, this.carryLength);
    this.carryLength = length;
    return length;
  }

  /** Keeps what begins at `from` for later. `fresh` says that no stanza refers to the new buffer yet. */
  private stash(buffer: Buffer, from: number, n: number): void {
    if (from >= n) {
      this.carry = undefined;
      this.carryLength = 0;
      return;
    }
    if (buffer === this.carry && from === 0) {
      this.carryLength = n;
      return;
    }
    const carry = Buffer.allocUnsafeSlow(Math.max(CARRY, n - from));
    buffer.copy(carry, 0, from, n);
    this.carry = carry;
    this.carryLength = n - from;
    this.fresh = true;
    this.scan?.rebase(from);
  }

  private go(buffer: Buffer, n: number): void {
    this.running = true;
    try {
      this.read(buffer, n);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.phase = DONE;
      this.drop();
      this.sink.malformed(error.condition, error.message);
    } finally {
      this.running = false;
    }
    // Bytes that a sink fed back while it was called (never the case on a socket) are in the carry.
  }

  private read(buffer: Buffer, n: number): void {
    let i = this.resumeAt;
    this.resumeAt = 0;
    for (;;) {
      if (this.scan) {
        const scan = this.scan;
        const e = scan.run(buffer, i, n, this.scope, this.limits);
        if (e < 0) {
          if (n - scan.start > this.limits.size) throw new FrameError("policy-violation", "element too big");
          this.later(buffer, scan.start, ~e, n);
          return;
        }
        if (e - scan.start > this.limits.size) throw new FrameError("policy-violation", "element too big");
        this.scan = undefined;
        const go = this.found(buffer, e, scan);
        this.pool.give(scan);
        i = e;
        if (this.isDone()) return;
        if (!go) this.waiting = true;
        if (this.wasCut()) return;
        if (!go) {
          if (buffer === this.carry) this.fresh = false;
          this.stash(buffer, i, n);
          return;
        }
        if (buffer === this.carry) this.fresh = false;
        continue;
      }
      while (i < n && isSpace(buffer[i])) i++;
      if (i >= n) {
        this.carry = undefined;
        this.carryLength = 0;
        return;
      }
      if (buffer[i] !== 0x3c) {
        this.fail(this.phase === OPEN ? "bad-format" : "not-well-formed", "text outside of an element");
        return;
      }
      if (i + 1 >= n) {
        this.later(buffer, i, i, n);
        return;
      }
      if (this.phase !== OPEN) {
        if (buffer[i + 1] === 0x3f && this.phase === PROLOG) {
          const e = this.declaration(buffer, i, n);
          if (e === undefined) return;
          i = e;
          continue;
        }
        const e = this.header(buffer, i, n);
        if (e < 0) {
          if (n - i > this.limits.tag) throw new FrameError("policy-violation", "a tag is too long");
          this.later(buffer, i, i, n);
          return;
        }
        if (this.isDone() || this.wasCut()) return;
        i = e;
        if (this.waiting) {
          if (buffer === this.carry) this.fresh = false;
          this.stash(buffer, i, n);
          return;
        }
        continue;
      }
      if (buffer[i + 1] === 0x2f) {
        const e = this.closing(buffer, i, n);
        if (e < 0) {
          this.later(buffer, i, i, n);
          return;
        }
        this.phase = DONE;
        this.drop();
        this.sink.end();
        return;
      }
      this.scan = this.pool.take();
      this.scan.reset(i);
    }
  }

  private resumeAt = 0;

  private wasCut(): boolean {
    const cut = this.cut;
    this.cut = false;
    return cut;
  }

  private isDone(): boolean {
    return this.phase === DONE;
  }

  /** More bytes are needed: what begins at `from` is kept, and reading goes on at `at`. */
  private later(buffer: Buffer, from: number, at: number, n: number): void {
    this.stash(buffer, from, n);
    this.resumeAt = at - from;
  }

  private fail(condition: FrameCondition | "unsupported-encoding" | "bad-format", what: string): void {
    this.phase = DONE;
    this.drop();
    this.sink.malformed(condition, what);
  }

  private found(buffer: Buffer, end: number, scan: Scan): boolean {
    return this.sink.element(viewOf(buffer, end, scan, this.scope, this.limits));
  }

  /** An XML declaration, only at the start of a stream: the offset after it, undefined when it has not come whole. */
  private declaration(b: Buffer, i: number, n: number): number | undefined {
    const e = b.indexOf("?>", i, "latin1");
    const length = e < 0 || e + 2 > n ? -1 : e + 2 - i;
    if (length < 0 && n - i <= MAX_DECLARATION) {
      this.later(b, i, i, n);
      return undefined;
    }
    if (length < 0 || length > MAX_DECLARATION) {
      this.fail("not-well-formed", "the XML declaration does not end");
      return undefined;
    }
    const text = b.latin1Slice(i, e + 2);
    const parts =
      /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.\d+"|'1\.\d+')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z][\w.-]*)"|'([A-Za-z][\w.-]*)'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>$/.exec(
        text,
      );
    if (!parts) {
      this.fail(/^<\?xml[ \t\r\n?]/.test(text) ? "not-well-formed" : "restricted-xml", "not an XML declaration");
      return undefined;
    }
    if (!/^utf-8$/i.test(parts[1] ?? parts[2] ?? "utf-8")) {
      this.fail("unsupported-encoding", "the encoding must be UTF-8");
      return undefined;
    }
    this.phase = DECLARED;
    return e + 2;
  }

  /** The opening tag of a stream: the offset after it, -1 when it has not come whole. */
  private header(b: Buffer, i: number, n: number): number {
    if (b[i + 1] === 0x21) throw new FrameError("restricted-xml", "no declarations before the stream header");
    if (b[i + 1] === 0x3f) throw new FrameError("restricted-xml", "processing instructions are not allowed");
    if (b[i + 1] === 0x2f) throw new FrameError("not-well-formed", "an end tag before the stream header");
    const scan = this.pool.take();
    scan.reset(i);
    const e = scan.openOnly(b, i, n, this.limits);
    if (e < 0) {
      this.pool.give(scan);
      return e;
    }
    if (e - i > this.limits.tag) throw new FrameError("policy-violation", "a tag is too long");
    const header = Stanza.of(b, e, scan, NO_SCOPE);
    this.scope = scopeOf(scan, b);
    this.rootName = b.utf8Slice(i + 1, scan.nameE);
    this.phase = OPEN;
    const empty = scan.selfClosed;
    this.pool.give(scan);
    const go = this.sink.header(header);
    if (this.isDone()) return e;
    if (empty) {
      this.phase = DONE;
      this.drop();
      this.sink.end();
    } else if (!go) this.waiting = true;
    return e;
  }

  /** The closing tag of the stream: the offset after it, -1 when it has not come whole. */
  private closing(b: Buffer, i: number, n: number): number {
    let p = i + 2;
    const name = Buffer.from(this.rootName);
    for (let k = 0; k < name.length; k++, p++) {
      if (p >= n) return -1;
      if (b[p] !== name[k]) throw new FrameError("not-well-formed", "an end tag does not match its start tag");
    }
    while (p < n && isSpace(b[p])) p++;
    if (p - i > MAX_DECLARATION + name.length) this.endless();
    if (p >= n) return -1;
    if (b[p] !== 0x3e) throw new FrameError("not-well-formed", "an end tag does not match its start tag");
    return p + 1;
  }

  private endless(): never {
    throw new FrameError("not-well-formed", "an end tag does not end");
  }
}

/** The header's prefixes as a scope; the usual one is shared by all streams. */
function scopeOf(scan: Scan, b: Buffer): Scope {
  const prefixes = scan.declared(b);
  const defaultNs = prefixes.find(([p]) => p === "")?.[1] ?? "";
  const named = prefixes.filter(([p]) => p !== "");
  const usual = STREAM_ONLY.prefixes[0];
  if (
    defaultNs === STREAM_ONLY.defaultNs &&
    named.length === 1 &&
    named[0][0] === usual[0] &&
    named[0][1] === usual[1]
  ) {
    return STREAM_ONLY;
  }
  return { defaultNs, prefixes: named };
}

/** A view on a scanned element; one that cannot be passed on byte by byte is rewritten first. */
function viewOf(buffer: Buffer, end: number, scan: Scan, scope: Scope, limits: Limits): Stanza {
  if (!scan.odd) return Stanza.of(buffer, end, scan, scope);
  const bytes = Buffer.from(canonicalText(buffer.utf8Slice(scan.start, end), scope, limits.size));
  scan.reset(0);
  return Stanza.of(bytes, scan.run(bytes, 0, bytes.length, NO_SCOPE, TRUSTED), scan, NO_SCOPE);
}

const TRUSTED: Limits = { size: 1 << 30, tag: 1 << 30, depth: 512, attributes: 256, elements: 1 << 20 };

/**
 * A view on one whole element that the server wrote or stored itself (an archived or offline message).
 * Throws FrameError when it is not exactly one element.
 */
export function viewElement(bytes: Buffer, scope: Scope = STREAM_ONLY, limits: Limits = TRUSTED): Stanza {
  const scan = new Scan();
  return viewOf(bytes, scanElement(bytes, scan, scope, limits), scan, scope, limits);
}

/**
 * Throws FrameError for what `viewElement` could not make a view on, and makes none.
 * @param scan is used and may be used again
 */
export function checkElement(bytes: Uint8Array, scan: Scan): void {
  const end = scanElement(bytes, scan, STREAM_ONLY, TRUSTED);
  if (scan.odd) viewOf(Buffer.from(bytes), end, scan, STREAM_ONLY, TRUSTED);
}

/** Scans one whole element; returns its end. */
function scanElement(bytes: Uint8Array, scan: Scan, scope: Scope, limits: Limits): number {
  if (bytes.length > limits.size) throw new FrameError("policy-violation", "element too big");
  if (bytes[0] !== 0x3c) throw new FrameError("not-well-formed", "text outside of an element");
  scan.reset(0);
  const e = scan.run(bytes, 0, bytes.length, scope, limits);
  if (e < 0) throw new FrameError("not-well-formed", "the element does not end");
  let i = e;
  while (i < bytes.length && isSpace(bytes[i])) i++;
  if (i < bytes.length) throw new FrameError("not-well-formed", "something follows the element");
  return e;
}

/** A view on markup that the server wrote, with the scope of a client stream. */
export const viewText = (text: string): Stanza => viewElement(Buffer.from(text));
