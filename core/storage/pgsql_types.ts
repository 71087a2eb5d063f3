// How values travel between our code and PostgreSQL.
import type { SqlValue } from "./db.ts";

/** Sent without a type, so that the server takes that of the column; bytes are copied, for they may wait. */
export function toParameter(value: SqlValue): string | number | Uint8Array | null {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? new Uint8Array(value) : value;
}

const asText = (value: unknown): string => String(value);
const isTrue = (value: unknown): boolean => value === true || value === 1 || /^(1|t|true)$/.test(String(value));

function toInteger(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** PostgreSQL's type numbers (pg_type.oid) and how their values travel. */
export const TYPES = {
  bigint: { to: 20, from: [20], serialize: asText, parse: toInteger },
  numeric: {
    to: 1700,
    from: [1700],
    serialize: asText,
    parse: (text: string) => (/^-?\d+$/.test(text) ? toInteger(text) : Number(text)),
  },
  boolean: {
    to: 16,
    from: [16],
    serialize: (value: unknown) => (isTrue(value) ? "t" : "f"),
    parse: (text: string) => text === "t",
  },
  bytea: {
    to: 17,
    from: [17],
    serialize: (value: string | Uint8Array) => `\\x${Buffer.from(value as Uint8Array).toString("hex")}`,
    parse: (text: string) => new Uint8Array(Buffer.from(text.slice(2), "hex")),
  },
  json: { to: 114, from: [114, 3802], serialize: asText, parse: asText },
  time: { to: 1114, from: [1082, 1114, 1184], serialize: asText, parse: asText },
};
