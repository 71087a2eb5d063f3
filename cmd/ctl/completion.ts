// Completion scripts for shells, made from the tree of commands.

import type { CommandCategory } from "../../core/operations/commands.ts";
import { BASIC_COMMANDS } from "./usage.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Options that any command takes, with what they are followed by. */
const OPTIONS = { "--state-dir": "directory", "--config": "file" } as const;
/** Second words of commands without a category. */
const SECOND: Readonly<Record<string, readonly string[]>> = {
  config: ["check"],
  schema: ["check", "upgrade"],
  backup: ["create", "verify", "restore"],
  completion: SHELLS,
};

/** The script that makes a shell complete `mongooseimctl`; source it, or put it where the shell looks. */
export function completionScript(shell: Shell, categories: readonly CommandCategory[]): string {
  return { bash, zsh, fish }[shell](categories);
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** [pattern, words] for "first:second", then for "first:second:previous". */
function cases(categories: readonly CommandCategory[]) {
  const first = [...BASIC_COMMANDS.map((c) => c.name), ...categories.map((c) => c.name)];
  const byPlace: [string, readonly string[]][] = [[":", [...Object.keys(OPTIONS), ...first]]];
  const byArgument: [string, readonly string[]][] = [];
  for (const [name, words] of Object.entries(SECOND)) byPlace.push([`${name}:`, words]);
  for (const { name, commands } of categories) {
    byPlace.push([`${name}:`, commands.map((c) => c.name)]);
    for (const command of commands) {
      const place = `${name}:${command.name}`;
      byPlace.push([place, [...command.args.map((arg) => `--${arg.name}`), "--help"]]);
      for (const { name: arg, choices } of command.args) if (choices) byArgument.push([`${place}:--${arg}`, choices]);
    }
  }
  return { byPlace, byArgument };
}

const caseLines = (rows: readonly (readonly [string, readonly string[]])[]): string =>
  rows.map(([pattern, words]) => `    ${quote(pattern)}) list=${quote(words.join(" "))} ;;`).join("\n");

/** What bash and zsh have in common: finds the first two words that are no options, then the words that may follow. */
function finder(categories: readonly CommandCategory[]): string {
  const { byPlace, byArgument } = cases(categories);
  return `  case "$first:$second" in
${caseLines(byPlace)}
  esac
  case "$first:$second:$prev" in
${caseLines(byArgument)}
  esac`;
}

const bash = (categories: readonly CommandCategory[]): string => `# bash completion for mongooseimctl
_mongooseimctl() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" first="" second="" list="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      --state-dir|--config) i=$((i + 1)) ;;
      -*) ;;
      *) if [[ -z $first ]]; then first="\${COMP_WORDS[i]}"; elif [[ -z $second ]]; then second="\${COMP_WORDS[i]}"; fi ;;
    esac
  done
  case "$prev" in
    --state-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    --config|check) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
${finder(categories)}
  COMPREPLY=($(compgen -W "$list" -- "$cur"))
}
complete -F _mongooseimctl mongooseimctl
`;

const zsh = (categories: readonly CommandCategory[]): string => `#compdef mongooseimctl
_mongooseimctl() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}" first="" second="" list="" i
  local -a line
  line=("\${words[@]}")
  for ((i = 2; i < CURRENT; i++)); do
    case "\${line[i]}" in
      --state-dir|--config) i=$((i + 1)) ;;
      -*) ;;
      *) if [[ -z $first ]]; then first="\${line[i]}"; elif [[ -z $second ]]; then second="\${line[i]}"; fi ;;
    esac
  done
  case "$prev" in
    --state-dir) _files -/; return ;;
    --config|check) _files; return ;;
  esac

${finder(categories)}
  compadd -- \${=list}
}
compdef _mongooseimctl mongooseimctl
`;

function fish(categories: readonly CommandCategory[]): string {
  const lines = [
    "# fish completion for mongooseimctl",
    "function __mongooseimctl_at",
    "    set -l found",
    "    set -l skip 0",
    "    for word in (commandline -opc)[2..-1]",
    "        if test $skip = 1; set skip 0; continue; end",
    "        switch $word",
    "            case --state-dir --config; set skip 1",
    "            case '-*'",
    "            case '*'; set -a found $word",
    "        end",
    "    end",
    '    test "$found[1..2]" = "$argv"',
    "end",
    "complete -c mongooseimctl -f",
    "complete -c mongooseimctl -l state-dir -x -a '(__fish_complete_directories)'",
    "complete -c mongooseimctl -l config -r -F",
  ];
  const at = (...place: string[]): string =>
    `complete -c mongooseimctl -n ${quote(`__mongooseimctl_at ${place.join(" ")}`)}`;
  for (const { name, description } of [...BASIC_COMMANDS, ...categories]) {
    lines.push(`${at()} -a ${name} -d ${quote(description)}`);
  }
  for (const [name, words] of Object.entries(SECOND)) lines.push(`${at(name)} -a ${quote(words.join(" "))}`);
  lines.push(`${at("config", "check")} -F`);
  for (const { name, commands } of categories) {
    for (const command of commands) {
      lines.push(`${at(name)} -a ${command.name} -d ${quote(command.description)}`);
      for (const arg of command.args) {
        const choices = arg.choices ? ` -a ${quote(arg.choices.join(" "))}` : "";
        lines.push(`${at(name, command.name)} -l ${arg.name} -x${choices} -d ${quote(arg.description ?? arg.type)}`);
      }
    }
  }
  return `${lines.join("\n")}\n`;
}
