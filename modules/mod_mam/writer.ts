// The writer of an archive: messages that come while a batch is being written make the next one. Nothing waits for a
// batch to fill: `flush_interval` and `batch_size` say when another is begun beside one that is under way. What is of one
// owner is never in two that are: whoever has read a message asks for what is newer, and would not see one that came late.

import { type Db, type SqlValue, StorageError } from "../../core/storage/db.ts";
import { writeEach } from "../../core/storage/each.ts";
import { UnderWay } from "../../core/under-way.ts";

export interface WriterOptions {
  /** False: each message is written by itself, at once. */
  readonly enabled: boolean;
  /** Messages that are worth a batch of their own while others are being written. */
  readonly batch_size: number;
  /** Milliseconds after which what waits is written, however little it is. */
  readonly flush_interval: number;
  /** Batches that are being written at once. */
  readonly pool_size: number;
}

export interface WriterObserver {
  /** A batch is written: its messages, and how long that took in ms. */
  flushed(messages: number, ms: number): void;
  /** Messages that could not be written: one that the table cannot hold, or those whose senders are told. */
  dropped(messages: number, error: unknown): void;
}

/** Messages in one INSERT. */
const MOST = 1000;

interface Batch {
  rows: SqlValue[][];
  /** The owner of each row, where batches may overtake each other. */
  owners: number[];
  /** What has come for these owners since this batch was begun. */
  next: Batch | undefined;
  /** One that goes with this one. */
  joined: Batch | undefined;
  done: Promise<void>;
  resolve: () => void;
  reject: (error: unknown) => void;
  /** When its first message came, ms on the monotonic clock. */
  since: number;
}

export class ArchiveWriter {
  private batch: Batch | undefined;
  private flying = 0;
  /** Whether two batches that are written at once may be committed in either order. */
  private readonly racing: boolean;
  /** By owner: the batch in which something of his is being written. */
  private readonly writing = new Map<number, Batch>();
  private readonly underWay = new UnderWay();
  private scheduled = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Rows that are not written yet. */
  waiting = 0;

  constructor(
    private readonly db: Db,
    private readonly table: string,
    private readonly columns: readonly string[],
    private readonly options: WriterOptions,
    private readonly observer: WriterObserver,
  ) {
    // SQLite's thread does one thing after the other.
    this.racing = db.dialect !== "sqlite";
  }

  /** Writes a row of an owner; resolves when it is committed. Those of one batch share the promise. */
  write(row: SqlValue[], owner: number): Promise<void> {
    this.waiting++;
    const before = this.racing ? this.writing.get(owner) : undefined;
    if (before !== undefined) {
      before.next ??= this.behind();
      return this.put(before.next, row, owner);
    }
    if (!this.options.enabled) {
      const alone = newBatch();
      const done = this.put(alone, row, owner);
      void this.insert(alone);
      return done;
    }
    this.batch ??= newBatch();
    if (!this.scheduled) this.schedule();
    return this.put(this.batch, row, owner);
  }

  private put({ rows, owners, done }: Batch, row: SqlValue[], owner: number): Promise<void> {
    rows.push(row);
    if (this.racing) owners.push(owner);
    return done;
  }

  /** A batch that begins when another has come to its end. */
  private behind(): Batch {
    const batch = newBatch();
    void this.underWay.add(batch.done);
    return batch;
  }

  /** Resolves when everything that was given before is written, or has failed. */
  async sync(): Promise<void> {
    await Promise.allSettled([this.underWay.settled(), this.batch?.done]);
  }

  /** Looks at the end of this turn of the event loop whether the batch can go. */
  private schedule(): void {
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.look();
    });
  }

  private look(): void {
    const { batch } = this;
    if (batch === undefined) return;
    const { batch_size, flush_interval, pool_size } = this.options;
    const waited = performance.now() - batch.since;
    const worth = this.flying === 0 || batch.rows.length >= batch_size || waited >= flush_interval;
    if (worth && this.flying < Math.max(1, pool_size)) {
      this.batch = undefined;
      clearTimeout(this.timer);
      this.timer = undefined;
      void this.insert(batch);
    } else if (this.timer === undefined && this.flying < pool_size) {
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.look();
      }, flush_interval - waited);
    }
  }

  private async insert(batch: Batch): Promise<void> {
    this.flying++;
    void this.underWay.add(batch.done);
    const started = performance.now();
    const { rows, owners } = batch;
    for (const owner of owners) this.writing.set(owner, batch);
    const errors = await this.tried(rows);
    const lost = errors.filter((error) => !isUnfit(error));
    for (const error of errors) if (isUnfit(error)) this.observer.dropped(1, error);
    if (lost.length > 0) {
      // The senders of all of them are told: one that is kept may come again, which is better than one that is lost.
      this.observer.dropped(lost.length, lost[0]);
      batch.reject(lost[0]);
      batch.joined?.reject(lost[0]);
    } else {
      const written = rows.length - errors.length;
      if (written > 0) this.observer.flushed(written, performance.now() - started);
      batch.resolve();
      batch.joined?.resolve();
    }
    this.waiting -= rows.length;
    this.flying--;
    for (const owner of owners) this.writing.delete(owner);
    if (batch.next !== undefined) void this.insert(this.withWaiting(batch.next));
    this.look();
  }

  /** What waits for a place beside others goes with what takes the place of one: else it could wait for ever. */
  private withWaiting(next: Batch): Batch {
    const { batch } = this;
    if (batch === undefined) return next;
    this.batch = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.underWay.add(batch.done);
    for (const row of batch.rows) next.rows.push(row);
    for (const owner of batch.owners) next.owners.push(owner);
    next.joined = batch;
    return next;
  }

  /** The errors of rows that could not be written. */
  private async tried(rows: SqlValue[][]): Promise<unknown[]> {
    const insert = (some: readonly SqlValue[][]) => this.db.insertMany(this.table, this.columns, some);
    const errors: ReturnType<typeof writeEach>[] = [];
    for (let at = 0; at < rows.length; at += MOST) {
      const part = rows.slice(at, at + MOST);
      const written = writeEach(part, insert, part.length, isUnfit);
      errors.push(written);
      if (this.racing) await written;
    }
    return (await Promise.all(errors)).flatMap((some) => [...some.values()]);
  }
}

/**
 * A row that the table cannot hold must not take the others with it. Its message is delivered without being kept, for
 * to send it again would not help; the log says so.
 */
const isUnfit = (error: unknown): boolean => error instanceof StorageError && error.code === "constraint";

function newBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whoever waits for it is told; that nobody does is no error of the process.
  promise.catch(() => undefined);
  return {
    rows: [],
    owners: [],
    next: undefined,
    joined: undefined,
    done: promise,
    resolve,
    reject,
    since: performance.now(),
  };
}
