// What differs between the databases in the statements of stores. (What differs in CREATE TABLE is in ddl.ts.)
import { type Dialect, type SqlValue, StorageError } from "./db.ts";

export interface SqlDialect {
  readonly name: Dialect;
  /** The current time as a value of a timestamp column. */
  readonly now: string;
  /** The time that is `?` seconds from now, as a value of a timestamp column. */
  readonly secondsFromNow: string;
  /** The current time of the database in Unix seconds. */
  readonly unixSeconds: string;
  /** Inserts `keys` and `values`, or updates `values`; parameters in that order. */
  upsert(table: string, keys: readonly string[], values: readonly string[]): string;
  /** Inserts a row unless a unique key exists; the rows changed say which. */
  insertNew(table: string, columns: readonly string[]): string;
  /**
   * Goes behind the VALUES of an INSERT, before a list of assignments that are made where the key exists. `table.column`
   * is the old value; in MySQL of a column that is assigned further to the left it is the new one.
   */
  onConflict(keys: readonly string[]): string;
  /** In those assignments: what would have been inserted. */
  incoming(column: string): string;
}

/**
 * Goes behind `column = ?` where another one's row must not be taken for it, and wants the value once more in MySQL: a
 * table that MongooseIM made there takes José for jose.
 */
export const exactly = (dialect: Dialect, column: string): string =>
  dialect === "mysql" ? ` AND ${asWritten(column)} = ?` : "";

/** What such a condition has for its placeholders. */
export const exactValues = (dialect: Dialect, value: string): string[] =>
  dialect === "mysql" ? [value, value] : [value];

/** A text of MySQL as it compares with others character by character. */
export const asWritten = (column: string): string => `CONVERT(${column} USING utf8mb4) COLLATE utf8mb4_bin`;

/** `INSERT INTO t (a, b) VALUES (?, ?), …` for a number of rows. */
export function insert(table: string, columns: readonly string[], rows = 1): string {
  const row = `(${columns.map(() => "?").join(", ")})`;
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${Array(rows).fill(row).join(", ")}`;
}

/** The error for rows of which one does not have a value for each column; undefined when all do. */
export function wrongWidth(
  table: string,
  columns: readonly string[],
  rows: readonly (readonly SqlValue[])[],
): StorageError | undefined {
  if (rows.every((row) => row.length === columns.length)) return undefined;
  return new StorageError(
    "syntax",
    `a row for ${table} does not have ${columns.length} values (${columns.join(", ")})`,
  );
}

/** The part of a statement that takes `?` count and then `?` offset, alike in all dialects. */
export const LIMIT_OFFSET = "LIMIT ? OFFSET ?";

/** Escapes the wildcards of a LIKE pattern; write `LIKE ? ESCAPE '$'`, as MongooseIM does. */
export function escapeLike(text: string): string {
  return text.replace(/[%_$]/g, "$$$&");
}

function onConflict(table: string, keys: readonly string[], values: readonly string[]): string {
  const action = values.length === 0 ? "NOTHING" : `UPDATE SET ${values.map((v) => `${v} = excluded.${v}`).join(", ")}`;
  return `${insert(table, [...keys, ...values])} ON CONFLICT (${keys.join(", ")}) DO ${action}`;
}

const insertOrNothing = (table: string, columns: readonly string[]) =>
  `${insert(table, columns)} ON CONFLICT DO NOTHING`;

const conflictOn = (keys: readonly string[]) => `ON CONFLICT (${keys.join(", ")}) DO UPDATE SET`;
const excluded = (column: string) => `excluded.${column}`;

/** `VALUES(column)` and not a row alias: MariaDB has no alias. Setting a column to itself changes no row. */
function onDuplicateKey(table: string, keys: readonly string[], values: readonly string[]): string {
  const set = values.length === 0 ? [`${keys[0]} = ${keys[0]}`] : values.map((v) => `${v} = VALUES(${v})`);
  return `${insert(table, [...keys, ...values])} ON DUPLICATE KEY UPDATE ${set.join(", ")}`;
}

export const DIALECTS: Readonly<Record<Dialect, SqlDialect>> = {
  sqlite: {
    name: "sqlite",
    now: "CURRENT_TIMESTAMP",
    secondsFromNow: "datetime('now', '+' || CAST(? AS INTEGER) || ' seconds')",
    unixSeconds: "unixepoch()",
    upsert: onConflict,
    insertNew: insertOrNothing,
    onConflict: conflictOn,
    incoming: excluded,
  },
  pgsql: {
    name: "pgsql",
    now: "now()",
    secondsFromNow: "now() + CAST(? AS integer) * interval '1 second'",
    unixSeconds: "extract(epoch from now())::bigint",
    upsert: onConflict,
    insertNew: insertOrNothing,
    onConflict: conflictOn,
    incoming: excluded,
  },
  mysql: {
    name: "mysql",
    now: "CURRENT_TIMESTAMP",
    secondsFromNow: "DATE_ADD(CURRENT_TIMESTAMP, INTERVAL ? SECOND)",
    unixSeconds: "UNIX_TIMESTAMP()",
    upsert: onDuplicateKey,
    insertNew: (table, columns) => onDuplicateKey(table, columns, []),
    onConflict: () => "ON DUPLICATE KEY UPDATE",
    incoming: (column) => `VALUES(${column})`,
  },
};

/** The statements that a `Db` builds from table and column names, each built once. */
export class Statements {
  readonly #dialect: SqlDialect;
  readonly #built = new Map<string, string>();

  constructor(dialect: SqlDialect) {
    this.#dialect = dialect;
  }

  upsert(table: string, keys: readonly string[], values: readonly string[]): string {
    return this.#once(`u ${table} ${keys} ${values}`, () => this.#dialect.upsert(table, keys, values));
  }

  insertNew(table: string, columns: readonly string[]): string {
    return this.#once(`n ${table} ${columns}`, () => this.#dialect.insertNew(table, columns));
  }

  insert(table: string, columns: readonly string[]): string {
    return this.#once(`i ${table} ${columns}`, () => insert(table, columns));
  }

  #once(key: string, build: () => string): string {
    let text = this.#built.get(key);
    if (text === undefined) {
      text = build();
      this.#built.set(key, text);
    }
    return text;
  }
}
