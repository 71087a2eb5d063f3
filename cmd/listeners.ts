// From the `listen` section to doors that are open.

import type { C2sOptions } from "../core/c2s/conn.ts";
import type { Config } from "../core/config/index.ts";
import type { Log } from "../core/log/index.ts";
import { certificateMetric } from "../core/metrics/names.ts";
import type { Node } from "../core/node.ts";
import { type CertificateStore, type TlsProfile, TlsSettingsError } from "../core/tls/index.ts";
import { DEFAULT_LIMITS } from "../core/xml/scan.ts";
import { createHttpApp, type HttpHandler } from "../transports/http/app.ts";
import { HttpListener } from "../transports/http/server.ts";
import { WebSocketDoor, websocketApp } from "../transports/http/websocket.ts";
import { Flusher } from "../transports/tcp/conn.ts";
import { TcpListener } from "../transports/tcp/listener.ts";

/** "infinity" for a stanza is this many bytes: every input has a bound. */
const MOST_STANZA_BYTES = 16 * 1024 * 1024;

const limitsFor = (maxStanzaSize: number) => {
  const size = Math.min(maxStanzaSize, MOST_STANZA_BYTES);
  return { ...DEFAULT_LIMITS, size, tag: Math.min(DEFAULT_LIMITS.tag, size) };
};

type HttpSection = Config["listen"]["http"][number];

export interface ListenerParts {
  node: Node;
  config: Config;
  certificates: CertificateStore;
  log: Log;
  /** Applications of the handlers other than WebSocket. */
  handlers(section: HttpSection): HttpHandler[];
}

/** The doors of a server. */
export class Listeners {
  readonly tcp: TcpListener[] = [];
  readonly http: HttpListener[] = [];
  readonly flusher = new Flusher();
  private readonly secured: { ip: string; listener: { readonly port: number }; tls: TlsProfile }[] = [];

  /** Makes the doors without opening them. Throws with every problem of their TLS settings, a line each. */
  constructor(private readonly parts: ListenerParts) {
    const problems: string[] = [];
    const attempt = (make: () => void): void => {
      try {
        make();
      } catch (error) {
        if (!(error instanceof TlsSettingsError)) throw error;
        problems.push(...error.problems);
      }
    };
    const { config } = parts;
    for (const [i, section] of config.listen.c2s.entries()) attempt(() => this.addTcp(section, i));
    for (const [i, section] of config.listen.http.entries()) attempt(() => this.addHttp(section, i));
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }

  private addTcp(section: Config["listen"]["c2s"][number], index: number): void {
    const { node, certificates, log } = this.parts;
    const tls = section.tls && certificates.open(section.tls, `listen.c2s[${index}].tls`);
    const mode = section.tls?.mode;
    if (mode === undefined || mode === "starttls") {
      log.warning("plain_text_authentication_possible", {
        port: section.port,
        advice: 'set tls.mode = "starttls_required" or "tls"',
      });
    }
    const listener = new TcpListener(node, this.flusher, {
      ip: section.ip_address,
      port: section.port,
      reusePort: section.reuse_port,
      maxConnections: section.max_connections,
      proxyProtocol: section.proxy_protocol,
      tlsMode: mode === undefined ? "none" : mode === "tls" ? "tls" : "starttls",
      tls,
      starttls: mode === "starttls" ? "offered" : mode === "starttls_required" ? "required" : "no",
      maxStanzaSize: section.max_stanza_size,
      stateTimeout: section.state_timeout,
      access: section.access,
      shaper: section.shaper,
      maxStanzaRate: section.max_stanzas_per_second,
      maxConnectionRate: section.max_connections_per_minute,
      maxFailedLogins: section.max_failed_logins_per_minute,
      legacySession: section.backwards_compatible_session,
      allowedMethods: section.allowed_auth_methods,
      limits: limitsFor(section.max_stanza_size),
    });
    this.tcp.push(listener);
    if (tls) this.secured.push({ ip: section.ip_address, listener, tls });
  }

  private addHttp(section: HttpSection, index: number): void {
    const { node, config, certificates, log } = this.parts;
    const tls = section.tls && certificates.open(section.tls, `listen.http[${index}].tls`);
    if (tls?.verification.mode === "selfsigned_peer") {
      const advice = "client certificates must be signed by an authority of cacertfile here";
      log.warning("self_signed_clients_refused", { port: section.port, advice });
    }
    const handlers = this.parts.handlers(section);
    let maxMessage = 1024 * 1024;
    let idle = 0;
    for (const ws of section.handlers.mongoose_websocket_handler ?? []) {
      const limits = limitsFor(ws.max_stanza_size);
      maxMessage = Math.max(maxMessage, limits.size);
      if (Number.isFinite(ws.timeout)) idle = Math.max(idle, Math.min(960, Math.ceil(ws.timeout / 1000)));
      const options: C2sOptions = {
        starttls: "no",
        maxStanzaSize: ws.max_stanza_size,
        stateTimeout: ws.state_timeout,
        access: "all",
        shaper: "none",
        maxStanzaRate: ws.max_stanzas_per_second,
        maxConnectionRate: ws.max_connections_per_minute,
        maxFailedLogins: ws.max_failed_logins_per_minute,
        legacySession: ws.backwards_compatible_session,
        limits,
      };
      const door = new WebSocketDoor(node, this.flusher, {
        ...options,
        timeout: ws.timeout,
        pingRate: ws.ping_rate,
        maxConnections: section.transport.max_connections,
        secure: section.tls !== undefined,
      });
      handlers.push({ path: ws.path, host: ws.host, app: websocketApp(door) as unknown as HttpHandler["app"] });
    }
    if (handlers.length === 0) {
      log.warning("http_listener_without_handlers", { port: section.port });
      return;
    }
    const listener = new HttpListener(
      createHttpApp(handlers, section.protocol),
      {
        ip: section.ip_address,
        port: section.port,
        tls: tls && (() => tls.pems()),
        maxMessage,
        idleSeconds: idle,
        serverName: config.general.http_server_name,
      },
      log,
    );
    this.http.push(listener);
    if (tls) this.secured.push({ ip: section.ip_address, listener, tls });
  }

  /** Opens every door; throws one line when a port cannot be had. */
  start(): void {
    for (const listener of [...this.tcp, ...this.http]) {
      try {
        listener.start();
      } catch (error) {
        const { ip, port } = listener.options;
        throw new Error(`Cannot listen on ${ip}:${port}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  /** Shows how long the certificate of each open listener lasts. */
  meterCertificates(): void {
    const { node } = this.parts;
    for (const { ip, listener, tls } of this.secured) {
      certificateMetric(node.registry, `${ip}@tcp/${listener.port}`, () => tls.remainingDays(node.now()));
    }
  }

  /** New certificates for the HTTP listeners; the TCP ones look them up for each connection. */
  renew(): void {
    for (const listener of this.http) listener.renew();
  }

  /** Takes no new connections. */
  stop(): void {
    for (const listener of [...this.tcp, ...this.http]) listener.stop();
  }

  /** Ends what is left, when the streams have been told of the end. */
  async close(): Promise<void> {
    await Promise.all(this.http.map((listener) => listener.close()));
  }
}
