// The PostgreSQL (and CockroachDB) store, through the postgres package: each connection of the pool is a client of one.
import postgres from "postgres";
import type { Db, DbStats, SqlValue, Statement } from "./db.ts";
import { StorageError } from "./db.ts";
import { DIALECTS, insert, Statements, wrongWidth } from "./dialect.ts";
import { type Attempt, Patience, type PatienceOptions, stillWanted } from "./patience.ts";
import { isConnectionError, toStorageError } from "./pgsql_errors.ts";
import { arrayText, COLUMN_TYPES, type RowInsert, rowInsert } from "./pgsql_rows.ts";
import { dial, type PgsqlTls } from "./pgsql_socket.ts";
import { TYPES, toParameter } from "./pgsql_types.ts";
import { numberPlaceholders } from "./placeholders.ts";
import { WireStats } from "./wire.ts";
import { type Strategy, Workers } from "./workers.ts";

export interface PgsqlOptions extends PatienceOptions {
  host: string;
  /** Default 5432. */
  port?: number;
  database: string;
  username: string;
  password?: string;
  /**
   * TLS: true verifies the server's certificate against the system's authorities; an object says it all; "prefer" verifies nothing, and goes on in clear text where the server has no TLS.
   */
  ssl?: boolean | "prefer" | PgsqlTls;
  /** Connections; default 10. */
  poolSize?: number;
  /** How a request finds its connection; default "best_worker". */
  strategy?: Strategy;
  /** The server gives up a statement after this many milliseconds, 0 for never; default 5000. */
  statementTimeoutMs?: number;
  /** A connection that is not ready after this many milliseconds has failed; default 5000. */
  connectTimeoutMs?: number;
  /** More settings of a session. */
  session?: Readonly<Record<string, string>>;
  /** How often a connection that has nothing to do is asked something, so that nobody takes it for dead. Default: never. */
  keepAliveMs?: number;
}

/** The wire protocol counts parameters in 16 bits; rows past it go in further statements of one transaction. */
const MAX_PARAMETERS = 65_000;
/** Rows of a multi-row INSERT that is kept prepared; others are parsed each time, for their texts are many. */
const FEW_ROWS = 2;
/** Rows of an INSERT whose columns travel as arrays. */
const MOST_ROWS = 5000;
/** Statement texts whose numbered form is remembered. */
const MAX_TEXTS = 1000;
/** Requests on their way on one connection. More would only wait in the server instead of here. */
const DEPTH = 16;
const PREPARED = { prepare: true, simple: false };
const PARSED = { prepare: false, simple: false };
const SIMPLE = { prepare: false, simple: true };
/** Statements worth preparing; the rest are definitions, made once. */
const FREQUENT = /^\s*(select|insert|update|delete|with)\b/i;

