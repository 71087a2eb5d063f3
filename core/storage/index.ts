// Opens the server's database and brings its schema up to date.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Db, StorageError } from "./db.ts";
import { migrate } from "./migrations/runner.ts";
import type { PgsqlOptions } from "./pgsql.ts";
import { openSqlite, type SqliteOptions } from "./sqlite/client.ts";
import { examine, refusal } from "./upgrade.ts";

export type StorageOptions =
  /** The embedded database: `file`, or `mongooseim.db` in the state directory, which is made when missing. */
  { stateDir: string; file?: string; sqlite?: Omit<SqliteOptions, "file"> } | { pgsql: PgsqlOptions };

/** Opens the database, runs missing migrations and checks the tables. Rejects with a {@link StorageError}. */
export async function openStorage(options: StorageOptions): Promise<Db> {
  const db = "pgsql" in options ? await openServer(options.pgsql) : await openEmbedded(options);
  try {
    // Looked at first: a database that will not be served is not changed either.
    const { runs, problems } = await examine(db);
    if (problems.length > 0) throw refusal(db.dialect, problems);
    if (runs.length > 0) await migrate(db);
    return db;
  } catch (cause) {
    await db.close();
    throw cause;
  }
}

/** Loaded on demand: the client and the TLS and DNS code that it pulls in cost memory that the default does not need. */
async function openServer(options: PgsqlOptions): Promise<Db> {
  const { openPgsql } = await import("./pgsql.ts");
  return openPgsql(options);
}

async function openEmbedded({ stateDir, file, sqlite }: Exclude<StorageOptions, { pgsql: unknown }>): Promise<Db> {
  try {
    // Holds passwords and messages: nobody else's business.
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StorageError("unavailable", `Cannot make state directory "${stateDir}": ${(cause as Error).message}`);
  }
  return openSqlite({ ...sqlite, file: file ?? join(stateDir, "mongooseim.db") });
}
