// start, stop, restart and what tells whether the server runs.

import { spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from "node:fs";
import { daemonLogPath, pidPath, type ServerStatus } from "../../transports/control/paths.ts";
import { type ControlClient, NotRunning } from "./client.ts";
import { CtlError, type CtlIo, ERROR, OK, UNREACHABLE } from "./io.ts";

export interface StartOptions {
  readonly configFile?: string;
  readonly stateDir: string;
}

/** How long a server may take to start, as `started` waits for it. */
const START_MS = 60_000;

/** Starts the server in the background and waits until it has started. */
export async function start(options: StartOptions, client: ControlClient, io: CtlIo): Promise<number> {
  const running = await client.tryStatus();
  if (running) throw new CtlError(`The server is already running (pid ${running.pid})`);
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const logFile = daemonLogPath(options.stateDir);
  const log = openSync(logFile, "a+", 0o600);
  const begin = fstatSync(log).size;
  const [program, ...words] = [
    ...io.self,
    "foreground",
    "--state-dir",
    options.stateDir,
    ...(options.configFile === undefined ? [] : ["--config", options.configFile]),
  ];
  const child = spawn(program, words, { detached: true, stdio: ["ignore", log, log] });
  let ended: string | undefined;
  child.on("error", (error) => {
    ended = error.message;
  });
  child.on("exit", (code, signal) => {
    ended = signal ? `ended by ${signal}` : `ended with exit code ${code}`;
  });
  child.unref();
  try {
    for (let waited = 0; waited < START_MS; waited += 50) {
      if ((await client.tryStatus())?.state === "started") return OK;
      if (ended !== undefined)
        throw new CtlError(`The server did not start: it ${ended}\n${tail(log, begin)}`.trimEnd());
      await io.sleep(50);
    }
    throw new CtlError(`The server has not started within ${START_MS / 1000} s; see "${logFile}"`);
  } finally {
    closeSync(log);
  }
}

/** The last lines that were written to a file after `from`. */
function tail(file: number, from: number): string {
  const size = fstatSync(file).size - from;
  const length = Math.min(size, 8192);
  const bytes = Buffer.alloc(Math.max(0, length));
  readSync(file, bytes, 0, bytes.length, from + size - length);
  return bytes.toString().trimEnd().split("\n").slice(-20).join("\n");
}

async function gone(pid: number, io: CtlIo, ms = Number.POSITIVE_INFINITY): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += 100) {
    if (!io.isAlive(pid)) return true;
    await io.sleep(100);
  }
  return !io.isAlive(pid);
}

/** Asks the server to stop, and to send its clients to `otherHost` when given; waits until its process has ended. */
export async function stop(client: ControlClient, io: CtlIo, otherHost?: string): Promise<number> {
  const { pid } = await client.lifecycle("stop", otherHost);
  await gone(pid, io);
  return OK;
}

/** As stop, with TERM and KILL for a server that does not: also when it no longer answers. */
export async function forceStop(client: ControlClient, io: CtlIo): Promise<number> {
  let pid: number | undefined;
  try {
    pid = (await client.lifecycle("stop")).pid;
  } catch (error) {
    if (!(error instanceof CtlError) || error.exitCode !== UNREACHABLE) throw error;
    pid = pidFromFile(client.stateDir, io);
    if (pid === undefined || !io.isAlive(pid) || !io.isServer(pid)) throw error;
  }
  if (await gone(pid, io, 30_000)) return OK;
  io.signal(pid, "SIGTERM");
  if (await gone(pid, io, 30_000)) return OK;
  io.signal(pid, "SIGKILL");
  await gone(pid, io);
  return OK;
}

function pidFromFile(stateDir: string, io: CtlIo): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pidPath(stateDir, io.env), "utf8"), 10);
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

export async function restart(client: ControlClient): Promise<number> {
  await client.lifecycle("restart");
  return OK;
}

/** Shows the state; exit code 0 when started, 1 when on its way, 3 when nobody answers. */
export async function status(client: ControlClient, io: CtlIo): Promise<number> {
  const now = await client.status();
  io.out(statusText(now));
  return now.state === "started" ? OK : ERROR;
}

/** Scripts look for MongooseIM's words, "Erlang VM status: started" among them. */
function statusText({ node, pid, state, version, uptime, logs }: ServerStatus): string {
  const at = Math.trunc(uptime);
  const two = (n: number): string => String(n).padStart(2, "0");
  const clock = `${two(Math.trunc(at / 3600) % 24)}:${two(Math.trunc(at / 60) % 60)}:${two(at % 60)}`;
  return `MongooseIM node ${node}:
    operating system pid: ${pid}
    Erlang VM status: ${state} (of: starting | started | stopping)
    version: ${version} (as mongooseim)
    uptime: ${Math.trunc(at / 86_400)} days ${clock}
    logs:${logs.length === 0 ? " none" : logs.map((log) => `\n        ${log}`).join("")}
`;
}

/** Waits for up to two minutes until the server has started. Prints nothing. */
export async function started(client: ControlClient, io: CtlIo): Promise<number> {
  for (let waited = 0; waited <= 120_000; waited += 250) {
    if ((await client.tryStatus())?.state === "started") return OK;
    await io.sleep(250);
  }
  return ERROR;
}

/** Waits for up to a minute until nobody answers. Prints nothing. */
export async function stopped(client: ControlClient, io: CtlIo): Promise<number> {
  for (let waited = 0; waited <= 60_000; waited += 250) {
    try {
      await client.status();
    } catch (error) {
      if (error instanceof NotRunning) return OK;
      throw error;
    }
    await io.sleep(250);
  }
  return ERROR;
}
