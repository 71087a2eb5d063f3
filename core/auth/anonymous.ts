// Method `anonymous` (XEP-0175, and MongooseIM's `login_anon`): accounts that exist while a session lives.
import type { AuthBackend, ProofKind } from "./types.ts";

export interface AnonymousOptions {
  /** `sasl_anon`: SASL ANONYMOUS, the server makes the name. `login_anon`: any free name with any password. */
  protocol: "sasl_anon" | "login_anon" | "both";
  /** With `login_anon`: a name that is in use may be shared by more sessions. */
  allow_multiple_connections: boolean;
}

export interface AnonymousWorld {
  /** Whether a session of this user lives anywhere in the cluster. */
  online: (local: string, domain: string) => boolean | Promise<boolean>;
  /** Whether another method has an account of this name: such names are reserved. */
  reserved: (local: string, domain: string) => Promise<boolean>;
}

/**
 * `login_anon` offers PLAIN alone. MongooseIM offers SCRAM too, but there it can succeed only with an empty password:
 * a proof cannot be checked against "any password".
 */
export function anonymousAccounts(
  { protocol, allow_multiple_connections }: AnonymousOptions,
  { online, reserved }: AnonymousWorld,
): AuthBackend {
  const login = protocol !== "sasl_anon";
  const proofs: ProofKind[] = [];
  if (login) proofs.push("plain");
  if (protocol !== "login_anon") proofs.push("anonymous");
  return {
    name: "anonymous",
    proofs,
    stored: false,
    exists: online,
    async checkPassword(local, domain) {
      if (!login || (await reserved(local, domain))) return false;
      return allow_multiple_connections || !(await online(local, domain));
    },
    // MongooseIM accepts a new password of an anonymous user and forgets it: there is none to change.
    setPassword: async (local, domain) => ((await online(local, domain)) ? "ok" : "not_allowed"),
  };
}
