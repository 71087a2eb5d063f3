// `mongooseimctl config check FILE`: all problems of a configuration file at once.

import { existsSync } from "node:fs";
import { configText } from "./config-file.ts";
import { type CtlIo, ERROR, OK } from "./io.ts";

/**
 * Prints problems and warnings, a line each. Returns 1 when there is a problem. A file that is named and not there is
 * a warning: the configuration may be checked on another machine than the server's.
 */
export async function configCheck(file: string, io: CtlIo): Promise<number> {
  const text = configText(file);
  const { formatProblem, parseConfig } = await import("../../core/config/index.ts");
  const modules = await io.moduleSchemas();
  const { config, problems, warnings } = parseConfig(text, { file, modules });
  const { domainPoolProblem } = await import("../rdbms.ts");
  const poolProblem = config && domainPoolProblem(config);
  const found = problems.map(formatProblem).concat(poolProblem ?? []);
  for (const problem of found) io.err(`${problem}\n`);
  for (const warning of warnings) io.err(`Warning: ${formatProblem(warning)}\n`);
  if (found.length > 0) {
    io.err(`${found.length} ${found.length === 1 ? "problem" : "problems"} in "${file}"\n`);
    return ERROR;
  }
  const missing = parseConfig(text, { file, modules, exists: existsSync }).problems;
  for (const problem of missing) io.err(`Warning: ${formatProblem(problem)}\n`);
  for (const section of config?.unbuilt ?? []) io.err(`Warning: ${section} is not in this build: it does nothing\n`);
  io.out(`"${file}" is a valid configuration\n`);
  return OK;
}
