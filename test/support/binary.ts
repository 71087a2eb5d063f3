// The server as its users have it: the compiled executable in a process of its own, on a scratch state directory and
// free ports. For interop, fault and load tests.

import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";

const root = join(import.meta.dirname, "../..");

/** MONGOOSEIM_BINARY, else dist/mongooseimctl. */
export const binary = (): string => {
  const file = process.env["MONGOOSEIM_BINARY"] ?? join(root, "dist/mongooseimctl");
  if (!existsSync(file)) throw new Error(`There is no ${file}: run "npm run build"`);
  return file;
};

/** A port of this machine that nobody uses. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("there is no free port");
  return address.port;
}

export interface BinaryOptions {
  /** The text of the configuration file. */
  config: string;
  /** Answers when the server is up: a port of the configuration. */
  port: number;
  /** Kept as it is; a new one that is removed at the end when absent. */
  stateDir?: string;
  /** Run on this core. */
  cpu?: number;
  /** Variables of its environment besides ours. */
  env?: Readonly<Record<string, string>>;
}

export interface CtlResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export class BinaryServer {
  readonly stateDir: string;
  private readonly configFile: string;
  private process: Subprocess<"ignore", number, number> | undefined = undefined;

  constructor(private readonly options: BinaryOptions) {
    this.stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), "mongooseim-"));
    mkdirSync(this.stateDir, { recursive: true });
    this.configFile = join(this.stateDir, "mongooseim.toml");
    writeFileSync(this.configFile, options.config);
  }

  get pid(): number {
    return this.process!.pid;
  }

  /** The certificate that clients have to trust. */
  get ca(): string {
    return join(this.stateDir, "tls/self-signed.crt");
  }

  /** Exit code of the process, null while it runs or when a signal ended it. */
  get exitCode(): number | null {
    return this.process?.exitCode ?? null;
  }

  /** What the server has written to its log. */
  get log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8") : "";
  }

  private get logFile(): string {
    return join(this.stateDir, "output.log");
  }

  /** Starts the process and waits until its port takes connections; gives the milliseconds that took. */
  async start(): Promise<number> {
    const begin = performance.now();
    const words = [binary(), "foreground", "--state-dir", this.stateDir, "--config", this.configFile];
    const pinned = this.options.cpu === undefined ? words : ["taskset", "-c", String(this.options.cpu), ...words];
    const fd = openSync(this.logFile, "a");
    const env = { ...process.env, ...this.options.env };
    this.process = Bun.spawn(pinned, { stdin: "ignore", stdout: fd, stderr: fd, cwd: "/", env });
    closeSync(fd);
    while (!(await takesConnections(this.options.port))) {
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`The server ended while starting:\n${this.log}`);
      }
      if (performance.now() - begin > 30_000) throw new Error(`The server does not listen after 30 s:\n${this.log}`);
      await Bun.sleep(2);
    }
    return performance.now() - begin;
  }

  /** Runs a command of mongooseimctl against this server. */
  async ctl(...words: string[]): Promise<CtlResult> {
    const run = Bun.spawn([binary(), "--state-dir", this.stateDir, ...words], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
    return { code: await run.exited, out, err };
  }

  /** Ends the process as the kernel would: no handler runs. */
  async kill(): Promise<void> {
    this.process?.kill("SIGKILL");
    await this.process?.exited;
  }

  /** Ends the process in order; gives its exit code. */
  async stop(): Promise<number> {
    this.process?.kill("SIGTERM");
    const timer = setTimeout(() => this.process?.kill("SIGKILL"), 15_000);
    const code = (await this.process?.exited) ?? 0;
    clearTimeout(timer);
    return code;
  }

  /** Removes the state directory, when it was made for this server. */
  remove(): void {
    if (this.options.stateDir === undefined) rmSync(this.stateDir, { recursive: true, force: true });
  }
}

async function takesConnections(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

/** A figure of a process in /proc: bytes resident. */
export function residentBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Rss:\s+(\d+)/m.exec(text)![1]) * 1024;
}

/** Microseconds of CPU that a process has used, those of threads that have ended included. */
export function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  // utime and stime, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}
