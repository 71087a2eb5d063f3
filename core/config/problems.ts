// Problems of a configuration, as one line each, and how zod's issues become them.
import type { z } from "zod";
import { nearest } from "./nearest.ts";
import { keyOf, type Path, type Positions } from "./positions.ts";
import { isTable } from "./selected.ts";
import { listed, notesOf } from "./types.ts";
import { childOf, knownKeys, schemaAt, unwrapped, valueAt } from "./walk.ts";

/** One thing that is wrong (or, as a warning, worth knowing) in a configuration file. */
export interface Problem {
  /** As it was given, for people. */
  file: string;
  /** Counted from 1. */
  line: number;
  /** Such as `listen.c2s[0].port`; empty when it is about the file as a whole. */
  key: string;
  /** What is wrong and what would be right, without the place. */
  message: string;
}

/** The line for a sysadmin: `message      (file:line)`. */
export function formatProblem(problem: Problem): string {
  return `${problem.message}      (${problem.file}:${problem.line})`;
}

/** What is needed to turn a path into a problem. */
export interface Source {
  file: string;
  raw: unknown;
  positions: Positions;
  schema: z.ZodType;
}

/** A problem with the value at a path: `Cannot use "x" as key: phrase`. */
export function problemAt(source: Source, path: Path, phrase: string): Problem {
  return placed(source, path, describe(source, path, phrase, false));
}

/** A problem or warning at a path, with a message of its own. */
export function placed(source: Source, path: Path, message: string): Problem {
  return { file: source.file, line: source.positions.lineOf(path), key: keyOf(path), message };
}

/** The problems that zod found. */
export function problemsOf(source: Source, issues: readonly z.core.$ZodIssue[]): Problem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(source, path, key));
    if (issue.code === "invalid_key") return [problemAt(source, path, "a name must not be empty")];
    const ofType = issue.code === "invalid_type" || issue.code === "invalid_union";
    const phrase = ofType && isQuoted(valueAt(source.raw, path)) ? `${issue.message}, without quotes` : issue.message;
    return [placed(source, path, describe(source, path, phrase, issue.code === "custom"))];
  });
}

/** True for a number, true or false that was written as a string. */
function isQuoted(value: unknown): boolean {
  return typeof value === "string" && /^([+-]?\d[\d_]*(\.\d+)?|true|false)$/.test(value);
}

function unknownKey(source: Source, path: Path, key: string): Problem {
  const guess = nearest(key, knownKeys(schemaAt(source.schema, path)));
  const where = path.length === 0 ? "at the top level" : `in ${keyOf(path)}`;
  const hint = guess === undefined ? "" : `: did you mean "${guess}"`;
  return placed(source, [...path, key], `Unknown key "${key}" ${where}${hint}`);
}

function describe(source: Source, path: Path, phrase: string, aboutTable: boolean): string {
  const key = keyOf(path);
  const value = valueAt(source.raw, path);
  if (value === undefined) return `Missing key ${key}: ${phrase}`;
  if (aboutTable && (isTable(value) || (Array.isArray(value) && value.some(isTable)))) {
    return `Cannot accept ${key}: ${phrase}`;
  }
  return `Cannot use ${isSecret(source, path) ? "this value" : shown(value)} as ${key}: ${phrase}`;
}

const LONGEST_SHOWN = 60;

function shown(value: unknown): string {
  if (isTable(value)) return "a table";
  if (Array.isArray(value) && value.some(isTable)) return "a list of tables";
  const text = Array.isArray(value) ? JSON.stringify(value) : `"${value}"`;
  const line = text.replace(/\p{C}+/gu, " ");
  return line.length > LONGEST_SHOWN ? `${line.slice(0, LONGEST_SHOWN)}...` : line;
}

/** True when the option, or a list or table it is in, must not be printed. */
function isSecret(source: Source, path: Path): boolean {
  let at: z.ZodType | undefined = source.schema;
  for (const key of path) {
    at = at && childOf(at, key);
    for (let layer = at; layer; layer = unwrapped(layer)) if (notesOf(layer).secret) return true;
  }
  return false;
}

const KINDS: Record<string, string> = {
  boolean: "true or false",
  string: "text in quotes",
  int: "a whole number",
  number: "a number",
  array: "a list",
  object: "a table",
  record: "a table",
};

/** Phrases for zod types that carry none of their own. */
export const phraseOf: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      return `it must be ${KINDS[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `it must be ${listed(issue.values.map(String))}`;
    case "too_small":
      if (issue.origin === "string") return `it must have at least ${count(issue.minimum, "character")}`;
      if (issue.origin === "array") return `the list must have at least ${count(issue.minimum, "entry", "entries")}`;
      return `it must be ${issue.inclusive ? "at least" : "above"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "string") return `it must have at most ${count(issue.maximum, "character")}`;
      if (issue.origin === "array") return `the list must have at most ${count(issue.maximum, "entry", "entries")}`;
      return `it must be ${issue.inclusive ? "at most" : "below"} ${issue.maximum}`;
    default:
      return undefined;
  }
};

function count(n: number | bigint, one: string, many = `${one}s`): string {
  return `${n} ${Number(n) === 1 ? one : many}`;
}
