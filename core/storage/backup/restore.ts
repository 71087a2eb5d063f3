// Puts a backup in the place of a state directory's files. What is done cannot be half done: copies are made and checked
// beside the old files first; then a journal is written, and from then on the exchange goes on by itself, whoever comes
// next: this command again, or the server at its start.

import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { StorageError } from "../db.ts";
import { takeLock } from "../sqlite/engine.ts";
import { giveToOwnerOf, reasonOf, sync, writeSynced } from "./files.ts";
import { restoreJournal } from "./journal.ts";
import { BackupError, type Manifest, readManifest } from "./manifest.ts";
import { stage } from "./verify.ts";

const STAGING = "restore-staging";
/** What SQLite and we keep beside a database. Without its database it is worthless, with another one harmful. */
const SIDECARS = ["-wal", "-shm", "-journal"];

const journal = z.strictObject({
  /** Where the old files go, below the state directory. */
  aside: z.string(),
  /** The new ones, in the staging directory until they have their place. */
  files: z.array(z.string()),
  databases: z.array(z.string()),
});
type Journal = z.output<typeof journal>;

export interface RestoreOptions {
  readonly stateDir: string;
  readonly backup: string;
  readonly now: Date;
}

export interface Restored {
  readonly manifest: Manifest;
  /** Where the old files are; undefined when there were none. */
  readonly aside: string | undefined;
}

/**
 * Restores a backup.
 * @throws BackupError when a server uses the state directory, or the backup is not good; then nothing has changed
 */
export function restoreBackup({ stateDir, backup, now }: RestoreOptions): Restored {
  const manifest = readManifest(backup);
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new BackupError(`Cannot make the state directory "${stateDir}": ${reasonOf(error)}`);
  }
  return locked(
    stateDir,
    manifest.databases.map(({ path }) => path),
    () => {
      if (existsSync(restoreJournal(stateDir))) exchange(stateDir);
      const aside = prepare(stateDir, backup, manifest, now);
      exchange(stateDir);
      return { manifest, aside: existsSync(join(stateDir, aside)) ? join(stateDir, aside) : undefined };
    },
  );
}

/**
 * Finishes a restore that was cut short, if there is one; true when there was. To be called before anything of the state
 * directory is used.
 * @throws BackupError
 */
export function finishRestore(stateDir: string): boolean {
  if (!existsSync(restoreJournal(stateDir))) return false;
  return locked(stateDir, readJournal(stateDir).databases, () => {
    exchange(stateDir);
    return true;
  });
}

/** Runs `work` while no server can start. */
function locked<T>(stateDir: string, databases: readonly string[], work: () => T): T {
  const locks: { close(): void }[] = [];
  try {
    for (const path of new Set(["mongooseim.db", ...databases])) {
      locks.push(takeLock(join(stateDir, path)));
      giveToOwnerOf(stateDir, join(stateDir, `${path}.lock`));
    }
    return work();
  } catch (error) {
    if (error instanceof StorageError && error.code === "locked") {
      throw new BackupError(`Cannot restore: a server is using "${stateDir}"; stop it first`);
    }
    if (error instanceof BackupError) throw error;
    throw new BackupError(`Cannot restore: ${reasonOf(error)}`);
  } finally {
    for (const lock of locks) lock.close();
  }
}

/** Makes and checks the copies, and writes the journal. Returns where the old files will go. */
function prepare(stateDir: string, backup: string, manifest: Manifest, now: Date): string {
  const staging = join(stateDir, STAGING);
  const file = restoreJournal(stateDir);
  const plan: Journal = {
    aside: nameAside(stateDir, now),
    files: manifest.files.map(({ path }) => path),
    databases: manifest.databases.map(({ path }) => path),
  };
  rmSync(staging, { recursive: true, force: true });
  try {
    mkdirSync(staging, { mode: 0o700 });
    const problems = stage(backup, manifest, staging);
    if (problems.length > 0) throw new BackupError(`Cannot restore "${backup}": ${problems.join("; ")}`);
    for (const path of everythingIn(staging)) {
      giveToOwnerOf(stateDir, path);
      sync(path);
    }
    makePlaces(stateDir, plan);
    rmSync(`${file}.new`, { force: true });
    writeSynced(`${file}.new`, JSON.stringify(plan));
    giveToOwnerOf(stateDir, `${file}.new`);
    renameSync(`${file}.new`, file);
    sync(stateDir);
  } catch (error) {
    for (const path of [file, `${file}.new`, staging, join(stateDir, plan.aside)])
      rmSync(path, { recursive: true, force: true });
    throw error;
  }
  return plan.aside;
}

/** A name that is free: what was put aside by another restore, of this second too, stays. */
function nameAside(stateDir: string, now: Date): string {
  const name = `before-restore-${now.toISOString().replace(/[-:]|\.\d+/g, "")}`;
  for (let n = 1; ; n++) {
    const free = n === 1 ? name : `${name}-${n}`;
    if (!existsSync(join(stateDir, free))) return free;
  }
}

/**
 * Makes the directories that the exchange needs, and refuses where it would stop half-way: a file cannot be renamed to
 * another file system, nor in a directory that may not be written to.
 */
function makePlaces(stateDir: string, { aside, files }: Journal): void {
  const { dev } = statSync(stateDir);
  for (const path of files) {
    const old = lstatSync(join(stateDir, path), { throwIfNoEntry: false });
    const dir = join(stateDir, dirname(path));
    makeDir(dir, stateDir);
    if (statSync(dir).dev !== dev || (old && old.dev !== dev)) {
      throw new BackupError(
        `Cannot restore: "${join(stateDir, path)}" is on another file system than "${stateDir}"; move it away first`,
      );
    }
    accessSync(dir, constants.W_OK);
    if (old) makeDir(join(stateDir, aside, dirname(path)), stateDir);
  }
}

function readJournal(stateDir: string): Journal {
  const file = restoreJournal(stateDir);
  try {
    return journal.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new BackupError(`Cannot finish the restore that "${file}" describes: ${reasonOf(error)}`);
  }
}

/** Gives the new files their places, the old ones going aside. May be cut short anywhere, and be begun again. */
function exchange(stateDir: string): void {
  const { aside, files, databases } = readJournal(stateDir);
  const put = (path: string): void => move(join(stateDir, path), join(stateDir, aside, path), stateDir);
  for (const path of files) {
    const fresh = join(stateDir, STAGING, path);
    // It has its place already.
    if (!existsSync(fresh)) continue;
    if (databases.includes(path)) for (const suffix of SIDECARS) put(path + suffix);
    put(path);
    move(fresh, join(stateDir, path), stateDir);
  }
  sync(stateDir);
  rmSync(restoreJournal(stateDir));
  sync(stateDir);
  rmSync(join(stateDir, STAGING), { recursive: true, force: true });
}

/** Renames a file, if it exists. */
function move(from: string, to: string, stateDir: string): void {
  if (!existsSync(from)) return;
  makeDir(dirname(to), stateDir);
  renameSync(from, to);
  // The name is gone from one place only when it is in the other one for good.
  sync(dirname(to));
}

function makeDir(dir: string, stateDir: string): void {
  if (existsSync(dir)) return;
  makeDir(dirname(dir), stateDir);
  mkdirSync(dir, { mode: 0o700 });
  giveToOwnerOf(stateDir, dir);
  sync(dirname(dir));
}

function* everythingIn(dir: string): Generator<string> {
  yield dir;
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) yield* everythingIn(path);
    else yield path;
  }
}
