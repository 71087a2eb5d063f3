// Backups that are spoilt in every way: verifying says so in lines, and a restore refuses them and changes nothing.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createBackup } from "../../../../core/storage/backup/create.ts";
import { BackupError, MANIFEST, type Manifest, readManifest } from "../../../../core/storage/backup/manifest.ts";
import { restoreBackup } from "../../../../core/storage/backup/restore.ts";
import { verifyBackup } from "../../../../core/storage/backup/verify.ts";
import { openStorage } from "../../../../core/storage/index.ts";
import { Random } from "../../../fuzz/random.ts";

const NOW = new Date("2026-11-26T09:30:00.123Z");
const DATABASE = "mongooseim.db";

let root: string;
let stateDir: string;
let good: string;
let copies = 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "backup-damage-"));
  stateDir = join(root, "state");
  good = join(root, "good");
  const db = await openStorage({ stateDir });
  for (let n = 0; n < 40; n++) {
    await db.insertNew("users", { username: `user${n}`, server: "localhost", password: "p".repeat(200) });
  }
  writeFileSync(join(stateDir, "salt-secret"), "secret");
  mkdirSync(join(stateDir, "tls"));
  writeFileSync(join(stateDir, "tls/key.pem"), "key");
  createBackup({ stateDir, target: good, version: "1.2.3", now: NOW });
  await db.close();
});
afterAll(() => rmSync(root, { recursive: true }));

/** Everything below a directory, as text. */
function everything(dir: string): string {
  const names = readdirSync(dir, { recursive: true }).map(String).sort();
  return names
    .filter((name) => !/\.lock$|-(wal|shm)$/.test(name))
    .map((name) => {
      const file = join(dir, name);
      return statSync(file).isDirectory() ? `${name}/` : `${name} ${Bun.hash(readFileSync(file))}`;
    })
    .join("\n");
}

const tell = (work: () => readonly string[]): readonly string[] => {
  try {
    return work();
  } catch (error) {
    if (error instanceof BackupError) return [error.message];
    throw error;
  }
};

