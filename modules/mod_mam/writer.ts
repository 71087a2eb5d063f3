// The writer of an archive: messages that come while a batch is being written make the next one. Nothing waits for a
// batch to fill: `flush_interval` and `batch_size` say when another is begun beside one that is under way. What is of one
// owner is never in two that are: whoever has read a message asks for what is newer, and would not see one that came late.
// So batches queue up in lanes, one after the other; what comes for an owner who has something in a lane goes there too.

import { type Db, queueIsFull, type SqlValue, StorageError } from "../../core/storage/db.ts";
import { writeEach } from "../../core/storage/each.ts";
import { insertMissing, surely } from "../../core/storage/surely.ts";
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

/** Messages in one INSERT: those who wait for the first of them wait for the last. */
const MOST = 1000;
/** Batches of a lane behind which nobody queues up who need not: few large ones cost less than many small ones beside each other. */
const FLOOD = 10;
/** Messages that may wait; more are refused, since they take memory. */
const MOST_WAITING = 200_000;

/** Messages that are written together. */
interface Batch {
  readonly rows: SqlValue[][];
  /** The owner of each row, where batches may overtake each other. */
  readonly owners: number[];
  readonly done: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** Batches that are written one after the other. */
interface Lane {
  batches: Batch[];
  /** When its first message came, ms on the monotonic clock. */
  readonly since: number;
}

/** Where an owner's messages are. */
interface Place {
  readonly lane: Lane;
  /** How many of them. */
  rows: number;
}

export class ArchiveWriter {
  /** What no writer has taken yet. */
  private fresh: Lane | undefined;
  private flying = 0;
  /** Whether two batches that are written at once may be committed in either order. */
  private readonly racing: boolean;
  /** By owner: the lane in which something of his is being written, or waits for what is. */
  private readonly places = new Map<number, Place>();
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
    if (this.waiting >= MOST_WAITING) {
      const full = queueIsFull(this.waiting);
      this.observer.dropped(1, full);
      return Promise.reject(full);
    }
    this.waiting++;
    const place = this.racing ? this.places.get(owner) : undefined;
    if (place !== undefined) {
      place.rows++;
      return this.put(place.lane, row, owner);
    }
    if (!this.options.enabled) {
      const alone = newLane();
      const done = this.put(alone, row, owner);
      this.begin(alone);
      return done;
    }
    this.fresh ??= newLane();
    if (!this.scheduled) this.schedule();
    return this.put(this.fresh, row, owner);
  }

  private put({ batches }: Lane, row: SqlValue[], owner: number): Promise<void> {
    let batch = batches.at(-1);
    if (batch === undefined || batch.rows.length === MOST) {
      batch = newBatch();
      batches.push(batch);
      void this.underWay.add(batch.done);
    }
    batch.rows.push(row);
    if (this.racing) batch.owners.push(owner);
    return batch.done;
  }

  /** Resolves when everything that was given before is written, or has failed. */
  sync(): Promise<void> {
    return this.underWay.settled();
  }

