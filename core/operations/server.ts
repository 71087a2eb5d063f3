// Category server: the process, its log level and its membership of a cluster. And checkAuth, which both schemas have.

import {
  type ClusterOps,
  defineOperation,
  type LogLevelName,
  OperationError,
  type OperationNode,
} from "../operations.ts";
import type { OutputOf } from "./language.ts";

const checkAuth = defineOperation({
  category: "",
  name: "checkAuth",
  kind: "query",
  description: "Tell who the request is authorised as",
  args: {},
  result: "AdminAuthInfo",
  scope: "anyone",
  run(_args, caller): OutputOf<"AdminAuthInfo"> {
    switch (caller.kind) {
      case "admin":
        return { authStatus: "AUTHORIZED", authType: "ADMIN" };
      case "domain_admin":
        return { authStatus: "AUTHORIZED", authType: "DOMAIN_ADMIN", domain: caller.domain };
      default:
        return { authStatus: "UNAUTHORIZED" };
    }
  },
});

const checkUserAuth = defineOperation({
  category: "",
  name: "checkAuth",
  kind: "query",
  description: "Tell who the request is authorised as",
  args: {},
  result: "UserAuthInfo",
  scope: "anyone",
  audience: "user",
  run(_args, caller): OutputOf<"UserAuthInfo"> {
    if (caller.kind !== "user") return { authStatus: "UNAUTHORIZED" };
    return { authStatus: "AUTHORIZED", username: caller.jid.text };
  },
});

const status = defineOperation({
  category: "server",
  name: "status",
  kind: "query",
  description: "Tell whether the server runs, and its version",
  args: {},
  result: "Status",
  scope: "global",
  run(_args, _caller, { name, server }): OutputOf<"Status"> {
    const running = server.running();
    return {
      statusCode: running ? "RUNNING" : "NOT_RUNNING",
      message: running
        ? `The node ${name} is started. MongooseIM ${server.version} is running in that node.`
        : `The node ${name} is starting or stopping. MongooseIM is not running in that node.`,
      version: server.version,
      commitHash: server.commit,
    };
  },
});

const getLoglevel = defineOperation({
  category: "server",
  name: "getLoglevel",
  kind: "query",
  description: "Tell the log level",
  args: {},
  result: "LogLevel",
  scope: "global",
  run: (_args, _caller, node) => node.server.logLevel().toUpperCase() as OutputOf<"LogLevel">,
});

const getCookie = defineOperation({
  category: "server",
  name: "getCookie",
  kind: "query",
  description: "Tell the Erlang cookie: this server has none and says so",
  args: {},
  result: "String",
  scope: "global",
  run() {
    throw new OperationError("no_cookie", "This server is not an Erlang node: it has no cookie");
  },
});

const hostTypes = defineOperation({
  category: "server",
  name: "hostTypes",
  kind: "query",
  description: "List the host types with their modules and authentication methods",
  args: {},
  result: "[HostTypeInfo!]!",
  scope: "global",
  run: (_args, _caller, node) =>
    node.server.hostTypes().map(({ name, modules, authMethods }) => ({
      name,
      authMethods,
      modules: modules
        .map((module) => ({
          name: module.name,
          options: Object.entries(module.options)
            .map(([key, value]) => ({ key, value }))
            .sort((a, b) => (a.key < b.key ? -1 : 1)),
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    })),
});

const globalInfo = defineOperation({
  category: "server",
  name: "globalInfo",
  kind: "query",
  description: "List the services and internal databases",
  args: {},
  result: "GlobalInfo!",
  scope: "global",
  run: (_args, _caller, node) => ({
    services: node.server
      .services()
      .toSorted()
      .map((name) => ({ name })),
    internalDatabases: node.server.internalDatabases().toSorted(),
  }),
});

const setLoglevel = defineOperation({
  category: "server",
  name: "setLoglevel",
  kind: "mutation",
  description: "Set the log level until the server stops",
  args: { level: "LogLevel!" },
  result: "String",
  scope: "global",
  run({ level }, _caller, node) {
    node.server.setLogLevel(level.toLowerCase() as LogLevelName);
    return "Log level successfully set.";
  },
});

const stop = defineOperation({
  category: "server",
  name: "stop",
  kind: "mutation",
  description: "Stop the server in order",
  args: {},
  result: "String",
  scope: "global",
  run(_args, _caller, node) {
    node.server.stop();
    return "Stop scheduled";
  },
});

const restart = defineOperation({
  category: "server",
  name: "restart",
  kind: "mutation",
  description: "Stop the server in order and start it again",
  args: {},
  result: "String",
  scope: "global",
  run(_args, _caller, node) {
    node.server.restart();
    return "Restart scheduled";
  },
});

function clusterOf(node: OperationNode): ClusterOps {
  if (node.cluster) return node.cluster;
  throw new OperationError("not_clustered", `The node ${node.name} is not set up to be a member of a cluster`);
}

const joinCluster = defineOperation({
  category: "server",
  name: "joinCluster",
  kind: "mutation",
  description: "Join the cluster of a node; asked of the node that joins",
  args: { node: "String!" },
  result: "String",
  scope: "global",
  run: (args, _caller, node) => clusterOf(node).join(args.node),
});

const leaveCluster = defineOperation({
  category: "server",
  name: "leaveCluster",
  kind: "mutation",
  description: "Leave the cluster; asked of the node that leaves",
  args: {},
  result: "String",
  scope: "global",
  run: (_args, _caller, node) => clusterOf(node).leave(),
});

const removeFromCluster = defineOperation({
  category: "server",
  name: "removeFromCluster",
  kind: "mutation",
  description: "Remove a node from the cluster; asked of another member",
  args: { node: "String!" },
  result: "String",
  scope: "global",
  run: (args, _caller, node) => clusterOf(node).remove(args.node),
});

const removeNode = defineOperation({
  category: "server",
  name: "removeNode",
  kind: "mutation",
  description: "Remove a node from the Mnesia schema: this server has none and says so",
  args: { node: "String!" },
  result: "String",
  scope: "global",
  run(args) {
    const message = "This server keeps no Mnesia schema to remove a node from: see removeFromCluster";
    throw new OperationError("no_mnesia", message, { node: args.node });
  },
});

export const serverOperations = [
  checkAuth,
  checkUserAuth,
  status,
  getLoglevel,
  getCookie,
  hostTypes,
  globalInfo,
  joinCluster,
  leaveCluster,
  removeFromCluster,
  restart,
  stop,
  removeNode,
  setLoglevel,
];
