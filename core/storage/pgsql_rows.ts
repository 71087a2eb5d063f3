// Many rows in one INSERT for PostgreSQL: a column travels as one parameter. The statement's text does not depend on the
// number of rows, so that it is prepared once; with a parameter for each value it would be parsed anew each time, which
// costs both sides twice as much. Texts are joined by a character that none of them has: to split them is less work for
// PostgreSQL than to read an array's text, by a third of the whole of a row. Other values, and texts that have it, travel as an array.
import { isUtf8 } from "node:buffer";
import type { SqlValue, Statement } from "./db.ts";

/** Reads the columns of a table with the names of their types, and how the database writes text. */
export const COLUMN_TYPES = `SELECT attname AS name, format_type(atttypid, NULL) AS type,
  current_setting('server_encoding') AS encoding FROM pg_catalog.pg_attribute
  WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped`;

/** A row of {@link COLUMN_TYPES}. */
export interface ColumnType {
  readonly name: string;
  readonly type: string;
  readonly encoding: string;
}

/** Between the texts of a column, and for one that is NULL. No XML and no JID has such characters. */
const SEPARATOR = "\u0001";
const NULL = "\u0002";
/** PostgreSQL's texts have no NUL either. */
const NOT_JOINED = /[\u0000\u0001\u0002]/;
/** Columns that may travel joined: those that are, are bits of a number. */
const MOST_JOINED = 31;

/** Inserts rows into the same columns of a table. */
export class RowInsert {
  /** By the columns that are joined. */
  readonly #texts = new Map<number, string>();

  /** @param types of the columns, as `format_type` names them */
  private constructor(
    private readonly table: string,
    private readonly columns: readonly string[],
    private readonly types: readonly string[],
    private readonly utf8: boolean,
  ) {}

  /** Undefined when a column's type is not known. */
  static of(table: string, columns: readonly string[], known: readonly ColumnType[]): RowInsert | undefined {
    const types = columns.map((column) => known.find(({ name }) => name === column)?.type);
    if (!types.every((type) => type !== undefined)) return undefined;
    return new RowInsert(table, columns, types, known[0]?.encoding === "UTF8");
  }

  statement(rows: readonly (readonly SqlValue[])[]): Statement {
    // The empty text, which one value may be, is split into none.
    const several = rows.length > 1;
    let joined = 0;
    const params = this.types.map((type, column) => {
      const text = several && this.#joins(type, column) ? joinedText(rows, column) : undefined;
      if (text === undefined) return arrayText(rows, column, type);
      joined |= 1 << column;
      return text;
    });
    return { sql: this.#text(joined), params };
  }

  #joins(type: string, column: number): boolean {
    if (column >= MOST_JOINED) return false;
    // Bytes are made of a text, which is theirs only where the database keeps it as it came.
    return type === "text" || type === "character varying" || (type === "bytea" && this.utf8);
  }

  #text(joined: number): string {
    const known = this.#texts.get(joined);
    if (known !== undefined) return known;
    const values = this.types.map((type, column) => {
      if ((joined & (1 << column)) === 0) return `unnest(?::${type}[])`;
      const texts = "unnest(string_to_array(?, E'\\x01', E'\\x02'))";
      return type === "bytea" ? `convert_to(${texts}, 'UTF8')` : texts;
    });
    const text = `INSERT INTO ${this.table} (${this.columns.join(", ")}) SELECT ${values.join(", ")}`;
    this.#texts.set(joined, text);
    return text;
  }
}

/** The values of a column one after the other; undefined where one of them cannot stand there. */
function joinedText(rows: readonly (readonly SqlValue[])[], column: number): string | undefined {
  let joined = "";
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i][column];
    const text = value instanceof Uint8Array ? textOf(value) : value;
    if (i > 0) joined += SEPARATOR;
    if (text === null) joined += NULL;
    else if (typeof text !== "string" || NOT_JOINED.test(text)) return undefined;
    else joined += text;
  }
  return joined;
}

/** The text of bytes that are one. */
const textOf = (bytes: Uint8Array): string | undefined =>
  isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8") : undefined;

/** The values of a column as an array's text, of a type that `types` names. */
function arrayText(rows: readonly (readonly SqlValue[])[], column: number, type: string): string {
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
