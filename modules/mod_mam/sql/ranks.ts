// How many messages of an archive are older than an id. A count of a whole archive for every page (XEP-0059 wants the
// index of the first message and the total) would cost more than the page: for archives that are read, every so-many-th
// id is remembered with its rank, and only what lies between is counted.

import { BoundedMap } from "../../../core/bounded-map.ts";
import type { Db } from "../../../core/storage/db.ts";

/** Messages from one mark to the next. */
const STEP = 256;
/** Marks that one statement looks for, so that none takes long. */
const AT_ONCE = 500;
/** Marks that are kept for all archives together. */
const MARKS = 200_000;
/** How long marks are trusted: another server on the same database may delete messages. Milliseconds. */
const LIFE_MS = 300_000;
/** As long where this process is the only server, and nobody but an administrator with a shell can. */
const ALONE_LIFE_MS = 3_600_000;
/** Messages at the ends of pages that are remembered for an archive: its next pages begin there. */
const NOTED = 8;

/** What is known of the ranks of one archive. */
export interface Marks {
  /** The id of the message of rank 0, STEP, 2 * STEP, … */
  readonly ids: readonly bigint[];
  /** The newest message whose rank is known. */
  newest: { readonly id: bigint; readonly rank: number } | undefined;
  /** Ends of pages that were given: a ring, in which the next goes to `next`. */
  readonly noted: { readonly ids: bigint[]; readonly ranks: number[]; next: number };
  /** By `Server.steady`. */
  readonly until: number;
}

/** The number of messages below an id: `rank`, and those from an id on, when that is not all. */
export interface Place {
  readonly rank: number;
  readonly from: bigint | undefined;
}

export class Ranks {
  private readonly marks = new BoundedMap<number, Marks>(MARKS, ({ ids }) => ids.length + NOTED);
  private readonly making = new Map<number, Promise<Marks>>();
  /** What is younger is not known for good: something may still come before it. Microseconds << 8. */
  private readonly young: bigint;

  constructor(
    private readonly db: Db,
    private readonly table: string,
    private readonly ownerColumn: string,
    private readonly now: () => number,
    private readonly steady: () => number,
  ) {
    // One process writes to SQLite, and what it was given first may be written a moment later than the next. On other
    // databases there may be servers with clocks that are behind.
    this.young = (db.dialect === "sqlite" ? 10_000_000n : 600_000_000n) << 8n;
  }

  /** What is known of an archive; a promise when it has to be read. */
  of(owner: number): Marks | Promise<Marks> {
    const marks = this.marks.get(owner);
    return marks === undefined || marks.until <= this.steady() ? this.make(owner) : marks;
  }

  /** Whether these marks are still what is known of an archive. */
  holds(owner: number, marks: Marks): boolean {
    return this.marks.get(owner) === marks;
  }

  /** The rank of a message that was at the end of a page; undefined when that is not remembered. */
  rankOf({ noted }: Marks, id: bigint): number | undefined {
    const at = noted.ids.lastIndexOf(id);
    return at < 0 ? undefined : noted.ranks[at];
  }

  /** How many messages of an archive are below an id, as far as is known. */
  place(marks: Marks, id: bigint): Place {
    if (id <= 0n) return { rank: 0, from: undefined };
    const { ids, newest } = marks;
    if (newest !== undefined && id > newest.id) {
      const from = newest.id + 1n;
      return { rank: newest.rank + 1, from: from === id ? undefined : from };
    }
    const exact = this.rankOf(marks, id);
    if (exact !== undefined) return { rank: exact, from: undefined };
    const before = this.rankOf(marks, id - 1n);
    if (before !== undefined) return { rank: before + 1, from: undefined };
    // The last mark that is not above.
    let low = -1;
    let high = ids.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (ids[middle] <= id) low = middle;
      else high = middle;
    }
    const from = low < 0 ? 0n : ids[low];
    return { rank: Math.max(0, low) * STEP, from: low >= 0 && from === id ? undefined : from };
  }

  /** A page has shown the rank of a message at its end. */
  note(marks: Marks, id: bigint, rank: number): void {
    if (id > ((BigInt(this.now()) * 1000n) << 8n) - this.young) return;
    const { noted, newest } = marks;
    if (newest === undefined || id > newest.id) marks.newest = { id, rank };
    if (noted.ids.includes(id)) return;
    noted.ids[noted.next] = id;
    noted.ranks[noted.next] = rank;
    noted.next = (noted.next + 1) % NOTED;
  }

  /** Messages of this owner were deleted. */
  forget(owner: number): void {
    this.marks.delete(owner);
    this.making.delete(owner);
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
    const old = ((BigInt(this.now()) * 1000n) << 8n) - this.young;
    const ids: bigint[] = [];
    for (let found = AT_ONCE; found === AT_ONCE; ) {
      // From the last mark on, which comes again.
      const from = ids.pop() ?? 0n;
      const rows = await this.some(owner, from, old);
      for (const { id } of rows) ids.push(BigInt(id));
      found = rows.length;
    }
    const last = ids.at(-1);
    return {
      ids,
      newest: last === undefined ? undefined : await this.newest(owner, last, (ids.length - 1) * STEP, old),
      noted: { ids: [], ranks: [], next: 0 },
      until: this.steady() + (this.db.dialect === "sqlite" ? ALONE_LIFE_MS : LIFE_MS),
    };
  }

  /** Every so-many-th message from an id on: AT_ONCE of them, unless there are fewer. */
  private some(owner: number, from: bigint, old: bigint): Promise<{ id: number | bigint }[]> {
    const { db, table, ownerColumn: column } = this;
    const first = `FROM ${table} WHERE ${column} = ? AND id >= ? AND id <= ?`;
    // MySQL, and PostgreSQL when it thinks that the archive is small, would read all of it for each mark below.
    if (db.dialect !== "sqlite") {
      const rows = `SELECT id ${first} ORDER BY id LIMIT ${STEP * AT_ONCE}`;
      const numbered = `SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM (${rows}) r`;
      return db.query(`SELECT id FROM (${numbered}) m WHERE n % ${STEP} = 1 ORDER BY id`, [owner, from, old]);
    }
    // From mark to mark along the index: numbering all rows costs ten times as much.
    const sql = `WITH RECURSIVE marks (id, n) AS (
      SELECT MIN(id), 1 ${first}
      UNION ALL SELECT (SELECT m.id FROM ${table} m WHERE m.${column} = ? AND m.id > marks.id AND m.id <= ?
        ORDER BY m.id LIMIT 1 OFFSET ${STEP - 1}), n + 1 FROM marks WHERE marks.id IS NOT NULL AND n < ${AT_ONCE}
      ) SELECT id FROM marks WHERE id IS NOT NULL ORDER BY id`;
    return db.query(sql, [owner, from, old, owner, old]);
  }

  /** The newest message that is old enough, from the last mark on. */
  private async newest(owner: number, mark: bigint, rank: number, old: bigint): Promise<Marks["newest"]> {
    const sql = `SELECT COUNT(*) AS n, MAX(id) AS id FROM ${this.table} WHERE ${this.ownerColumn} = ? AND id >= ? AND id <= ?`;
    const [{ n, id }] = await this.db.query<{ n: number | bigint; id: number | bigint | null }>(sql, [
      owner,
      mark,
      old,
    ]);
    // Gone since.
    return id === null ? undefined : { id: BigInt(id), rank: rank + Number(n) - 1 };
  }
}
