// Files made from the declarations of operations: shell completions, the GraphQL schema, the manual page.

import { printSchema } from "graphql";
import { type CommandCategory, commandTree } from "../../core/operations/commands.ts";
import { buildSchema } from "../../core/operations/schema.ts";
import type { Operation } from "../../core/operations.ts";
import { completionScript } from "../ctl/completion.ts";
import { BASIC_COMMANDS } from "../ctl/usage.ts";

/** File name -> text, for a build that has these operations. */
export function operationFiles(operations: readonly Operation[]): Readonly<Record<string, string>> {
  const schema = buildSchema(operations);
  const tree = commandTree(schema);
  return {
    "completions/mongooseimctl.bash": completionScript("bash", tree),
    "completions/_mongooseimctl": completionScript("zsh", tree),
    "completions/mongooseimctl.fish": completionScript("fish", tree),
    "graphql/admin.graphql": `${printSchema(schema)}\n`,
    "graphql/user.graphql": `${printSchema(buildSchema(operations, "user"))}\n`,
    "man/mongooseimctl.1": manPage(tree),
  };
}

/** Text for roff: a backslash, a hyphen that is typed, and a line that begins with a control character. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^[.']/gm, (c) => `\\&${c}`);

/** mongooseimctl(1). */
function manPage(tree: readonly CommandCategory[]): string {
  const lines = [
    ".TH MONGOOSEIMCTL 1",
    ".SH NAME",
    "mongooseimctl \\- run and administer a MongooseIM server",
    ".SH SYNOPSIS",
    ".B mongooseimctl",
    "[\\fB\\-\\-state\\-dir\\fR \\fIdir\\fR] [\\fIcategory\\fR] \\fIcommand\\fR [\\fB\\-\\-\\fIname value\\fR]...",
    ".SH OPTIONS",
    ".TP",
    "\\fB\\-\\-state\\-dir\\fR \\fIdir\\fR",
    "Where the server keeps its data and its control socket.",
    ".TP",
    "\\fB\\-\\-config\\fR \\fIfile\\fR",
    "With start and foreground: the configuration file. Without one the server serves localhost with the embedded",
    "default. With schema check, schema upgrade and backup create: the file that says which databases there are.",
    ".TP",
    "\\fB\\-\\-dry\\-run\\fR",
    "With schema upgrade: print what would be done. With retention run: count what would be deleted.",
    ".TP",
    "\\fB\\-\\-scratch\\fR \\fIdir\\fR",
    "With backup verify: where the scratch copy is made, instead of beside the backup.",
    ".SH COMMANDS",
  ];
  const entry = (head: string, text: string): void => void lines.push(".TP", head, `${roff(text)}.`);
  for (const { name, description } of BASIC_COMMANDS) entry(`\\fB${roff(name)}\\fR`, description);
  for (const { name, description, commands } of tree) {
    lines.push(`.SH CATEGORY ${roff(name)}`, `${roff(description)}.`);
    for (const command of commands) {
      const args = command.args.map((arg) => {
        const text = `\\fB\\-\\-${roff(arg.name)}\\fR \\fI${roff(arg.type)}\\fR`;
        return arg.required ? text : `[${text}]`;
      });
      entry([`\\fB${roff(name)} ${roff(command.name)}\\fR`, ...args].join(" "), command.description);
    }
  }
  lines.push(
    ".SH ARGUMENTS",
    "Types are those of GraphQL; lists and input objects are written as JSON. A Boolean alone is true, and a name may be",
    "written with hyphens: \\-\\-dry\\-run for \\-\\-dryRun.",
    ".SH EXIT STATUS",
    "0 success, 1 error, 2 usage was shown, 3 the server does not answer, 4 (schema check) a database would be changed.",
    ".SH SIGNALS",
    "The server stops in order on TERM and INT, and reads its certificates again on HUP.",
    ".SH ENVIRONMENT",
    ".TP",
    "\\fBMONGOOSEIM_STATE_DIR\\fR",
    "The state directory when \\-\\-state\\-dir is not given.",
    ".TP",
    "\\fBEJABBERD_CONFIG_PATH\\fR",
    "The configuration file when \\-\\-config is not given.",
    ".TP",
    "\\fBEJABBERD_PID_PATH\\fR",
    "The file with the process id of the server.",
    ".TP",
    "\\fBMONGOOSEIM_LOG_FORMAT\\fR",
    "json for a log of JSON lines; logfmt otherwise.",
    ".SH FILES",
    ".TP",
    "\\fI/var/lib/mongooseim\\fR",
    "The state directory of a server that root starts; ~/.local/state/mongooseim for everybody else.",
    ".TP",
    "\\fI/etc/mongooseim/mongooseim.toml\\fR",
    "The configuration file in the systemd unit.",
  );
  return `${lines.join("\n")}\n`;
}
