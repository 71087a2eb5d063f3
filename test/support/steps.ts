// What deletes step by step, for tests that want it all.

/** Takes all steps; resolves to the sum of what they gave. */
export async function allSteps(steps: AsyncIterable<number>): Promise<number> {
  let all = 0;
  for await (const n of steps) all += n;
  return all;
}
