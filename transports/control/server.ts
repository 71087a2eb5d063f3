// The control socket: how mongooseimctl reaches the server that runs with its state directory. HTTP and JSON over a
// Unix socket that only the server's own user may open; whoever opens it is an administrator.

import { chmodSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { GraphQLSchema } from "graphql";
import { type Context, Hono } from "hono";
import type { LogLevelName, OperationNode } from "../../core/operations.ts";
import { commandTree } from "../../core/operations/commands.ts";
import { execute } from "../../core/operations/execute.ts";
import { coreTypes } from "../../core/operations/types.ts";

export const SOCKET_NAME = "control.sock";
/** sun_path of sockaddr_un, less the final zero. */
const MAX_SOCKET_PATH = 107;

/** The state of the server, as `mongooseimctl status` shows it. */
export interface ServerStatus {
  readonly node: string;
  readonly pid: number;
  readonly state: "starting" | "started" | "stopping";
  readonly version: string;
  /** Seconds. */
  readonly uptime: number;
  /** Where the log goes: file names, or "stdout". */
  readonly logs: readonly string[];
}

export interface ControlOptions {
  readonly stateDir: string;
  /** The admin schema. */
  readonly schema: GraphQLSchema;
  readonly node: OperationNode;
  status(): ServerStatus;
  /** Begin an orderly stop or restart and return at once. */
  stop(): void;
  restart(): void;
  /** Told of errors that a client only learns as status 500. */
  onError(error: unknown): void;
}

export interface ControlServer {
  readonly path: string;
  /** Answers what has come in, closes, and removes the socket. */
  close(): Promise<void>;
}

/**
 * Opens the control socket. A socket left by a server that died is replaced.
 * Throws an Error of one line when another server answers on it or the path cannot be a socket's.
 */
export async function openControlSocket(options: ControlOptions): Promise<ControlServer> {
  const path = join(options.stateDir, SOCKET_NAME);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new Error(`Cannot make the control socket "${path}": use a --state-dir whose name is shorter`);
  }
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  await clearStale(path);
  const app = controlApp(options);
  // The socket is born closed to others: between bind and chmod nobody else can open it.
  const mask = process.umask(0o177);
  let server: ReturnType<typeof Bun.serve>;
  try {
    server = Bun.serve({
      unix: path,
      // Removal of a large domain or an import of users may take its time.
      idleTimeout: 0,
      fetch: (request) => app.fetch(request),
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return {
    path,
    async close() {
      await server.stop();
      rmSync(path, { force: true });
    },
  };
}

async function clearStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new Error(`Cannot make the control socket "${path}": something else has that name`);
  const alive = await fetch("http://control/status", { unix: path, signal: AbortSignal.timeout(2000) }).then(
    () => true,
    // A server too busy to answer is alive; a refused connection is nobody.
    (error: unknown) => error instanceof DOMException && error.name === "TimeoutError",
  );
  if (alive) throw new Error(`Cannot make the control socket "${path}": a server is already running with it`);
  rmSync(path);
}

/** The application behind the socket. */
export function controlApp(options: ControlOptions): Hono {
  const { schema, node } = options;
  const app = new Hono();
  // Made when first asked for, then kept as text: a client asks every time.
  let commands: string | undefined;

  app.onError((error, c) => {
    options.onError(error);
    return c.json({ error: "internal server error" }, 500);
  });
  app.get("/status", (c) => c.json(options.status()));
  app.get("/commands", (c) => {
    commands ??= JSON.stringify(commandTree(schema));
    return c.body(commands, 200, { "Content-Type": "application/json" });
  });

  app.post("/graphql", async (c) => {
    const { query, variables, operationName } = await objectOf(c);
    if (typeof query !== "string") return c.json({ error: "query must be text" }, 400);
    const answer = await execute(
      {
        query,
        variables: isRecord(variables) ? variables : undefined,
        operationName: typeof operationName === "string" ? operationName : undefined,
      },
      { schema, node, caller: { kind: "admin", via: "cli" } },
    );
    return c.json(answer.body, answer.status);
  });

  app.post("/ctl", async (c) => {
    const { command, level } = await objectOf(c);
    switch (command) {
      case "status":
        return c.json(options.status());
      case "stop":
      case "restart":
        options[command]();
        return c.json({ pid: options.status().pid });
      case "loglevel": {
        if (level === undefined) return c.json({ level: node.server.logLevel() });
        const known = coreTypes.LogLevel.values.find((name) => name.toLowerCase() === level);
        if (!known) return c.json({ error: `unknown log level ${JSON.stringify(level)}` }, 400);
        node.server.setLogLevel(known.toLowerCase() as LogLevelName);
        return c.json({ level });
      }
      default: {
        const error = `unknown command ${JSON.stringify(command)}: use status, stop, restart or loglevel`;
        return c.json({ error }, 400);
      }
    }
  });
  return app;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

async function objectOf(c: Context): Promise<Record<string, unknown>> {
  const body: unknown = await c.req.json().catch(() => undefined);
  return isRecord(body) ? body : {};
}
