// The running server as operations (GraphQL, the command line) see it.

import type { Node } from "./node.ts";
import { accountOps } from "./node-operations/accounts.ts";
import { auditEntry } from "./node-operations/audit.ts";
import { domainOps } from "./node-operations/domains.ts";
import { metricOps } from "./node-operations/metrics.ts";
import type { OperationParts } from "./node-operations/parts.ts";
import { personalOps } from "./node-operations/personal-data.ts";
import { retentionOps } from "./node-operations/retention.ts";
import { serverOps } from "./node-operations/server.ts";
import { sessionOps } from "./node-operations/sessions.ts";
import { stanzaOps } from "./node-operations/stanzas.ts";
import type { ModuleInstances, OperationNode } from "./operations.ts";

export { checkUser } from "./node-operations/accounts.ts";
export { checkDomainAdmin } from "./node-operations/domains.ts";
export type { OperationParts } from "./node-operations/parts.ts";

/** Makes what operations ask of a node. Once a node, after its host types are made. */
export function createOperationNode(node: Node, parts: OperationParts): OperationNode {
  return {
    name: node.name,
    nodes: () => [node.name],
    accounts: accountOps(node),
    personalData: personalOps(node, parts),
    sessions: sessionOps(node),
    domains: domainOps(node),
    server: serverOps(node, parts),
    stanzas: stanzaOps(node),
    metrics: metricOps(node),
    retention: retentionOps(node),
    underWay: node.underWay,
    instance: <N extends keyof ModuleInstances>(module: N, domain: string) =>
      node.hostOf(domain)?.modules.get(module)?.ctx as ModuleInstances[N] | undefined,
    clock: () => performance.now(),
    now: () => node.now() * 1000,
    randomHex: (bytes) => node.token(bytes),
    audit: (entry) => auditEntry(node.log, entry),
  };
}
