// How long is waited for a database server, by whom, and how many may wait: what all servers have in common. A circuit:
// once it is known that no server answers, requests wait for it as long as one that is started anew takes; after that they
// are refused at once, until a probe finds that it is back.
import { type DbCall, type DbCalls, type DbStats, queueIsFull, StorageError } from "./db.ts";
import { within } from "./turning.ts";

/** What a driver does for its `Patience`. */
export interface WatchedServer {
  /** Asks for a sign of life over a connection of its own. `wasUp`: a server that refuses only more connections lives. */
  probe(wasUp: boolean): Promise<void>;
  /** Ends all connections at once: they lead nowhere, and nothing goes to them any more. New ones are made when they are wanted. */
  drop(): void;
  /**
   * Looks for single connections that are dead among others that live; called now and then while requests wait.
   * `heldUp`: so many milliseconds since the last look this process could read no answer.
   */
  look?(now: number, heldUp: number): void;
  /** Names an error of the driver. */
  errorOf(cause: unknown): StorageError;
  /** Whether an error is the answer of a server that does not do what was asked now, though it may do so later. */
  refused?(cause: unknown): boolean;
}

/** A change for the log. */
export interface ServerChange {
  up: boolean;
  /** Why it is not up. */
  error?: StorageError;
  /** How long it was away, in milliseconds. */
  awayMs?: number;
}

export interface PatienceOptions {
  /** Requests that may be unanswered; more are refused at once. Default: no such bound, only that of rows. */
  maxRequests?: number;
  /** Rows (statements, or rows of an `insertMany`) that may be unanswered, for they take memory; default 100,000. */
  maxRows?: number;
  /** How long a caller waits in all, tries after a conflict included, in ms; Infinity for as long as it takes. Default 60,000. */
  callTimeoutMs?: number;
  /** The longest pause between two probes of a server that is away, in ms; default 30,000. */
  maxPauseMs?: number;
  /** How long requests wait for a server that has gone away, in ms; default 5,000. Of one away for longer, none wait. */
  graceMs?: number;
  /** Told when the server goes and when it is back. */
  changed?: (change: ServerChange) => void;
  /** Told how long requests took, waiting included, once somebody wants to know. */
  calls?: DbCalls;
}

/** One try at a request, shared between the driver and its `Patience`. */
export interface Attempt {
  /** Set by the driver: something that would be committed is on its way, and no answer has come. */
  mayBeDone: boolean;
  /** Set by a driver that may still hold it back: whether it has gone. */
  sent?: () => boolean;
  /** Why the try before failed, if there was one. */
  readonly before?: unknown;
  /** The caller has been answered: what is not on its way need not go any more. */
  readonly givenUp: boolean;
}

interface Pending extends Attempt {
  givenUp: boolean;
  readonly startedAt: number;
  readonly callUntil: number;
  reject(error: StorageError): void;
}

/** What became of the tries of a request so far. */
interface Tries {
  conflicts: number;
  /** Before the next one that met no server, ms. */
  pause: number;
  /** Until then (performance.now()) it is run again when it meets no server. */
  readonly until: number;
}

/** Tries of a request that loses to concurrent ones. */
const ATTEMPTS = 5;
/** Without any answer for this long the server is probed. */
const QUIET_MS = 2000;
/** Pauses between probes grow beyond this only with the time that the server has been away. */
const SHORT_PAUSE_MS = 250;
/** A probe that takes longer has failed. */
export const PROBE_MS = 3000;
const FIRST_PAUSE_MS = 100;
/** Pauses between tries of a request that meets no server, before it is known whether there is one. */
const FIRST_TRY_PAUSE_MS = 25;
const MOST_TRY_PAUSE_MS = 1000;
/** The longest wait for the last answers when the database is closed. */
const CLOSE_MS = 10_000;
/** How often it is looked whether somebody waits for too long. */
const LOOK_MS = 250;

export class Patience {
  readonly #server: WatchedServer;
  readonly #options: Required<Omit<PatienceOptions, "changed" | "calls">> & Pick<PatienceOptions, "changed" | "calls">;
  readonly #pending = new Set<Pending>();
  readonly #stats: DbStats = { queued: 0, batches: 0, rows: 0, lastBatchMs: 0, up: true };
  #rows = 0;
  /** When the server answered last, or was asked first after it was silent. */
  #answeredAt = 0;
  #watch: ReturnType<typeof setInterval> | undefined;
  #lookedAt = 0;
  #probe: Promise<void> | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #lostAt = 0;
  #absence: Absence | undefined;
  #why: StorageError | undefined;
  #closed = false;

