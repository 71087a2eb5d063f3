// How many messages of an archive are older than an id. A count of a whole archive for every page (XEP-0059 wants the
// index of the first message and the total) would cost more than the page: for archives that are read, every so-many-th
// id is remembered with its rank, and only what lies between is counted.

import { BoundedMap } from "../../../core/bounded-map.ts";
import type { Db } from "../../../core/storage/db.ts";

/** Messages from one mark to the next. */
const STEP = 256;
/** Marks that are kept for all archives together. */
const MARKS = 200_000;
/** How long marks are trusted: another server on the same database may delete messages. Milliseconds. */
const LIFE_MS = 300_000;
/** What is younger is not marked: another server may still add something before it. Microseconds << 8. */
const YOUNG = 600_000_000n << 8n;

interface Marks {
  /** The id of the message of rank 0, STEP, 2 * STEP, … */
  ids: readonly bigint[];
  until: number;
}

export class Ranks {
  private readonly marks = new BoundedMap<number, Marks>(MARKS, ({ ids }) => ids.length + 1);
  private readonly making = new Map<number, Promise<Marks>>();

  constructor(
    private readonly db: Db,
    private readonly table: string,
    private readonly ownerColumn: string,
    private readonly now: () => number,
  ) {}

  /** The number of messages of an owner whose id is below `id`. */
  async below(owner: number, id: bigint): Promise<number> {
    if (id <= 0n) return 0;
    let marks = this.marks.get(owner);
    if (marks === undefined || marks.until < this.now()) marks = await this.make(owner);
    // The last mark that is not above.
    let low = -1;
    let high = marks.ids.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (marks.ids[middle] <= id) low = middle;
      else high = middle;
    }
    const from = low < 0 ? 0n : marks.ids[low];
    if (from === id) return low * STEP;
    return Math.max(0, low) * STEP + (await this.count(owner, from, id));
  }

  /** Messages of this owner were deleted. */
  forget(owner: number): void {
    this.marks.delete(owner);
    this.making.delete(owner);
  }

  forgetAll(): void {
    this.marks.clear();
    this.making.clear();
  }

  private async count(owner: number, from: bigint, to: bigint): Promise<number> {
    const sql = `SELECT COUNT(*) AS n FROM ${this.table} WHERE ${this.ownerColumn} = ? AND id >= ? AND id < ?`;
    const [{ n }] = await this.db.query<{ n: number | bigint }>(sql, [owner, from, to]);
    return Number(n);
  }

  private make(owner: number): Promise<Marks> {
    let making = this.making.get(owner);
    if (making === undefined) {
      const mine: Promise<Marks> = this.read(owner)
        .then((marks) => {
          // Forgotten meanwhile: what was read may be wrong already.
          if (this.making.get(owner) === mine) this.marks.set(owner, marks);
          return marks;
        })
        .finally(() => {
          if (this.making.get(owner) === mine) this.making.delete(owner);
        });
      making = mine;
      this.making.set(owner, making);
    }
    return making;
  }

  private async read(owner: number): Promise<Marks> {
    const old = ((BigInt(this.now()) * 1000n) << 8n) - YOUNG;
    const sql = `SELECT id FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS r FROM ${this.table}
      WHERE ${this.ownerColumn} = ? AND id <= ?) ranked WHERE r % ${STEP} = 1 ORDER BY id`;
    const rows = await this.db.query<{ id: number | bigint }>(sql, [owner, old]);
    return { ids: rows.map(({ id }) => BigInt(id)), until: this.now() + LIFE_MS };
  }
}