  /** Looks at the end of this turn of the event loop whether what has come can go. */
  private schedule(): void {
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.look();
    });
  }

  private look(): void {
    const { fresh } = this;
    if (fresh === undefined) return;
    const { batch_size, flush_interval, pool_size } = this.options;
    const waited = performance.now() - fresh.since;
    const [{ rows }] = fresh.batches;
    const worth = this.flying === 0 || rows.length >= batch_size || waited >= flush_interval;
    if (worth && this.flying < Math.max(1, pool_size)) {
      this.begin(this.take(fresh));
    } else if (this.timer === undefined && this.flying < pool_size) {
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.look();
      }, flush_interval - waited);
    }
  }

  /** Has what no writer has taken yet taken. */
  private take(fresh: Lane): Lane {
    this.fresh = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
    return fresh;
  }

  private begin(lane: Lane): void {
    if (this.racing) {
      this.place(lane, lane.batches);
      void this.run(lane);
    } else for (const batch of lane.batches) void this.run({ ...lane, batches: [batch] });
  }

  private place(lane: Lane, batches: readonly Batch[]): void {
    for (const { owners } of batches)
      for (const owner of owners) {
        const place = this.places.get(owner);
        if (place === undefined) this.places.set(owner, { lane, rows: 1 });
        else place.rows++;
      }
  }

  /** Writes what is in a lane, until nothing is. */
  private async run(lane: Lane): Promise<void> {
    this.flying++;
    // Who waits for a batch is told when the next one has been sent: else the database would wait until they all have gone on.
    let tell: (() => void) | undefined;
    for (let batch = lane.batches.shift(); batch !== undefined; batch = lane.batches.shift()) {
      const { rows, owners } = batch;
      const started = performance.now();
      const written = this.tried(rows);
      tell?.();
      const errors = await written;
      this.waiting -= rows.length;
      for (const owner of owners) this.written(owner);
      if (lane.batches.length > 0) this.addFresh(lane);
      tell = this.tell.bind(this, batch, errors, performance.now() - started);
    }
    this.flying--;
    this.look();
    tell?.();
  }

  private written(owner: number): void {
    const place = this.places.get(owner);
    if (place !== undefined && --place.rows === 0) this.places.delete(owner);
  }

  /**
   * What waits to be worth a batch, or for a place beside others, goes with what keeps a place: else it could wait for ever.
   * It does not queue up behind a flood while there is a place for it.
   */
  private addFresh(lane: Lane): void {
    const { fresh } = this;
    if (fresh === undefined) return;
    const [next] = lane.batches;
    const [first] = fresh.batches;
    if (lane.batches.length >= FLOOD && this.flying < this.options.pool_size) {
      this.begin(this.take(fresh));
      return;
    }
    const { batches } = this.take(fresh);
    this.place(lane, batches);
    const joins = lane.batches.length === 1 && next.rows.length + first.rows.length <= MOST;
    if (joins) join(next, first);
    lane.batches.push(...batches.slice(joins ? 1 : 0));
  }

  /** Tells those who wait for a batch how it ended. */
  private tell(batch: Batch, errors: readonly unknown[], ms: number): void {
    const lost = errors.filter((error) => !isUnfit(error));
    for (const error of errors) if (isUnfit(error)) this.observer.dropped(1, error);
    if (lost.length > 0) {
      // The senders of all of them are told: one that is kept may come again, which is better than one that is lost.
      this.observer.dropped(lost.length, lost[0]);
      batch.reject(lost[0]);
    } else {
      const written = batch.rows.length - errors.length;
      if (written > 0) this.observer.flushed(written, ms);
      batch.resolve();
    }
  }

  /** The errors of rows that could not be written. */
  private async tried(rows: SqlValue[][]): Promise<unknown[]> {
    const { db, table, columns } = this;
    const write = surely(
      (some: readonly SqlValue[][]) => db.insertMany(table, columns, some),
      (some) => insertMissing(db, table, columns, some),
    );
    return [...(await writeEach(rows, write, rows.length, isUnfit)).values()];
  }
}

/**
 * A row that the table cannot hold must not take the others with it. Its message is delivered without being kept, for
 * to send it again would not help; the log says so.
 */
const isUnfit = (error: unknown): boolean => error instanceof StorageError && error.code === "constraint";

const newLane = (): Lane => ({ batches: [], since: performance.now() });

function newBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whoever waits for it is told; that nobody does is no error of the process.
  promise.catch(() => undefined);
  return { rows: [], owners: [], done: promise, resolve, reject };
}

/** Moves what is in a batch to another that has not been sent, with which it comes to its end. */
function join(into: Batch, { rows, owners, resolve, reject }: Batch): void {
  for (const row of rows.splice(0)) into.rows.push(row);
  for (const owner of owners.splice(0)) into.owners.push(owner);
  into.done.then(resolve, reject);
}
