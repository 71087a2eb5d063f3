// The PostgreSQL (and CockroachDB) store, through the postgres package: pool, deadlines, retries.
import postgres from "postgres";
import type { Db, DbStats, SqlValue, Statement } from "./db.ts";
import { StorageError } from "./db.ts";
import { DIALECTS, insert, Statements } from "./dialect.ts";
import { toStorageError } from "./pgsql_errors.ts";
import { numberPlaceholders } from "./placeholders.ts";

export interface PgsqlOptions {
  host: string;
  /** Default 5432. */
  port?: number;
  database: string;
  username: string;
  password?: string;
  /**
   * TLS: true verifies the server's certificate against the system's authorities; an object is `tls.connect`'s;
   * "prefer" verifies nothing, and goes on in clear text where the server has no TLS.
   */
  ssl?: boolean | "prefer" | object;
  /** Connections; default 10. */
  poolSize?: number;
  /** The server gives up a statement after this many milliseconds; default 5000. */
  statementTimeoutMs?: number;
  /** A connection that is not ready after this many milliseconds has failed; default 5000. */
  connectTimeoutMs?: number;
  /** Requests and rows that may wait; past it new requests fail at once; default 100,000. */
  maxQueued?: number;
}

/** Attempts at a transaction that loses to concurrent ones. */
const ATTEMPTS = 5;
/** Longest pause before a connection is tried again, in seconds. */
const MAX_BACKOFF_S = 1;
/** The wire protocol counts parameters in 16 bits; rows past it go in further statements of one transaction. */
const MAX_PARAMETERS = 65_000;
/** Rows of a multi-row INSERT that is kept prepared; others are parsed each time, for their texts are many. */
const PREPARED_ROWS = 8;
/** Statement texts whose numbered form is remembered. */
const MAX_TEXTS = 1000;
const PREPARED = { prepare: true, simple: false };
const PARSED = { prepare: false, simple: false };
const SIMPLE = { prepare: false, simple: true };
/** Statements worth preparing; the rest are definitions, made once. */
const FREQUENT = /^\s*(select|insert|update|delete|with)\b/i;

interface Pending {
  startedAt: number;
  cancel: () => void;
  reject: (error: StorageError) => void;
}

/** Opens a pool and proves that a server answers. Rejects with a {@link StorageError}, "unavailable" in most cases. */
export async function openPgsql(options: PgsqlOptions): Promise<Db> {
  const db = new PgsqlDb(options);
  try {
    await db.query("SELECT 1");
    return db;
  } catch (cause) {
    await db.close();
    const { code, message } = toStorageError(cause);
    const server = `${options.host}:${options.port ?? 5432}`;
    throw new StorageError(code, `Cannot reach PostgreSQL at "${server}": ${message}`, { cause });
  }
}

