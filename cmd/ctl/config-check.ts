// `mongooseimctl config check FILE`: all problems of a configuration file at once.

import { readFileSync } from "node:fs";
import { CtlError, type CtlIo, ERROR, OK } from "./io.ts";

/** Prints problems and warnings, a line each. Returns 1 when there is a problem. */
export async function configCheck(file: string, io: CtlIo): Promise<number> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CtlError(`Cannot read "${file}": ${error instanceof Error ? error.message : String(error)}`);
  }
  const { formatProblem, parseConfig } = await import("../../core/config/index.ts");
  const { problems, warnings } = parseConfig(text, { file, modules: await io.moduleSchemas() });
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`);
  for (const warning of warnings) io.err(`Warning: ${formatProblem(warning)}\n`);
  if (problems.length > 0) {
    io.err(`${problems.length} ${problems.length === 1 ? "problem" : "problems"} in "${file}"\n`);
    return ERROR;
  }
  io.out(`"${file}" is a valid configuration\n`);
  return OK;
}
