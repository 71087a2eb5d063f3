// [outgoing_pools]: connections to databases and other services, by kind and tag.
import { z } from "zod";
import { type Names, selected } from "./selected.ts";
import { clientTls, sqlTls } from "./tls.ts";
import { enumOf, nonEmpty, nonNegative, positive, remotePort, rule, secret, uniqueNonEmptyList } from "./types.ts";

const scope = () =>
  z
    .union([z.enum(["global", "host_type"]), z.literal("host").transform(() => "host_type" as const)], {
      error: 'it must be "global" or "host_type"',
    })
    .default("global")
    .describe("One pool, or one for each host type");

const common = (workers: number, callTimeout: number) => ({
  workers: positive().default(workers).describe("Connections"),
  strategy: enumOf("best_worker", "random_worker", "next_worker", "available_worker", "next_available_worker")
    .default("best_worker")
    .describe(
      "How a connection is chosen when none has nothing to do: the least busy, any, the next; with available_worker and next_available_worker requests wait until one is free",
    ),
  call_timeout: positive().default(callTimeout).describe("Milliseconds a request may take in all, waiting included"),
  max_worker_queue_len: nonNegative()
    .optional()
    .describe("Requests that may wait for each connection; when as many wait in the pool, more are refused at once"),
});

function checked<T extends z.ZodType<{ strategy: string; max_worker_queue_len?: number }>>(table: T) {
  return rule(
    table,
    (pool) => pool.max_worker_queue_len === undefined || (pool.strategy ?? "best_worker") === "best_worker",
    'it is only for strategy "best_worker"',
    "max_worker_queue_len",
  );
}

/** Pools of one kind, by tag, at the top level. */
function global<C extends z.ZodType>(what: string, connection: C, workers = 10, callTimeout = 5000) {
  const table = z.strictObject({ scope: scope(), ...common(workers, callTimeout), connection });
  return z.record(nonEmpty(), checked(table)).describe(what);
}

/** Pools of one kind inside host_config: they belong to that host type, so that there is no `scope`. */
function ofHost<C extends z.ZodType>(what: string, connection: C, workers = 10, callTimeout = 5000) {
  const table = z.strictObject({ ...common(workers, callTimeout), connection });
  return z.record(nonEmpty(), checked(table)).describe(what);
}

const cassandra = () =>
  z
    .strictObject({
      servers: uniqueNonEmptyList(
        z.strictObject({
          host: nonEmpty().describe("Host name"),
          port: remotePort().default(9042).describe("Port"),
        }),
      )
        .default([{ host: "localhost", port: 9042 }])
        .describe("Servers"),
      keyspace: nonEmpty().default("mongooseim").describe("Keyspace"),
      auth: z
        .strictObject({
          plain: z
            .strictObject({
              username: z.string().describe("User"),
              password: secret(z.string()).describe("Password"),
            })
            .describe("User and password"),
        })
        .optional()
        .describe("How to log in"),
      tls: clientTls().optional().describe("TLS"),
    })
    .prefault({})
    .describe("Cassandra servers");

const elastic = () =>
  z
    .strictObject({
      host: nonEmpty().default("localhost").describe("Host name"),
      port: remotePort().default(9200).describe("Port"),
    })
    .prefault({})
    .describe("Elasticsearch server");

const http = () =>
  z
    .strictObject({
      host: nonEmpty().describe("Address, such as https://example.org"),
      path_prefix: nonEmpty().default("/").describe("Path put before that of each request"),
      request_timeout: nonNegative().default(2000).describe("Milliseconds a request may take"),
      tls: clientTls().optional().describe("TLS"),
    })
    .prefault({} as never)
    .describe("HTTP service");

const ldap = () =>
  z
    .strictObject({
      servers: uniqueNonEmptyList(z.string()).default(["localhost"]).describe("Host names"),
      port: remotePort().optional().describe("Port; 389, or 636 with TLS, when not set"),
      root_dn: z.string().default("").describe("DN to log in with"),
      password: secret(z.string()).default("").describe("Password of that DN"),
      connect_interval: positive().default(10_000).describe("Milliseconds between two tries to connect"),
      tls: clientTls().optional().describe("TLS"),
    })
    .prefault({})
    .transform((table) => ({ ...table, port: table.port ?? (table.tls ? 636 : 389) }))
    .describe("LDAP servers");

