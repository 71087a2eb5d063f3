// The connections to MySQL, and the requests that wait for one.
import { StorageError } from "../db.ts";
import { MysqlConnection, type MysqlOptions } from "./connection.ts";
import { toStorageError } from "./errors.ts";

/** Longest pause before a connection is tried again, in milliseconds. */
const MAX_BACKOFF_MS = 1000;

interface Job {
  /** By `performance.now`; infinite for what may take its time. */
  readonly deadline: number;
  run(connection: MysqlConnection): Promise<void>;
  fail(error: StorageError): void;
}

/** Opens connections as they are needed; each runs one request at a time, the rest wait in the order of issue. */
export class MysqlPool {
  readonly #options: MysqlOptions;
  readonly #size: number;
  /** After this many milliseconds a request is given up, whatever the network does. */
  readonly patienceMs: number;
  readonly #idle: MysqlConnection[] = [];
  readonly #busy = new Map<MysqlConnection, Job>();
  #waiting: Job[] = [];
  /** Where `#waiting` begins: what is before it has gone. */
  #first = 0;
  #opening = 0;
  #failures = 0;
  #retry: Timer | undefined;
  #watch: Timer | undefined;
  #closed = false;

  constructor(options: MysqlOptions) {
    this.#options = options;
    this.#size = options.poolSize ?? 10;
    this.patienceMs = (options.statementTimeoutMs ?? 5000) + (options.connectTimeoutMs ?? 5000);
  }

  /** Runs a request on the next connection that is free; `patient` ones are not given up while they run. */
  run<T>(work: (connection: MysqlConnection) => Promise<T>, patient = false): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push({
      deadline: patient ? Number.POSITIVE_INFINITY : performance.now() + this.patienceMs,
      run: (connection) => work(connection).then(resolve, reject),
      fail: reject,
    });
    this.#watch ??= setInterval(() => this.#sweep(), Math.min(250, this.patienceMs / 4));
    this.#pump();
    return promise;
  }

  /** To be called when every request has been answered. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    for (const connection of [...this.#idle]) connection.end();
    for (const connection of [...this.#busy.keys()]) connection.destroy();
  }

  get #queued(): number {
    return this.#waiting.length - this.#first;
  }

  #pump(): void {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      const job = this.#shift();
      if (job === undefined) {
        this.#idle.push(connection);
        return;
      }
      this.#start(connection, job);
    }
    if (this.#retry !== undefined || this.#closed) return;
    const wanted = Math.min(this.#queued, this.#size - this.#busy.size);
    while (this.#opening < wanted) this.#open();
  }

  #shift(): Job | undefined {
    if (this.#first === this.#waiting.length) return undefined;
    const job = this.#waiting[this.#first++];
    if (this.#first > 1024 && this.#first * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return job;
  }

  #start(connection: MysqlConnection, job: Job): void {
    this.#busy.set(connection, job);
    void job.run(connection).then(() => {
      // Else it is gone.
      if (this.#busy.delete(connection)) this.#idle.push(connection);
      this.#pump();
    });
  }

  #open(): void {
    this.#opening++;
    MysqlConnection.open(this.#options).then(
      (connection) => {
        this.#opening--;
        this.#failures = 0;
        if (this.#closed) {
          connection.end();
          return;
        }
        connection.onGone = () => this.#forget(connection);
        this.#idle.push(connection);
        this.#pump();
      },
      (cause: unknown) => {
        this.#opening--;
        this.#failed(toStorageError(cause));
      },
    );
  }

  #failed(error: StorageError): void {
    if (this.#closed || this.#retry !== undefined) return;
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        this.#pump();
      },
      Math.min(MAX_BACKOFF_MS, 50 * 2 ** this.#failures++),
    );
    // Nobody else is there to do what waits: no use in waiting longer.
    if (this.#busy.size === 0 && this.#idle.length === 0) this.#failAll(error);
  }

  #failAll(error: StorageError): void {
    const jobs = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    for (const job of jobs) job.fail(error);
  }

  #forget(connection: MysqlConnection): void {
    this.#busy.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Gives up requests that waited too long; a connection that is silent so long leads nowhere. */
  #sweep(): void {
    const now = performance.now();
    const late = () => new StorageError("unavailable", `no answer within ${this.patienceMs} ms`);
    for (let i = this.#first; i < this.#waiting.length && this.#waiting[i].deadline < now; i++)
      this.#shift()?.fail(late());
    for (const [connection, job] of this.#busy) {
      if (job.deadline >= now) continue;
      job.fail(late());
      connection.destroy();
    }
    this.#pump();
    if (this.#queued + this.#busy.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }
}
