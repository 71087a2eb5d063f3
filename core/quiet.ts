// Garbage is collected when nobody waits: a burst (a storm of log-ins) leaves memory that the runtime would keep until
// the next one. A collection stops the event loop for some 35 ns an object, so it is done in silence only.

/** Bytes of input between two looks under which the server counts as quiet. */
const SILENCE = 1024;
/** Input since the last collection that makes one worth while. */
const WORTH = 4 * 1024 * 1024;
/** Milliseconds between two looks; silence has to last for two of them. */
export const LOOK_MS = 250;

/** Decides when to collect, from how much input there has been in all. */
export class QuietCollector {
  private last = 0;
  private collectedAt = 0;
  private silent = 0;

  constructor(
    private readonly inputBytes: () => number,
    private readonly collect: () => void,
  ) {}

  /** To be called every `LOOK_MS`. */
  look(): void {
    const now = this.inputBytes();
    this.silent = now - this.last < SILENCE ? this.silent + 1 : 0;
    this.last = now;
    if (this.silent < 2 || now - this.collectedAt < WORTH) return;
    this.collectedAt = now;
    this.collect();
  }
}
