// Backups: what they hold, what verifying finds, and that a restore is whole wherever it is cut short.

import { Database } from "bun:sqlite";
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { Log, MemorySink } from "../../../../core/log/index.ts";
import { createBackup } from "../../../../core/storage/backup/create.ts";
import { holdCheckpoints } from "../../../../core/storage/backup/hold.ts";
import { MANIFEST, readManifest } from "../../../../core/storage/backup/manifest.ts";
import { finishRestore, restoreBackup } from "../../../../core/storage/backup/restore.ts";
import { verifyBackup } from "../../../../core/storage/backup/verify.ts";
import type { Db } from "../../../../core/storage/db.ts";
import { openStorage } from "../../../../core/storage/index.ts";

const NOW = new Date("2026-11-26T09:30:00.123Z");

let root: string;
let stateDir: string;
let target: string;
const opened: Db[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "backup-"));
  stateDir = join(root, "state");
  target = join(root, "backups/today");
});
afterEach(async () => {
  for (const db of opened.splice(0)) await db.close();
  rmSync(root, { recursive: true });
});

async function open(): Promise<Db> {
  const db = await openStorage({ stateDir });
  opened.push(db);
  return db;
}

/** Closes the store, and goes on with a copy of the directory: a thread that ends tidies up its files a little later. */
async function close(): Promise<void> {
  for (const db of opened.splice(0)) await db.close();
  const copy = mkdtempSync(join(root, "copy-"));
  cpSync(stateDir, copy, { recursive: true });
  stateDir = copy;
}

const addUser = (db: Db, name: string) => db.insertNew("users", { username: name, server: "localhost", password: "p" });

async function users(db: Db): Promise<string[]> {
  const rows = await db.query<{ username: string }>("SELECT username FROM users ORDER BY username");
  return rows.map(({ username }) => username);
}

const create = () => createBackup({ stateDir, target, version: "1.2.3", now: NOW });
const restore = (backup = target) => restoreBackup({ stateDir, backup, now: NOW });

/** A state directory with an account and the files beside the database. */
async function stateWith(name: string): Promise<Db> {
  const db = await open();
  await addUser(db, name);
  writeFileSync(join(stateDir, "salt-secret"), `secret of ${name}`);
  mkdirSync(join(stateDir, "tls"), { recursive: true });
  writeFileSync(join(stateDir, "tls/self-signed.key"), `key of ${name}`);
  return db;
}

/** Without what SQLite keeps beside a database while it is open, or until somebody tidies up. */
const filesOf = (dir: string): string[] =>
  (readdirSync(dir, { recursive: true }) as string[])
    .filter((name) => statSync(join(dir, name)).isFile() && !/-(wal|shm)$/.test(name))
    .sort();

