// A Db over bun:sqlite in memory, with MongooseIM's users table: enough for the accounts' tests.
import { Database } from "bun:sqlite";
import type { Db, DbStats, SqlValue, Statement } from "../../../../core/storage/db.ts";
import { DIALECTS, insert } from "../../../../core/storage/dialect.ts";

const USERS = `CREATE TABLE users (
  username varchar(250) NOT NULL, server varchar(250) NOT NULL,
  password text NOT NULL, pass_details text, created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (server, username))`;

export class MemoryDb implements Db {
  readonly dialect = "sqlite";
  /** Statements run, for tests that count them. */
  readonly log: string[] = [];
  /** When set, every request is refused with it. */
  broken: Error | undefined;
  readonly #db = new Database(":memory:");

  constructor() {
    this.#db.run(USERS);
  }

  async query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    this.#note(sql);
    return this.#db.query<R, SqlValue[]>(sql).all(...params);
  }

  scan<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return this.query(sql, params);
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    this.#note(sql);
    return this.#db.query<object, SqlValue[]>(sql).run(...params).changes;
  }

  async transaction(statements: readonly Statement[]): Promise<number[]> {
    return Promise.all(statements.map(({ sql, params }) => this.execute(sql, params)));
  }

  async upsert(table: string, keys: Record<string, SqlValue>, values: Record<string, SqlValue>): Promise<void> {
    const sql = DIALECTS.sqlite.upsert(table, Object.keys(keys), Object.keys(values));
    await this.execute(sql, [...Object.values(keys), ...Object.values(values)]);
  }

  async insertNew(table: string, row: Record<string, SqlValue>): Promise<boolean> {
    return (await this.execute(DIALECTS.sqlite.insertNew(table, Object.keys(row)), Object.values(row))) > 0;
  }

  async insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    await this.execute(insert(table, columns, rows.length), rows.flat());
  }

  stats(): DbStats {
    return { queued: 0, batches: this.log.length, rows: 0, lastBatchMs: 0, up: true };
  }

  async close(): Promise<void> {
    this.#db.close();
  }

  #note(sql: string): void {
    if (this.broken) throw this.broken;
    this.log.push(sql);
  }
}
