// The configuration and metrics of mod_privacy, and what its handlers are given.

import { z } from "zod";
import { enumOf, own, positive } from "../../core/config/types.ts";
import type { MetricDef, ModuleContext, Session } from "../../core/module.ts";
import { Slot } from "../../core/module.ts";
import type { PrivacyList } from "./list.ts";
import type { Lists } from "./lists.ts";

export const config = z.strictObject({
  backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where privacy lists are kept"),
  max_lists: own(positive().default(50).describe("Lists that a user may have; one more for the blocking command")),
  max_items: own(positive().default(5000).describe("Items that a list may have")),
});

export const metrics = {
  mod_privacy_get_count: { kind: "counter", help: "Requests for privacy lists and block lists" },
  mod_privacy_set_count: { kind: "counter", help: "Requests to change privacy lists and block lists" },
  mod_privacy_set_active_count: { kind: "counter", help: "Requests to change a session's active list" },
  mod_privacy_set_default_count: { kind: "counter", help: "Requests to change a user's default list" },
  mod_privacy_push_item_count: { kind: "counter", help: "Sessions told that a list has changed" },
  mod_privacy_check_packet_count: { kind: "counter", help: "Stanzas judged by privacy lists" },
  mod_privacy_check_packet_denied_count: { kind: "counter", help: "Stanzas turned away by a privacy list" },
  mod_privacy_check_packet_blocked_count: { kind: "counter", help: "Stanzas turned away by a block list" },
} as const satisfies Record<string, MetricDef>;

export type PrivacyContext = ModuleContext<z.output<typeof config>, Lists, keyof typeof metrics>;

/** The list that applies to a session, be it its own or the account's default one. None for nearly every session. */
const APPLIED = new Slot<PrivacyList>();
/** Set on a session that has chosen a list of its own. */
const CHOSEN = new Slot<true>();

export const appliedTo = (session: Session): PrivacyList | undefined => APPLIED.get(session);
export const hasChosen = (session: Session): boolean => CHOSEN.get(session) === true;

/** From now on this list applies to the session. */
export function apply(session: Session, list: PrivacyList | undefined, chosen: boolean): void {
  if (APPLIED.get(session) !== list) APPLIED.set(session, list);
  if (hasChosen(session) !== chosen) CHOSEN.set(session, chosen ? true : undefined);
}
