// Reads what tables a database has.
import type { Db, Dialect } from "./db.ts";
import type { Existing } from "./migrations/migration.ts";

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

/** A row for each column of each unique index that holds all rows. */
const KEYS: Readonly<Record<Exclude<Dialect, "sqlite">, string>> = {
  pgsql: `SELECT t.relname AS t, i.relname AS i, a.attname AS c
          FROM pg_catalog.pg_index x
          JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
          JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
          JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
          JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (x.indkey)
          WHERE x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
            AND n.nspname = ANY (current_schemas(false))`,
  mysql: `SELECT table_name AS t, index_name AS i, column_name AS c FROM information_schema.statistics
          WHERE table_schema = DATABASE() AND non_unique = 0`,
};

/** Reads the tables, columns, keys and types of a database. */
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
    keys: await readKeys(db),
    types: new Set(types.map(({ name }) => name)),
  };
}

/** A key by its columns, whatever their order. */
export const keyOf = (columns: readonly string[]): string => [...columns].sort().join(", ");

/**
 * The unique keys of each table, as `keyOf` writes their columns; undefined for the embedded database, whose tables are
 * always of our making.
 */
export async function readKeys(db: Db): Promise<Map<string, Set<string>> | undefined> {
  if (db.dialect === "sqlite") return undefined;
  const indexes = new Map<string, { table: string; columns: string[] }>();
  for (const { t, i, c } of await db.query<{ t: string; i: string; c: string }>(KEYS[db.dialect])) {
    const index = indexes.get(`${t} ${i}`);
    if (index) index.columns.push(c);
    else indexes.set(`${t} ${i}`, { table: t, columns: [c] });
  }
  const keys = new Map<string, Set<string>>();
  for (const { table, columns } of indexes.values()) {
    const known = keys.get(table) ?? new Set();
    keys.set(table, known.add(keyOf(columns)));
  }
  return keys;
}
