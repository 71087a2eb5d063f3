// Waiting for others by a clock that stands still while this process is held up: an answer that lies in a socket while a
// long computation or a full machine keeps us from reading it is no silence of the other side.

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
