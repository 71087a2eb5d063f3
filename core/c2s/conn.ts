// What a door (TCP, TLS, WebSocket, later BOSH) gives the stream machine, and what a listener is set to.

import type { ClientCertificate } from "../sasl/index.ts";
import type { Limits } from "../xml/scan.ts";

/** A connection of a client, as the stream machine sees it. */
export interface Conn {
  /** IP address of the client, of the PROXY header when there is one. */
  readonly address: string;
  readonly port: number;
  /** "stream": RFC 6120, one document; "whole": RFC 7395, an element a message. */
  readonly framing: "stream" | "whole";
  /** Encrypted, by TLS or by the HTTP server in front of a WebSocket. */
  readonly secure: boolean;
  /**
   * Takes the first `n` bytes of `bytes`, a whole element; they are copied before the call returns. `sender` is told
   * when they could not be handed to the kernel in the same turn.
   */
  write(bytes: Buffer, n: number, sender?: AckHolder): void;
  /** Takes a whole element as text. Returns its bytes in UTF-8. */
  writeText(text: string): number;
  /** Calls `late` of the owner after every connection's output of this turn has been written: to acknowledge it. */
  askLate(): void;
  /** Begins TLS with the certificate of `domain`, after what was written has gone out. Calls `secured` on the stream. */
  startTls(domain: string): void;
  /** Writes out what it holds and closes. */
  end(): void;
  pause(): void;
  resume(): void;
  /** Bytes that the peer has not taken yet. */
  readonly backlog: number;
  /** Channel binding data (RFC 9266, RFC 5929), where the channel has it. */
  exporter?(): Uint8Array | undefined;
  endpoint?(): Uint8Array | undefined;
  certificate?(): ClientCertificate | undefined;
  /** The stream has a session: what only authentication needed can go. */
  settled?(): void;
  /** Hands the connection to another stream (XEP-0198 resumption). */
  setOwner(owner: ConnOwner): void;
}

/** Somebody whose client must not be told that a stanza was handled while it waits in our memory (XEP-0198). */
export interface AckHolder {
  hold(): void;
  release(): void;
}

/** What a connection tells. */
export interface ConnOwner {
  /** Bytes of the stream ("stream" framing) or one whole message ("whole" framing). */
  feed(bytes: Buffer): void;
  /** The TLS handshake is done. */
  secured(): void;
  /** See `Conn.askLate`. */
  late(): void;
  /** The connection is gone; nothing can be written any more. */
  closedConn(): void;
}

/** A client listener's settings (`listen.c2s[]`, or the WebSocket handler's). */
export interface C2sOptions {
  /** TLS that the door can start on request; "required" refuses authentication before. */
  starttls: "no" | "offered" | "required";
  /** Bytes of a first-level element. */
  maxStanzaSize: number;
  /** Milliseconds that each step before a session may take; Infinity for no bound. */
  stateTimeout: number;
  /** Access rule that decides who may have a session. */
  access: string;
  /** Bytes a second, undefined for no bound. */
  shaper: string;
  /** Stanzas a second that a session may send before the server reads more slowly; Infinity for no bound. */
  maxStanzaRate: number;
  /** Connections a minute from one address; Infinity for no bound. */
  maxConnectionRate: number;
  /** Log-ins that may fail in a minute from one address; Infinity for no bound. */
  maxFailedLogins: number;
  /** Offer and answer the session request of RFC 3921. */
  legacySession: boolean;
  /** Authentication methods; all when absent. */
  allowedMethods?: readonly string[];
  limits: Limits;
}
