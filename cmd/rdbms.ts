// From outgoing_pools.rdbms to open databases.

import { isIP } from "node:net";
import { dirname, isAbsolute, join, normalize } from "node:path";
import type { SecureContextOptions } from "node:tls";
import type { Config } from "../core/config/index.ts";
import type { Log } from "../core/log/index.ts";
import { type Db, type DbCalls, StorageError } from "../core/storage/db.ts";
import { openStorage } from "../core/storage/index.ts";
import type { MigrationRun } from "../core/storage/migrations/runner.ts";
import type { MysqlOptions } from "../core/storage/mysql/client.ts";
import type { ServerChange } from "../core/storage/patience.ts";
import type { PgsqlOptions } from "../core/storage/pgsql.ts";
import { type Pool, Pools, poolOfDomains } from "../core/storage/pools.ts";
import { openSqlite } from "../core/storage/sqlite/client.ts";
import { DAMAGE_ADVICE } from "../core/storage/sqlite/damage.ts";
import { loadPair } from "../core/tls/pair.ts";
import { readContextOptions } from "../core/tls/settings.ts";
import type { Elsewhere } from "../transports/control/paths.ts";

/** The file of the embedded store, in the state directory. */
const EMBEDDED = "mongooseim.db";

type PoolOptions = NonNullable<Config["outgoing_pools"]["rdbms"]>[string];

/** A pool as configured. */
interface Plan extends Pick<Pool, "tag" | "hostType"> {
  /** Its place in the file. */
  readonly key: string;
  readonly options: Omit<PoolOptions, "scope">;
}

export interface OpenOptions {
  stateDir: string;
  log: Log;
  /**
   * How long a database that does not answer is tried again before the start is given up, in ms; default one minute.
   * MongooseIM tries eight times with growing pauses, up to max_start_interval, and then does not start either. A database
   * that starts together with the server gets its time so; whoever supervises us starts us again after that.
   */
  patienceMs?: number;
}

const PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 250;
/** 24 days: what timers and databases can wait. A timer that is set to more runs at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Opens the embedded store and every pool that is configured, whether a feature asks for it or not, as MongooseIM starts
 * them: their users want to see in metrics and in the log that they work. Each database is brought up to date once,
 * however many pools lead to it. Rejects with one line when one cannot be used: to serve an empty one in its place would
 * look like the loss of all accounts.
 */
export async function openPools(config: Config, options: OpenOptions): Promise<Pools> {
  const { stateDir, log } = options;
  const problem = domainPoolProblem(config);
  if (problem !== undefined) throw new Error(problem);
  const embedded = await openStorage({ stateDir, sqlite: told(log, EMBEDDED) }, onChange(log, EMBEDDED));
  const opened = new Set<Db>([embedded]);
  try {
    return await new Opener(config, options, embedded, opened).openAll();
  } catch (error) {
    for (const db of opened) await db.close();
    throw error;
  }
}

/** What the log has of a file; that requests find it damaged once a minute: everything that is not touched is served on. */
const told = (log: Log, file: string) => ({
  damaged: (reason: string) =>
    log.limited(`damage ${file}`, 60)?.critical("database_damaged", { file, reason, advice: DAMAGE_ADVICE }),
  changed: onAbsence(log, { file }),
});

/** Tells that a database is away, and back. */
const onAbsence =
  (log: Log, fields: Readonly<Record<string, string | number | undefined>>) =>
  ({ up, error, awayMs }: ServerChange): void => {
    if (up) log.notice("database_back", { ...fields, away_ms: awayMs });
    else log.error("database_lost", { ...fields, error: error?.message });
  };

/** Tells what is done to a database that is brought up to date: in a large table it takes its time, and nobody else can write. */
const onChange =
  (log: Log, database: string) =>
  ({ id, name }: MigrationRun): void =>
    log.warning("database_upgrade", { database, step: id, name });

