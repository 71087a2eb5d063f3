// Reads what tables a database has.
import type { Db, Dialect } from "./db.ts";
import type { Existing } from "./migrations/migration.ts";

/** What PostgreSQL's catalogue calls a table that a plain name means: of two schemas on the search path, the first one's. */
const MEANT =
  "t.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY (current_schemas(false)) AND pg_table_is_visible(t.oid)";

/** PostgreSQL's information_schema hides tables that the user may not use: made "if not exists", they would stay unusable. */
const COLUMNS: Readonly<Record<Dialect, string>> = {
  sqlite: `SELECT m.name AS t, c.name AS c, c.type AS y FROM sqlite_master m, pragma_table_info(m.name) c
           WHERE m.type = 'table'`,
  pgsql: `SELECT t.relname AS t, a.attname AS c,
                 CASE WHEN b.nspname = 'pg_catalog' THEN format_type(y.oid, NULL) ELSE y.typname END AS y
          FROM pg_catalog.pg_class t
          JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
          JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
          JOIN pg_catalog.pg_type d ON d.oid = a.atttypid
          JOIN pg_catalog.pg_type y ON y.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END
          JOIN pg_catalog.pg_namespace b ON b.oid = y.typnamespace
          WHERE ${MEANT}`,
  mysql: `SELECT table_name AS t, column_name AS c, data_type AS y FROM information_schema.columns
          WHERE table_schema = DATABASE()`,
};

const TYPES = `SELECT t.typname AS name FROM pg_catalog.pg_type t
               JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
               WHERE t.typtype = 'e' AND n.nspname = ANY (current_schemas(false))`;

const COLLATIONS = `SELECT table_name AS t, table_collation AS c FROM information_schema.tables
                    WHERE table_schema = DATABASE() AND table_collation IS NOT NULL`;

const INDEXES = `SELECT DISTINCT index_name AS name FROM information_schema.statistics WHERE table_schema = DATABASE()`;

/**
 * A row for each column of each unique index that holds all rows; PostgreSQL's tell which of their columns are the key, and
 * one that is looked at only at the end of a transaction serves no ON CONFLICT.
 */
const KEYS: Readonly<Record<Exclude<Dialect, "sqlite">, string>> = {
  pgsql: `SELECT t.relname AS t, i.relname AS i, a.attname AS c, a.attnum AS n, x.indkey::text AS key, x.indnkeyatts AS most
          FROM pg_catalog.pg_index x
          JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
          JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
          JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
          JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (x.indkey)
          WHERE x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL
            AND ${MEANT}`,
  mysql: `SELECT table_name AS t, index_name AS i, column_name AS c FROM information_schema.statistics
          WHERE table_schema = DATABASE() AND non_unique = 0`,
};

/** Which tables the user of PostgreSQL may not use as a server does, and which sequences that give their rows numbers. */
const RIGHTS = `SELECT t.relname AS t, '' AS q, quote_ident(n.nspname) AS s, quote_ident(current_user) AS u
  FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  WHERE ${MEANT} AND NOT (has_any_column_privilege(t.oid, 'SELECT') AND has_any_column_privilege(t.oid, 'INSERT')
    AND has_any_column_privilege(t.oid, 'UPDATE') AND has_table_privilege(t.oid, 'DELETE'))
  UNION ALL
  SELECT t.relname, q.relname, quote_ident(n.nspname), quote_ident(current_user)
  FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_catalog.pg_attrdef f ON f.adrelid = t.oid
  JOIN pg_catalog.pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = f.oid
    AND p.refclassid = 'pg_class'::regclass
  JOIN pg_catalog.pg_class q ON q.oid = p.refobjid
  WHERE ${MEANT} AND CASE q.relkind WHEN 'S' THEN NOT has_sequence_privilege(q.oid, 'USAGE, UPDATE') ELSE FALSE END`;

/** The types of the columns of each table, in the database's words. */
export async function readColumns(db: Db): Promise<Map<string, Map<string, string>>> {
  const tables = new Map<string, Map<string, string>>();
  for (const { t, c, y } of await db.query<{ t: string; c: string; y: string }>(COLUMNS[db.dialect])) {
    const columns = tables.get(t);
    if (columns) columns.set(c, y.toLowerCase());
    else tables.set(t, new Map([[c, y.toLowerCase()]]));
  }
  return tables;
}

/** A table that the database's user may not use, or a sequence of it; its schema and the user, as they are written in SQL. */
export interface Withheld {
  t: string;
  /** "" where it is the table itself. */
  q: string;
  s: string;
  u: string;
}

/** Tables that there are and that the user may not read, write and delete from, or count; PostgreSQL only. */
export const readWithheld = async (db: Db): Promise<Withheld[]> =>
  db.dialect === "pgsql" ? db.query<Withheld>(RIGHTS) : [];

/** A character set that has not all of Unicode, and a column of it; the table is "" for a whole database. */
interface Characters {
  s: string;
  t: string;
  c: string;
}

const CHARACTERS: Readonly<Record<Dialect, string | undefined>> = {
  sqlite: undefined,
  // SQL_ASCII is whatever bytes it is given.
  pgsql: `SELECT pg_encoding_to_char(encoding) AS s, '' AS t, '' AS c FROM pg_catalog.pg_database
          WHERE datname = current_database() AND pg_encoding_to_char(encoding) NOT IN ('UTF8', 'SQL_ASCII')`,
  mysql: `SELECT character_set_name AS s, table_name AS t, column_name AS c FROM information_schema.columns
          WHERE table_schema = DATABASE() AND character_set_name NOT IN ('utf8mb4', 'binary')`,
};

/** The columns, or the database, whose texts cannot hold all of Unicode. */
export async function readCharacters(db: Db): Promise<Characters[]> {
  const sql = CHARACTERS[db.dialect];
  return sql === undefined ? [] : db.query<Characters>(sql);
}

/** Reads the tables, columns, keys, indexes and types of a database. */
export async function inspect(db: Db): Promise<Existing> {
  const types = db.dialect === "pgsql" ? await db.query<{ name: string }>(TYPES) : [];
  const collations = db.dialect === "mysql" ? await db.query<{ t: string; c: string }>(COLLATIONS) : [];
  const indexes = db.dialect === "mysql" ? await db.query<{ name: string }>(INDEXES) : [];
  return {
    dialect: db.dialect,
    tables: new Map([...(await readColumns(db))].map(([table, columns]) => [table, new Set(columns.keys())])),
    collations: new Map(collations.map(({ t, c }) => [t, c])),
    keys: await readKeys(db),
    indexes: new Set(indexes.map(({ name }) => name)),
    types: new Set(types.map(({ name }) => name)),
  };
}

/** A key by its columns, whatever their order. */
export const keyOf = (columns: readonly string[]): string => [...columns].sort().join(", ");

interface KeyRow {
  t: string;
  i: string;
  c: string;
  /** PostgreSQL: the column's number, those of the index, and how many of them are its key; the rest is only carried. */
  n?: number;
  key?: string;
  most?: number;
}

/**
 * The unique keys of each table, as `keyOf` writes their columns; undefined for the embedded database, whose tables are
 * always of our making.
 */
export async function readKeys(db: Db): Promise<Map<string, Set<string>> | undefined> {
  if (db.dialect === "sqlite") return undefined;
  const indexes = new Map<string, { table: string; columns: string[] }>();
  for (const { t, i, c, n, key, most } of await db.query<KeyRow>(KEYS[db.dialect])) {
    if (key !== undefined && !key.match(/\d+/g)?.slice(0, most).includes(String(n))) continue;
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
