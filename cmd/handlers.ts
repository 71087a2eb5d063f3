// What HTTP listeners serve besides WebSocket: GraphQL and metrics, as the configuration places them.

import type { GraphQLSchema } from "graphql";
import type { Config } from "../core/config/index.ts";
import type { Node } from "../core/node.ts";
import { renderMetrics } from "../core/node-metrics.ts";
import { checkDomainAdmin, checkUser } from "../core/node-operations.ts";
import type { Audience, OperationNode } from "../core/operations.ts";
import { type HttpHandler, metricsApp } from "../transports/http/app.ts";
import { type GraphqlOptions, graphqlApp } from "../transports/http/graphql.ts";

type Section = Config["listen"]["http"][number];
type GraphqlHandler = NonNullable<Section["handlers"]["mongoose_graphql_handler"]>[number];

interface Parts {
  readonly node: Node;
  readonly operations: OperationNode;
  schema(audience: Audience): GraphQLSchema;
  onError(error: unknown): void;
}

/** The handlers of a listener. An endpoint that gives anybody the rights of an administrator is warned of. */
export function httpHandlers(section: Section, parts: Parts): HttpHandler[] {
  const found: HttpHandler[] = [];
  for (const h of section.handlers.mongoose_graphql_handler ?? []) {
    found.push({ path: h.path, host: h.host, app: graphqlApp(graphqlOptions(h, section, parts)) });
  }
  for (const h of section.handlers.mongoose_prometheus_handler ?? []) {
    found.push({ path: h.path, host: h.host, app: metricsApp(() => renderMetrics(parts.node)) });
  }
  return found;
}

function graphqlOptions(h: GraphqlHandler, section: Section, parts: Parts): GraphqlOptions {
  const { node, operations, onError } = parts;
  const common = {
    node: operations,
    allowedCategories: h.allowed_categories,
    sseIdleTimeout: h.sse_idle_timeout,
    onError,
    failures: {
      isBarred: (address: string) => node.addresses.isBarred(address, h.max_failed_logins_per_minute),
      add: (address: string) => node.addresses.fails(address),
    },
  };
  const schema = (audience: Audience) => () => parts.schema(audience);
  switch (h.schema_endpoint) {
    case "admin": {
      const { username, password } = h;
      const { ip_address: ip, port } = section;
      const open = username === undefined || password === undefined;
      if (open && !isLoopback(ip)) node.log.warning("graphql_admin_without_credentials", { port, ip });
      const access = open ? { ip, host: h.host } : { username, password };
      return { ...common, schema: schema("admin"), endpoint: "admin", access };
    }
    case "domain_admin":
      return {
        ...common,
        schema: schema("admin"),
        endpoint: "domain_admin",
        checkDomainAdmin: (domain, password) => checkDomainAdmin(node, domain, password),
      };
    case "user":
      return {
        ...common,
        schema: schema("user"),
        endpoint: "user",
        checkUser: (user, password) => checkUser(node, user, password),
      };
  }
}

const isLoopback = (ip: string): boolean => ip === "::1" || ip.startsWith("127.");
