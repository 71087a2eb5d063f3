// The configuration file that a command is given.

import { readFileSync } from "node:fs";
import type { ParseResult } from "../../core/config/index.ts";
import { CtlError, type CtlIo } from "./io.ts";

/**
 * Reads a configuration file, with what is wrong in it. Files that it names need not be there.
 * @throws CtlError when it cannot be read
 */
export async function readConfigFile(file: string, io: CtlIo): Promise<ParseResult> {
  const text = configText(file);
  const { parseConfig } = await import("../../core/config/index.ts");
  return parseConfig(text, { file, modules: await io.moduleSchemas() });
}

/**
 * The text of a configuration file.
 * @throws CtlError when it cannot be read
 */
export function configText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CtlError(`Cannot read "${file}": ${error instanceof Error ? error.message : String(error)}`);
  }
}
