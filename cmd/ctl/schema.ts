// `mongooseimctl schema check|upgrade`: the tables of every database of a configuration, without a running server.

import { existsSync } from "node:fs";
import { describeProblem } from "../../core/storage/check.ts";
import type { Db } from "../../core/storage/db.ts";
import { StorageError } from "../../core/storage/db.ts";
import { migrate, oneLine } from "../../core/storage/migrations/runner.ts";
import { type Examination, examine, refusal } from "../../core/storage/upgrade.ts";
import type { Target } from "../rdbms.ts";
import { readConfigFile } from "./config-file.ts";
import { CtlError, type CtlIo, ERROR, NOT_UP_TO_DATE, OK } from "./io.ts";

export interface SchemaOptions {
  /** Absent: the embedded default. */
  configFile: string | undefined;
  stateDir: string;
}

/**
 * Says of each database what it is and what it lacks. Resolves to 0 when the server would start on all of them without
 * changing any, to 4 when it would change one, to 1 when it would not start.
 */
export async function schemaCheck(options: SchemaOptions, io: CtlIo): Promise<number> {
  return forEach(options, io, async (target, db) => {
    const found = await examine(db);
    const count = statements(found).length;
    const origin = found.madeBy === undefined ? "it has no tables yet" : `tables of MongooseIM ${found.madeBy}`;
    const state = found.problems.length > 0 ? "cannot be used" : count > 0 ? "not up to date" : "up to date";
    io.out(`${target.name} (${target.place}): ${state}; ${origin}\n`);
    for (const problem of found.problems) io.out(`  ${describeProblem(db.dialect, problem)}\n`);
    for (const note of found.notes) io.out(`  ${describeProblem(db.dialect, note)}: the server does without\n`);
    if (found.problems.length > 0) return ERROR;
    if (count > 0) io.out(`  ${count} statements would be run, see schema upgrade --dry-run\n`);
    return count > 0 ? NOT_UP_TO_DATE : OK;
  });
}

/** Brings every database up to date, as the server does when it starts; or, `dryRun`, prints the statements. */
export async function schemaUpgrade(options: SchemaOptions & { dryRun: boolean }, io: CtlIo): Promise<number> {
  return forEach(options, io, async (target, db) => {
    const found = await examine(db);
    if (found.problems.length > 0) throw refusal(db.dialect, found.problems);
    if (options.dryRun) {
      io.out(`-- ${target.name} (${target.place})\n`);
      for (const sql of statements(found)) io.out(`${sql};\n`);
      return OK;
    }
    const runs = await migrate(db, {
      step({ id, name }, done) {
        if (done) io.out(`${target.name}: step ${id}, ${name}, done\n`);
      },
    });
    if (runs.length === 0) io.out(`${target.name}: up to date\n`);
    return OK;
  });
}

const statements = ({ runs }: Examination): string[] => runs.flatMap((run) => run.statements.map(oneLine));

/** Does something with every database; the worst of its results. One that cannot be used does not keep it from others. */
async function forEach(
  { configFile, stateDir }: SchemaOptions,
  io: CtlIo,
  run: (target: Target, db: Db) => Promise<number>,
): Promise<number> {
  let worst: number = OK;
  for (const target of await targets(configFile, stateDir, io)) {
    const code = await once(target, io, run);
    if (code === ERROR || worst === OK) worst = code;
  }
  return worst;
}

async function once(target: Target, io: CtlIo, run: (target: Target, db: Db) => Promise<number>): Promise<number> {
  const { name, place, file } = target;
  if (file !== undefined && !existsSync(file)) {
    io.out(`${name} (${place}): not there yet, made when the server starts\n`);
    return OK;
  }
  let db: Db | undefined;
  try {
    db = await target.open();
    return await run(target, db);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (file !== undefined && error.code === "locked") {
      io.out(`${name} (${place}): in use by a server, which saw to it when it started\n`);
      return OK;
    }
    io.err(`${name} (${place}): ${error.message}\n`);
    return ERROR;
  } finally {
    await db?.close();
  }
}

async function targets(configFile: string | undefined, stateDir: string, io: CtlIo): Promise<Target[]> {
  const { formatProblem } = await import("../../core/config/index.ts");
  const { databases } = await import("../rdbms.ts");
  const { FdSink, Log } = await import("../../core/log/index.ts");
  const log = new Log({ sink: new FdSink(2), level: "error", format: "logfmt" });
  if (configFile === undefined) return databases(undefined, stateDir, log);
  const { config, problems } = await readConfigFile(configFile, io);
  if (config === undefined) throw new CtlError(problems.map(formatProblem).join("\n"));
  return databases(config, stateDir, log);
}
