// SQLite files as a backup sees them: a consistent copy, a count of all rows, a check of all pages.

import { Database } from "bun:sqlite";
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import type { DatabaseEntry } from "./manifest.ts";

/** The first bytes of every SQLite file. */
const MAGIC = Buffer.from("SQLite format 3\0");
/** How long a lock of the server (at its start, at its end) is waited for. */
const BUSY_MS = 10_000;
const CACHE_KIB = 65_536;
/** Pages in the write-ahead log that the server may take over by itself without being held up. */
const FEW_PAGES = 1000;

export function isSqlite(file: string): boolean {
  const fd = openSync(file, "r");
  try {
    const head = Buffer.alloc(MAGIC.length);
    return readSync(fd, head, 0, head.length, 0) === head.length && head.equals(MAGIC);
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes a copy as the database is at one moment, while others write to it: nobody waits, and the write-ahead log grows
 * until the copy is done. Then moves what the log holds to the database, so that the server need not.
 */
export function copyDatabase(from: string, to: string): void {
  // SQLite would make a file that others may read.
  writeFileSync(to, "", { mode: 0o600, flag: "wx" });
  const db = new Database(from, { readwrite: true });
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    db.run(`PRAGMA cache_size = -${CACHE_KIB}`);
    run(db, "VACUUM INTO ?", to);
    moveLog(db);
  } finally {
    db.close();
  }
}

/** Moves what the write-ahead log holds to the database, as far as that can be done. */
function moveLog(db: Database): void {
  try {
    // Each round leaves what was written during it; a disk that is slower than the writers ends this by its number.
    for (let round = 0; round < 20; round++) {
      const [state] = all<{ log: number; checkpointed: number }>(db, "PRAGMA wal_checkpoint(PASSIVE)");
      if (state.log - state.checkpointed < FEW_PAGES) return;
    }
  } catch {
    // The disk of the database is full, say. The copy is made.
    return;
  }
}

/** What is in a database. Rejects what cannot be read. */
export function contentsOf(file: string): Omit<DatabaseEntry, "path"> {
  const db = new Database(file, { readwrite: true });
  try {
    const sql = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                 AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name`;
    const tables = all<{ name: string }>(db, sql).map(({ name }) => name);
    const rows: Record<string, number> = {};
    for (const name of tables) {
      const [{ n }] = all<{ n: number }>(db, `SELECT count(*) AS n FROM "${name.replaceAll('"', '""')}"`);
      rows[name] = n;
    }
    const schema = tables.includes("mongooseim_migrations")
      ? all<{ id: number }>(db, "SELECT id FROM mongooseim_migrations ORDER BY id")
      : [];
    return { schema: schema.map(({ id }) => id), rows };
  } finally {
    db.close();
  }
}

/** What is wrong with the pages and the indexes of a database; nothing when it is whole. */
export function damageOf(file: string): string[] {
  let db: Database | undefined;
  try {
    db = new Database(file, { readwrite: true });
    const found = all<{ integrity_check: string }>(db, "PRAGMA integrity_check(10)");
    return found.map((row) => row.integrity_check).filter((line) => line !== "ok");
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    db?.close();
  }
}

/** Runs a statement. None is left behind: Bun ends a connection that has one by a checkpoint that writers wait for. */
function run(db: Database, sql: string, ...params: string[]): void {
  const statement = db.prepare(sql);
  try {
    statement.run(...params);
  } finally {
    statement.finalize();
  }
}

function all<T>(db: Database, sql: string): T[] {
  const statement = db.prepare<T, []>(sql);
  try {
    return statement.all();
  } finally {
    statement.finalize();
  }
}
