// Brings a database to the schema that this server needs.
import { type Db, type Dialect, type Statement, StorageError } from "../db.ts";
import { inspect } from "../inspect.ts";
import { MIGRATIONS } from "./index.ts";
import type { Existing, Migration } from "./migration.ts";

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
  /** Told before and after each step; when another server does it meanwhile, only before. */
  step?: (run: MigrationRun, done: boolean) => void;
}

export interface MigrationRun {
  id: number;
  name: string;
  /** What was run, or with `dryRun` would be; can be run by hand. */
  statements: string[];
}

/**
 * Runs the migrations that the database has not had, in order; each is one transaction with its row in
 * `mongooseim_migrations` (but see `guard`), so that an interrupted run continues where it ended. Resolves to those that were run. A
 * database whose user may not change it is refused with the statements for somebody who may.
 */
export async function migrate(db: Db, options: MigrateOptions = {}): Promise<MigrationRun[]> {
  const runs: MigrationRun[] = [];
  const pending = await missing(db, options.migrations ?? MIGRATIONS);
  let counted = pending.length === 0 || (await inspect(db)).tables.has(TABLE);
  for (const [i, migration] of pending.entries()) {
    if (options.dryRun) {
      runs.push(plan(migration, await inspect(db), counted));
      counted = true;
      continue;
    }
    try {
      const run = await apply(db, migration, options.step);
      if (run !== undefined) runs.push(run);
    } catch (cause) {
      throw isForbidden(cause) ? await forbidden(db, cause, pending.slice(i)) : failed(cause, migration);
    }
  }
  return runs;
}

/** The migrations that the database has not had. */
async function missing(db: Db, migrations: readonly Migration[]): Promise<Migration[]> {
  if (!(await inspect(db)).tables.has(TABLE)) return [...migrations];
  const rows = await db.query<{ id: number | bigint }>(`SELECT id FROM ${TABLE}`);
  const applied = new Set(rows.map(({ id }) => Number(id)));
  return migrations.filter(({ id }) => !applied.has(id));
}

/** A run as it can be done by hand. */
function plan({ id, name, statements }: Migration, existing: Existing, counted: boolean): MigrationRun {
  const work = statements(existing).map(({ sql }) => sql);
  return {
    id,
    name,
    statements: [...(counted ? [] : [CREATE]), ...work, `INSERT INTO ${TABLE} (id, name) VALUES (${id}, '${name}')`],
  };
}

/** Resolves to undefined when another server applied the migration meanwhile. */
async function apply(db: Db, migration: Migration, step?: MigrateOptions["step"]): Promise<MigrationRun | undefined> {
  let before: string | undefined;
  for (;;) {
    // Read anew for each, for the migration before may have made what this one looks for.
    const existing = await inspect(db);
    const run = plan(migration, existing, existing.tables.has(TABLE));
    const statements = [
      ...LOCK[db.dialect],
      ...(existing.tables.has(TABLE) ? [] : [{ sql: CREATE }]),
      ...guard(db.dialect, migration),
      ...migration.statements(existing),
      { sql: INSERT, params: [migration.id, migration.name] },
    ];
    if (before === undefined) step?.(run, false);
    try {
      await db.transaction(statements);
      step?.(run, true);
      return run;
    } catch (cause) {
      if (await isApplied(db, migration).catch(() => false)) return undefined;
      // Another server is at it: what is left is less each time.
      const left = run.statements.join(";");
      if (left === before || !isLost(cause)) throw cause;
      before = left;
    }
  }
}

/** Whether a statement failed as one does that somebody else has run already. */
const isLost = (cause: unknown): boolean =>
  cause instanceof StorageError && (cause.code === "syntax" || cause.code === "conflict") && !isForbidden(cause);

async function isApplied(db: Db, { id }: Migration): Promise<boolean> {
  return (await db.query(`SELECT id FROM ${TABLE} WHERE id = ?`, [id])).length > 0;
}

/** PostgreSQL: insufficient_privilege; MySQL: access denied to a database, a table, a column, an operation. */
const FORBIDDEN: ReadonlySet<unknown> = new Set(["42501", 1044, 1142, 1143, 1227]);

function isForbidden(cause: unknown): boolean {
  const origin = cause instanceof StorageError ? cause.cause : undefined;
  if (!(origin instanceof Error)) return false;
  return ("code" in origin && FORBIDDEN.has(origin.code)) || ("errno" in origin && FORBIDDEN.has(origin.errno));
}

/** One line: what the database says, and what it was asked. */
function failed(cause: unknown, { id, name }: Migration): unknown {
  if (!(cause instanceof StorageError)) return cause;
  const message = `Cannot bring the database up to date (step ${id}, ${name}): ${cause.message}`;
  return new StorageError(cause.code, message, { cause });
}

async function forbidden(db: Db, cause: unknown, left: readonly Migration[]): Promise<StorageError> {
  const existing = await inspect(db);
  const runs = left.map((migration, i) => plan(migration, existing, i > 0 || existing.tables.has(TABLE)));
  const statements = [...runs.flatMap((run) => run.statements), ...(await grants(db))].map(oneLine);
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StorageError(
    "syntax",
    `Cannot bring the database up to date: its user may not (${why}). Let its owner run this, and start again:\n${statements.map((sql) => `${sql};`).join("\n")}`,
    { cause },
  );
}

/** What the owner of new tables has to say for the server's user. */
async function grants(db: Db): Promise<string[]> {
  if (db.dialect !== "pgsql") return [];
  const [{ u, s }] = await db.query<{ u: string; s: string | null }>(
    "SELECT quote_ident(current_user) AS u, quote_ident(current_schema()) AS s",
  );
  return [
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${s ?? "public"} TO ${u}`,
    `GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${s ?? "public"} TO ${u}`,
  ];
}

/** A statement on one line. */
export const oneLine = (sql: string): string => sql.replace(/\s*\n\s*/g, " ");
