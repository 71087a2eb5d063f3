// The real server under the stories: everything but the process, on ports of its own. It keeps everything in the embedded
// store, or with TEST_STORIES_DB=pgsql (or mysql) in a database of its own on that server, unless the story names
// `outgoing_pools` itself (see story-database.ts).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { moduleSchemas, type RunningServer, startServer } from "../../cmd/server.ts";
import { type Config, formatProblem, parseConfig } from "../../core/config/index.ts";
import { Log, type LogLevel, MemorySink } from "../../core/log/index.ts";
import type { Node } from "../../core/node.ts";
import type { Db } from "../../core/storage/db.ts";
import type { Target } from "./client.ts";
import type { Door } from "./client-wire.ts";
import { inDatabase, OwnDatabase, STORIES_DB } from "./story-database.ts";

export type Toml = string | number | boolean | Toml[] | { [key: string]: Toml };
/** Changes to the usual configuration: tables are merged, null takes a key out. */
export type Changes = { [key: string]: Toml | null | Changes };

/** Where the endpoints of GraphQL are, and the credentials of the administrator (see graphql.ts). */
export const GRAPHQL_PATHS = {
  admin: "/api/graphql",
  domain_admin: "/api/domain/graphql",
  user: "/api/user/graphql",
} as const;
export const ADMIN = { username: "admin", password: "admin's secret" };

const USUAL: { [key: string]: Toml } = {
  general: { hosts: ["localhost"], default_server_domain: "localhost", loglevel: "info" },
  listen: {
    // The places that stories name: 0 plain, 1 STARTTLS required, 2 direct TLS.
    c2s: [
      { port: 0, ip_address: "127.0.0.1", max_stanza_size: 65_536 },
      {
        port: 0,
        ip_address: "127.0.0.1",
        max_stanza_size: 65_536,
        tls: { mode: "starttls_required", verify_mode: "none" },
      },
      { port: 0, ip_address: "127.0.0.1", max_stanza_size: 65_536, tls: { mode: "tls", verify_mode: "none" } },
    ],
    http: [
      {
        port: 0,
        ip_address: "127.0.0.1",
        handlers: {
          mongoose_websocket_handler: [{ host: "_", path: "/ws-xmpp", max_stanza_size: 65_536 }],
          mongoose_graphql_handler: [
            { host: "_", path: GRAPHQL_PATHS.admin, schema_endpoint: "admin", ...ADMIN },
            { host: "_", path: GRAPHQL_PATHS.domain_admin, schema_endpoint: "domain_admin" },
            { host: "_", path: GRAPHQL_PATHS.user, schema_endpoint: "user" },
          ],
        },
      },
    ],
  },
  auth: { methods: ["internal"], password: { format: "plain" }, internal: {} },
  services: { service_domain_db: {} },
  modules: {
    mod_cache_users: {},
    mod_bind2: {},
    mod_carboncopy: {},
    mod_csi: {},
    mod_disco: {},
    mod_last: {},
    mod_offline: {},
    mod_ping: {},
    mod_presence: {},
    mod_private: {},
    mod_register: {},
    mod_roster: {},
    mod_sasl2: {},
    mod_stanzaid: {},
    mod_stream_management: {},
    mod_time: {},
    mod_vcard: {},
    mod_version: {},
  },
};

const isTable = (value: unknown): value is Record<string, never> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function merged(base: { [key: string]: Toml }, changes: Changes): { [key: string]: Toml } {
  const all: { [key: string]: Toml } = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete all[key];
    else if (isTable(value)) all[key] = merged(isTable(all[key]) ? all[key] : {}, value as Changes);
    else all[key] = value as Toml;
  }
  return all;
}

/** One logged event: its level, its name, its fields. */
export interface LogLine {
  level: string;
  what: string;
  [field: string]: unknown;
}

function configOf(changes: Changes, database: OwnDatabase | undefined): Config {
  const tables = merged(USUAL, changes);
  const text = stringify(database === undefined ? tables : inDatabase(tables, database.pools));
  const { config, problems } = parseConfig(text, { file: "story.toml", modules: moduleSchemas() });
  if (!config) throw new Error(`The story's configuration is wrong:\n${problems.map(formatProblem).join("\n")}`);
  return config;
}

export class StoryServer {
  private running: RunningServer;
  private readonly sink: MemorySink;
  readonly log: Log;
  readonly stateDir: string;
  private readonly database: OwnDatabase | undefined;

  private constructor(
    running: RunningServer,
    log: Log,
    sink: MemorySink,
    stateDir: string,
    database: OwnDatabase | undefined,
  ) {
    this.running = running;
    this.log = log;
    this.sink = sink;
    this.stateDir = stateDir;
    this.database = database;
  }

  /** `level`: what is logged, and so kept; for runs without end. */
  static async start(changes: Changes = {}, level: LogLevel = "info"): Promise<StoryServer> {
    const sink = new MemorySink();
    const log = new Log({ sink, level, format: "json" });
    const stateDir = mkdtempSync(join(tmpdir(), "story-"));
    const dialect = changes["outgoing_pools"] === undefined ? STORIES_DB : undefined;
    const database = dialect === undefined ? undefined : await OwnDatabase.create(dialect);
    try {
      const running = await startServer(configOf(changes, database), { stateDir }, log);
      return new StoryServer(running, log, sink, stateDir, database);
    } catch (error) {
      await database?.drop();
      throw error;
    }
  }

  /** Stops the server and starts one with these changes to the usual configuration on the same state directory. */
  async restarts(changes: Changes, databasePatienceMs?: number): Promise<void> {
    await this.stops();
    const { stateDir } = this;
    this.running = await startServer(configOf(changes, this.database), { stateDir, databasePatienceMs }, this.log);
    this.closed = false;
  }

  get node(): Node {
    return this.running.node;
  }

  /** Why the server is to end, once somebody has asked for it. */
  get stopped(): Promise<"stop" | "restart"> {
    return this.running.stopped;
  }

  /** Everything that was logged so far. */
  get logged(): LogLine[] {
    return this.sink.lines.map((line) => JSON.parse(line) as LogLine);
  }

  /** Where a door is; `which` is the listener's place in the configuration. */
  target(door: Door, which = 0): Target {
    const { listeners } = this.running;
    if (door === "websocket")
      return { door, port: listeners.http[which].port, tls: listeners.http[which].options.tls !== undefined };
    const listener = listeners.tcp[which];
    return { door, port: listener.port, tls: listener.options.tlsMode === "tls" };
  }

  /** Makes an account without asking the protocol. */
  async addAccount(local: string, domain: string, password: string): Promise<void> {
    const result = await this.node.hostOf(domain)?.auth.create(local, domain, password);
    if (result !== "ok") throw new Error(`Cannot make the account ${local}@${domain}: ${result}`);
  }

  /** The database of features that have backend "rdbms", and so of all of them where stories have a server's. */
  get db(): Db {
    return this.node.db("rdbms");
  }

  private closed = false;
  private removed = false;

  /** Stops the server; a story that is about that may do it itself. */
  async close(): Promise<void> {
    await this.stops();
    if (!this.removed) await this.database?.drop();
    this.removed = true;
    rmSync(this.stateDir, { recursive: true, force: true });
  }

  private async stops(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.running.close();
  }
}
