// The writer of an archive: messages that come while a batch is being written make the next one. Nothing waits for a
// batch to fill: `flush_interval` and `batch_size` say when another is begun beside one that is under way.

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
  done: Promise<void>;
  resolve: () => void;
  reject: (error: unknown) => void;
  /** When its first message came, ms on the monotonic clock. */
  since: number;
}

export class ArchiveWriter {
  private batch: Batch | undefined;
  private flying = 0;
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
  ) {}

  /** Writes a row; resolves when it is committed. Those of one batch share the promise. */
  write(row: SqlValue[]): Promise<void> {
    this.waiting++;
    if (!this.options.enabled) {
      const alone = newBatch();
      alone.rows.push(row);
      void this.insert(alone);
      return alone.done;
    }
    this.batch ??= newBatch();
    const { batch } = this;
    batch.rows.push(row);
    if (!this.scheduled) this.schedule();
    return batch.done;
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
    const { rows } = batch;
    const errors = await this.tried(rows);
    const lost = errors.filter((error) => !isUnfit(error));
    for (const error of errors) if (isUnfit(error)) this.observer.dropped(1, error);
    if (lost.length > 0) {
      // The senders of all of them are told: one that is kept may come again, which is better than one that is lost.
      this.observer.dropped(lost.length, lost[0]);
      batch.reject(lost[0]);
    } else {
      const written = rows.length - errors.length;
      if (written > 0) this.observer.flushed(written, performance.now() - started);
      batch.resolve();
    }
    this.waiting -= rows.length;
    this.flying--;
    this.look();
  }

  /** The errors of rows that could not be written. */
  private async tried(rows: SqlValue[][]): Promise<unknown[]> {
    const insert = (some: readonly SqlValue[][]) => this.db.insertMany(this.table, this.columns, some);
    const parts: SqlValue[][][] = [];
    for (let at = 0; at < rows.length; at += MOST) parts.push(rows.slice(at, at + MOST));
    const errors = await Promise.all(parts.map((part) => writeEach(part, insert, part.length, isUnfit)));
    return errors.flatMap((some) => [...some.values()]);
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
  return { rows: [], done: promise, resolve, reject, since: performance.now() };
}
