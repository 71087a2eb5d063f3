// The index of words on SQLite: FTS5 without the text, kept right by triggers of the archive's table, so that whoever
// deletes or changes a row does so in one transaction with the index.

import type { Db, Statement } from "../../../core/storage/db.ts";
import { type ArchiveTable, ownWord, type WordIndex } from "./word-index.ts";

/** Rows that are indexed in one transaction of filling. */
const BATCH = 500;

/**
 * `<name>` is the index, `<name>_rows` gives each indexed row the number that FTS5 needs (two archives may have the same
 * message id), `<name>_fill` has one row: how far the rows that were there before are indexed.
 */
export function sqliteIndex(db: Db, { table, owner }: ArchiveTable): WordIndex {
  const name = `mongooseim_${table}_words`;
  const words = (row: string) =>
    `'u' || ${row}.${owner} || 'x' || replace(${row}.search_body, ' ', ' u' || ${row}.${owner} || 'x')`;
  const forget = `DELETE FROM ${name}
      WHERE rowid = (SELECT doc FROM ${name}_rows WHERE owner = OLD.${owner} AND id = OLD.id);
    DELETE FROM ${name}_rows WHERE owner = OLD.${owner} AND id = OLD.id;`;
  const note = `INSERT INTO ${name}_rows (owner, id) SELECT NEW.${owner}, NEW.id WHERE NEW.search_body <> '';
    INSERT INTO ${name} (rowid, words) SELECT doc, ${words("NEW")} FROM ${name}_rows
      WHERE owner = NEW.${owner} AND id = NEW.id AND NEW.search_body <> '';`;
  const definitions = [
    `CREATE VIRTUAL TABLE IF NOT EXISTS ${name} USING fts5(words, content='', contentless_delete=1, detail=none,
      tokenize="unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'")`,
    `CREATE TABLE IF NOT EXISTS ${name}_rows (
      doc INTEGER PRIMARY KEY, owner INTEGER NOT NULL, id INTEGER NOT NULL, UNIQUE (owner, id))`,
    `CREATE TABLE IF NOT EXISTS ${name}_fill (
      one INTEGER PRIMARY KEY, owner INTEGER NOT NULL, id INTEGER NOT NULL, doc INTEGER NOT NULL, done INTEGER NOT NULL)`,
    `CREATE TRIGGER IF NOT EXISTS ${name}_insert AFTER INSERT ON ${table} WHEN NEW.search_body <> '' BEGIN ${note} END`,
    `CREATE TRIGGER IF NOT EXISTS ${name}_delete AFTER DELETE ON ${table} WHEN OLD.search_body <> '' BEGIN ${forget} END`,
    `CREATE TRIGGER IF NOT EXISTS ${name}_update AFTER UPDATE OF ${owner}, id, search_body ON ${table}
      BEGIN ${forget} ${note} END`,
    `INSERT INTO ${name}_fill (one, owner, id, doc, done) VALUES (1, -1, -1, 0, 0) ON CONFLICT DO NOTHING`,
  ];

  return {
    async create() {
      await db.transaction(definitions.map((sql) => ({ sql })));
      const [state] = await db.query<{ done: number }>(`SELECT done FROM ${name}_fill`);
      return state?.done === 1;
    },

    async fill() {
      const after = `(m.${owner}, m.id) > (SELECT owner, id FROM ${name}_fill)`;
      const [last] = await db.query<{ owner: number; id: number | bigint }>(
        `SELECT m.${owner} AS owner, m.id FROM ${table} m WHERE ${after} ORDER BY m.${owner}, m.id LIMIT 1 OFFSET ?`,
        [BATCH - 1],
      );
      const range = last ? `${after} AND (m.${owner}, m.id) <= (?, ?)` : after;
      const to = last ? [last.owner, last.id] : [];
      // A message may come while the range is looked up: what the trigger has noted already is left alone.
      const steps: Statement[] = [
        { sql: `UPDATE ${name}_fill SET doc = (SELECT coalesce(max(doc), 0) FROM ${name}_rows)` },
        {
          sql: `INSERT INTO ${name}_rows (owner, id) SELECT m.${owner}, m.id FROM ${table} m
            WHERE ${range} AND m.search_body <> '' ON CONFLICT DO NOTHING`,
          params: to,
        },
        {
          sql: `INSERT INTO ${name} (rowid, words) SELECT r.doc, ${words("m")}
            FROM ${name}_rows r JOIN ${table} m ON m.${owner} = r.owner AND m.id = r.id
            WHERE r.doc > (SELECT doc FROM ${name}_fill) ORDER BY r.doc`,
        },
        last
          ? { sql: `UPDATE ${name}_fill SET owner = ?, id = ?`, params: to }
          : { sql: `UPDATE ${name}_fill SET done = 1` },
      ];
      await db.transaction(steps);
      return last === undefined;
    },

    candidates: (whose, given, id) => ({
      sql: `${id} IN (SELECT r.id FROM ${name} w JOIN ${name}_rows r ON r.doc = w.rowid WHERE w.${name} MATCH ?)`,
      params: [given.map((word) => `"${ownWord(whose, word)}"`).join(" AND ")],
    }),
  };
}
