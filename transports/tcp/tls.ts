// TLS on Bun's native sockets: a plain connection is accepted first, then upgraded, for STARTTLS (RFC 6120 §5) and for
// direct TLS (XEP-0368) alike. So one port serves many certificates and may carry a PROXY header before TLS.
//
// `initialData`, `isServer` and `secureContext` of upgradeTLS are not documented in Bun 1.4.4; test/unit/transports/tcp
// /tls.test.ts holds a test of each, to be run before Bun is changed.
import type { Socket, SocketHandler, TLSUpgradeOptions } from "bun";
import type { ClientCertificate } from "../../core/tls/certificate.ts";
import { readClientCertificate } from "../../core/tls/certificate.ts";
import type { TlsContext } from "../../core/tls/profile.ts";

/** What is known of a connection once its handshake is done. Keep it no longer than authentication takes. */
export interface TlsInfo {
  /** `TLSv1.3` or `TLSv1.2`. */
  readonly protocol: string;
  /** The standard name of the cipher suite. */
  readonly cipher: string;
  /** The protocol that ALPN settled on. */
  readonly alpn?: string;
  /** The client's certificate, if one was asked for and given. */
  readonly clientCertificate?: ClientCertificate;
  /**
   * Data of the channel binding tls-exporter (RFC 9266), 32 bytes. Offer that binding on TLS 1.3 only: on 1.2 it is
   * safe just with the extended master secret, which cannot be asked for here.
   */
  exporter(): Uint8Array;
  /** Data of the channel binding tls-server-end-point (RFC 5929); undefined if the certificate has none. */
  endpoint(): Uint8Array | undefined;
}

/**
 * Hears of every connection of a listener; one object for all of them. After `upgrade` exactly one of `secured` and
 * `failed` is called, unless the connection ends before, and `closed` once at the end in any case.
 */
export interface TlsHandlers<T> {
  /** Decrypted bytes, valid during the call. Never before `secured`. */
  data(conn: T, bytes: Buffer): void;
  /** The socket takes bytes again after a write was not taken whole. */
  drain(conn: T): void;
  /** The handshake is done and the client's certificate, if need be, is accepted. */
  secured(conn: T, info: TlsInfo): void;
  /** The handshake failed, or the client's certificate was not accepted; the connection is being closed. */
  failed(conn: T, reason: string): void;
  closed(conn: T): void;
  /** One of these has thrown: the connection cannot go on. */
  broke?(conn: T, error: Error): void;
}

/** The application protocols of XMPP in ALPN (XEP-0368 §2). */
export type Alpn = "xmpp-client" | "xmpp-server";

/** What Bun's TLS sockets can do; bun-types have some of it with other signatures. */
interface TlsSocket {
  readonly alpnProtocol: string | false | null;
  getCipher(): { readonly standardName?: string; readonly name?: string };
  getTLSVersion(): string;
  getPeerX509Certificate(): { readonly raw: Uint8Array } | undefined;
  exportKeyingMaterial(length: number, label: string): Uint8Array;
}

/** Stands in a socket's `data` until the handshake is done; the connection itself takes its place then. */
class Handshake<T> {
  readonly conn: T;
  readonly context: TlsContext;

  constructor(conn: T, context: TlsContext) {
    this.conn = conn;
    this.context = context;
  }
}

type SocketData<T> = T | Handshake<T> | undefined;

/**
 * Puts connections of one listener into TLS. The sockets of all of them share its handlers: a connection costs about
 * 7 KB, nearly all of it in the TLS library.
 */
export class TlsDoor<T> {
  readonly #handlers: SocketHandler<SocketData<T>>;
  readonly #alpn: Buffer;

  constructor(handlers: TlsHandlers<T>, alpn: Alpn) {
    this.#handlers = nativeHandlers(handlers);
    // The wire format (RFC 7301 §3.1): upgradeTLS passes it on as it is.
    this.#alpn = Buffer.concat([Buffer.from([alpn.length]), Buffer.from(alpn)]);
  }

  /**
   * STARTTLS: the stream has asked for TLS and `<proceed/>` has been written, all of it, with nothing of the client's
   * bytes left over (what came in clear after `<starttls/>` must not be taken for secured).
   * @returns the socket to write to. The one given goes on calling its listener with the encrypted bytes and its
   *   close: that listener must ignore both from here on
   */
  startTls(socket: Socket<T>, conn: T, context: TlsContext): Socket<T> {
    return this.#upgrade(socket, conn, context, undefined, undefined);
  }

