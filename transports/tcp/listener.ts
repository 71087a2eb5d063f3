// A listener for XMPP clients over TCP: plain, STARTTLS or direct TLS, with a PROXY header when it is asked for.

import type { Socket, TCPSocketListener } from "bun";
import type { C2sOptions } from "../../core/c2s/conn.ts";
import type { StreamEngine } from "../../core/c2s/engine.ts";
import { C2S } from "../../core/c2s/stream.ts";
import { StreamError } from "../../core/errors.ts";
import type { TlsProfile } from "../../core/tls/index.ts";
import { ClientHelloReader } from "./clienthello.ts";
import { type ConnDoor, type Flusher, TcpConn } from "./conn.ts";
import { ProxyReader } from "./proxy.ts";
import { TlsDoor } from "./tls.ts";

export interface TcpOptions extends C2sOptions {
  ip: string;
  port: number;
  reusePort: boolean;
  maxConnections: number;
  proxyProtocol: boolean;
  tlsMode: "none" | "starttls" | "tls";
  tls?: TlsProfile;
}

/** What a connection does before its stream begins. */
type Prelude = { proxy: ProxyReader } | { hello: ClientHelloReader };

export class TcpListener implements ConnDoor {
  private server: TCPSocketListener<TcpConn> | undefined;
  private readonly door: TlsDoor<TcpConn>;
  private readonly preludes = new Map<TcpConn, Prelude & { cancel: () => void }>();
  connections = 0;

  constructor(
    private readonly engine: StreamEngine,
    readonly flusher: Flusher,
    readonly options: TcpOptions,
  ) {
    this.door = new TlsDoor<TcpConn>(
      {
        data: (conn, bytes) => conn.owner?.feed(bytes),
        drain: (conn) => conn.drained(),
        secured: (conn, info) => {
          conn.secure = true;
          conn.tls = info;
          if (conn.owner === undefined) this.begin(conn);
          else conn.owner.secured();
        },
        failed: (conn, reason) => {
          engine.log.limited("tls_failed", 10)?.info("tls_handshake_failed", { reason, address: conn.address });
        },
        broke: (conn, error) => conn.broke(error),
        closed: (conn) => conn.onClose(),
      },
      "xmpp-client",
    );
  }

  /** Begins to listen; throws when the port cannot be had. */
  start(): void {
    const self = this;
    const { ip, port, reusePort } = this.options;
    this.server = Bun.listen<TcpConn>({
      hostname: ip,
      port,
      // In Bun, not in its types (BUN-FACTS).
      ...({ reusePort } as object),
      socket: {
        open(socket) {
          self.opened(socket);
        },
        data(socket, bytes) {
          const conn = socket.data;
          if (conn === undefined || conn.tapped) return;
          if (conn.owner !== undefined) conn.owner.feed(bytes);
          else self.early(conn, bytes);
        },
        drain(socket) {
          if (socket.data?.tapped === false) socket.data.drained();
        },
        close(socket) {
          // After TLS has begun its own handlers tell of the end; but not of one during the handshake.
          socket.data?.onClose();
        },
        error(socket, error) {
          socket.data?.broke(error);
        },
      },
    });
  }

  get port(): number {
    return this.server?.port ?? this.options.port;
  }

  /** Takes no new connections; those that are there stay. */
  stop(): void {
    this.server?.stop(false);
    this.server = undefined;
  }

  private opened(socket: Socket<TcpConn>): void {
    if (this.connections >= this.options.maxConnections) {
      this.engine.log.limited("max_connections", 10)?.warning("too_many_connections", { port: this.options.port });
      socket.terminate();
      return;
    }
    this.connections++;
    const conn = new TcpConn(socket, this);
    socket.data = conn;
    const { proxyProtocol, tlsMode } = this.options;
    if (proxyProtocol) this.prelude(conn, { proxy: new ProxyReader() });
    else if (!this.mayConnect(conn)) this.turnAway(conn);
    else if (tlsMode === "tls") this.prelude(conn, { hello: new ClientHelloReader() });
    else this.begin(conn);
  }

  private prelude(conn: TcpConn, step: Prelude): void {
    this.preludes.get(conn)?.cancel();
    const { stateTimeout } = this.options;
    const cancel = Number.isFinite(stateTimeout)
      ? this.engine.wheel.after(stateTimeout, () => conn.destroy())
      : () => {};
    this.preludes.set(conn, { ...step, cancel });
  }

  private early(conn: TcpConn, bytes: Buffer): void {
    const step = this.preludes.get(conn);
    if (step === undefined) return;
    if ("proxy" in step) {
      const result = step.proxy.feed(bytes);
      if (result === "more") return;
      if (result === "bad") {
        this.engine.log.limited("proxy", 10)?.warning("bad_proxy_header", { address: conn.address });
        conn.destroy();
        return;
      }
      if (result.address !== undefined) {
        conn.source = { address: result.address, port: result.port ?? 0 };
      }
      if (!this.mayConnect(conn)) {
        this.turnAway(conn);
        return;
      }
      const rest = Buffer.from(result.rest);
      if (this.options.tlsMode === "tls") {
        this.prelude(conn, { hello: new ClientHelloReader() });
        if (rest.length > 0) this.early(conn, rest);
      } else {
        this.ready(conn);
        this.begin(conn);
        if (rest.length > 0) conn.owner?.feed(rest);
      }
      return;
    }
    const hello = step.hello.feed(bytes);
    if (hello === "more") return;
    const context = hello === "bad" ? undefined : this.options.tls?.find(hello.serverName);
    if (hello === "bad" || context === undefined) {
      conn.destroy();
      return;
    }
    // Still bounded in time: the handshake may not end.
    this.prelude(conn, step);
    conn.tapped = true;
    const secure = this.door.directTls(conn.native, conn, context, step.hello.bytes);
    conn.useSocket(secure);
  }

  private mayConnect(conn: TcpConn): boolean {
    return this.engine.addresses.connects(conn.address, this.options.maxConnectionRate);
  }

  /** Too many connections come from there. A TLS handshake would cost more than the connection does. */
  private turnAway(conn: TcpConn): void {
    this.engine.log.limited("connection_rate", 10)?.warning("address_connects_too_often", { address: conn.address });
    if (this.options.tlsMode === "tls") {
      conn.destroy();
      return;
    }
    this.ready(conn);
    const stream = new C2S(this.engine, conn, this.options);
    conn.setOwner(stream);
    stream.fail(new StreamError("policy-violation", "too many connections from this address"));
  }

  private ready(conn: TcpConn): void {
    this.preludes.get(conn)?.cancel();
    this.preludes.delete(conn);
  }

  /** The stream may begin. */
  private begin(conn: TcpConn): void {
    this.ready(conn);
    conn.setOwner(new C2S(this.engine, conn, this.options));
  }

  startTls(conn: TcpConn, domain: string): Socket<TcpConn> | undefined {
    const context = this.options.tls?.find(domain);
    return context && this.door.startTls(conn.native, conn, context);
  }

  after(ms: number, run: () => void): () => void {
    return this.engine.wheel.after(ms, run);
  }

  broke(conn: TcpConn, error: unknown): void {
    this.engine.log.limited("connection", 10)?.error("connection_failed", { error, address: conn.address });
  }

  gone(conn: TcpConn): void {
    this.connections--;
    this.ready(conn);
  }
}
