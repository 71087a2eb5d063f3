// The commands `backup create`, `backup verify` and `backup restore`: what they say and how they end.

import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStorage } from "../../../../core/storage/index.ts";
import { type World, world } from "./world.ts";

let w: World;
let target: string;
beforeEach(async () => {
  w = world();
  target = join(w.stateDir, "backups/today");
  await (await openStorage({ stateDir: w.stateDir })).close();
});
afterEach(() => w.close());

test("made, verified and restored without a server", async () => {
  const [code, out, err] = await w.run("backup", "create", target);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/^Made .*today: \d+ rows and 1 files, [\d.]+ MiB, of 20.*Z by version .*\n$/);
  const [verified, good] = await w.run("backup", "verify", target);
  expect([verified, good.startsWith(`${target} is good: `)]).toEqual([0, true]);
  const [restored, said] = await w.run("backup", "restore", target);
  expect(restored).toBe(0);
  expect(said).toMatch(/^Restored .* to .*\nWhat was there before is in .*before-restore-.*: remove it/);
});

test("made while the server runs: it is asked to hold still, and says what is elsewhere", async () => {
  await w.serve();
  const [code, , err] = await w.run("backup", "create", target);
  expect(code).toBe(0);
  expect(err).toBe('Not in the backup: the database "xmpp" of outgoing_pools.rdbms.default; use pg_dump\n');
  while (w.did.length < 2) await Bun.sleep(1);
  expect(w.did).toEqual(["hold", "release"]);
  // A restore is not for a running server.
  expect(await w.run("backup", "restore", target)).toEqual([
    1,
    "",
    "Cannot restore: the server is running (pid 1234); stop it first\n",
  ]);
});

test("without a server, the configuration says what is elsewhere", async () => {
  const file = join(w.stateDir, "mongooseim.toml");
  writeFileSync(
    file,
    `[general]
hosts = ["localhost"]
default_server_domain = "localhost"
[outgoing_pools.rdbms.default]
[outgoing_pools.rdbms.default.connection]
driver = "mysql"
host = "localhost"
database = "xmpp"
username = "mim"
password = "secret"
`,
  );
  const [code, , err] = await w.run("backup", "create", target, "--config", file);
  expect([code, err]).toEqual([
    0,
    'Not in the backup: the database "xmpp" of outgoing_pools.rdbms.default; use mysqldump\n',
  ]);
});

test("what is wrong is one line and exit code 1", async () => {
  expect(await w.run("backup", "verify", target)).toEqual([
    1,
    "",
    expect.stringMatching(/^".*today" is no backup: cannot read .*\n$/),
  ]);
  await w.run("backup", "create", target);
  expect((await w.run("backup", "create", target))[2]).toBe(`Cannot make the backup: "${target}" exists already\n`);
  appendFileSync(join(target, "mongooseim.db"), "more");
  const [code, out, err] = await w.run("backup", "verify", target);
  expect([code, out]).toEqual([1, ""]);
  expect(err).toMatch(/^mongooseim\.db: it has \d+ bytes and had \d+\n.*today is damaged: 1 problem\n$/);
  const [refused, , why] = await w.run("backup", "restore", target);
  expect([refused, why.startsWith("Cannot restore")]).toEqual([1, true]);
  expect(existsSync(join(w.stateDir, "restore-staging"))).toBe(false);
});

test("backup alone shows its commands", async () => {
  const [code, , err] = await w.run("backup");
  expect(code).toBe(2);
  expect(err).toContain("restore");
});
