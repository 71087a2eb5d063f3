// Writes the declarations of schema.ts as CREATE statements of each database.
import type { Dialect } from "./db.ts";
import {
  type Column,
  type ColumnKind,
  type ForeignKey,
  type Index,
  MYSQL_COLLATION,
  MYSQL_OPTIONS,
  NOW,
  type Table,
} from "./schema.ts";

type PlainKind = Exclude<ColumnKind, "varchar" | "enum">;

const SQLITE_TYPES: Readonly<Record<ColumnKind, string>> = {
  varchar: "TEXT",
  char: "TEXT",
  text: "TEXT",
  bytes: "BLOB",
  smallint: "INTEGER",
  int: "INTEGER",
  bigint: "INTEGER",
  boolean: "INTEGER",
  timestamp: "TEXT",
  timestamptz: "TEXT",
  json: "TEXT",
  // The rowid itself: the cheapest key. AUTOINCREMENT never gives a number twice, as a sequence would not.
  serial: "INTEGER PRIMARY KEY AUTOINCREMENT",
  bigserial: "INTEGER PRIMARY KEY AUTOINCREMENT",
  enum: "TEXT",
};

const PGSQL_TYPES: Readonly<Record<PlainKind, string>> = {
  char: "character(1)",
  text: "text",
  bytes: "bytea",
  smallint: "smallint",
  int: "integer",
  bigint: "bigint",
  boolean: "boolean",
  timestamp: "timestamp",
  timestamptz: "timestamptz",
  json: "json",
  serial: "serial",
  bigserial: "bigserial",
};

const MYSQL_TYPES: Readonly<Record<PlainKind, string>> = {
  char: "character(1)",
  text: "text",
  bytes: "blob",
  smallint: "smallint",
  int: "int",
  bigint: "bigint",
  boolean: "boolean",
  timestamp: "timestamp",
  timestamptz: "timestamp",
  json: "json",
  serial: "int unsigned",
  bigserial: "bigint unsigned",
};

/**
 * The statements that create a table and its indexes. MySQL wants texts that refer to another table's compared as that one
 * does: `collations` has those of tables that are there.
 */
export function createTable(dialect: Dialect, table: Table, collations?: ReadonlyMap<string, string>): string[] {
  switch (dialect) {
    case "sqlite":
      return sqliteTable(table);
    case "pgsql":
      return pgsqlTable(table);
    case "mysql":
      return mysqlTable(table, collations);
  }
}

/**
 * The statements that add an index to a table that is there. MySQL has none of some rows only, and no IF NOT EXISTS: there
 * one that is in `there` is left alone.
 */
export function addIndex(dialect: Dialect, table: string, index: Index, there?: ReadonlySet<string>): string[] {
  if (dialect !== "mysql") return [createIndex(table, index)];
  return there?.has(index.name) ? [] : [`CREATE INDEX ${index.name} ON ${table} (${list(index.columns)})`];
}

/** The statement that creates an enum's type in PostgreSQL; other databases have none. */
export function createType(column: Column): string {
  return `CREATE TYPE ${column.type} AS ENUM (${values(column)})`;
}

/** The statement that adds a column to a table that is there; one that is not null needs a default. */
export function addColumn(dialect: Dialect, table: string, name: string, column: Column): string {
  return `ALTER TABLE ${table} ADD COLUMN ${COLUMN_OF[dialect](name, column)}`;
}

const COLUMN_OF: Readonly<Record<Dialect, (name: string, column: Column) => string>> = {
  sqlite(name, column) {
    const check = column.kind === "enum" ? ` CHECK (${name} IN (${values(column)}))` : "";
    return `${name} ${SQLITE_TYPES[column.kind]}${nullability(column)}${defaultOf("sqlite", column)}${check}`;
  },
  pgsql(name, column) {
    const type =
      column.kind === "varchar"
        ? sized(column)
        : column.kind === "enum"
          ? (column.type as string)
          : PGSQL_TYPES[column.kind];
    return `${name} ${type}${nullability(column)}${defaultOf("pgsql", column)}`;
  },
  mysql(name, column) {
    const usual =
      column.kind === "varchar"
        ? sized(column)
        : column.kind === "enum"
          ? `enum(${values(column)})`
          : MYSQL_TYPES[column.kind];
    const type = column.mysql ?? usual;
    const counter = isCounted(column) && type !== "serial" ? " auto_increment" : "";
    return `${name} ${type}${column.nullable ? " NULL" : " NOT NULL"}${counter}${defaultOf("mysql", column)}`;
  },
};

const columnLines = (dialect: Dialect, { columns }: Table): string[] =>
  Object.entries(columns).map(([name, column]) => COLUMN_OF[dialect](name, column));

