// The servers that are measured: ours, and the peers that /work/shared/bench knows how to run. All are pinned to one
// core, what drives them to the other.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { DEFAULT_TEXT } from "../../core/config/default.ts";
import { BinaryServer, freePort, residentBytes } from "../support/binary.ts";
import { pool } from "../support/config-text.ts";
import type { OwnPostgres } from "../support/own_postgres.ts";

const root = join(import.meta.dir, "../..");

/** Where xmppload and run-peers.sh are. */
export const benchDir = process.env["BENCH_DIR"] ?? join(root, "../shared/bench");
export const SERVER_CPU = 0;
export const GENERATOR_CPU = 1;

/** A measurement as xmppload prints it, and what our own steps add. Which members are there depends on the step. */
export interface Row {
  peer: string;
  step: string;
  scenario: string;
  readonly measured?: { readonly delivered_per_s: number; readonly results_per_s?: number };
  readonly latency_us?: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max?: number };
  readonly lost?: number;
  readonly duplicated?: number;
  readonly out_of_order?: number;
  readonly login?: {
    readonly ok: number;
    readonly failed: number;
    readonly per_s: number;
    readonly cpu_us_per_login?: number;
    readonly time_us?: { readonly p50: number; readonly p99: number };
  };
  readonly server?: {
    readonly cpu_us_per_delivered?: number;
    readonly cpu_util?: number;
    readonly rss_per_conn?: number;
    readonly rss_per_conn_end?: number;
  };
  readonly generator?: { readonly cpu_util: number };
  readonly other_cpu_util?: number;
  readonly alive_after_hold?: number;
  readonly listening_ms?: number;
  readonly rss_at_rest?: number;
  /** Round trips of pings while something else went on. */
  stall?: { readonly pings: number; readonly p99_ms: number; readonly max_ms: number };
  domains_per_minute?: number;
}

/** Runs a program on the generator's core, or on any when `free`; gives what it wrote to stdout. */
export async function generate(
  words: readonly string[],
  env: Record<string, string> = {},
  free = false,
): Promise<string> {
  const child = Bun.spawn(free ? [...words] : ["taskset", "-c", String(GENERATOR_CPU), ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...env },
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0)
    throw new Error(`${words.join(" ")}: ${err.trim().split("\n").slice(-5).join(" | ")}`);
  return out;
}

/** The JSON line that a program ends with. */
export function lastLine(out: string): Omit<Row, "peer" | "step"> {
  const line = out.trim().split("\n").at(-1) ?? "";
  return JSON.parse(line) as Omit<Row, "peer" | "step">;
}

export interface Target {
  readonly name: string;
  /** Measures with xmppload on a freshly started server whose accounts are there. */
  load(step: string, scenario: string, args: readonly string[], options?: LoadOptions): Promise<Row>;
  /** Starts it anew with `accounts` accounts user0.. and without anything that they kept. */
  fresh(accounts: number): Promise<{ readonly port: number; readonly pid: number }>;
  /** Milliseconds to listening and bytes at rest, of a server that has been started before. */
  cold(restSeconds: number): Promise<Row>;
  stop(): Promise<void>;
}

export interface LoadOptions {
  /** How passwords are kept; default "plain". */
  readonly auth?: "plain" | "hashed";
  /** Over STARTTLS. */
  readonly tls?: boolean;
  /** With an archive of both ends: in the peer's plainest store, or in one of SQL. */
  readonly archive?: "plain" | "sql";
  /** The process as it runs is measured, rather than a fresh one. Peers only. */
  readonly running?: boolean;
}

const clientsOf = (args: readonly string[]): number => {
  const of = (name: string): number => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : 0);
  return of("--first") + (of("--clients") || 100);
};

export interface OurVariant {
  readonly auth: "plain" | "hashed";
  /** The one static domain; absent: domains are made at run time. */
  readonly host?: string;
  /** More of the configuration. */
  readonly more?: string;
}

/** Our executable with the default features, on a state directory of its own for each variant. */
export class Ours implements Target {
  readonly name = "ours";
  private readonly base = mkdtempSync(join(tmpdir(), "mongooseim-bench-"));
  private readonly accounts = new Map<string, number>();
  private server: BinaryServer | undefined = undefined;
  private key = "";
  private readonly ports: { plain: number; tls: number; ws: number };

  private constructor(ports: { plain: number; tls: number; ws: number }) {
    this.ports = ports;
  }

  /** Archives on, a door on `port`: for a state directory that was filled before. */
  static async lookupConfig(port: number, pgsqlPort?: number): Promise<string> {
    const ports = { plain: port, tls: await freePort(), ws: await freePort() };
    return ourConfig({ auth: "plain", host: "localhost", more: archiveConfig(pgsqlPort) }, ports);
  }

