// The server of the test, on the embedded store or on PostgreSQL behind a relay that can fail.

import { Database } from "bun:sqlite";
import { join } from "node:path";
import { SQL } from "bun";
import { PgsqlRelay } from "../../storage/pgsql_relay.ts";
import { BinaryServer, freePort } from "../../support/binary.ts";
import { Graphql, type Sql } from "./services.ts";

export interface Ports {
  readonly plain: number;
  readonly tls: number;
  readonly http: number;
}

/** Milliseconds after which the database has failed. */
const QUERY_TIMEOUT = 1000;

const KEPT = [
  "mod_blocklist",
  "mod_broadcast",
  "mod_fast_auth_token",
  "mod_invites",
  "mod_last",
  "mod_offline",
  "mod_privacy",
  "mod_private",
  "mod_pubsub",
  "mod_roster",
  "mod_service_admin",
  "mod_smart_markers",
  "mod_vcard",
];

function config({ plain, tls, http }: Ports, method: string, pool: string): string {
  return `
[general]
  hosts = ["localhost"]
  host_types = ["dynamic"]
  default_server_domain = "localhost"
  loglevel = "warning"
  registration_timeout = "infinity"

[[listen.c2s]]
  port = ${plain}
  ip_address = "127.0.0.1"

[[listen.c2s]]
  port = ${tls}
  ip_address = "127.0.0.1"
  tls.mode = "tls"
  tls.verify_mode = "none"

[[listen.http]]
  port = ${http}
  ip_address = "127.0.0.1"
  [[listen.http.handlers.mongoose_graphql_handler]]
    host = "_"
    path = "/api/graphql"
    schema_endpoint = "admin"
    username = "admin"
    password = "secret"
${pool}
[auth]
  methods = ["${method}"]
  password.format = "plain"
  [auth.${method}]

[services.service_domain_db]

[acl]
  admin = [{user = "admin", server = "localhost"}]

[access]
  register = [{acl = "all", value = "deny"}]
  configure = [{acl = "admin", value = "allow"}]
  max_user_offline_messages = [{acl = "all", value = 1_000_000}]

[modules.mod_adhoc]
[modules.mod_blocking]
[modules.mod_cache_users]
[modules.mod_caps]
[modules.mod_disco]
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_register]
  access = "register"
[modules.mod_sasl2]
[modules.mod_stream_management]
${KEPT.map((name) => `[modules.${name}]\n  backend = "rdbms"`).join("\n")}
[modules.mod_invites]
  account_access = "all"
  max_per_user = 100000
[modules.mod_pubsub_old]
  backend = "rdbms"
  last_item_cache = "rdbms"
`.replace('[modules.mod_invites]\n  backend = "rdbms"\n', "");
}

/** The server, and what is under it. */
export class Place {
  private constructor(
    readonly name: string,
    readonly ports: Ports,
    readonly server: BinaryServer,
    readonly graphql: Graphql,
    /** Asks the database, past the server. */
    readonly sql: Sql,
    private readonly listTables: string,
    /** In front of PostgreSQL. */
    readonly relay: PgsqlRelay | undefined,
    private readonly leave: () => Promise<void>,
  ) {}

  static async embedded(): Promise<Place> {
    const ports = { plain: await freePort(), tls: await freePort(), http: await freePort() };
    const server = new BinaryServer({ port: ports.plain, config: config(ports, "internal", "") });
    const sql: Sql = async (statement) => {
      const db = new Database(join(server.stateDir, "mongooseim.db"), { readonly: true });
      try {
        return db.query<Record<string, unknown>, []>(statement).all();
      } finally {
        db.close();
      }
    };
    const tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    return new Place("embedded", ports, server, new Graphql(ports.http), sql, tables, undefined, async () =>
      server.remove(),
    );
  }

  /** @param url of a PostgreSQL server where databases may be made */
  static async pgsql(url: string): Promise<Place> {
    const { hostname: host, port, username, password } = new URL(url);
    const database = `personal_${crypto.randomUUID().replaceAll("-", "")}`;
    const maintenance = new SQL(url);
    await maintenance.unsafe(`CREATE DATABASE ${database}`);
    const relay = await new PgsqlRelay({ host, port: Number(port) }).start();
    const ports = { plain: await freePort(), tls: await freePort(), http: await freePort() };
    const pool = `
[outgoing_pools.rdbms.default]
  workers = 3
  [outgoing_pools.rdbms.default.connection]
    driver = "pgsql"
    host = "127.0.0.1"
    port = ${relay.port}
    database = "${database}"
    username = "${username}"
    password = "${password}"
    query_timeout = ${QUERY_TIMEOUT}
`;
    const server = new BinaryServer({ port: ports.plain, config: config(ports, "rdbms", pool) });
    const db = new SQL(url.replace(/[^/]*$/, database));
    const sql: Sql = async (statement) => [...(await db.unsafe(statement))];
    const leave = async (): Promise<void> => {
      await relay.stop();
      await db.close();
      await maintenance.unsafe(`DROP DATABASE ${database} WITH (FORCE)`);
      await maintenance.close();
      server.remove();
    };
    const tables = "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'";
    return new Place("pgsql", ports, server, new Graphql(ports.http), sql, tables, relay, leave);
  }

  /** Starts the server and waits until all of its doors are open; gives the milliseconds that took. */
  async start(): Promise<number> {
    const begin = performance.now();
    await this.server.start();
    while ((await this.graphql.run("query { server { status { statusCode } } }")) === undefined) await Bun.sleep(10);
    return performance.now() - begin;
  }

  /** The names of all tables. */
  async tables(): Promise<string[]> {
    return (await this.sql(this.listTables)).map((row) => String(row["name"]));
  }

  async close(): Promise<void> {
    await this.server.kill();
    await this.leave();
  }
}
