// A client's TCP or TLS connection as the stream machine sees it. Bun buffers nothing: what is written in one turn of
// the event loop is gathered in one buffer and written once; what the kernel does not take waits here.

import type { Socket } from "bun";
import type { AckHolder, Conn, ConnOwner } from "../../core/c2s/conn.ts";
import type { ClientCertificate } from "../../core/tls/index.ts";
import type { TlsInfo } from "./tls.ts";

const SMALL = 4 * 1024;
/** How long a peer that takes nothing of its output is waited for, in ms (MongooseIM's send_timeout). */
export const STALLED = 15_000;
/** How long a peer has to take the rest and to close, once the connection is to end, in ms. */
export const LINGER = 5_000;
/** Buffers of these sizes are kept for the next connection that writes. */
const KEPT = [SMALL, 16 * 1024, 64 * 1024];

/** Gathers the output of all connections and writes it once a turn. One a node. */
export class Flusher {
  private dirty: TcpConn[] = [];
  private late: { readonly owner: ConnOwner | undefined }[] = [];
  private armed = false;
  private readonly free: Buffer[][] = KEPT.map(() => []);

  /** A buffer of at least `n` bytes. */
  take(n: number): Buffer {
    for (let i = 0; i < KEPT.length; i++) {
      if (n <= KEPT[i]) return this.free[i].pop() ?? Buffer.allocUnsafeSlow(KEPT[i]);
    }
    return Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(n)));
  }

  give(buffer: Buffer): void {
    const i = KEPT.indexOf(buffer.length);
    if (i >= 0 && this.free[i].length < 256 >> (2 * i)) this.free[i].push(buffer);
  }

  mark(conn: TcpConn): void {
    this.dirty.push(conn);
    this.arm();
  }

  /** The owner of `conn` is asked to speak after everything else has been written. */
  markLate(conn: { readonly owner: ConnOwner | undefined }): void {
    this.late.push(conn);
    this.arm();
  }

  private arm(): void {
    if (this.armed) return;
    this.armed = true;
    setImmediate(() => this.flush());
  }

  /** Everything first, then the acknowledgements: they tell of stanzas that the kernel has by now. */
  private flush(): void {
    this.armed = false;
    this.flushDirty();
    if (this.late.length === 0) return;
    const { late } = this;
    this.late = [];
    for (const conn of late) conn.owner?.late();
    this.flushDirty();
  }

  private flushDirty(): void {
    const { dirty } = this;
    this.dirty = [];
    for (const conn of dirty) {
      try {
        conn.flush();
      } catch (error) {
        // One connection's trouble must not keep the others' output back.
        conn.broke(error);
      }
    }
  }
}

/** What a connection needs of its listener. */
export interface ConnDoor {
  readonly flusher: Flusher;
  /** Begins TLS on a connection whose output has gone out. Returns the socket to use from now on. */
  startTls(conn: TcpConn, domain: string): Socket<TcpConn> | undefined;
  /** Runs `run` after `ms`; the result cancels it. */
  after(ms: number, run: () => void): () => void;
  /** Something that should not fail has failed; the connection is being closed. */
  broke(conn: TcpConn, error: unknown): void;
  /** The connection will not be used any more. */
  gone(conn: TcpConn): void;
}

export class TcpConn implements Conn {
  readonly framing = "stream";
  owner: ConnOwner | undefined = undefined;
  /** The client's address and port as a PROXY header told them; else the socket knows. */
  source: { readonly address: string; readonly port: number } | undefined = undefined;
  secure = false;
  /** Bytes that arrive on the listener's own handlers are ciphertext: TLS has its own. */
  tapped = false;
  /** Only until authentication is over. */
  tls: TlsInfo | undefined = undefined;
  private out: Buffer | undefined = undefined;
  private n = 0;
  private dirty = false;
  private blocked = false;
  /** Senders whose stanzas are in `out`, when their acknowledgements depend on it. */
  private senders: AckHolder[] | undefined = undefined;
  private held = false;
  private ending = false;
  private closed = false;
  private tlsDomain: string | undefined = undefined;
  /** Takes back the end that waits for a peer who does not do its part. */
  private patience: (() => void) | undefined = undefined;

  constructor(
    private socket: Socket<TcpConn>,
    private readonly door: ConnDoor,
  ) {}

  /** The socket as Bun has it, for the upgrade to TLS. */
  get native(): Socket<TcpConn> {
    return this.socket;
  }

  get address(): string {
    if (this.source !== undefined) return this.source.address;
    // Undefined, whatever its type says, when the peer was gone before its connection was accepted.
    const address: string | undefined = this.closed ? undefined : this.socket.remoteAddress;
    return address ?? "";
  }

  get port(): number {
    return this.source?.port ?? (this.closed ? 0 : (this.socket.remotePort ?? 0));
  }

  get backlog(): number {
    return this.blocked ? this.n : 0;
  }

  setOwner(owner: ConnOwner): void {
    this.owner = owner;
  }

