// A server whose databases can be filled while it is down and counted while it runs.

import type { Db } from "../../../core/storage/db.ts";
import { BinaryServer, freePort } from "../../support/binary.ts";
import { c2s, general } from "../../support/config-text.ts";
import { type Backing, embedded, onService } from "../backing.ts";

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

const config = (port: number, database: string): string =>
  `
${general(['host_types = ["dynamic"]'], "notice")}
${c2s(port)}
${database}

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

export class Place {
  readonly server: BinaryServer;

  private constructor(
    readonly port: number,
    private readonly backing: Backing,
  ) {
    this.server = new BinaryServer({ port, config: config(port, backing.config), stateDir: backing.stateDir });
  }

  static async embedded(): Promise<Place> {
    return new Place(await freePort(), embedded());
  }

  /** @param url of a server where databases may be made */
  static async service(kind: "pgsql" | "mysql", url: string): Promise<Place> {
    return new Place(await freePort(), await onService(kind, url));
  }

  /** Opens the database as the server has it; the server must be down. */
  open(): Promise<Db> {
    return this.backing.open();
  }

  /** Asks the database, past the server. */
  sql(statement: string): Promise<Record<string, unknown>[]> {
    return this.backing.sql(statement);
  }

  /** The number that a statement counts as n. */
  async count(statement: string): Promise<number> {
    return Number((await this.sql(statement))[0]["n"]);
  }

  async close(): Promise<void> {
    await this.server.kill();
    await this.backing.leave();
  }
}
