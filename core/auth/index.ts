// Authentication of a host type: puts its methods together from the configuration.

import type { Db } from "../storage/db.ts";
import { anonymousAccounts } from "./anonymous.ts";
import { type AuthConfig, AuthConfigError } from "./config.ts";
import { dummyAccounts } from "./dummy.ts";
import type { PasswordHasher } from "./hasher.ts";
import { HostAuth, type HostAuthOptions, passwordPolicy } from "./host.ts";
import { pkiAccounts } from "./pki.ts";
import { UserStore } from "./store.ts";
import type { AuthBackend, AuthMethod } from "./types.ts";
import { UserAccounts } from "./users.ts";

export { type AuthConfig, AuthConfigError, type CertificateRule } from "./config.ts";
export { HasherBusyError, type HasherOptions, PasswordHasher } from "./hasher.ts";
export { type AuthEvent, type FoundCredentials, HostAuth, type HostAuthOptions } from "./host.ts";
export { type PasswordPolicy, preparePassword } from "./password.ts";
export { DamagedPasswordError, UserStore } from "./store.ts";
export type * from "./types.ts";

/** What a node lends to the authentication of all its host types. */
export interface AuthWorld
  extends Pick<HostAuthOptions, "hasher" | "saltSecret" | "observe" | "now" | "passwordChanged"> {
  hasher: PasswordHasher;
  random: (n: number) => Uint8Array;
  /** Waits that many milliseconds. */
  sleep: (ms: number) => Promise<void>;
  /** Whether a session of this user lives anywhere in the cluster. */
  online: (local: string, domain: string) => boolean | Promise<boolean>;
  /** Told of rows whose password cannot be read. */
  report?: (error: Error) => void;
  /** The embedded store, for method `internal`. */
  internalDb?: Db;
  /** The service of `outgoing_pools.rdbms`, for method `rdbms`. */
  rdbms?: Db;
}

/**
 * The accounts of a host type as its `auth` section says.
 * @throws AuthConfigError when a method cannot be had: no database for it, or not built yet.
 */
export function openHostAuth(hostType: string, config: AuthConfig, world: AuthWorld): HostAuth {
  const policy = passwordPolicy(config);
  const shared = { policy, tools: { hasher: world.hasher, random: world.random }, report: world.report };

  const open = (method: AuthMethod): AuthBackend => {
    switch (method) {
      case "internal":
        if (!world.internalDb) throw new AuthConfigError("Cannot use [auth.internal]: the embedded store is not open");
        return new UserAccounts({ name: method, store: new UserStore(world.internalDb), ...shared });
      case "rdbms":
        if (!world.rdbms)
          throw new AuthConfigError("Cannot use [auth.rdbms]: add a section [outgoing_pools.rdbms.default]");
        return new UserAccounts({
          name: method,
          store: new UserStore(world.rdbms),
          ...shared,
          estimateCount: config.rdbms?.users_number_estimate,
        });
      case "dummy":
        return dummyAccounts(section(config.dummy, method), world);
      case "anonymous":
        return anonymousAccounts(section(config.anonymous, method), {
          online: world.online,
          reserved: (local, domain) => auth.exists(local, domain, { storedOnly: true }),
        });
      case "pki":
        return pkiAccounts();
      default:
        throw new AuthConfigError(
          `Cannot use [auth.${method}]: this server has the methods internal, rdbms, anonymous, dummy and pki so far`,
        );
    }
  };

  const auth = new HostAuth({ hostType, config, backends: config.methods.map(open), ...world });
  return auth;
}

/** The schema has seen to it that a listed method has its section. */
function section<T>(options: T | undefined, method: AuthMethod): T {
  if (options === undefined) throw new AuthConfigError(`Cannot use "${method}" in auth.methods: add [auth.${method}]`);
  return options;
}
