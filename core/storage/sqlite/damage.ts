// A damaged file: found at the start as far as that costs next to nothing, else when a damaged page is touched. Nothing is
// repaired in place: what a damaged tree points to may belong to another one, and a REINDEX would free it.

import { statSync } from "node:fs";
import { type Db, StorageError } from "../db.ts";

/** Files up to this size are read whole at the start: about a tenth of a second. */
const CHECKED_BYTES = 32 * 1024 * 1024;

/** What to do about a damaged file, as the end of a line. */
export const DAMAGE_ADVICE =
  'stop the server and restore a backup with "mongooseimctl backup restore DIR"; the damaged file is kept beside it';

/** Rejects with a {@link StorageError} "corrupt" when the file is damaged, as far as its size lets that be seen. */
export async function refuseDamaged(db: Db, file: string): Promise<void> {
  if (file === ":memory:" || statSync(file).size > CHECKED_BYTES) return;
  let found: string[];
  try {
    found = (await db.query<{ quick_check: string }>("PRAGMA quick_check(3)")).map((row) => row.quick_check);
  } catch (cause) {
    if (!(cause instanceof StorageError) || cause.code !== "corrupt") throw cause;
    found = [cause.message];
  }
  const damage = found.filter((line) => line !== "ok").map((line) => line.replace(/\s*\n\s*/g, ", "));
  if (damage.length > 0) throw damaged(file, damage.join("; "));
}

/** The error of one line for a file that a server will not serve. */
export const damaged = (file: string, what: string): StorageError =>
  new StorageError("corrupt", `Cannot use database "${file}", which is damaged (${what}): ${DAMAGE_ADVICE}`);
