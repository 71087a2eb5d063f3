// The server of the test, on the embedded store or on PostgreSQL behind a relay that can fail.

import { ServerRelay } from "../../storage/server_relay.ts";
import { BinaryServer, freePort } from "../../support/binary.ts";
import { c2s, general, MANY_REGISTRATIONS, tls } from "../../support/config-text.ts";
import { type Backing, embedded, onService, type Sql } from "../backing.ts";
import { Graphql } from "./services.ts";

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

function config({ plain, tls: secured, http }: Ports, database: string): string {
  return `
${general(['host_types = ["dynamic"]', MANY_REGISTRATIONS])}
${c2s(plain)}
${c2s(secured, tls("tls"))}

[[listen.http]]
  port = ${http}
  ip_address = "127.0.0.1"
  [[listen.http.handlers.mongoose_graphql_handler]]
    host = "_"
    path = "/api/graphql"
    schema_endpoint = "admin"
    username = "admin"
    password = "secret"
${database}
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
  readonly server: BinaryServer;
  readonly graphql: Graphql;
  /** Asks the database, past the server. */
  readonly sql: Sql;

  private constructor(
    readonly ports: Ports,
    private readonly backing: Backing,
    /** In front of PostgreSQL. */
    readonly relay?: ServerRelay,
  ) {
    const { stateDir } = backing;
    this.server = new BinaryServer({ port: ports.plain, config: config(ports, backing.config), stateDir });
    this.graphql = new Graphql(ports.http);
    this.sql = backing.sql;
  }

  static async embedded(): Promise<Place> {
    return new Place(await freePorts(), embedded());
  }

  /** @param url of a PostgreSQL server where databases may be made */
  static async pgsql(url: string): Promise<Place> {
    const { hostname: host, port } = new URL(url);
    const relay = await new ServerRelay({ host, port: Number(port) }).start();
    const through = { host: "127.0.0.1", port: relay.port };
    const more = [`query_timeout = ${QUERY_TIMEOUT}`];
    return new Place(await freePorts(), await onService("pgsql", url, { through, workers: 3, more }), relay);
  }

  get name(): string {
    return this.backing.name;
  }

  /** Starts the server and waits until all of its doors are open; gives the milliseconds that took. */
  async start(): Promise<number> {
    const begin = performance.now();
    await this.server.start();
    while ((await this.graphql.run("query { server { status { statusCode } } }")) === undefined) await Bun.sleep(10);
    return performance.now() - begin;
  }

  /** The names of all tables. */
  tables(): Promise<string[]> {
    return this.backing.tables();
  }

  async close(): Promise<void> {
    await this.server.kill();
    await this.relay?.stop();
    await this.backing.leave();
  }
}

const freePorts = async (): Promise<Ports> => ({
  plain: await freePort(),
  tls: await freePort(),
  http: await freePort(),
});
