// Brings a database to the schema that this server needs.
import type { Db, Dialect, Statement } from "../db.ts";
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

/** The locks of a MySQL server are one name space, so the name holds that of the database. */
const MYSQL_LOCK = "CONCAT(LEFT(DATABASE(), 40), '.mongooseim')";

/**
 * Of two servers that start together the second waits for the first and then fails on the migration's primary key. SQLite
 * has one server. PostgreSQL's lock is one of the transaction, MySQL's of the session, which ends with the list of
 * statements. A migration of a large table, and of another server, takes the time it takes.
 */
const LOCK: Readonly<Record<Dialect, readonly Statement[]>> = {
  sqlite: [],
  pgsql: [{ sql: "SET LOCAL statement_timeout = 0" }, { sql: "SELECT pg_advisory_xact_lock(5222, 6120)" }],
  mysql: [
    // Different variables in MariaDB and in MySQL; each reads only its comment.
    { sql: "SET /*M! max_statement_time */ /*!80000 max_execution_time */ = 0" },
    { sql: `DO GET_LOCK(${MYSQL_LOCK}, 3600)` },
  ],
};

/**
 * MySQL commits at each definition: a run that is cut short leaves what it has done, and the next one makes what is still
 * missing. So that nothing is done twice, the row goes in and out again first, which fails when another server applied the
 * migration meanwhile, or when the lock is not ours.
 */
function guard(dialect: Dialect, { id, name }: Migration): readonly Statement[] {
  if (dialect !== "mysql") return [];
  const key = `IF(IS_USED_LOCK(${MYSQL_LOCK}) = CONNECTION_ID(), ?, NULL)`;
  return [
    // What changes rows between two definitions is one transaction too.
    { sql: "SET autocommit = 0" },
    { sql: `INSERT INTO ${TABLE} (id, name) VALUES (${key}, ?)`, params: [id, name] },
    { sql: `DELETE FROM ${TABLE} WHERE id = ?`, params: [id] },
  ];
}

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
 * `mongooseim_migrations` (but see `guard`), so that an interrupted run continues where it ended. Resolves to those that were run.
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
      ...LOCK[db.dialect],
      ...(existing.tables.has(TABLE) ? [] : [{ sql: CREATE }]),
      ...guard(db.dialect, migration),
      ...work,
      { sql: INSERT, params: [migration.id, migration.name] },
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
