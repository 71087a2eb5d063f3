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

const INSERT = `INSERT INTO ${TABLE} (id, name) VALUES (?, ?)`;

/**
 * Taken until the end of the transaction, so that of two servers that start together the second waits for the first
 * and then fails on the migration's primary key. SQLite has one server.
 */
const PGSQL_LOCK: readonly Statement[] = [
  // A migration of a large table takes the time it takes.
  { sql: "SET LOCAL statement_timeout = 0" },
  { sql: "SELECT pg_advisory_xact_lock(5222, 6120)" },
];

/** The lock's name holds that of the database: the locks of a server are one name space. */
const MYSQL_LOCK = "CONCAT(LEFT(DATABASE(), 40), '.mongooseim')";
/** How long another server may take for its migrations, in seconds. */
const MYSQL_PATIENCE_S = 3600;
/** MariaDB's limit and MySQL's are different variables; each server reads only its comment. */
const mysqlLimit = (value: string) => `SET /*M! max_statement_time */ /*!80000 max_execution_time */ = ${value}`;

/**
 * MySQL commits at each definition, so that the lock is one of the session. The row goes in and out again before anything
 * is done: that fails when another server applied the migration while this one waited. When a statement fails the
 * connection ends, and the lock with it.
 */
const mysqlLock = (id: number, name: string): readonly Statement[] => [
  { sql: mysqlLimit("0") },
  { sql: `DO GET_LOCK(${MYSQL_LOCK}, ${MYSQL_PATIENCE_S})` },
  // Fails (division by zero is no value for a limit) unless this session holds the lock now.
  { sql: CREATE },
  { sql: INSERT, params: [id, name] },
  { sql: `DELETE FROM ${TABLE} WHERE id = ?`, params: [id] },
];
const MYSQL_UNLOCK: readonly Statement[] = [{ sql: `DO RELEASE_LOCK(${MYSQL_LOCK})` }, { sql: mysqlLimit("DEFAULT") }];

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
