// What changed in MongooseIM's schema from 5.0 to 6.8: enough to tell which version made a database, and which of its
// scripts makes what is missing. (From the scripts in its priv/migrations.)
import type { Dialect } from "./db.ts";

export interface SchemaChange {
  table: string;
  /** Absent: the table, or its key. */
  column?: string;
  /** The table had another key before. */
  key?: true;
  /** Versions before and after, as in the names of the scripts. */
  step: string;
}

export const CHANGES: readonly SchemaChange[] = [
  { table: "inbox", column: "box", step: "5.0.0_5.1.0" },
  { table: "domain_settings", column: "status", step: "5.1.0_6.0.0" },
  { table: "domain_admins", step: "5.1.0_6.0.0" },
  { table: "discovery_nodes", step: "6.1.0_6.2.0" },
  { table: "rosterusers", key: true, step: "6.2.0_6.2.1" },
  { table: "rostergroups", key: true, step: "6.2.0_6.2.1" },
  { table: "discovery_nodes", key: true, step: "6.2.0_6.2.1" },
  { table: "mam_message", column: "is_groupchat", step: "6.2.0_6.2.1" },
  { table: "fast_auth_token", step: "6.3.1_6.3.2" },
  { table: "blocklist", step: "6.5.0_6.6.0" },
  { table: "pubsub_node", step: "6.7.0_6.8.0" },
  { table: "pubsub_item", step: "6.7.0_6.8.0" },
  { table: "pubsub_subscription", step: "6.7.0_6.8.0" },
  { table: "broadcast_jobs", step: "6.7.0_6.8.0" },
  { table: "broadcast_jobs_ownership", step: "6.7.0_6.8.0" },
  { table: "broadcast_worker_state", step: "6.7.0_6.8.0" },
];

/** What tells a version from those before, newest first. */
const MARKS: readonly { versions: string; table: string; column?: string }[] = [
  { versions: "6.8", table: "broadcast_jobs" },
  { versions: "6.6 to 6.7", table: "blocklist" },
  { versions: "6.3.2 to 6.5", table: "fast_auth_token" },
  { versions: "6.2.1 to 6.3.1", table: "mam_message", column: "is_groupchat" },
  { versions: "6.2.0", table: "discovery_nodes" },
  { versions: "6.0 to 6.1", table: "domain_settings", column: "status" },
];

/**
 * The versions of MongooseIM that make such a database; undefined when it has none of their tables.
 * @param tables columns by table
 */
export function madeBy(tables: ReadonlyMap<string, ReadonlySet<string>>): string | undefined {
  const mark = MARKS.find(({ table, column }) => {
    const columns = tables.get(table);
    return columns !== undefined && (column === undefined || columns.has(column));
  });
  if (mark !== undefined) return mark.versions;
  return tables.has("users") || tables.has("mam_message") ? "before 6.0" : undefined;
}

/** MongooseIM's file that makes a table, a column, or a table's key; undefined for databases that it does not know. */
export function scriptOf(dialect: Dialect, table: string, column?: string, key = false): string | undefined {
  if (dialect === "sqlite") return undefined;
  const change = CHANGES.find((c) => c.table === table && c.column === column && (c.key ?? false) === key);
  if (change !== undefined) return `priv/migrations/${dialect}_${change.step}.sql`;
  return dialect === "pgsql" ? "priv/pg.sql" : "priv/mysql.sql";
}
