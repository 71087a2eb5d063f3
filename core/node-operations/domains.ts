// Domains and their administrators, as operations ask for them.

import { formatPassDetails, parsePassDetails } from "../auth/pass-details.ts";
import { makeCredentials, type PasswordPolicy, type PasswordTools, passwordMatches } from "../auth/password.ts";
import type { Node } from "../node.ts";
import type { DomainOps } from "../operations.ts";

/** How MongooseIM keeps administrators' passwords, whatever `auth.password` says. */
const ADMIN_POLICY: PasswordPolicy = { format: "scram", hash: ["sha512"], scram_iterations: 10_000 };

const tools = (node: Node): PasswordTools => ({ hasher: node.hasher, random: (n) => node.random(n) });

export function domainOps(node: Node): DomainOps {
  const { domains, domainStore } = node;
  const hostTypes = [...node.hosts.keys()];
  return {
    hostTypeOf: (domain) => domains.lookup(domain)?.name,
    parentOf: (subdomain) => node.serviceOf(subdomain)?.at.parent,
    hostTypes: () => hostTypes,
    all: () => domains.all(),
    ofHostType: (hostType) => domains.ofHostType(hostType),
    details: (domain) => domains.details(domain),
    async add(domain, hostType) {
      const result = await domains.add(domain, hostType);
      // MongooseIM says so of any domain that is there.
      return result === "wrong_host_type" ? "duplicate" : result;
    },
    async remove(domain, hostType, wait) {
      const result = await domains.remove(domain, hostType, wait);
      if (typeof result === "string") return result;
      if (wait) return { ...result, status: "DELETED" };
      // The rest goes in the background; its administrator may do nothing any more from now on.
      await domainStore?.deletePassword(domain);
      return result;
    },
    async setEnabled(domain, enabled) {
      const result = await domains.setEnabled(domain, enabled);
      if (result !== "not_found") return result;
      return (await domains.details(domain))?.status === "DELETING" ? "deleted" : "not_found";
    },
    async setPassword(domain, password) {
      if (domainStore === undefined || domains.lookup(domain) === undefined) return false;
      const { scram } = (await makeCredentials(password, ADMIN_POLICY, tools(node))) ?? {};
      if (scram === undefined) return false;
      await domainStore.setPassword(domain, formatPassDetails(scram));
      return true;
    },
    deletePassword: (domain) => domainStore?.deletePassword(domain) ?? false,
  };
}

/** Whether the password is that of the domain's administrator (`admin@domain` at the GraphQL endpoint). */
export async function checkDomainAdmin(node: Node, domain: string, password: string): Promise<boolean> {
  const text = await node.domainStore?.password(domain);
  const scram = text === undefined ? undefined : parsePassDetails(text);
  if (scram !== undefined) return passwordMatches(password, { scram }, tools(node));
  // As long as a wrong password takes: the time is not to tell which domains have an administrator.
  await makeCredentials("x", ADMIN_POLICY, tools(node));
  return false;
}
