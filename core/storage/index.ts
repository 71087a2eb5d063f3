// Opens the server's database and brings its schema up to date.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Db, StorageError } from "./db.ts";
import { checkSchema, type SchemaProblem } from "./inspect.ts";
import { MONGOOSEIM_TABLES } from "./migrations/0001_mongooseim.ts";
import { migrate } from "./migrations/runner.ts";
import type { PgsqlOptions } from "./pgsql.ts";
import { openSqlite, type SqliteOptions } from "./sqlite/client.ts";

export type StorageOptions =
  /** The embedded database: `file`, or `mongooseim.db` in the state directory, which is made when missing. */
  { stateDir: string; file?: string; sqlite?: Omit<SqliteOptions, "file"> } | { pgsql: PgsqlOptions };

/** Opens the database, runs missing migrations and checks the tables. Rejects with a {@link StorageError}. */
export async function openStorage(options: StorageOptions): Promise<Db> {
  const db = "pgsql" in options ? await openServer(options.pgsql) : await openEmbedded(options);
  try {
    await migrate(db);
    const problems = await checkSchema(db, MONGOOSEIM_TABLES);
    if (problems.length > 0) throw new StorageError("syntax", describe(problems));
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

function describe(problems: readonly SchemaProblem[]): string {
  const names = problems.map(({ table, column }) => (column === undefined ? table : `${table}.${column}`));
  return `Cannot use database: it lacks ${names.join(", ")}; run the migration scripts of MongooseIM up to 6.8 on it first`;
}
