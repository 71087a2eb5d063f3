// Counters of the archive, by MongooseIM's names. Times are in microseconds.

import { asyncPoolMetrics } from "../../core/metrics/async-pool.ts";
import type { MetricDef } from "../../core/module.ts";
import type { MamStore } from "./store.ts";

export const metrics = {
  mod_mam_pm_archive_message_count: { kind: "counter", help: "Messages that were archived" },
  mod_mam_pm_archive_message_time: { kind: "histogram", help: "Time until a message was durable" },
  mod_mam_pm_dropped_count: { kind: "counter", help: "Messages that could not be archived" },
  mod_mam_pm_dropped_iq_count: { kind: "counter", help: "Requests that were refused" },
  mod_mam_pm_flushed_count: { kind: "counter", help: "Messages that were written in batches" },
  mod_mam_pm_flushed_time: { kind: "histogram", help: "Time a batch took to write" },
  mod_mam_pm_flushed_time_per_message: { kind: "histogram", help: "The same for each of its messages" },
  mod_mam_pm_get_prefs_count: { kind: "counter", help: "Preferences that were read" },
  mod_mam_pm_lookup_count: { kind: "counter", help: "Look-ups" },
  mod_mam_pm_lookup_simple: { kind: "counter", help: "Look-ups that counted nothing" },
  mod_mam_pm_lookup_size: { kind: "histogram", help: "Messages that a look-up found" },
  mod_mam_pm_lookup_time: { kind: "histogram", help: "Time of a look-up" },
  mod_mam_pm_remove_archive_count: { kind: "counter", help: "Archives that were removed" },
  mod_mam_pm_set_prefs_count: { kind: "counter", help: "Preferences that were set" },
  ...asyncPoolMetrics("pm_mam", (store: MamStore) => store.pm?.writer.waiting ?? 0),
} as const satisfies Record<string, MetricDef<MamStore>>;

export type MamMetric = keyof typeof metrics;
