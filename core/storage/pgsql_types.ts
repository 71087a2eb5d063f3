// How values travel between our code and PostgreSQL.
import { type SqlValue, StorageError } from "./db.ts";

/** Values of one statement: the wire protocol counts them in 16 bits. */
export const MAX_PARAMETERS = 65_000;

/**
 * The values of a statement, sent without a type, so that the server takes that of the column; bytes are copied, for they
 * may wait. Throws a {@link StorageError} over what cannot be sent: the library would put another request in its place.
 */
export function toParameters(values: readonly SqlValue[]): (string | number | Uint8Array | null)[] {
  if (values.length > MAX_PARAMETERS)
    throw new StorageError("syntax", `${values.length} values are more than a statement may have`);
  return values.map(toParameter);
}

function toParameter(value: SqlValue | undefined): string | number | Uint8Array | null {
  if (value === undefined) throw new StorageError("syntax", "a value of a statement is undefined");
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
    // Of anything: what it throws, the library would tell another request.
    serialize: (value: unknown) =>
      `\\x${Buffer.from(value instanceof Uint8Array ? value : String(value)).toString("hex")}`,
    parse: toBytes,
  },
  json: { to: 114, from: [114, 3802], serialize: asText, parse: asText },
  time: { to: 1114, from: [1082, 1114, 1184], serialize: asText, parse: asText },
};
