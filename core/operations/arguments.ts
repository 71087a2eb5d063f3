// Reading of values inside arguments by path.

/**
 * The values at "user" or "contacts.jid", one for each member of lists on the way; a missing one is undefined.
 * An empty list gives nothing.
 */
export function valuesAt(args: Readonly<Record<string, unknown>>, path: string): readonly unknown[] {
  let found: unknown[] = [args];
  for (const key of path.split(".")) {
    found = found.flatMap((value) => {
      const at = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
      return Array.isArray(at) ? at : [at];
    });
  }
  return found;
}
