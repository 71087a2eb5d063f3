// SQLite's archive gets by with one index; a database of an earlier build has three.
import { createTable } from "../ddl.ts";
import type { Migration } from "./migration.ts";
import { MESSAGES } from "./tables_messages.ts";

export const archiveIndex: Migration = {
  id: 27,
  name: "archive_index",
  statements({ dialect }) {
    const table = MESSAGES.find(({ name }) => name === "mam_message");
    if (dialect !== "sqlite" || table === undefined) return [];
    const columns = ["rowid", ...Object.keys(table.columns)].join(", ");
    return [
      "ALTER TABLE mam_message RENAME TO mam_message_before",
      "DROP INDEX IF EXISTS i_mam_message_username_jid_id",
      "DROP INDEX IF EXISTS i_mam_message_username_jid_origin_id",
      "DROP INDEX IF EXISTS i_mam_message_user_id",
      ...createTable("sqlite", table),
      `INSERT INTO mam_message (${columns}) SELECT ${columns} FROM mam_message_before ORDER BY rowid`,
      "DROP TABLE mam_message_before",
    ].map((sql) => ({ sql }));
  },
};