/** Databases that the server uses beside those in its state directory, which backups have. */
export function databasesElsewhere(config: Config): Elsewhere[] {
  // A backup has what is in the directory itself, and looks into no other.
  const inside = ({ driver, database }: PoolOptions["connection"]): boolean =>
    driver === "sqlite" && (database === undefined || dirname(normalize(database)) === ".");
  return plans(config).flatMap(({ key, options: { connection } }) => {
    const { driver, database } = connection;
    return inside(connection) ? [] : [{ name: key, driver, ...(database === undefined ? {} : { database }) }];
  });
}

/** A database of a configuration, to look at or to bring up to date while no server need run. */
export interface Target {
  /** Its pool's place in the file, or "embedded database". */
  readonly name: string;
  /** Where it is. */
  readonly place: string;
  /** The file, when it is one. */
  readonly file?: string;
  /** Opens it as it is. */
  open(): Promise<Db>;
}

/**
 * Every database of a configuration once, however many pools lead to it, the embedded one first; without a
 * configuration that is all there is.
 */
export function databases(config: Config | undefined, stateDir: string, log: Log): Target[] {
  const found = new Map<string, Target>();
  const add = (name: string, file: string): void => {
    if (!found.has(file)) found.set(file, { name, place: file, file, open: () => openSqlite({ file }) });
  };
  add("embedded database", join(stateDir, EMBEDDED));
  for (const plan of config === undefined ? [] : plans(config)) {
    const { connection } = plan.options;
    const { driver, database = "" } = connection;
    if (driver === "sqlite") {
      if (database !== "") add(plan.key, isAbsolute(database) ? database : join(stateDir, database));
      continue;
    }
    const place = `${connection.host}:${connection.port}/${database}`;
    if (found.has(place)) continue;
    const open = driver === "mysql" ? openMysql : openPgsql;
    found.set(place, { name: plan.key, place, open: async () => open(optionsOf(plan, log)) });
  }
  return [...found.values()];
}

/** Files that cannot be used are a problem of this database alone. */
function optionsOf(plan: Plan, log: Log): PgsqlOptions {
  try {
    return unhurried(serverOptions(plan, log));
  } catch (cause) {
    throw new StorageError("syntax", (cause as Error).message, { cause });
  }
}

/** A change of a large table takes the time it takes. */
const unhurried = (options: PgsqlOptions): PgsqlOptions => ({
  ...options,
  changed: undefined,
  calls: undefined,
  keepAliveMs: undefined,
  poolSize: 1,
  statementTimeoutMs: 0,
  callTimeoutMs: Infinity,
});

/** The pools of a configuration, those of the whole server first. */
function plans(config: Config): Plan[] {
  const found: Plan[] = [];
  for (const [tag, options] of Object.entries(config.outgoing_pools.rdbms ?? {})) {
    if (options.scope !== "host_type") {
      found.push({ tag, hostType: undefined, options, key: `outgoing_pools.rdbms.${tag}` });
    }
  }
  for (const hostType of config.hostTypes) {
    const own = Object.entries(config.forHostType(hostType).outgoing_pools.rdbms ?? {});
    for (const [tag, options] of own) {
      if (options.scope !== "host_type") continue;
      const at = config.outgoing_pools.rdbms?.[tag] === options ? "" : `host_config of "${hostType}": `;
      found.push({ tag, hostType, options, key: `${at}outgoing_pools.rdbms.${tag}` });
    }
  }
  return found;
}

/** What is wrong when `services.service_domain_db.db_pool` names no pool. */
export function domainPoolProblem(config: Config): string | undefined {
  const name = config.services.service_domain_db?.db_pool;
  if (name === undefined || name === "global") return undefined;
  const { tag, hostType } = poolOfDomains(name, config.hostTypes);
  if (plans(config).some((plan) => plan.tag === tag && plan.hostType === hostType)) return undefined;
  return `Cannot use "${name}" as services.service_domain_db.db_pool: use "global", a host type with a pool "default" of its own, or the tag of a global pool of outgoing_pools.rdbms`;
}

