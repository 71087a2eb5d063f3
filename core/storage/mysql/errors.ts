// Names what MySQL, MariaDB and their client report in the words of StorageError.
import { StorageError, type StorageErrorCode } from "../db.ts";

/** By the server's error number (MySQL 8.4 and MariaDB error references). */
const BY_NUMBER: ReadonlyMap<number, StorageErrorCode> = new Map(
  Object.entries({
    // Deadlock, lock wait time-out, row changed since the snapshot, statement to be prepared again, or not known.
    conflict: [1213, 1205, 1020, 1615, 1243],
    // max_statement_time (MariaDB), max_execution_time (MySQL).
    timeout: [1969, 3024],
    // Disk full, table full.
    full: [1021, 1114],
    corrupt: [1034, 1035, 1194, 1195, 1712],
    // Enum value, check rules of MariaDB and of MySQL, wrong text, column without value, too large a packet.
    constraint: [1265, 4025, 3819, 1366, 1364, 1153],
    unavailable: [
      // Connections, users and limits: too many, blocked host, not allowed, killed, no database, prepared statements.
      ...[1040, 1129, 1130, 1203, 1226, 1044, 1045, 1698, 1049, 1927, 1317, 1461, 1041, 1037],
      // Shutting down, read-only, broken network.
      ...[1053, 1077, 1079, 1290, 1792, 1836, 1080, 1152, 1158, 1159, 1160, 1161, 1184],
    ],
  } satisfies Partial<Record<StorageErrorCode, number[]>>).flatMap(([code, numbers]) =>
    numbers.map((number): [number, StorageErrorCode] => [number, code as StorageErrorCode]),
  ),
);

/** By SQLSTATE, where the number is not listed. */
const BY_STATE: readonly [prefix: string, code: StorageErrorCode][] = [
  ["40", "conflict"],
  ["23", "constraint"],
  ["22", "constraint"],
  ["08", "unavailable"],
  ["28", "unavailable"],
];

/** Refused by --read-only (a replica), in read-only mode, in a read-only transaction. */
const READ_ONLY: ReadonlySet<unknown> = new Set([1290, 1836, 1792]);

/** Whether a server refused to write: it is a replica now, or was made read-only. */
export const isReadOnly = (cause: unknown): boolean =>
  cause instanceof Error && "errno" in cause && READ_ONLY.has(cause.errno);

export function toStorageError(cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const error = cause instanceof Error ? cause : new Error(String(cause));
  return new StorageError(nameOf(error), wordsOf(error), { cause });
}

function wordsOf(error: Error): string {
  if (codeOf(error) !== "AUTH_SWITCH_PLUGIN_ERROR") return error.message || codeOf(error);
  const plugin = /plugin (\w+)/.exec(error.message)?.[1] ?? "unknown";
  return `the user's way to log in, ${plugin}, is not one of caching_sha2_password, sha256_password, mysql_native_password`;
}

const codeOf = (error: Error): string => ("code" in error && typeof error.code === "string" ? error.code : "");

function nameOf(error: Error): StorageErrorCode {
  const state = "sqlState" in error && typeof error.sqlState === "string" ? error.sqlState : "";
  // Without a state it is the client's or the operating system's.
  if (state === "") return "fatal" in error || codeOf(error) !== "" ? "unavailable" : "syntax";
  const number = "errno" in error && typeof error.errno === "number" ? error.errno : 0;
  // Whatever the engine failed at for lack of space.
  if (number === 1030 || number === 1026 || number === 3)
    return /No space left|error 28\b/.test(error.message) ? "full" : "unavailable";
  return BY_NUMBER.get(number) ?? BY_STATE.find(([prefix]) => state.startsWith(prefix))?.[1] ?? "syntax";
}
