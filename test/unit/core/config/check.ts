// What the configuration tests share: a file made of a few lines, and what parseConfig says of it.
import { type Config, formatProblem, type ParseResult, parseConfig } from "../../../../core/config/index.ts";
import { MODULES } from "../../../../modules/index.ts";

/** The schemas of the modules that are built. */
export const BUILT_MODULES = Object.fromEntries(MODULES.map(({ name, config }) => [name, config]));

/** The least that every file needs. */
export const GENERAL = '[general]\nhosts = ["localhost"]\ndefault_server_domain = "localhost"\n';

/** Parses GENERAL and the given lines, which start on line 4. */
export function check(text: string, options: { exists?: (file: string) => boolean } = {}): ParseResult {
  return parseConfig(GENERAL + text, { file: "mongooseim.toml", modules: BUILT_MODULES, ...options });
}

/** The messages of the problems. */
export function problemsIn(text: string): string[] {
  return check(text).problems.map((problem) => problem.message);
}

/** The messages of the warnings. */
export function warningsIn(text: string): string[] {
  return check(text).warnings.map((warning) => warning.message);
}

/** The configuration, of a file that must be right. */
export function configOf(text: string): Config {
  const { config, problems } = check(text);
  if (!config) throw new Error(problems.map(formatProblem).join("\n"));
  return config;
}
