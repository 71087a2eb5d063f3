// Methods `internal` and `rdbms`: accounts in the `users` table. They differ in the database alone.
import type { Deleted } from "../storage/batches.ts";
import { makeCredentials, type PasswordPolicy, type PasswordTools, passwordMatches } from "./password.ts";
import { SALT_LENGTH } from "./scram-keys.ts";
import { DamagedPasswordError, type UserStore } from "./store.ts";
import type {
  AccountRecord,
  AuthBackend,
  Credentials,
  HashName,
  SetPasswordResult,
  SnapshotPage,
  UserPage,
} from "./types.ts";

export interface UserAccountsOptions {
  name: "internal" | "rdbms";
  store: UserStore;
  policy: PasswordPolicy;
  tools: PasswordTools;
  /** `auth.rdbms.users_number_estimate`. */
  estimateCount?: boolean;
  /** Told of rows whose password cannot be read; their users cannot log in. */
  report?: (error: Error) => void;
}

/** Accounts kept in SQL. Rejects with the storage's error when it cannot be asked. */
export class UserAccounts implements AuthBackend {
  readonly name: "internal" | "rdbms";
  readonly proofs = ["plain", "scram"] as const;
  readonly stored = true;
  readonly #store: UserStore;
  readonly #policy: PasswordPolicy;
  readonly #tools: PasswordTools;
  readonly #estimateCount: boolean;
  readonly #report: UserAccountsOptions["report"];

  constructor({ name, store, policy, tools, estimateCount = false, report }: UserAccountsOptions) {
    this.name = name;
    this.#store = store;
    this.#policy = policy;
    this.#tools = tools;
    this.#estimateCount = estimateCount;
    this.#report = report;
  }

  exists(local: string, domain: string): Promise<boolean> {
    return this.#store.exists(local, domain);
  }

  async checkPassword(local: string, domain: string, password: string): Promise<boolean> {
    const stored = await this.credentials(local, domain);
    if (stored) return passwordMatches(password, stored, this.#tools);
    // An unknown user must take as long as a wrong password, or the time tells who has an account.
    if (this.#policy.format === "scram") {
      await this.#tools.hasher.derive("sha", "x", this.#tools.random(SALT_LENGTH), this.#policy.scram_iterations);
    }
    return false;
  }

  async credentials(local: string, domain: string, hash?: HashName): Promise<Credentials | undefined> {
    try {
      return await this.#store.credentials(local, domain, hash);
    } catch (error) {
      if (!(error instanceof DamagedPasswordError)) throw error;
      this.#report?.(error);
      return {};
    }
  }

  async create(local: string, domain: string, password: string): Promise<"ok" | "exists" | "bad_password"> {
    const credentials = await makeCredentials(password, this.#policy, this.#tools);
    if (!credentials) return "bad_password";
    return (await this.#store.create(local, domain, credentials)) ? "ok" : "exists";
  }

  async setPassword(local: string, domain: string, password: string): Promise<SetPasswordResult> {
    const credentials = await makeCredentials(password, this.#policy, this.#tools);
    if (!credentials) return "bad_password";
    return (await this.#store.setCredentials(local, domain, credentials)) ? "ok" : "not_allowed";
  }

  remove(local: string, domain: string): Promise<boolean> {
    return this.#store.remove(local, domain);
  }

  removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    return this.#store.removeDomain(domain, deleted);
  }

  list(domain: string, page: UserPage): Promise<string[]> {
    return this.#store.list(domain, page);
  }

  snapshot(domain: string, page: SnapshotPage): Promise<string[]> {
    return this.#store.snapshot(domain, page);
  }

  async count(domain: string, prefix?: string): Promise<number> {
    if (this.#estimateCount && prefix === undefined) {
      const estimate = await this.#store.estimate();
      if (estimate !== undefined) return estimate;
    }
    return this.#store.count(domain, prefix);
  }

  async record(local: string, domain: string): Promise<AccountRecord | undefined> {
    const user = await this.#store.user(local, domain);
    return user && { method: this.name, ...user };
  }
}
