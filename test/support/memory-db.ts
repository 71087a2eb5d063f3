// A Db on SQLite in memory and in this thread: what it answers is there after the next turn of the microtask queue.
import { Database } from "bun:sqlite";
import { type Db, type DbStats, type SqlValue, type Statement, StorageError } from "../../core/storage/db.ts";
import { DIALECTS, Statements } from "../../core/storage/dialect.ts";
import { MIGRATIONS } from "../../core/storage/migrations/index.ts";
import { classify } from "../../core/storage/sqlite/engine.ts";

export class MemoryDb implements Db {
  readonly dialect = "sqlite" as const;
  /** Every statement that ran, in order: tests count the queries of an operation with it. */
  readonly log: string[] = [];
  /** Every statement is refused, as by a database that is away. */
  failing = false;
  readonly #db = new Database(":memory:", { safeIntegers: true });
  readonly #statements = new Statements(DIALECTS.sqlite);

  /** With all tables. */
  constructor() {
    const empty = { dialect: this.dialect, tables: new Map(), types: new Set<string>() };
    for (const migration of MIGRATIONS) for (const { sql } of migration.statements(empty)) this.#db.run(sql);
  }

  async query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return this.#try(sql, () => {
      const rows = this.#db.query(sql).all(...params) as Record<string, SqlValue>[];
      for (const row of rows) for (const key of Object.keys(row)) row[key] = narrow(row[key]);
      return rows as R[];
    });
  }

  scan<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return this.query(sql, params);
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#run(sql, params);
  }

  async transaction(statements: readonly Statement[]): Promise<number[]> {
    return this.#db.transaction(() => statements.map((s) => this.#run(s.sql, s.params ?? [])))();
  }

  async upsert(table: string, keys: Record<string, SqlValue>, values: Record<string, SqlValue>): Promise<void> {
    const sql = this.#statements.upsert(table, Object.keys(keys), Object.keys(values));
    this.#run(sql, [...Object.values(keys), ...Object.values(values)]);
  }

  async insertNew(table: string, row: Record<string, SqlValue>): Promise<boolean> {
    return this.#run(this.#statements.insertNew(table, Object.keys(row)), Object.values(row)) > 0;
  }

  async insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    const sql = this.#statements.insert(table, columns);
    this.#db.transaction(() => {
      for (const row of rows) this.#run(sql, row);
    })();
  }

  stats(): DbStats {
    return { queued: 0, batches: this.log.length, rows: 0, lastBatchMs: 0, up: true };
  }

  async close(): Promise<void> {
    this.#db.close();
  }

  #run(sql: string, params: readonly SqlValue[]): number {
    return this.#try(sql, () => Number(this.#db.query(sql).run(...params).changes));
  }

  #try<T>(sql: string, work: () => T): T {
    this.log.push(sql);
    if (this.failing) throw new StorageError("unavailable", "the test took the database away");
    try {
      return work();
    } catch (cause) {
      if (cause instanceof StorageError) throw cause;
      const { code, message } = classify(cause);
      throw new StorageError(code, `${message}: ${sql}`, { cause });
    }
  }
}

function narrow(value: SqlValue): SqlValue {
  if (typeof value !== "bigint") return value;
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
