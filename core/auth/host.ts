// The accounts of one host type: its authentication methods, asked in the configured order.
import { createHash } from "node:crypto";
import type { Deleted } from "../storage/batches.ts";
import type { AuthConfig, CertificateRule } from "./config.ts";
import type { PasswordHasher } from "./hasher.ts";
import type { PasswordPolicy } from "./password.ts";
import { HASH_NAMES, hmac, SALT_LENGTH, sameText } from "./scram-keys.ts";
import type {
  AccountRecord,
  AuthBackend,
  AuthMethod,
  CreateResult,
  Credentials,
  HashName,
  ProofKind,
  ScramKeys,
  SetPasswordResult,
  UserPage,
} from "./types.ts";

/** Names of the metrics that MongooseIM keeps of these calls (per host type: count and time). */
export type AuthEvent =
  | "auth_authorize"
  | "auth_check_password"
  | "auth_does_user_exist"
  | "auth_try_register"
  | "auth_register_user"
  | "auth_unregister_user";

export interface HostAuthOptions {
  hostType: string;
  config: AuthConfig;
  /** In the order in which they are asked. */
  backends: readonly AuthBackend[];
  hasher: PasswordHasher;
  /**
   * Keys the salts that unknown users seem to have. The same on all nodes and after a restart, or a user that is not
   * there could be told by a salt that changes.
   */
  saltSecret: Uint8Array;
  /** Told of every call, with the microseconds it took; nothing is measured without it. */
  observe?: (event: AuthEvent, microseconds: number) => void;
  /** A clock in milliseconds for `observe`. */
  now?: () => number;
  /** Told after a password was changed, and waited for: what was given out under the old one is to be worth nothing. */
  passwordChanged?: (local: string, domain: string) => Promise<void>;
}

/** What a back end holds for a user, and which one it is. */
export interface FoundCredentials extends Credentials {
  method: AuthMethod;
}

/** The longest user name of a new account, in characters: what the columns of MongooseIM's tables hold. */
const MAX_NAME = 250;
/** Removed accounts that are remembered. */
const REMEMBERED = 10_000;

/**
 * The accounts of one host type. Local parts and domains are prepared. A back end that cannot be asked is passed over;
 * when none of the others says yes, the call rejects with the first one's error, so that "storage is down" is never
 * taken for "wrong password".
 */
export class HostAuth {
  readonly hostType: string;
  /** How new passwords are kept. */
  readonly policy: PasswordPolicy;
  /** `auth.sasl_mechanisms`: option names in the order of offering. */
  readonly saslMechanisms: readonly string[];
  /** `auth.sasl_external`, tried in order. */
  readonly certificateRules: readonly CertificateRule[];
  /** `auth.sasl_external_common_name`. */
  readonly commonName: { readonly prefix: string; readonly suffix: string };
  readonly #backends: readonly AuthBackend[];
  /** Accounts that are being removed, by how many. */
  readonly #leaving = new Map<string, number>();
  readonly #maxUsers: number;
  readonly #hasher: PasswordHasher;
  readonly #saltSecret: Uint8Array;
  readonly #observe: HostAuthOptions["observe"];
  readonly #now: () => number;
  readonly #passwordChanged: HostAuthOptions["passwordChanged"];
  /** Accounts that were removed here of late, as bare JIDs, the newest last. */
  readonly #removed = new Set<string>();

  constructor(options: HostAuthOptions) {
    const { hostType, config, backends, hasher, saltSecret, observe, now } = options;
    this.hostType = hostType;
    this.policy = passwordPolicy(config);
    this.saslMechanisms = config.sasl_mechanisms;
    this.certificateRules = config.sasl_external;
    this.commonName = config.sasl_external_common_name ?? { prefix: "", suffix: "" };
    this.#backends = backends;
    this.#maxUsers = config.max_users_per_domain;
    this.#hasher = hasher;
    this.#saltSecret = saltSecret;
    this.#observe = observe;
    this.#now = now ?? (() => performance.now());
    this.#passwordChanged = options.passwordChanged;
  }

  /** The methods in use, in order. */
  get methods(): AuthMethod[] {
    return this.#backends.map((backend) => backend.name);
  }

