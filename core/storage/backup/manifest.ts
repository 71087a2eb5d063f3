// What a backup says about itself. A backup is a directory: manifest.json, and the files of the state directory under
// the names they have there.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

export const MANIFEST = "manifest.json";
/** Goes up when a build of today could not read what a later one writes. */
const FORMAT = 1;

const count = z.int().min(0);
/** Below the backup and below the state directory; never outside of them. */
const path = z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.?(\/|$))\P{Cc}+$/u);

const manifest = z
  .strictObject({
    format: z.literal(FORMAT),
    /** Of the server that made it. */
    version: z.string(),
    /** ISO 8601, UTC. */
    created: z.iso.datetime(),
    /** All files, databases among them. */
    files: z.array(z.strictObject({ path, bytes: count, sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
    databases: z.array(
      z.strictObject({
        path,
        /** Migrations that it has had, in order. */
        schema: z.array(count),
        /** Rows by table. */
        rows: z.record(z.string(), count),
      }),
    ),
  })
  // A backup of nothing would leave nothing.
  .refine(({ files, databases }) => {
    const all = new Set(files.map(({ path }) => path));
    return databases.length > 0 && databases.every(({ path }) => all.has(path));
  })
  // What is kept beside a database, and what a restore keeps for itself, was not put there by `create`.
  .refine(({ files, databases }) => {
    const own = new Set(
      databases.flatMap(({ path }) => ["-wal", "-shm", "-journal", ".lock"].map((end) => path + end)),
    );
    return files.every(({ path }) => !own.has(path) && !/^restore(\.json|-staging)/.test(path));
  });

export type Manifest = z.output<typeof manifest>;
export type DatabaseEntry = Manifest["databases"][number];

/** A backup, or a state directory, that cannot be used; the message is one line for whoever gave the command. */
export class BackupError extends Error {
  override readonly name = "BackupError";
}

/** @throws BackupError for names that no manifest may have: such a backup could not be restored */
export function newManifest(fields: Omit<Manifest, "format">): Manifest {
  const parsed = manifest.safeParse({ format: FORMAT, ...fields });
  if (parsed.success) return parsed.data;
  const odd = fields.files.filter(({ path: name }) => !path.safeParse(name).success);
  const names = (odd.length > 0 ? odd : fields.files).map((file) => JSON.stringify(file.path)).join(", ");
  throw new BackupError(`Cannot make the backup: not all of these names can be restored: ${names}; rename the file`);
}

/** @throws BackupError */
export function readManifest(dir: string): Manifest {
  const file = join(dir, MANIFEST);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new BackupError(`"${dir}" is no backup: cannot read "${file}": ${(error as Error).message}`);
  }
  const parsed = manifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === "number" && format > FORMAT) {
    throw new BackupError(`Cannot use backup "${dir}": it was made by a newer server; use its mongooseimctl`);
  }
  throw new BackupError(`Cannot use backup "${dir}": "${file}" is damaged`);
}
