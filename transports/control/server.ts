// The control socket: how mongooseimctl reaches the server that runs with its state directory. HTTP and JSON over a
// Unix socket that only the server's own user may open; whoever opens it is an administrator.

import { chmodSync, linkSync, lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GraphQLSchema } from "graphql";
import { type Context, Hono } from "hono";
import { commandTree } from "../../core/operations/commands.ts";
import { execute } from "../../core/operations/execute.ts";
import { coreTypes } from "../../core/operations/types.ts";
import type { LogLevelName, OperationNode } from "../../core/operations.ts";
import { type Elsewhere, type ServerStatus, socketPath } from "./paths.ts";

/** sun_path of sockaddr_un, less the final zero. */
const MAX_SOCKET_PATH = 107;

export interface ControlOptions {
  readonly stateDir: string;
  /** Written with the process id while the socket is open (see pidPath). */
  readonly pidFile: string;
  /** The admin schema. */
  readonly schema: GraphQLSchema;
  readonly node: OperationNode;
  status(): ServerStatus;
  /** Begin an orderly stop or restart and return at once. */
  stop(otherHost?: string): void;
  restart(): void;
  /** Leave the write-ahead logs of SQLite alone until what it gives is called: somebody copies the databases. */
  hold(): { readonly elsewhere: readonly Elsewhere[]; release(): void };
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
  const path = socketPath(options.stateDir);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new Error(`Cannot make the control socket "${path}": use a --state-dir whose name is shorter`);
  }
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  await clearStale(path);
  const app = controlApp(options);
  // Bound in a directory nobody else can enter, then linked to its name: it is never open to others, and of two
  // servers that start at once only one gets the name.
  const nursery = mkdtempSync(join(options.stateDir, "c-"));
  const born = join(nursery, "s");
  const server = Bun.serve({
    unix: born,
    fetch(request, server) {
      // Removal of a large domain or an import of users may take its time.
      server.timeout(request, 0);
      return app.fetch(request);
    },
  });
  try {
    chmodSync(born, 0o600);
    linkSync(born, path);
  } catch (error) {
    await server.stop(true);
    throw new Error(`Cannot make the control socket "${path}": ${error instanceof Error ? error.message : error}`);
  } finally {
    rmSync(nursery, { recursive: true, force: true });
  }
  writeFileSync(options.pidFile, `${process.pid}\n`);
  return {
    path,
    async close() {
      await server.stop();
      rmSync(path, { force: true });
      rmSync(options.pidFile, { force: true });
    },
  };
}

/** A domain name or address, with a port or without, as see-other-host has it (RFC 6120 §4.9.3.19). */
function isHost(value: unknown): value is string {
  return typeof value === "string" && /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:\d{1,5})?$/.test(value);
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
function controlApp(options: ControlOptions): Hono {
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

  // Lasts as long as the connection: a client that dies lets go too.
  app.get("/hold", (c) => {
    const { elsewhere, release } = options.hold();
    let held = true;
    const end = (): void => {
      if (held) release();
      held = false;
    };
    c.req.raw.signal.addEventListener("abort", end);
    const body = new ReadableStream({
      start: (stream) => stream.enqueue(Buffer.from(`${JSON.stringify({ elsewhere })}\n`)),
      cancel: end,
    });
    return c.body(body, 200, { "Content-Type": "application/json" });
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
    const { command, level, otherHost } = await objectOf(c);
    switch (command) {
      case "status":
        return c.json(options.status());
      case "stop":
        if (otherHost !== undefined && !isHost(otherHost)) {
          return c.json({ error: `cannot send clients to ${JSON.stringify(otherHost)}: use HOST or HOST:PORT` }, 400);
        }
        options.stop(otherHost);
        return c.json({ pid: options.status().pid });
      case "restart":
        options.restart();
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
