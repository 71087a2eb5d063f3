import { defineConfig } from "vitest/config";

// Runs on Bun (`bun --bun vitest run`): threads is the one pool of vitest 5.1 that works there.
export default defineConfig({
  test: {
    pool: "threads",
    isolate: false,
    // Most of the time tests wait; one worker on two cores, vitest's choice, would leave both half idle.
    maxWorkers: 2,
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
