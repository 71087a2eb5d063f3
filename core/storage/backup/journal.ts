// Where a restore that has begun is written down. In a file of its own, for a start of the server that has none to finish
// loads no more than this.

import { join } from "node:path";

/** It is there while files are being exchanged. */
export const restoreJournal = (stateDir: string): string => join(stateDir, "restore.json");
