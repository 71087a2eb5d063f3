// Many rows in one INSERT for PostgreSQL: a column travels as one array. The statement's text does not depend on the
// number of rows, so that it is prepared once; with a parameter for each value it would be parsed anew each time, which
// costs both sides twice as much.
import type { SqlValue } from "./db.ts";

/** Reads the columns of a table with the names of their types. */
export const COLUMN_TYPES = `SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_catalog.pg_attribute
  WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped`;

/** The statement and how the values of each column are written. */
export interface RowInsert {
  readonly sql: string;
  readonly types: readonly string[];
}

/** Undefined when a column's type is not known. */
export function rowInsert(
  table: string,
  columns: readonly string[],
  typeOf: ReadonlyMap<string, string>,
): RowInsert | undefined {
  const types = columns.map((column) => typeOf.get(column));
  if (!types.every((type) => type !== undefined)) return undefined;
  const arrays = types.map((type) => `?::${type}[]`).join(", ");
  return { sql: `INSERT INTO ${table} (${columns.join(", ")}) SELECT * FROM unnest(${arrays})`, types };
}

/** The values of a column as an array's text, of a type that `types` names. */
export function arrayText(rows: readonly (readonly SqlValue[])[], column: number, type: string): string {
  let text = "{";
  for (let i = 0; i < rows.length; i++) {
    if (i > 0) text += ",";
    text += element(rows[i][column], type);
  }
  return `${text}}`;
}

function element(value: SqlValue, type: string): string {
  switch (typeof value) {
    case "string":
      // Text for bytes: what is no backslash stands for itself.
      return quoted(type === "bytea" ? value.replaceAll("\\", "\\\\") : value);
    case "boolean":
      return type === "boolean" ? (value ? "t" : "f") : value ? "1" : "0";
    case "number":
      return type === "boolean" ? (value === 0 ? "f" : "t") : String(value);
    case "bigint":
      return value.toString();
    default:
      return value === null
        ? "NULL"
        : `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}"`;
  }
}

/** Characters that have a meaning between the quotes. */
const SPECIAL = /["\\]/;

const quoted = (text: string): string => `"${SPECIAL.test(text) ? text.replace(/["\\]/g, "\\$&") : text}"`;