  constructor(server: WatchedServer, options: PatienceOptions = {}) {
    this.#server = server;
    this.#options = {
      maxRequests: options.maxRequests ?? Number.POSITIVE_INFINITY,
      maxRows: options.maxRows ?? 100_000,
      callTimeoutMs: options.callTimeoutMs ?? 60_000,
      maxPauseMs: options.maxPauseMs ?? 30_000,
      graceMs: options.graceMs ?? 5000,
      changed: options.changed,
      calls: options.calls,
    };
  }

  stats(): DbStats {
    return { ...this.#stats };
  }

  /**
   * Runs a request: bounded, with a deadline, and again when nothing of it was done: when the server says that a concurrent
   * transaction won, and while there is no server, for a moment. What failed in any other way is not run again: it may have
   * been done, and then `maybeDone` of the error says so.
   * @param rows what it adds to the rows that wait
   * @param work one try
   * @param call its kind, for metrics
   * @throws StorageError
   */
  async run<T>(rows: number, work: (attempt: Attempt) => Promise<T>, call: DbCall = "execute"): Promise<T> {
    this.#admit(rows);
    this.#rows += rows;
    this.#stats.queued++;
    const begun = performance.now();
    const callUntil = begun + this.#options.callTimeoutMs;
    let tries: Tries | undefined;
    let before: unknown;
    try {
      for (;;) {
        // Nothing is awaited while it is there: what is sent at once goes before what others do next.
        if (!this.#stats.up) await this.#return(callUntil);
        try {
          return await this.#once(work, callUntil, before);
        } catch (error) {
          before = error;
          tries ??= { conflicts: 0, pause: FIRST_TRY_PAUSE_MS, until: performance.now() + this.#options.graceMs };
          const pause = this.#pauseBefore(error, tries, callUntil);
          if (pause === undefined) throw error;
          // Of those that lock each other out, each waits for another time.
          await Bun.sleep(pause * (0.5 + Math.random()));
        }
        this.#check();
      }
    } finally {
      this.#rows -= rows;
      this.#stats.queued--;
      this.#options.calls?.report?.(call, (performance.now() - begun) * 1000);
    }
  }

  /** How long to wait before a request is run again after an error; undefined when it is not to be. */
  #pauseBefore(error: unknown, tries: Tries, callUntil: number): number | undefined {
    if (!(error instanceof StorageError) || error.maybeDone) return undefined;
    if (error.code === "conflict") return ++tries.conflicts === ATTEMPTS ? undefined : 5 * 2 ** tries.conflicts;
    if (error.code !== "unavailable") return undefined;
    const { pause } = tries;
    if (performance.now() + pause >= Math.min(tries.until, callUntil)) return undefined;
    tries.pause = Math.min(2 * pause, MOST_TRY_PAUSE_MS);
    return pause;
  }

  /** Waits for a server that has gone away; throws when it is not back in time. */
  async #return(callUntil: number): Promise<void> {
    while (!this.#stats.up) {
      this.#check();
      const left = callUntil - performance.now();
      if (left <= 0) throw this.#tooLate();
      const ended = this.#absence?.ended;
      await (left > this.#options.graceMs ? ended : Promise.race([ended, Bun.sleep(left)]));
    }
    this.#check();
  }

  /** Refuses everything from now on, and resolves when nobody waits for an answer any more, or after ten seconds. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#absence?.end();
    const until = performance.now() + CLOSE_MS;
    while (this.#stats.queued > 0 && performance.now() < until) await Bun.sleep(5);
  }

  /** Ends the look-outs, once nothing runs any more. */
  end(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** Somebody found the server silent or a connection broken: it is probed, and lost when that fails. */
  suspect(): void {
    if (this.#probe !== undefined || this.#closed || !this.#stats.up) return;
    this.#probe = this.#askAlive(true).then(
      () => {
        this.#probe = undefined;
        this.#answeredAt = performance.now();
      },
      (cause: unknown) => {
        this.#probe = undefined;
        if (!this.#closed) this.#lose(this.#server.errorOf(cause));
      },
    );
  }

  #admit(rows: number): void {
    this.#check();
    if (
      this.#stats.queued >= this.#options.maxRequests ||
      (this.#rows > 0 && this.#rows + rows > this.#options.maxRows)
    )
      throw queueIsFull(this.#stats.queued);
  }

  #check(): void {
    if (this.#closed) throw new StorageError("unavailable", "Cannot use database: the database is closed");
    if (!this.#stats.up && this.#absence?.over)
      throw new StorageError("unavailable", `Cannot use database: ${this.#why?.message}`, { cause: this.#why });
  }

  #tooLate(): StorageError {
    return new StorageError("unavailable", `no answer within ${this.#options.callTimeoutMs} ms`);
  }

  #once<T>(work: (attempt: Attempt) => Promise<T>, callUntil: number, before: unknown): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const startedAt = performance.now();
    const pending: Pending = { mayBeDone: false, givenUp: false, before, startedAt, callUntil, reject };
    if (this.#pending.size === 0) this.#answeredAt = Math.max(this.#answeredAt, startedAt);
    this.#pending.add(pending);
    if (this.#watch === undefined) {
      this.#lookedAt = startedAt;
      this.#watch = setInterval(() => this.#look(), LOOK_MS);
    }
    work(pending).then(
      (value) => {
        this.#done(pending, true);
        this.#stats.rows += rowsOf(value);
        resolve(value);
      },
      (cause: unknown) => {
        if (pending.givenUp) return;
        const error = this.#server.errorOf(cause);
        const lost = error.code === "unavailable";
        this.#done(pending, !lost);
        if (lost) this.suspect();
        reject(lost && wasSent(pending) && !this.#server.refused?.(cause) ? unsure(error) : error);
      },
    );
    return promise;
  }

  #done(pending: Pending, answered: boolean): void {
    if (!this.#pending.delete(pending)) return;
    const now = performance.now();
    if (answered) this.#answeredAt = now;
    this.#stats.batches++;
    this.#stats.lastBatchMs = now - pending.startedAt;
  }

  #look(): void {
    const now = performance.now();
    const late = now - this.#lookedAt - LOOK_MS;
    const heldUp = late > LOOK_MS ? late : 0;
    this.#lookedAt = now;
    this.#answeredAt += heldUp;
    // Nothing was answered while a request waited for all its time, which may be less than what is waited here.
    let silent = now - this.#answeredAt > QUIET_MS;
    for (const pending of this.#pending) {
      if (now < pending.callUntil) continue;
      silent ||= this.#answeredAt <= pending.startedAt;
      // What has not gone may go yet.
      this.#giveUp(pending, this.#tooLate(), pending.mayBeDone);
    }
    if (silent) this.suspect();
    if (this.#pending.size === 0) {
      this.end();
      return;
    }
    this.#server.look?.(now, heldUp);
  }

  #giveUp(pending: Pending, error: StorageError, maybeDone: boolean): void {
    pending.givenUp = true;
    this.#pending.delete(pending);
    pending.reject(maybeDone ? unsure(error) : error);
  }

  #lose(why: StorageError): void {
    this.#stats.up = false;
    this.#why = why;
    this.#lostAt = performance.now();
    this.#absence = new Absence(this.#options.graceMs);
    this.#options.changed?.({ up: false, error: why });
    this.#server.drop();
    for (const pending of [...this.#pending])
      this.#giveUp(pending, new StorageError("unavailable", why.message), wasSent(pending));
    this.#again(FIRST_PAUSE_MS);
  }

  /** Probes after a pause; each pause is longer, up to the bound, and never quite that of other servers. */
  #again(pause: number): void {
    const next = async (): Promise<void> => {
      try {
        await this.#askAlive(false);
      } catch (cause) {
        if (this.#closed) return;
        this.#why = this.#server.errorOf(cause);
        // In proportion to the absence: what was away for a moment is found within a moment.
        const share = Math.max(SHORT_PAUSE_MS, (performance.now() - this.#lostAt) / 8);
        this.#again(Math.min(pause * 2, share, this.#options.maxPauseMs));
        return;
      }
      if (this.#closed) return;
      const now = performance.now();
      this.#stats.up = true;
      this.#answeredAt = now;
      this.#absence?.end();
      this.#options.changed?.({ up: true, awayMs: Math.round(now - this.#lostAt) });
    };
    this.#pause = setTimeout(() => void next(), pause * (0.8 + Math.random() * 0.2));
  }

  #askAlive(wasUp: boolean): Promise<void> {
    return within(PROBE_MS, "the server does not answer", this.#server.probe(wasUp));
  }
}

/** The time without a server. */
class Absence {
  /** Nobody waits for its end any more. */
  over = false;
  readonly #ended = Promise.withResolvers<void>();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(graceMs: number) {
    this.#timer = setTimeout(() => this.end(), graceMs);
  }

  /** Resolves when the server is back, or no request is to wait any longer. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.over = true;
    this.#ended.resolve();
  }
}

/** Throws when nobody waits for the answer any more: nobody hears of that, and it says nothing about the connection. */
export function stillWanted(attempt: Attempt): void {
  if (attempt.givenUp) throw new StorageError("timeout", "the request was given up");
}

const wasSent = ({ mayBeDone, sent }: Attempt): boolean => mayBeDone && (sent === undefined || sent());

/** The same error of a request that may have been done all the same. */
function unsure(error: StorageError): StorageError {
  return new StorageError(error.code, error.message, { cause: error.cause ?? error, maybeDone: true });
}

/** Rows of a result, or of the results of a transaction. */
function rowsOf(value: unknown): number {
  if (typeof value === "object" && value !== null && "changes" in value) return rowsOf(value.changes);
  if (!Array.isArray(value)) return typeof value === "number" ? value : 0;
  if ("count" in value && typeof value.count === "number") return value.count;
  return value.reduce<number>((sum, changes) => sum + (typeof changes === "number" ? changes : 0), 0);
}
