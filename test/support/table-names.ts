// What a database consists of.
import type { Db } from "../../core/storage/db.ts";

/** Every table of a database. */
export async function tableNames(db: Db): Promise<string[]> {
  const sql =
    db.dialect === "sqlite"
      ? "SELECT name FROM sqlite_master WHERE type = 'table'"
      : `SELECT table_name AS name FROM information_schema.tables
         WHERE table_schema = ${db.dialect === "pgsql" ? "'public'" : "database()"}`;
  return (await db.query<{ name: string }>(sql)).map(({ name }) => name);
}
