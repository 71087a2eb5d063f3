// Reads pages of archives by ranges of ids, with what has to be counted beside them.

import { type Db, queueIsFull, type SqlValue } from "../../../core/storage/db.ts";
import type { Page } from "../backend.ts";
import type { Counted, Counts } from "./counts.ts";
import { order } from "./lookup.ts";

export interface Row extends Counted {
  id: number | bigint;
  from_jid: string | Uint8Array;
  message: string | Uint8Array;
}

/** At most `limit` messages of an owner's from one end of a range of ids on, both ids inclusive. */
export interface Range {
  readonly number: number;
  readonly low: bigint;
  readonly high: bigint;
  readonly dir: Page["dir"];
  /** 0: nothing but the counts is wanted. */
  readonly limit: number;
  /** Messages to leave out first. */
  readonly skip?: number | undefined;
}

export interface PageReader {
  /** Resolves to the rows in the order of the direction, when `counts` have been taken. */
  read(range: Range, counts: Counts): Promise<Row[]>;
}

/** The way that is best for a database. */
export const pageReader = (db: Db): PageReader =>
  db.dialect === "pgsql" ? new SharedReader(db) : new SingleReader(db);

/** A statement for each page. */
class SingleReader implements PageReader {
  constructor(private readonly db: Db) {}

  async read({ number, low, high, dir, limit, skip }: Range, counts: Counts): Promise<Row[]> {
    let rows: Row[] = [];
    if (limit > 0) {
      const offset = skip === undefined ? "" : " OFFSET ?";
      const sql = `SELECT id, from_jid, message${counts.columns} FROM mam_message WHERE user_id = ? AND id >= ? AND id <= ? ORDER BY id ${order(dir)} LIMIT ?${offset}`;
      const params: SqlValue[] = [...counts.params, number, low, high, limit];
      if (skip !== undefined) params.push(skip);
      rows = await this.db.query<Row>(sql, params);
    }
    // Without a row nothing was counted.
    if (rows.length > 0) counts.take(rows[0]);
    else if (counts.ranges.length > 0) counts.take((await this.db.query<Row>(counts.alone, counts.params))[0]);
    return rows;
  }
}

/** Statements on their way; what is asked meanwhile shares the next one. */
const ABREAST = 2;
/** Pages of one statement: nobody waits for the answers to many others. */
const MOST = 32;
/** Pages that may wait for a statement. */
const WAITING = 10_000;

interface Waiting {
  readonly range: Range;
  readonly counts: Counts;
  resolve(rows: Row[]): void;
  reject(error: unknown): void;
}

/** A row of several pages: `n` is the page's place, `id` null where it has no row. */
type SharedRow = Counted & { n: number | bigint } & (Row | { id: null });

/**
 * Pages that are asked for at the same time share a statement: for a server on the other end of a socket, and for its
 * client, a statement costs as much as the five rows of a page.
 */
class SharedReader implements PageReader {
  private readonly single: SingleReader;
  /** Those that wait, by what a statement has one of: direction and limit. Whose turn is next comes first. */
  private readonly queues = new Map<string, Waiting[]>();
  private waiting = 0;
  private abreast = 0;
  private armed = false;

  constructor(private readonly db: Db) {
    this.single = new SingleReader(db);
  }

  read(range: Range, counts: Counts): Promise<Row[]> {
    // These are rare, and may take long.
    if (range.skip !== undefined) return this.single.read(range, counts);
    const { promise, resolve, reject } = Promise.withResolvers<Row[]>();
    if (this.waiting >= WAITING) return Promise.reject(queueIsFull(this.waiting));
    const key = `${range.dir} ${range.limit}`;
    const queue = this.queues.get(key);
    if (queue === undefined) this.queues.set(key, [{ range, counts, resolve, reject }]);
    else queue.push({ range, counts, resolve, reject });
    this.waiting++;
    if (!this.armed && this.abreast < ABREAST) {
      this.armed = true;
      // What comes in the same turn goes along.
      setImmediate(() => {
        this.armed = false;
        this.send();
      });
    }
    return promise;
  }

  private send(): void {
    for (const [key, queue] of this.queues) {
      if (this.abreast >= ABREAST) return;
      this.queues.delete(key);
      const pages = queue.splice(0, MOST);
      // The rest comes after the others.
      if (queue.length > 0) this.queues.set(key, queue);
      this.waiting -= pages.length;
      this.abreast++;
      this.ask(pages).finally(() => {
        this.abreast--;
        this.send();
      });
    }
  }

  /** Never rejects. */
  private async ask(pages: readonly Waiting[]): Promise<void> {
    try {
      const { dir, limit } = pages[0].range;
      const counted = pages.reduce((most, { counts }) => Math.max(most, counts.ranges.length), 0);
      const rows = await this.db.query<SharedRow>(shared(dir, counted), [...parameters(pages, counted), limit]);
      let at = 0;
      for (let n = 1; n <= pages.length; n++) {
        const { counts, resolve } = pages[n - 1];
        // A page without rows has one that tells what was counted.
        counts.take(rows[at]);
        const mine: Row[] = [];
        for (; at < rows.length && Number(rows[at].n) === n; at++) {
          const row = rows[at];
          if (row.id !== null) mine.push(row);
        }
        resolve(mine);
      }
    } catch (error) {
      for (const { reject } of pages) reject(error);
    }
  }
}

/** Bounds of ranges that are counted for each page. */
const bounds = (i: number): string => `, from_${i}, to_${i}`;

const COUNT = (i: number): string =>
  `, CASE WHEN q.from_${i} < q.to_${i} THEN (SELECT COUNT(*) FROM mam_message c
     WHERE c.user_id = q.owner AND c.id >= q.from_${i} AND c.id < q.to_${i}) END AS count_${i}`;

/** Pages in one direction, with so many counts beside each; PostgreSQL's form. */
function shared(dir: Page["dir"], counts: number): string {
  const each = (text: (i: number) => string): string => Array.from({ length: counts }, (_, i) => text(i)).join("");
  const arrays = `?::int[], ?::bigint[], ?::bigint[]${each(() => ", ?::bigint[], ?::bigint[]")}`;
  const asked = `unnest(${arrays}) WITH ORDINALITY AS q (owner, low, high${each(bounds)}, n)`;
  // Kept apart, so that nothing is counted once for each row.
  const page =
    counts === 0
      ? { before: "", from: asked }
      : {
          before: `WITH q AS MATERIALIZED (SELECT q.n, q.owner, q.low, q.high${each(COUNT)} FROM ${asked}) `,
          from: "q",
        };
  return `${page.before}SELECT q.n, m.id, m.from_jid, m.message${each((i) => `, q.count_${i}`)} FROM ${page.from}
    LEFT JOIN LATERAL (SELECT a.id, a.from_jid, a.message FROM mam_message a
      WHERE a.user_id = q.owner AND a.id >= q.low AND a.id <= q.high ORDER BY a.id ${order(dir)} LIMIT ?) m ON TRUE
    ORDER BY q.n, m.id ${order(dir)}`;
}

/** Columns as arrays. */
function parameters(pages: readonly Waiting[], counts: number): string[] {
  const column = (value: (page: Waiting) => number | bigint): string => `{${pages.map(value).join(",")}}`;
  const columns = [
    column(({ range }) => range.number),
    column(({ range }) => range.low),
    column(({ range }) => range.high),
  ];
  for (let i = 0; i < counts; i++) {
    columns.push(column(({ counts: { ranges } }) => ranges[i]?.from ?? 0n));
    columns.push(column(({ counts: { ranges } }) => ranges[i]?.to ?? 0n));
  }
  return columns;
}
