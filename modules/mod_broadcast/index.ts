// Broadcasts: administrators' jobs that send one message to every user of a domain, at a bounded rate. A job outlives
// the process: see worker.ts for what is sent again after a crash, manager.ts for the leases of several nodes.

import { z } from "zod";
import { enumOf, positive } from "../../core/config/types.ts";
import { defineModule } from "../../core/module.ts";
import { type Context, Manager, type Metric } from "./manager.ts";
import { broadcastOperations } from "./operations.ts";
import { BroadcastStore } from "./store.ts";

const config = z.strictObject({
  backend: enumOf("rdbms").default("rdbms").describe("Where broadcasts are kept"),
  lease_time: positive()
    .default(600)
    .describe("Seconds for which a node owns a broadcast without renewing; 10 or more"),
});

/** The manager of each host type, by its context. */
const managers = new WeakMap<object, Manager>();

function managerOf(ctx: Context): Manager {
  const manager = managers.get(ctx);
  if (manager === undefined) throw new Error("mod_broadcast does not run");
  return manager;
}

/** More often than this the leases need not be renewed. */
const LEAST_LEASE = 10;

export default defineModule<z.output<typeof config>, BroadcastStore, Metric>({
  name: "mod_broadcast",
  xeps: [],
  config,
  store: (db) => new BroadcastStore(db),
  timed: {
    backends: ["rdbms"],
    in: (store) => store,
    calls: { get_job: "getJob", update_worker_state: "updateWorkerState" },
  },
  metrics: {
    mod_broadcast_live_jobs_count: { kind: "gauge", help: "Broadcasts that run on this node" },
    mod_broadcast_jobs_started_count: { kind: "gauge", help: "Broadcasts started" },
    mod_broadcast_jobs_finished_count: { kind: "gauge", help: "Broadcasts that reached all" },
    mod_broadcast_jobs_aborted_admin_count: { kind: "gauge", help: "Broadcasts ended by an administrator" },
    mod_broadcast_jobs_aborted_error_count: { kind: "gauge", help: "Broadcasts ended by an error" },
    mod_broadcast_recipients_processed_count: { kind: "counter", help: "Users that broadcasts got to" },
    mod_broadcast_recipients_success_count: { kind: "counter", help: "Messages of broadcasts routed" },
    mod_broadcast_recipients_skipped_count: { kind: "counter", help: "Messages of broadcasts that failed" },
  },
  hooks: {
    // Before the store's own handler (60) deletes the jobs.
    remove_domain: { at: 50, run: ({ domain }, ctx) => managerOf(ctx).abortDomain(domain) },
  },
  operations: broadcastOperations(managerOf),
  start(ctx) {
    const { config, host } = ctx;
    if (config.lease_time < LEAST_LEASE) {
      throw new Error(
        `Cannot start modules.mod_broadcast for host type "${host.name}": lease_time is ${LEAST_LEASE} seconds at least`,
      );
    }
    if (!host.auth.methods.some((method) => method === "rdbms" || method === "internal")) {
      throw new Error(
        `Cannot start modules.mod_broadcast for host type "${host.name}": it needs auth.rdbms or auth.internal, which know all users`,
      );
    }
    const manager = new Manager(ctx);
    managers.set(ctx, manager);
    return manager.start();
  },
  async stop(ctx) {
    await managerOf(ctx).stop();
  },
});
