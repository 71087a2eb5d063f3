// Makes a backup of a state directory, whether a server runs on it or not.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { contentsOf, copyDatabase, isSqlite } from "./database.ts";
import { copyHashed, reasonOf, sync, writeSynced } from "./files.ts";
import { restoreJournal } from "./journal.ts";
import { BackupError, MANIFEST, type Manifest, newManifest } from "./manifest.ts";

/** What a state directory has beside its databases that cannot be made again: keys, certificates, a password. */
const KEPT = ["salt-secret", "graphql-admin-password", "tls"];

export interface CreateOptions {
  readonly stateDir: string;
  /** The backup: a directory that does not exist yet. */
  readonly target: string;
  /** Of this server. */
  readonly version: string;
  readonly now: Date;
}

/**
 * Makes the backup; it has its name only when it is whole and on the disk.
 * @throws BackupError; then nothing is left of it
 */
export function createBackup(options: CreateOptions): Manifest {
  const { stateDir } = options;
  const target = resolve(options.target);
  const databases = databasesIn(stateDir);
  if (databases.length === 0) throw new BackupError(`Cannot make a backup: there is no database in "${stateDir}"`);
  if (existsSync(target)) throw new BackupError(`Cannot make the backup: "${target}" exists already`);
  // Some files are of before the restore, and some of after it.
  if (existsSync(restoreJournal(stateDir))) {
    throw new BackupError(
      `Cannot make a backup: a restore of "${stateDir}" was cut short; start the server, which finishes it`,
    );
  }
  const partial = `${target}.partial`;
  try {
    begin(partial);
    haveSpace(dirname(target), stateDir, databases);
    const manifest = fill(partial, databases, options);
    rmSync(join(partial, "pid"));
    sync(partial);
    renameSync(partial, target);
    sync(dirname(target));
    return manifest;
  } catch (error) {
    if (error instanceof Taken) throw error;
    removed(partial);
    if (error instanceof BackupError) throw error;
    throw new BackupError(`Cannot make the backup "${target}": ${reasonOf(error)}`);
  }
}

/**
 * Files in the state directory that are databases, wherever a pool with driver "sqlite" has put them there; links to such
 * files too.
 */
function databasesIn(stateDir: string): string[] {
  const isDatabase = (name: string): boolean => {
    const file = join(stateDir, name);
    return !name.endsWith(".lock") && statSync(file, { throwIfNoEntry: false })?.isFile() === true && isSqlite(file);
  };
  try {
    return readdirSync(stateDir).filter(isDatabase).sort();
  } catch (error) {
    throw new BackupError(`Cannot read the state directory: ${(error as Error).message}`);
  }
}

class Taken extends BackupError {}

/** Takes a failed backup away, as far as that can be done: why it has failed is worth more than why this does. */
function removed(partial: string): void {
  try {
    rmSync(partial, { recursive: true, force: true });
  } catch {
    return;
  }
}

/** Whether something is what a backup that was cut short has left. */
function isLeftover(partial: string): boolean {
  if (!statSync(partial).isDirectory()) return false;
  const names = readdirSync(partial);
  return names.length === 0 || names.includes("pid") || names.includes(MANIFEST);
}

/** Makes the directory that the backup grows in. One that a killed process left is removed, and nothing else. */
function begin(partial: string): void {
  mkdirSync(dirname(partial), { recursive: true, mode: 0o700 });
  if (existsSync(partial) && !isLeftover(partial)) {
    throw new Taken(
      `Cannot make the backup: "${partial}" is in the way, and no backup; move it, or choose another name`,
    );
  }
  const [maker, born] = existsSync(join(partial, "pid")) ? readFileSync(join(partial, "pid"), "utf8").split(" ") : [];
  const pid = Number(maker ?? 0);
  const runs = pid > 0 && pid !== process.pid ? bornAt(pid) : undefined;
  if (runs !== undefined && (born === undefined || born === runs)) {
    throw new Taken(`Cannot make the backup: process ${pid} is making the same one in "${partial}"`);
  }
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { mode: 0o700 });
  writeFileSync(join(partial, "pid"), `${process.pid} ${bornAt(process.pid) ?? ""}`.trim(), { mode: 0o600 });
}

/** When a process began, as the kernel counts: after a while, or a reboot, another one has its number (proc(5)). */
function bornAt(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").split(" ")[20];
  } catch {
    return undefined;
  }
}

/** Says at once what a full disk would say after minutes. */
function haveSpace(dir: string, stateDir: string, databases: readonly string[]): void {
  const needed = databases.reduce((sum, name) => sum + statSync(join(stateDir, name)).size, 0);
  const { bavail, bsize } = statfsSync(dir);
  if (bavail * bsize < needed) {
    const mib = (bytes: number): string => `${Math.ceil(bytes / 1_048_576)} MiB`;
    throw new BackupError(
      `Cannot make the backup: it may need ${mib(needed)}, and "${dir}" has ${mib(bavail * bsize)} left`,
    );
  }
}

function fill(partial: string, databases: readonly string[], { stateDir, version, now }: CreateOptions): Manifest {
  const files: Manifest["files"] = [];
  const described: Manifest["databases"] = [];
  for (const path of databases) {
    const copy = join(partial, path);
    copyDatabase(join(stateDir, path), copy);
    sync(copy);
    described.push({ path, ...contentsOf(copy) });
    files.push({ path, ...copyHashed(copy) });
  }
  // After the databases: what a database refers to was there before.
  for (const path of KEPT.flatMap((name) => filesUnder(stateDir, name))) {
    files.push({ path, ...copyHashed(join(stateDir, path), join(partial, path)) });
  }
  const manifest = newManifest({ version, created: now.toISOString(), files, databases: described });
  writeSynced(join(partial, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

function filesUnder(dir: string, name: string): string[] {
  const found = statSync(join(dir, name), { throwIfNoEntry: false });
  if (found?.isFile()) return [name];
  if (!found?.isDirectory()) return [];
  return readdirSync(join(dir, name))
    .sort()
    .flatMap((entry) => filesUnder(dir, `${name}/${entry}`));
}
