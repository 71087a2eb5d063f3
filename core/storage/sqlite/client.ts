// The main thread's half of the SQLite store: gathers requests into batches, one message and one commit each.
import type { Db, DbStats, SqlValue, Statement } from "../db.ts";
import { queueIsFull, StorageError, type StorageErrorCode } from "../db.ts";
import { DIALECTS, Statements, wrongWidth } from "../dialect.ts";
import type { ServerChange } from "../patience.ts";
import { Bytes, unpack } from "./bytes.ts";
import {
  CHANGES,
  LIST,
  QUERY,
  ROWS,
  RUN,
  RUN_MANY,
  type SqliteSettings,
  TRANSACTION,
  UNSURE,
  type Wire,
} from "./protocol.ts";
import { Scans } from "./scans.ts";
import { oneLine, startWorker } from "./start.ts";

export interface SqliteOptions {
  /** Path of the database file, or ":memory:". Beside it come `-wal`, `-shm` and `.lock`. */
  file: string;
  /** "full" (default): acknowledged writes survive a power cut. "normal": they survive a kill only. */
  synchronous?: "full" | "normal";
  /** Page cache in KiB; default 8192. */
  cacheKib?: number;
  /** Milliseconds to wait for the lock of a backup or a shell; default 5000. */
  busyTimeoutMs?: number;
  /** Largest size of the file in bytes; default 0, no limit. */
  maxBytes?: number;
  /** Least time between two commits in milliseconds, so that a steady trickle of writes shares them; default 2. */
  gatherMs?: number;
  /** Requests and rows that may wait; past it new requests fail at once; default 100,000. */
  maxQueued?: number;
  /** Called with SQLite's words for each request that found the file damaged. */
  damaged?: (message: string) => void;
  /** Called when the worker has failed, and when another one has opened the file. */
  changed?: (change: ServerChange) => void;
}

/** Pauses before the file is opened again after its worker has failed, in milliseconds: they double. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** Requests and rows in one message: bounds the time until the first is answered. Long reads go one by one. */
const BATCH_WEIGHT = 4096;
/** Bytes of blobs after which a message takes no more requests: they lie in one buffer, which doubles as it grows. */
const BATCH_BYTES = 8 * 1024 * 1024;
/**
 * Least time between two messages while many ask at once, in milliseconds: a message costs both threads a wake-up. How
 * many are many: readers who wait for each other's answers are not.
 */
const READ_GATHER_MS = 2;
const MANY = 4;
/** Of the connection for reads that go through very many rows: page cache in KiB, and how many may wait. */
const SCAN_CACHE_KIB = 2048;
const MOST_SCANS = 10_000;
/** Different statement texts kept prepared. */
const MAX_STATEMENTS = 500;

/** What the caller's promise becomes. */
const AS_ROWS = 0;
const AS_CHANGES = 1;
const AS_NEW = 2;
const AS_DONE = 3;
const AS_LIST = 4;

type Resolve = (value: unknown) => void;
type Reject = (error: StorageError) => void;

/** Requests that travel in one message; three arrays run in parallel, an entry for each request. */
interface Batch {
  texts: string[];
  wire: Wire;
  bytes: Bytes;
  weight: number;
  writes: boolean;
  shapes: number[];
  resolvers: Resolve[];
  rejecters: Reject[];
}

/**
 * Opens (and creates) a SQLite database in a worker of its own. Rejects with a {@link StorageError}: "locked" when
 * another server has it, "corrupt" when it is no database, "unavailable" when the file cannot be opened.
 */
export function openSqlite(options: SqliteOptions): Promise<Db> {
  const reads = (): Promise<Db> => open({ ...options, cacheKib: SCAN_CACHE_KIB, maxQueued: MOST_SCANS }, true);
  return open(options, false, options.file === ":memory:" ? undefined : new Scans(reads));
}

async function open(options: SqliteOptions, reads: boolean, scans?: Scans): Promise<Db> {
  const settings: SqliteSettings = {
    file: options.file,
    synchronous: options.synchronous ?? "full",
    cacheKib: options.cacheKib ?? 8192,
    busyTimeoutMs: options.busyTimeoutMs ?? 5000,
    maxBytes: options.maxBytes ?? 0,
    reads,
  };
  return new SqliteDb(await startWorker(settings), settings, options, scans);
}

