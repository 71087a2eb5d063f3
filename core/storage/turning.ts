// Waiting for others by a clock that stands still while this process is held up: an answer that lies in a socket while a
// long computation or a full machine keeps us from reading it is no silence of the other side.

import { StorageError } from "./db.ts";

/** Milliseconds between two looks. */
const STEP_MS = 250;

/** Runs `run` after `ms` in which the event loop turned; returns what cancels it. */
export function afterTurning(ms: number, run: () => void): () => void {
  const step = Math.min(STEP_MS, ms / 4);
  let left = ms;
  const timer = setInterval(() => {
    left -= step;
    if (left > 0) return;
    clearInterval(timer);
    run();
  }, step);
  return () => clearInterval(timer);
}

/** Work that fails as "unavailable", in these words, when it takes longer than `ms` in which the event loop turned. */
export async function within<T>(ms: number, words: string, work: Promise<T>): Promise<T> {
  let cancel: (() => void) | undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = afterTurning(ms, () => reject(new StorageError("unavailable", words)));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel?.();
  }
}
