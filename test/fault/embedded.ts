// Faults of the embedded store: a full disk, damaged pages, a second server, a backup and a restore that are killed. What
// was acknowledged is there afterwards, and nothing needs a hand but the damage, which the server says what to do about.
//
//   bun test/fault/embedded.ts [--only PART]      needs dist/mongooseimctl; the full disk needs root
//
// The last line is `embedded: N passed, N failed`; a part that cannot run here is said before it with "skipped:".

import { rmSync } from "node:fs";
import { wordOption } from "../support/script.ts";
import { killedBackups, killedRestores, secondServer } from "./embedded/backups.ts";
import { damagedPages } from "./embedded/damage.ts";
import { fullDisk } from "./embedded/disk.ts";
import { check, checks, scratch, servers } from "./embedded/place.ts";
import { agedMessages } from "./embedded/retention.ts";

const ONLY = wordOption("only");

const parts: Record<string, () => Promise<void>> = {
  "full-disk": fullDisk,
  damaged: damagedPages,
  second: secondServer,
  "killed-restores": killedRestores,
  "killed-backups": killedBackups,
  retention: agedMessages,
};
for (const [name, part] of Object.entries(parts)) {
  if (ONLY !== undefined && name !== ONLY) continue;
  try {
    await part();
  } catch (error) {
    check(`${name} goes on`, false);
    checks.brokeOff(error, servers.at(-1)?.log ?? "");
  } finally {
    for (const server of servers) await server.kill();
  }
}
rmSync(scratch, { recursive: true, force: true });
checks.end();
