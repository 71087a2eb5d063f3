// `mongooseimctl backup create|verify|restore DIR`: the embedded store and the secrets beside it.

import { createBackup } from "../../core/storage/backup/create.ts";
import { BackupError, type Manifest } from "../../core/storage/backup/manifest.ts";
import { restoreBackup } from "../../core/storage/backup/restore.ts";
import { verifyBackup } from "../../core/storage/backup/verify.ts";
import type { Elsewhere } from "../../transports/control/paths.ts";
import type { ControlClient } from "./client.ts";
import { readConfigFile } from "./config-file.ts";
import { CtlError, type CtlIo, ERROR, OK } from "./io.ts";

/** Makes a backup, of a state directory whose server runs or does not. */
export async function create(
  target: string,
  { configFile, version }: { readonly configFile?: string; readonly version: string },
  client: ControlClient,
  io: CtlIo,
): Promise<number> {
  const { stateDir } = client;
  io.lowPriority();
  // A running server leaves its write-ahead log alone meanwhile, and knows what it keeps elsewhere.
  const hold = await client.hold();
  try {
    const elsewhere = hold?.elsewhere ?? (await configuredElsewhere(configFile, io));
    const manifest = refusing(() => createBackup({ stateDir, target, version, now: new Date() }));
    io.out(`Made ${target}: ${summary(manifest)}\n`);
    for (const { name, driver, database } of elsewhere) io.err(`${advice(name, driver, database)}\n`);
    return OK;
  } finally {
    hold?.release();
  }
}

/** Tells whether a backup is good. */
export function verify(backup: string, scratch: string | undefined, io: CtlIo): number {
  io.lowPriority();
  const { manifest, problems } = refusing(() => verifyBackup(backup, scratch));
  for (const problem of problems) io.err(`${problem}\n`);
  if (problems.length > 0) {
    io.err(`${backup} is damaged: ${problems.length} ${problems.length === 1 ? "problem" : "problems"}\n`);
    return ERROR;
  }
  io.out(`${backup} is good: ${summary(manifest)}\n`);
  return OK;
}

/** Puts a backup in the place of what the state directory has. */
export async function restore(backup: string, client: ControlClient, io: CtlIo): Promise<number> {
  const running = await client.tryStatus();
  if (running) throw new CtlError(`Cannot restore: the server is running (pid ${running.pid}); stop it first`);
  const { manifest, aside } = refusing(() => restoreBackup({ stateDir: client.stateDir, backup, now: new Date() }));
  io.out(`Restored ${backup} to ${client.stateDir}: ${summary(manifest)}\n`);
  if (aside !== undefined) io.out(`What was there before is in ${aside}: remove it when all is well\n`);
  return OK;
}

/** Errors of one line are the command's own. */
function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BackupError) throw new CtlError(error.message);
    throw error;
  }
}

function summary({ created, version, files, databases }: Manifest): string {
  const rows = databases.reduce((sum, { rows }) => sum + Object.values(rows).reduce((a, b) => a + b, 0), 0);
  const mib = files.reduce((sum, { bytes }) => sum + bytes, 0) / 1_048_576;
  return `${rows} rows and ${files.length} files, ${mib.toFixed(1)} MiB, of ${created} by version ${version}`;
}

const TOOLS: Readonly<Record<string, string>> = {
  pgsql: "pg_dump",
  cockroachdb: "its BACKUP statement",
  mysql: "mysqldump",
};

function advice(name: string, driver: string, database: string | undefined): string {
  if (driver === "sqlite")
    return `Not in the backup: "${database}" (${name}), which is not in the state directory itself`;
  const what = database === undefined ? "the database" : `the database "${database}"`;
  return `Not in the backup: ${what} of ${name}; use ${TOOLS[driver] ?? "the tools of that database"}`;
}

/** Databases of a configuration that are not in the state directory; none without a file, or with a wrong one. */
async function configuredElsewhere(file: string | undefined, io: CtlIo): Promise<readonly Elsewhere[]> {
  if (file === undefined) return [];
  const { databasesElsewhere } = await import("../rdbms.ts");
  const { config } = await readConfigFile(file, io);
  return config === undefined ? [] : databasesElsewhere(config);
}