  /**
   * Direct TLS: `received` is what came so far, at least the ClientHello. A client that offers ALPN without our
   * protocol is refused with the alert no_application_protocol (RFC 7301 §3.2); one that offers none is served.
   * @returns see `startTls`
   */
  directTls(socket: Socket<T>, conn: T, context: TlsContext, received: Uint8Array): Socket<T> {
    return this.#upgrade(socket, conn, context, received, this.#alpn);
  }

  #upgrade(
    socket: Socket<T>,
    conn: T,
    context: TlsContext,
    initialData: Uint8Array | undefined,
    ALPNProtocols: Buffer | undefined,
  ): Socket<T> {
    const requestCert = context.verification.mode !== "none";
    const options = {
      isServer: true,
      data: new Handshake(conn, context),
      socket: this.#handlers,
      // Certificates are judged in `verify`: Bun's own judgement knows no selfsigned_peer.
      tls: { secureContext: context.native, requestCert, rejectUnauthorized: false, ALPNProtocols },
      initialData,
    };
    const [, secure] = socket.upgradeTLS(options as unknown as TLSUpgradeOptions<T>);
    return secure;
  }
}

function nativeHandlers<T>(handlers: TlsHandlers<T>): SocketHandler<SocketData<T>> {
  return {
    open() {},
    data(socket, bytes) {
      const { data } = socket;
      if (!(data instanceof Handshake) && data !== undefined) handlers.data(data, bytes);
    },
    drain(socket) {
      const { data } = socket;
      if (!(data instanceof Handshake) && data !== undefined) handlers.drain(data);
    },
    handshake(socket, success, error) {
      const { data } = socket;
      if (!(data instanceof Handshake) || (!success && error === null)) return;
      const { conn, context } = data;
      socket.data = conn;
      const secure = socket as unknown as TlsSocket;
      const verdict = success ? verify(secure, error, context) : { failure: failureOf(error) };
      if ("failure" in verdict) {
        handlers.failed(conn, verdict.failure);
        socket.end();
        return;
      }
      handlers.secured(conn, new SocketTlsInfo(secure, context, verdict.certificate));
    },
    close(socket) {
      const { data } = socket;
      // Bun may tell of an end more than once.
      socket.data = undefined;
      if (data !== undefined) handlers.closed(data instanceof Handshake ? data.conn : data);
    },
    error({ data }, error) {
      if (data !== undefined) handlers.broke?.(data instanceof Handshake ? data.conn : data, error);
    },
  };
}

type Verdict = { readonly certificate?: ClientCertificate } | { readonly failure: string };

/** MongooseIM's verify_mode and disconnect_on_failure on what OpenSSL says of the client's certificate. */
function verify(socket: TlsSocket, error: Error | null, context: TlsContext): Verdict {
  const { mode, disconnectOnFailure } = context.verification;
  if (mode === "none") return {};
  const der = socket.getPeerX509Certificate()?.raw;
  if (der === undefined) return disconnectOnFailure ? { failure: "no client certificate" } : {};
  const code = error === null || error === undefined ? undefined : codeOf(error);
  const reason = code === SELF_SIGNED && mode === "selfsigned_peer" ? undefined : code;
  const certificate = readClientCertificate(der, reason);
  if (certificate === undefined) return disconnectOnFailure ? { failure: "unreadable client certificate" } : {};
  if (!certificate.authorized && disconnectOnFailure) return { failure: `client certificate: ${reason}` };
  return { certificate };
}

const SELF_SIGNED = "DEPTH_ZERO_SELF_SIGNED_CERT";

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}

function failureOf(error: Error | null): string {
  if (error === null) return "handshake failed";
  return error.message === "" ? codeOf(error) : error.message;
}

class SocketTlsInfo implements TlsInfo {
  readonly clientCertificate?: ClientCertificate;
  readonly #socket: TlsSocket;
  readonly #context: TlsContext;

  constructor(socket: TlsSocket, context: TlsContext, clientCertificate: ClientCertificate | undefined) {
    this.#socket = socket;
    this.#context = context;
    if (clientCertificate !== undefined) this.clientCertificate = clientCertificate;
  }

  get protocol(): string {
    return this.#socket.getTLSVersion();
  }

  get cipher(): string {
    const { standardName, name } = this.#socket.getCipher();
    return standardName ?? name ?? "";
  }

  get alpn(): string | undefined {
    return this.#socket.alpnProtocol || undefined;
  }

  exporter(): Uint8Array {
    return this.#socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding");
  }

  endpoint(): Uint8Array | undefined {
    return this.#context.endpoint();
  }
}
