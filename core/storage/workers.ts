// The connections of a pool, and who gets which: MongooseIM's "workers" and its strategies.

import { StorageError } from "./db.ts";

/** How a request finds its connection (`outgoing_pools.*.*.strategy`). */
export type Strategy = "best_worker" | "random_worker" | "next_worker" | "available_worker" | "next_available_worker";

export interface WorkersOptions<H> {
  count: number;
  strategy?: Strategy;
  /**
   * Requests that may be on their way on one connection at a time, where the protocol answers in order without waiting
   * (PostgreSQL's); 1 where it does not. The strategies that wait for a free worker never put two on one.
   */
  depth: number;
  /** Makes a connection, or something that connects when it is used. */
  open(): H;
  /** Ends one: at once, or when what it does is done. */
  close(handle: H, atOnce: boolean): Promise<void>;
  /** Whether an error means that its connection is of no more use; without it one that breaks mends itself. */
  broken?(error: unknown): boolean;
  /** Whether a connection has ended; without it one that has is made again by itself. */
  gone?(handle: H): boolean;
  /**
   * Whether an error means that the server takes no writes any more: another may have taken its place, to which only a new
   * connection leads. What is on the old one is finished there.
   */
  readOnly?(error: unknown): boolean;
  /** Whether an error means that the server has no room for a connection: those that have one are used meanwhile. */
  full?(error: unknown): boolean;
  /** A connection that has answered nothing for so long, with requests on it, is dead; Infinity where a request may take for ever. */
  answerMs: number;
}

/** A connection, and what is on it. */
interface Line<H> {
  readonly handle: H;
  readonly openedAt: number;
  /** How to fail it: a client library may forget what was on a connection that it was told to end. */
  readonly running: Set<(error: StorageError) => void>;
  /** It takes no more, and is ended with the last request on it. */
  retired: boolean;
}

interface Worker<H> {
  line: Line<H> | undefined;
  /** Retired ones on which something still is. */
  readonly retired: Set<Line<H>>;
  /** Requests on all of them. */
  load: number;
  /** A transaction has it for itself. */
  taken: boolean;
  /** When it answered, or got work after it had none. */
  answeredAt: number;
  /** How long it may be silent with what it does. */
  answerMs: number;
  /** Until then (performance.now()) others are chosen: there was no room for it; 0 when there is. */
  avoidUntil: number;
}

/** After so many ms it is tried again whether a server has room. */
const AVOID_MS = 1000;

/** A connection to a server that takes no writes is as old as that before it is given up. */
const RENEW_MS = 1000;

/** After so many ms a connection that is being ended has ended. */
const ENDED_MS = 1000;

/** A request that waits for a worker. */
interface Job<H> {
  alone: boolean;
  statements: number;
  start(worker: Worker<H>): void;
}

export class Workers<H> {
  readonly #options: WorkersOptions<H>;
  readonly #workers: Worker<H>[];
  /** Requests for which no worker is free; the first of them first, whatever it wants. */
  readonly #queue: Job<H>[] = [];
  #head = 0;
  #next = 0;
  readonly #depth: number;

