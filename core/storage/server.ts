// What the stores on a database server have in common: a pool of connections that is kept alive, counted and closed, and
// the look whether the server is there. What is asked of it, and how, is the driver's.
import type { Db, DbStats, Dialect, SqlValue, Statement } from "./db.ts";
import { StorageError } from "./db.ts";
import { DIALECTS, Statements } from "./dialect.ts";
import { Patience, type PatienceOptions } from "./patience.ts";
import { surely } from "./surely.ts";
import { WireStats } from "./wire.ts";
import { type Strategy, Workers, type WorkersOptions } from "./workers.ts";

export interface ServerOptions extends PatienceOptions {
  host: string;
  /** Default: the one that is usual for such servers. */
  port?: number;
  database: string;
  username: string;
  password?: string;
  /** Connections; default 10. */
  poolSize?: number;
  /** How a request finds its connection; default "best_worker". */
  strategy?: Strategy;
  /** The server gives up a statement after this many milliseconds, 0 for never; default 5000. */
  statementTimeoutMs?: number;
  /** A connection that is not ready after this many milliseconds has failed; default 5000. */
  connectTimeoutMs?: number;
  /** How often a connection that has nothing to do is asked something, so that nobody takes it for dead. Default: never. */
  keepAliveMs?: number;
}

/** What differs between servers; `H` is a connection of the pool. */
export interface Driver<H> extends Pick<WorkersOptions<H>, "depth" | "close" | "broken" | "gone" | "readOnly"> {
  readonly dialect: Dialect;
  /** Its name for people, and its usual port. */
  readonly name: string;
  readonly port: number;
  /** Codes of errors with which a server that works refuses one more connection. */
  readonly full: ReadonlySet<string>;
  /** As in `WorkersOptions`; what the connection carries is counted. */
  open(wire: WireStats): H;
  /** Asks for a sign of life. */
  ask(connection: H): Promise<unknown>;
  /** Resolves when a server answers on a new connection, which is ended then. */
  probe(wire: WireStats): Promise<void>;
  /** Names an error of the client library. */
  errorOf(cause: unknown): StorageError;
}

/** A server that does not understand what it will be asked. */
export const tooOld = (server: string, oldest: string): StorageError =>
  new StorageError("syntax", `${server} is too old: ${oldest} or newer is needed`);

/** Statements worth preparing; the rest are definitions, made once. */
const FREQUENT = /^\s*(select|insert|update|delete|with)\b/i;

export const isFrequent = (sql: string): boolean => FREQUENT.test(sql);

/** Statements that change nothing, and may be run again whatever became of them. */
const READ = /^\s*select\b/i;

export const isRead = (sql: string): boolean => READ.test(sql);

export abstract class ServerDb<H> implements Db {
  readonly dialect: Dialect;
  protected readonly patience: Patience;
  protected readonly workers: Workers<H>;
  readonly #driver: Driver<H>;
  readonly #place: string;
  readonly #statements: Statements;
  readonly #wire = new WireStats();
  readonly #keepAlive: ReturnType<typeof setInterval> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ServerOptions, driver: Driver<H>) {
    this.#driver = driver;
    this.dialect = driver.dialect;
    this.#place = `${options.host}:${options.port ?? driver.port}`;
    this.#statements = new Statements(DIALECTS[driver.dialect]);
    const { statementTimeoutMs = 5000, connectTimeoutMs = 5000, keepAliveMs } = options;
    this.workers = new Workers<H>({
      count: options.poolSize ?? 10,
      strategy: options.strategy,
      depth: driver.depth,
      open: () => driver.open(this.#wire),
      broken: driver.broken,
      gone: driver.gone,
      readOnly: driver.readOnly,
      full: (error) => this.#isFull(error),
      close: driver.close,
      answerMs: statementTimeoutMs === 0 ? Number.POSITIVE_INFINITY : statementTimeoutMs + connectTimeoutMs,
    });
    const server = {
      probe: (wasUp: boolean) => this.#probe(wasUp),
      drop: () => this.workers.drop(),
      look: (now: number, heldUp: number) => this.workers.look(now, heldUp),
      errorOf: driver.errorOf,
      refused: driver.readOnly,
    };
    this.patience = new Patience(server, options);
    if (keepAliveMs !== undefined) this.#keepAlive = setInterval(() => this.#keep(), keepAliveMs);
  }

  /** Proves that a server answers. When none does, closes, and rejects with a {@link StorageError}, mostly "unavailable". */
  async reached(): Promise<this> {
    try {
      await this.#probe(false);
      return this;
    } catch (cause) {
      await this.close();
      const { code, message } = this.#driver.errorOf(cause);
      throw new StorageError(code, `Cannot reach ${this.#driver.name} at "${this.#place}": ${message}`, { cause });
    }
  }

  async #probe(wasUp: boolean): Promise<void> {
    try {
      await this.#driver.probe(this.#wire);
    } catch (cause) {
      // "Too many connections" is an answer: those that are open work.
      if (!(wasUp && this.#isFull(cause))) throw cause;
    }
  }

  #isFull(cause: unknown): boolean {
    return cause instanceof Error && "code" in cause && this.#driver.full.has(String(cause.code));
  }

  #keep(): void {
    // A connection that breaks by it is replaced when it is wanted; whether the server is gone is found out at once.
    this.workers.idle((connection) => this.#driver.ask(connection)).catch(() => this.patience.suspect());
  }

  abstract query<R extends object>(sql: string, params?: readonly SqlValue[]): Promise<R[]>;

  scan<R extends object>(sql: string, params?: readonly SqlValue[]): Promise<R[]> {
    return this.query(sql, params);
  }

  abstract execute(sql: string, params?: readonly SqlValue[]): Promise<number>;
  abstract insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void>;

  async upsert(table: string, keys: Record<string, SqlValue>, values: Record<string, SqlValue>): Promise<void> {
    const sql = this.#statements.upsert(table, Object.keys(keys), Object.keys(values));
    // Done twice it is as it was done once.
    const write = async (params: readonly SqlValue[]) => void (await this.execute(sql, params));
    await surely(write, write)([...Object.values(keys), ...Object.values(values)]);
  }

  async insertNew(table: string, row: Record<string, SqlValue>): Promise<boolean> {
    const sql = this.#statements.insertNew(table, Object.keys(row));
    return (await this.execute(sql, Object.values(row))) > 0;
  }

  async transaction(statements: readonly Statement[]): Promise<number[]> {
    return statements.length === 0 ? [] : this.begin(statements, statements.length);
  }

  /** Runs all statements, of which there are some, or none; `rows` as in `Patience.run`. */
  protected abstract begin(statements: readonly Statement[], rows: number): Promise<number[]>;

  stats(): DbStats {
    return { ...this.patience.stats(), wire: this.#wire };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    clearInterval(this.#keepAlive);
    await this.patience.close();
    await this.workers.end(0);
    this.patience.end();
  }
}