class Opener {
  /** Databases whose tables have been looked after, and files that are open. */
  private readonly ready = new Map<string, Db | undefined>();
  private readonly until: number;

  constructor(
    private readonly config: Config,
    private readonly options: OpenOptions,
    private readonly embedded: Db,
    private readonly opened: Set<Db>,
  ) {
    this.until = performance.now() + (options.patienceMs ?? PATIENCE_MS);
  }

  async openAll(): Promise<Pools> {
    const all: Pool[] = [];
    for (const plan of plans(this.config)) {
      const { connection, workers } = plan.options;
      const { tag, hostType } = plan;
      const file = connection.driver === "sqlite";
      const place = file
        ? (connection.database ?? "embedded")
        : `${connection.host}:${connection.port}/${connection.database}`;
      const calls: DbCalls = {};
      const db = file ? await this.openFile(plan) : await this.openServer(plan, place, calls);
      this.opened.add(db);
      all.push({ tag, hostType, driver: connection.driver, place, workers: file ? 1 : workers, db, calls });
    }
    return new Pools(this.embedded, all);
  }

  /** SQLite's own lock lets one open a file once: its pools share it. */
  private async openFile({ options }: Plan): Promise<Db> {
    const { database } = options.connection;
    if (database === undefined) return this.embedded;
    const { stateDir, log } = this.options;
    const file = isAbsolute(database) ? normalize(database) : join(stateDir, database);
    if (file === join(stateDir, EMBEDDED)) return this.embedded;
    const open =
      this.ready.get(file) ??
      (await openStorage({ stateDir, file, sqlite: told(log, database) }, onChange(log, database)));
    this.ready.set(file, open);
    return open;
  }

  private async openServer(plan: Plan, place: string, calls: DbCalls): Promise<Db> {
    const { connection } = plan.options;
    const options: PgsqlOptions = { ...serverOptions(plan, this.options.log), calls };
    const mysql = connection.driver === "mysql";
    if (!this.ready.has(place)) {
      await this.patiently(plan, async () => {
        const at = mysql ? { mysql: mysqlOf(unhurried(options)) } : { pgsql: unhurried(options) };
        await (await openStorage(at, onChange(this.options.log, place))).close();
      });
      this.ready.set(place, undefined);
    }
    return this.patiently(plan, () => (mysql ? openMysql : openPgsql)(options));
  }

  /** Tries again while a database does not answer; what is wrong with the configuration is not waited for. */
  private async patiently<T>({ key, options }: Plan, open: () => Promise<T>): Promise<T> {
    const { log } = this.options;
    const longest = options.connection.max_start_interval * 1000;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, longest)) {
      try {
        return await open();
      } catch (error) {
        const left = this.until - performance.now();
        if (!(error instanceof StorageError) || error.code !== "unavailable" || isRefusal(error) || left <= 0)
          throw error;
        const wait = Math.min(pause, left);
        log.warning("database_not_reached", { pool: key, error: error.message, retry_ms: Math.round(wait) });
        await Bun.sleep(wait);
      }
    }
  }
}

/** What a server says that lets this user, this database or such a session not in: PostgreSQL's SQLSTATEs, and MySQL's names. */
const REFUSAL = /^(22|28|3D|42|ER_(ACCESS_DENIED|DBACCESS_DENIED|BAD_DB|HOST_NOT_PRIVILEGED)|AUTH_|HANDSHAKE_)/;

/** PgBouncer's words for a setting that it does not take; their SQLSTATE is that of all its words. */
const UNSUPPORTED = /^unsupported startup parameter/;

/** A server that answers, and lets this user, this database or such a session not in: waiting does not help. */
function isRefusal({ cause }: StorageError): boolean {
  if (!(cause instanceof Error) || !("code" in cause) || typeof cause.code !== "string") return false;
  return REFUSAL.test(cause.code) || UNSUPPORTED.test(cause.message);
}

