// The synchronous half of the SQLite store: runs a batch of requests as one transaction. Lives in the worker.
import { Database, SQLiteError, type Statement } from "bun:sqlite";
import { closeSync, existsSync, openSync, statSync } from "node:fs";
import { type SqlValue, StorageError, type StorageErrorCode } from "../db.ts";
import {
  CHANGES,
  FAILED,
  LIST,
  QUERY,
  ROWS,
  RUN,
  RUN_MANY,
  type SqliteSettings,
  UNSURE,
  type Wire,
} from "./protocol.ts";

/** Pages in the write-ahead log after which a commit pays for a checkpoint; idle time normally does it before. */
const CHECKPOINT_PAGES = 4000;
/** Elements of a batch that has more than one request. */
const SEVERAL = 12;
/** Size to which the write-ahead log is cut after a checkpoint. */
const WAL_LIMIT_BYTES = 64 * 1024 * 1024;
/** Tries to move the log to the database while others write on. */
const ROUNDS = 10;
/** How long that may wait for others in the end. */
const RESTART_WAIT_MS = 50;
/** How long a starting server waits for one that is just stopping. */
const LOCK_WAIT_MS = 250;
const PAGE_BYTES = 4096;

interface Prepared {
  text: string;
  writes: boolean;
  statement: Statement<unknown, SqlValue[]> | undefined;
}

export class SqliteEngine {
  readonly #db: Database;
  readonly #lock: Database | undefined;
  readonly #begin: Statement;
  readonly #beginRead: Statement;
  /** A transaction is open for reads alone. */
  #reading = false;
  readonly #commit: Statement;
  readonly #save: Statement;
  readonly #release: Statement;
  readonly #undo: Statement;
  #prepared: Prepared[] = [];
  /** Where the running transaction's results start in the reply; -1 outside a transaction. */
  #begunAt = -1;
  /** The operation that it was begun for. */
  #begunFor = 0;
  /** Operations answered since the transaction began. */
  #since = 0;
  /** Why no transaction could be begun in this batch. */
  #barred: unknown;
  #rows = 0;
  /** True when commits wait in the write-ahead log for a checkpoint. */
  dirty = false;

