// One clock for everything that waits: no timer per connection, stanza or hook.

/** Milliseconds between two turns. */
const TICK = 250;

interface Waiting {
  turn: number;
  run: (() => void) | undefined;
}

/** Runs functions after a time, in steps of a quarter of a second. */
export class Wheel {
  private readonly turns = new Map<number, Set<Waiting>>();
  private last: number;
  private timer: ReturnType<typeof setInterval> | undefined;

  /** @param now milliseconds of a clock that does not go back, and does not jump when the machine's is set */
  constructor(
    private readonly now: () => number,
    private readonly failed: (error: unknown) => void,
  ) {
    this.last = Math.floor(now() / TICK);
  }

  start(): void {
    this.timer ??= setInterval(() => this.turn(), TICK);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.turns.clear();
  }

  /** Runs `run` after at least `ms`; the result cancels it. */
  after(ms: number, run: () => void): () => void {
    const turn = Math.floor((this.now() + ms) / TICK) + 1;
    const waiting: Waiting = { turn, run };
    let bucket = this.turns.get(turn);
    if (!bucket) {
      bucket = new Set();
      this.turns.set(turn, bucket);
    }
    bucket.add(waiting);
    return () => {
      waiting.run = undefined;
      this.turns.get(waiting.turn)?.delete(waiting);
    };
  }

  /** Runs what is due; called by the timer, and by tests that move the clock. */
  turn(): void {
    const now = Math.floor(this.now() / TICK);
    // After a long time without a turn (a process that was stopped) only those that have something are visited.
    const due =
      now - this.last > this.turns.size ? [...this.turns.keys()].filter((t) => t <= now).sort((a, b) => a - b) : [];
    if (due.length === 0) for (let t = this.last + 1; t <= now; t++) if (this.turns.has(t)) due.push(t);
    this.last = now;
    for (const t of due) {
      const bucket = this.turns.get(t)!;
      this.turns.delete(t);
      for (const waiting of bucket) {
        try {
          waiting.run?.();
        } catch (error) {
          this.failed(error);
        }
      }
    }
  }
}
