// The index of words on MySQL and MariaDB: a table with a FULLTEXT index beside the archive's, which has partitions and
// therefore cannot have one itself. Triggers of the archive's table keep it, as on SQLite.

import type { Db } from "../../../core/storage/db.ts";
import { type ArchiveTable, ownWord, type WordIndex } from "./word-index.ts";

/** Rows that are indexed in one statement of filling. */
const BATCH = 500;

/**
 * `<name>` has the words, `<name>_fill` one row: how far the rows that were there before are
 * indexed. A row's text is never changed but to nothing.
 */
export function mysqlIndex(db: Db, { table, owner }: ArchiveTable): WordIndex {
  const name = `mongooseim_${table}_words`;
  const words = (row: string) =>
    `CONCAT('u', ${row}.${owner}, 'x', REPLACE(${row}.search_body, ' ', CONCAT(' u', ${row}.${owner}, 'x')))`;
  const tables = [
    `CREATE TABLE IF NOT EXISTS ${name} (
      owner int unsigned NOT NULL, id bigint unsigned NOT NULL,
      words longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
      PRIMARY KEY (owner, id), FULLTEXT INDEX i_${name} (words)) ENGINE=InnoDB`,
    `CREATE TABLE IF NOT EXISTS ${name}_fill (
      one int NOT NULL PRIMARY KEY, owner bigint NOT NULL, id bigint NOT NULL, done int NOT NULL) ENGINE=InnoDB`,
  ];
  const triggers: Readonly<Record<string, string>> = {
    insert: `AFTER INSERT ON ${table} FOR EACH ROW
      INSERT INTO ${name} (owner, id, words)
        SELECT NEW.${owner}, NEW.id, ${words("NEW")} FROM DUAL WHERE NEW.search_body <> ''`,
    update: `AFTER UPDATE ON ${table} FOR EACH ROW
      UPDATE ${name} SET words = IF(NEW.search_body = '' OR NEW.search_body IS NULL, '', ${words("NEW")})
        WHERE owner = OLD.${owner} AND id = OLD.id`,
    delete: `AFTER DELETE ON ${table} FOR EACH ROW
      DELETE FROM ${name} WHERE owner = OLD.${owner} AND id = OLD.id`,
  };

  return {
    async create() {
      for (const sql of tables) await db.execute(sql);
      const made = await db.query<{ trigger: string }>(
        "SELECT TRIGGER_NAME AS `trigger` FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()",
      );
      const there = new Set(made.map(({ trigger }) => trigger));
      for (const [event, rest] of Object.entries(triggers))
        if (!there.has(`${name}_${event}`)) await db.execute(`CREATE TRIGGER ${name}_${event} ${rest}`);
      await db.insertNew(`${name}_fill`, { one: 1, owner: -1, id: -1, done: 0 });
      const [state] = await db.query<{ done: number }>(`SELECT done FROM ${name}_fill`);
      return state?.done === 1;
    },

    async fill() {
      const [from] = await db.query<{ owner: number; id: number | bigint }>(`SELECT owner, id FROM ${name}_fill`);
      const after = `(m.${owner} > ? OR (m.${owner} = ? AND m.id > ?))`;
      const at = [from.owner, from.owner, from.id];
      const [last] = await db.query<{ owner: number; id: number | bigint }>(
        `SELECT m.${owner} AS owner, m.id FROM ${table} m WHERE ${after} ORDER BY m.${owner}, m.id LIMIT 1 OFFSET ${BATCH - 1}`,
        at,
      );
      const until = last ? ` AND (m.${owner} < ? OR (m.${owner} = ? AND m.id <= ?))` : "";
      const to = last ? [last.owner, last.owner, last.id] : [];
      await db.transaction([
        {
          sql: `INSERT IGNORE INTO ${name} (owner, id, words)
            SELECT m.${owner}, m.id, ${words("m")} FROM ${table} m WHERE ${after}${until} AND m.search_body <> ''`,
          params: [...at, ...to],
        },
        last
          ? { sql: `UPDATE ${name}_fill SET owner = ?, id = ?`, params: [last.owner, last.id] }
          : { sql: `UPDATE ${name}_fill SET done = 1` },
      ]);
      return last === undefined;
    },

    candidates: (whose, given, id) => ({
      sql: `${id} IN (SELECT w.id FROM ${name} w WHERE MATCH (w.words) AGAINST (? IN BOOLEAN MODE) AND w.owner = ?)`,
      params: [given.map((word) => `+${ownWord(whose, word)}`).join(" "), whose],
    }),
  };
}