class SqliteDb implements Db {
  readonly dialect = "sqlite";
  /** Undefined when it has ended. */
  #worker: Worker | undefined;
  readonly #gatherMs: number;
  readonly #maxQueued: number;
  readonly #statements = new Statements(DIALECTS.sqlite);
  /** Statement numbers by text, as the worker will know them when the last waiting batch arrives. */
  readonly #numbers = new Map<string, number>();
  readonly #waiting: Batch[] = [];
  #flying: Batch | undefined;
  #weight = 0;
  #scheduled: "no" | "soon" | "later" = "no";
  #timer: Timer | undefined;
  #lastWriteAt = Number.NEGATIVE_INFINITY;
  #lastSentAt = Number.NEGATIVE_INFINITY;
  /** The last message had many requests, and it pays to wait for more. */
  #crowded = false;
  #refusal: string | undefined;
  #closeSent = false;
  #ended: Promise<void> | undefined;
  #closing: { promise: Promise<void>; resolve: () => void } | undefined;
  readonly #stats: DbStats = { queued: 0, batches: 0, rows: 0, lastBatchMs: 0, up: true };

  constructor(
    worker: Worker,
    private readonly settings: SqliteSettings,
    private readonly options: SqliteOptions,
    private readonly scans: Scans | undefined,
  ) {
    this.#gatherMs = options.gatherMs ?? 2;
    this.#maxQueued = options.maxQueued ?? 100_000;
    this.#attach(worker);
  }

  #attach(worker: Worker): void {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Wire | null>) => {
      if (worker !== this.#worker) return;
      if (data === null) this.#closed();
      else this.#answer(data);
    };
    worker.onerror = ({ message }) => this.#die(worker, `the storage worker failed: ${oneLine(message)}`);
    worker.addEventListener("close", () => this.#die(worker, "the storage worker ended"));
  }

