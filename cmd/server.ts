// The server: configuration, storage, node and doors put together; signals; an orderly end.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GraphQLSchema } from "graphql";
import { type Config, formatProblem, parseConfig } from "../core/config/index.ts";
import { FdSink, isJournal, isLogLevel, Log } from "../core/log/index.ts";
import type { AnyModule } from "../core/module.ts";
import { Node } from "../core/node.ts";
import { wireMetrics } from "../core/node-metrics.ts";
import { createOperationNode } from "../core/node-operations.ts";
import { coreOperations } from "../core/operations/index.ts";
import { buildSchema } from "../core/operations/schema.ts";
import type { Audience } from "../core/operations.ts";
import { logOf } from "../core/storage/away.ts";
import { holdCheckpoints } from "../core/storage/backup/hold.ts";
import { restoreJournal } from "../core/storage/backup/journal.ts";
import type { Pools } from "../core/storage/pools.ts";
import { CertificateStore } from "../core/tls/index.ts";
import { MODULES } from "../modules/index.ts";
import { pidPath } from "../transports/control/paths.ts";
import { openControlSocket } from "../transports/control/server.ts";
import type { HttpHandler } from "../transports/http/app.ts";
import { ctlCommand, embeddedConfig, greeting } from "./embedded.ts";
import { httpHandlers } from "./handlers.ts";
import { Listeners } from "./listeners.ts";
import { databasesElsewhere, openPools } from "./rdbms.ts";
import { executeAgain } from "./tune.ts";
import { COMMIT, VERSION } from "./version.ts";

export interface ServerOptions {
  /** Absent: the embedded default. */
  configFile?: string;
  stateDir: string;
  /** How long a database that does not answer is waited for at the start, in ms; see `openPools`. */
  databasePatienceMs?: number;
}

const modules: ReadonlyMap<string, AnyModule> = new Map(MODULES.map((m) => [m.name, m]));

/** The schemas of the features of this build, for reading a configuration. */
export const moduleSchemas = (): Record<string, AnyModule["config"]> =>
  Object.fromEntries(MODULES.map((m) => [m.name, m.config]));

