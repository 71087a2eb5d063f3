// Tells whether a backup could be restored: every file is read, and every row of a scratch copy counted.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { MIGRATIONS } from "../migrations/index.ts";
import { contentsOf, damageOf } from "./database.ts";
import { copyHashed, reasonOf } from "./files.ts";
import { BackupError, type DatabaseEntry, type Manifest, readManifest } from "./manifest.ts";

export interface Verified {
  readonly manifest: Manifest;
  /** A line each; the backup is good when there is none. */
  readonly problems: readonly string[];
}

/**
 * Verifies a backup without touching it.
 * @param scratch where a copy of the databases is made and removed again; beside the backup when not given
 * @throws BackupError for what is no backup, or when the copy cannot be made
 */
export function verifyBackup(backup: string, scratch?: string): Verified {
  const dir = resolve(backup);
  const manifest = readManifest(dir);
  const copies = scratchIn(scratch, dirname(dir));
  try {
    return { manifest, problems: stage(dir, manifest, copies) };
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
}

function scratchIn(given: string | undefined, beside: string): string {
  const name = ".mongooseim-verify-";
  try {
    return mkdtempSync(join(given ?? beside, name));
  } catch (error) {
    if (given !== undefined) throw new BackupError(`Cannot use "${given}" for a scratch copy: ${reasonOf(error)}`);
    // A backup medium that is mounted read-only.
    return mkdtempSync(join(tmpdir(), name));
  }
}

/** Copies the files of a backup, checking all that can be checked. Returns what is wrong. */
export function stage(backup: string, manifest: Manifest, to: string): string[] {
  const problems: string[] = [];
  for (const { path, bytes, sha256 } of manifest.files) {
    try {
      const copied = copyHashed(join(backup, path), join(to, path));
      if (copied.bytes !== bytes) problems.push(`${path}: it has ${copied.bytes} bytes and had ${bytes}`);
      else if (copied.sha256 !== sha256) problems.push(`${path}: its contents have changed (SHA-256)`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") problems.push(`${path}: it is missing`);
      else if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
        throw new BackupError(`Cannot copy the backup to "${to}": ${reasonOf(error)}`);
      } else problems.push(`${path}: ${reasonOf(error)}`);
    }
  }
  const bad = new Set(problems.map((line) => line.slice(0, line.indexOf(":"))));
  for (const database of manifest.databases) {
    if (!bad.has(database.path)) problems.push(...examine(join(to, database.path), database));
  }
  return problems;
}

/** Compares what a copy of a database holds with what the manifest says of it. */
function examine(file: string, { path, schema, rows }: DatabaseEntry): string[] {
  const damage = damageOf(file);
  if (damage.length > 0) return damage.map((line) => `${path}: ${line}`);
  const found = contentsOf(file);
  const problems: string[] = [];
  for (const table of new Set([...Object.keys(rows), ...Object.keys(found.rows)])) {
    const [is, was] = [found.rows[table], rows[table]];
    if (is !== was) problems.push(`${path}: table ${table} has ${is ?? "no"} rows and had ${was ?? "none"}`);
  }
  if (found.schema.join() !== schema.join()) problems.push(`${path}: its schema is not the one it had`);
  const known = new Set(MIGRATIONS.map(({ id }) => id));
  const newer = schema.filter((id) => !known.has(id));
  if (newer.length > 0) problems.push(`${path}: its schema is of a newer server (migration ${newer.join(", ")})`);
  return problems;
}
