// Category stat: figures of the installation and of domains.

import { defineOperation, OperationError, type OperationNode } from "../operations.ts";

async function registeredUsers(node: OperationNode): Promise<number> {
  let users = 0;
  for (const hostType of node.domains.hostTypes()) {
    for (const domain of await node.domains.ofHostType(hostType)) users += await node.accounts.count(domain);
  }
  return users;
}

const globalStats = defineOperation({
  category: "stat",
  name: "globalStats",
  kind: "query",
  description: "Figures of the whole installation",
  args: {},
  result: "GlobalStats",
  scope: "global",
  async run(_args, _caller, node) {
    const s2s = node.server.s2s();
    return {
      uptimeSeconds: Math.trunc(node.server.uptime()),
      registeredUsers: await registeredUsers(node),
      onlineUsersNode: node.sessions.countHere(),
      onlineUsers: await node.sessions.count(),
      incomingS2S: s2s.incoming,
      outgoingS2S: s2s.outgoing,
    };
  },
});

const domainStats = defineOperation({
  category: "stat",
  name: "domainStats",
  kind: "query",
  description: "Figures of a domain",
  args: { domain: "DomainName!" },
  result: "DomainStats",
  scope: "domain",
  domainArgs: ["domain"],
  async run({ domain }, _caller, node) {
    if ((await node.domains.hostTypeOf(domain)) === undefined) {
      throw new OperationError("domain_not_found", "Domain not found", { domain });
    }
    const [registered, online] = await Promise.all([node.accounts.count(domain), node.sessions.count(domain)]);
    return { registeredUsers: registered, onlineUsers: online };
  },
});

export const statOperations = [globalStats, domainStats];
