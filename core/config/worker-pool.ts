// A pool of workers inside a module of MongooseIM's. There are no such processes here: the options are read and change nothing.

import { z } from "zod";
import { enumOf, inert, nonNegative, positive } from "./types.ts";

const STRATEGIES = [
  "best_worker",
  "random_worker",
  "next_worker",
  "available_worker",
  "next_available_worker",
] as const;

/** `wpool` of a module, with the module's own default of how a worker is chosen. */
export const workerPool = (strategy: (typeof STRATEGIES)[number]) =>
  inert(
    z.strictObject({
      workers: positive().default(10).describe("Workers"),
      strategy: enumOf(...STRATEGIES)
        .default(strategy)
        .describe("How a worker is chosen"),
      call_timeout: positive().default(5000).describe("Milliseconds a task may take"),
      max_worker_queue_len: nonNegative().optional().describe("Tasks that wait for one worker"),
    }),
    "the work is done by the event loop, without a pool of workers",
  )
    .prefault({})
    .describe("Workers of this module");