  /** Opens and locks the file. Throws a {@link StorageError}. */
  constructor(private readonly settings: SqliteSettings) {
    const opened: Database[] = [];
    try {
      if (settings.file !== ":memory:" && !settings.reads) {
        this.#lock = takeLock(settings.file);
        opened.push(this.#lock);
        makePrivate(settings.file);
      }
      // safeIntegers: message ids use 59 bits, more than a JS number holds.
      this.#db = new Database(settings.file, { create: !settings.reads, readwrite: true, safeIntegers: true });
      opened.push(this.#db);
      this.#db.run(`PRAGMA busy_timeout = ${settings.busyTimeoutMs}`);
      this.#db.run(`PRAGMA cache_size = -${settings.cacheKib}`);
      this.#db.run("PRAGMA temp_store = MEMORY");
      if (settings.reads) this.#db.run("PRAGMA query_only = ON");
      else this.#prepareToWrite(settings);
      // Reads the header, so that a file which is no database fails now and not on the first request.
      this.#db.query("SELECT count(*) FROM sqlite_master").get();
      this.#begin = this.#db.prepare("BEGIN IMMEDIATE");
      this.#beginRead = this.#db.prepare("BEGIN");
      this.#commit = this.#db.prepare("COMMIT");
      this.#save = this.#db.prepare("SAVEPOINT request");
      this.#release = this.#db.prepare("RELEASE request");
      this.#undo = this.#db.prepare("ROLLBACK TO request");
    } catch (cause) {
      for (const db of opened) db.close();
      if (cause instanceof StorageError) throw cause;
      const failure = classify(cause);
      const { code } = failure;
      const message = code === "full" ? "no space is left on the disk" : failure.message;
      throw new StorageError(code, `Cannot open database "${settings.file}": ${message}`, { cause });
    }
  }

  #prepareToWrite(settings: SqliteSettings): void {
    this.#db.run(`PRAGMA page_size = ${PAGE_BYTES}`);
    this.#db.run("PRAGMA journal_mode = WAL");
    this.#db.run(`PRAGMA synchronous = ${settings.synchronous}`);
    // As every other database does: a store that forgets a row that is referred to fails here too.
    this.#db.run("PRAGMA foreign_keys = ON");
    this.#db.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    this.#db.run(`PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`);
    if (settings.maxBytes > 0)
      this.#db.run(`PRAGMA max_page_count = ${Math.max(1, Math.floor(settings.maxBytes / PAGE_BYTES))}`);
  }

  /** Ends the transaction that reads share. */
  #endRead(): void {
    if (!this.#reading) return;
    this.#reading = false;
    try {
      // An error of the disk ends a transaction by itself.
      if (this.#db.inTransaction) this.#commit.run();
    } catch {
      // SQLite commits nothing that has met damage, not even reads; they have their answers.
      this.#rollback();
    }
  }

  #rollback(): void {
    if (this.#db.inTransaction) this.#db.run("ROLLBACK");
  }

  /**
   * Runs the requests of a batch in order, all writes in one transaction that is durable when this returns.
   * A request that fails takes nothing with it: SQLite undoes a failing statement by itself, and requests of several
   * statements run in a savepoint. One that ends the whole transaction (damage, an error of the disk) is left out, and
   * what went before it done again. Only when the commit fails (a full disk), all requests of it do.
   */
  run(batch: Wire): Wire {
    const started = performance.now();
    this.#rows = 0;
    this.#barred = undefined;
    const out: Wire = [0, 0];
    this.#learn(batch);
    if (this.settings.reads) this.#shorten();
    // Reads of one batch share a transaction: outside of one each takes and gives back the file's locks.
    if ((batch[1] as number) > SEVERAL) {
      this.#beginRead.run();
      this.#reading = true;
    }
    for (let at = 2; at < (batch[1] as number); ) at = this.#request(batch, at, out);
    this.#endRead();
    this.#end(out);
    out[0] = performance.now() - started;
    out[1] = this.#rows;
    return out;
  }

  /** Commits what was written. */
  #end(out: Wire): void {
    if (this.#begunAt < 0) return;
    try {
      this.#commit.run();
      this.dirty = true;
    } catch (cause) {
      this.#rollback();
      // It may be whole in the log, and only its way to the disk have failed: who opens the file after a crash finds it.
      this.#lose(out, cause, classify(cause).code === "unavailable" ? UNSURE : FAILED);
    }
    this.#begunAt = -1;
  }

  /** Moves commits from the write-ahead log to the database file, as far as readers and the disk let it. */
  checkpoint(): void {
    this.dirty = false;
    try {
      this.#db.run("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // Nothing is lost: the commits stay in the log, and a disk that fails will fail the next commit too.
    }
  }

  /**
   * Empties the write-ahead log when it has grown large. Whoever reads keeps it from being begun anew, and where one read
   * follows another it would grow as long as they come. Writers wait for the last few pages only.
   */
  #shorten(): void {
    const log = statSync(`${this.settings.file}-wal`, { throwIfNoEntry: false });
    if (log === undefined || log.size <= WAL_LIMIT_BYTES) return;
    try {
      for (let round = 0; this.#pagesLeft() > CHECKPOINT_PAGES; round++) if (round === ROUNDS) return;
      // Writers wait as long as this waits for other readers: a backup, a shell.
      this.#db.run(`PRAGMA busy_timeout = ${RESTART_WAIT_MS}`);
      this.#db.run("PRAGMA wal_checkpoint(RESTART)");
    } catch {
      // Before the next read, then.
    } finally {
      this.#db.run(`PRAGMA busy_timeout = ${this.settings.busyTimeoutMs}`);
    }
  }

  /** Moves what the log has now to the database. Returns how much is in it that was not moved. */
  #pagesLeft(): number {
    const statement = this.#db.prepare<Record<string, bigint>, []>("PRAGMA wal_checkpoint(PASSIVE)");
    const [row] = statement.all();
    statement.finalize();
    return Number(row.log - row.checkpointed);
  }

  close(): void {
    this.#forget();
    for (const statement of [this.#begin, this.#beginRead, this.#commit, this.#save, this.#release, this.#undo])
      statement.finalize();
    this.#db.close();
    this.#lock?.close();
  }

  /** Takes in the new statement texts, which follow the operations. */
  #learn(batch: Wire): void {
    if (batch[0] === 1) this.#forget();
    for (let at = batch[1] as number; at < batch.length; at++) {
      const text = batch[at] as string;
      this.#prepared.push({ text, writes: !isRead(text), statement: undefined });
    }
  }

  #forget(): void {
    for (const { statement } of this.#prepared) statement?.finalize();
    this.#prepared = [];
  }

  #request(batch: Wire, at: number, out: Wire): number {
    const end = endOf(batch, at);
    const start = out.length;
    try {
      switch (batch[at]) {
        case QUERY:
          this.#query(batch, at, end, out);
          break;
        case RUN:
          this.#ensureBegun(at, out);
          out.push(CHANGES, this.#runOne(batch[at + 1] as number, batch.slice(at + 3, end)));
          break;
        case RUN_MANY:
          this.#ensureBegun(at, out);
          this.#atomically(() => this.#runMany(batch, at, end, out));
          break;
        default:
          this.#ensureBegun(at, out);
          this.#atomically(() => this.#transaction(batch, at, out));
      }
      if (this.#begunAt >= 0) this.#since++;
    } catch (cause) {
      out.length = start;
      const { code, message } = classify(cause);
      if (this.#begunAt >= 0) {
        if (!this.#db.inTransaction || code === "corrupt") this.#redo(batch, at, out);
        else this.#since++;
      }
      out.push(FAILED, code, message);
    }
    return end;
  }

  /** Commits what went before an operation that its transaction cannot be committed with; what follows starts another. */
  #redo(batch: Wire, failed: number, out: Wire): void {
    this.#rollback();
    out.length = this.#begunAt;
    this.#begunAt = -1;
    for (let at = this.#begunFor; at < failed; ) at = this.#request(batch, at, out);
    this.#end(out);
  }

  #ensureBegun(at: number, out: Wire): void {
    if (this.#begunAt >= 0) return;
    // Each would wait for the lock anew, and all that is behind them.
    if (this.#barred !== undefined) throw this.#barred;
    this.#endRead();
    try {
      this.#begin.run();
    } catch (cause) {
      this.#barred = cause;
      throw cause;
    }
    this.#begunAt = out.length;
    this.#begunFor = at;
    this.#since = 0;
  }

  /** Replaces the results since BEGIN by failures: reads too, for they saw what is not there any more. */
  #lose(out: Wire, cause: unknown, result: number): void {
    const { code, message } = classify(cause);
    out.length = this.#begunAt;
    for (let i = 0; i < this.#since; i++) out.push(result, code, message);
  }

  #atomically(work: () => void): void {
    this.#save.run();
    try {
      work();
    } catch (cause) {
      if (this.#db.inTransaction) {
        try {
          this.#undo.run();
          this.#release.run();
        } catch {
          this.#rollback();
        }
      }
      throw cause;
    }
    this.#release.run();
  }

  #query(batch: Wire, at: number, end: number, out: Wire): void {
    const number = batch[at + 1] as number;
    if (this.#prepared[number].writes) this.#ensureBegun(at, out);
    const params = batch.slice(at + 3, end);
    const statement = this.#statement(number, params.length);
    const rows = statement.values(...params) as SqlValue[][];
    const columns = statement.columnNames;
    out.push(ROWS, columns.length, rows.length);
    for (const name of columns) out.push(name);
    for (const row of rows) for (const value of row) out.push(typeof value === "bigint" ? narrow(value) : value);
    this.#rows += rows.length;
  }

  #runOne(number: number, params: SqlValue[]): number {
    const changes = Number(this.#statement(number, params.length).run(...params).changes);
    this.#rows += changes;
    return changes;
  }

  #runMany(batch: Wire, at: number, end: number, out: Wire): void {
    const number = batch[at + 1] as number;
    const columns = batch[at + 2] as number;
    const statement = this.#statement(number, columns);
    for (let row = at + 4; row < end; row += columns) statement.run(...batch.slice(row, row + columns));
    const rows = batch[at + 3] as number;
    this.#rows += rows;
    out.push(CHANGES, rows);
  }

  #transaction(batch: Wire, at: number, out: Wire): void {
    const count = batch[at + 1] as number;
    out.push(LIST, count);
    for (let i = 0, next = at + 2; i < count; i++) {
      const from = next + 2;
      next = from + (batch[next + 1] as number);
      out.push(this.#runOne(batch[from - 2] as number, batch.slice(from, next)));
    }
  }

  #statement(number: number, params: number): Statement<unknown, SqlValue[]> {
    const prepared = this.#prepared[number];
    prepared.statement ??= this.#db.prepare<unknown, SqlValue[]>(prepared.text);
    if (prepared.statement.paramsCount !== params)
      throw new StorageError(
        "syntax",
        `${prepared.statement.paramsCount} parameters expected, ${params} given: ${prepared.text}`,
      );
    return prepared.statement;
  }
}

/** Where the operation at `at` ends. */
function endOf(batch: Wire, at: number): number {
  switch (batch[at]) {
    case QUERY:
    case RUN:
      return at + 3 + (batch[at + 2] as number);
    case RUN_MANY:
      return at + 4 + (batch[at + 2] as number) * (batch[at + 3] as number);
    default: {
      let end = at + 2;
      for (let left = batch[at + 1] as number; left > 0; left--) end += 2 + (batch[end + 1] as number);
      return end;
    }
  }
}

/** False for a statement that may write; a WITH that mentions a writing verb counts as one. */
function isRead(text: string): boolean {
  return (
    /^\s*(SELECT|VALUES|EXPLAIN|PRAGMA)\b/i.test(text) || /^\s*WITH\b(?!.*\b(INSERT|UPDATE|DELETE)\b)/is.test(text)
  );
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Makes a file that only its owner may read: SQLite would let others in, and gives the log beside it the same mode. */
function makePrivate(file: string): void {
  // To open and close one that is there could end a lock that this process has on it.
  if (existsSync(file)) return;
  try {
    closeSync(openSync(file, "a", 0o600));
  } catch {
    // SQLite, which comes to the same end, has its own words for it.
    return;
  }
}

/**
 * Locks a side file for the life of this process, so that a second server on the same database fails at once.
 * The database file itself stays open to backups and shells. The kernel drops the lock when the process dies.
 */
export function takeLock(file: string): Database {
  makePrivate(`${file}.lock`);
  const lock = new Database(`${file}.lock`, { create: true, readwrite: true });
  try {
    lock.run(`PRAGMA busy_timeout = ${LOCK_WAIT_MS}`);
    lock.run("PRAGMA journal_mode = MEMORY");
    lock.run("BEGIN EXCLUSIVE");
    // Never committed. Of a file that this user may only read, SQLite would have taken no more than a reader's lock.
    lock.run("PRAGMA user_version = 1");
    return lock;
  } catch (cause) {
    lock.close();
    if (cause instanceof SQLiteError && cause.code?.startsWith("SQLITE_READONLY")) {
      const words = `Cannot open database "${file}": this user may not write to "${file}.lock"; give it to the user that runs the server`;
      throw new StorageError("unavailable", words, { cause });
    }
    if (classify(cause).code !== "locked") throw cause;
    throw new StorageError(
      "locked",
      `Cannot open database "${file}": another server is using it; stop that server or use another state directory`,
      { cause },
    );
  }
}

interface Failure {
  code: StorageErrorCode;
  message: string;
}

const CODES: readonly [prefix: string, code: StorageErrorCode][] = [
  ["SQLITE_FULL", "full"],
  // What it shares with other connections about the log.
  ["SQLITE_IOERR_SHMSIZE", "full"],
  ["SQLITE_BUSY", "locked"],
  ["SQLITE_LOCKED", "locked"],
  ["SQLITE_CORRUPT", "corrupt"],
  ["SQLITE_NOTADB", "corrupt"],
  ["SQLITE_CONSTRAINT", "constraint"],
  ["SQLITE_MISMATCH", "constraint"],
  ["SQLITE_TOOBIG", "constraint"],
  ["SQLITE_INTERRUPT", "timeout"],
  ["SQLITE_IOERR", "unavailable"],
  ["SQLITE_CANTOPEN", "unavailable"],
  ["SQLITE_READONLY", "unavailable"],
  ["SQLITE_PERM", "unavailable"],
  ["SQLITE_NOMEM", "unavailable"],
];

/** Names an error of bun:sqlite in the words of {@link StorageErrorCode}. */
export function classify(cause: unknown): Failure {
  if (cause instanceof StorageError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const name = cause instanceof SQLiteError ? (cause.code ?? "") : "";
  const known = CODES.find(([prefix]) => name.startsWith(prefix));
  // What is left is a statement that does not fit the schema, or a value that no column can hold.
  return { code: known?.[1] ?? (cause instanceof RangeError ? "constraint" : "syntax"), message };
}