  query<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return this.#single<R[]>(QUERY, AS_ROWS, sql, params);
  }

  scan<R extends object>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    if (this.scans === undefined) return this.query(sql, params);
    // Refused before: a request that fails is not worth a worker.
    if (this.#refusal !== undefined) return Promise.reject(this.#refused());
    return this.scans.query(sql, params);
  }

  execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#single<number>(RUN, AS_CHANGES, sql, params);
  }

  upsert(table: string, keys: Record<string, SqlValue>, values: Record<string, SqlValue>): Promise<void> {
    const sql = this.#statements.upsert(table, Object.keys(keys), Object.keys(values));
    return this.#single<void>(RUN, AS_DONE, sql, [...Object.values(keys), ...Object.values(values)]);
  }

  insertNew(table: string, row: Record<string, SqlValue>): Promise<boolean> {
    const sql = this.#statements.insertNew(table, Object.keys(row));
    return this.#single<boolean>(RUN, AS_NEW, sql, Object.values(row));
  }

  insertMany(table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    if (rows.length === 0) return Promise.resolve();
    const wrong = wrongWidth(table, columns, rows);
    if (wrong) return Promise.reject(wrong);
    const refused = this.#refuse(rows.length);
    if (refused) return Promise.reject(refused);
    const sql = this.#statements.insert(table, columns);
    const batch = this.#room(rows.length, [sql]);
    batch.wire.push(RUN_MANY, this.#number(batch, sql), columns.length, rows.length);
    for (const row of rows) bind(batch, row);
    return this.#issue<void>(batch, AS_DONE, true);
  }

  transaction(statements: readonly Statement[]): Promise<number[]> {
    if (statements.length === 0) return Promise.resolve([]);
    const refused = this.#refuse(statements.length);
    if (refused) return Promise.reject(refused);
    const batch = this.#room(
      statements.length,
      statements.map(({ sql }) => sql),
    );
    batch.wire.push(TRANSACTION, statements.length);
    for (const { sql, params = [] } of statements) {
      batch.wire.push(this.#number(batch, sql), params.length);
      bind(batch, params);
    }
    return this.#issue<number[]>(batch, AS_LIST, true);
  }

  stats(): DbStats {
    return this.scans === undefined ? { ...this.#stats } : this.scans.addTo(this.#stats);
  }

  close(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    this.#refusal = "the database is closed";
    // Who closes the file last empties its write-ahead log.
    await this.scans?.close();
    if (this.#worker === undefined) return;
    this.#closing = Promise.withResolvers<void>();
    if (!this.#flying) this.#flush();
    await this.#closing.promise;
  }

  #single<T>(operation: number, shape: number, sql: string, params: readonly SqlValue[]): Promise<T> {
    const refused = this.#refuse(1);
    if (refused) return Promise.reject(refused);
    const batch = this.#room(1, [sql]);
    batch.wire.push(operation, this.#number(batch, sql), params.length);
    bind(batch, params);
    return this.#issue<T>(batch, shape, operation !== QUERY);
  }

  #refuse(weight: number): StorageError | undefined {
    if (this.#refusal !== undefined) return this.#refused();
    if (this.#weight + weight > this.#maxQueued && this.#weight > 0) return queueIsFull(this.#weight);
    this.#weight += weight;
    return undefined;
  }

  #refused(): StorageError {
    return new StorageError("unavailable", `Cannot use database: ${this.#refusal}`);
  }

  /** The batch that takes a request of this weight, with room for its statement texts in the worker's list. */
  #room(weight: number, texts: readonly string[]): Batch {
    let batch = this.#waiting[this.#waiting.length - 1] as Batch | undefined;
    const most = this.settings.reads ? 1 : BATCH_WEIGHT;
    if (batch === undefined || batch.weight >= most || batch.bytes.size >= BATCH_BYTES) batch = this.#newBatch(false);
    if (this.#numbers.size >= MAX_STATEMENTS && texts.some((text) => !this.#numbers.has(text))) {
      this.#numbers.clear();
      batch = this.#newBatch(true);
    }
    batch.weight += weight;
    return batch;
  }

  #newBatch(reset: boolean): Batch {
    const batch: Batch = {
      texts: [],
      wire: [reset ? 1 : 0, 0],
      bytes: new Bytes(),
      weight: 0,
      writes: false,
      shapes: [],
      resolvers: [],
      rejecters: [],
    };
    this.#waiting.push(batch);
    return batch;
  }

  #number(batch: Batch, sql: string): number {
    let number = this.#numbers.get(sql);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(sql, number);
      batch.texts.push(sql);
    }
    return number;
  }

  #issue<T>(batch: Batch, shape: number, writes: boolean): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    batch.shapes.push(shape);
    batch.resolvers.push(resolve);
    batch.rejecters.push(reject);
    batch.writes ||= writes;
    this.#stats.queued++;
    if (!this.#flying) this.#schedule(writes);
    return promise as Promise<T>;
  }

  /** Reads go out at the end of this turn of the event loop, and writes too unless a commit was just made. */
  #schedule(writes: boolean): void {
    if (this.#scheduled === "soon") return;
    const rest = writes
      ? this.#lastWriteAt + this.#gatherMs - performance.now()
      : this.#crowded
        ? this.#lastSentAt + READ_GATHER_MS - performance.now()
        : 0;
    if (rest > 0) {
      if (this.#scheduled === "later") return;
      this.#scheduled = "later";
      this.#timer = setTimeout(() => this.#flush(), rest);
      return;
    }
    if (this.#scheduled === "later") clearTimeout(this.#timer);
    this.#scheduled = "soon";
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (this.#scheduled === "later") clearTimeout(this.#timer);
    this.#scheduled = "no";
    if (this.#flying) return;
    const batch = this.#waiting.shift();
    if (batch) {
      this.#flying = batch;
      this.#lastSentAt = performance.now();
      this.#crowded = batch.shapes.length >= MANY;
      if (batch.writes) this.#lastWriteAt = this.#lastSentAt;
      batch.wire[1] = batch.wire.length;
      for (const text of batch.texts) batch.wire.push(text);
      this.#worker?.postMessage(batch.wire, batch.bytes.seal(batch.wire));
    } else if (this.#closing && !this.#closeSent) {
      this.#closeSent = true;
      this.#worker?.postMessage(null);
    }
  }

  #answer(reply: Wire): void {
    const batch = this.#flying;
    if (!batch) return;
    this.#flying = undefined;
    this.#weight -= batch.weight;
    this.#stats.queued -= batch.shapes.length;
    this.#stats.batches++;
    this.#stats.lastBatchMs = reply[0] as number;
    this.#stats.rows += reply[1] as number;
    unpack(reply);
    settle(batch, reply, this.options.damaged);
    const next = this.#waiting[0] as Batch | undefined;
    if (this.#closing) this.#flush();
    else if (next) this.#schedule(next.writes && next === this.#waiting[this.#waiting.length - 1]);
  }

  #closed(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#closing?.resolve();
  }

  /** The worker is gone: nothing that waits will be answered. */
  #die(worker: Worker, reason: string): void {
    // An error is followed by the end, and what is closed ends too.
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#refusal ??= reason;
    const flying = this.#flying;
    const lost = flying ? [flying, ...this.#waiting] : [...this.#waiting];
    this.#flying = undefined;
    this.#waiting.length = 0;
    this.#numbers.clear();
    this.#weight = 0;
    this.#stats.queued = 0;
    const error = new StorageError("unavailable", `Cannot use database: ${reason}`);
    for (const batch of lost) {
      // What the worker had been given may be committed.
      const options = { maybeDone: batch === flying && batch.writes };
      for (const reject of batch.rejecters) reject(new StorageError(error.code, error.message, options));
    }
    this.#closing?.resolve();
    // Another one is opened for reads when they are asked for, and what was in memory is lost.
    if (!this.settings.reads && this.settings.file !== ":memory:") this.#comeBack(worker, error);
  }

  /** Opens the file again; what was committed is there. */
  async #comeBack(failed: Worker, error: StorageError): Promise<void> {
    const lostAt = performance.now();
    this.#stats.up = false;
    this.options.changed?.({ up: false, error });
    failed.terminate();
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await Bun.sleep(pause);
      if (this.#ended !== undefined) return;
      const worker = await startWorker(this.settings).catch(() => undefined);
      if (worker === undefined) continue;
      if (this.#ended !== undefined) return void worker.terminate();
      this.#attach(worker);
      this.#refusal = undefined;
      this.#stats.up = true;
      this.options.changed?.({ up: true, awayMs: Math.round(performance.now() - lostAt) });
      return;
    }
  }
}

/** Bytes are copied: the caller may reuse its buffer. */
function bind({ wire, bytes }: Batch, values: readonly SqlValue[]): void {
  const places: (SqlValue | undefined)[] = wire;
  for (let i = 0; i < values.length; i++) {
    // What a caller leaves out in spite of the types must not be taken for the place of somebody's bytes.
    const value = values[i] ?? null;
    places.push(bytes.takes(value) ? undefined : value);
  }
}

/** Reads the results in order and settles the promise of each request. */
function settle(batch: Batch, reply: Wire, damaged: SqliteOptions["damaged"]): void {
  let at = 2;
  for (let i = 0; i < batch.shapes.length; i++) {
    switch (reply[at]) {
      case CHANGES: {
        const changes = reply[at + 1] as number;
        at += 2;
        const shape = batch.shapes[i];
        batch.resolvers[i](shape === AS_CHANGES ? changes : shape === AS_NEW ? changes > 0 : undefined);
        break;
      }
      case ROWS: {
        const columns = reply[at + 1] as number;
        const names = at + 3;
        const end = names + columns + columns * (reply[at + 2] as number);
        const rows: Record<string, SqlValue>[] = [];
        for (at = names + columns; at < end; at += columns) {
          const row: Record<string, SqlValue> = {};
          for (let c = 0; c < columns; c++) row[reply[names + c] as string] = reply[at + c];
          rows.push(row);
        }
        batch.resolvers[i](rows);
        break;
      }
      case LIST: {
        const end = at + 2 + (reply[at + 1] as number);
        batch.resolvers[i](reply.slice(at + 2, end));
        at = end;
        break;
      }
      default: {
        const code = reply[at + 1] as StorageErrorCode;
        const message = reply[at + 2] as string;
        if (code === "corrupt") damaged?.(message);
        batch.rejecters[i](new StorageError(code, message, { maybeDone: reply[at] === UNSURE }));
        at += 3;
      }
    }
  }
}