  constructor(options: WorkersOptions<H>) {
    this.#options = options;
    const waits = options.strategy === "available_worker" || options.strategy === "next_available_worker";
    this.#depth = waits ? 1 : options.depth;
    this.#workers = Array.from({ length: options.count }, () => ({
      line: undefined,
      retired: new Set(),
      load: 0,
      taken: false,
      answeredAt: 0,
      answerMs: options.answerMs,
      avoidUntil: 0,
    }));
  }

  /** Connections that are open, or being opened. */
  get open(): number {
    return this.#workers.reduce((sum, { line }) => (line === undefined ? sum : sum + 1), 0);
  }

  /** Those that are open now. */
  handles(): H[] {
    return this.#workers.flatMap(({ line }) => (line === undefined ? [] : [line.handle]));
  }

  /** Runs `work` on a connection that others may use as well. */
  run<T>(work: (handle: H) => Promise<T>): Promise<T> {
    return this.#submit(false, 1, work);
  }

  /** Runs `work`, which has so many statements, on a connection that nobody else uses meanwhile. */
  alone<T>(statements: number, work: (handle: H) => Promise<T>): Promise<T> {
    return this.#submit(true, statements, work);
  }

  /** Runs `work` on every connection that is open and has nothing to do. */
  idle(work: (handle: H) => Promise<unknown>): Promise<unknown> {
    const idle = this.#workers.filter(({ line, load, taken }) => line !== undefined && load === 0 && !taken);
    return Promise.all(idle.map((worker) => this.#on(worker, false, 1, work)));
  }

  /** Ends single connections that are silent for too long; what was on them fails. `heldUp` as in `WatchedServer.look`. */
  look(now: number, heldUp = 0): void {
    for (const worker of this.#workers) {
      worker.answeredAt += heldUp;
      if (worker.load > 0 && now - worker.answeredAt > worker.answerMs) this.#replace(worker);
    }
    // There may be room again for one that was left alone, while the others are long at something.
    this.#serve();
  }

  /** Ends every connection at once. */
  drop(): void {
    for (const worker of this.#workers) this.#replace(worker);
  }

  /** Ends them when they have done what they do; after `patienceMs` at once. Requests in the queue come first. */
  async end(patienceMs: number): Promise<void> {
    const until = performance.now() + patienceMs;
    while (this.#queue.length > this.#head && performance.now() < until) await Bun.sleep(5);
    const handles = this.handles();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, until - performance.now()));
    });
    await Promise.race([late, Promise.all(handles.map((handle) => this.#options.close(handle, false)))]);
    clearTimeout(timer);
    this.drop();
  }

  #submit<T>(alone: boolean, statements: number, work: (handle: H) => Promise<T>): Promise<T> {
    const worker = this.#queue.length > this.#head ? undefined : this.#choose(alone);
    if (worker !== undefined) return this.#on(worker, alone, statements, work);
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({
        alone,
        statements,
        start: (free) => {
          this.#on(free, alone, statements, work).then(resolve, reject);
        },
      });
    });
  }

  async #on<T>(worker: Worker<H>, alone: boolean, statements: number, work: (handle: H) => Promise<T>): Promise<T> {
    if (worker.load === 0) worker.answeredAt = performance.now();
    worker.load++;
    worker.taken = alone;
    worker.answerMs = this.#options.answerMs * statements;
    if (worker.line !== undefined && this.#options.gone?.(worker.line.handle)) this.#giveUp(worker, worker.line);
    worker.line ??= this.#open();
    const { line } = worker;
    try {
      const result = await answered(line.running, work(line.handle));
      worker.avoidUntil = 0;
      return result;
    } catch (error) {
      if (this.#options.full?.(error)) worker.avoidUntil = performance.now() + AVOID_MS;
      if (worker.line === line && this.#options.broken?.(error)) this.#giveUp(worker, line);
      if (this.#options.readOnly?.(error)) this.renew();
      throw error;
    } finally {
      if (line.retired) this.#endRetired(worker, line);
      worker.answeredAt = performance.now();
      worker.load--;
      if (alone) worker.taken = false;
      this.#serve();
    }
  }

  /** Gives what waits to those that are free. */
  #serve(): void {
    while (this.#queue.length > this.#head) {
      const job = this.#queue[this.#head];
      const worker = this.#choose(job.alone);
      if (worker === undefined) return;
      this.#head++;
      if (this.#head > 1000 || this.#head === this.#queue.length) {
        this.#queue.splice(0, this.#head);
        this.#head = 0;
      }
      job.start(worker);
    }
  }

  /**
   * A connection with room for one more. Those with nothing to do come first, whatever the strategy; those for which the
   * server had no room only when there are no others.
   */
  #choose(alone: boolean): Worker<H> | undefined {
    const limit = alone ? 1 : this.#depth;
    const { strategy } = this.#options;
    const count = this.#workers.length;
    const first =
      strategy === "next_worker" || strategy === "next_available_worker"
        ? this.#next++ % count
        : strategy === "random_worker"
          ? Math.floor(Math.random() * count)
          : 0;
    let best: Worker<H> | undefined;
    let avoided: Worker<H> | undefined;
    let usable = false;
    for (let i = 0; i < count; i++) {
      const worker = this.#workers[(first + i) % count];
      const free = !worker.taken && worker.load < limit;
      if (worker.avoidUntil > 0 && performance.now() < worker.avoidUntil) {
        if (free) avoided ??= worker;
        continue;
      }
      usable = true;
      if (!free) continue;
      if (worker.load === 0) return worker;
      if (best === undefined || (worker.load < best.load && strategy !== "random_worker" && strategy !== "next_worker"))
        best = worker;
    }
    return usable ? best : avoided;
  }

  #open(): Line<H> {
    return { handle: this.#options.open(), openedAt: performance.now(), running: new Set(), retired: false };
  }

  /**
   * What comes next gets new connections, also what only reads: a server that was the first may be behind now. Not for each
   * request that fails, should there be no other server.
   */
  renew(): void {
    const before = performance.now() - RENEW_MS;
    for (const worker of this.#workers) {
      const { line } = worker;
      if (line === undefined || line.openedAt > before) continue;
      worker.line = undefined;
      worker.retired.add(line);
      line.retired = true;
      this.#endRetired(worker, line);
    }
  }

  /** Ends a retired connection when nothing is on it: a client library may forget what it has not sent yet. */
  #endRetired(worker: Worker<H>, line: Line<H>): void {
    if (line.running.size > 0 || !worker.retired.delete(line)) return;
    this.#options.close(line.handle, false).catch(() => {});
  }

  #replace(worker: Worker<H>): void {
    worker.answeredAt = performance.now();
    if (worker.line !== undefined) this.#giveUp(worker, worker.line);
    for (const line of worker.retired) this.#giveUp(worker, line);
  }

  #giveUp(worker: Worker<H>, line: Line<H>): void {
    if (worker.line === line) worker.line = undefined;
    worker.retired.delete(line);
    // The library's own words for what ends with it come first.
    const ended = this.#options.close(line.handle, true).catch(() => {});
    void Promise.race([ended, Bun.sleep(ENDED_MS)]).then(() => {
      for (const fail of line.running) fail(new StorageError("unavailable", "the connection was given up"));
    });
  }
}

/** The answer to a request, or its failure by `running`. */
function answered<T>(running: Line<unknown>["running"], answer: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  running.add(reject);
  answer.then(
    (value) => {
      running.delete(reject);
      resolve(value);
    },
    (error: unknown) => {
      running.delete(reject);
      reject(error);
    },
  );
  return promise;
}
