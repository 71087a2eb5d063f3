// Names what PostgreSQL and its client report in the words of StorageError.
import { StorageError, type StorageErrorCode } from "./db.ts";

/** By SQLSTATE, the first prefix that fits (PostgreSQL manual, appendix A). */
const BY_STATE: readonly [prefix: string, code: StorageErrorCode][] = [
  ["57014", "timeout"],
  ["53100", "full"],
  ["55P03", "locked"],
  // "Statement completion unknown": it may have been committed, so it is not run again as a conflict is.
  ["40003", "unavailable"],
  ["40", "conflict"],
  // No such prepared statement, in the words of a pooler: the library knows those of PostgreSQL.
  ["26000", "conflict"],
  ["23", "constraint"],
  ["22", "constraint"],
  // A value longer than an index can hold.
  ["54", "constraint"],
  ["25P03", "timeout"],
  ["25006", "unavailable"],
  ["57", "unavailable"],
  ["53", "unavailable"],
  // Protocol violation: fewer or more parameters than the statement has; not as the last word.
  ["08P01", "syntax"],
  ["08", "unavailable"],
  ["28", "unavailable"],
  ["3D", "unavailable"],
  ["XX001", "corrupt"],
  ["XX002", "corrupt"],
  ["58", "unavailable"],
];

/** Codes that the client library and the operating system give, not the server. */
const CLIENT_CODES = /^(CONNECT|CONNECTION_|E[A-Z]+$|ERR_|SASL_)/;
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Whether an error means that the connection is gone: the client's own, or the server's that it ends the session. */
export function isConnectionError(cause: unknown): boolean {
  if (cause instanceof StorageError) return cause.code === "unavailable";
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return code === "" || CLIENT_CODES.test(code) || isLast(cause) || /^(57P|08(?!P01)|25P03)/.test(code);
}

/**
 * Whether it is the server's last word on a connection. With the state of a wrong protocol PgBouncer says so of whatever it
 * has met: that it lost the server while something was being done there, or that none is free.
 */
function isLast(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  // Of PgBouncer only the second.
  const { severity, severity_local: local } = cause as { severity?: unknown; severity_local?: unknown };
  return /^(FATAL|PANIC)$/.test(String(severity ?? local));
}

/** Whether a server refused to write: it is a standby now, or was made read-only. */
export const isReadOnly = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "25006";

export function toStorageError(cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
  const name = nameOf(code);
  // What the server ends the connection over is about that, whatever else it is.
  const known = name === "syntax" || name === "constraint" ? isLast(cause) : false;
  return new StorageError(known ? "unavailable" : name, (message || code) + adviceOn(message), { cause });
}

/** PgBouncer refuses a setting that it does not know, and may be told to leave it out: queries are given up by us then. */
function adviceOn(message: string): string {
  const [, setting] = /^unsupported startup parameter: (\w+)$/.exec(message) ?? [];
  return setting === undefined ? "" : ` (for PgBouncer: ignore_startup_parameters = ${setting})`;
}

function nameOf(code: string): StorageErrorCode {
  // EPIPE and the like have five letters too, but no SQLSTATE starts with E.
  if (CLIENT_CODES.test(code)) return "unavailable";
  if (SQLSTATE.test(code)) return BY_STATE.find(([prefix]) => code.startsWith(prefix))?.[1] ?? "syntax";
  return "syntax";
}
