// Damaged pages: found at the start or at the first touch, told in words that help, and healed by a backup.

import { Database } from "bun:sqlite";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BinaryServer } from "../../support/binary.ts";
import { LoadClient } from "../client.ts";
import { check, fetchAll, fileOf, fresh, lost, port, refusal, Sender, scratch, twice } from "./place.ts";

const PAGE = 4096;

/** Moves the log to the database, and gives the page below the root of a table or an index. */
function pageOf(file: string, name: string): number {
  const db = new Database(file);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const row = db.query<{ rootpage: number }, [string]>("SELECT rootpage FROM sqlite_master WHERE name = ?").get(name);
  db.close();
  const root = row!.rootpage;
  const bytes = readFileSync(file);
  const at = (root - 1) * PAGE;
  // The last child of an interior page (SQLite's file format, 1.6); a tree of one page is its own.
  return bytes[at] === 2 || bytes[at] === 5 ? bytes.readUInt32BE(at + 8) : root;
}

function overwrite(file: string, page: number): void {
  const bytes = readFileSync(file);
  for (let i = 0; i < PAGE; i++) bytes[(page - 1) * PAGE + i] = (i * 31 + 7) & 0xff;
  writeFileSync(file, bytes);
}

export async function damagedPages(): Promise<void> {
  const server = fresh("damaged");
  await server.start();
  for (const user of ["sender", "receiver", "neighbour"]) await LoadClient.register(port, user);
  const sender = new Sender("sender", "receiver");
  await sender.login();
  for (let i = 0; i < 10; i++) await sender.burst(50, 500);
  await sender.close();
  const backup = join(scratch, "backup");
  const made = await server.ctl("backup", "create", backup);
  check("a backup is made while the server runs", made.code === 0, made.err);
  const refused = await server.ctl("backup", "restore", backup);
  check("a restore is refused while the server runs", refused.code === 1 && /running/.test(refused.err), refused.err);
  await server.stop();
  const good = await server.ctl("backup", "verify", backup);
  check("the backup is good", good.code === 0, good.err);

  for (const tree of ["offline_message", "i_offline_message"]) {
    const file = fileOf(server);
    overwrite(file, pageOf(file, tree));
    const before = Bun.hash(readFileSync(file));
    for (const attempt of ["first", "second"]) {
      const { code, lines } = await refusal(server.stateDir);
      check(
        `a damaged page of ${tree}: the ${attempt} start is refused with one line that says what to do`,
        code === 1 && lines.length === 1 && /is damaged .*backup restore/.test(lines[0]),
        `${code}: ${lines.join("\n")}`,
      );
    }
    check(`a damaged page of ${tree}: the file is left as it is`, Bun.hash(readFileSync(file)) === before);
    const restored = await server.ctl("backup", "restore", backup);
    check(`a damaged page of ${tree}: the backup is restored`, restored.code === 0, restored.err);
    await server.start();
    await server.stop();
  }
  await server.start();
  const got = await fetchAll("receiver");
  check("after the restore every message is there, once", lost(sender, got).length === 0 && twice(got).length === 0);
  await server.stop();
  await damagedLater(server);
}

/** A file too large to be read at the start: what is not damaged is served on. */
async function damagedLater(server: BinaryServer): Promise<void> {
  const file = fileOf(server);
  await server.start();
  const sender = new Sender("sender", "receiver");
  await sender.login();
  for (let i = 0; i < 4; i++) await sender.burst(50, 500);
  await sender.close();
  await server.stop();
  const db = new Database(file);
  db.run("CREATE TABLE ballast (bytes)");
  for (let i = 0; i < 40; i++) db.run("INSERT INTO ballast VALUES (zeroblob(1048576))");
  db.close();
  overwrite(file, pageOf(file, "offline_message"));
  await server.start();
  const begin = server.log.length;
  const got = await fetchAll("receiver");
  const log = server.log.slice(begin);
  check("damage that shows later: it is told, with what to do", /database_damaged.*backup restore/.test(log), log);
  check("damage that shows later: the log is not filled", log.split("database_damaged").length === 2, log);
  check("damage that shows later: what can be read is delivered", twice(got).length === 0);
  const roster = new Sender("receiver", "neighbour");
  await roster.login();
  await roster.close();
  await LoadClient.register(port, "newcomer");
  check("damage that shows later: log-ins and registrations go on", server.exitCode === null);
  const bad = await server.ctl("backup", "create", join(scratch, "bad"));
  check(
    "a backup of a damaged store is refused, and leaves nothing",
    bad.code === 1 && !existsSync(join(scratch, "bad")) && !existsSync(join(scratch, "bad.partial")),
    bad.out + bad.err,
  );
  await server.stop();
}