  /** Whether some method (of `allowed`, when given) decides this kind of proof. */
  proves(proof: ProofKind, allowed?: readonly AuthMethod[]): boolean {
    return this.#among(allowed).some((backend) => backend.proofs.includes(proof));
  }

  /** Checks a password; resolves to the method that accepted it. */
  async authenticate(
    local: string,
    domain: string,
    password: string,
    allowed?: readonly AuthMethod[],
  ): Promise<AuthMethod | undefined> {
    const backend = await this.#timed("auth_authorize", () =>
      this.#first(allowed, async (b) => (await b.checkPassword?.(local, domain, password)) === true),
    );
    return backend?.name;
  }

  /** Whether some method accepts the password; for administrators' questions, log-ins use {@link authenticate}. */
  async checkPassword(local: string, domain: string, password: string): Promise<boolean> {
    const backend = await this.#timed("auth_check_password", () =>
      this.#first(undefined, async (b) => (await b.checkPassword?.(local, domain, password)) === true),
    );
    return backend !== undefined;
  }

  /** Which method lets in the user that a client certificate has proved to be `local`. */
  async authenticateCertificate(
    local: string,
    domain: string,
    allowed?: readonly AuthMethod[],
  ): Promise<AuthMethod | undefined> {
    const backend = await this.#timed("auth_authorize", () =>
      this.#first(allowed, async (b) => (await b.acceptsCertificate?.(local, domain)) === true),
    );
    return backend?.name;
  }

  /** What is stored of a user's password, by the first method that knows the user: one query in the usual case. */
  async credentials(
    local: string,
    domain: string,
    hash?: HashName,
    allowed?: readonly AuthMethod[],
  ): Promise<FoundCredentials | undefined> {
    let found: Credentials | undefined;
    const backend = await this.#first(allowed, async (b) => {
      found = await b.credentials?.(local, domain, hash);
      return found !== undefined;
    });
    return backend && { ...found, method: backend.name };
  }

  /** The salt for a user of whom none is stored: an unknown one or one with a plain password. Always the same. */
  madeUpSalt(local: string, domain: string, hash: HashName): Uint8Array {
    return hmac("sha256", this.#saltSecret, `${hash}\0${domain}\0${local}`).subarray(0, SALT_LENGTH);
  }

  /** Computes SCRAM keys of a prepared password off the main thread, when it is its turn. */
  deriveKeys(hash: HashName, password: string, salt: Uint8Array, iterations: number): Promise<ScramKeys> {
    return this.#hasher.derive(hash, password, salt, iterations);
  }

  /**
   * Whether there is such a user; with `storedOnly`, users that exist while their session lives do not count, with
   * `allowed`, those of other methods.
   */
  async exists(
    local: string,
    domain: string,
    { storedOnly = false, allowed }: { storedOnly?: boolean; allowed?: readonly AuthMethod[] } = {},
  ): Promise<boolean> {
    const backend = await this.#timed("auth_does_user_exist", () =>
      this.#first(allowed, async (b) => (b.stored || !storedOnly) && (await b.exists(local, domain))),
    );
    return backend !== undefined;
  }

  /** Whether some method keeps an account of the user that can be removed: those who let in everybody keep none. */
  async keeps(local: string, domain: string): Promise<boolean> {
    const keeping = (b: AuthBackend): boolean => b.remove !== undefined && b.record !== undefined;
    const backend = await this.#first(undefined, async (b) => keeping(b) && (await b.exists(local, domain)));
    return backend !== undefined;
  }

  /** Creates an account in the first method that can. The caller runs the `register_user` hook after "ok". */
  create(local: string, domain: string, password: string): Promise<CreateResult> {
    return this.#timed("auth_try_register", async () => {
      if (password === "") return "bad_password";
      if (local.length > MAX_NAME) return "not_allowed";
      if ((await this.exists(local, domain)) || this.#leaving.has(`${local}@${domain}`)) return "exists";
      if (this.#maxUsers !== Number.POSITIVE_INFINITY && (await this.count(domain, "")) >= this.#maxUsers)
        return "limit";
      let result: CreateResult = "not_allowed";
      for (const backend of this.#backends) {
        if (!backend.create) continue;
        result = await backend.create(local, domain, password);
        if (result === "ok") this.#observe?.("auth_register_user", 0);
        if (result !== "exists") return result;
      }
      return result;
    });
  }

  /** Changes the password in the first method that can. */
  async setPassword(local: string, domain: string, password: string): Promise<SetPasswordResult> {
    if (password === "") return "bad_password";
    for (const backend of this.#backends) {
      const result = (await backend.setPassword?.(local, domain, password)) ?? "not_allowed";
      if (result === "ok") await this.#passwordChanged?.(local, domain);
      if (result !== "not_allowed") return result;
    }
    return "not_allowed";
  }

  /**
   * The account is being removed with all that is kept of it: nobody can make one of that name until the function that
   * is returned was called; it says whether the name is free then, or is waited for by another removal.
   */
  leaves(local: string, domain: string): () => boolean {
    const jid = `${local}@${domain}`;
    this.#leaving.set(jid, (this.#leaving.get(jid) ?? 0) + 1);
    return () => {
      const others = (this.#leaving.get(jid) ?? 0) - 1;
      if (others > 0) this.#leaving.set(jid, others);
      else this.#leaving.delete(jid);
      return others <= 0;
    };
  }

  /** Removes the account from every method that has it. The caller runs the `remove_user` hook after "ok". */
  async remove(local: string, domain: string): Promise<"ok" | "not_allowed" | "user_does_not_exist"> {
    if (!(await this.exists(local, domain))) return "user_does_not_exist";
    let removed = false;
    for (const backend of this.#backends) {
      if (await backend.remove?.(local, domain)) removed = true;
    }
    if (!removed) return "not_allowed";
    this.#removed.add(`${local}@${domain}`);
    if (this.#removed.size > REMEMBERED) this.#removed.delete(this.#removed.values().next().value ?? "");
    this.#observe?.("auth_unregister_user", 0);
    return "ok";
  }

  /** Whether an account was removed here of late: a log-in that began before must look whether it is there again. */
  removedOfLate(local: string, domain: string): boolean {
    return this.#removed.size > 0 && this.#removed.has(`${local}@${domain}`);
  }

  /** Whether an account that was removed of late is there again; then `removedOfLate` is false from here on. */
  async isBack(local: string, domain: string): Promise<boolean> {
    const back = await this.exists(local, domain);
    if (back) this.#removed.delete(`${local}@${domain}`);
    return back;
  }

  /** Removes all accounts of a domain. */
  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    for (const backend of this.#backends) await backend.removeDomain?.(domain, deleted);
  }

  /** User names of a domain, method after method, each in order of names. */
  async list(domain: string, page: UserPage = {}): Promise<string[]> {
    const listing = this.#backends.filter((backend) => backend.list);
    const names: string[] = [];
    let { limit, offset = 0 } = page;
    for (const [i, backend] of listing.entries()) {
      if (limit === 0) break;
      const part = (await backend.list?.(domain, { limit, offset, prefix: page.prefix })) ?? [];
      names.push(...part);
      if (limit !== undefined) limit -= part.length;
      if (i === listing.length - 1) break;
      // What this method did not use up of the offset is skipped in the next.
      offset = part.length > 0 || offset === 0 ? 0 : Math.max(0, offset - (await this.#countOf(backend, domain, page)));
    }
    return names;
  }

  /**
   * User names of a domain as there were at a time, a page after the other: `until` begins, the cursor of the page
   * before goes on, and the last page has none.
   * @param until milliseconds since 1970
   * @throws RangeError when the limit is no number above 0, or the cursor none of ours
   */
  async snapshot(domain: string, limit: number, from: { until: number } | { cursor: string }): Promise<SnapshotResult> {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError("the limit must be a number above 0");
    let { until, backend: i, after } = "cursor" in from ? readCursor(from.cursor) : { ...from, backend: 0, after: "" };
    const users: string[] = [];
    const listing = this.#backends.filter((backend) => backend.snapshot);
    for (; i < listing.length; i++, after = "") {
      // One more than wanted: it tells whether there is a next page.
      const names = (await listing[i].snapshot?.(domain, { limit: limit - users.length + 1, after, until })) ?? [];
      for (const name of names) {
        if (users.length === limit) return { users, cursor: writeCursor({ until, backend: i, after }) };
        users.push(name);
        after = name;
      }
    }
    return { users, cursor: undefined };
  }

  async #countOf(backend: AuthBackend, domain: string, { prefix }: UserPage): Promise<number> {
    // An empty prefix: an exact figure is wanted here, never an estimate.
    return (await backend.count?.(domain, prefix ?? "")) ?? 0;
  }

  /** Number of accounts of a domain over all methods. */
  async count(domain: string, prefix?: string): Promise<number> {
    let sum = 0;
    for (const backend of this.#backends) sum += (await backend.count?.(domain, prefix)) ?? 0;
    return sum;
  }

  /**
   * Compares a digest in hexadecimal with that of the stored plain password. `wrong_user`: no such user, or none with a
   * plain password; `wrong_method`: neither "md5" nor "sha".
   */
  async checkPasswordHash(
    local: string,
    domain: string,
    digest: string,
    method: string,
  ): Promise<"ok" | "incorrect" | "wrong_user" | "wrong_method"> {
    const plain = (await this.credentials(local, domain))?.plain;
    if (!plain) return "wrong_user";
    if (method !== "md5" && method !== "sha") return "wrong_method";
    const bytes = createHash(method === "md5" ? "md5" : "sha1")
      .update(plain)
      .digest();
    // MongooseIM writes its digests in capitals and drops the leading zero of each byte: its tools' digests fit too.
    const short = Array.from(bytes, (byte) => byte.toString(16)).join("");
    const given = digest.toLowerCase();
    return sameText(given, bytes.toString("hex")) || sameText(given, short) ? "ok" : "incorrect";
  }

  /** What the methods keep about a user, for GDPR retrieval. */
  async personalData(local: string, domain: string): Promise<AccountRecord[]> {
    const records: AccountRecord[] = [];
    for (const backend of this.#backends) {
      const record = await backend.record?.(local, domain);
      if (record) records.push(record);
    }
    return records;
  }

  #among(allowed: readonly AuthMethod[] | undefined): readonly AuthBackend[] {
    return allowed ? this.#backends.filter((backend) => allowed.includes(backend.name)) : this.#backends;
  }

  /** The first method for which `test` holds. */
  async #first(
    allowed: readonly AuthMethod[] | undefined,
    test: (backend: AuthBackend) => Promise<boolean>,
  ): Promise<AuthBackend | undefined> {
    let problem: { error: unknown } | undefined;
    for (const backend of this.#among(allowed)) {
      try {
        if (await test(backend)) return backend;
      } catch (error) {
        problem ??= { error };
      }
    }
    if (problem) throw problem.error;
    return undefined;
  }

  async #timed<T>(event: AuthEvent, call: () => Promise<T>): Promise<T> {
    if (!this.#observe) return call();
    const started = this.#now();
    try {
      return await call();
    } finally {
      this.#observe(event, Math.round((this.#now() - started) * 1000));
    }
  }
}

/** A page of {@link HostAuth.snapshot}. */
export interface SnapshotResult {
  readonly users: readonly string[];
  /** Continues after these; undefined when they are the last. */
  readonly cursor: string | undefined;
}

/** A place in a snapshot. */
export interface Cursor {
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly backend: number;
  readonly after: string;
}

export const writeCursor = ({ until, backend, after }: Cursor): string => `${until}/${backend}/${after}`;

export function readCursor(text: string): Cursor {
  const [all, until, backend, after] = /^(\d{1,15})\/(\d{1,3})\/(.*)$/s.exec(text) ?? [];
  if (all === undefined) throw new RangeError("the cursor is not one of ours");
  return { until: Number(until), backend: Number(backend), after };
}

/** The `auth.password` section with "all hash functions" spelled out. */
export function passwordPolicy({ password }: AuthConfig): PasswordPolicy {
  return { ...password, hash: password.hash ?? HASH_NAMES };
}
