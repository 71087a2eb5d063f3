// Category offline: tidying up what waits.

import type { ModuleContext } from "../../core/module.ts";
import { defineOperation, type OperationNode, runningIn } from "../../core/operations.ts";
import type { OfflineStore } from "./store.ts";

declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_offline: ModuleContext<unknown, OfflineStore>;
  }
}

const DAY = 86_400_000_000;

const storeOf = (node: OperationNode, domain: string): OfflineStore => runningIn(node, "mod_offline", domain).store;

const head = {
  category: "offline",
  kind: "mutation",
  unawaited: true,
  result: "String",
  scope: "domain",
  domainArgs: ["domain"],
  needs: ["mod_offline"],
} as const;

export const operations = [
  defineOperation({
    ...head,
    name: "deleteExpiredMessages",
    description: "Delete the stored messages of a domain that have expired",
    args: { domain: "DomainName!" },
    run: async ({ domain }, _caller, node) =>
      `Removed ${await storeOf(node, domain).deleteExpired(domain, node.now())} messages`,
  }),
  defineOperation({
    ...head,
    name: "deleteOldMessages",
    description: "Delete the stored messages of a domain that are older than a number of days",
    args: { domain: "DomainName!", days: "PosInt!" },
    run: async ({ domain, days }, _caller, node) =>
      `Removed ${await storeOf(node, domain).deleteOlder(domain, node.now() - days * DAY)} messages`,
  }),
];
