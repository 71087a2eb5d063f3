// The configuration and metrics of mod_roster, and what its handlers are given.

import { z } from "zod";
import { enumOf, iqdisc, own, positive } from "../../core/config/types.ts";
import type { HostType, MetricDef, ModuleContext } from "../../core/module.ts";
import type { Rosters } from "./roster.ts";

export const config = z.strictObject({
  backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where rosters are kept; both are the SQL database"),
  iqdisc: iqdisc("one_queue"),
  versioning: z.boolean().default(false).describe("Offer roster versioning (RFC 6121 section 2.6)"),
  store_current_id: z
    .boolean()
    .default(false)
    .describe("Keep a version with each roster; without it the version is a hash of the whole roster"),
  max_items: own(positive()).default(5000).describe("Contacts a user may have"),
});
export type RosterConfig = z.output<typeof config>;

export const metrics = {
  mod_roster_get_count: { kind: "counter", help: "Rosters fetched" },
  mod_roster_set_count: { kind: "counter", help: "Rosters changed by their owner" },
  mod_roster_push_count: { kind: "counter", help: "Roster pushes sent" },
  sm_presence_subscription_subscription_count: { kind: "counter", help: "Presence subscriptions handled" },
  sm_presence_subscription_unsubscription_count: { kind: "counter", help: "Presence unsubscriptions handled" },
} as const satisfies Record<string, MetricDef>;
export type RosterMetric = keyof typeof metrics;

export type RosterContext = ModuleContext<RosterConfig, Rosters, RosterMetric>;

/** What other modules may ask of the rosters of a host type: undefined where mod_roster is off. */
export function rosterOf(host: HostType): RosterContext | undefined {
  return host.modules.get("mod_roster")?.ctx as RosterContext | undefined;
}
