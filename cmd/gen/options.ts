// docs/options.md: every option of the configuration file.

import type { z } from "zod";
import { BUILT } from "../../core/config/built.ts";
import { type OptionRow, optionRows } from "./option-rows.ts";

/** Sections whose tables have a heading each. */
const CONTAINERS = /^(listen|listen\.http\[\]\.handlers|modules|services|outgoing_pools(\.\w+)?|instrumentation)$/;
const AUTH_METHOD = /^auth\.(anonymous|dummy|external|http|internal|jwt|ldap|pki|rdbms)$/;

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf(".")));

const hasHeading = ({ path, isTable }: OptionRow): boolean =>
  isTable && (!path.includes(".") || CONTAINERS.test(parentOf(path)) || AUTH_METHOD.test(path));

/** False for a section whose feature this build does not have. */
function isBuilt(path: string, modules: ReadonlySet<string>): boolean {
  const name = path.replaceAll("[]", "").replace(/\.<name>.*/, "");
  const module = /^modules\.(\w+)/.exec(name)?.[1];
  if (module !== undefined) return modules.has(module);
  const isFeature =
    name === "s2s" || (name.includes(".") && (CONTAINERS.test(parentOf(path)) || AUTH_METHOD.test(name)));
  return !isFeature || [...BUILT].some((built) => built === name || built.startsWith(`${name}.`));
}

/** "[[listen.c2s]]": as the file has it. */
function tomlHeading(path: string): string {
  const plain = path.replaceAll("[]", "");
  return path.endsWith("[]") ? `[[${plain}]]` : `[${plain}]`;
}

/** Text in a table of Markdown: a bar ends a cell, "<" begins a tag outside of code. */
const cell = (text: string): string =>
  text.replaceAll("|", "\\|").replace(/`[^`]*`|</g, (part) => (part === "<" ? "&lt;" : part));

function line(row: OptionRow, key: string, like: string | undefined): string {
  const fallback = row.required ? "required" : row.default === undefined ? "" : `\`${row.default}\``;
  const meaning = [row.description, like && `options as in \`${like}\``].filter(Boolean).join("; ");
  const own = row.own ? ". Not in MongooseIM" : "";
  const effect = row.inert === undefined ? "" : `${meaning === "" ? "" : ". "}**No effect**: ${row.inert}`;
  return `| \`${key}\` | ${cell(row.value)} | ${cell(fallback)} | ${cell(meaning + effect + own)} |`;
}

/** A table with a heading and the rows below it, those with headings of their own left out. */
interface Section {
  readonly table: OptionRow;
  readonly rows: OptionRow[];
}

function sectionsOf(rows: readonly OptionRow[]): Section[] {
  const sections = new Map<string, Section>();
  for (const row of rows) {
    if (hasHeading(row)) {
      sections.set(row.path, { table: row, rows: [] });
      continue;
    }
    let above = parentOf(row.path);
    while (!sections.has(above)) above = parentOf(above);
    sections.get(above)!.rows.push(row);
  }
  return [...sections.values()];
}

/** Tables with the same options (TLS) are listed once; smaller ones are not worth a look elsewhere. */
const WORTH_A_LOOK = 5;

/**
 * The page.
 * @param schema the whole schema, `root(modules, "all")`
 * @param modules names of the modules that are built
 */
export function optionsPage(schema: z.ZodType, modules: ReadonlySet<string>): string {
  const rows = [...optionRows(schema, "", (path) => path.startsWith("host_config[]."))];
  const seen = new Map<string, string>();
  /** Where the options of a table were listed before, if they were. */
  const listedAs = (table: OptionRow): string | undefined => {
    const below = rows.filter((row) => row.path.startsWith(`${table.path}.`));
    if (!table.isTable || below.length < WORTH_A_LOOK) return undefined;
    const key = JSON.stringify(below.map((row) => ({ ...row, path: row.path.slice(table.path.length) })));
    const before = seen.get(key);
    if (before === undefined) seen.set(key, table.path);
    return before;
  };

  const text = ({ table, rows }: Section): string => {
    const parts = [`${table.path.includes(".") ? "###" : "##"} \`${tomlHeading(table.path)}\``];
    const built = isBuilt(table.path, modules) ? "" : "Not in this build: accepted, and reported at start.";
    const own = table.own ? "Not in MongooseIM." : "";
    const about = [table.description && `${table.description}.`, own, built].filter(Boolean).join(" ");
    if (about !== "") parts.push(about);
    const lines: string[] = [];
    let elsewhere: string | undefined;
    for (const row of rows) {
      if (elsewhere !== undefined && row.path.startsWith(`${elsewhere}.`)) continue;
      const like = listedAs(row);
      elsewhere = like === undefined ? undefined : row.path;
      lines.push(line(row, row.path.slice(table.path.length + 1), like));
    }
    if (lines.length > 0) parts.push([TABLE_HEAD, ...lines].join("\n"));
    else if (about === "") parts.push("It has no options.");
    return parts.join("\n\n");
  };
  return `${HEAD}\n${sectionsOf(rows).sort(modulesByName).map(text).join("\n\n")}\n`;
}

/** Modules by name; everything else where it is declared. */
function modulesByName({ table: a }: Section, { table: b }: Section): number {
  const both = a.path.startsWith("modules.") && b.path.startsWith("modules.");
  return both ? (a.path < b.path ? -1 : 1) : 0;
}

const TABLE_HEAD = "| Option | Value | Default | Meaning |\n| --- | --- | --- | --- |";

const HEAD = `# Options

Generated by \`bun cmd/gen/all.ts\` from the schema that \`mongooseimctl config check FILE\` uses. Names, defaults and
bounds are MongooseIM's; what it does not have is marked. \`<name>\` is a name of your choice; \`[]\` marks a list of tables. \`"infinity"\` is written in
quotes. The example of a whole file is [dist/mongooseim.toml](../dist/mongooseim.toml).
`;
