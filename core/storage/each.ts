// Many writes in one, where one that the database cannot take keeps out no other.
import { StorageError } from "./db.ts";

/** Whether an error is about what was to be written: another try would end the same way, others may well be written. */
export const isUnfit = (error: unknown): boolean =>
  error instanceof StorageError && (error.code === "constraint" || error.code === "syntax");

/**
 * Writes items together, and each by itself, in order, when the database refuses something about them. After any other
 * error what is left is not tried, and has that error.
 * @param write is given all, or up to `most` at a time; when it rejects it has written none, or may be asked again
 * @param unfit which errors are about an item
 * @returns the errors of those that are not written, by their place in `items`
 */
export async function writeEach<T>(
  items: readonly T[],
  write: (items: readonly T[]) => Promise<unknown>,
  most = items.length,
  unfit: (error: unknown) => boolean = isUnfit,
): Promise<ReadonlyMap<number, unknown>> {
  const errors = new Map<number, unknown>();
  // Those before this place are written alone.
  let alone = 0;
  for (let at = 0; at < items.length; ) {
    const some = items.slice(at, at + (at < alone ? 1 : most));
    try {
      await write(some);
      at += some.length;
    } catch (error) {
      if (!unfit(error)) while (at < items.length) errors.set(at++, error);
      else if (some.length === 1) errors.set(at++, error);
      else alone = at + some.length;
    }
  }
  return errors;
}
