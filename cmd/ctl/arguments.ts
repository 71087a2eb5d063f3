// Arguments of operations on the command line: --name value, as many as there are.

import type { Command, CommandArg } from "../../core/operations/commands.ts";

/** What is wrong, in MongooseIM's words. */
export type BadArguments = { readonly problem: string };

/** Reads the words after a command into variables of its document. */
export function parseArguments(
  command: Command,
  words: readonly string[],
): { readonly variables: Record<string, unknown> } | BadArguments {
  const variables: Record<string, unknown> = {};
  for (let i = 0; i < words.length; ) {
    const word = words[i];
    const equals = word.indexOf("=");
    const name = word.slice(2, equals < 0 ? undefined : equals);
    const arg = command.args.find((a) => a.name === name) ?? command.args.find((a) => a.name === camelCase(name));
    // A flag need not be followed by "true".
    const flag = equals < 0 && arg !== undefined && isFlag(arg) && !/^(true|false)$/.test(words[i + 1] ?? "");
    const value = flag ? "true" : equals < 0 ? words[i + 1] : word.slice(equals + 1);
    if (!word.startsWith("--") || name === "" || value === undefined) {
      return { problem: "Could not parse the command arguments" };
    }
    i += equals < 0 && !flag ? 2 : 1;
    if (!arg) return { problem: `Unknown argument '${name}' for command '${command.name}'` };
    const parsed = parseValue(value, arg.format);
    if (parsed === undefined) {
      return { problem: `Invalid value '${value}' of argument '${name}' for command '${command.name}'` };
    }
    variables[arg.name] = parsed;
  }
  const missing = command.args.filter((arg) => arg.required && !(arg.name in variables));
  if (missing.length > 0) {
    const names = missing.map((arg) => `'${arg.name}'`).join(", ");
    return { problem: `Missing mandatory arguments for command '${command.name}': ${names}` };
  }
  return { variables };
}

/** "dry-run" as GraphQL has it: dryRun. */
const camelCase = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

const isFlag = ({ type }: CommandArg): boolean => /^Boolean!?$/.test(type);

function parseValue(text: string, format: CommandArg["format"]): unknown {
  switch (format) {
    case "text":
      return text;
    case "integer":
      return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
    case "json":
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return undefined;
      }
  }
}
