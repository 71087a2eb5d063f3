// The PostgreSQL (and CockroachDB) store, through the postgres package: each connection of the pool is a client of one.
import postgres from "postgres";
import { type Db, type SqlValue, type Statement, StorageError } from "./db.ts";
import { insert, wrongWidth } from "./dialect.ts";
import { type Attempt, stillWanted } from "./patience.ts";
import { isConnectionError, isReadOnly, toStorageError } from "./pgsql_errors.ts";
import { COLUMN_TYPES, type ColumnType, RowInsert } from "./pgsql_rows.ts";
import { dial, type PgsqlTls } from "./pgsql_socket.ts";
import { TYPES, toParameter } from "./pgsql_types.ts";
import { numberPlaceholders } from "./placeholders.ts";
import { type Driver, isFrequent, isRead, ServerDb, type ServerOptions } from "./server.ts";
import type { WireStats } from "./wire.ts";

export interface PgsqlOptions extends ServerOptions {
  /**
   * TLS: true verifies the server's certificate against the system's authorities; an object says it all; "prefer" verifies nothing, and goes on in clear text where the server has no TLS.
   */
  ssl?: boolean | "prefer" | PgsqlTls;
  /** More settings of a session. */
  session?: Readonly<Record<string, string>>;
}

const PORT = 5432;
/** The wire protocol counts parameters in 16 bits; rows past it go in further statements of one transaction. */
const MAX_PARAMETERS = 65_000;
/** Rows of a multi-row INSERT that is kept prepared; others are parsed each time, for their texts are many. */
const FEW_ROWS = 2;
/** Rows of an INSERT whose columns travel as one parameter each. */
const MOST_ROWS = 5000;
/** Statement texts whose numbered form is remembered. */
const MAX_TEXTS = 1000;
/** Requests on their way on one connection. More would only wait in the server instead of here. */
const DEPTH = 16;
const PREPARED = { prepare: true, simple: false };
const PARSED = { prepare: false, simple: false };
const SIMPLE = { prepare: false, simple: true };
/** The server has no room for one more connection. */
const FULL = new Set(["53300"]);

/** Opens a pool and proves that a server answers. Rejects with a {@link StorageError}, "unavailable" in most cases. */
export async function openPgsql(options: PgsqlOptions): Promise<Db> {
  return new PgsqlDb(options, driver(options)).reached();
}

const keyOf = (table: string, columns: readonly string[]): string => `${table} ${columns}`;

const ask = (sql: postgres.Sql) => sql.unsafe("SELECT 1").execute();

const driver = (options: PgsqlOptions): Driver<postgres.Sql> => ({
  dialect: "pgsql",
  name: "PostgreSQL",
  port: PORT,
  depth: DEPTH,
  full: FULL,
  open: (wire) => connect(options, wire),
  close: (sql, atOnce) => sql.end(atOnce ? { timeout: 0 } : {}),
  broken: isConnectionError,
  gone: (sql) => GONE.has(sql),
  readOnly: isReadOnly,
  ask,
  async probe(wire) {
    const sql = connect(options, wire);
    await ask(sql).finally(() => void sql.end({ timeout: 0 }));
  },
  errorOf: toStorageError,
});

class PgsqlDb extends ServerDb<postgres.Sql> {
  readonly #numbered = new Map<string, string>();
  readonly #rowInserts = new Map<string, RowInsert>();

  async query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return [...(await this.#send(sql, params))] as R[];
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return (await this.#send(sql, params)).count ?? 0;
  }

  async insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    const wrong = wrongWidth(table, columns, rows);
    if (wrong) throw wrong;
    // Nothing is awaited where the types are known: what is sent at once goes before what others do next.
    const known = this.#rowInserts.get(keyOf(table, columns));
    const whole = rows.length > FEW_ROWS ? (known ?? (await this.#rowInsert(table, columns))) : undefined;
    const most = whole === undefined ? Math.floor(MAX_PARAMETERS / columns.length) : MOST_ROWS;
    const statements: Statement[] = [];
    for (let at = 0; at < rows.length; at += most) {
      const part = rows.length <= most ? rows : rows.slice(at, at + most);
      statements.push(
        whole === undefined ? { sql: insert(table, columns, part.length), params: part.flat() } : whole.statement(part),
      );
    }
    const options = whole !== undefined || rows.length <= FEW_ROWS ? PREPARED : PARSED;
    if (statements.length === 1) await this.#send(statements[0].sql, statements[0].params ?? [], options, rows.length);
    else if (statements.length > 1) await this.begin(statements, rows.length, options);
  }

  /** Reads how many rows of a table are inserted at once; undefined where its types cannot be read. */
  async #rowInsert(table: string, columns: readonly string[]): Promise<RowInsert | undefined> {
    const known = RowInsert.of(table, columns, await this.query<ColumnType>(COLUMN_TYPES, [table]));
    if (known !== undefined) this.#rowInserts.set(keyOf(table, columns), known);
    return known;
  }

  #send(
    sql: string,
    params: readonly SqlValue[],
    options = isFrequent(sql) ? PREPARED : params.length > 0 ? PARSED : SIMPLE,
    rows = 1,
  ): Promise<postgres.RowList<postgres.Row[]>> {
    const text = options === PARSED ? numberPlaceholders(sql) : this.#number(sql);
    const values = params.map(toParameter);
    // Outside a transaction a statement commits by itself.
    const commits = !isRead(sql);
    const work = (attempt: Attempt) =>
      this.workers.run((connection) => {
        stillWanted(attempt);
        attempt.mayBeDone = commits;
        return connection.unsafe(text, values, options).execute();
      });
    return this.patience.run(rows, work, options === PREPARED ? "execute" : "query");
  }

  protected begin(statements: readonly Statement[], rows: number, options?: typeof PREPARED): Promise<number[]> {
    const ready = statements.map(({ sql, params = [] }) => ({
      text: options === PARSED ? numberPlaceholders(sql) : this.#number(sql),
      values: params.map(toParameter),
      options: options ?? (isFrequent(sql) ? PREPARED : params.length > 0 ? PARSED : SIMPLE),
    }));
    return this.patience.run(rows, (attempt) =>
      this.workers.alone(ready.length, async (connection) => {
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
          if (!isConnectionError(error)) await connection.unsafe("ROLLBACK", [], SIMPLE).execute();
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

/** Clients whose connection has ended. */
const GONE = new WeakSet<postgres.Sql>();

/**
 * A client of the library with one connection, made when it is first used. The library would make another in its place, and
 * send there what it had not sent yet: the rest of a transaction, each statement for itself.
 */
function connect(options: PgsqlOptions, wire: WireStats): postgres.Sql {
  const { host, port = PORT, statementTimeoutMs = 5000, connectTimeoutMs = 5000 } = options;
  let dialled = false;
  const socket = () => {
    if (dialled) throw new StorageError("unavailable", "the connection has ended");
    dialled = true;
    return dial({ host, port, tls: tlsOf(options.ssl), timeoutMs: connectTimeoutMs, wire });
  };
  const own = {
    host,
    port,
    // TLS is ours, and so is the time that all of it may take.
    ssl: false,
    socket,
    onclose: () => void GONE.add(sql),
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
      DateStyle: "ISO",
      ...options.session,
    },
  };
  const sql = postgres(own) as unknown as postgres.Sql;
  return sql;
}

function tlsOf(ssl: PgsqlOptions["ssl"]): PgsqlTls | undefined {
  if (ssl === undefined || ssl === false) return undefined;
  if (ssl === true) return { optional: false, options: {} };
  return ssl === "prefer" ? { optional: true, options: { rejectUnauthorized: false } } : ssl;
}
