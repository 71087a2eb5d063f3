// Metrics of a feature's pool of writers, which write aside from routing, by MongooseIM's names.

import type { MetricDef } from "../module.ts";

/**
 * The metrics of one pool.
 * @param poolId its label, as MongooseIM has it
 * @param waiting how much of what the store was given is not written yet
 */
export function asyncPoolMetrics<S>(poolId: string, waiting: (store: S) => number) {
  const labels = { pool_id: () => poolId };
  return {
    async_pool_request_count: { kind: "counter", help: "Messages given to a pool of writers", labels },
    async_pool_flush_batch: { kind: "counter", help: "Batches that a pool wrote because they were full", labels },
    async_pool_flush_timed: {
      kind: "counter",
      help: "Batches that a pool wrote because their time had come",
      labels,
    },
    async_pool_queue_lengths_total: {
      kind: "gauge",
      help: "Messages that wait in a pool to be written",
      labels,
      read: waiting,
    },
  } as const satisfies Record<string, MetricDef<S>>;
}

export type AsyncPoolMetric = keyof ReturnType<typeof asyncPoolMetrics>;
