// The one interface that every store of the SQL family is written against.

import type { WireStats } from "./wire.ts";

/** A value that may be bound to a placeholder. A boolean becomes 1/0 where the database has no boolean. */
export type SqlValue = string | number | bigint | boolean | Uint8Array | null;

/** A statement whose parameters are written `?`, in every dialect. */
export interface Statement {
  sql: string;
  params?: readonly SqlValue[];
}

/** Told of rows that were deleted. */
export type Deleted = (rows: number) => void;

/** The databases whose SQL we write. CockroachDB is `pgsql`, MariaDB is `mysql`. */
export type Dialect = "sqlite" | "pgsql" | "mysql";

/**
 * A database that keeps MongooseIM's tables.
 *
 * Rows come back as objects keyed by column. Integers are numbers when safe and bigint otherwise, blobs are
 * `Uint8Array`, booleans are what the column's type gives (`true`/`false` in PostgreSQL, 1/0 in SQLite and MySQL):
 * read them with `asBoolean`. Requests of one caller that are issued without waiting run in the order of issue on
 * SQLite; on PostgreSQL only those of one `transaction` do. Every method rejects with a {@link StorageError}.
 */
export interface Db {
  readonly dialect: Dialect;
  /** Runs a statement that gives rows. */
  query<R extends object>(sql: string, params?: readonly SqlValue[]): Promise<R[]>;
  /**
   * As `query`, for a statement that may go through very many rows: SQLite runs it beside all others, which it would hold
   * up. It sees what was committed before.
   */
  scan<R extends object>(sql: string, params?: readonly SqlValue[]): Promise<R[]>;
  /** Runs a writing statement; resolves to the number of rows changed, after the durable commit. */
  execute(sql: string, params?: readonly SqlValue[]): Promise<number>;
  /** Runs all statements or none; resolves to the rows changed by each, after the durable commit. */
  transaction(statements: readonly Statement[]): Promise<number[]>;
  /** Inserts a row, or updates `values` of the row whose unique key is `keys`. */
  upsert(table: string, keys: Record<string, SqlValue>, values: Record<string, SqlValue>): Promise<void>;
  /** Inserts a row; resolves to false when a row with the same unique key exists. */
  insertNew(table: string, row: Record<string, SqlValue>): Promise<boolean>;
  /** Inserts rows, all or none; the way for archives. Each row holds a value for every one of `columns`, in order. */
  insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void>;
  /** What the engine has done and has before it. */
  stats(): DbStats;
  /** Finishes what was issued before, then releases the database. Later requests are refused as "unavailable". */
  close(): Promise<void>;
}

/** Figures for metrics. */
export interface DbStats {
  /** Requests issued and not yet answered. */
  queued: number;
  /** Batches (commits on SQLite, round trips on PostgreSQL) done since start. */
  batches: number;
  /** Rows read and changed since start. */
  rows: number;
  /** Duration of the last batch in milliseconds, as the database side saw it. */
  lastBatchMs: number;
  /** False while no server answers: requests are refused then. */
  up: boolean;
  /** What goes over its sockets, where there are any. */
  wire?: WireStats;
}

/** MongooseIM's names for a request: `execute` is of a prepared statement. */
export type DbCall = "query" | "execute";

/** Who is told how long requests to a database took, in microseconds. */
export interface DbCalls {
  report?: (call: DbCall, microseconds: number) => void;
}

/**
 * - `full`: no space left for the write
 * - `locked`: another process holds the database
 * - `corrupt`: the file is damaged or is no database
 * - `conflict`: a concurrent transaction won, retries included
 * - `constraint`: a unique, not-null, check or foreign key rule was broken
 * - `unavailable`: no database to talk to, closed, or the queue is full
 * - `timeout`: the statement took longer than allowed
 * - `syntax`: the statement is wrong for this schema
 */
export type StorageErrorCode =
  | "full"
  | "locked"
  | "corrupt"
  | "conflict"
  | "constraint"
  | "unavailable"
  | "timeout"
  | "syntax";

/** The one error that storage raises. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  /**
   * True when the request may have been done although it failed: it was on its way to be committed when the connection
   * was lost or the wait given up. A caller that would do it again must be able to tell whether it was done (by a key that
   * can be there once only), or bear that it is done twice. When false, nothing of it was done.
   */
  readonly maybeDone: boolean;
  constructor(
    readonly code: StorageErrorCode,
    message: string,
    options?: ErrorOptions & { maybeDone?: boolean },
  ) {
    super(message, options);
    this.maybeDone = options?.maybeDone ?? false;
  }
}

/** Whether an error says that there is no database to talk to. */
export const isAway = (error: unknown): boolean => error instanceof StorageError && error.code === "unavailable";

/** The refusal of one more request where so many wait already. */
export const queueIsFull = (waiting: number): StorageError =>
  new StorageError("unavailable", `Cannot use database: ${waiting} requests wait for it already`);

/** A time to compare a column with: one before 1970 may be more than the column holds, and nothing is of such a time. */
export const columnTime = (time: number): number => Math.max(0, time);

/** Reads a text that MySQL may hold as bytes: in a column with a binary character set, or in a blob. */
export function asText(value: string | Uint8Array): string {
  return typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
}

/** Reads a boolean column of any dialect. */
export function asBoolean(value: SqlValue | undefined): boolean {
  return value === true || value === 1 || value === 1n;
}

/** Reads a timestamp column (UTC) of any dialect; milliseconds since 1970. */
export function asTime(value: string): number {
  const text = value.replace(" ", "T").replace(/(T.*[+-]\d\d)$/, "$1:00");
  return Date.parse(/T.*(Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`);
}
