// Which sections have a feature behind them in this build. Modules are not listed: a module is built when its schema
// is given to parseConfig.
import { AUTH_METHODS } from "./auth.ts";
import { keyOf, type Path } from "./positions.ts";
import { isTable } from "./selected.ts";

/** Sections, without indexes and tags, whose feature exists. */
export const BUILT: ReadonlySet<string> = new Set([
  "listen.c2s",
  "listen.http.handlers.mongoose_websocket_handler",
  "listen.http.handlers.mongoose_graphql_handler.admin",
  "listen.http.handlers.mongoose_graphql_handler.domain_admin",
  "listen.http.handlers.mongoose_graphql_handler.user",
  "listen.http.handlers.mongoose_prometheus_handler",
  "auth.internal",
  "auth.rdbms",
  "auth.dummy",
  "auth.anonymous",
  "auth.pki",
  "services.service_domain_db",
  "instrumentation.prometheus",
  "outgoing_pools.rdbms.cockroachdb",
  "outgoing_pools.rdbms.mysql",
  "outgoing_pools.rdbms.pgsql",
  "outgoing_pools.rdbms.sqlite",
]);

/** The sections that are in a document although nothing is behind them, such as `modules.mod_muc`, `listen.s2s[0]`. */
export function unbuiltSections(raw: unknown, isModule: (name: string) => boolean): string[] {
  const found: string[] = [];
  const report = (path: Path, name: string) => {
    if (!BUILT.has(name)) found.push(keyOf(path));
  };
  const hosted = (table: unknown, at: Path) => {
    for (const name of keys(table, "modules")) if (!isModule(name)) found.push(keyOf([...at, "modules", name]));
    for (const name of keys(table, "auth")) {
      if (AUTH_METHODS.some((method) => method === name)) report([...at, "auth", name], `auth.${name}`);
    }
    for (const kind of keys(table, "outgoing_pools")) {
      const pools = child(child(table, "outgoing_pools"), kind);
      for (const tag of keys(pools)) {
        const driver = child(child(child(pools, tag), "connection"), "driver");
        report([...at, "outgoing_pools", kind, tag], `outgoing_pools.${kind}${kind === "rdbms" ? `.${driver}` : ""}`);
      }
    }
    if (isTable(child(table, "s2s"))) report([...at, "s2s"], "s2s");
  };
  const listen = child(raw, "listen");
  for (const kind of keys(listen)) {
    for (const [i, listener] of list(child(listen, kind)).entries()) {
      if (kind !== "http") report(["listen", kind, i], `listen.${kind}`);
      for (const name of keys(listener, "handlers")) {
        for (const [j, handler] of list(child(child(listener, "handlers"), name)).entries()) {
          const endpoint = name === "mongoose_graphql_handler" ? `.${child(handler, "schema_endpoint")}` : "";
          report(["listen", kind, i, "handlers", name, j], `listen.http.handlers.${name}${endpoint}`);
        }
      }
    }
  }
  hosted(raw, []);
  for (const section of ["services", "instrumentation"]) {
    for (const name of keys(raw, section)) {
      if (isTable(child(child(raw, section), name))) report([section, name], `${section}.${name}`);
    }
  }
  for (const [i, table] of list(child(raw, "host_config")).entries()) hosted(table, ["host_config", i]);
  return found;
}

const child = (value: unknown, key: string): unknown => (isTable(value) ? value[key] : undefined);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function keys(value: unknown, key?: string): string[] {
  const table = key === undefined ? value : child(value, key);
  return isTable(table) ? Object.keys(table) : [];
}
