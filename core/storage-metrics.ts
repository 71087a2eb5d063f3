// Metrics of the databases: MongooseIM's of worker pools and of calls to them, and ours of what each does and whether it is up.
import type { CallMetrics } from "./metrics/names.ts";
import type { Registry } from "./metrics/registry.ts";
import type { Db, DbCall } from "./storage/db.ts";
import type { Pool, Pools } from "./storage/pools.ts";
import type { WireStats } from "./storage/wire.ts";

/** Declares them; once a node. */
export function storageMetrics(registry: Registry, { embedded, all }: Pools): void {
  database(registry, "embedded", embedded);
  for (const pool of all) {
    if (pool.db === embedded) continue;
    database(registry, nameOf(pool), pool.db);
    queue(registry, pool);
    wire(registry, pool);
    calls(registry, pool);
  }
}

/** "rdbms" is the pool that features use when nothing else is said. */
function nameOf({ tag, hostType }: Pool): string {
  const name = tag === "default" ? "rdbms" : `rdbms.${tag}`;
  return hostType === undefined ? name : `${name} of ${hostType}`;
}

function database(registry: Registry, name: string, db: Db): void {
  const labels = { database: name };
  registry
    .gauge("storage_up", "1 when the database answers, 0 while it does not", ["database"])
    .probe(labels, () => (db.stats().up ? 1 : 0));
  registry
    .gauge("storage_queue_length", "Requests to a database that are not answered yet", ["database"])
    .probe(labels, () => db.stats().queued);
  registry
    .counter("storage_batches_count", "Commits of SQLite, round trips to other databases", ["database"])
    .probe(labels, () => db.stats().batches);
  registry.counter("storage_rows_count", "Rows read and changed", ["database"]).probe(labels, () => db.stats().rows);
  registry
    .gauge("storage_last_batch_seconds", "Seconds the last batch took", ["database"])
    .probe(labels, () => db.stats().lastBatchMs / 1000);
}

function queue(registry: Registry, { tag, hostType, db }: Pool): void {
  const read = (): number => db.stats().queued;
  const labels = { pool_tag: tag, pool_type: "rdbms" };
  if (hostType === undefined) {
    registry
      .gauge("wpool_global_queue_lengths_total", "Requests that wait in a pool", ["pool_tag", "pool_type"])
      .probe(labels, read);
    return;
  }
  registry
    .gauge("wpool_queue_lengths_total", "Requests that wait in a pool of a host type", [
      "host_type",
      "pool_tag",
      "pool_type",
    ])
    .probe({ ...labels, host_type: hostType }, read);
}

/** By MongooseIM's names, which are those that Erlang gives to the numbers of a socket. */
const WIRE: readonly (readonly [name: string, help: string, read: (wire: WireStats) => number])[] = [
  ["recv_oct", "bytes received", ({ received }) => received.bytes],
  ["recv_cnt", "reads", ({ received }) => received.count],
  ["recv_max", "the largest read, in bytes", ({ received }) => received.max],
  ["send_oct", "bytes sent", ({ sent }) => sent.bytes],
  ["send_cnt", "writes", ({ sent }) => sent.count],
  ["send_max", "the largest write, in bytes", ({ sent }) => sent.max],
  ["send_pend", "bytes that wait to be sent", ({ pending }) => pending],
  ["workers", "connections", ({ connections }) => connections],
];

function wire(registry: Registry, { tag, hostType, db }: Pool): void {
  for (const [name, help, read] of WIRE) {
    const value = (): number => {
      const { wire } = db.stats();
      return wire === undefined ? Number.NaN : read(wire);
    };
    const what = `Sockets of a database pool: ${help}`;
    if (hostType === undefined) {
      registry.gauge(`wpool_global_rdbms_stats_${name}`, what, ["pool_tag"]).probe({ pool_tag: tag }, value);
    } else {
      registry
        .gauge(`wpool_rdbms_stats_${name}`, `${what}, of a host type`, ["host_type", "pool_tag"])
        .probe({ host_type: hostType, pool_tag: tag }, value);
    }
  }
}

/** mongoose_rdbms_<driver>: all pools of a driver together. */
function calls(registry: Registry, { driver, calls }: Pool): void {
  if (driver === "sqlite") return;
  const of = (call: DbCall): CallMetrics => ({
    count: registry
      .counter(`mongoose_rdbms_${driver}_count`, "Calls of the database driver", ["function"])
      .bind({ function: call }),
    time: registry
      .histogram(`mongoose_rdbms_${driver}_time`, "Microseconds of a call of the database driver, waiting included", [
        "function",
      ])
      .bind({ function: call }),
  });
  const metrics = { query: of("query"), execute: of("execute") };
  calls.report = (call, microseconds) => {
    metrics[call].count.add();
    metrics[call].time.observe(microseconds);
  };
}
