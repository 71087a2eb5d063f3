// Brings a database to the schema that this server needs.
import type { Db, Statement } from "../db.ts";
import { inspect } from "../inspect.ts";
import { MIGRATIONS } from "./index.ts";
import type { Migration } from "./migration.ts";

const TABLE = "mongooseim_migrations";

const CREATE = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  id integer NOT NULL,
  name varchar(250) NOT NULL,
  applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (id)
)`;

/**
 * Taken until the end of the transaction, so that of two servers that start together the second waits for the first
 * and then fails on the migration's primary key. SQLite has one server; MySQL commits at each CREATE TABLE, whose
 * IF NOT EXISTS makes a second run harmless.
 */
const PGSQL_LOCK: readonly Statement[] = [
  // A migration of a large table takes the time it takes.
  { sql: "SET LOCAL statement_timeout = 0" },
  { sql: "SELECT pg_advisory_xact_lock(5222, 6120)" },
];

export interface MigrateOptions {
  /** Only say what would be done. */
  dryRun?: boolean;
  migrations?: readonly Migration[];
}

export interface MigrationRun {
  id: number;
  name: string;
  /** What was run, or with `dryRun` would be. */
  statements: string[];
}

/**
 * Runs the migrations that the database has not had, in order; each is one transaction with its row in
 * `mongooseim_migrations`, so that an interrupted run continues where it ended. Resolves to those that were run.
 */
export async function migrate(db: Db, options: MigrateOptions = {}): Promise<MigrationRun[]> {
  const migrations = options.migrations ?? MIGRATIONS;
  const runs: MigrationRun[] = [];
  for (const migration of migrations) {
    // Read anew for each, for the migration before may have made what this one looks for.
    const existing = await inspect(db);
    if (existing.tables.has(TABLE) && (await isApplied(db, migration))) continue;
    const work = migration.statements(existing);
    const statements: Statement[] = [
      ...(db.dialect === "pgsql" ? PGSQL_LOCK : []),
      ...(existing.tables.has(TABLE) ? [] : [{ sql: CREATE }]),
      ...work,
      { sql: `INSERT INTO ${TABLE} (id, name) VALUES (?, ?)`, params: [migration.id, migration.name] },
    ];
    const { id, name } = migration;
    if (!options.dryRun && !(await apply(db, migration, statements))) continue;
    runs.push({ id, name, statements: statements.map(({ sql }) => sql) });
  }
  return runs;
}

/** Resolves to false when another server applied the migration meanwhile. */
async function apply(db: Db, migration: Migration, statements: readonly Statement[]): Promise<boolean> {
  try {
    await db.transaction(statements);
    return true;
  } catch (cause) {
    if (await isApplied(db, migration).catch(() => false)) return false;
    throw cause;
  }
}

async function isApplied(db: Db, { id }: Migration): Promise<boolean> {
  return (await db.query(`SELECT id FROM ${TABLE} WHERE id = ?`, [id])).length > 0;
}
