// One HTTP listener: Bun.serve in front of a Hono application. TLS certificates are replaced by a second server on the
// same port, since Bun does not take new ones into a running one.

import type { Server } from "bun";
import type { Hono } from "hono";
import type { Log } from "../../core/log/index.ts";
import type { PemPair } from "../../core/tls/index.ts";
import { type WebSocketConn, websocketEvents } from "./websocket.ts";

export interface HttpOptions {
  ip: string;
  port: number;
  /** PEM texts by domain; the first is the default. */
  tls?: () => PemPair[];
  /** Bytes of one WebSocket message. */
  maxMessage: number;
  /** Seconds of silence after which a WebSocket ends, 0 for never. */
  idleSeconds: number;
  /** Sent as `server` with every answer, unless undefined. */
  serverName?: string;
}

export class HttpListener {
  private server: Server<WebSocketConn> | undefined;

  constructor(
    private readonly app: Hono,
    readonly options: HttpOptions,
    private readonly log: Log,
  ) {}

  start(): void {
    this.server = this.serve(this.options.port);
  }

  private serve(port: number): Server<WebSocketConn> {
    const { app, options, log } = this;
    const tls = options.tls?.();
    return Bun.serve<WebSocketConn>({
      hostname: options.ip,
      port,
      // Lets the server with renewed certificates take over the port.
      reusePort: tls !== undefined,
      idleTimeout: 120,
      maxRequestBodySize: 16 * 1024 * 1024,
      ...(tls && { tls }),
      fetch: async (request, server) => {
        const response = await app.fetch(request, { server });
        if (options.serverName !== undefined) response.headers.set("server", options.serverName);
        return response;
      },
      error: (error) => {
        log.error("http_request_failed", { error });
        return new Response("Internal server error", { status: 500 });
      },
      websocket: {
        ...websocketEvents,
        maxPayloadLength: options.maxMessage,
        idleTimeout: options.idleSeconds,
        // Pings are the door's business: it has its own rate (`ping_rate`).
        sendPings: false,
        backpressureLimit: 16 * 1024 * 1024,
        closeOnBackpressureLimit: true,
        perMessageDeflate: false,
      },
    });
  }

  get port(): number {
    return this.server?.port ?? this.options.port;
  }

  /** Serves new connections with the certificates as they are now; those that are there stay. */
  renew(): void {
    if (this.options.tls === undefined || this.server === undefined) return;
    const old = this.server;
    this.server = this.serve(old.port ?? this.options.port);
    old.stop(false);
  }

  /** Takes no new connections; those that are there stay. */
  stop(): void {
    void this.server?.stop(false);
  }

  /** Ends the connections that are left. */
  async close(): Promise<void> {
    await this.server?.stop(true);
    this.server = undefined;
  }
}