const rabbit = () =>
  z
    .strictObject({
      host: nonEmpty().default("localhost").describe("Host name"),
      port: remotePort().default(5672).describe("Port"),
      username: nonEmpty().default("guest").describe("User"),
      password: secret(nonEmpty()).default("guest").describe("Password"),
      virtual_host: nonEmpty().default("/").describe("Virtual host"),
      confirms_enabled: z.boolean().default(false).describe("Wait for the broker's confirmation of each message"),
      reconnect: z
        .strictObject({
          attempts: nonNegative().default(0).describe("How often a lost connection is tried again"),
          delay: nonNegative().default(2000).describe("Milliseconds between two tries"),
        })
        .prefault({})
        .describe("What follows the loss of a connection"),
      tls: clientTls().optional().describe("TLS"),
    })
    .prefault({})
    .describe("RabbitMQ broker");

const redis = () =>
  z
    .strictObject({
      host: nonEmpty().default("127.0.0.1").describe("Host name"),
      port: remotePort().default(6379).describe("Port"),
      database: nonNegative().default(0).describe("Number of the logical database"),
      username: z.string().optional().describe("User"),
      password: secret(z.string()).optional().describe("Password"),
      tls: clientTls().optional().describe("TLS"),
    })
    .prefault({})
    .describe("Redis server");

const SQL_PORTS = { pgsql: 5432, cockroachdb: 26_257, mysql: 3306, sqlite: undefined } as const;

/** Drivers that have a server to connect to. */
const SERVERS: ReadonlySet<unknown> = new Set(["pgsql", "cockroachdb", "mysql"]);

/**
 * A database. Without any `outgoing_pools.rdbms` the embedded store is used; `driver = "sqlite"`, which MongooseIM does
 * not have, says the same for one tag, with `database` naming the file (relative to the state directory).
 */
const rdbms = () => {
  let table = z.strictObject({
    driver: enumOf("pgsql", "mysql", "cockroachdb", "sqlite").describe("Kind of database"),
    host: nonEmpty().optional().describe("Host name"),
    port: remotePort().optional().describe("Port; the usual one of the driver when not set"),
    database: nonEmpty()
      .optional()
      .describe(
        "Name of the database; with driver sqlite its file, in the state directory when the path is not absolute, and the embedded store when not set",
      ),
    username: nonEmpty().optional().describe("User"),
    password: secret(nonEmpty()).optional().describe("Password"),
    keepalive_interval: positive()
      .optional()
      .describe(
        "Seconds between two questions on each connection that has nothing else to do, which keep it open; none when not set",
      ),
    max_start_interval: positive().default(30).describe("Longest pause between two tries to connect, seconds"),
    query_timeout: nonNegative().default(5000).describe("Milliseconds a query may take in the database; 0 is no limit"),
    tls: sqlTls().optional().describe("TLS"),
  });
  for (const key of ["host", "database", "username", "password"] as const) {
    table = rule(
      table,
      (given) => given[key] !== undefined || !SERVERS.has(given.driver),
      (given) => `driver "${given.driver}" needs it`,
      key,
    );
  }
  const whole = rule(
    table,
    (given) => given.driver !== "mysql" || given.tls?.required === undefined,
    'driver "mysql" does not know it',
    "tls",
    "required",
  );
  return whole
    .prefault({} as never)
    .transform((given) => ({
      ...given,
      port: given.port ?? SQL_PORTS[given.driver],
      tls: given.tls && { ...given.tls, required: given.tls.required ?? false },
    }))
    .describe("Database");
};

const GLOBAL = {
  cassandra: () => global("Pools of connections to Cassandra", cassandra(), 20),
  elastic: () => global("Pools of connections to Elasticsearch", elastic()),
  http: () => global("Pools of connections to HTTP services", http()),
  ldap: () => global("Pools of connections to LDAP servers", ldap()),
  rabbit: () => global("Pools of connections to RabbitMQ", rabbit()),
  rdbms: () => global("Pools of connections to databases", rdbms(), 10, 60_000),
  redis: () => global("Pools of connections to Redis", redis()),
};

const OF_HOST = {
  cassandra: () => ofHost("Cassandra pools of this host type", cassandra(), 20),
  elastic: () => ofHost("Elasticsearch pools of this host type", elastic()),
  http: () => ofHost("HTTP pools of this host type", http()),
  ldap: () => ofHost("LDAP pools of this host type", ldap()),
  rabbit: () => ofHost("RabbitMQ pools of this host type", rabbit()),
  rdbms: () => ofHost("Database pools of this host type", rdbms(), 10, 60_000),
  redis: () => ofHost("Redis pools of this host type", redis()),
};

/** `outgoing_pools` */
export const outgoingPools = (names: Names) =>
  selected(GLOBAL, names).prefault({}).describe("Connections to other services");

/** `host_config[].outgoing_pools` */
export const hostOutgoingPools = (names: Names) => selected(OF_HOST, names).describe("Pools of this host type");
