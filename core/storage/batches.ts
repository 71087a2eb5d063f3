// Large numbers of rows, a batch at a time: what reads and deletes them leaves the database to others in between.

import type { Db, Deleted, SqlValue } from "./db.ts";

export type { Deleted } from "./db.ts";

/** Rows of one statement that deletes. */
export const BATCH = 1000;
/** Rows that one transaction deletes in the midst of others' work: a database that does one thing at a time is soon back. */
export const FEW = 100;
/** The longest pause between two batches, in ms. Else it is as long as the batch took: half of the time is others'. */
const LONGEST_PAUSE = 200;

export interface Rows {
  readonly table: string;
  /** The columns of a key of the table, which need not be unique where the condition is about its columns alone. */
  readonly key: readonly string[];
  /** Which rows, for example "server = ?". */
  readonly where: string;
  readonly params: readonly SqlValue[];
  /** Rows in a batch, as `delete_domain_limit` has it; 1000 when left out. */
  readonly limit?: number | undefined;
}

/** A statement that deletes some of the rows, a number of them that is its last parameter. */
function statement(db: Db, { table, key, where }: Rows): string {
  switch (db.dialect) {
    case "sqlite":
      return `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE ${where} LIMIT ?)`;
    case "pgsql": {
      // With the condition outside too, PostgreSQL may compare all rows that it holds for with all of the batch: it takes
      // them for few as long as it has not counted them.
      const columns = key.join(", ");
      return `DELETE FROM ${table} WHERE (${columns}) IN (SELECT ${columns} FROM ${table} WHERE ${where} LIMIT ?)`;
    }
    case "mysql":
      return `DELETE FROM ${table} WHERE ${where} LIMIT ?`;
  }
}

/**
 * Deletes rows in batches, each of them committed by itself, with pauses. What is done when the process ends stays
 * done; to go on is to call it again. Resolves to the number of rows.
 */
export async function deleteInBatches(db: Db, rows: Rows, deleted?: Deleted): Promise<number> {
  const sql = statement(db, rows);
  const params = [...rows.params, rows.limit ?? BATCH];
  let all = 0;
  for (;;) {
    const begun = performance.now();
    const n = await db.execute(sql, params);
    // Not only when a batch is short: somebody else may have deleted some of its rows meanwhile.
    if (n === 0) return all;
    all += n;
    deleted?.(n);
    await pause(begun);
  }
}

/** An index of a table, from a column on whose values are texts that are not empty, or numbers above 0. */
export interface Walked {
  readonly table: string;
  readonly column: string;
  readonly numbers?: true;
  /** What the columns before it in the index are; left out when there are none. */
  readonly of?: { readonly where: string; readonly params: readonly SqlValue[] };
  /** Rows of a stretch; 5000 when left out. A value that more rows have is not divided. */
  readonly stretch?: number | undefined;
}

/** A part of an index: a condition. */
export interface Stretch {
  readonly where: string;
  readonly params: readonly SqlValue[];
}

/** Goes along an index once, a stretch of its rows at a time, whatever is deleted meanwhile. */
export async function* stretches(db: Db, walked: Walked): AsyncGenerator<Stretch> {
  const { table, column, numbers, of, stretch = 5000 } = walked;
  const from = of === undefined ? `${column} > ?` : `${of.where} AND ${column} > ?`;
  for (let after: SqlValue = numbers ? 0 : ""; ; ) {
    const params: SqlValue[] = [...(of?.params ?? []), after];
    const [end]: { at: SqlValue }[] = await db.query(
      `SELECT ${column} AS at FROM ${table} WHERE ${from} ORDER BY ${column} LIMIT 1 OFFSET ?`,
      [...params, stretch],
    );
    if (end === undefined) return yield { where: from, params };
    yield { where: `${from} AND ${column} <= ?`, params: [...params, end.at] };
    after = end.at;
  }
}

/** Which rows, when no index finds them: by a pattern's end, say. */
export interface Sought extends Omit<Walked, "of"> {
  readonly where: string;
  readonly params: readonly SqlValue[];
}

/** As `deleteInBatches`, for rows that no index finds: the table is gone through once, a stretch of its key at a time. */
export async function deleteThroughout(db: Db, sought: Sought, deleted?: Deleted): Promise<number> {
  const { table, column, numbers, stretch } = sought;
  let all = 0;
  let begun = 0;
  for await (const { where, params } of stretches(db, { table, column, ...(numbers && { numbers }), stretch })) {
    if (begun > 0) await pause(begun);
    begun = performance.now();
    const sql = `DELETE FROM ${table} WHERE ${where} AND (${sought.where})`;
    const n = await db.execute(sql, [...params, ...sought.params]);
    all += n;
    if (n > 0) deleted?.(n);
  }
  return all;
}

/** Waits as long as it has taken since `begun` (performance.now()), a fifth of a second at most. */
export async function pause(begun: number): Promise<void> {
  const took = performance.now() - begun;
  await Bun.sleep(Math.min(LONGEST_PAUSE, Math.max(1, took)));
}

/** Rows of one query that reads page after page. */
export const PAGE = 500;

/**
 * Reads page after page: `read` gets the last row of the page before, and gives fewer than PAGE rows at the end. Pages
 * are mapped by `map`.
 */
export async function* pages<R, T>(
  read: (last: R | undefined) => Promise<R[]>,
  map: (row: R) => T,
): AsyncGenerator<T[]> {
  for (let last: R | undefined; ; ) {
    const rows: R[] = await read(last);
    if (rows.length > 0) yield rows.map(map);
    if (rows.length < PAGE) return;
    last = rows[rows.length - 1];
  }
}
