// A PostgreSQL of a test's own: its data and its port, to be killed, stopped and frozen. Undefined where there is none.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL, type Subprocess } from "bun";
import { freePort } from "./binary.ts";

const USER = "mongooseim";

/** Where initdb and postgres are. */
export function postgresBin(): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).map((version) => join(root, version, "bin")) : [];
  const path = Bun.which("initdb");
  return [...versions, ...(path === null ? [] : [join(path, "..")])].find((bin) => existsSync(join(bin, "postgres")));
}

export class OwnPostgres {
  private process: Subprocess | undefined;

  private constructor(
    private readonly bin: string,
    private readonly dir: string,
    readonly port: number,
    private readonly settings: readonly string[],
  ) {}

  /** Makes the data and starts it. `settings`: "name=value" for `-c`; `files` are put where `ssl_cert_file=x` finds x. */
  static async create(settings: readonly string[] = [], files: Record<string, string> = {}): Promise<OwnPostgres> {
    const bin = postgresBin();
    if (bin === undefined) throw new Error("there is no PostgreSQL on this machine");
    const dir = mkdtempSync(join(tmpdir(), "own-postgres-"));
    const own = new OwnPostgres(bin, dir, await freePort(), settings);
    if (process.getuid?.() === 0) Bun.spawnSync(["chown", "postgres", dir]);
    const password = join(dir, "password");
    writeFileSync(password, USER, { mode: 0o644 });
    const made = Bun.spawnSync(
      own.unprivileged(
        join(bin, "initdb"),
        "-D",
        own.data,
        "-U",
        USER,
        "-A",
        "scram-sha-256",
        `--pwfile=${password}`,
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
      ),
      { cwd: "/" },
    );
    if (!made.success) throw new Error(`initdb: ${made.stderr.toString()}`);
    for (const [name, text] of Object.entries(files)) {
      const file = join(own.data, name);
      writeFileSync(file, text, { mode: 0o600 });
      if (process.getuid?.() === 0) Bun.spawnSync(["chown", "postgres", file]);
    }
    await own.start();
    return own;
  }

  private get data(): string {
    return join(this.dir, "data");
  }

  /** PostgreSQL refuses to run as root. */
  private unprivileged(...words: string[]): string[] {
    return process.getuid?.() === 0 ? ["/usr/sbin/runuser", "-u", "postgres", "--", ...words] : words;
  }

  url(database = "postgres"): string {
    return `postgres://${USER}:${USER}@127.0.0.1:${this.port}/${database}`;
  }

  /** Starts it, also where the last one was killed, and waits until it answers. */
  async start(): Promise<void> {
    mkdirSync(join(this.dir, "log"), { recursive: true });
    const until = performance.now() + 30_000;
    while (performance.now() < until) {
      if (this.process === undefined || this.process.exitCode !== null || this.process.signalCode !== null) {
        const options = [`port=${this.port}`, "listen_addresses=127.0.0.1", `unix_socket_directories=${this.dir}`];
        const words = [...options, ...this.settings].flatMap((setting) => ["-c", setting]);
        this.process = Bun.spawn(this.unprivileged(join(this.bin, "postgres"), "-D", this.data, ...words), {
          cwd: "/",
          stdin: "ignore",
          stdout: "ignore",
          stderr: Bun.file(join(this.dir, "log", "postgres")),
        });
      }
      if (await this.answers()) return;
      await Bun.sleep(50);
    }
    throw new Error(
      `PostgreSQL does not start: ${readFileSync(join(this.dir, "log", "postgres"), "utf8").slice(-2000)}`,
    );
  }

  private async answers(): Promise<boolean> {
    const sql = new SQL(this.url(), { connectionTimeout: 2 });
    try {
      await sql.unsafe("SELECT 1");
      return true;
    } catch {
      return false;
    } finally {
      await sql.close().catch(() => {});
    }
  }

  /** The process that the others are children of. */
  get pid(): number {
    const [postmaster] = this.pids();
    if (postmaster === undefined) throw new Error("PostgreSQL does not run");
    return postmaster;
  }

  /** The postmaster, then the processes it has. */
  private pids(): number[] {
    const file = join(this.data, "postmaster.pid");
    if (!existsSync(file)) return [];
    const postmaster = Number(readFileSync(file, "utf8").split("\n", 1)[0]);
    const children = Bun.spawnSync(["ps", "-o", "pid=", "--ppid", String(postmaster)]).stdout.toString();
    return [
      postmaster,
      ...children
        .split("\n")
        .map(Number)
        .filter((pid) => pid > 0),
    ];
  }

  private signal(name: NodeJS.Signals): void {
    for (const pid of this.pids()) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** kill -9 of everything. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.process?.exited;
  }

  /** An orderly, fast stop: connections are told. */
  async stop(): Promise<void> {
    const [postmaster] = this.pids();
    if (postmaster !== undefined) process.kill(postmaster, "SIGINT");
    await this.process?.exited;
  }

  /** SIGSTOP: connections stay, new ones are taken by the system, and nobody answers. */
  freeze(): void {
    this.signal("SIGSTOP");
  }

  thaw(): void {
    this.signal("SIGCONT");
    // runuser stops with what it runs.
    this.process?.kill("SIGCONT");
  }

  async remove(): Promise<void> {
    this.thaw();
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
