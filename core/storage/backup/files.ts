// Copies of files that are on the disk when the function returns, and their checksums.

import {
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

const CHUNK = 1024 * 1024;

export interface Copied {
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads a file and, with `to`, writes a copy that only its owner may read; `to` must not exist. */
export function copyHashed(from: string, to?: string): Copied {
  const hash = new Bun.CryptoHasher("sha256");
  // A pipe would be waited for.
  if (!statSync(from).isFile()) throw new Error("it is no file");
  const source = openSync(from, "r");
  let target: number | undefined;
  try {
    if (to !== undefined) {
      mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
      target = openSync(to, "wx", 0o600);
    }
    const buffer = Buffer.allocUnsafe(CHUNK);
    let bytes = 0;
    for (let n = readSync(source, buffer); n > 0; n = readSync(source, buffer)) {
      const part = buffer.subarray(0, n);
      hash.update(part);
      for (let at = 0; target !== undefined && at < n; ) at += writeSync(target, part, at);
      bytes += n;
    }
    if (target !== undefined) fsyncSync(target);
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    closeSync(source);
    if (target !== undefined) closeSync(target);
  }
}

/** Makes what was written to a file, or the names in a directory, last. */
export function sync(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes a new file that only its owner may read. */
export function writeSynced(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  sync(file);
}

/** Gives what root made to the owner of a directory. */
export function giveToOwnerOf(dir: string, path: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dir);
  chownSync(path, uid, gid);
}

/** The text of a failure of the file system, in words where they are worth it. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "SQLITE_FULL" || code === "EDQUOT") return "no space is left on the disk";
  return error instanceof Error ? error.message : String(error);
}
