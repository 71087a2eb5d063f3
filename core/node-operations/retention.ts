// The clean-up of [retention], as operations ask for it.

import type { Node } from "../node.ts";
import { OperationError, type RetentionOps } from "../operations.ts";
import { StorageError } from "../storage/db.ts";

export function retentionOps(node: Node): RetentionOps {
  return {
    async run(options) {
      try {
        return await node.retention.pass(options);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        throw new OperationError("database_unavailable", `The clean-up was cut short: ${error.message}`);
      }
    },
  };
}
