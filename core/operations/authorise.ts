// May this caller run this operation with these arguments? Asked for every operation of a request before any runs.

import type { Caller, DomainOps, Operation } from "../operations.ts";
import { valuesAt } from "./arguments.ts";

/**
 * Undefined when the caller may; else the end of a sentence that begins "Cannot execute query NAME".
 * Global administrators may everything; a domain's administrator what is of scope "domain", as long as the
 * protected arguments belong to the domain or to a subdomain of it (a MUC service, for example).
 */
export async function authorise(
  operation: Operation,
  args: Readonly<Record<string, unknown>>,
  caller: Caller,
  domains: Pick<DomainOps, "parentOf">,
): Promise<string | undefined> {
  if (operation.scope === "anyone") return undefined;
  switch (caller.kind) {
    case "unauthorized":
      return "without permissions";
    case "admin":
      return operation.scope === "user" ? "without permissions" : undefined;
    case "user":
      return operation.scope === "user" ? undefined : "without permissions";
    case "domain_admin": {
      if (operation.scope !== "domain") return "without a global admin permissions";
      const foreign: string[] = [];
      for (const path of operation.domainArgs ?? []) {
        if (!(await belongs(valuesAt(args, path), caller.domain, domains))) foreign.push(path);
      }
      if (foreign.length === 0) return undefined;
      return `without permissions to the given domain. Args with invalid value: ${foreign.join(", ")}`;
    }
  }
}

/** An argument that was left out belongs to nobody: it would mean all domains. */
async function belongs(found: readonly unknown[], domain: string, domains: Pick<DomainOps, "parentOf">) {
  if (found.includes(undefined)) return false;
  for (const value of found) {
    const theirs = domainOf(value);
    if (theirs === undefined) return false;
    if (theirs !== domain && (await domains.parentOf(theirs)) !== domain) return false;
  }
  return true;
}

/** The domain of an argument: of a JID, or the text itself. */
export function domainOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && "domain" in value && typeof value.domain === "string") {
    return value.domain;
  }
  return undefined;
}
