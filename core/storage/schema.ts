// Tables as data, portable between the databases: the words in which migrations declare them.

export type ColumnKind =
  | "varchar"
  | "char"
  | "text"
  | "bytes"
  | "smallint"
  | "int"
  | "bigint"
  | "boolean"
  | "timestamp"
  | "timestamptz"
  | "json"
  | "serial"
  | "bigserial"
  | "enum";

export interface ColumnOptions {
  /** Default: not null. */
  nullable?: boolean;
  /** `NOW` is the current time of the database. */
  default?: string | number | boolean | typeof NOW;
  /** The type in MySQL where it is not the usual one of this kind. */
  mysql?: string;
}

export interface Column extends ColumnOptions {
  kind: ColumnKind;
  /** Characters of a varchar; without it, any number. */
  size?: number;
  /** PostgreSQL's name of an enum's type. */
  type?: string;
  /** Values of an enum. */
  values?: readonly string[];
}

export interface Index {
  name: string;
  columns: readonly string[];
  unique?: boolean;
  /** Rows that the index holds; MySQL has no such indexes and holds all. */
  where?: string;
  /** The same for SQLite only, where a smaller index is worth more. */
  sqliteWhere?: string;
}

export interface ForeignKey {
  columns: readonly string[];
  table: string;
  references: readonly string[];
  cascade?: boolean;
}

interface Keys {
  primaryKey?: readonly string[];
  indexes?: readonly Index[];
  foreignKeys?: readonly ForeignKey[];
}

export interface Table extends Keys {
  name: string;
  columns: Readonly<Record<string, Column>>;
  /** Keys that MySQL has instead; `column(n)` takes the first n characters. */
  mysql?: Keys;
  /** Keys that SQLite has instead. */
  sqlite?: Keys;
  /** MySQL's table options beside {@link MYSQL_OPTIONS}. */
  mysqlOptions?: string;
}

export const NOW = Symbol("now");
/**
 * Texts are equal when their characters are, as in the other databases; MongooseIM leaves that to the server's default, for
 * which José is jose. The collation that also tells "a" from "a " has a name of its own in MariaDB and in MySQL 8; each
 * reads only its comment.
 */
export const MYSQL_COLLATION =
  "CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */";
/** InnoDB has transactions, and this row format the longest keys. */
export const MYSQL_OPTIONS = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC";

const of =
  (kind: ColumnKind) =>
  (options: ColumnOptions = {}): Column => ({ kind, ...options });

export const varchar = (size?: number, options: ColumnOptions = {}): Column => ({ kind: "varchar", size, ...options });
/** One character. */
export const char = of("char");
export const text = of("text");
export const bytes = of("bytes");
export const smallint = of("smallint");
export const int = of("int");
export const bigint = of("bigint");
export const boolean = of("boolean");
export const timestamp = of("timestamp");
export const timestamptz = of("timestamptz");
export const json = of("json");
/** An integer that the database counts up. */
export const serial = of("serial");
export const bigserial = of("bigserial");
export const oneOf = (type: string, values: readonly string[], options: ColumnOptions = {}): Column => ({
  kind: "enum",
  type,
  values,
  ...options,
});
