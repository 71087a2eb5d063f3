// A real node on a database in memory, without doors: what unit tests of the engine's outer parts run against.
import { formatProblem, parseConfig } from "../../core/config/index.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import type { AnyModule } from "../../core/module.ts";
import { Node } from "../../core/node.ts";
import { Pools } from "../../core/storage/pools.ts";
import { MemoryDb } from "./memory-db.ts";

export interface StubNodeOptions {
  /** More lines of the file: tables after [general] and [auth]. */
  more?: string;
  /** Value of auth.methods with the methods' tables; ["internal"] alone by default. */
  auth?: string;
  /** The features; each is on, with an empty table unless `more` has it. */
  modules?: readonly AnyModule[];
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Milliseconds of a clock that is not set; `now` when not given. */
  steady?: () => number;
  /** A database that another node has used before; a new one when not given. */
  db?: MemoryDb;
  /** Accounts of localhost; their password is "secret". */
  users?: readonly string[];
}

export interface StubNode {
  readonly node: Node;
  readonly db: MemoryDb;
  /** Lines of the log, all levels but debug. */
  readonly log: MemorySink;
}

const AUTH = 'methods = ["internal"]\npassword.format = "plain"\ninternal = {}\n';

/** Hosts "localhost"; host type "dynamic" with service_domain_db. Started: stop it. */
export async function stubNode(options: StubNodeOptions = {}): Promise<StubNode> {
  const { modules = [], more = "", auth = AUTH } = options;
  const text = `[general]
hosts = ["localhost"]
host_types = ["dynamic"]
default_server_domain = "localhost"
[auth]
${auth}
[services.service_domain_db]
${modules.map(({ name }) => (more.includes(`[modules.${name}]`) ? "" : `[modules.${name}]\n`)).join("")}${more}`;
  const schemas = Object.fromEntries(modules.map((module) => [module.name, module.config]));
  const { config, problems } = parseConfig(text, { file: "stub.toml", modules: schemas });
  if (!config) throw new Error(problems.map(formatProblem).join("\n"));
  const db = options.db ?? new MemoryDb();
  const log = new MemorySink();
  const node = new Node({
    config,
    modules: new Map(modules.map((module) => [module.name, module])),
    pools: new Pools(db),
    log: new Log({ sink: log, level: "info" }),
    version: "0.0.0-test",
    name: "mongooseim@test",
    saltSecret: new Uint8Array(16),
    now: options.now,
    steady: options.steady,
  });
  await node.start();
  for (const user of options.users ?? []) await node.hostOf("localhost")!.auth.create(user, "localhost", "secret");
  return { node, db, log };
}