/** Runs a server until it is told to stop. Resolves with the exit code of the process. */
export async function runServer(options: ServerOptions): Promise<number> {
  // Accounts, messages and keys are in the files that we write: nobody else may read them.
  process.umask(0o077);
  try {
    // Before anything of the state directory is used.
    if (existsSync(restoreJournal(options.stateDir))) {
      const { finishRestore } = await import("../core/storage/backup/restore.ts");
      finishRestore(options.stateDir);
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 1;
  }
  const config = readConfig(options);
  if (config === undefined) return 1;
  const log = openLog(config);
  let server: RunningServer;
  try {
    server = await startServer(config, options, log);
  } catch (error) {
    log.flush();
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  onSignals(server);
  onStrayErrors(log);
  if (options.configFile === undefined) {
    const ctl = ctlCommand(process.argv0, options.stateDir, { env: process.env, uid: process.getuid?.() ?? 1 });
    process.stderr.write(greeting(config, options.stateDir, ctl));
  }
  const why = await server.stopped;
  await server.close();
  log.flush();
  if (why === "restart") return restart(options);
  return 0;
}

function readConfig({ configFile: file, stateDir }: ServerOptions): Config | undefined {
  if (file === undefined) {
    try {
      return embeddedConfig(moduleSchemas(), stateDir);
    } catch (error) {
      process.stderr.write(`Cannot use the state directory "${stateDir}": ${(error as Error).message}\n`);
      return undefined;
    }
  }
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    process.stderr.write(`Cannot read "${file}": ${(error as Error).message}\n`);
    return undefined;
  }
  const { config, problems, warnings } = parseConfig(text, { file, modules: moduleSchemas(), exists: existsSync });
  for (const problem of [...problems, ...warnings]) process.stderr.write(`${formatProblem(problem)}\n`);
  return config;
}

function openLog(config: Config): Log {
  const level = config.general.loglevel;
  return new Log({
    sink: new FdSink(1),
    level: isLogLevel(level) ? level : "warning",
    format: process.env["MONGOOSEIM_LOG_FORMAT"] === "json" ? "json" : "logfmt",
    journald: isJournal(1, process.env["JOURNAL_STREAM"]),
  });
}

export interface RunningServer {
  readonly node: Node;
  readonly listeners: Listeners;
  /** Resolves when somebody asks for the end. */
  readonly stopped: Promise<"stop" | "restart">;
  stop(): void;
  /** Reads the certificates again. */
  reload(): void;
  /** Ends everything in order. */
  close(): Promise<void>;
}

/** Starts a server; for tests too, which give their own configuration and log. Throws one line when it cannot. */
export async function startServer(config: Config, options: ServerOptions, log: Log): Promise<RunningServer> {
  const { stateDir } = options;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  for (const name of config.unbuilt) log.warning("feature_not_in_this_build", { section: name });
  const pools = await openPools(config, { stateDir, log, patienceMs: options.databasePatienceMs });
  try {
    return await assemble(config, options, log, pools);
  } catch (error) {
    await pools.close();
    throw error;
  }
}

async function assemble(config: Config, options: ServerOptions, log: Log, pools: Pools): Promise<RunningServer> {
  const { stateDir } = options;
  const node = new Node({ config, modules, pools, log, version: VERSION, saltSecret: secret(stateDir) });
  const certificates = new CertificateStore({ stateDir, log, now: Date.now });
  const domains = config.general.hosts.length > 0 ? config.general.hosts : [config.general.default_server_domain];
  certificates.ensureSelfSigned(domains as [string, ...string[]]);
  let tell: (why: "stop" | "restart") => void = () => {};
  const stopped = new Promise<"stop" | "restart">((resolve) => {
    tell = resolve;
  });
  const operationNode = createOperationNode(node, {
    stateDir,
    stop: () => tell("stop"),
    restart: () => tell("restart"),
    commit: COMMIT,
  });
  node.operations = operationNode;
  // A schema costs start-up time and is wanted by few connections: it is made when first asked for.
  const operations = lazy(() => [...coreOperations, ...MODULES.flatMap((m) => m.operations ?? [])]);
  const schemas = {
    admin: lazy(() => buildSchema(operations())),
    user: lazy(() => buildSchema(operations(), "user")),
  };
  const onError = (error: unknown): void => logOf(log, "operation_failed", error)?.error("operation_failed", { error });
  const schema = (audience: Audience): GraphQLSchema => schemas[audience]();
  const handlers = (section: Config["listen"]["http"][number]): HttpHandler[] =>
    httpHandlers(section, { node, operations: operationNode, schema, onError });
  const listeners = new Listeners({ node, config, certificates, log, handlers });
  await node.start();
  wireMetrics(node);
  let state: "starting" | "started" | "stopping" = "starting";
  const control = await openControlSocket({
    stateDir,
    pidFile: pidPath(stateDir, process.env),
    get schema() {
      return schema("admin");
    },
    node: operationNode,
    status: () => ({
      node: node.name,
      pid: process.pid,
      state,
      version: VERSION,
      uptime: Math.floor((node.steady() - node.startedAt) / 1000),
      logs: ["stdout"],
    }),
    stop: (otherHost) => {
      node.refuge = otherHost;
      tell("stop");
    },
    restart: () => tell("restart"),
    hold: () => ({ elsewhere: databasesElsewhere(config), release: holdCheckpoints([...pools.databases()], log) }),
    onError,
  });
  try {
    listeners.start();
    listeners.meterCertificates();
  } catch (error) {
    await control.close();
    await node.stop();
    throw error;
  }
  const reload = (): void => {
    if (certificates.reload().changed.length > 0) listeners.renew();
  };
  const repeat = (): void => {
    reload();
    node.wheel.after(60_000, repeat);
  };
  node.wheel.after(60_000, repeat);
  state = "started";
  log.notice("server_started", { version: VERSION, domains: node.domains.count });
  return {
    node,
    listeners,
    stopped,
    stop: () => tell("stop"),
    reload,
    async close() {
      state = "stopping";
      listeners.stop();
      await node.stop();
      await listeners.close();
      await control.close();
      await pools.close();
    },
  };
}

function lazy<T>(make: () => T): () => T {
  let value: { it: T } | undefined;
  return () => {
    value ??= { it: make() };
    return value.it;
  };
}

/** A secret of this installation, made once. */
function secret(stateDir: string): Uint8Array {
  const file = join(stateDir, "salt-secret");
  if (existsSync(file)) return readFileSync(file);
  const bytes = randomBytes(32);
  writeFileSync(file, bytes, { mode: 0o600 });
  return bytes;
}

/** Starts over: in this process where that is possible, else in one that this one waits for. */
async function restart(options: ServerOptions): Promise<number> {
  const again = ["foreground", "--state-dir", options.stateDir];
  if (options.configFile !== undefined) again.push("--config", options.configFile);
  executeAgain(again);
  const words = process.argv[1]?.endsWith(".ts")
    ? [process.execPath, process.argv[1], ...again]
    : [process.execPath, ...again];
  const child = Bun.spawn(words, { stdio: ["inherit", "inherit", "inherit"] });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  return child.exited;
}

/** What nobody caught is told, and survived: a server does not end for one of its connections. */
function onStrayErrors(log: Log): void {
  process.on("uncaughtException", (error) => log.error("uncaught_exception", { error }));
  process.on("unhandledRejection", (error) => log.error("unhandled_rejection", { error }));
}

/** Wires the process's signals to a running server: TERM and INT stop it, HUP reads certificates again. */
function onSignals(server: RunningServer): void {
  process.on("SIGTERM", server.stop);
  process.on("SIGINT", server.stop);
  process.on("SIGHUP", server.reload);
}
