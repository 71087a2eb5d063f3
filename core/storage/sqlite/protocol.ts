// What travels between the main thread and the SQLite worker: one flat array each way, because structured clone
// copies an array of plain values faster than anything that nests.
//
// Request: [reset, end, operation…, text…]: operations up to `end`, then texts that extend the list which statement
//          numbers refer to; `reset` 1 empties that list first.
// Reply:   [milliseconds, rows, result…], a result for each operation in order.
import type { SqlValue, StorageErrorCode } from "../db.ts";

export type Wire = SqlValue[];

/** Operations of a request; `s` is a statement number. */
export const QUERY = 0; // s, n, n × value                       -> ROWS
export const RUN = 1; // s, n, n × value                         -> CHANGES
export const RUN_MANY = 2; // s, columns, rows, columns × rows × value -> CHANGES
export const TRANSACTION = 3; // n, n × (s, m, m × value)         -> LIST

/** Results of a reply. */
export const CHANGES = 0; // changes
export const ROWS = 1; // columns, rows, columns × name, columns × rows × value
export const LIST = 2; // n, n × changes
export const FAILED = 3; // code, message
export const UNSURE = 4; // code, message; it may be done

/** How the worker opens its file. */
export interface SqliteSettings {
  /** Path of the database, or ":memory:". */
  file: string;
  /** "full" survives a power cut; "normal" may lose the last commits then, but never a kill. */
  synchronous: "full" | "normal";
  /** Page cache in KiB. */
  cacheKib: number;
  /** How long to wait for a lock of another process (a backup, a shell), in milliseconds. */
  busyTimeoutMs: number;
  /** Largest size of the file in bytes; 0 is without limit. */
  maxBytes: number;
  /** Beside the one that writes, in the same process: takes no lock, changes nothing. */
  reads?: boolean;
}

/** First message to the worker: the settings. First answer: nothing, or why it could not open. */
export type OpenReply = { ok: true } | { ok: false; code: StorageErrorCode; message: string };
