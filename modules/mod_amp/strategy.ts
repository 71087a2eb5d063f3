// What will become of a message, as far as is known at a moment, and which rules that meets.

import type { MaybePromise } from "../../core/hooks.ts";
import { isFull, type Jid } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import type { AmpRule } from "./rules.ts";

export type AmpDelivery = "direct" | "stored" | "none";

/**
 * Moments in a message's life at which its rules are looked at:
 * - `initial`: it has come in
 * - `archived`, `archive_failed`: an archive has stored it, or could not; it goes on
 * - `stored`, `storage_failed`: it waits for its addressee, or cannot
 * - `delivered`, `delivery_failed`: it was written to a client, or could not be
 */
export type AmpEvent =
  | "initial"
  | "archived"
  | "archive_failed"
  | "stored"
  | "storage_failed"
  | "delivered"
  | "delivery_failed";

export interface AmpStrategy {
  /** How the message may end, the likeliest first. */
  readonly deliver: readonly AmpDelivery[];
  /** All of `deliver` is certain: rules for it are met now. With one entry it always is. */
  readonly certain?: boolean;
  /** The first of `deliver` is as good as certain: rules that prevent it are met now. */
  readonly likely?: boolean;
  /** Which resource gets it, at the first look at a message for who is there. */
  readonly resource?: "exact" | "other";
  /** The addressee is an account of this server that is not there to take messages: they may be stored. */
  readonly away?: boolean;
}

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** What will become of a message; those who store messages add "stored". Of the addressee's host type. */
    amp_determine_strategy: {
      acc: AmpStrategy;
      params: { from: Jid; to: Jid; stanza: Stanza; event: AmpEvent };
    };
    /** Whether a rule is met: `match`, not yet known (`undecided`), or never (`no_match`). */
    amp_check_condition: { acc: AmpMatch; params: { strategy: AmpStrategy; rule: AmpRule } };
  }
}
export type AmpMatch = "match" | "undecided" | "no_match";

/** Where the addressee is, before others have said what they would do. */
export function determine(stanza: Stanza, event: AmpEvent, { server }: ModuleContext): MaybePromise<AmpStrategy> {
  switch (event) {
    case "delivered":
      return { deliver: ["direct"] };
    case "delivery_failed":
      return { deliver: ["stored", "none"], certain: true };
    case "stored":
      return { deliver: ["stored"] };
    case "storage_failed":
      return { deliver: ["none"] };
    default:
  }
  const { to } = stanza;
  const host = server.hostTypeOf(to.domain);
  // Whether another server (or nobody) takes it is known when it has been tried.
  if (host === undefined) return { deliver: ["direct", "none"] };
  const exact = isFull(to) && server.session(to) !== undefined;
  const online = exact || server.sessionsOf(to.bare).some((s) => s.available && s.priority >= 0);
  if (event === "archived") return { deliver: online ? ["direct", "stored"] : ["stored"] };
  if (online) {
    const here: AmpStrategy = { deliver: ["direct", "none"], likely: true };
    return event === "initial" ? { ...here, resource: exact ? "exact" : "other" } : here;
  }
  const nobody: AmpStrategy = { deliver: ["none"] };
  if (event === "archive_failed" || to.bare.isDomain) return nobody;
  const exists = host.auth.exists(to.bare.local, to.domain);
  const away = (account: boolean): AmpStrategy => (account ? { ...nobody, likely: true, away: true } : nobody);
  return exists instanceof Promise ? exists.then(away) : away(exists);
}

/** Whether a strategy meets a rule. */
export function check(strategy: AmpStrategy, { condition, value, action }: AmpRule): AmpMatch {
  if (condition === "match-resource") {
    if (strategy.resource === undefined) return "no_match";
    return value === "any" || value === strategy.resource ? "match" : "no_match";
  }
  const { deliver, certain, likely } = strategy;
  const place = (deliver as readonly string[]).indexOf(value);
  if (place < 0) return "no_match";
  // Too late to prevent what has happened: it is decided on what is going to.
  const prevents = action !== "notify" && place === 0 && likely === true;
  return certain === true || deliver.length === 1 || prevents ? "match" : "undecided";
}
