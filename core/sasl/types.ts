// The contract between the stream machine and the SASL mechanisms (RFC 4422, RFC 6120 §6).
import type { HostAuth } from "../auth/host.ts";
import type { AuthMethod } from "../auth/types.ts";

/** Failure conditions of RFC 6120 §6.5, and `no-mechanism`, which MongooseIM answers for an unknown mechanism. */
export type SaslCondition =
  | "aborted"
  | "account-disabled"
  | "credentials-expired"
  | "encryption-required"
  | "incorrect-encoding"
  | "invalid-authzid"
  | "invalid-mechanism"
  | "malformed-request"
  | "mechanism-too-weak"
  | "not-authorized"
  | "temporary-auth-failure"
  | "no-mechanism";

export interface SaslChallenge {
  kind: "challenge";
  /** May be empty: then `<challenge/>` has no text. */
  data: Uint8Array;
}

export interface SaslSuccess {
  kind: "success";
  /** The prepared localpart of the user. */
  local: string;
  /** Additional data for `<success/>` (RFC 6120 §6.4.6). */
  data?: Uint8Array;
  /** The back end that said yes. */
  method: AuthMethod;
  /** The account ends with its session. */
  anonymous?: boolean;
}

export interface SaslFailure {
  kind: "failure";
  condition: SaslCondition;
  text?: string;
  /** The prepared localpart that was claimed, when it came that far; for logs and the `auth_failed` hook. */
  local?: string;
}

/** What a mechanism answers to a client's message. After success or failure the exchange is over. */
export type SaslStep = SaslChallenge | SaslSuccess | SaslFailure;

/** A client certificate as TLS gives it. */
export interface ClientCertificate {
  /** The certificate passed the listener's verification (its `verify_mode`). */
  authorized: boolean;
  /** subjectAltName id-on-xmppAddr (RFC 6120 §13.7.1.4), as written in the certificate. */
  xmppAddrs: readonly string[];
  dnsNames: readonly string[];
  emails: readonly string[];
  /** Common name of the subject. */
  commonName?: string;
}

/** What a mechanism may know about the stream it runs on. */
export interface SaslContext {
  /** The domain of the stream, prepared. */
  domain: string;
  auth: HostAuth;
  /** The stream is encrypted. */
  tls: boolean;
  /** Cryptographically strong random bytes. */
  random: (n: number) => Uint8Array;
  /** The channel's `tls-exporter` data (RFC 9266); absent where the channel has none. */
  exporter?: () => Uint8Array;
  /** The channel's `tls-server-end-point` data (RFC 5929 §4). */
  endpoint?: () => Uint8Array;
  certificate?: ClientCertificate;
  /** The mechanisms that were offered on this stream; only these can be started. */
  offered: readonly string[];
  /** The listener's `allowed_auth_methods`; all methods when absent. */
  allowedMethods?: readonly AuthMethod[];
  /** Told when a back end could not be asked (the client is told temporary-auth-failure). */
  onError?: (error: unknown) => void;
}

/**
 * One authentication attempt. The caller does not call again before the last step has come, nor after success or
 * failure. Neither method throws or rejects.
 */
export interface SaslExchange {
  /** `initial` is undefined when `<auth/>` had no text; `=` there means present but empty. */
  start(initial: Uint8Array | undefined): SaslStep | Promise<SaslStep>;
  next(response: Uint8Array): SaslStep | Promise<SaslStep>;
}
