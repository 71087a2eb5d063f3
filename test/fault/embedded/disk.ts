// A disk that is full for a while: what cannot be stored is refused, what was acknowledged stays.

import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LoadClient } from "../client.ts";
import { check, fetchAll, lost, port, Sender, scratch, serverIn, twice } from "./place.ts";

/** A file system of so many MiB, or why there is none. */
function mount(dir: string, mib: number): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root may mount a tmpfs";
  mkdirSync(dir, { recursive: true });
  const run = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", dir], { stderr: "pipe" });
  return run.success ? undefined : `tmpfs cannot be mounted: ${run.stderr.toString().trim()}`;
}

export async function fullDisk(): Promise<void> {
  const disk = join(scratch, "disk");
  const problem = mount(disk, 16);
  if (problem !== undefined) {
    console.log(`skipped: a full disk: ${problem}`);
    return;
  }
  const server = serverIn(join(disk, "state"));
  try {
    await server.start();
    for (const user of ["sender", "receiver", "other"]) await LoadClient.register(port, user);
    const ballast = join(disk, "ballast");
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(ballast, new Uint8Array(Math.max(0, bavail * bsize - 2 * 1024 * 1024)));
    const sender = new Sender("sender", "receiver");
    await sender.login();
    for (let i = 0; i < 200 && sender.refused.size < 60; i++) await sender.burst(20, 2000);
    const [, error] = [...sender.refused][0] ?? ["", ""];
    check("a full disk: messages are refused, with an error", sender.refused.size >= 60 && /<error/.test(error), error);
    check(
      "a full disk: the error is honest (internal-server-error)",
      [...sender.refused.values()].every((text) => text.includes("internal-server-error")),
      error,
    );
    const before = sender.refused.size;
    // Those who store nothing are not concerned.
    await (await LoadClient.login(port, "other", "x", { stanza() {}, acknowledged() {} })).close();
    const { code, out, err } = await server.ctl("backup", "create", join(disk, "backup"));
    check("a full disk: a backup is refused in one line", code === 1 && err.split("\n").length === 2, out + err);
    check(
      "a full disk: nothing of the backup is left",
      readdirSync(disk).sort().join() === "ballast,state",
      readdirSync(disk).join(),
    );
    const elsewhere = join(scratch, "backup-elsewhere");
    const made = await server.ctl("backup", "create", elsewhere);
    const good = await server.ctl("backup", "verify", elsewhere);
    check("a full disk: a backup to another disk is made", made.code === 0 && good.code === 0, made.err + good.err);
    rmSync(ballast);
    await sender.burst(20, 2000);
    await sender.burst(20, 2000);
    check(
      "after space is made it goes on by itself",
      sender.refused.size === before,
      `${sender.refused.size - before} more refused`,
    );
    await sender.close();
    const got = await fetchAll("receiver");
    check(
      "a full disk: nothing that was acknowledged is lost",
      lost(sender, got).length === 0,
      lost(sender, got).join(),
    );
    check("a full disk: nothing comes twice", twice(got).length === 0, twice(got).join());
    check(
      "a full disk: what was refused was not stored",
      [...sender.refused.keys()].every((id) => !got.has(id)),
    );
    await server.kill();
    await server.start();
    check("a full disk: the store is whole afterwards", true);
  } finally {
    await server.kill();
    Bun.spawnSync(["umount", disk]);
  }
}