class PgsqlDb implements Db {
  readonly dialect = "pgsql";
  readonly #options: PgsqlOptions;
  readonly #maxQueued: number;
  /** After this many milliseconds a request is given up, whatever the network does. */
  readonly #patienceMs: number;
  readonly #statements = new Statements(DIALECTS.pgsql);
  readonly #numbered = new Map<string, string>();
  readonly #pending = new Set<Pending>();
  readonly #stats: DbStats = { queued: 0, batches: 0, rows: 0, lastBatchMs: 0 };
  #sql: postgres.Sql;
  #weight = 0;
  /** When the server answered last, or new connections were begun with. */
  #answeredAt = 0;
  #watch: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: PgsqlOptions) {
    this.#options = options;
    this.#maxQueued = options.maxQueued ?? 100_000;
    this.#patienceMs = (options.statementTimeoutMs ?? 5000) + (options.connectTimeoutMs ?? 5000);
    this.#sql = connect(options);
  }

  async query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return [...(await this.#send(sql, params))] as R[];
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return (await this.#send(sql, params)).count ?? 0;
  }

  async upsert(table: string, keys: Record<string, SqlValue>, values: Record<string, SqlValue>): Promise<void> {
    const sql = this.#statements.upsert(table, Object.keys(keys), Object.keys(values));
    await this.#send(sql, [...Object.values(keys), ...Object.values(values)]);
  }

  async insertNew(table: string, row: Record<string, SqlValue>): Promise<boolean> {
    return (await this.#send(this.#statements.insertNew(table, Object.keys(row)), Object.values(row))).count > 0;
  }

  async insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    if (rows.some((row) => row.length !== columns.length))
      throw new StorageError(
        "syntax",
        `a row for ${table} does not have ${columns.length} values (${columns.join(", ")})`,
      );
    const most = Math.floor(MAX_PARAMETERS / columns.length);
    const statements: Statement[] = [];
    for (let at = 0; at < rows.length; at += most) {
      const part = rows.slice(at, at + most);
      statements.push({ sql: insert(table, columns, part.length), params: part.flat() });
    }
    if (statements.length === 1) {
      const options = rows.length <= PREPARED_ROWS ? PREPARED : PARSED;
      await this.#send(statements[0].sql, statements[0].params ?? [], options, rows.length);
    } else if (statements.length > 1) await this.#begin(statements, PARSED, rows.length);
  }

  async transaction(statements: readonly Statement[]): Promise<number[]> {
    if (statements.length === 0) return [];
    return this.#begin(statements, undefined, statements.length);
  }

  stats(): DbStats {
    return { ...this.#stats };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#sql.end({ timeout: this.#patienceMs / 1000 });
    clearInterval(this.#watch);
  }

  #send(
    sql: string,
    params: readonly SqlValue[],
    options = FREQUENT.test(sql) ? PREPARED : params.length > 0 ? PARSED : SIMPLE,
    weight = 1,
  ): Promise<postgres.RowList<postgres.Row[]>> {
    const text = options === PARSED ? numberPlaceholders(sql) : this.#number(sql);
    const values = params.map(toParameter);
    return this.#retrying(weight, (pending) => {
      const query = this.#sql.unsafe(text, values, options);
      // Only out of the queue: to cancel what runs takes another connection, and the server has its own time-out.
      pending.cancel = () => {
        if (!isSent(query)) query.cancel();
      };
      return query.execute();
    });
  }

  #begin(statements: readonly Statement[], options: typeof PREPARED | undefined, weight: number): Promise<number[]> {
    const ready = statements.map(({ sql, params = [] }) => ({
      text: options === PARSED ? numberPlaceholders(sql) : this.#number(sql),
      values: params.map(toParameter),
      options: options ?? (FREQUENT.test(sql) ? PREPARED : params.length > 0 ? PARSED : SIMPLE),
    }));
    return this.#retrying(weight, async (pending) => {
      let abandoned = false;
      pending.cancel = () => {
        abandoned = true;
      };
      const results = await this.#sql.begin((tx) => {
        // Given up while it waited for a connection: its caller has been told that nothing was written.
        if (abandoned) throw new StorageError("unavailable", "the transaction was given up");
        return ready.map(({ text, values, options }) => tx.unsafe(text, values, options));
      });
      return results.map((result) => (result as postgres.RowList<postgres.Row[]>).count ?? 0);
    });
  }

  async #retrying<T>(weight: number, run: (pending: Pending) => Promise<T>): Promise<T> {
    if (this.#closing) throw new StorageError("unavailable", "Cannot use database: the database is closed");
    if (this.#weight + weight > this.#maxQueued && this.#weight > 0)
      throw new StorageError("unavailable", `Cannot use database: ${this.#weight} requests wait for it already`);
    this.#weight += weight;
    this.#stats.queued++;
    try {
      for (let attempt = 1; ; attempt++) {
        const error = await this.#once(run).then(
          (value) => ({ value }),
          (cause: unknown) => toStorageError(cause),
        );
        if (!(error instanceof StorageError)) return error.value;
        if (error.code !== "conflict" || attempt === ATTEMPTS) throw error;
        await Bun.sleep(5 * 2 ** attempt);
      }
    } finally {
      this.#weight -= weight;
      this.#stats.queued--;
    }
  }

  /** One attempt, with a deadline. */
  #once<T>(run: (pending: Pending) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const pending: Pending = { startedAt: performance.now(), cancel: () => {}, reject };
    this.#pending.add(pending);
    this.#watch ??= setInterval(() => this.#sweep(), Math.min(250, this.#patienceMs / 4));
    const done = (answered: boolean) => {
      const now = performance.now();
      this.#pending.delete(pending);
      if (answered) this.#answeredAt = now;
      this.#stats.batches++;
      this.#stats.lastBatchMs = now - pending.startedAt;
    };
    run(pending).then(
      (value) => {
        done(true);
        this.#stats.rows += rowsOf(value);
        resolve(value);
      },
      (cause: unknown) => {
        // One that was given up here, or whose connection failed, was answered by nobody.
        done(this.#pending.has(pending) && toStorageError(cause).code !== "unavailable");
        reject(cause);
      },
    );
    return promise;
  }

  /** Gives up requests that waited too long; the oldest come first. */
  #sweep(): void {
    const now = performance.now();
    let silent = false;
    for (const pending of this.#pending) {
      if (now - pending.startedAt < this.#patienceMs) break;
      silent ||= this.#answeredAt < pending.startedAt;
      this.#pending.delete(pending);
      pending.reject(new StorageError("unavailable", `no answer within ${this.#patienceMs} ms`));
      pending.cancel();
    }
    // Not one answer in all that time: the connections lead nowhere, and TCP takes minutes to notice.
    if (silent) {
      void this.#sql.end({ timeout: 0 });
      this.#sql = connect(this.#options);
      this.#answeredAt = now;
    }
    if (this.#pending.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #number(sql: string): string {
    let text = this.#numbered.get(sql);
    if (text === undefined) {
      text = numberPlaceholders(sql);
      if (this.#numbered.size >= MAX_TEXTS) this.#numbered.clear();
      this.#numbered.set(sql, text);
    }
    return text;
  }
}

/** Rows of a result, or of the results of a transaction. */
function rowsOf(value: unknown): number {
  if (!Array.isArray(value)) return 0;
  if ("count" in value && typeof value.count === "number") return value.count;
  return value.reduce<number>((sum, changes) => sum + (typeof changes === "number" ? changes : 0), 0);
}

/** True once a query has a connection; the library keeps that one's key in `state`. */
function isSent(query: object): boolean {
  return "state" in query && Boolean(query.state);
}

/** Sent without a type, so that the server takes that of the column; bytes are copied, for they may wait. */
function toParameter(value: SqlValue): string | number | Uint8Array | null {
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

/** PostgreSQL's type numbers (pg_type.oid) and how their values travel. */
const TYPES = {
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
    serialize: (value: string | Uint8Array) => `\\x${Buffer.from(value as Uint8Array).toString("hex")}`,
    parse: (text: string) => new Uint8Array(Buffer.from(text.slice(2), "hex")),
  },
  json: { to: 114, from: [114, 3802], serialize: asText, parse: asText },
  time: { to: 1114, from: [1082, 1114, 1184], serialize: asText, parse: asText },
};

function connect(options: PgsqlOptions): postgres.Sql {
  const sql = postgres({
    host: options.host,
    port: options.port ?? 5432,
    database: options.database,
    username: options.username,
    password: options.password ?? "",
    ssl: options.ssl === true ? "verify-full" : (options.ssl ?? false),
    max: options.poolSize ?? 10,
    connect_timeout: (options.connectTimeoutMs ?? 5000) / 1000,
    backoff: (attempt: number) => Math.min(MAX_BACKOFF_S, 0.05 * 2 ** attempt),
    fetch_types: false,
    onnotice: () => {},
    types: TYPES,
    connection: {
      application_name: "mongooseim",
      statement_timeout: options.statementTimeoutMs ?? 5000,
      TimeZone: "UTC",
    },
  });
  return sql as unknown as postgres.Sql;
}
