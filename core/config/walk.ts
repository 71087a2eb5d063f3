// Walking a schema beside the raw document: which options were set, and what their schemas say about them.
import { z } from "zod";
import type { Path } from "./positions.ts";
import { isTable } from "./selected.ts";
import { type Notes, notesOf } from "./types.ts";

/** Called for every schema on the way to a value that is in the document, outer wrappers first. */
export type Visit = (notes: Notes, raw: unknown, path: Path) => void;

/** Visits every value of the document that the schema knows. */
export function walk(schema: z.ZodType, raw: unknown, visit: Visit, path: Path = []): void {
  if (raw === undefined) return;
  visit(notesOf(schema), raw, path);
  const inner = unwrapped(schema);
  if (inner) walk(inner, raw, visit, path);
  else if (Array.isArray(raw)) for (const [i, item] of raw.entries()) descend(schema, i, item, visit, path);
  else if (isTable(raw)) for (const [key, item] of Object.entries(raw)) descend(schema, key, item, visit, path);
}

function descend(schema: z.ZodType, key: string | number, raw: unknown, visit: Visit, path: Path): void {
  const child = childOf(schema, key);
  if (child) walk(child, raw, visit, [...path, key]);
}

/** The schema inside a wrapper (optional, default, transform ...), if this is one. */
export function unwrapped(schema: z.ZodType): z.ZodType | undefined {
  if (schema instanceof z.ZodPipe) return schema.in as z.ZodType;
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodReadonly
  ) {
    return schema.unwrap() as z.ZodType;
  }
  return undefined;
}

/** The schema of a key of a table or of an entry of a list. */
export function childOf(schema: z.ZodType, key: string | number): z.ZodType | undefined {
  const inner = unwrapped(schema);
  if (inner) return childOf(inner, key);
  if (schema instanceof z.ZodObject) return Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
  if (schema instanceof z.ZodRecord) return schema.valueType as z.ZodType;
  if (schema instanceof z.ZodArray) return schema.element as z.ZodType;
  return undefined;
}

/** The schema at a path. */
export function schemaAt(schema: z.ZodType, path: Path): z.ZodType | undefined {
  return path.reduce<z.ZodType | undefined>((at, key) => at && childOf(at, key), schema);
}

/** The keys that a table may have; empty for what is no table or takes any key. */
export function knownKeys(schema: z.ZodType | undefined): readonly string[] {
  if (!schema) return [];
  const inner = unwrapped(schema);
  if (inner) return knownKeys(inner);
  return schema instanceof z.ZodObject ? (notesOf(schema).known ?? Object.keys(schema.shape)) : [];
}

/** The value at a path of the raw document. */
export function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) => (at === null || typeof at !== "object" ? undefined : (at as Record<string | number, unknown>)[key]),
    raw,
  );
}
