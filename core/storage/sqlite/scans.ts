// Reads that may go through very many rows have a worker of their own: in the one that commits they would hold up every
// write. It is there while it is used.
import { type Db, type DbStats, isAway, type SqlValue } from "../db.ts";

/** How long the worker stays when nothing is asked. */
const IDLE_MS = 60_000;

export class Scans {
  #reader: Promise<Db> | undefined;
  #open: Db | undefined;
  /** Requests that are not answered yet. */
  #asked = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  /** What workers that are gone have done. */
  readonly #past = { batches: 0, rows: 0 };

  /** @param open opens the database once more, for reading */
  constructor(
    private readonly open: () => Promise<Db>,
    private readonly idleMs = IDLE_MS,
  ) {}

  async query<R extends object>(sql: string, params: readonly SqlValue[]): Promise<R[]> {
    clearTimeout(this.#timer);
    this.#asked++;
    this.#reader ??= this.#opened();
    const reader = this.#reader;
    try {
      return await (await reader).query<R>(sql, params);
    } catch (error) {
      // One that could not be opened, or has ended; a queue that is full is given up by those who are in it alone.
      if (isAway(error) && this.#reader === reader && (this.#open === undefined || this.#open.stats().queued === 0))
        this.#end();
      throw error;
    } finally {
      this.#asked--;
      this.#rest();
    }
  }

  /** The figures of a database, with those of the reads beside it. */
  addTo(stats: DbStats): DbStats {
    const now = this.#open?.stats() ?? { queued: 0, batches: 0, rows: 0 };
    return {
      ...stats,
      queued: stats.queued + now.queued,
      batches: stats.batches + this.#past.batches + now.batches,
      rows: stats.rows + this.#past.rows + now.rows,
    };
  }

  /** Resolves when what was asked before is answered. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await (await this.#reader?.catch(() => undefined))?.close();
  }

  async #opened(): Promise<Db> {
    const db = await this.open();
    this.#open = db;
    return db;
  }

  #rest(): void {
    if (this.#asked > 0 || this.#closed) return;
    this.#timer = setTimeout(() => this.#end(), this.idleMs);
    this.#timer.unref();
  }

  #end(): void {
    const reader = this.#reader;
    const done = this.#open?.stats();
    this.#past.batches += done?.batches ?? 0;
    this.#past.rows += done?.rows ?? 0;
    this.#reader = undefined;
    this.#open = undefined;
    reader?.then((db) => db.close()).catch(() => undefined);
  }
}
