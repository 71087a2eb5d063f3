// What every authentication back end is, and what it may know of a user's password.
import type { AuthMethod } from "../config/auth.ts";
import type { Deleted } from "../storage/batches.ts";

/** Hash functions of SCRAM under MongooseIM's names (`auth.password.hash`); `sha` is SHA-1. */
export type HashName = "sha" | "sha224" | "sha256" | "sha384" | "sha512";

/** What a server keeps of a password for one hash function (RFC 5802 §3). */
export interface ScramKeys {
  salt: Uint8Array;
  /** H(ClientKey): lets the server check a proof without knowing the password. */
  storedKey: Uint8Array;
  /** Lets the server prove to the client that it knows the password's hash. */
  serverKey: Uint8Array;
  /** PBKDF2 rounds. */
  iterations: number;
}

/** Keys by hash function; a user has those that were configured when the password was set. */
export type ScramKeySet = Partial<Record<HashName, ScramKeys>>;

/** What is stored of a user's password: the text itself, or SCRAM keys, never both. */
export interface Credentials {
  plain?: string;
  scram?: ScramKeySet;
}

/** Ways of proving an identity that a back end can decide. */
export type ProofKind = "plain" | "scram" | "anonymous" | "external";

export type { AuthMethod };

/** A page of a user list, in the order of user names. */
export interface UserPage {
  /** Most names wanted; all when left out. */
  limit?: number;
  /** Names to skip; 0 when left out. */
  offset?: number;
  /** Only names that begin so. */
  prefix?: string;
}

/** A page of the users that there were at a time. */
export interface SnapshotPage {
  limit: number;
  /** Only names that come after this one. */
  after: string;
  /** Only accounts that were made before this time, milliseconds since 1970, or in its second. */
  until: number;
}

/** What an account's back end keeps about a user, for GDPR retrieval. Secrets are told by kind, not by value. */
export interface AccountRecord {
  method: AuthMethod;
  username: string;
  server: string;
  password: "plain" | "scram";
  created_at: string;
}

/** What came of creating an account. `bad_password`: empty, or holds characters that no password may (RFC 8265 §4). */
export type CreateResult = "ok" | "exists" | "not_allowed" | "limit" | "bad_password";

/** What came of changing a password. `not_allowed`: no such user, or no back end that could do it. */
export type SetPasswordResult = "ok" | "not_allowed" | "bad_password";

type Eventually<T> = T | Promise<T>;

/**
 * One source of accounts of a host type. Local parts and domains are prepared before they come here. A method that
 * is absent is one that this source cannot do. Rejections mean that the source could not be asked (storage down);
 * "no" is always a value.
 */
export interface AuthBackend {
  readonly name: AuthMethod;
  /** What this back end can decide; from it follow the SASL mechanisms that are offered. */
  readonly proofs: readonly ProofKind[];
  /** Whether accounts outlive their sessions. False for `anonymous`. */
  readonly stored: boolean;
  exists(local: string, domain: string): Eventually<boolean>;
  checkPassword?(local: string, domain: string, password: string): Eventually<boolean>;
  /** What is stored; with `hash`, SCRAM keys of that function alone are read. */
  credentials?(local: string, domain: string, hash?: HashName): Eventually<Credentials | undefined>;
  /** Whether an identity that a client certificate proved may log in. */
  acceptsCertificate?(local: string, domain: string): Eventually<boolean>;
  create?(local: string, domain: string, password: string): Eventually<"ok" | "exists" | "bad_password">;
  /** False when there is no such user. */
  setPassword?(local: string, domain: string, password: string): Eventually<SetPasswordResult>;
  /** False when there was no such user. */
  remove?(local: string, domain: string): Eventually<boolean>;
  /** Removes all accounts of a domain, in batches; `deleted` is told of the rows. */
  removeDomain?(domain: string, deleted?: Deleted): Eventually<void>;
  list?(domain: string, page: UserPage): Eventually<string[]>;
  /** As `list`, without the accounts that were made after a time: a walk through all of them that new ones do not disturb. */
  snapshot?(domain: string, page: SnapshotPage): Eventually<string[]>;
  /** Number of accounts; an estimate of the whole table where the configuration asks for one and `prefix` is absent. */
  count?(domain: string, prefix?: string): Eventually<number>;
  record?(local: string, domain: string): Eventually<AccountRecord | undefined>;
}
