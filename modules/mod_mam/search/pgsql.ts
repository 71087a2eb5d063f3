// The index of words on PostgreSQL: GIN over a tsvector of the archive's table itself.

import type { Db } from "../../../core/storage/db.ts";
import { StorageError } from "../../../core/storage/db.ts";
import { type ArchiveTable, ownWord, type WordIndex } from "./word-index.ts";

/** Rows of a table, as PostgreSQL estimates, above which the index is for the database's administrator to make. */
const MAKES_ITSELF = 1_000_000;
/** Characters of a message that are indexed: a tsvector has room for a megabyte. */
const INDEXED = 50_000;

/**
 * The index is made without a lock on the table (CONCURRENTLY). One that was interrupted is there and not valid: it is
 * dropped and made anew. In a table so large that this takes longer than a statement may, the error says which
 * statement to run; what has been made so is found at the next start.
 */
export function pgsqlIndex(db: Db, { table, owner }: ArchiveTable): WordIndex {
  const name = `i_mongooseim_${table}_words`;
  const mark = `'u' || CAST(${owner} AS text) || 'x'`;
  const vector =
    `to_tsvector('simple', ${mark} || replace(left(search_body, ${INDEXED}), ' ', ' ' || ${mark}))` as const;
  const definition = `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${table} USING gin ((${vector})) WHERE search_body <> ''`;

  const state = async (): Promise<{ valid: boolean; rows: number }> => {
    const [found] = await db.query<{ valid: boolean | null; rows: number }>(
      `SELECT CAST(t.reltuples AS bigint) AS rows, (SELECT i.indisvalid FROM pg_index i JOIN pg_class c
         ON c.oid = i.indexrelid WHERE i.indrelid = t.oid AND c.relname = ?) AS valid
       FROM pg_class t WHERE t.oid = CAST(? AS regclass)`,
      [name, table],
    );
    if (found?.valid === false) await db.execute(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
    return { valid: found?.valid === true, rows: Number(found?.rows ?? 0) };
  };

  return {
    async create() {
      const { valid, rows } = await state();
      if (valid) return true;
      const byHand = (why: string, cause?: unknown) =>
        new StorageError("timeout", `${why}; run this on the database: ${definition}`, { cause });
      if (rows > MAKES_ITSELF) throw byHand(`Cannot index ${table} by itself, it has about ${rows} rows`);
      try {
        await db.execute(definition);
      } catch (cause) {
        // Another server may have been faster.
        if ((await state()).valid) return true;
        throw byHand(`Cannot index ${table}: ${(cause as Error).message}`, cause);
      }
      return (await state()).valid;
    },

    // The inner query knows nothing of the rest, lest the planner computes the vector of every message of the owner.
    candidates: (whose, given, id) => ({
      sql: `${id} IN (SELECT h.id FROM (SELECT id FROM ${table}
        WHERE search_body <> '' AND ${vector} @@ plainto_tsquery('simple', ?) OFFSET 0) h)`,
      params: [given.map((word) => ownWord(whose, word)).join(" ")],
    }),
  };
}