/** Opens a database as it is. */
const openPgsql = async (options: PgsqlOptions): Promise<Db> =>
  (await import("../core/storage/pgsql.ts")).openPgsql(options);

const openMysql = async (options: PgsqlOptions): Promise<Db> =>
  (await import("../core/storage/mysql/client.ts")).openMysql(mysqlOf(options));

const mysqlOf = ({ ssl, ...rest }: PgsqlOptions): MysqlOptions => ({
  ...rest,
  ssl: typeof ssl === "object" ? ssl.options : ssl,
});

function serverOptions({ tag, hostType, key, options }: Plan, log: Log): PgsqlOptions {
  const { connection, workers, strategy, call_timeout, max_worker_queue_len } = options;
  const { host = "", port, database = "", username = "" } = connection;
  const { password, query_timeout, max_start_interval, keepalive_interval } = connection;
  const fields = { pool: tag, ...(hostType === undefined ? {} : { host_type: hostType }), host, port };
  return {
    host,
    port,
    database,
    username,
    password,
    ssl: tlsOf(connection, key, log),
    poolSize: workers,
    strategy,
    statementTimeoutMs: Math.min(query_timeout, LONGEST_MS),
    callTimeoutMs: Math.min(call_timeout, LONGEST_MS),
    // So many wait for each worker, beside the one that it works on.
    ...(max_worker_queue_len === undefined ? {} : { maxRequests: workers * (max_worker_queue_len + 1) }),
    maxPauseMs: max_start_interval * 1000,
    keepAliveMs: keepalive_interval && Math.min(keepalive_interval * 1000, LONGEST_MS),
    // Ids that count up by sequences, as in MongooseIM's tables, and not CockroachDB's own, which fill 64 bits.
    ...(connection.driver === "cockroachdb" ? { session: { serial_normalization: "sql_sequence" } } : {}),
    changed: onAbsence(log, fields),
  };
}

/**
 * TLS towards the database. MongooseIM goes on in clear text when it is not required and the server has none; so do we
 * when nothing is to be verified either, and refuse otherwise.
 */
function tlsOf({ driver, tls, host }: PoolOptions["connection"], key: string, log: Log): PgsqlOptions["ssl"] {
  if (tls === undefined) return false;
  // `required` is no option of MySQL, where a TLS table always means TLS.
  const optional = driver !== "mysql" && !tls.required;
  if (optional && tls.verify_mode === "none" && tls.certfile === undefined) return "prefer";
  if (driver === "mysql" && tls.verify_mode === "selfsigned_peer") {
    throw new Error(
      `Cannot use "selfsigned_peer" as ${key}.connection.tls.verify_mode: for MySQL use "peer", with the certificate itself as cacertfile`,
    );
  }
  const { options, notes } = readContextOptions(tls, `${key}.connection.tls`);
  for (const note of notes) log.notice("tls_option_without_effect", note);
  const own =
    tls.certfile === undefined || tls.keyfile === undefined
      ? {}
      : ownPair(tls.certfile, tls.keyfile, tls.password, key);
  const { enabled, host: name = host ?? "" } = tls.server_name_indication;
  return {
    optional: false,
    selfSigned: tls.verify_mode === "selfsigned_peer",
    options: {
      ...options,
      ...own,
      rejectUnauthorized: tls.verify_mode !== "none" && tls.disconnect_on_failure,
      host: name,
      // The extension knows no addresses (RFC 6066 §3).
      servername: enabled && isIP(name) === 0 ? name : "",
    },
  };
}

/** The server's own certificate towards the database. */
function ownPair(certfile: string, keyfile: string, password: string | undefined, key: string): SecureContextOptions {
  const source = { certfile, keyfile, key: `${key}.connection.tls` };
  const { chainPem, keyPem } = loadPair(password === undefined ? source : { ...source, password });
  return { cert: chainPem, key: keyPem, ...(password === undefined ? {} : { passphrase: password }) };
}
