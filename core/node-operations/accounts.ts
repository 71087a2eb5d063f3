// Accounts, as operations ask for them: the authentication of the domain's host type.

import type { HostRuntime } from "../host.ts";
import type { BareJid } from "../jid.ts";
import type { Node } from "../node.ts";
import type { AccountOps, RegisterResult } from "../operations.ts";

/** A domain that is not ours has no users. */
export function accountOps(node: Node): AccountOps {
  const hostOf = ({ domain }: BareJid): HostRuntime | undefined => node.hostOf(domain);
  return {
    async list(domain, { limit, offset }) {
      const names = (await node.hostOf(domain)?.auth.list(domain, { limit, offset })) ?? [];
      return names.map((name) => `${name}@${domain}`);
    },
    count: (domain) => node.hostOf(domain)?.auth.count(domain) ?? 0,
    exists: (user) => hostOf(user)?.auth.exists(user.local, user.domain, { storedOnly: true }) ?? false,
    checkPassword: (user, password) => hostOf(user)?.auth.checkPassword(user.local, user.domain, password) ?? false,
    async plainPassword(user) {
      return (await hostOf(user)?.auth.credentials(user.local, user.domain))?.plain;
    },
    async register(user, password): Promise<RegisterResult> {
      const host = hostOf(user);
      if (host === undefined) return "not_allowed";
      const result = await host.auth.create(user.local, user.domain, password);
      switch (result) {
        case "ok":
          await host.hooks.notify("register_user", { jid: user });
          return "ok";
        case "limit":
          return "limit_per_domain_exceeded";
        case "bad_password":
          return "not_allowed";
        default:
          return result;
      }
    },
    async remove(user) {
      return (await node.removeUser(user)) ? "ok" : "not_allowed";
    },
    async setPassword(user, password) {
      const result = await hostOf(user)?.auth.setPassword(user.local, user.domain, password);
      return result === "ok" ? "ok" : "not_allowed";
    },
  };
}

/** Whether the password is that of a stored user: an anonymous one has no account to act for. */
export async function checkUser(node: Node, user: BareJid, password: string): Promise<boolean> {
  const method = await node.hostOf(user.domain)?.auth.authenticate(user.local, user.domain, password);
  return method !== undefined && method !== "anonymous";
}
