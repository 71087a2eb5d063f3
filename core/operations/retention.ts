// Category retention, which MongooseIM does not have: the clean-up that [retention] describes, now or as a count.

import { defineOperation, OperationError } from "../operations.ts";
import { objectType } from "./language.ts";

const RetentionResult = objectType("RetentionResult", "What was deleted, or would be: rows older than `before`", {
  domain: "DomainName!",
  kind: "String!",
  module: "String!",
  before: "DateTime!",
  count: "Int!",
});

declare module "./language.ts" {
  interface NamedTypes {
    RetentionResult: typeof RetentionResult;
  }
}

const run = defineOperation({
  category: "retention",
  name: "run",
  kind: "mutation",
  unawaited: true,
  description: "Delete what is older than the section retention allows",
  args: {
    domain: { type: "DomainName", description: "Only this domain" },
    dryRun: { type: "Boolean = false", description: "Count, and delete nothing" },
  },
  result: "[RetentionResult!]",
  scope: "global",
  types: [RetentionResult],
  async run({ domain, dryRun }, _caller, node) {
    if (domain !== undefined && (await node.domains.hostTypeOf(domain)) === undefined) {
      throw new OperationError("domain_not_found", "Domain not found", { domain });
    }
    const done = await node.retention.run({ domain, dryRun: dryRun ?? false });
    return done.map(({ before, ...row }) => ({ ...row, before: before * 1000 }));
  },
});

export const retentionOperations = [run];
