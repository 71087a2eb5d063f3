// The MySQL and MariaDB store, through the mysql2 package: each connection of the pool runs one request at a time.
import type { Db, SqlValue, Statement } from "../db.ts";
import { StorageError } from "../db.ts";
import { insert, wrongWidth } from "../dialect.ts";
import { type Attempt, stillWanted } from "../patience.ts";
import { type Driver, isFrequent, isRead, ServerDb } from "../server.ts";
import { MysqlConnection, type MysqlOptions, PORT } from "./connection.ts";
import { isReadOnly, toStorageError } from "./errors.ts";
import { type Answer, toParameter } from "./values.ts";

export type { MysqlOptions } from "./connection.ts";

/** Rows of one INSERT: few texts are few prepared statements. */
const MAX_ROWS = 128;
/** Bytes of one INSERT, far below what a server takes as one packet (max_allowed_packet, at least 16 MB by default). */
const MAX_BYTES = 1_000_000;
/** No room for one more connection: of the server's, of each user's, and of what this user was granted. */
const FULL = new Set(["ER_CON_COUNT_ERROR", "ER_TOO_MANY_USER_CONNECTIONS", "ER_USER_LIMIT_REACHED"]);

/** Opens a pool and proves that a server answers. Rejects with a {@link StorageError}, "unavailable" in most cases. */
export async function openMysql(options: MysqlOptions): Promise<Db> {
  return new MysqlDb(options, driver(options)).reached();
}

const driver = (options: MysqlOptions): Driver<Link> => ({
  dialect: "mysql",
  name: "MySQL",
  port: PORT,
  // The client sends a statement when the one before it is answered.
  depth: 1,
  full: FULL,
  readOnly: isReadOnly,
  open: (wire) => new Link(() => MysqlConnection.open(options, wire)),
  close: (link, atOnce) => link.close(atOnce),
  ask: async (link) => (await link.ready()).run({ sql: "SELECT 1", values: [] }),
  probe: async (wire) => (await MysqlConnection.open(options, wire)).end(),
  errorOf: toStorageError,
});

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

class MysqlDb extends ServerDb<Link> {
  async query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return (await this.#send(sql, params)).rows as R[];
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return (await this.#send(sql, params)).changes;
  }

  async insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    const wrong = wrongWidth(table, columns, rows);
    if (wrong) throw wrong;
    const statements: Statement[] = parts(rows).map((part) => ({
      sql: insert(table, columns, part.length),
      params: part.flat(),
    }));
    if (statements.length === 1) await this.#send(statements[0].sql, statements[0].params ?? [], rows.length);
    else if (statements.length > 1) await this.begin(statements, rows.length);
  }

  #send(sql: string, params: readonly SqlValue[], rows = 1): Promise<Answer> {
    const ready = { sql, values: params.map(toParameter) };
    // Outside a transaction a statement commits by itself.
    const commits = !isRead(sql);
    const work = (attempt: Attempt) =>
      this.workers.run(async (link) => {
        stillWanted(attempt);
        const connection = await link.ready();
        return connection.run(ready, () => {
          stillWanted(attempt);
          attempt.mayBeDone = commits;
        });
      });
    return this.patience.run(rows, work, isFrequent(sql) || params.length > 0 ? "execute" : "query");
  }

  protected begin(statements: readonly Statement[], rows: number): Promise<number[]> {
    const ready = statements.map(({ sql, params = [] }) => ({ sql, values: params.map(toParameter) }));
    return this.patience.run(rows, (attempt) =>
      this.workers.alone(ready.length, async (link) => {
        stillWanted(attempt);
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
