// The PostgreSQL (and CockroachDB) store, through the postgres package: each connection of the pool is a client of one.
import type postgres from "postgres";
import type { Db, SqlValue, Statement } from "./db.ts";
import { insert, wrongWidth } from "./dialect.ts";
import { type Attempt, stillWanted } from "./patience.ts";
import { connect, end, isForgotten, isGone, type PgsqlOptions, PORT, wasSent } from "./pgsql_client.ts";
import { isConnectionError, isReadOnly, toStorageError } from "./pgsql_errors.ts";
import { COLUMN_TYPES, type ColumnType, RowInsert } from "./pgsql_rows.ts";
import { MAX_PARAMETERS, toParameters } from "./pgsql_types.ts";
import { numberPlaceholders } from "./placeholders.ts";
import { type Driver, isFrequent, isRead, ServerDb, tooOld } from "./server.ts";

export type { PgsqlOptions } from "./pgsql_client.ts";

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

/** The oldest PostgreSQL that has what statements are made of, as server_version_num says it. CockroachDB says 130000. */
const OLDEST = 120_000;
const VERSION = "SELECT current_setting('server_version_num')::int AS n, current_setting('server_version') AS version";

/**
 * Opens a pool and proves that a server answers. Rejects with a {@link StorageError}, "unavailable" in most cases, "syntax"
 * when it is too old.
 */
export async function openPgsql(options: PgsqlOptions): Promise<Db> {
  return new PgsqlDb(options, driver(options)).reached();
}

const keyOf = (table: string, columns: readonly string[]): string => `${table} ${columns}`;

const ask = (sql: postgres.Sql) => sql.unsafe("SELECT 1").execute();

type Request = ReturnType<postgres.Sql["unsafe"]>;

/** Sends a request; with `attempt` one that commits. */
function send(request: Request, attempt?: Attempt): Request {
  if (attempt !== undefined) {
    attempt.mayBeDone = true;
    attempt.sent = () => wasSent(request);
  }
  return request.execute();
}

const driver = (options: PgsqlOptions): Driver<postgres.Sql> => ({
  dialect: "pgsql",
  name: "PostgreSQL",
  port: PORT,
  depth: DEPTH,
  full: FULL,
  open: (wire) => connect(options, wire),
  close: end,
  broken: isConnectionError,
  gone: isGone,
  readOnly: isReadOnly,
  ask,
  async probe(wire) {
    const sql = connect(options, wire);
    const [{ n, version }] = await sql
      .unsafe<{ n: number; version: string }[]>(VERSION)
      .finally(() => void end(sql, false));
    if (n < OLDEST) throw tooOld(`PostgreSQL ${version}`, "PostgreSQL 12");
  },
  errorOf: toStorageError,
});

class PgsqlDb extends ServerDb<postgres.Sql> {
  readonly #numbered = new Map<string, string>();
  readonly #rowInserts = new Map<string, RowInsert>();

  async query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    const rows = await this.#send(sql, params);
    // The library leaves room in front of them for those of an answer that broke off just before.
    return (0 in rows ? [...rows] : rows.filter(() => true)) as R[];
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
    const values = toParameters(params);
    // Outside a transaction a statement commits by itself.
    const commits = !isRead(sql);
    const work = (attempt: Attempt) =>
      this.workers.run((connection) => {
        stillWanted(attempt);
        const request = connection.unsafe(text, values, isForgotten(attempt.before) ? PARSED : options);
        return send(request, commits ? attempt : undefined);
      });
    return this.patience.run(rows, work, options === PREPARED ? "execute" : "query");
  }

  protected begin(statements: readonly Statement[], rows: number, options?: typeof PREPARED): Promise<number[]> {
    const ready = statements.map(({ sql, params = [] }) => ({
      text: options === PARSED ? numberPlaceholders(sql) : this.#number(sql),
      values: toParameters(params),
      options: options ?? (isFrequent(sql) ? PREPARED : params.length > 0 ? PARSED : SIMPLE),
    }));
    return this.patience.run(rows, (attempt) =>
      this.workers.alone(ready.length, async (connection) => {
        stillWanted(attempt);
        await connection.unsafe("BEGIN", [], SIMPLE).execute();
        let results: { count?: number | null }[];
        try {
          const forgotten = isForgotten(attempt.before);
          const all = ready.map(({ text, values, options }) =>
            connection.unsafe(text, values, forgotten && options === PREPARED ? PARSED : options).execute(),
          );
          results = await Promise.all(all);
          // Its caller has been told that nothing was done.
          stillWanted(attempt);
        } catch (error) {
          // A connection that is gone takes the transaction with it.
          if (!isConnectionError(error)) await connection.unsafe("ROLLBACK", [], SIMPLE).execute();
          throw error;
        }
        // From here on COMMIT is on its way; before, a lost connection undoes it all.
        await send(connection.unsafe("COMMIT", [], SIMPLE), attempt);
        return results.map(({ count }) => count ?? 0);
      }),
    );
  }

  #number(sql: string): string {
    let text = this.#numbered.get(sql);
    if (text === undefined) {
      text = numberPlaceholders(sql);
      if (this.#numbered.size >= MAX_TEXTS) {
        this.#numbered.clear();
        // The server keeps what was prepared as long as its connection.
        this.workers.renew();
      }
      this.#numbered.set(sql, text);
    }
    return text;
  }
}
