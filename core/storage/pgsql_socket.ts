// Sockets to PostgreSQL: TCP, TLS after the server agreed to it (PostgreSQL's protocol, "SSL Session Encryption"), and
// what goes over them in numbers.
import { X509Certificate } from "node:crypto";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { StorageError } from "./db.ts";
import { within } from "./turning.ts";
import type { WireStats } from "./wire.ts";

/** TLS towards the server. */
export interface PgsqlTls {
  /** Go on in clear text when the server has none. */
  optional: boolean;
  /** Take a certificate that is signed by itself, whoever trusts it. */
  selfSigned?: boolean;
  /** `tls.connect`'s; verifies the server's certificate unless `rejectUnauthorized` is false. */
  options: ConnectionOptions;
}

export interface Destination {
  host: string;
  port: number;
  tls: PgsqlTls | undefined;
  /** The whole of it must be done after so many milliseconds. */
  timeoutMs: number;
  wire: WireStats;
}

const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);

/** Connects. Rejects with a {@link StorageError} that says what went wrong. */
export async function dial(to: Destination): Promise<Socket> {
  const tcp = connectTcp({ host: to.host, port: to.port, noDelay: true });
  try {
    const socket = await within(to.timeoutMs, `no connection within ${to.timeoutMs} ms`, established(tcp, to));
    to.wire.count(socket);
    return socket;
  } catch (error) {
    // An error that comes later is nobody's.
    tcp.on("error", () => {});
    tcp.destroy();
    throw error;
  }
}

async function established(tcp: Socket, to: Destination): Promise<Socket> {
  await happens(tcp, "connect");
  if (to.tls === undefined) return tcp;
  tcp.write(SSL_REQUEST);
  const [answer] = await happens<Uint8Array>(tcp, "data");
  // "S", or "N" for no.
  if (answer !== 0x53) {
    if (to.tls.optional) return tcp;
    throw new StorageError("unavailable", "the server has no TLS");
  }
  const { options, selfSigned = false } = to.tls;
  const verify = options.rejectUnauthorized !== false;
  const socket = connectTls({
    // The name that the certificate must be for, also where the extension that asks for it is off.
    host: to.host,
    ...(isIP(to.host) === 0 ? { servername: to.host } : {}),
    ...options,
    ...(selfSigned ? { rejectUnauthorized: false } : {}),
    socket: tcp,
  });
  await happens(socket, "secureConnect");
  if (verify && selfSigned && !socket.authorized && !isSelfSigned(socket)) {
    socket.destroy();
    throw new StorageError("unavailable", `the server's certificate is not trusted: ${socket.authorizationError}`);
  }
  return socket;
}

function isSelfSigned(socket: TLSSocket): boolean {
  const { raw } = socket.getPeerCertificate();
  if (raw === undefined) return false;
  const certificate = new X509Certificate(raw);
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

/** Waits for an event of a socket, which may fail or end instead. */
function happens<T>(socket: Socket, event: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const done = (): void => {
      socket.off(event, came);
      socket.off("error", failed);
      socket.off("close", ended);
    };
    const came = (value: T): void => {
      done();
      resolve(value);
    };
    const failed = (error: Error): void => {
      done();
      reject(error);
    };
    const ended = (): void => {
      done();
      reject(new StorageError("unavailable", "the server closed the connection"));
    };
    socket.on(event, came);
    socket.on("error", failed);
    socket.on("close", ended);
  });
}
