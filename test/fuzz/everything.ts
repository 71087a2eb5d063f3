// Configurations with every personal feature on, for the fuzzer of requests.

import { mysqlOptions, openEmptyDatabase, pgsqlOptions } from "../storage/db_each.ts";
import type { Changes } from "../support/story-server.ts";

export const EVERYTHING: Changes = {
  general: { registration_timeout: "infinity" },
  acl: { admin: [{ user_glob: "bard*" }], nobody: [{ user_glob: "nobody" }] },
  access: { configure: [{ acl: "admin", value: "allow" }], ending: [{ acl: "nobody", value: "allow" }] },
  modules: {
    mod_adhoc: { report_commands_node: true },
    mod_amp: {},
    mod_auth_token: {},
    mod_blocking: {},
    mod_blocklist: {},
    mod_broadcast: {},
    mod_caps: { iq_response_timeout: 300 },
    mod_fast_auth_token: {},
    mod_inbox: { boxes: ["work"], max_user_conversations: 12 },
    mod_invites: { account_access: "all" },
    mod_mam: { user_prefs_store: "rdbms", archive_chat_markers: true, max_prefs_jids: 20, pm: {} },
    mod_keystore: { keys: [{ name: "token_secret", type: "ram" }] },
    mod_offline_chatmarkers: {},
    mod_privacy: {},
    mod_pubsub: {},
    mod_pubsub_old: { plugins: ["dag", "flat", "push"], nodetree: "dag" },
    mod_service_admin: { access: "configure", service_access: "ending" },
    mod_sic: {},
    mod_smart_markers: {},
    mod_spam_reporting: {},
  },
};
/** With personal eventing of the older feature, and the other ways to keep an archive and an inbox. */
export const OLDER: Changes = {
  ...EVERYTHING,
  modules: {
    ...(EVERYTHING["modules"] as Changes),
    mod_inbox: { backend: "rdbms_async", max_result_limit: 5, reset_markers: ["displayed", "received"] },
    mod_mam: {
      user_prefs_store: "rdbms",
      search_index: "index",
      db_jid_format: "mam_jid_rfc",
      db_message_format: "mam_message_compressed_eterm",
      max_result_limit: 7,
      pm: { archive_groupchats: true, same_mam_id_for_peers: true },
    },
    mod_pubsub: null,
    mod_pubsub_old: { plugins: ["flat", "pep"], item_publisher: true, last_item_cache: "rdbms" },
  },
};

/** Features whose data is in the embedded database unless they are told otherwise. */
const EMBEDDED = ["mod_last", "mod_offline", "mod_privacy", "mod_pubsub_old", "mod_roster", "mod_vcard"];

/** The database servers that there may be. */
export type DatabaseServer = "pgsql" | "mysql";

/** Everything in a database of PostgreSQL or MariaDB. */
export function inServer(driver: DatabaseServer, database: string, changes: Changes = EVERYTHING): Changes {
  const { host, port, username, password } = driver === "pgsql" ? pgsqlOptions() : mysqlOptions();
  const connection = { driver, host, port, username, password, database } as Changes;
  const modules = { ...(changes["modules"] as Changes) };
  for (const name of EMBEDDED) modules[name] = { ...(modules[name] as Changes | undefined), backend: "rdbms" };
  return {
    ...changes,
    outgoing_pools: { rdbms: { default: { connection } } },
    auth: { methods: ["rdbms"], internal: null, rdbms: {} },
    modules,
  };
}

/** A database of its own on a test server, and what removes it again. */
export async function scratchDatabase(driver: DatabaseServer): Promise<{ name: string; drop(): Promise<void> }> {
  const name = `fuzz_${crypto.randomUUID().replaceAll("-", "")}`;
  const run = async (sql: string): Promise<void> => {
    const db = await openEmptyDatabase(driver);
    await db.execute(sql);
    await db.close();
  };
  await run(`CREATE DATABASE ${name}`);
  return { name, drop: () => run(`DROP DATABASE ${name}${driver === "pgsql" ? " WITH (FORCE)" : ""}`) };
}