/** A copy of the backup that `harm` is done to is refused by both, in lines. */
function refused(harm: (dir: string) => void): readonly string[] {
  const dir = join(root, `copy${++copies}`);
  cpSync(good, dir, { recursive: true });
  harm(dir);
  const problems = tell(() => verifyBackup(dir).problems);
  expect(problems.length, "verifying finds something").toBeGreaterThan(0);
  for (const problem of problems) expect(problem).toMatch(/^[^\n]{5,2000}$/);
  const target = join(root, `target${copies}`);
  mkdirSync(target);
  writeFileSync(join(target, "salt-secret"), "mine");
  const before = everything(target);
  const said = tell(() => {
    restoreBackup({ stateDir: target, backup: dir, now: NOW });
    return [];
  });
  expect(said).toEqual([expect.stringMatching(/^Cannot [^\n]*$|^"[^\n]*$/)]);
  expect(everything(target)).toBe(before);
  expect(existsSync(join(root, "outside"))).toBe(false);
  rmSync(target, { recursive: true });
  rmSync(dir, { recursive: true });
  return problems;
}

const inPlaceOf = (name: string, make: (file: string) => unknown) => (dir: string) => {
  rmSync(join(dir, name));
  make(join(dir, name));
};
const edited = (edit: (manifest: Manifest) => unknown) => (dir: string) => {
  const manifest = readManifest(dir);
  writeFileSync(join(dir, MANIFEST), JSON.stringify(edit(manifest) ?? manifest));
};
const pathOf = (path: string) => edited((m) => void Object.assign(m.files[1], { path }));

describe("a manifest", () => {
  test.each<[string, (dir: string) => void]>([
    ["is no file", (dir) => rmSync(join(dir, MANIFEST))],
    ["is a directory", inPlaceOf(MANIFEST, mkdirSync)],
    ["is empty", (dir) => writeFileSync(join(dir, MANIFEST), "")],
    ["is null", edited(() => "null")],
    ["is a list", edited(() => [])],
    ["is no JSON", (dir) => writeFileSync(join(dir, MANIFEST), "{ not JSON\nat all")],
    ["is of no text", (dir) => writeFileSync(join(dir, MANIFEST), Buffer.from([0xff, 0xfe, 0, 1]))],
    ["is of a later server", edited((m) => ({ ...m, format: 2 }))],
    ["has another format", edited((m) => ({ ...m, format: "1" }))],
    ["has no files", edited((m) => ({ ...m, files: [] }))],
    ["has no databases", edited((m) => ({ ...m, databases: [] }))],
    ["has nothing", edited((m) => ({ ...m, files: [], databases: [] }))],
    ["has a file twice", edited((m) => ({ ...m, files: [...m.files, m.files[0]] }))],
    ["has a database that is no file of it", edited((m) => void Object.assign(m.databases[0], { path: "other.db" }))],
    ["has a database that is a key", edited((m) => void Object.assign(m.databases[0], { path: "salt-secret" }))],
    ["has a size that is none", edited((m) => void Object.assign(m.files[0], { bytes: -1 }))],
    ["has a path that leads out", pathOf("../outside")],
    ["has a path that leads out by a way round", pathOf("tls/../../outside")],
    ["has an absolute path", pathOf("/tmp/backup-damage-outside")],
    ["has a path of nothing", pathOf("")],
    ["has a path of itself", pathOf(".")],
    ["has a path that ends in a slash", pathOf("salt-secret/")],
    ["has a path in the place of what restores it", pathOf("restore.json")],
    ["has a path of a directory", pathOf("tls")],
    ["has a path with NUL", pathOf("a\0b")],
    ["has other rows", edited((m) => void Object.assign(m.databases[0].rows, { users: 41 }))],
    ["has a table that is not there", edited((m) => void Object.assign(m.databases[0].rows, { more: 0 }))],
    ["has another schema", edited((m) => void m.databases[0].schema.pop())],
    ["has a schema of later", edited((m) => void m.databases[0].schema.push(9999))],
  ])("that %s", (_, harm) => {
    refused(harm);
  });

  test("that chance has changed", () => {
    const text = readFileSync(join(good, MANIFEST));
    const r = new Random(11);
    for (let n = 0; n < 25; n++) {
      refused((dir) => {
        const bytes = Buffer.from(text);
        // White space and the time may be anything that can be read; what is inside of values may not.
        const digit = [...text.toString().matchAll(/"(?:sha256|bytes)": "?\w/g)].map((m) => m.index + m[0].length - 1);
        const at = r.pick(digit);
        bytes[at] = bytes[at] === 0x31 ? 0x32 : 0x31;
        writeFileSync(join(dir, MANIFEST), bytes);
      });
    }
  });
});

describe("a file", () => {
  test("that chance has changed, added to or cut", () => {
    const r = new Random(12);
    for (let n = 0; n < 30; n++) {
      refused((dir) => {
        const file = join(dir, r.pick([DATABASE, DATABASE, "salt-secret", "tls/key.pem"]));
        const bytes = readFileSync(file);
        const at = r.below(bytes.length);
        if (r.once(3)) writeFileSync(file, bytes.subarray(0, at));
        else if (r.once(4)) writeFileSync(file, Buffer.concat([bytes, bytes.subarray(at)]));
        else {
          bytes[at] ^= 1 + r.below(255);
          writeFileSync(file, bytes);
        }
      });
    }
  });

  test("that is a database no more, whatever its sum says", () => {
    const r = new Random(13);
    for (let n = 0; n < 25; n++) {
      const dir = join(root, `resummed${n}`);
      cpSync(good, dir, { recursive: true });
      const file = join(dir, DATABASE);
      const bytes = readFileSync(file);
      const hits = r.pick([1, 50, 2000]);
      for (let i = 0; i < hits; i++) bytes[r.below(bytes.length)] = r.below(256);
      if (n === 0) bytes.fill(0, 0, 100);
      writeFileSync(file, bytes);
      edited((m) => {
        const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
        Object.assign(m.files.find(({ path }) => path === DATABASE)!, { sha256 });
      })(dir);
      const problems = tell(() => verifyBackup(dir).problems);
      // A few bytes may mean nothing, or be another text: neither a check of pages nor a count of rows can know.
      if (n === 0 || hits === 2000) expect(problems, `round ${n}`).not.toHaveLength(0);
      rmSync(dir, { recursive: true });
    }
  });

  test("that is missing, a directory, or a link to nothing", () => {
    refused((dir) => rmSync(join(dir, "salt-secret")));
    refused(inPlaceOf(DATABASE, mkdirSync));
    for (const to of ["/nowhere/at/all", "/etc/hostname"]) {
      refused(inPlaceOf("salt-secret", (file) => symlinkSync(to, file)));
    }
  });

  test("that is a pipe, which nobody writes to", () => {
    const problems = refused(inPlaceOf("salt-secret", (file) => Bun.spawnSync(["mkfifo", file])));
    expect(problems).toEqual(["salt-secret: it is no file"]);
  });

  test.each(["mongooseim.db-wal", "mongooseim.db.lock", "restore.json", "restore-staging/x", "two\nlines"])(
    "whose manifest has a file %j, which no backup has",
    (path) => {
      refused((dir) => {
        mkdirSync(dirname(join(dir, path)), { recursive: true });
        writeFileSync(join(dir, path), "x");
        const sha256 = new Bun.CryptoHasher("sha256").update("x").digest("hex");
        edited((m) => void m.files.push({ path, bytes: 1, sha256 }))(dir);
      });
    },
  );
});

describe("a target", () => {
  const into = (target: string) => createBackup({ stateDir, target, version: "1.2.3", now: NOW });

  test("whose name with .partial is somebody's own directory is left alone", () => {
    const target = join(root, "mine");
    mkdirSync(`${target}.partial`);
    writeFileSync(join(`${target}.partial`, "thesis.txt"), "years of work");
    expect(() => into(target)).toThrow(BackupError);
    expect(readFileSync(join(`${target}.partial`, "thesis.txt"), "utf8")).toBe("years of work");
    expect(existsSync(target)).toBe(false);
  });

  test("that is a link to nowhere, or below a file, is refused in a line", () => {
    symlinkSync("/nowhere/at/all", join(root, "link"));
    writeFileSync(join(root, "file"), "x");
    for (const target of [join(root, "link"), join(root, "file/x"), "/proc/backup", `${root}/${"x".repeat(300)}`]) {
      expect(() => into(target)).toThrow(expect.objectContaining({ name: "BackupError" }));
    }
    expect(readdirSync(root).filter((name) => name.endsWith(".partial") && !name.startsWith("mine"))).toEqual([]);
  });
});
