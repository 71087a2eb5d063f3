// The contract between the stream machine and the SASL mechanisms (RFC 4422, RFC 6120 §6, XEP-0388), those of features
// among them.
import type { HostAuth } from "../auth/host.ts";
import type { AuthMethod, HashName } from "../auth/types.ts";
import type { Stanza } from "../stanza.ts";
import type { Markup } from "../xml/markup.ts";

declare module "../hooks.ts" {
  interface FoldHooks {
    /**
     * The mechanisms of a host type beside the engine's own: a feature pushes its mechanisms onto `acc`. Asked once for
     * each kind of channel, not for each log-in, so handlers answer at once and the answer depends on the configuration
     * alone. Which of them are offered, and in which order, `auth.sasl_mechanisms` says. Ours, not MongooseIM's.
     */
    sasl_mechanisms: { acc: Mechanism[]; params: object };
  }
}

/**
 * A mechanism. The engine's are in mechanisms.ts; a feature has its own on offer while it runs:
 *
 *     hooks: { sasl_mechanisms: (list, _, ctx) => void list.push({ option: "oauth", name: "X-OAUTH", ... }) }
 */
export interface Mechanism {
  /** Its name in `auth.sasl_mechanisms`. */
  readonly option: string;
  /** Its IANA name. */
  readonly name: string;
  /** It proves a token that the server gave out (XEP-0484): on offer in <fast/> alone, and never by RFC 6120's SASL. */
  readonly token?: true;
  /** Whether it is offered on such a channel. Asked once for each kind of channel. */
  suits(channel: OfferContext): boolean;
  /** Begins an exchange. `clientFirst` (exchange.ts) is the frame for mechanisms in which the client speaks first. */
  start(ctx: SaslContext): SaslExchange;
}

/** The part of a stream's context that decides what it is offered. */
export type OfferContext = Pick<
  SaslContext,
  "auth" | "tls" | "exporter" | "endpoint" | "certificate" | "allowedMethods"
>;

/** The software that logs in, as it says itself (XEP-0388 §2.3): not to be shown to others. */
export interface UserAgent {
  /** A UUID (version 4) as sent, which stays the same for an installation. */
  readonly id?: string;
  readonly software?: string;
  readonly device?: string;
}

/** An attempt by XEP-0388, as mechanisms and inline features see it; the same object from its beginning to its end. */
export interface AuthenticateRequest {
  /** <authenticate/>, with what the client asks for inline. */
  readonly stanza: Stanza;
  readonly userAgent: UserAgent | undefined;
}

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
  /** The back end that said yes; "token" for what the server itself gave out. */
  method: AuthMethod | "token";
  /** The account ends with its session. */
  anonymous?: boolean;
}

export interface SaslFailure {
  kind: "failure";
  condition: SaslCondition;
  text?: string;
  /** A condition of the application beside that of the RFC. */
  extra?: Markup;
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
  /** The mechanisms that were offered on this stream; only these, and `tokens` by XEP-0388, can be started. */
  offered: readonly string[];
  /** Those that prove a token. */
  tokens?: readonly string[];
  /** The mechanisms of features. */
  added?: readonly Mechanism[];
  /** The hash of what was offered (XEP-0474), Base64; SCRAM does not tell it when absent. */
  digest?: (hash: HashName) => string;
  /** The attempt, when it is one by XEP-0388. */
  request?: AuthenticateRequest;
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