describe("a backup", () => {
  test("of a store in use has all that is committed, the secrets, and nothing for others to read", async () => {
    const db = await stateWith("alice");
    writeFileSync(join(stateDir, "mongooseim.log"), "not worth keeping");
    const manifest = create();
    await addUser(db, "bob");
    expect(filesOf(target)).toEqual([MANIFEST, "mongooseim.db", "salt-secret", "tls/self-signed.key"]);
    expect(manifest.databases[0].rows.users).toBe(1);
    expect(manifest.databases[0].schema.length).toBeGreaterThan(5);
    expect(manifest).toMatchObject({ version: "1.2.3", created: "2026-11-26T09:30:00.123Z" });
    for (const name of filesOf(target)) expect(statSync(join(target, name)).mode & 0o077).toBe(0);
    expect(statSync(target).mode & 0o077).toBe(0);
    expect(verifyBackup(target).problems).toEqual([]);
    expect(await users(db)).toEqual(["alice", "bob"]);
  });

  test("of a store whose server was killed has what was in its log", async () => {
    const db = await stateWith("alice");
    // As a kill leaves it: the log was not moved to the database.
    cpSync(stateDir, join(root, "killed"), { recursive: true });
    rmSync(join(root, "killed/mongooseim.db.lock"), { force: true });
    expect(existsSync(join(root, "killed/mongooseim.db-wal"))).toBe(true);
    const manifest = createBackup({ stateDir: join(root, "killed"), target, version: "1", now: NOW });
    expect(manifest.databases[0].rows.users).toBe(1);
    expect(await users(db)).toEqual(["alice"]);
  });

  test("takes every database that is in the directory", async () => {
    await stateWith("alice");
    const other = new Database(join(stateDir, "pool.db"));
    other.run("CREATE TABLE things (n)");
    other.run("INSERT INTO things VALUES (1), (2)");
    other.close();
    const manifest = create();
    expect(manifest.databases.map(({ path }) => path)).toEqual(["mongooseim.db", "pool.db"]);
    expect(manifest.databases[1]).toEqual({ path: "pool.db", schema: [], rows: { things: 2 } });
  });

  test("takes a database that is a link to another disk", async () => {
    await stateWith("alice");
    await close();
    mkdirSync(join(root, "disk"));
    renameSync(join(stateDir, "mongooseim.db"), join(root, "disk/m.db"));
    symlinkSync(join(root, "disk/m.db"), join(stateDir, "mongooseim.db"));
    symlinkSync("/nowhere/at/all", join(stateDir, "dangling.db"));
    const manifest = create();
    expect(manifest.databases.map(({ path, rows }) => [path, rows.users])).toEqual([["mongooseim.db", 1]]);
  });

  test.each(["two\nlines.key", "restore-staging.db"])(
    "keeps any name that could be restored, and refuses others: %j",
    async (odd) => {
      await stateWith("alice");
      writeFileSync(join(stateDir, "tls/schlüssel ä:1.key"), "key");
      const { files } = createBackup({ stateDir, target: `${target} ü 1`, version: "1", now: NOW });
      expect(files.map(({ path }) => path)).toContain("tls/schlüssel ä:1.key");
      expect(verifyBackup(`${target} ü 1`).problems).toEqual([]);
      if (odd.endsWith(".db")) new Database(join(stateDir, odd)).run("CREATE TABLE t (n)");
      else writeFileSync(join(stateDir, "tls", odd), "key");
      expect(create).toThrow(/^Cannot make the backup: not all of these names can be restored: .*(two.nlines|staging)/);
      expect(readdirSync(join(root, "backups"))).toEqual(["today ü 1"]);
    },
  );

  test("is refused while a restore is half done", async () => {
    await stateWith("alice");
    writeFileSync(join(stateDir, "restore.json"), "{}");
    expect(create).toThrow(/a restore of ".*" was cut short; start the server/);
    expect(existsSync(target)).toBe(false);
  });

  test("is refused where something is already, and where there is nothing to save", async () => {
    await stateWith("alice");
    create();
    expect(create).toThrow(/exists already/);
    expect(() => createBackup({ stateDir: root, target: `${target}2`, version: "1", now: NOW })).toThrow(/no database/);
    expect(() => createBackup({ stateDir: "/nowhere", target: `${target}2`, version: "1", now: NOW })).toThrow(
      /Cannot read the state directory/,
    );
    expect(readdirSync(join(root, "backups"))).toEqual(["today"]);
  });

  test("leaves nothing when it fails, and removes what a killed one left", async () => {
    await stateWith("alice");
    mkdirSync(`${target}.partial`, { recursive: true });
    writeFileSync(join(`${target}.partial`, "mongooseim.db"), "half");
    // No process has such a number.
    writeFileSync(join(`${target}.partial`, "pid"), "99999999");
    create();
    expect(readdirSync(join(root, "backups"))).toEqual(["today"]);
    await close();
    const file = join(stateDir, "mongooseim.db");
    const settling = new Database(file);
    settling.run("PRAGMA wal_checkpoint(TRUNCATE)");
    settling.close();
    const bytes = readFileSync(file);
    bytes.fill(0xff, 4096 * 3, 4096 * 60);
    writeFileSync(file, bytes);
    expect(() => createBackup({ stateDir, target: join(root, "backups/bad"), version: "1", now: NOW })).toThrow(
      /Cannot make the backup .*malformed/,
    );
    expect(readdirSync(join(root, "backups"))).toEqual(["today"]);
  });

  test("does not disturb one that another process is making", async () => {
    await stateWith("alice");
    mkdirSync(`${target}.partial`, { recursive: true });
    const pid = join(`${target}.partial`, "pid");
    const born = readFileSync(`/proc/${process.ppid}/stat`, "utf8").replace(/^.*\)/s, "").split(" ")[20];
    for (const text of [`${process.ppid}`, `${process.ppid} ${born}`]) {
      writeFileSync(pid, text);
      expect(create).toThrow(/is making the same one/);
    }
    expect(existsSync(pid)).toBe(true);
    // Another process has the number of one that was killed.
    writeFileSync(pid, `${process.ppid} ${Number(born) - 1}`);
    create();
    expect(readdirSync(join(root, "backups"))).toEqual(["today"]);
  });

  test("goes on while messages are written: each one is whole in it or not there", async () => {
    const db = await stateWith("alice");
    const release = holdCheckpoints([db], new Log({ sink: new MemorySink() }));
    let stop = false;
    let written = 0;
    const writing = (async () => {
      for (; !stop; written++) {
        const two = ["a", "b"].map((x) => ({
          sql: "INSERT INTO users (server, username, password) VALUES ('localhost', ?, '')",
          params: [`${x}${written}`],
        }));
        await db.transaction(two);
      }
    })();
    for (const n of [1, 2, 3]) {
      // The copy is made without giving up the thread; the worker has written on meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 30));
      const manifest = createBackup({ stateDir, target: `${target}${n}`, version: "1", now: NOW });
      expect(manifest.databases[0].rows.users % 2).toBe(1);
    }
    stop = true;
    await writing;
    release();
    expect(written).toBeGreaterThan(3);
    await db.query("SELECT 1");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await db.query("PRAGMA wal_autocheckpoint")).toEqual([{ wal_autocheckpoint: 4000 }]);
  });
});