/** Opens a pool and proves that a server answers. Rejects with a {@link StorageError}, "unavailable" in most cases. */
export async function openPgsql(options: PgsqlOptions): Promise<Db> {
  const db = new PgsqlDb(options);
  try {
    await db.probe(false);
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
  readonly #statements = new Statements(DIALECTS.pgsql);
  readonly #numbered = new Map<string, string>();
  readonly #rowInserts = new Map<string, RowInsert>();
  readonly #patience: Patience;
  readonly #workers: Workers<postgres.Sql>;
  readonly #wire = new WireStats();
  readonly #keepAlive: ReturnType<typeof setInterval> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: PgsqlOptions) {
    this.#options = options;
    const { statementTimeoutMs = 5000, connectTimeoutMs = 5000, keepAliveMs } = options;
    this.#workers = new Workers<postgres.Sql>({
      count: options.poolSize ?? 10,
      strategy: options.strategy,
      depth: DEPTH,
      open: () => connect(options, this.#wire),
      broken: isConnectionError,
      close: (sql, atOnce) => sql.end(atOnce ? { timeout: 0 } : {}),
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
    const sql = connect(this.#options, this.#wire);
    try {
      await sql.unsafe("SELECT 1").execute();
    } catch (cause) {
      // "Too many connections" is an answer: those that are open work.
      if (!(wasUp && cause instanceof Error && "code" in cause && cause.code === "53300")) throw cause;
    } finally {
      void sql.end({ timeout: 0 });
    }
  }

  #keep(): void {
    // A connection that breaks by it is replaced when it is wanted; whether the server is gone is found out at once.
    this.#workers.idle((sql) => sql.unsafe("SELECT 1").execute()).catch(() => this.#patience.suspect());
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
    const wrong = wrongWidth(table, columns, rows);
    if (wrong) throw wrong;
    const whole = rows.length > FEW_ROWS ? await this.#rowInsert(table, columns) : undefined;
    const most = whole === undefined ? Math.floor(MAX_PARAMETERS / columns.length) : MOST_ROWS;
    const statements: Statement[] = [];
    for (let at = 0; at < rows.length; at += most) {
      const part = rows.length <= most ? rows : rows.slice(at, at + most);
      statements.push(
        whole === undefined
          ? { sql: insert(table, columns, part.length), params: part.flat() }
          : { sql: whole.sql, params: whole.types.map((type, column) => arrayText(part, column, type)) },
      );
    }
    const options = whole !== undefined || rows.length <= FEW_ROWS ? PREPARED : PARSED;
    if (statements.length === 1) await this.#send(statements[0].sql, statements[0].params ?? [], options, rows.length);
    else if (statements.length > 1) await this.#begin(statements, options, rows.length);
  }

  /** How many rows of a table are inserted at once; undefined where its types cannot be read. */
  async #rowInsert(table: string, columns: readonly string[]): Promise<RowInsert | undefined> {
    const key = `${table} ${columns}`;
    let known = this.#rowInserts.get(key);
    if (known === undefined) {
      const rows = await this.query<{ name: string; type: string }>(COLUMN_TYPES, [table]);
      known = rowInsert(table, columns, new Map(rows.map(({ name, type }) => [name, type])));
      if (known === undefined) return undefined;
      this.#rowInserts.set(key, known);
    }
    return known;
  }

  async transaction(statements: readonly Statement[]): Promise<number[]> {
    if (statements.length === 0) return [];
    return this.#begin(statements, undefined, statements.length);
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

  #send(
    sql: string,
    params: readonly SqlValue[],
    options = FREQUENT.test(sql) ? PREPARED : params.length > 0 ? PARSED : SIMPLE,
    rows = 1,
  ): Promise<postgres.RowList<postgres.Row[]>> {
    const text = options === PARSED ? numberPlaceholders(sql) : this.#number(sql);
    const values = params.map(toParameter);
    const work = (attempt: Attempt) =>
      this.#workers.run((connection) => {
        stillWanted(attempt);
        // Outside a transaction the statement commits by itself.
        attempt.mayBeDone = true;
        return connection.unsafe(text, values, options).execute();
      });
    return this.#patience.run(rows, work, options === PREPARED ? "execute" : "query");
  }

  #begin(statements: readonly Statement[], options: typeof PREPARED | undefined, rows: number): Promise<number[]> {
    const ready = statements.map(({ sql, params = [] }) => ({
      text: options === PARSED ? numberPlaceholders(sql) : this.#number(sql),
      values: params.map(toParameter),
      options: options ?? (FREQUENT.test(sql) ? PREPARED : params.length > 0 ? PARSED : SIMPLE),
    }));
    return this.#patience.run(rows, (attempt) =>
      this.#workers.alone(ready.length, async (connection) => {
        stillWanted(attempt);
        await connection.unsafe("BEGIN", [], SIMPLE).execute();
        let results: { count?: number | null }[];
        try {
          const all = ready.map(({ text, values, options }) => connection.unsafe(text, values, options).execute());
          results = await Promise.all(all);
          // Its caller has been told that nothing was done.
          stillWanted(attempt);
        } catch (error) {
          // A connection that is gone takes the transaction with it.
          await connection.unsafe("ROLLBACK", [], SIMPLE).execute();
          throw error;
        }
        // From here on COMMIT is on its way; before, a lost connection undoes it all.
        attempt.mayBeDone = true;
        await connection.unsafe("COMMIT", [], SIMPLE).execute();
        return results.map(({ count }) => count ?? 0);
      }),
    );
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

/** A client of the library with one connection, made when it is first used. */
function connect(options: PgsqlOptions, wire: WireStats): postgres.Sql {
  const { host, port = 5432, statementTimeoutMs = 5000, connectTimeoutMs = 5000 } = options;
  const own = {
    host,
    port,
    // TLS is ours, and so is the time that all of it may take.
    ssl: false,
    socket: () => dial({ host, port, tls: tlsOf(options.ssl), timeoutMs: connectTimeoutMs, wire }),
    connect_timeout: connectTimeoutMs / 1000,
    database: options.database,
    username: options.username,
    password: options.password ?? "",
    max: 1,
    // It is replaced when it breaks; to end one that works serves nobody.
    max_lifetime: null,
    fetch_types: false,
    onnotice: () => {},
    types: TYPES,
    connection: {
      application_name: "mongooseim",
      statement_timeout: statementTimeoutMs,
      TimeZone: "UTC",
      ...options.session,
    },
  };
  return postgres(own) as unknown as postgres.Sql;
}

function tlsOf(ssl: PgsqlOptions["ssl"]): PgsqlTls | undefined {
  if (ssl === undefined || ssl === false) return undefined;
  if (ssl === true) return { optional: false, options: {} };
  return ssl === "prefer" ? { optional: true, options: { rejectUnauthorized: false } } : ssl;
}
