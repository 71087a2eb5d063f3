// What retention tells of itself.

import type { Registry } from "../metrics/registry.ts";

/** Declares the metrics, or finds them declared. */
export const retentionMetrics = (registry: Registry) => ({
  deleted: registry.counter("retention_deleted_count", "Rows that were older than they may be, deleted", [
    "host_type",
    "kind",
  ]),
  failed: registry.counter("retention_failed_count", "Clean-ups that the database cut short", ["host_type", "kind"]),
});
