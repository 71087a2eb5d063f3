import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { coreOperations } from "../../../../core/operations/index.ts";
import { buildSchema } from "../../../../core/operations/schema.ts";
import { pidPath, socketPath } from "../../../../transports/control/paths.ts";
import { type ControlOptions, type ControlServer, openControlSocket } from "../../../../transports/control/server.ts";
import { fakeNode } from "../../core/operations/fake-node.ts";

const schema = buildSchema(coreOperations);
let stateDir: string;
let did: string[];
const opened: ControlServer[] = [];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "ctl-"));
  did = [];
});
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
  rmSync(stateDir, { recursive: true });
});

const options = (more: Partial<ControlOptions> = {}): ControlOptions => ({
  stateDir,
  pidFile: pidPath(stateDir, {}),
  schema,
  node: fakeNode(),
  status: () => ({ node: "mim@here", pid: 1234, state: "started", version: "1.2.3", uptime: 5, logs: [] }),
  stop: () => void did.push("stop"),
  restart: () => void did.push("restart"),
  hold: () => ({ elsewhere: [], release: () => void did.push("release") }),
  onError: (error) => void did.push(String(error)),
  ...more,
});
async function open(more?: Partial<ControlOptions>): Promise<ControlServer> {
  const server = await openControlSocket(options(more));
  opened.push(server);
  return server;
}
async function ask(path: string, body?: unknown): Promise<[number, unknown]> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`http://control${path}`, { ...init, unix: socketPath(stateDir) });
  return [response.status, await response.json()];
}

describe("the socket", () => {
  test("is for its owner only", async () => {
    const { path } = await open();
    expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
  });

  test("comes with a pid file, and both go when it closes", async () => {
    const { path, close } = await openControlSocket(options());
    expect(readFileSync(pidPath(stateDir, {}), "utf8")).toBe(`${process.pid}\n`);
    await close();
    expect([existsSync(path), existsSync(pidPath(stateDir, {}))]).toEqual([false, false]);
  });

  test("replaces one that a dead server left", async () => {
    const bind = "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
    spawnSync("python3", ["-c", bind, socketPath(stateDir)]);
    expect(existsSync(socketPath(stateDir))).toBe(true);
    await open();
    expect((await ask("/status"))[0]).toBe(200);
  });

  test("does not replace one that answers", async () => {
    await open();
    await expect(open()).rejects.toThrow("a server is already running with it");
    expect((await ask("/status"))[0]).toBe(200);
  });

  test("does not replace a file that is no socket", async () => {
    writeFileSync(socketPath(stateDir), "precious");
    await expect(open()).rejects.toThrow("something else has that name");
    rmSync(socketPath(stateDir));
  });

  test("says when its path is too long", async () => {
    await expect(open({ stateDir: join(stateDir, "x".repeat(100)) })).rejects.toThrow("whose name is shorter");
  });
});

describe("what it answers", () => {
  beforeEach(async () => void (await open()));

  test("GET /status: the state", async () => {
    expect(await ask("/status")).toEqual([200, expect.objectContaining({ pid: 1234, state: "started" })]);
  });

  test("POST /graphql: runs with all rights", async () => {
    const answer = await ask("/graphql", { query: "{ checkAuth { authType } server { getLoglevel } }" });
    expect(answer).toEqual([200, { data: { checkAuth: { authType: "ADMIN" }, server: { getLoglevel: "WARNING" } } }]);
  });

  test("POST /graphql without a query: 400", async () => {
    expect((await ask("/graphql", {}))[0]).toBe(400);
  });

  test.each(["stop", "restart"])("POST /ctl: begins a %s and tells which process to wait for", async (command) => {
    expect([await ask("/ctl", { command }), did]).toEqual([[200, { pid: 1234 }], [command]]);
  });

  test("POST /ctl: sets and tells the log level", async () => {
    expect(await ask("/ctl", { command: "loglevel", level: "debug" })).toEqual([200, { level: "debug" }]);
    expect(await ask("/ctl", { command: "loglevel" })).toEqual([200, { level: "debug" }]);
    expect((await ask("/ctl", { command: "loglevel", level: "loud" }))[0]).toBe(400);
  });

  test("POST /ctl: says what it does not know", async () => {
    const error = 'unknown command "dance": use status, stop, restart or loglevel';
    expect(await ask("/ctl", { command: "dance" })).toEqual([400, { error }]);
  });

  test("GET /commands: the tree for the command line", async () => {
    const [, tree] = await ask("/commands");
    expect(tree).toContainEqual(expect.objectContaining({ name: "account", description: "Account management" }));
  });
});

test("a hold lasts as long as the connection of whoever asked for it", async () => {
  const { path } = await open({
    hold() {
      did.push("hold");
      return {
        elsewhere: [{ name: "pool", driver: "pgsql", database: "xmpp" }],
        release: () => void did.push("release"),
      };
    },
  });
  const ending = new AbortController();
  const response = await fetch("http://control/hold", { unix: path, signal: ending.signal });
  const { value } = await response.body!.getReader().read();
  expect(JSON.parse(Buffer.from(value!).toString())).toEqual({
    elsewhere: [{ name: "pool", driver: "pgsql", database: "xmpp" }],
  });
  expect(did).toEqual(["hold"]);
  ending.abort();
  while (did.length < 2) await Bun.sleep(1);
  await Bun.sleep(20);
  expect(did).toEqual(["hold", "release"]);
});