  static async make(): Promise<Ours> {
    return new Ours({ plain: await freePort(), tls: await freePort(), ws: await freePort() });
  }

  get port(): number {
    return this.ports.plain;
  }
  get pid(): number {
    return this.server!.pid;
  }
  get url(): string {
    return `ws://127.0.0.1:${this.ports.ws}/ws-xmpp`;
  }
  get controlSocket(): string {
    return join(this.server!.stateDir, "control.sock");
  }

  /** A fresh process on the variant's data; gives the milliseconds until it listened. */
  async restart(variant: OurVariant): Promise<number> {
    await this.stop();
    this.key = `${variant.auth}-${variant.host ?? "dynamic"}`;
    if (variant.more !== undefined) this.key += "-more";
    const stateDir = join(this.base, this.key);
    mkdirSync(stateDir, { recursive: true });
    this.server = new BinaryServer({
      config: ourConfig(variant, this.ports),
      port: this.ports.plain,
      stateDir,
      cpu: SERVER_CPU,
    });
    return this.server.start();
  }

  /** Makes user0 .. user(n-1) of a domain, those that are not there yet. */
  async register(n: number, domain = "localhost"): Promise<void> {
    const key = `${this.key}/${domain}`;
    const have = this.accounts.get(key) ?? 0;
    if (have >= n) return;
    const first = ["--first", String(have), "--clients", String(n - have), "--settle", "0"];
    await generate([join(benchDir, "xmppload"), "register", ...this.where(domain, this.ports.plain), ...first]);
    this.accounts.set(key, n);
  }

  private where = (domain: string, port: number): string[] => ["--port", String(port), "--domain", domain];

  async load(step: string, scenario: string, args: readonly string[], options: LoadOptions = {}): Promise<Row> {
    const variant: OurVariant = {
      auth: options.auth ?? "plain",
      host: "localhost",
      more: options.archive === undefined ? undefined : archiveConfig(),
    };
    await this.restart(variant);
    const n = clientsOf(args);
    if ((this.accounts.get(`${this.key}/localhost`) ?? 0) < n) {
      await this.register(n);
      await this.restart(variant);
    }
    return this.drive(step, scenario, args, "localhost", options.tls === true);
  }

  /** Measures the server as it runs. */
  async drive(step: string, scenario: string, args: readonly string[], domain: string, tls = false): Promise<Row> {
    const where = this.where(domain, tls ? this.ports.tls : this.ports.plain);
    const words = [join(benchDir, "xmppload"), scenario, ...where, "--pid", String(this.pid), ...args];
    return { peer: this.name, step, ...lastLine(await generate(tls ? [...words, "--tls"] : words)) };
  }

  async fresh(accounts: number): Promise<{ port: number; pid: number }> {
    await this.stop();
    rmSync(join(this.base, "plain-localhost"), { recursive: true, force: true });
    this.accounts.delete("plain-localhost/localhost");
    await this.restart({ auth: "plain", host: "localhost" });
    await this.register(accounts);
    await this.restart({ auth: "plain", host: "localhost" });
    return { port: this.port, pid: this.pid };
  }

  async cold(restSeconds: number): Promise<Row> {
    const ms = await this.restart({ auth: "plain", host: "localhost" });
    await Bun.sleep(restSeconds * 1000);
    return {
      ...{ peer: this.name, step: "cold", scenario: "cold" },
      ...{ listening_ms: Math.round(ms), rss_at_rest: residentBytes(this.pid) },
    };
  }

