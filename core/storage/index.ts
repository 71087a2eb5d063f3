// Opens the server's database and brings its schema up to date.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Db, StorageError } from "./db.ts";
import { type MigrationRun, migrate } from "./migrations/runner.ts";
import type { MysqlOptions } from "./mysql/client.ts";
import type { PgsqlOptions } from "./pgsql.ts";
import { openSqlite, type SqliteOptions } from "./sqlite/client.ts";
import { DAMAGE_ADVICE, damaged, refuseDamaged } from "./sqlite/damage.ts";
import { examine, refusal } from "./upgrade.ts";

export type StorageOptions =
  /** The embedded database: `file`, or `mongooseim.db` in the state directory, which is made when missing. */
  | { stateDir: string; file?: string; sqlite?: Omit<SqliteOptions, "file"> }
  | { pgsql: PgsqlOptions }
  | { mysql: MysqlOptions };

/**
 * Opens the database, runs missing migrations and checks the tables. Rejects with a {@link StorageError}.
 * @param changing told before each step that changes a database with tables in it, which may take long
 */
export async function openStorage(options: StorageOptions, changing?: (step: MigrationRun) => void): Promise<Db> {
  let db: Db | undefined;
  try {
    db = await openDatabase(options);
    // Looked at first: a database that will not be served is not changed either.
    const { madeBy, runs, problems } = await examine(db);
    if (problems.length > 0) throw refusal(db.dialect, problems);
    const told = madeBy === undefined ? undefined : changing;
    // The last statement of each only counts it.
    const step = (run: MigrationRun, done: boolean) => void (!done && run.statements.length > 1 && told?.(run));
    if (runs.length > 0) await migrate(db, { step });
    return db;
  } catch (cause) {
    await db?.close();
    throw explained(cause, options);
  }
}

/** Clients are loaded on demand: with the TLS and DNS code that they pull in they cost memory that the default does not need. */
async function openDatabase(options: StorageOptions): Promise<Db> {
  if ("pgsql" in options) return (await import("./pgsql.ts")).openPgsql(options.pgsql);
  if ("mysql" in options) return (await import("./mysql/client.ts")).openMysql(options.mysql);
  return openEmbedded(options);
}

async function openEmbedded({ stateDir, file, sqlite }: Extract<StorageOptions, { stateDir: string }>): Promise<Db> {
  try {
    // Holds passwords and messages: nobody else's business.
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StorageError("unavailable", `Cannot make state directory "${stateDir}": ${(cause as Error).message}`);
  }
  const path = fileOf({ stateDir, file });
  const db = await openSqlite({ ...sqlite, file: path });
  try {
    await refuseDamaged(db, path);
    return db;
  } catch (cause) {
    await db.close();
    throw cause;
  }
}

const fileOf = ({ stateDir, file }: { stateDir: string; file?: string }): string =>
  file ?? join(stateDir, "mongooseim.db");

/** An error on the way to an open database; that of a damaged file says what to do. */
function explained(cause: unknown, options: StorageOptions): unknown {
  const corrupt = cause instanceof StorageError && cause.code === "corrupt";
  if (!corrupt || !("stateDir" in options) || cause.message.endsWith(DAMAGE_ADVICE)) return cause;
  return damaged(fileOf(options), cause.message);
}
