// The server itself, as operations ask for it.

import { type FileHandle, open } from "node:fs/promises";
import type { RunningModule } from "../module.ts";
import type { Node } from "../node.ts";
import type { HostTypeDescription, ServerOps } from "../operations.ts";
import type { OperationParts } from "./parts.ts";

export function serverOps(node: Node, parts: OperationParts): ServerOps {
  const { config, log } = node;
  // Asked for at every operation, and the same as long as the server runs.
  const services = present("services", config.services, config.unbuilt);
  const databases = present("internal_databases", config.internal_databases, config.unbuilt);
  return {
    version: node.version,
    commit: parts.commit,
    running: () => !node.draining && (parts.running?.() ?? true),
    uptime: () => (node.steady() - node.startedAt) / 1000,
    logLevel: () => log.level,
    setLogLevel(level) {
      log.level = level;
      log.notice("log_level_set", { new_level: level });
    },
    stop: () => parts.stop(),
    restart: () => parts.restart(),
    hostTypes: () => [...node.hosts.keys()].map((hostType) => describe(node, hostType)),
    services: () => services,
    internalDatabases: () => databases,
    modules: (hostType) => namesOf(node.hosts.get(hostType)?.modules ?? new Map()),
    s2s: () => parts.s2s?.() ?? { incoming: 0, outgoing: 0 },
    readLines,
  };
}

/** The sections that the file has and this build serves. */
function present(section: string, tables: object, unbuilt: readonly string[]): readonly string[] {
  return Object.entries(tables)
    .filter(([name, table]) => table !== undefined && !unbuilt.includes(`${section}.${name}`))
    .map(([name]) => name);
}

function describe(node: Node, hostType: string): HostTypeDescription {
  const host = node.hosts.get(hostType)!;
  return {
    name: hostType,
    authMethods: host.auth.methods,
    modules: [...host.modules].map(([name, { ctx }]) => ({ name, options: reported(ctx.config) })),
  };
}

/** MongooseIM reports which back ends a module has and nothing else: options may hold secrets. */
function reported(config: unknown): Record<string, string | null> {
  const options: Record<string, string | null> = {};
  for (const [key, value] of Object.entries(config ?? {})) {
    if (key.endsWith("backend")) options[key] = textOf(value);
  }
  return options;
}

function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Undefined when there is no such file, or it is a directory. */
async function readLines(file: string): Promise<AsyncIterable<string> | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  if ((await handle.stat()).isFile()) return linesOf(handle);
  await handle.close();
  return undefined;
}

async function* linesOf(handle: FileHandle): AsyncGenerator<string> {
  try {
    yield* handle.readLines();
  } finally {
    await handle.close();
  }
}

/** The features that run, and their parts. */
function namesOf(modules: ReadonlyMap<string, RunningModule>): ReadonlySet<string> {
  const names = new Set(modules.keys());
  for (const { def, ctx } of modules.values()) for (const part of def.parts?.(ctx.config) ?? []) names.add(part);
  return names;
}
