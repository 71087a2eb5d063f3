// Tables of which only the part that a file uses is built: a zod type costs about 5 µs to make, and the whole table of
// options has thousands of them, which a start would pay for nothing.
import { z } from "zod";
import { note } from "./types.ts";

/** The keys that occur anywhere in a file, or "all" for the whole schema (manuals, tests). */
export type Names = ReadonlySet<string> | "all";

type Selected<M extends Record<string, () => z.ZodType>> = z.ZodObject<
  { [K in keyof M]: z.ZodOptional<ReturnType<M[K]>> },
  z.core.$strict
>;

/**
 * A strict table of optional keys, of which those outside `names` are left out. The type is that of the whole: a key
 * that is left out is absent from the file, and undefined is what its optional schema gives.
 */
export function selected<M extends Record<string, () => z.ZodType>>(makers: M, names: Names): Selected<M> {
  const shape: Record<string, z.ZodType> = {};
  for (const [key, make] of Object.entries(makers)) {
    if (names === "all" || names.has(key)) shape[key] = make().optional();
  }
  return note(z.strictObject(shape), { known: Object.keys(makers) }) as unknown as Selected<M>;
}

/** All keys of all tables in a document. */
export function namesIn(document: unknown, into = new Set<string>()): Set<string> {
  if (Array.isArray(document)) {
    for (const item of document) namesIn(item, into);
  } else if (isTable(document)) {
    for (const [key, value] of Object.entries(document)) {
      into.add(key);
      namesIn(value, into);
    }
  }
  return into;
}

/** True for what TOML calls a table. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
