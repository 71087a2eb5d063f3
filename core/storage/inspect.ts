// Reads what tables a database has, and compares them with those that the server needs.
import type { Db, Dialect } from "./db.ts";
import type { Existing } from "./migrations/migration.ts";
import type { Table } from "./schema.ts";

const COLUMNS: Readonly<Record<Dialect, string>> = {
  sqlite: `SELECT m.name AS t, c.name AS c FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`,
  pgsql: `SELECT table_name AS t, column_name AS c FROM information_schema.columns
          WHERE table_schema = ANY (current_schemas(false))`,
  mysql: "SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = DATABASE()",
};

const TYPES = `SELECT t.typname AS name FROM pg_catalog.pg_type t
               JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
               WHERE t.typtype = 'e' AND n.nspname = ANY (current_schemas(false))`;

const COLLATIONS = `SELECT table_name AS t, table_collation AS c FROM information_schema.tables
                    WHERE table_schema = DATABASE() AND table_collation IS NOT NULL`;

/** Reads the tables, columns and types of a database. */
export async function inspect(db: Db): Promise<Existing> {
  const tables = new Map<string, Set<string>>();
  for (const { t, c } of await db.query<{ t: string; c: string }>(COLUMNS[db.dialect])) {
    const columns = tables.get(t);
    if (columns) columns.add(c);
    else tables.set(t, new Set([c]));
  }
  const types = db.dialect === "pgsql" ? await db.query<{ name: string }>(TYPES) : [];
  const collations = db.dialect === "mysql" ? await db.query<{ t: string; c: string }>(COLLATIONS) : [];
  return {
    dialect: db.dialect,
    tables,
    collations: new Map(collations.map(({ t, c }) => [t, c])),
    types: new Set(types.map(({ name }) => name)),
  };
}

export interface SchemaProblem {
  table: string;
  /** The missing column; undefined when the whole table is missing. */
  column?: string;
}

/** What a database lacks of the given tables; more columns than needed are no problem. */
export async function checkSchema(db: Db, needed: readonly Table[]): Promise<SchemaProblem[]> {
  const { tables } = await inspect(db);
  return needed.flatMap(({ name, columns }) => {
    const present = tables.get(name);
    if (!present) return [{ table: name }];
    return Object.keys(columns)
      .filter((column) => !present.has(column))
      .map((column) => ({ table: name, column }));
  });
}