describe("verifying finds", () => {
  const damage: [string, RegExp, () => void][] = [
    ["a missing file", /^salt-secret: it is missing$/, () => rmSync(join(target, "salt-secret"))],
    ["a shorter file", /^salt-secret: it has 3 bytes and had 15$/, () => truncateSync(join(target, "salt-secret"), 3)],
    [
      "other contents",
      /^tls\/self-signed\.key: its contents have changed/,
      () => writeFileSync(join(target, "tls/self-signed.key"), "key of malic"),
    ],
    [
      "a changed page",
      /^mongooseim\.db: its contents have changed/,
      () => {
        const bytes = readFileSync(join(target, "mongooseim.db"));
        bytes[5000] ^= 1;
        writeFileSync(join(target, "mongooseim.db"), bytes);
      },
    ],
    [
      "rows that are gone, even when the checksum was made to fit",
      /^mongooseim\.db: table users has 0 rows and had 1$/,
      () => {
        const db = new Database(join(target, "mongooseim.db"));
        db.run("DELETE FROM users");
        db.close();
        forge();
      },
    ],
    [
      "a damaged page, even then",
      /^mongooseim\.db: /,
      () => {
        const bytes = readFileSync(join(target, "mongooseim.db"));
        bytes.fill(0x55, 4096 * 3, 4096 * 5);
        writeFileSync(join(target, "mongooseim.db"), bytes);
        forge();
      },
    ],
    [
      "a schema that is newer than this server",
      /newer server \(migration 9999\)/,
      () => {
        const db = new Database(join(target, "mongooseim.db"));
        db.run("INSERT INTO mongooseim_migrations (id, name) VALUES (9999, 'future')");
        db.close();
        const manifest = readManifest(target);
        manifest.databases[0].schema.push(9999);
        manifest.databases[0].rows.mongooseim_migrations++;
        writeFileSync(join(target, MANIFEST), JSON.stringify(manifest));
        forge();
      },
    ],
  ];
  /** Makes the manifest's checksums those of the files. */
  function forge(): void {
    const manifest = readManifest(target);
    for (const file of manifest.files) {
      const bytes = readFileSync(join(target, file.path));
      file.bytes = bytes.length;
      file.sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    }
    writeFileSync(join(target, MANIFEST), JSON.stringify(manifest));
  }

  test.each(damage)("%s", async (_, problem, harm) => {
    await stateWith("alice");
    create();
    harm();
    const { problems } = verifyBackup(target);
    expect(problems.join("\n")).toMatch(problem);
    await close();
    // What is not good is not restored, and nothing has changed.
    const before = filesOf(stateDir);
    expect(() => restore()).toThrow(/Cannot restore/);
    expect(filesOf(stateDir)).toEqual(before);
    expect(readdirSync(join(root, "backups"))).toEqual(["today"]);
  });

  test.each([
    ["no manifest", () => rmSync(join(target, MANIFEST)), /is no backup/],
    ["a damaged one", () => writeFileSync(join(target, MANIFEST), "{}"), /is damaged/],
    ["one of the future", () => writeFileSync(join(target, MANIFEST), '{"format":2}'), /newer server/],
    [
      "one that points outside",
      () => {
        const manifest = readManifest(target);
        manifest.files[0].path = "../evil";
        writeFileSync(join(target, MANIFEST), JSON.stringify(manifest));
      },
      /is damaged/,
    ],
  ])("%s", async (_, harm, problem) => {
    await stateWith("alice");
    create();
    harm();
    expect(() => verifyBackup(target)).toThrow(problem);
  });
});

