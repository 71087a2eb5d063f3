// `mongooseimctl <category> <command> --name value ...`: an operation of the running server.

import { nearest } from "../../core/config/nearest.ts";
import type { CommandCategory } from "../../core/operations/commands.ts";
import { parseArguments } from "./arguments.ts";
import { type ControlClient, type GraphqlBody, NotRunning } from "./client.ts";
import { type CtlIo, ERROR, OK, USAGE } from "./io.ts";
import { BASIC_COMMANDS, categoryUsage, commandUsage, type Entry, generalUsage } from "./usage.ts";

/** Runs or explains an operation. Returns the exit code. */
export async function runOperation(words: readonly string[], client: ControlClient, io: CtlIo): Promise<number> {
  const [categoryName, commandName, ...rest] = words;
  const categories = await client.commands();
  const category = categories.find((c) => c.name === categoryName);
  if (!category) {
    const guess = didYouMean(categoryName, [...categories, ...BASIC_COMMANDS]);
    io.err(`Unknown category\n${guess}\n${generalUsage(categories, io.columns)}`);
    return ERROR;
  }
  if (commandName === undefined || isHelp(commandName)) {
    io.out(categoryUsage(category, io.columns));
    return OK;
  }
  const command = category.commands.find((c) => c.name === commandName);
  if (!command) {
    const guess = didYouMean(commandName, category.commands);
    io.err(`Unknown command '${commandName}'\n${guess}\n${categoryUsage(category, io.columns)}`);
    return ERROR;
  }
  if (rest.length === 1 && isHelp(rest[0])) {
    io.out(commandUsage(category, command, io.columns));
    return OK;
  }
  const parsed = parseArguments(command, rest);
  if ("problem" in parsed) {
    io.err(`${parsed.problem}\n\n${commandUsage(category, command, io.columns)}`);
    return ERROR;
  }
  return printAnswer(await client.graphql(command.document, parsed.variables), io);
}

const isHelp = (word: string): boolean => word === "--help" || word === "-h" || word === "help";

/** A line that names the known word nearest to a mistyped one, if one is near. */
function didYouMean(word: string, known: readonly Entry[]): string {
  const guess = nearest(
    word,
    known.map(({ name }) => name),
  );
  return guess === undefined ? "" : `Did you mean '${guess}'?\n`;
}

const GRAPHQL_USAGE = `Usage: mongooseimctl graphql document

Executes a GraphQL query or mutation, such as
  mongooseimctl graphql '{ account { countUsers(domain: "localhost") } }'
`;

/** `mongooseimctl graphql DOCUMENT`. */
export async function runGraphql(words: readonly string[], client: ControlClient, io: CtlIo): Promise<number> {
  if (words.length === 1 && isHelp(words[0])) {
    io.out(GRAPHQL_USAGE);
    return OK;
  }
  if (words.length !== 1) {
    io.err(`This command requires one argument: a GraphQL document\n\n${GRAPHQL_USAGE}`);
    return ERROR;
  }
  return printAnswer(await client.graphql(words[0]), io);
}

function printAnswer(body: GraphqlBody, io: CtlIo): number {
  io.out(`${JSON.stringify(body, null, 2)}\n`);
  return body.errors ? ERROR : OK;
}

/** The general help, with the categories of the running server if there is one. */
export async function runUsage(client: ControlClient, io: CtlIo, exitCode = USAGE): Promise<number> {
  let categories: readonly CommandCategory[] | undefined;
  try {
    categories = await client.commands();
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
  }
  io.out(generalUsage(categories, io.columns));
  return exitCode;
}