function sqliteTable(declared: Table): string[] {
  const table: Table = { ...declared, ...declared.sqlite };
  const counted = Object.keys(table.columns).find((name) => isCounted(table.columns[name]));
  const lines = columnLines("sqlite", table);
  const key = table.primaryKey ?? [];
  // A table with a counted column has that as its key; the declared one becomes a unique index.
  if (key.length > 0 && !(key.length === 1 && key[0] === counted))
    lines.push(`${counted ? "UNIQUE" : "PRIMARY KEY"} (${list(key)})`);
  lines.push(...foreignKeys(table.foreignKeys));
  const indexes = (table.indexes ?? []).filter((index) => !isCovered(table, index) && !isRowid(index, counted));
  return [create(table.name, lines), ...indexes.map((index) => createIndex(table.name, index, index.sqliteWhere))];
}

function pgsqlTable(table: Table): string[] {
  const lines = columnLines("pgsql", table);
  if (table.primaryKey) lines.push(`PRIMARY KEY (${list(table.primaryKey)})`);
  const unnamed = (table.indexes ?? []).filter(({ name }) => name === "");
  for (const { columns } of unnamed) lines.push(`UNIQUE (${list(columns)})`);
  lines.push(...foreignKeys(table.foreignKeys));
  const named = (table.indexes ?? []).filter(({ name }) => name !== "");
  return [create(table.name, lines), ...named.map((index) => createIndex(table.name, index))];
}

function mysqlTable(table: Table, collations?: ReadonlyMap<string, string>): string[] {
  const keys = { ...table, ...table.mysql };
  const lines = columnLines("mysql", table);
  if (keys.primaryKey) lines.push(`PRIMARY KEY (${list(keys.primaryKey)})`);
  // MySQL has no CREATE INDEX IF NOT EXISTS: with the indexes inside, a table is there whole or not at all.
  for (const { name, columns, unique } of keys.indexes ?? [])
    lines.push(`${unique ? "UNIQUE " : ""}INDEX ${name}${name && " "}(${list(columns)})`);
  lines.push(...foreignKeys(keys.foreignKeys));
  const [given] = (keys.foreignKeys ?? []).flatMap((key) => collations?.get(key.table) ?? []);
  const comparison = given === undefined ? MYSQL_COLLATION : `CHARACTER SET ${given.split("_")[0]} COLLATE ${given}`;
  const options = table.mysqlOptions === undefined ? MYSQL_OPTIONS : `${MYSQL_OPTIONS} ${table.mysqlOptions}`;
  return [`${create(table.name, lines)} ${comparison} ${options}`];
}

const list = (columns: readonly string[]) => columns.join(", ");
const values = (column: Column) => (column.values ?? []).map(quote).join(", ");
const quote = (value: string) => `'${value.replaceAll("'", "''")}'`;
const sized = (column: Column) => (column.size === undefined ? "varchar" : `varchar(${column.size})`);
const isCounted = (column: Column) => column.kind === "serial" || column.kind === "bigserial";
const nullability = (column: Column) => (column.nullable ? "" : " NOT NULL");

function create(name: string, lines: readonly string[]): string {
  return `CREATE TABLE IF NOT EXISTS ${name} (\n  ${lines.join(",\n  ")}\n)`;
}

function createIndex(table: string, { name, columns, unique, where }: Index, only = where): string {
  const kind = unique ? "UNIQUE INDEX" : "INDEX";
  return `CREATE ${kind} IF NOT EXISTS ${name} ON ${table} (${list(columns)})${only ? ` WHERE ${only}` : ""}`;
}

function foreignKeys(keys: readonly ForeignKey[] = []): string[] {
  return keys.map(
    ({ columns, table, references, cascade }) =>
      `FOREIGN KEY (${list(columns)}) REFERENCES ${table} (${list(references)})${cascade ? " ON DELETE CASCADE" : ""}`,
  );
}

function defaultOf(dialect: Dialect, { default: value }: Column): string {
  if (value === undefined) return "";
  if (value === NOW) return ` DEFAULT ${dialect === "pgsql" ? "now()" : "CURRENT_TIMESTAMP"}`;
  if (typeof value === "string") return ` DEFAULT ${quote(value)}`;
  if (typeof value === "boolean" && dialect === "sqlite") return ` DEFAULT ${value ? 1 : 0}`;
  return ` DEFAULT ${String(value).toUpperCase()}`;
}

/** True when a longer index, or the primary key, begins with these columns: SQLite then uses that one. */
function isCovered(table: Table, index: Index): boolean {
  if (index.unique || index.where) return false;
  const others = [
    table.primaryKey ?? [],
    ...(table.indexes ?? []).filter((o) => !o.where && o !== index).map((o) => o.columns),
  ];
  return others.some(
    (columns) => columns.length > index.columns.length && index.columns.every((column, i) => columns[i] === column),
  );
}

/** True for the unique index of a counted column, which is the rowid itself. */
function isRowid(index: Index, counted: string | undefined): boolean {
  return index.unique === true && index.columns.length === 1 && index.columns[0] === counted;
}