  async stop(): Promise<void> {
    await this.server?.stop();
    this.server = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** Archives of users, in the embedded store or in a PostgreSQL of a test's own. */
export const archiveConfig = (pgsqlPort?: number): string => `
[modules.mod_mam.pm]
${pgsqlPort === undefined ? "" : pool({ ...POSTGRES, port: pgsqlPort })}`;

const POSTGRES = {
  driver: "pgsql" as const,
  host: "127.0.0.1",
  database: "postgres",
  username: "mongooseim",
  password: "mongooseim",
  workers: 4,
};

/** The features that are on without a configuration file. */
const MODULES = [...DEFAULT_TEXT.matchAll(/^\[modules\.\w+\]$/gm)].join("\n");

const ourConfig = (
  { auth, host, more = "" }: OurVariant,
  ports: { plain: number; tls: number; ws: number },
): string => `
[general]
  ${host === undefined ? 'host_types = ["main"]' : `hosts = ["${host}"]`}
  default_server_domain = "${host ?? "d0.example"}"
  loglevel = "warning"
  registration_timeout = "infinity"

[[listen.c2s]]
  port = ${ports.plain}
  ip_address = "127.0.0.1"
  max_stanzas_per_second = "infinity"

[[listen.c2s]]
  port = ${ports.tls}
  max_stanzas_per_second = "infinity"
  ip_address = "127.0.0.1"
  tls.mode = "starttls"
  tls.verify_mode = "none"

[[listen.http]]
  port = ${ports.ws}
  ip_address = "127.0.0.1"
  transport.max_connections = "infinity"

  [[listen.http.handlers.mongoose_websocket_handler]]
    host = "_"
    path = "/ws-xmpp"

[auth]
  methods = ["internal"]
  ${auth === "plain" ? 'password.format = "plain"' : 'password.format = "scram"\n  password.hash = ["sha256"]'}

  [auth.internal]

${host === undefined ? "[services.service_domain_db]" : ""}

${MODULES}
${more}

[access]
  register = [{acl = "all", value = "allow"}]
`;

/** A peer of run-peers.sh. */
export class Peer implements Target {
  private readonly base = mkdtempSync(join(tmpdir(), "peers-"));
  private scripts = join(benchDir, "peers");
  private folder: string;
  private readonly more: Record<string, string> = {};

  private constructor(
    readonly name: string,
    private readonly port: number,
  ) {
    this.folder = name;
  }

  static async make(name: string): Promise<Peer> {
    return new Peer(name, await freePort());
  }

  /** With its archive in a PostgreSQL, the CPU of which is counted as the peer's. */
  static async onPostgres(name: string, postgres: OwnPostgres): Promise<Peer> {
    const peer = await Peer.make(name);
    peer.folder = `${name}-pgsql`;
    const scripts = join(peer.base, "scripts");
    cpSync(peer.scripts, scripts, { recursive: true });
    symlinkSync(join(benchDir, "xmppload"), join(peer.base, "xmppload"));
    mkdirSync(join(scripts, peer.folder));
    cpSync(join(import.meta.dir, "peers", `${peer.folder}.sh`), join(scripts, peer.folder, "peer.sh"));
    peer.scripts = scripts;
    Object.assign(peer.more, { PGSQL_PORT: String(postgres.port), PGSQL_PID: String(postgres.pid) });
    if (name === "ejabberd") {
      const sql = new SQL(postgres.url());
      await sql.unsafe(readFileSync("/usr/share/ejabberd/sql/pg.sql", "utf8"));
      await sql.close();
    }
    return peer;
  }

  private async script(words: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const child = Bun.spawn([join(this.scripts, "run-peers.sh"), ...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: {
        ...process.env,
        ...{ PIN: "1", SERVER_CPU: String(SERVER_CPU), GEN_CPU: String(GENERATOR_CPU) },
        ...{ XMPP_PORT: String(this.port), PEERS_DIR: this.base, ...this.more, ...env },
      },
    });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    if ((await child.exited) !== 0) {
      throw new Error(`run-peers.sh ${words.join(" ")}: ${err.trim().split("\n").slice(-5).join(" | ")}`);
    }
    return out;
  }

  async load(step: string, scenario: string, args: readonly string[], options: LoadOptions = {}): Promise<Row> {
    const mam = options.archive === undefined ? "off" : options.archive === "sql" ? "sql" : "on";
    const env = { RESTART: options.running === true ? "0" : "1", AUTH: options.auth ?? "plain", MAM: mam };
    const words = [this.folder, scenario, ...args, ...(options.tls ? ["--tls"] : [])];
    return { ...lastLine(await this.script(words, env)), peer: this.name, step };
  }

  async fresh(accounts: number): Promise<{ port: number; pid: number }> {
    await this.script(["clean", this.folder]);
    await this.script(["start", this.folder]);
    await generate([
      ...[join(benchDir, "xmppload"), "register", "--port", String(this.port), "--domain", "localhost"],
      ...["--clients", String(accounts), "--settle", "0"],
    ]);
    const pid = Number(await this.script(["pid", this.folder]));
    return { port: this.port, pid };
  }

  async cold(restSeconds: number): Promise<Row> {
    await this.script(["start", this.folder], { KEEP: "1" });
    const out = await this.script(["cold", this.folder], { KEEP: "1", REST: String(restSeconds) });
    return { ...lastLine(out), peer: this.name, step: "cold" };
  }

  async stop(): Promise<void> {
    await this.script(["stop", this.folder]);
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.base, { recursive: true, force: true });
  }
}
