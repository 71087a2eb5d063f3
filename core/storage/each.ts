// Many writes in one, where one that the database cannot take keeps out no other.
import { StorageError } from "./db.ts";

/** Whether an error is about what was to be written: another try would end the same way, others may well be written. */
export const isUnfit = (error: unknown): boolean =>
  error instanceof StorageError && (error.code === "constraint" || error.code === "syntax");

/**
 * Writes items together, in order. What the database refuses something about is halved until the items that it refuses
 * are alone: one among a thousand costs twenty writes. After any other error what is left is not tried, and has that error.
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
  // Where the parts end that are to be written next, the nearest last: they follow each other without a gap.
  const ends: number[] = [];
  for (let at = 0; at < items.length; ) {
    if (ends.length === 0) ends.push(Math.min(at + most, items.length));
    const end = ends[ends.length - 1];
    try {
      await write(items.slice(at, end));
    } catch (error) {
      if (!unfit(error)) {
        while (at < items.length) errors.set(at++, error);
        return errors;
      }
      if (end - at > 1) {
        ends.push((at + end) >> 1);
        continue;
      }
      errors.set(at, error);
    }
    at = end;
    ends.pop();
  }
  return errors;
}
