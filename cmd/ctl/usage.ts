// Help texts.

import type { Command, CommandCategory } from "../../core/operations/commands.ts";

export interface Entry {
  readonly name: string;
  readonly description: string;
}

/** Commands without a category, in the order of the help. */
export const BASIC_COMMANDS: readonly Entry[] = [
  { name: "start", description: "Start the server in the background" },
  { name: "foreground", description: "Run the server in the foreground, for supervisors and containers" },
  {
    name: "stop",
    description: "Stop the server and wait for its process to end; --other-host HOST sends its clients there",
  },
  { name: "force_stop", description: "As stop; TERM after 30 s, KILL after 60 s" },
  { name: "restart", description: "Restart the server with the configuration as it is now" },
  { name: "status", description: "Show the state of the server" },
  { name: "started", description: "Wait until the server has started" },
  { name: "stopped", description: "Wait until the server has stopped" },
  { name: "graphql", description: "Execute a GraphQL query or mutation" },
  { name: "config", description: "Check a configuration file: config check FILE" },
  {
    name: "schema",
    description: "Check the tables of the databases, or bring them up to date: schema check, schema upgrade",
  },
  {
    name: "backup",
    description: "Back up the embedded store: backup create DIR, backup verify DIR, backup restore DIR",
  },
  { name: "completion", description: "Print a completion script for bash, zsh or fish" },
  { name: "print_install_dir", description: "Print the directory of this program" },
  { name: "version", description: "Print the version" },
];

/** Two columns, the second one wrapped. */
export function columns(entries: readonly Entry[], width: number): string {
  const left = Math.max(...entries.map((e) => e.name.length)) + 4;
  const room = Math.max(30, width - left - 1);
  return entries
    .map(({ name, description }) => {
      const [first, ...more] = wrap(description, room);
      return [`  ${name}`.padEnd(left) + first, ...more.map((line) => " ".repeat(left) + line)].join("\n").trimEnd();
    })
    .join("\n");
}

function wrap(text: string, room: number): string[] {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const line = lines[lines.length - 1];
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= room) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** The general help; without categories when there is no server to ask. */
export function generalUsage(categories: readonly CommandCategory[] | undefined, width: number): string {
  const grouped = categories
    ? `Most commands belong to one of these categories:\n${columns(categories, width)}\n\n` +
      "The commands of a category:\n  mongooseimctl category\n"
    : "Most commands belong to categories, which the running server lists: start it first.\n";
  return `Usage: mongooseimctl [--state-dir DIR] [category] command [arguments]

${grouped}
Commands without a category:
${columns(BASIC_COMMANDS, width)}
`;
}

export function categoryUsage(category: CommandCategory, width: number): string {
  return `Usage: mongooseimctl ${category.name} command [arguments]

${category.description}. The commands of the category:
${columns(category.commands, width)}

The arguments of a command:
  mongooseimctl ${category.name} command --help
`;
}

export function commandUsage(category: CommandCategory, command: Command, width: number): string {
  const head = `Usage: mongooseimctl ${category.name} ${command.name}${command.args.length > 0 ? " arguments" : ""}

${command.description}.
`;
  if (command.args.length === 0) return `${head}It takes no arguments.\n`;
  const entries = command.args.map(({ name, type, description }) => ({
    name,
    description: description ? `${type} - ${description}` : type,
  }));
  return `${head}
Each argument is written --name value; these are their names and GraphQL types:
${columns(entries, width)}

A type that ends in "!" is of an argument that must be given. Lists and input objects are written as JSON.
`;
}
