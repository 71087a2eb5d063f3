// What a database needs before the server can serve it, whoever made it.
//
// MongooseIM's tables are added to and never rewritten: tables and columns that came in later versions are made, with the
// values that its own scripts give; rows, types, keys and indexes that are there stay. What would need more than that is
// told, and the database left as it is.
import { checkCharacters, checkRights, checkSchema, describeProblem, type SchemaProblem } from "./check.ts";
import { type Db, type Dialect, StorageError } from "./db.ts";
import { inspect } from "./inspect.ts";
import { MONGOOSEIM_TABLES } from "./migrations/0001_mongooseim.ts";
import { type MigrationRun, migrate } from "./migrations/runner.ts";
import { madeBy } from "./mongooseim.ts";

export interface Examination {
  /** Versions of MongooseIM that make such tables; undefined for a database without any. */
  madeBy: string | undefined;
  /** What the server will do when it opens the database. */
  runs: MigrationRun[];
  /** What it will not do, and cannot do without. */
  problems: SchemaProblem[];
  /** What it does without. */
  notes: SchemaProblem[];
}

/** Looks at a database and changes nothing. */
export async function examine(db: Db): Promise<Examination> {
  const { tables } = await inspect(db);
  // First: without them the rest cannot be looked at either.
  const withheld = await checkRights(db, MONGOOSEIM_TABLES);
  if (withheld.length > 0) return { madeBy: madeBy(tables), runs: [], problems: withheld, notes: [] };
  const runs = await migrate(db, { dryRun: true });
  const statements = runs.flatMap((run) => run.statements);
  const found = await checkSchema(db, MONGOOSEIM_TABLES);
  const left = found.filter((problem) => !statements.some((sql) => cures(sql, problem)));
  return {
    madeBy: madeBy(tables),
    runs,
    problems: left.filter(({ harmless }) => !harmless),
    notes: [...left.filter(({ harmless }) => harmless), ...(await checkCharacters(db, MONGOOSEIM_TABLES))],
  };
}

function cures(sql: string, { table, column, kind, detail }: SchemaProblem): boolean {
  if (kind === "type" || kind === "right" || kind === "characters") return false;
  if (kind === "key") return sql.startsWith("CREATE UNIQUE INDEX ") && sql.endsWith(` ON ${table} (${detail})`);
  return sql.startsWith(
    column === undefined ? `CREATE TABLE IF NOT EXISTS ${table} (` : `ALTER TABLE ${table} ADD COLUMN ${column} `,
  );
}

/** The one line with which a database is refused. */
export function refusal(dialect: Dialect, problems: readonly SchemaProblem[]): StorageError {
  const words = problems.map((problem) => describeProblem(dialect, problem)).join("; ");
  return new StorageError("syntax", `Cannot use database: ${words}`);
}
