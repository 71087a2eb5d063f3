// For tests of what comes in batches and pages.

/** Does something many times, some of it at once. */
export async function manyTimes(many: number, work: (k: number) => Promise<unknown>): Promise<void> {
  for (let k = 0; k < many; k += 50) {
    await Promise.all(Array.from({ length: Math.min(50, many - k) }, (_, i) => work(k + i)));
  }
}
