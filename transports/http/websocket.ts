// XMPP over WebSocket (RFC 7395): each message is one element of the stream. Drives the same stream machine as TCP.

import type { ServerWebSocket } from "bun";
import { Hono } from "hono";
import type { AckHolder, C2sOptions, Conn, ConnOwner } from "../../core/c2s/conn.ts";
import type { StreamEngine } from "../../core/c2s/engine.ts";
import { C2S } from "../../core/c2s/stream.ts";
import { type Flusher, LINGER, STALLED } from "../tcp/conn.ts";

export interface WebSocketOptions extends C2sOptions {
  /** Milliseconds between WebSocket pings, undefined for none. */
  pingRate?: number;
  /** WebSockets at once; further ones are refused with 503. */
  maxConnections: number;
  /** Milliseconds of silence (pongs count as life) after which the connection ends. */
  timeout: number;
  /** The HTTP listener is encrypted. */
  secure: boolean;
}

/** The door of one WebSocket handler: what its connections share. */
export class WebSocketDoor {
  private readonly open = new Set<WebSocketConn>();

  constructor(
    readonly engine: StreamEngine,
    readonly flusher: Flusher,
    readonly options: WebSocketOptions,
  ) {
    const { pingRate } = options;
    if (pingRate === undefined) return;
    // One sweep for all connections of the door.
    const sweep = (): void => {
      for (const conn of this.open) conn.ping();
      engine.wheel.after(pingRate, sweep);
    };
    engine.wheel.after(pingRate, sweep);
  }

  get isFull(): boolean {
    return this.open.size >= this.options.maxConnections;
  }

  opened(conn: WebSocketConn): void {
    this.open.add(conn);
  }

  closed(conn: WebSocketConn): void {
    this.open.delete(conn);
  }
}

const encoder = new TextEncoder();

export class WebSocketConn implements Conn {
  readonly framing = "whole";
  readonly secure: boolean;
  owner: ConnOwner | undefined = undefined;
  socket: ServerWebSocket<WebSocketConn> | undefined = undefined;
  private closed = false;
  /** Senders whose stanzas wait in Bun's buffer, when their acknowledgements depend on it. */
  private senders: AckHolder[] | undefined = undefined;
  /** Takes back the end that waits for a peer who does not do its part. */
  private patience: (() => void) | undefined = undefined;

  constructor(
    readonly door: WebSocketDoor,
    readonly address: string,
    readonly port: number,
  ) {
    this.secure = door.options.secure;
  }

  get backlog(): number {
    return this.socket?.getBufferedAmount() ?? 0;
  }

  setOwner(owner: ConnOwner): void {
    this.owner = owner;
  }

  write(bytes: Buffer, n: number, sender?: AckHolder): void {
    this.send(bytes.utf8Slice(0, n));
    if (sender === undefined || this.backlog === 0) return;
    sender.hold();
    this.senders ??= [];
    this.senders.push(sender);
  }

  writeText(text: string): number {
    this.send(text);
    return Buffer.byteLength(text);
  }

  private send(text: string): void {
    // -1: the kernel has not taken everything, the rest waits in Bun.
    if (!this.closed && this.socket?.sendText(text) === -1) this.patience ??= this.waitFor(STALLED);
  }

  /** The peer has read something. */
  drained(): void {
    if (this.closed) return;
    this.patience?.();
    this.patience = this.backlog === 0 ? undefined : this.waitFor(STALLED);
    if (this.backlog === 0) this.handedOver();
  }

  private waitFor(ms: number): () => void {
    return this.door.engine.wheel.after(ms, () => this.socket?.terminate());
  }

  /** The kernel has everything (or nobody ever will): the senders' stanzas count as handled. */
  private handedOver(): void {
    const { senders } = this;
    this.senders = undefined;
    if (senders !== undefined) for (const sender of senders) sender.release();
  }

  askLate(): void {
    if (!this.closed) this.door.flusher.markLate(this);
  }

  /** RFC 7395 §3.2: TLS is the business of the HTTP connection. */
  startTls(): void {
    this.end();
  }

  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.patience?.();
    this.patience = this.waitFor(LINGER);
    this.socket?.close(1000);
  }

  // A WebSocket of Bun cannot be paused; the stream machine bounds what waits.
  pause(): void {}
  resume(): void {}

  ping(): void {
    if (!this.closed) this.socket?.ping();
  }

  onClose(): void {
    this.closed = true;
    this.patience?.();
    this.patience = undefined;
    this.handedOver();
    this.door.closed(this);
    this.socket = undefined;
    const { owner } = this;
    this.owner = undefined;
    owner?.closedConn();
  }
}

/** How the HTTP server takes an upgrade: part of Bun.serve's server object. */
export interface Upgrader {
  upgrade(request: Request, options: { data: WebSocketConn; headers?: Record<string, string> }): boolean;
  requestIP(request: Request): { address: string; port: number } | null;
}

/** The application of mongoose_websocket_handler; its one route is "/". `c.env.server` is Bun's server. */
export function websocketApp(door: WebSocketDoor): Hono<{ Bindings: { server: Upgrader } }> {
  const app = new Hono<{ Bindings: { server: Upgrader } }>();
  app.get("/", (c) => {
    if ((c.req.header("Upgrade") ?? "").toLowerCase() !== "websocket") {
      return c.text("This is an XMPP WebSocket endpoint", 426, { Upgrade: "websocket" });
    }
    const offered = (c.req.header("Sec-WebSocket-Protocol") ?? "").split(",").map((p) => p.trim());
    if (!offered.includes("xmpp")) return c.text("The WebSocket subprotocol must be xmpp", 400);
    if (door.isFull) {
      door.engine.log.limited("websockets", 10)?.warning("too_many_connections", { handler: "websocket" });
      return c.text("Too many connections", 503);
    }
    const { server } = c.env;
    const peer = server.requestIP(c.req.raw);
    const { engine, options } = door;
    if (!engine.addresses.connects(peer?.address ?? "", options.maxConnectionRate)) {
      engine.log.limited("connection_rate", 10)?.warning("address_connects_too_often", { address: peer?.address });
      return c.text("Too many connections from this address", 429);
    }
    const conn = new WebSocketConn(door, peer?.address ?? "", peer?.port ?? 0);
    // Bun answers the upgrade itself; what is returned here is not sent.
    const ok = server.upgrade(c.req.raw, { data: conn, headers: { "Sec-WebSocket-Protocol": "xmpp" } });
    return ok ? new Response(null) : c.text("The upgrade failed", 400);
  });
  return app;
}

/** Bun's WebSocket events for all connections of a server. */
export const websocketEvents = {
  open(ws: ServerWebSocket<WebSocketConn>): void {
    const conn = ws.data;
    conn.socket = ws;
    conn.door.opened(conn);
    conn.setOwner(new C2S(conn.door.engine, conn, conn.door.options));
  },
  message(ws: ServerWebSocket<WebSocketConn>, message: string | Buffer): void {
    // RFC 7395 §3.1: text frames. Others carry the same UTF-8 or fail in the framer.
    const bytes = typeof message === "string" ? encoder.encode(message) : message;
    ws.data.owner?.feed(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) as Buffer);
  },
  drain(ws: ServerWebSocket<WebSocketConn>): void {
    ws.data.drained();
  },
  close(ws: ServerWebSocket<WebSocketConn>): void {
    ws.data.onClose();
  },
};
