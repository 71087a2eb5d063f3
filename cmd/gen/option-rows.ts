// What the schema says about every option, as rows: the reference is written from the same declarations that a file is
// checked with.

import { z } from "zod";
import { phraseOf } from "../../core/config/problems.ts";
import { notesOf } from "../../core/config/types.ts";
import { unwrapped } from "../../core/config/walk.ts";

export interface OptionRow {
  /** Keys joined by dots; "[]" after a list of tables, "<name>" for a key that the file chooses. */
  readonly path: string;
  /** What values there are: the words that `config check` answers a wrong value with. */
  readonly value: string;
  /** As it is written in TOML; undefined when there is none. */
  readonly default: string | undefined;
  readonly required: boolean;
  readonly description: string;
  /** Why it does nothing here. */
  readonly inert: string | undefined;
  /** MongooseIM does not have it. */
  readonly own: boolean;
  /** Tables and lists of tables: what follows are their options. */
  readonly isTable: boolean;
}

/** A schema without its wrappers, and what they said. */
interface Facts {
  inner: z.ZodType;
  description: string | undefined;
  default: string | undefined;
  required: boolean;
  inert: string | undefined;
  own: boolean;
}

function factsOf(schema: z.ZodType): Facts {
  const facts: Facts = {
    inner: schema,
    description: undefined,
    default: undefined,
    required: true,
    inert: undefined,
    own: false,
  };
  for (let at: z.ZodType | undefined = schema; at; at = unwrapped(at)) {
    facts.inner = at;
    facts.description ??= at.description;
    facts.inert ??= notesOf(at).inert;
    facts.own ||= notesOf(at).own === true;
    if (at instanceof z.ZodOptional || at instanceof z.ZodPrefault) facts.required = false;
    if (at instanceof z.ZodDefault) {
      facts.required = false;
      facts.default ??= toml(at._zod.def.defaultValue);
    }
  }
  return facts;
}

/** A value as TOML has it; Infinity is written as the word that parses to it. */
export function toml(value: unknown): string {
  if (value === Number.POSITIVE_INFINITY) return '"infinity"';
  if (typeof value === "number" && value >= 10_000) return String(value).replace(/\B(?=(\d{3})+$)/g, "_");
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => `${key} = ${toml(inner)}`);
    return entries.length === 0 ? "{}" : `{${entries.join(", ")}}`;
  }
  return JSON.stringify(value);
}

/** Is of no type that TOML has: every schema refuses it, and says what it would take. */
const WRONG = Symbol("wrong");

const messages = (schema: z.ZodType, value: unknown) =>
  (schema.safeParse(value, { error: phraseOf, jitless: true }).error?.issues ?? []).filter((i) => i.path.length === 0);

/** "a whole number above 0": how a problem with the value ends. */
function phrase(schema: z.ZodType, value: unknown = WRONG): string {
  return (messages(schema, value)[0]?.message ?? "").replace(/^it must be /, "").replace(/^it must /, "must ");
}

function valuesOf(inner: z.ZodType): string {
  if (!(inner instanceof z.ZodArray)) return phrase(inner);
  const bounds = [];
  if (messages(inner, []).length > 0) bounds.push("at least one");
  if (messages(inner, [WRONG, WRONG]).some((i) => i.message.includes("twice"))) bounds.push("none twice");
  const each = `list, each ${phrase(factsOf(inner.element as z.ZodType).inner)}`;
  return bounds.length === 0 ? each : `${each} (${bounds.join(", ")})`;
}

/** The options below a schema, in the order of the declarations. `stop` names tables whose inside is not wanted. */
export function* optionRows(
  schema: z.ZodType,
  path = "",
  stop: (path: string) => boolean = () => false,
): Generator<OptionRow> {
  const { inner } = factsOf(schema);
  if (inner instanceof z.ZodObject) {
    for (const [key, child] of Object.entries(inner.shape)) {
      yield* rowsOf(child as z.ZodType, path === "" ? key : `${path}.${key}`, stop);
    }
  } else if (inner instanceof z.ZodRecord) {
    yield* rowsOf(inner.valueType as z.ZodType, `${path}.<name>`, stop);
  }
}

function* rowsOf(schema: z.ZodType, at: string, stop: (path: string) => boolean): Generator<OptionRow> {
  const { inner, description, required, inert, own, default: fallback } = factsOf(schema);
  let body: z.ZodType | undefined;
  let path = at;
  let kind = "table";
  if (inner instanceof z.ZodArray) {
    const element = factsOf(inner.element as z.ZodType).inner;
    if (element instanceof z.ZodObject || element instanceof z.ZodArray) {
      body = element instanceof z.ZodObject ? element : undefined;
      kind = "list of tables";
      if (body) path = `${at}[]`;
    }
  } else if (inner instanceof z.ZodObject || inner instanceof z.ZodRecord) body = inner;
  const isTable = body !== undefined;
  // Of a table that does nothing the inside is not worth a line.
  const entered = inert === undefined && !stop(path);
  yield {
    path,
    value: isTable ? kind : valuesOf(inner),
    default: isTable && (fallback === "{}" || fallback === "[]") ? undefined : fallback,
    required,
    description: description ?? (isTable ? factsOf(body!).description : undefined) ?? "",
    inert,
    own,
    isTable,
  };
  if (body && entered) yield* optionRows(body, path, stop);
}
