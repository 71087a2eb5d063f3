// A second server on one file; backups and restores that are killed.

import { Database } from "bun:sqlite";
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { binary } from "../../support/binary.ts";
import { LoadClient } from "../client.ts";
import { check, fetchAll, fileOf, fresh, lost, port, refusal, Sender, scratch } from "./place.ts";

export async function secondServer(): Promise<void> {
  const server = fresh("two");
  await server.start();
  await LoadClient.register(port, "alice");
  const { code, lines } = await refusal(server.stateDir);
  check("a second server on one file ends with 1", code === 1, String(code));
  check(
    "a second server says so in one line",
    lines.length === 1 && /another server is using it/.test(lines[0]),
    lines.join("\n"),
  );
  await (await LoadClient.login(port, "alice", "x", { stanza() {}, acknowledged() {} })).close();
  check("the first server goes on", server.exitCode === null);
  await server.kill();
  await server.start();
  check("a server that was killed does not bar the next one", server.exitCode === null);
  await server.stop();
}

export async function killedRestores(): Promise<void> {
  const server = fresh("restored");
  await server.start();
  for (const user of ["before", "sender"]) await LoadClient.register(port, user);
  // Large enough for a restore that takes its time.
  const sender = new Sender("sender", "before");
  await sender.login();
  for (let i = 0; i < 40; i++) await sender.burst(50, 4000);
  const backup = join(scratch, "kill-backup");
  await server.ctl("backup", "create", backup);
  await LoadClient.register(port, "after");
  await server.stop();
  const original = join(scratch, "original");
  Bun.spawnSync(["cp", "-a", server.stateDir, original]);
  let finished = 0;
  const rounds = 12;
  for (let round = 0; round < rounds; round++) {
    rmSync(server.stateDir, { recursive: true });
    Bun.spawnSync(["cp", "-a", original, server.stateDir]);
    const words = [binary(), "--state-dir", server.stateDir, "backup", "restore", backup];
    const run = Bun.spawn(words, { stdout: "ignore", stderr: "ignore" });
    // Later and later, until it is done before it is killed.
    await Bun.sleep(20 + round * 25);
    run.kill("SIGKILL");
    await run.exited;
    await server.start();
    const users = new Set<string>();
    for (const user of ["before", "after"]) {
      const login = LoadClient.login(port, user, "x", { stanza() {}, acknowledged() {} }, false);
      await login.then(
        async (client) => {
          users.add(user);
          await client.close();
        },
        () => {},
      );
    }
    // The state before, or the state of the backup; never something else.
    if (!users.has("before")) {
      check(`a restore killed in round ${round} leaves a whole store`, false, [...users].join());
      break;
    }
    if (!users.has("after")) finished++;
    await server.stop();
  }
  check("a restore that is killed leaves the old store, or the new one", true);
  const done = await server.ctl("backup", "restore", backup);
  check("a restore after killed ones works", done.code === 0, done.err);
  await server.start();
  const got = await fetchAll("before");
  check("and every message is there", lost(sender, got).length === 0, lost(sender, got).slice(0, 5).join());
  console.log(`(${finished} of ${rounds} killed restores had come far enough to be finished)`);
  await server.stop();
}

/** Backups are killed at any moment while messages come: those with their name are good. */
export async function killedBackups(): Promise<void> {
  const server = fresh("backed-up");
  await server.start();
  for (const user of ["sender", "receiver"]) await LoadClient.register(port, user);
  const sender = new Sender("sender", "receiver");
  await sender.login();
  let over = false;
  const keepSending = async (): Promise<void> => {
    while (!over) await sender.burst(20, 1000);
  };
  let sending = keepSending();
  let bad = 0;
  for (let round = 0; round < 10; round++) {
    const target = join(scratch, `killed-${round}`);
    const run = Bun.spawn([binary(), "--state-dir", server.stateDir, "backup", "create", target], { stderr: "ignore" });
    await Bun.sleep(20 + round * 20);
    run.kill("SIGKILL");
    await run.exited;
    if (existsSync(target) && (await server.ctl("backup", "verify", target)).code !== 0) bad++;
  }
  check("a backup that is killed has no name, or is good", bad === 0);
  // Nobody holds the log any more: it is moved to the database as it grows.
  over = true;
  await sending;
  for (let i = 0; i < 400; i++) await sender.burst(20, 4000);
  const log = statSync(`${fileOf(server)}-wal`).size;
  check("a backup that is killed lets go of the log", log < 32 * 1024 * 1024, `${log} bytes`);
  over = false;
  sending = keepSending();
  const whole = join(scratch, "killed-0");
  rmSync(whole, { recursive: true, force: true });
  const again = await server.ctl("backup", "create", whole);
  over = true;
  await sending;
  check("the next one works", again.code === 0, again.err);
  const known = sender.stored.length;
  await sender.close();
  const verified = await server.ctl("backup", "verify", whole);
  check("a backup made while messages are written is good", verified.code === 0, verified.err);
  const copy = new Database(join(whole, "mongooseim.db"), { readonly: true });
  const { n } = copy.query<{ n: number }, []>("SELECT count(*) AS n FROM offline_message").get()!;
  copy.close();
  check("it has messages of its time", n > 0 && n <= known, `${n} of ${known}`);
  await server.stop();
}
