// The rules of a message (XEP-0079 §2.1.2, §5), and which of them this server can follow.

import { NS_AMP } from "../../core/ns.ts";
import { parseDateTime } from "../../core/operations/scalars.ts";
import type { Stanza } from "../../core/stanza.ts";

export interface AmpRule {
  readonly condition: string;
  readonly value: string;
  readonly action: string;
}

/** What is wrong with a rule, by the name of the error (§6.1). */
export type AmpFault = "unsupported-actions" | "unsupported-conditions" | "invalid-rules";
/** A rule and its fault, undefined for none. */
export interface AmpVerdict {
  readonly rule: AmpRule;
  readonly fault: AmpFault | undefined;
}

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** The rules of a message, with what is wrong with each. */
    amp_verify_support: { acc: readonly AmpVerdict[]; params: { rules: readonly AmpRule[] } };
  }
}

export const CONDITIONS = ["deliver", "match-resource"] as const;
export const ACTIONS = ["drop", "error", "notify"] as const;

/** What the protocol defines, beyond what is supported. */
const DEFINED_ACTIONS: readonly string[] = ["alert", ...ACTIONS];
const VALUES: Readonly<Record<string, (value: string) => boolean>> = {
  deliver: (value) => ["direct", "forward", "gateway", "none", "stored"].includes(value),
  "match-resource": (value) => ["any", "exact", "other"].includes(value),
  "expire-at": isDateTime,
};

function isDateTime(value: string): boolean {
  try {
    parseDateTime(value);
    return true;
  } catch {
    return false;
  }
}

/** The rules of a message that was sent with some; of an answer to such a message (it has a status) none. */
export function rulesOf(stanza: Stanza): AmpRule[] {
  const amp = stanza.child("amp", NS_AMP);
  if (amp === undefined || amp.attrs["status"] !== undefined) return [];
  const rules = amp.getChildren("rule").map(({ attrs }) => ({
    condition: String(attrs["condition"] ?? ""),
    value: String(attrs["value"] ?? ""),
    action: String(attrs["action"] ?? ""),
  }));
  // §3.3.3: the resource is matched at the edge of the network only.
  return amp.attrs["per-hop"] === "true" ? rules.filter((rule) => rule.condition !== "match-resource") : rules;
}

/**
 * What is wrong with a rule. One of which neither condition nor action is known, or whose value does not fit its
 * condition, is not acceptable at all.
 */
export function faultOf({ condition, value, action }: AmpRule): AmpFault | undefined {
  const fits = Object.hasOwn(VALUES, condition) ? VALUES[condition] : undefined;
  const known = DEFINED_ACTIONS.includes(action);
  if (condition === "" || action === "" || value === "" || (fits === undefined && !known)) return "invalid-rules";
  if (fits !== undefined && !fits(value)) return "invalid-rules";
  if (!(ACTIONS as readonly string[]).includes(action)) return "unsupported-actions";
  if (!(CONDITIONS as readonly string[]).includes(condition)) return "unsupported-conditions";
  return undefined;
}

const FAULTS: readonly AmpFault[] = ["invalid-rules", "unsupported-actions", "unsupported-conditions"];

/** The fault to answer with and all rules that have it; undefined when nothing is wrong. */
export function worst(verdicts: readonly AmpVerdict[]): { fault: AmpFault; rules: AmpRule[] } | undefined {
  for (const fault of FAULTS) {
    const rules = verdicts.filter((verdict) => verdict.fault === fault).map(({ rule }) => rule);
    if (rules.length > 0) return { fault, rules };
  }
  return undefined;
}
