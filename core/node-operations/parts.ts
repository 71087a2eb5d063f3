// What operations are told by the process that the node runs in.

import type { ServerOps } from "../operations.ts";

/** What the process around the node gives to operations. */
export interface OperationParts {
  /** Where the server keeps its own files: no operation writes there. */
  stateDir?: string;
  /** Commit the executable was built from. */
  commit: string;
  /** Begins an orderly stop and returns at once. */
  stop(): void;
  restart(): void;
  /** Whether the doors are open; taken to be so when it is not given. */
  running?(): boolean;
  /** Streams from and to other servers; there are none without it. */
  s2s?: ServerOps["s2s"];
}
