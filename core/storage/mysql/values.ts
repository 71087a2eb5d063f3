// Values on their way to MySQL and back.
import mysql, { type Field, type Header, type Row } from "mysql2";
import type { SqlValue } from "../db.ts";

/** What a statement gave. */
export interface Answer {
  rows: Row[];
  changes: number;
}

const MAX_SIGNED = 2n ** 63n - 1n;
const BINARY = 63;

/** Integers travel as integers (the client would make floating point of them); bytes are copied, for they may wait. */
export function toParameter(value: SqlValue): unknown {
  switch (typeof value) {
    case "boolean":
      return mysql.TypedParameter.TINY(value ? 1 : 0);
    case "bigint":
      return value > MAX_SIGNED ? mysql.TypedParameter.LONGLONG.unsigned(value) : mysql.TypedParameter.LONGLONG(value);
    case "number":
      return Number.isSafeInteger(value) ? mysql.TypedParameter.LONGLONG(value) : value;
    case "string":
      return value;
    default:
      return value === null ? null : Buffer.from(value);
  }
}

/** Makes an answer of what the client gives; rows are converted in place. */
export function toAnswer(sql: string, result: readonly Row[] | Header, fields: readonly Field[] = []): Answer {
  if (!isRows(result)) return { rows: [], changes: changesOf(sql, result) };
  const rows = [...result];
  for (const { name, columnType, characterSet } of fields) {
    const convert = converterOf(columnType, characterSet === BINARY);
    if (convert === undefined) continue;
    for (const row of rows) if (row[name] !== null) row[name] = convert(row[name]);
  }
  return { rows, changes: rows.length };
}

const isRows = (result: readonly Row[] | Header): result is readonly Row[] => Array.isArray(result);

function converterOf(type: number, binary: boolean): ((value: unknown) => SqlValue) | undefined {
  const { LONGLONG, DECIMAL, NEWDECIMAL, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING, VARCHAR } =
    mysql.Types;
  switch (type) {
    // Text when it is larger than a safe integer.
    case LONGLONG:
      return (value) => (typeof value === "string" ? BigInt(value) : (value as number));
    // Sums of integers, among others.
    case DECIMAL:
    case NEWDECIMAL:
      return (value) => toNumber(String(value));
    case TINY_BLOB:
    case BLOB:
    case MEDIUM_BLOB:
    case LONG_BLOB:
      // A slice of what came from the network, which it would keep.
      return binary ? (value) => new Uint8Array(value as Uint8Array) : undefined;
    // MongooseIM's columns of JIDs that are compared byte by byte.
    case VAR_STRING:
    case STRING:
    case VARCHAR:
      return binary
        ? (value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : String(value))
        : undefined;
    default:
      return undefined;
  }
}

function toNumber(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) || !/^-?\d+$/.test(text) ? number : BigInt(text);
}

/**
 * Rows changed in the sense of the SQL standard. MySQL counts only the rows of an UPDATE that were not so already, but
 * tells the number of those found in its message (the flag that would make it count those also makes it count the row
 * that an INSERT … ON DUPLICATE KEY UPDATE left as it was); and the row that such an INSERT updated as two.
 */
function changesOf(sql: string, { affectedRows, info }: Header): number {
  if (/^\s*update\b/i.test(sql)) return Number(/\d+/.exec(info)?.[0] ?? affectedRows);
  if (info === "" && /^\s*insert\b/i.test(sql)) return Math.min(affectedRows, 1);
  return affectedRows;
}
