// The configuration: TOML text -> one zod schema -> a frozen, typed value, or all that is wrong with it.
import { parse, TomlError } from "smol-toml";
import { unbuiltSections } from "./built.ts";
import { checkDocument } from "./checks.ts";
import { DEFAULT_TEXT } from "./default.ts";
import { type HostConfig, hostConfigOf } from "./host.ts";
import { Positions } from "./positions.ts";
import { formatProblem, type Problem, phraseOf, problemsOf, type Source } from "./problems.ts";
import { type ModuleSchemas, root, type Sections } from "./schema.ts";
import { namesIn } from "./selected.ts";

export type { AuthMethod } from "./auth.ts";
export type { HostConfig } from "./host.ts";
export { formatProblem, type Problem } from "./problems.ts";
export type * from "./schema.ts";

/** A configuration file: its sections with defaults applied, frozen. Keys are those of the file. */
export interface Config extends Readonly<Sections> {
  /** Sections in the file that nothing in this build is behind, such as `modules.mod_muc` or `listen.s2s[0]`. */
  readonly unbuilt: readonly string[];
  /** Host types: the static hosts, then `general.host_types`. */
  readonly hostTypes: readonly string[];
  /**
   * The options of a host type: those of its host_config over the global ones.
   * @throws RangeError when there is no such host type.
   */
  forHostType(hostType: string): HostConfig;
}

export interface ParseOptions {
  /** Name of the file in problems. */
  file: string;
  /** Schemas of the modules that are built, by name. */
  modules: ModuleSchemas;
  /** Says whether a file named in the configuration exists; without it files are not looked for. */
  exists?: (file: string) => boolean;
}

export interface ParseResult {
  /** Absent when there are problems. */
  config?: Config;
  /** All that is wrong, by line; only a TOML syntax error hides the rest. */
  problems: Problem[];
  /** Options that do nothing here and the like, by line. */
  warnings: Problem[];
}

/** Parses the text of a configuration file. */
export function parseConfig(text: string, options: ParseOptions): ParseResult {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    return { problems: [syntaxProblem(error, options.file)], warnings: [] };
  }
  const schema = root(options.modules, namesIn(raw));
  const source: Source = { file: options.file, raw, positions: new Positions(text), schema };
  // A schema that is used once is not worth compiling.
  const parsed = schema.safeParse(raw, { error: phraseOf, jitless: true });
  const found = checkDocument(source, options.exists);
  const problems = [...problemsOf(source, parsed.error?.issues ?? []), ...found.problems].sort(byLine);
  const warnings = found.warnings.sort(byLine);
  if (problems.length > 0 || !parsed.success) return { problems, warnings };
  const unbuilt = unbuiltSections(raw, (name) => Object.hasOwn(options.modules, name));
  return { config: configOf(parsed.data, unbuilt), problems, warnings };
}

/**
 * The configuration of a server that was given no file: the domain localhost on the embedded store, with the text of
 * dist/mongooseim.toml.
 * @param modules as in `ParseOptions`.
 */
export function defaultConfig(modules: ModuleSchemas): Config {
  const { config, problems } = parseConfig(DEFAULT_TEXT, { file: "the embedded default", modules });
  if (!config)
    throw new Error(`The embedded default does not fit this build: ${problems.map(formatProblem).join("; ")}`);
  return config;
}

function configOf(sections: Sections, unbuilt: string[]): Config {
  const hostTypes = [...sections.general.hosts, ...sections.general.host_types];
  const hosts = new Map(hostTypes.map((hostType) => [hostType, frozen(hostConfigOf(hostType, sections))]));
  return frozen({
    ...sections,
    unbuilt,
    hostTypes,
    forHostType(hostType: string): HostConfig {
      const host = hosts.get(hostType);
      if (host) return host;
      throw new RangeError(
        `Cannot find host type "${hostType}": it is neither in general.hosts nor in general.host_types`,
      );
    },
  });
}

function syntaxProblem(error: TomlError, file: string): Problem {
  const reason = error.message.split("\n", 1)[0].replace(/^Invalid TOML document: /, "");
  return { file, line: error.line, key: "", message: `Cannot read TOML: ${reason}` };
}

const byLine = (a: Problem, b: Problem) => a.line - b.line;

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}