describe("a restore", () => {
  test("is refused while a server runs, and changes nothing", async () => {
    const db = await stateWith("alice");
    create();
    await addUser(db, "bob");
    expect(() => restore()).toThrow(`Cannot restore: a server is using "${stateDir}"; stop it first`);
    expect(await users(db)).toEqual(["alice", "bob"]);
  });

  test("brings back what was, and keeps what is", async () => {
    const db = await stateWith("alice");
    create();
    await addUser(db, "bob");
    writeFileSync(join(stateDir, "salt-secret"), "another");
    await close();
    const { aside } = restore();
    expect(aside).toBe(join(stateDir, "before-restore-20261126T093000Z"));
    expect(await users(await open())).toEqual(["alice"]);
    expect(readFileSync(join(stateDir, "salt-secret"), "utf8")).toBe("secret of alice");
    expect(readFileSync(join(aside!, "salt-secret"), "utf8")).toBe("another");
    const old = new Database(join(aside!, "mongooseim.db"));
    expect(old.query("SELECT count(*) AS n FROM users").get()).toEqual({ n: 2 });
    old.close();
  });

  // Its owner is somebody else then: only root can make such files.
  test.skipIf(process.getuid?.() !== 0)("by root gives everything to the owner of the state directory", async () => {
    await stateWith("alice");
    create();
    await close();
    rmSync(stateDir, { recursive: true });
    mkdirSync(stateDir);
    chownSync(stateDir, 65_534, 65_534);
    restore();
    const names = readdirSync(stateDir, { recursive: true }).map(String);
    expect(names).toContain("mongooseim.db.lock");
    for (const name of names) expect([name, statSync(join(stateDir, name)).uid]).toEqual([name, 65_534]);
  });

  test("never takes the place of what another one has put aside", async () => {
    await stateWith("alice");
    create();
    await close();
    writeFileSync(join(stateDir, "salt-secret"), "the only copy");
    const [first, second] = [restore().aside!, restore().aside!];
    expect(second).toBe(`${first}-2`);
    expect(readFileSync(join(first, "salt-secret"), "utf8")).toBe("the only copy");
    expect(readFileSync(join(second, "salt-secret"), "utf8")).toBe("secret of alice");
  });

  // A part of the directory that is mounted from elsewhere, or a link to another disk.
  const elsewhere = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "backup-"));
  afterAll(() => rmSync(elsewhere, { recursive: true }));
  test.skipIf(statSync(elsewhere).dev === statSync(tmpdir()).dev).each([
    ["is on another file system", (tls: string) => symlinkSync(elsewhere, tls), /tls.* is on another file system/],
    ["is a link to nowhere", (tls: string) => symlinkSync("/nowhere/at/all", tls), /EEXIST/],
    ["is a file", (tls: string) => writeFileSync(tls, "not a directory"), /Cannot restore/],
  ])("that could not be finished, since a directory %s, is not begun", async (_, make, problem) => {
    await stateWith("alice");
    create();
    await close();
    rmSync(join(stateDir, "tls"), { recursive: true });
    make(join(stateDir, "tls"));
    writeFileSync(join(stateDir, "salt-secret"), "another");
    const before = readdirSync(stateDir);
    expect(() => restore()).toThrow(problem);
    expect(readdirSync(stateDir)).toEqual(before);
    expect(readFileSync(join(stateDir, "salt-secret"), "utf8")).toBe("another");
    rmSync(join(stateDir, "tls"));
    restore();
    expect(readFileSync(join(stateDir, "tls/self-signed.key"), "utf8")).toBe("key of alice");
  });

  test("makes a state directory where there is none", async () => {
    await stateWith("alice");
    create();
    await close();
    rmSync(stateDir, { recursive: true });
    expect(restore().aside).toBeUndefined();
    expect(await users(await open())).toEqual(["alice"]);
  });

  test("takes the old log away with the old database", async () => {
    await stateWith("alice");
    create();
    await close();
    // As a killed server leaves it.
    writeFileSync(join(stateDir, "mongooseim.db-wal"), "the log of another life");
    writeFileSync(join(stateDir, "mongooseim.db-shm"), "and its index");
    const { aside } = restore();
    expect(readdirSync(stateDir).filter((name) => /-(wal|shm)$/.test(name))).toEqual([]);
    expect(readFileSync(join(aside!, "mongooseim.db-wal"), "utf8")).toBe("the log of another life");
    expect(await users(await open())).toEqual(["alice"]);
  });

  test("that was cut short, wherever, is finished by the next start", async () => {
    const db = await stateWith("alice");
    create();
    await addUser(db, "bob");
    await close();
    const before = stateDir;
    for (const suffix of ["-wal", "-shm"]) writeFileSync(join(before, `mongooseim.db${suffix}`), "of the old database");
    const aside = "before-restore-20261126T093000Z";
    const files = ["mongooseim.db", "salt-secret", "tls/self-signed.key"];
    // The moves of the exchange, in its order; a cut after each of them.
    const old = ["mongooseim.db-wal", "mongooseim.db-shm", ...files];
    const moves = old.flatMap((name) => [
      [name, `${aside}/${name}`],
      ...(files.includes(name) ? [[`restore-staging/${name}`, name]] : []),
    ]);
    for (let cut = 0; cut <= moves.length; cut++) {
      stateDir = join(root, `cut-${cut}`);
      cpSync(before, stateDir, { recursive: true });
      for (const name of files) {
        mkdirSync(join(stateDir, "restore-staging/tls"), { recursive: true });
        cpSync(join(target, name), join(stateDir, "restore-staging", name));
      }
      writeFileSync(join(stateDir, "restore.json"), JSON.stringify({ aside, files, databases: ["mongooseim.db"] }));
      mkdirSync(join(stateDir, aside, "tls"), { recursive: true });
      for (const [from, to] of moves.slice(0, cut)) renameSync(join(stateDir, from), join(stateDir, to));
      expect(finishRestore(stateDir)).toBe(true);
      expect(finishRestore(stateDir)).toBe(false);
      expect(readdirSync(stateDir)).not.toContain("mongooseim.db-wal");
      expect(filesOf(stateDir)).toEqual(
        [...files.map((name) => `${aside}/${name}`), "mongooseim.db", "mongooseim.db.lock", ...files.slice(1)].sort(),
      );
      expect(readFileSync(join(stateDir, aside, "mongooseim.db-wal"), "utf8")).toBe("of the old database");
      expect(readFileSync(join(stateDir, "salt-secret"), "utf8")).toBe("secret of alice");
      expect(await users(await open())).toEqual(["alice"]);
    }
  });

  test("that was cut short before the journal changes nothing", async () => {
    await stateWith("alice");
    create();
    await close();
    mkdirSync(join(stateDir, "restore-staging"));
    writeFileSync(join(stateDir, "restore-staging/mongooseim.db"), "half");
    expect(finishRestore(stateDir)).toBe(false);
    expect(await users(await open())).toEqual(["alice"]);
    await close();
    restore();
    expect(existsSync(join(stateDir, "restore-staging"))).toBe(false);
  });
});
