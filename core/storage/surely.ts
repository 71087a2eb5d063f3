// Writes of which it is not known whether they were done: the connection was lost while they were being committed. Who can
// tell what is there writes the rest, instead of telling senders of messages that may well be kept.

import { type Db, type SqlValue, StorageError } from "./db.ts";
import { DIALECTS } from "./dialect.ts";
import { isUnfit } from "./each.ts";

/** Requests in a row whose answer is lost; after so many it is told. */
const MOST_LOST = 3;

/**
 * A write that is made sure of when its outcome is unknown.
 * @param write does it
 * @param rest does what is missing of it, which may be nothing; may be asked again, and for a part of it. Left out: the
 *   write may be done twice
 * @returns the write. It rejects as those do, with `maybeDone` when nothing could be found out
 */
export function surely<T, R = void>(
  write: (what: T) => Promise<R>,
  rest: (what: T) => Promise<R> = write,
): (what: T) => Promise<R> {
  const lost: unknown[] = [];
  return async (what) => {
    for (;;) {
      try {
        return await (lost.length === 0 ? write(what) : rest(what));
      } catch (error) {
        if (error instanceof StorageError && error.maybeDone) lost.push(error);
        // Of a look that fails for another reason than what was to be written, nothing is known either.
        else throw lost.length > 0 && !isUnfit(error) ? lost[0] : error;
        if (lost.length === MOST_LOST) throw error;
      }
    }
  };
}

/** Inserts those rows, in their order and all or none, whose unique key is not there. */
export async function insertMissing(
  db: Db,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly SqlValue[])[],
): Promise<void> {
  const sql = DIALECTS[db.dialect].insertNew(table, columns);
  await db.transaction(rows.map((params) => ({ sql, params })));
}