  write(bytes: Buffer, n: number, sender?: AckHolder): void {
    if (this.closed || this.ending) return;
    if (sender !== undefined) {
      this.senders ??= [];
      this.senders.push(sender);
      if (this.blocked) sender.hold();
    }
    const out = this.room(n);
    if (n < 64) for (let i = 0, p = this.n; i < n; i++, p++) out[p] = bytes[i];
    else bytes.copy(out, this.n, 0, n);
    this.n += n;
    this.touched();
  }

  writeText(text: string): number {
    if (this.closed || this.ending) return 0;
    const bytes = this.room(text.length * 3).utf8Write(text, this.n);
    this.n += bytes;
    this.touched();
    return bytes;
  }

  askLate(): void {
    if (!this.closed) this.door.flusher.markLate(this);
  }

  private room(n: number): Buffer {
    const { flusher } = this.door;
    const { out } = this;
    if (out === undefined) {
      this.out = flusher.take(n);
      return this.out;
    }
    if (this.n + n <= out.length) return out;
    const bigger = flusher.take(Math.max(this.n + n, out.length * 2));
    out.copy(bigger, 0, 0, this.n);
    flusher.give(out);
    this.out = bigger;
    return bigger;
  }

  private touched(): void {
    if (this.dirty || this.blocked) return;
    this.dirty = true;
    this.door.flusher.mark(this);
  }

  /** Writes out what waits. Called once a turn, and when the kernel takes bytes again. */
  flush(): void {
    this.dirty = false;
    if (this.closed || this.out === undefined) {
      this.finish();
      return;
    }
    const taken = this.socket.write(this.out, 0, this.n);
    if (taken < this.n) {
      if (taken < 0) return; // closed: the close handler follows
      if (taken > 0) this.out.copyWithin(0, taken, this.n);
      this.n -= taken;
      if (taken > 0 || this.patience === undefined) this.waitFor(STALLED);
      if (!this.held) {
        this.held = true;
        if (this.senders !== undefined) for (const sender of this.senders) sender.hold();
      }
      this.blocked = true;
      return;
    }
    this.blocked = false;
    if (this.patience !== undefined) this.taken();
    if (this.senders !== undefined) this.handedOver();
    this.n = 0;
    this.door.flusher.give(this.out);
    this.out = undefined;
    this.finish();
  }

  /** From now on the peer has `ms` to go on. */
  private waitFor(ms: number): void {
    if (this.ending) return;
    this.patience?.();
    this.patience = this.door.after(ms, () => this.destroy());
  }

  private taken(): void {
    if (this.ending) return;
    this.patience?.();
    this.patience = undefined;
  }

  drained(): void {
    if (this.blocked) this.flush();
  }

  /** The kernel has everything (or nobody ever will): the senders' stanzas count as handled. */
  private handedOver(): void {
    const { senders, held } = this;
    this.senders = undefined;
    this.held = false;
    if (held && senders !== undefined) for (const sender of senders) sender.release();
  }

  /** What waits for the output to be gone: TLS, the end. */
  private finish(): void {
    if (this.closed) return;
    if (this.tlsDomain !== undefined) {
      const domain = this.tlsDomain;
      this.tlsDomain = undefined;
      const socket = this.door.startTls(this, domain);
      if (socket === undefined) this.destroy();
      else this.socket = socket;
    } else if (this.ending) this.socket.end();
  }

  startTls(domain: string): void {
    this.tlsDomain = domain;
    this.tapped = true;
    if (this.out === undefined) this.finish();
  }

  /** The socket that TLS writes to from now on. */
  useSocket(socket: Socket<TcpConn>): void {
    this.socket = socket;
  }

  end(): void {
    if (this.ending || this.closed) return;
    this.waitFor(LINGER);
    this.ending = true;
    if (this.out === undefined) this.socket.end();
    else if (!this.dirty && !this.blocked) this.flush();
  }

  broke(error: unknown): void {
    this.door.broke(this, error);
    this.destroy();
  }

  /** Closes without waiting for the peer. */
  destroy(): void {
    if (this.closed) return;
    this.socket.terminate();
    this.onClose();
  }

  pause(): void {
    if (!this.closed) this.socket.pause();
  }

  resume(): void {
    if (!this.closed) this.socket.resume();
  }

  onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.patience?.();
    this.patience = undefined;
    if (this.out !== undefined) this.door.flusher.give(this.out);
    this.out = undefined;
    this.tls = undefined;
    this.handedOver();
    this.door.gone(this);
    const { owner } = this;
    this.owner = undefined;
    owner?.closedConn();
  }

  settled(): void {
    this.tls = undefined;
  }

  exporter(): Uint8Array | undefined {
    // RFC 9266: safe on TLS 1.3; on 1.2 only with the extended master secret, which cannot be asked for.
    return this.tls?.protocol === "TLSv1.3" ? this.tls.exporter() : undefined;
  }

  endpoint(): Uint8Array | undefined {
    return this.tls?.endpoint();
  }

  certificate(): ClientCertificate | undefined {
    return this.tls?.clientCertificate;
  }
}
