// A server whose databases can be filled while it is down and counted while it runs.

import { Database } from "bun:sqlite";
import { join } from "node:path";
import { SQL } from "bun";
import type { Db } from "../../../core/storage/db.ts";
import { openStorage } from "../../../core/storage/index.ts";
import { BinaryServer, freePort } from "../../support/binary.ts";

type Rows = readonly Record<string, unknown>[];

const MODULES = [
  "mod_inbox",
  "mod_last",
  "mod_mam",
  "mod_offline",
  "mod_privacy",
  "mod_private",
  "mod_pubsub",
  "mod_roster",
  "mod_vcard",
];

function config(port: number, method: string, pool: string): string {
  return `
[general]
  hosts = ["localhost"]
  host_types = ["dynamic"]
  default_server_domain = "localhost"
  loglevel = "notice"

[[listen.c2s]]
  port = ${port}
  ip_address = "127.0.0.1"
${pool}
[auth]
  methods = ["${method}"]
  password.format = "plain"
  [auth.${method}]

[services.service_domain_db]

[access]
  max_user_offline_messages = [{acl = "all", value = 1_000_000}]

${MODULES.map((name) => `[modules.${name}]\n  backend = "rdbms"`).join("\n")}
[modules.mod_mam.pm]
[modules.mod_auth_token]
  backend = "rdbms"
[modules.mod_keystore]
  keys = [{name = "token_secret", type = "ram"}]
[modules.mod_stream_management]
`.replace(
    '[modules.mod_mam]\n  backend = "rdbms"',
    '[modules.mod_mam]\n  backend = "rdbms"\n  delete_domain_limit = 500',
  );
}

export class Place {
  private constructor(
    readonly name: string,
    readonly port: number,
    readonly server: BinaryServer,
    /** Opens the database as the server has it; the server must be down. */
    readonly open: () => Promise<Db>,
    /** Asks the database, past the server. */
    readonly sql: (statement: string) => Promise<Rows>,
    private readonly leave: () => Promise<void>,
  ) {}

  static async embedded(): Promise<Place> {
    const port = await freePort();
    const server = new BinaryServer({ port, config: config(port, "internal", "") });
    const { stateDir } = server;
    const sql = async (statement: string): Promise<Rows> => {
      const db = new Database(join(stateDir, "mongooseim.db"), { readonly: true });
      try {
        return db.query<Record<string, unknown>, []>(statement).all();
      } finally {
        db.close();
      }
    };
    return new Place(
      "embedded",
      port,
      server,
      () => openStorage({ stateDir }),
      sql,
      async () => server.remove(),
    );
  }

  /** @param url of a PostgreSQL or MySQL server where databases may be made */
  static async service(kind: "pgsql" | "mysql", url: string): Promise<Place> {
    const { hostname: host, port: at, username, password } = new URL(url);
    const database = `removal_${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
    const maintenance = new SQL(url, { max: 1 });
    await maintenance.unsafe(`CREATE DATABASE ${database}`);
    const port = await freePort();
    const pool = `
[outgoing_pools.rdbms.default]
  workers = 5
  [outgoing_pools.rdbms.default.connection]
    driver = "${kind}"
    host = "${host}"
    port = ${at}
    database = "${database}"
    username = "${username}"
    password = "${password}"
`;
    const server = new BinaryServer({ port, config: config(port, "rdbms", pool) });
    const options = { host, port: Number(at), username, password, database, poolSize: 2 };
    const db = new SQL(url.replace(/[^/]*$/, database), { max: 2 });
    return new Place(
      kind,
      port,
      server,
      () => openStorage(kind === "pgsql" ? { pgsql: options } : { mysql: options }),
      async (statement) => [...(await db.unsafe(statement))],
      async () => {
        await db.close();
        await maintenance.unsafe(`DROP DATABASE ${database}${kind === "pgsql" ? " WITH (FORCE)" : ""}`);
        await maintenance.close();
        server.remove();
      },
    );
  }

  /** The number that a statement counts as n. */
  async count(statement: string): Promise<number> {
    return Number((await this.sql(statement))[0]["n"]);
  }

  async close(): Promise<void> {
    await this.server.kill();
    await this.leave();
  }
}
