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

/** In hexadecimal, or as a database's `bytea_output = escape` has it: octal behind a backslash, which is doubled itself. */
function toBytes(text: string): Uint8Array {
  if (text.startsWith("\\x")) return new Uint8Array(Buffer.from(text.slice(2), "hex"));
  const plain = text.replace(/\\(\\|[0-3][0-7]{2})/g, (_, code: string) =>
    code === "\\" ? code : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return new Uint8Array(Buffer.from(plain, "latin1"));
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
    parse: toBytes,
  },
  json: { to: 114, from: [114, 3802], serialize: asText, parse: asText },
  time: { to: 1114, from: [1082, 1114, 1184], serialize: asText, parse: asText },
};
