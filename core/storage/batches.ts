// Large numbers of rows, a batch at a time: what reads and deletes them leaves the database to others in between.

import type { Db, Deleted, SqlValue } from "./db.ts";

export type { Deleted } from "./db.ts";

/** Rows of one statement that deletes. */
export const BATCH = 1000;
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

/** Which rows, when no index finds them: by a pattern's end, say. */
export interface Sought {
  readonly table: string;
  /** The first column of an index of the table: of texts that are not empty, or of numbers above 0. */
  readonly column: string;
  readonly numbers?: true;
  readonly where: string;
  readonly params: readonly SqlValue[];
  /** Rows that are looked at in one go; 5000 when left out. */
  readonly stretch?: number;
}

/** As `deleteInBatches`, for rows that no index finds: the table is gone through once, a stretch of its key at a time. */
export async function deleteThroughout(db: Db, sought: Sought, deleted?: Deleted): Promise<number> {
  const { table, column, numbers, where, params, stretch = 5000 } = sought;
  let all = 0;
  for (let after: SqlValue = numbers ? 0 : ""; ; ) {
    const begun = performance.now();
    const [end]: { at: SqlValue }[] = await db.query(
      `SELECT ${column} AS at FROM ${table} WHERE ${column} > ? ORDER BY ${column} LIMIT 1 OFFSET ?`,
      [after, stretch],
    );
    const within = end === undefined ? `${column} > ?` : `${column} > ? AND ${column} <= ?`;
    const bounds: SqlValue[] = end === undefined ? [after] : [after, end.at];
    const n = await db.execute(`DELETE FROM ${table} WHERE ${within} AND (${where})`, [...bounds, ...params]);
    all += n;
    if (n > 0) deleted?.(n);
    if (end === undefined) return all;
    after = end.at;
    await pause(begun);
  }
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
