// The MySQL and MariaDB store, through the mysql2 package: each connection of the pool runs one request at a time.
import type { Db, DbStats, SqlValue, Statement } from "../db.ts";
import { StorageError } from "../db.ts";
import { DIALECTS, insert, Statements, wrongWidth } from "../dialect.ts";
import { type Attempt, Patience, stillWanted } from "../patience.ts";
import { WireStats } from "../wire.ts";
import { Workers } from "../workers.ts";
import { isFrequent, MysqlConnection, type MysqlOptions } from "./connection.ts";
import { toStorageError } from "./errors.ts";
import { type Answer, toParameter } from "./values.ts";

export type { MysqlOptions } from "./connection.ts";

/** Rows of one INSERT: few texts are few prepared statements. */
const MAX_ROWS = 128;
/** Bytes of one INSERT, far below what a server takes as one packet (max_allowed_packet, at least 16 MB by default). */
const MAX_BYTES = 1_000_000;
/** The server has no room for one more connection. */
const FULL = new Set(["ER_CON_COUNT_ERROR", "ER_TOO_MANY_USER_CONNECTIONS"]);

/** Opens a pool and proves that a server answers. Rejects with a {@link StorageError}, "unavailable" in most cases. */
export async function openMysql(options: MysqlOptions): Promise<Db> {
  const db = new MysqlDb(options);
  try {
    await db.probe(false);
    return db;
  } catch (cause) {
    await db.close();
    const { code, message } = toStorageError(cause);
    const server = `${options.host}:${options.port ?? 3306}`;
    throw new StorageError(code, `Cannot reach MySQL at "${server}": ${message}`, { cause });
  }
}

/** One connection of the pool: opened when it is wanted, and again when it is lost. */
class Link {
  readonly #open: () => Promise<MysqlConnection>;
  #connection: MysqlConnection | undefined;
  #closed = false;

  constructor(open: () => Promise<MysqlConnection>) {
    this.#open = open;
  }

  /** The connection. Only one caller at a time. */
  async ready(): Promise<MysqlConnection> {
    if (this.#connection !== undefined && !this.#connection.gone) return this.#connection;
    const connection = await this.#open();
    if (this.#closed) {
      connection.destroy();
      throw new StorageError("unavailable", "the connection was given up");
    }
    this.#connection = connection;
    return connection;
  }

  async close(atOnce: boolean): Promise<void> {
    this.#closed = true;
    if (atOnce) this.#connection?.destroy();
    else this.#connection?.end();
  }
}

class MysqlDb implements Db {
  readonly dialect = "mysql";
  readonly #options: MysqlOptions;
  readonly #statements = new Statements(DIALECTS.mysql);
  readonly #patience: Patience;
  readonly #workers: Workers<Link>;
  readonly #wire = new WireStats();
  readonly #keepAlive: ReturnType<typeof setInterval> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: MysqlOptions) {
    this.#options = options;
    const { statementTimeoutMs = 5000, connectTimeoutMs = 5000, keepAliveMs } = options;
    this.#workers = new Workers<Link>({
      count: options.poolSize ?? 10,
      strategy: options.strategy,
      // The client sends a statement when the one before it is answered.
      depth: 1,
      open: () => new Link(() => MysqlConnection.open(options, this.#wire)),
      close: (link, atOnce) => link.close(atOnce),
      answerMs: statementTimeoutMs === 0 ? Number.POSITIVE_INFINITY : statementTimeoutMs + connectTimeoutMs,
    });
    const server = {
      probe: (wasUp: boolean) => this.probe(wasUp),
      drop: () => this.#workers.drop(),
      look: (now: number, heldUp: number) => this.#workers.look(now, heldUp),
      errorOf: toStorageError,
    };
    this.#patience = new Patience(server, options);
    if (keepAliveMs !== undefined) this.#keepAlive = setInterval(() => this.#keep(), keepAliveMs);
  }

  /** Resolves when a server answers on a new connection. */
  async probe(wasUp: boolean): Promise<void> {
    try {
      (await MysqlConnection.open(this.#options, this.#wire)).end();
    } catch (cause) {
      // "Too many connections" is an answer: those that are open work.
      if (!(wasUp && cause instanceof Error && "code" in cause && FULL.has(String(cause.code)))) throw cause;
    }
  }

  #keep(): void {
    // A connection that breaks by it is replaced when it is wanted; whether the server is gone is found out at once.
    this.#workers
      .idle(async (link) => (await link.ready()).run({ sql: "SELECT 1", values: [] }))
      .catch(() => this.#patience.suspect());
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
    const wrong = wrongWidth(table, columns, rows);
    if (wrong) throw wrong;
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
    return { ...this.#patience.stats(), wire: this.#wire };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    clearInterval(this.#keepAlive);
    await this.#patience.close();
    await this.#workers.end(0);
    this.#patience.end();
  }

  #send(sql: string, params: readonly SqlValue[], rows = 1): Promise<Answer> {
    const ready = { sql, values: params.map(toParameter) };
    const work = (attempt: Attempt) =>
      this.#workers.run(async (link) => {
        const connection = await link.ready();
        stillWanted(attempt);
        // Outside a transaction the statement commits by itself.
        attempt.mayBeDone = true;
        return connection.run(ready);
      });
    return this.#patience.run(rows, work, isFrequent(sql) || params.length > 0 ? "execute" : "query");
  }

  async #begin(statements: readonly Statement[], rows: number): Promise<number[]> {
    const ready = statements.map(({ sql, params = [] }) => ({ sql, values: params.map(toParameter) }));
    return this.#patience.run(rows, (attempt) =>
      this.#workers.alone(ready.length, async (link) => {
        const connection = await link.ready();
        const answers = await connection.transaction(ready, () => {
          // Its caller has been told that nothing was done.
          stillWanted(attempt);
          attempt.mayBeDone = true;
        });
        return answers.map(({ changes }) => changes);
      }),
    );
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
