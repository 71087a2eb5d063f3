// Turns one log line into text: logfmt (`when=... level=... what=... key=value`) or one JSON object.
import type { LineLevel } from "./level.ts";

/** Named values of a line. Anything may come in: a value that cannot be shown is shown as the reason why. */
export type Fields = Readonly<Record<string, unknown>>;

/** One line before it is text; `at` in milliseconds since 1970, `fields` from the outermost log to the line itself. */
export interface Line {
  readonly at: number;
  readonly level: LineLevel;
  readonly what: string;
  readonly fields: readonly Fields[];
}

/** Makes the text of a line, without the line end. */
export type Format = (line: Line) => string;

type Simple = string | number | boolean | null;
type Put = (key: string, value: Simple) => void;

const BARE = /^[^\s"=\\\p{C}]+$/u;
// Beyond what JSON escapes: C1 controls, direction overrides and odd line ends could rewrite a terminal's line.
const UNSHOWN = /[\u007f-\u009f\u2028\u2029\p{Cf}]/gu;
const KEY = /^[A-Za-z0-9_.-]+$/;
const RESERVED = new Set(["when", "level", "what"]);

/** `when=2026-11-22T02:18:00.000Z level=warning what=tls_failed domain=localhost`. */
export const logfmt: Format = (line) => {
  let text = `when=${when(line.at)} level=${line.level} what=${logfmtValue(line.what)}`;
  collect(line.fields, (key, value) => {
    text += ` ${key}=${typeof value === "string" ? logfmtValue(value) : value}`;
  });
  return text;
};

/** The same line as one JSON object. */
export const json: Format = (line) => {
  let text = `{"when":"${when(line.at)}","level":"${line.level}","what":${quote(line.what)}`;
  collect(line.fields, (key, value) => {
    text += `,"${key}":${typeof value === "string" ? quote(value) : value}`;
  });
  return `${text}}`;
};

function when(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "unknown" : date.toISOString();
}

function logfmtValue(text: string): string {
  return BARE.test(text) ? text : quote(text);
}

function quote(text: string): string {
  return JSON.stringify(text).replace(UNSHOWN, escapeCharacter);
}

function escapeCharacter(character: string): string {
  let escaped = "";
  for (let i = 0; i < character.length; i++) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
  }
  return escaped;
}

/** Puts the fields in order; a key given again by an inner log or the line wins. */
function collect(layers: readonly Fields[], put: Put): void {
  putAll(layers.length === 1 ? layers[0]! : (Object.assign({}, ...layers) as Fields), put);
}

function putAll(fields: Fields, put: Put): void {
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (value === undefined) continue;
    const name = keyOf(key);
    if (value instanceof Error) {
      put(name, messageOf(value));
      if (value.stack !== undefined) put(name === "reason" ? "stacktrace" : `${name}_stacktrace`, value.stack);
    } else {
      put(name, simple(value));
    }
  }
}

function keyOf(key: string): string {
  const name = KEY.test(key) ? key : key.replace(/[^A-Za-z0-9_.-]/g, "_") || "_";
  return RESERVED.has(name) ? `${name}_` : name;
}

function messageOf(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.name}: ${error.message}${cause}`;
}

function simple(value: unknown): Simple {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "object":
      return value === null ? null : objectText(value);
    default:
      return String(value);
  }
}

function objectText(value: object): string {
  try {
    if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("hex");
    if (value instanceof Date) return when(value.getTime());
    // JIDs and their like say themselves how they are written.
    const own = (value as { toString: unknown }).toString;
    if (typeof own === "function" && own !== Object.prototype.toString && !Array.isArray(value)) return String(value);
    return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
  } catch (error) {
    return `(not shown: ${error instanceof Error ? error.message : "it throws"})`;
  }
}
