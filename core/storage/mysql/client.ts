// The MySQL and MariaDB store, through the mysql2 package: bounded queue, deadlines, retries.
import type { Db, DbStats, SqlValue, Statement } from "../db.ts";
import { StorageError } from "../db.ts";
import { DIALECTS, insert, Statements } from "../dialect.ts";
import { isFrequent, type MysqlOptions } from "./connection.ts";
import { toStorageError } from "./errors.ts";
import { MysqlPool } from "./pool.ts";
import { type Answer, toParameter } from "./values.ts";

export type { MysqlOptions } from "./connection.ts";

/** Attempts at a transaction that loses to concurrent ones. */
const ATTEMPTS = 5;
/** Rows of one INSERT: few texts are few prepared statements. */
const MAX_ROWS = 128;
/** Bytes of one INSERT, far below what a server takes as one packet (max_allowed_packet, at least 16 MB by default). */
const MAX_BYTES = 1_000_000;

/** Opens a pool and proves that a server answers. Rejects with a {@link StorageError}, "unavailable" in most cases. */
export async function openMysql(options: MysqlOptions): Promise<Db> {
  const db = new MysqlDb(options);
  try {
    await db.query("SELECT 1");
    return db;
  } catch (cause) {
    await db.close();
    const { code, message } = toStorageError(cause);
    const server = `${options.host}:${options.port ?? 3306}`;
    throw new StorageError(code, `Cannot reach MySQL at "${server}": ${message}`, { cause });
  }
}

class MysqlDb implements Db {
  readonly dialect = "mysql";
  readonly #pool: MysqlPool;
  readonly #maxQueued: number;
  readonly #statements = new Statements(DIALECTS.mysql);
  readonly #stats: DbStats = { queued: 0, batches: 0, rows: 0, lastBatchMs: 0, up: true };
  #weight = 0;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: MysqlOptions) {
    this.#pool = new MysqlPool(options);
    this.#maxQueued = options.maxQueued ?? 100_000;
  }

  async query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return (await this.#send(sql, params)).rows as R[];
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return (await this.#send(sql, params)).changes;
  }

  async upsert(table: string, keys: Record<string, SqlValue>, values: Record<string, SqlValue>): Promise<void> {
    const sql = this.#statements.upsert(table, Object.keys(keys), Object.keys(values));
    await this.#send(sql, [...Object.values(keys), ...Object.values(values)]);
  }

  async insertNew(table: string, row: Record<string, SqlValue>): Promise<boolean> {
    const sql = this.#statements.insertNew(table, Object.keys(row));
    return (await this.#send(sql, Object.values(row))).changes > 0;
  }

  async insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    if (rows.some((row) => row.length !== columns.length))
      throw new StorageError(
        "syntax",
        `a row for ${table} does not have ${columns.length} values (${columns.join(", ")})`,
      );
    const statements: Statement[] = parts(rows).map((part) => ({
      sql: insert(table, columns, part.length),
      params: part.flat(),
    }));
    if (statements.length === 1) await this.#send(statements[0].sql, statements[0].params ?? [], rows.length);
    else if (statements.length > 1) await this.#begin(statements, rows.length);
  }

  async transaction(statements: readonly Statement[]): Promise<number[]> {
    return statements.length === 0 ? [] : this.#begin(statements, statements.length);
  }

  stats(): DbStats {
    return { ...this.#stats };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    // Each of them has a deadline.
    if (this.#stats.queued > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    this.#pool.close();
  }

  #send(sql: string, params: readonly SqlValue[], weight = 1): Promise<Answer> {
    const ready = { sql, values: params.map(toParameter) };
    return this.#retrying(weight, () => this.#pool.run((connection) => connection.run(ready), !isFrequent(sql)));
  }

  async #begin(statements: readonly Statement[], weight: number): Promise<number[]> {
    const ready = statements.map(({ sql, params = [] }) => ({ sql, values: params.map(toParameter) }));
    const patient = !statements.every(({ sql }) => isFrequent(sql));
    const answers = await this.#retrying(weight, () =>
      this.#pool.run((connection) => connection.transaction(ready), patient),
    );
    return answers.map(({ changes }) => changes);
  }

  async #retrying<T extends Answer | readonly Answer[]>(weight: number, run: () => Promise<T>): Promise<T> {
    if (this.#closing) throw new StorageError("unavailable", "Cannot use database: the database is closed");
    if (this.#weight + weight > this.#maxQueued && this.#weight > 0)
      throw new StorageError("unavailable", `Cannot use database: ${this.#weight} requests wait for it already`);
    this.#weight += weight;
    this.#stats.queued++;
    const begin = performance.now();
    try {
      for (let attempt = 1; ; attempt++) {
        const outcome = await this.#once(run);
        if (!(outcome instanceof StorageError)) return outcome;
        // A lock may have been waited for as long as a request may last.
        const late = performance.now() - begin > this.#pool.patienceMs;
        if (outcome.code !== "conflict" || attempt === ATTEMPTS || late) throw outcome;
        await Bun.sleep(5 * 2 ** attempt * (1 + Math.random()));
      }
    } finally {
      this.#weight -= weight;
      this.#stats.queued--;
      if (this.#stats.queued === 0) this.#idle?.();
    }
  }

  async #once<T extends Answer | readonly Answer[]>(run: () => Promise<T>): Promise<T | StorageError> {
    const begin = performance.now();
    const outcome = await run().catch((cause: unknown) => toStorageError(cause));
    this.#stats.batches++;
    this.#stats.lastBatchMs = performance.now() - begin;
    if (!(outcome instanceof StorageError)) {
      const answers: readonly Answer[] = "changes" in outcome ? [outcome] : outcome;
      for (const { changes } of answers) this.#stats.rows += changes;
    }
    return outcome;
  }
}

/** Cuts rows into INSERT statements. */
function parts(rows: readonly (readonly SqlValue[])[]): (readonly SqlValue[])[][] {
  const all: (readonly SqlValue[])[][] = [];
  let part: (readonly SqlValue[])[] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = row.reduce<number>((sum, value) => sum + sizeOf(value), 0);
    if (part.length === MAX_ROWS || (part.length > 0 && bytes + size > MAX_BYTES)) {
      all.push(part);
      part = [];
      bytes = 0;
    }
    part.push(row);
    bytes += size;
  }
  if (part.length > 0) all.push(part);
  return all;
}

/** At most so many bytes on the wire, cheaply. */
function sizeOf(value: SqlValue): number {
  if (typeof value === "string") return value.length * 3;
  return value instanceof Uint8Array ? value.length : 8;
}
