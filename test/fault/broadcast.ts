// kill -9 while a broadcast runs: after the restart it goes on; everybody gets the message, and of each kill at most a
// quarter of a second's messages are sent again, with the ids that they had.
//
//   bun test/fault/broadcast.ts [--kills N] [--users N] [--rate N]      needs dist/mongooseimctl
//
// Nobody is online: what was sent is counted in the offline store. The last line is `broadcast: N passed, N failed`.

import { Database } from "bun:sqlite";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BinaryServer, freePort } from "../support/binary.ts";
import { auth, c2s, general } from "../support/config-text.ts";
import { Checks, option } from "../support/script.ts";

const KILLS = option("kills", 3);
const USERS = option("users", 400);
const RATE = option("rate", 50);

const port = await freePort();
const server = new BinaryServer({
  port,
  config: `${general()}${c2s(port)}${auth("internal", { plain: true })}
[modules.mod_broadcast]
[modules.mod_offline]
`,
});

interface Job {
  executionState: string;
  recipientsProcessed: number;
}

/** Runs an operation and gives its value. */
async function calls<T>(name: string, ...words: string[]): Promise<T> {
  const { code, out, err } = await server.ctl(...name.split("."), ...words);
  if (code !== 0) throw new Error(`${name} failed: ${out}${err}`);
  const { data } = JSON.parse(out) as { data: Record<string, Record<string, T>> };
  const [category, operation] = name.split(".");
  return data[category][operation];
}
const jobOf = (id: number) => calls<Job>("broadcast.getBroadcast", "--domain", "localhost", "--id", String(id));

/** Stored messages: by recipient, the ids of what he got. */
function stored(): Map<string, string[]> {
  const db = new Database(join(server.stateDir, "mongooseim.db"), { readonly: true });
  const rows = db.query("SELECT username, packet FROM offline_message").all() as {
    username: string;
    packet: unknown;
  }[];
  db.close();
  const found = new Map<string, string[]>();
  for (const { username, packet } of rows) {
    const text = packet instanceof Uint8Array ? Buffer.from(packet).toString() : String(packet);
    const id = /id=['"](mb-[0-9A-F]{32})['"]/.exec(text)?.[1] ?? "none";
    found.set(username, [...(found.get(username) ?? []), id]);
  }
  return found;
}

async function run(): Promise<string | undefined> {
  await server.start();
  const file = join(server.stateDir, "users.csv");
  const names = Array.from({ length: USERS }, (_, i) => `u${String(i).padStart(5, "0")}`);
  writeFileSync(file, names.map((name) => `${name},localhost,pw\n`).join(""));
  await calls("account.importUsers", "--filename", file);
  const { ids } = await calls<{ ids: number[] }>(
    "broadcast.startBroadcast",
    ...["--name", "n", "--domain", "localhost", "--messageSubject", "s", "--messageBody", "b"],
    ...["--senderJid", "u00000@localhost", "--messageRate", String(RATE), "--recipientGroup", "ALL_USERS_IN_DOMAIN"],
  );
  for (let kill = 1; kill <= KILLS; kill++) {
    await Bun.sleep(1000 + Math.random() * 1000);
    await server.kill();
    const up = await server.start();
    const { recipientsProcessed } = await jobOf(ids[0]);
    console.log(`kill ${kill}: up again after ${up.toFixed(0)} ms, ${recipientsProcessed} noted`);
  }
  let job = await jobOf(ids[0]);
  for (let i = 0; job.executionState === "RUNNING" && i < 600; i++) {
    await Bun.sleep(100);
    job = await jobOf(ids[0]);
  }
  if (job.executionState !== "FINISHED") return `the job is ${job.executionState}`;
  await server.stop();
  const found = stored();
  const missing = names.filter((name) => !found.has(name));
  const all = [...found.values()].reduce((sum, got) => sum + got.length, 0);
  const others = [...found.values()].filter((got) => new Set(got).size > 1).length;
  console.log(`${found.size} of ${USERS} users got it, ${all - found.size} messages came twice, ${KILLS} kills`);
  if (missing.length > 0) return `${missing.length} users did not get it: ${missing.slice(0, 10).join(" ")}`;
  if (others > 0) return `${others} users got it with different ids`;
  if (all - found.size > KILLS * Math.ceil(RATE / 4)) return "more was sent twice than a page of each kill";
  if (/level=(error|critical|alert|emergency)/.test(server.log))
    return `the log has errors:\n${server.log.slice(-4000)}`;
  return undefined;
}

const fault = await run().catch((error: unknown) => `it broke: ${error}\n${server.log.slice(-2000)}`);
await server.kill();
server.remove();
const checks = new Checks("broadcast");
checks.check("a broadcast goes on after each kill", fault === undefined, fault);
checks.end();
