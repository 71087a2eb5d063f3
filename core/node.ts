// A node: one server's whole state. Nothing of a server is a module-level variable, so several run in one process.

import { createHash, randomBytes } from "node:crypto";
import { Access } from "./access/access.ts";
import { AddressLimits } from "./address-limits.ts";
import { openHostAuth, PasswordHasher } from "./auth/index.ts";
import { RemovalStore } from "./auth/store.ts";
import { Arrivals } from "./c2s/arrivals.ts";
import type { StreamCounters, StreamEngine, StreamHost } from "./c2s/engine.ts";
import type { C2S } from "./c2s/stream.ts";
import type { Config } from "./config/index.ts";
import { Domains } from "./domain/domains.ts";
import { Services } from "./domain/services.ts";
import { DomainStore } from "./domain/store.ts";
import { unusedStores } from "./elsewhere.ts";
import { type StanzaError, StreamError } from "./errors.ts";
import type { HookObserver, MaybePromise } from "./hooks.ts";
import { HostRuntime, newCounters } from "./host.ts";
import { type BareJid, type FullJid, type Jid, JidCache, makeBare } from "./jid.ts";
import type { Log } from "./log/index.ts";
import { MessageIds } from "./message-ids.ts";
import { Registry } from "./metrics/registry.ts";
import type { AnyModule, HostType, PersonalStore, Server, Session } from "./module.ts";
import { observeAuth } from "./node-metrics.ts";
import type { OperationNode } from "./operations.ts";
import { LOOK_MS, QuietCollector } from "./quiet.ts";
import { Removal } from "./removal.ts";
import { Retention } from "./retention/cleaner.ts";
import { Router } from "./router/router.ts";
import { SessionDirectory } from "./session/directory.ts";
import { Shaper } from "./shaper.ts";
import type { Stanza } from "./stanza.ts";
import { logOf } from "./storage/away.ts";
import type { Db } from "./storage/db.ts";
import { MessageIdStore } from "./storage/message-ids.ts";
import type { Pools } from "./storage/pools.ts";
import { UnderWay } from "./under-way.ts";
import { Wheel } from "./wheel.ts";
import { ScanPool, viewText } from "./xml/framer.ts";
import type { Markup } from "./xml/markup.ts";
import { Scratch } from "./xml/writer.ts";

export interface NodeOptions {
  config: Config;
  /** The features of this build, by name. */
  modules: ReadonlyMap<string, AnyModule>;
  /** The embedded store, and the databases of outgoing_pools.rdbms. */
  pools: Pools;
  log: Log;
  version: string;
  /** Name in the cluster and in operations. */
  name?: string;
  /** Keys made-up salts; the same after a restart. */
  saltSecret: Uint8Array;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** See `Server.steady`; `now` when that alone is given. */
  steady?: () => number;
}

/** How long the server's end waits for what its sessions still do, in ms. */
const LAST_PATIENCE = 5_000;

export class Node implements StreamEngine, Server {
  readonly config: Config;
  readonly log: Log;
  readonly version: string;
  readonly name: string;
  readonly scratch = new Scratch();
  readonly scans = new ScanPool();
  readonly jids = new JidCache(20_000);
  readonly sessions = new SessionDirectory<C2S>();
  readonly waiting = new Set<C2S>();
  readonly parting = new Set<C2S>();
  readonly endings = new UnderWay();
  readonly arrivals = new Arrivals();
  readonly underWay = new UnderWay();
  readonly resumable = new Map<string, C2S>();
  readonly counters: StreamCounters = newCounters();
  readonly traffic = { tcp: { in: 0, out: 0 }, tls: { in: 0, out: 0 }, websocket: { in: 0, out: 0 } };
  readonly registry = new Registry();
  readonly pools: Pools;
  readonly hosts = new Map<string, HostRuntime>();
  readonly wheel: Wheel;
  readonly addresses = new AddressLimits(() => this.now());
  readonly router: Router;
  readonly domains: Domains<HostRuntime>;
  /** Features' own domains. */
  readonly services: Services<HostRuntime>;
  /** Where dynamic domains and their administrators are kept. */
  readonly domainStore: DomainStore | undefined;
  readonly retention: Retention;
  readonly hasher: PasswordHasher;
  private readonly removal: Removal;
  private readonly ids: MessageIds;
  readonly language: string;
  readonly defaultDomain: string;
  readonly hidden: boolean;
  readonly replacedWait: number;
  readonly startedAt: number;
  draining = false;
  /** Set by the process around the node. */
  operations: OperationNode | undefined = undefined;
  /** Host (and port) that clients are sent to when this server stops; undefined for none. */
  refuge: string | undefined = undefined;
  private sid = 0;
  private readonly expected = new Map<string, (answer: Stanza | undefined) => void>();
  private readonly clock: () => number;
  /** See `Server.steady`. */
  readonly steady: () => number;

  constructor(private readonly options: NodeOptions) {
    const { config, log } = options;
    this.config = config;
    this.log = log;
    this.version = options.version;
    this.name = options.name ?? "mongooseim@localhost";
    this.clock = options.now ?? Date.now;
    this.steady = options.steady ?? options.now ?? (() => performance.now());
    this.startedAt = this.steady();
    this.language = config.general.language;
    this.defaultDomain = config.general.default_server_domain;
    this.hidden = config.general.hide_service_name;
    this.replacedWait = config.general.replaced_wait_timeout;
    this.wheel = new Wheel(this.steady, (error) => log.error("timer_failed", { error }));
    this.pools = options.pools;
    this.removal = new Removal(this, new RemovalStore(options.pools.embedded));
    this.ids = this.makeIds();
    this.hasher = new PasswordHasher({ concurrency: 2 });
    this.services = new Services((domain) => this.domains.lookup(domain));
    const hosted = (domain: string): boolean => this.domains.lookup(domain) !== undefined;
    for (const hostType of config.hostTypes) this.hosts.set(hostType, this.makeHost(hostType, hosted));
    const domainPool = config.services.service_domain_db?.db_pool;
    const domainDb = domainPool === undefined ? undefined : this.pools.named(domainPool, config.hostTypes);
    this.domainStore = domainDb === undefined ? undefined : new DomainStore(domainDb);
    this.domains = new Domains<HostRuntime>(
      this.hosts,
      config.general.hosts,
      this.domainStore,
      {
        closed: (domain) => this.removal.closeDomain(domain),
        removed: (domain, host) => this.removal.eraseDomain(domain, host),
      },
      log,
    );
    this.retention = new Retention({
      config: config.retention,
      hosts: () => this.hosts.values(),
      domainsOf: (hostType) => this.domains.ofHostType(hostType),
      stats: () => [...this.pools.databases()].map((db) => db.stats()),
      now: () => this.now(),
      steady: () => this.steady(),
      after: (ms, run) => this.wheel.after(ms, run),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      registry: this.registry,
      log,
    });
    this.router = new Router({
      sessions: this.sessions,
      arrivals: this.arrivals,
      log,
      hostOf: (domain) => this.domains.lookup(domain),
      serviceOf: (domain) => this.services.find(domain),
      accountExists: (host, jid) => this.accountExists(host as HostRuntime, jid),
      answered: (session, stanza) => this.answered(session, stanza),
      foreign: () => false,
    });
  }

  /** Ids of messages are told apart by a number in the database that servers share, when there is one. */
  private makeIds(): MessageIds {
    const { saltSecret } = this.options;
    const { cets } = this.config.internal_databases;
    const shared = this.pools.shared();
    const installation = createHash("sha256").update("node").update(saltSecret).digest("hex").slice(0, 12);
    return new MessageIds({
      store: new MessageIdStore(shared ?? this.db("rdbms"), `${cets?.cluster_name ?? "mongooseim"}-ids`),
      shared: shared !== undefined,
      node: `${this.name}/${installation}`,
      log: this.log,
      now: () => this.now(),
      token: (bytes) => this.token(bytes),
      after: (ms, run) => this.after(ms, run),
    });
  }

  private makeHost(hostType: string, hosted: (domain: string) => boolean): HostRuntime {
    const { log } = this;
    const config = this.config.forHostType(hostType);
    const observer: HookObserver = {
      failed: (hook, module, error) => {
        logOf(log, `hook_failed ${module}`, error)?.error("hook_failed", { hook, module, host_type: hostType, error });
      },
      late: (hook, module) => log.error("hook_timed_out", { hook, module, host_type: hostType }),
      after: (ms, run) => this.wheel.after(ms, run),
    };
    const auth = openHostAuth(hostType, config.auth, {
      hasher: this.hasher,
      saltSecret: this.options.saltSecret,
      observe: observeAuth(this.registry, hostType),
      random: (n) => this.random(n),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      online: (local, domain) => this.sessions.raw(`${local}@${domain}`) !== undefined,
      internalDb: this.pools.embedded,
      rdbms: this.db("rdbms", hostType),
      passwordChanged: (local, domain) => host.hooks.insist("password_changed", { jid: makeBare(local, domain) }),
      report: (error) => log.limited("auth_report", 10)?.error("account_unreadable", { error }),
    });
    const host = new HostRuntime({
      config,
      access: new Access(config.acl, config.access, hosted),
      auth,
      server: this,
      services: this.services,
      registry: this.registry,
      log,
      observer,
      db: (backend) => this.db(backend, hostType),
    });
    return host;
  }

  /** The database that a `backend` option names, for a host type or for the server: see `Pools.db`. */
  db(backend: string | undefined, hostType?: string): Db {
    return this.pools.db(backend, hostType);
  }

  /** Starts the features and takes the dynamic domains into service. */
  async start(): Promise<void> {
    this.wheel.start();
    await this.ids.start();
    for (const host of this.hosts.values()) await host.start(this.options.modules);
    await this.domains.load();
    await this.removal.resume();
    this.sweep();
    const { tcp, tls, websocket } = this.traffic;
    const quiet = new QuietCollector(
      () => tcp.in + tls.in + websocket.in,
      () => Bun.gc(true),
    );
    const look = (): void => {
      quiet.look();
      this.wheel.after(LOOK_MS, look);
    };
    this.wheel.after(LOOK_MS, look);
    if (this.domainStore) this.watchDomains();
    this.retention.start();
  }

  /** Ends every stream, tells why, and waits for what their ends do. */
  async stop(): Promise<void> {
    this.draining = true;
    const working: Promise<void>[] = [];
    for (const c2s of [...this.sessions, ...this.waiting]) {
      if (c2s.working !== undefined) working.push(c2s.worked());
      c2s.close(this.farewell(), "shutdown");
    }
    // What was being worked on, and what was not delivered, is in the database before that is closed.
    let patience: ReturnType<typeof setTimeout> | undefined;
    const enough = new Promise<void>((resolve) => {
      patience = setTimeout(resolve, LAST_PATIENCE);
    });
    const removed = this.removal.stop();
    await Promise.race([enough, Promise.all(working).then(() => Promise.all([this.endings.settled(), removed]))]);
    clearTimeout(patience);
    this.removal.end();
    await this.retention.stop();
    for (const host of this.hosts.values()) await host.stop();
    await this.ids.stop();
    this.wheel.stop();
  }

  farewell(): StreamError {
    return this.refuge === undefined
      ? new StreamError("system-shutdown")
      : new StreamError("see-other-host", undefined, this.refuge);
  }

  /** Ends streams that are too slow to get a session (`state_timeout`). One look a second for all of them. */
  private sweep(): void {
    const now = this.steady();
    for (const c2s of this.waiting) {
      // While we are the slow ones the peer's time does not run: its answer will say what is wrong.
      if (c2s.working !== undefined) continue;
      if (c2s.nego !== undefined && now - c2s.nego.since > c2s.options.stateTimeout) {
        c2s.fail(new StreamError("connection-timeout"));
      }
    }
    this.wheel.after(1000, () => this.sweep());
  }

  private watchDomains(): void {
    const service = this.config.services.service_domain_db!;
    const look = (): void => {
      this.domains
        .refresh()
        .catch((error: unknown) => this.log.limited("domains", 60)?.error("domain_refresh_failed", { error }));
      this.wheel.after(30_000, look);
    };
    this.wheel.after(30_000, look);
    // Events are kept as long as the option says, for nodes that were away; then those of the last round go.
    let old = 0;
    const clean = (): void => {
      const upTo = old;
      const next = this.domainStore!.lastEvent().then((id) => {
        old = id;
        // The newest stays: a node that was away sees by its number that others are gone.
        return upTo > 0 ? this.domainStore!.forgetEvents(Math.min(upTo, id - 1)) : undefined;
      });
      next.catch((error: unknown) => this.log.error("domain_event_cleaning_failed", { error }));
      this.wheel.after(Math.max(service.event_cleaning_interval, service.event_max_age) * 1000, clean);
    };
    this.wheel.after(service.event_cleaning_interval * 1000, clean);
  }

  // --- StreamEngine and Server ----------------------------------------------------------------------------------------

  now(): number {
    return this.clock();
  }

  random(bytes: number): Uint8Array {
    return randomBytes(bytes);
  }

  token(bytes: number): string {
    return randomBytes(bytes).toString("hex");
  }

  nextSid(): number {
    return ++this.sid;
  }

  /** See `MessageIds`. */
  messageId(): bigint {
    return this.ids.next();
  }

  tick(): number {
    return this.ids.tick();
  }

  unusedStores(): Iterable<PersonalStore> {
    return unusedStores(this.options.modules.values(), this.pools.ofFeatures(), this.hosts);
  }

  hostOf(domain: string): HostRuntime | undefined {
    return this.domains.lookup(domain);
  }

  hostTypeOf(domain: string): HostRuntime | undefined {
    return this.domains.lookup(domain);
  }

  serviceOf(domain: string): ReturnType<Server["serviceOf"]> {
    const found = this.services.find(domain);
    return found && { module: found.entry.module, host: found.entry.host, at: found.at };
  }

  /** A bucket of the shaper `name`, an entry of the `shaper` section. */
  shaper(name: string): Shaper | undefined {
    const rate = this.config.shaper[name]?.max_rate;
    return rate === undefined ? undefined : new Shaper(rate);
  }

  route(stanza: Stanza): MaybePromise<void> {
    return this.router.route(stanza);
  }

  deliver(stanza: Stanza, host: HostType | undefined): MaybePromise<void> {
    return this.router.deliver(stanza, host as HostRuntime | undefined);
  }

  reroute(stanza: Stanza): MaybePromise<void> {
    return this.router.reroute(stanza);
  }

  routeXml(from: Jid, to: Jid, markup: Markup): MaybePromise<void> {
    const stanza = viewText(markup.text);
    stanza.from = from;
    stanza.to = to;
    return this.router.route(stanza);
  }

  passes(stanza: Stanza, host: HostType): MaybePromise<boolean> {
    return this.router.passes(stanza, host as HostRuntime);
  }

  bounce(stanza: Stanza, error: StanzaError): MaybePromise<void> {
    return this.router.bounce(stanza, error);
  }

  sessionsOf(jid: BareJid): readonly C2S[] {
    return this.sessions.of(jid.text);
  }

  session(jid: FullJid): C2S | undefined {
    return this.sessions.get(jid);
  }

  after(ms: number, run: () => void): () => void {
    return this.wheel.after(ms, run);
  }

  expect(session: Session, id: string, timeoutMs: number): Promise<Stanza | undefined> {
    const key = `${session.sid}:${id}`;
    return new Promise((resolve) => {
      const cancel = this.wheel.after(timeoutMs, () => {
        this.expected.delete(key);
        resolve(undefined);
      });
      this.expected.set(key, (answer) => {
        cancel();
        this.expected.delete(key);
        resolve(answer);
      });
    });
  }

  answered(session: Session, stanza: Stanza): boolean {
    const waiting = stanza.id === undefined ? undefined : this.expected.get(`${session.sid}:${stanza.id}`);
    waiting?.(stanza);
    return waiting !== undefined;
  }

  private accountExists({ auth, accountCache }: HostRuntime, jid: BareJid): MaybePromise<boolean> {
    if (this.sessions.raw(jid.text) !== undefined || accountCache?.has(jid.text)) return true;
    const exists = auth.exists(jid.local, jid.domain);
    if (accountCache === undefined) return exists;
    const { removals } = accountCache;
    return exists.then((there) => {
      if (there && accountCache.removals === removals) accountCache.add(jid.text);
      return there;
    });
  }

  forgetAnonymous(jid: BareJid, { name }: StreamHost): Promise<void> {
    return this.removal.forgetAnonymous(jid, this.hosts.get(name));
  }

  removeUser(jid: BareJid, removed?: () => void, asking?: Session): Promise<boolean> {
    return this.removal.removeUser(jid, removed, asking);
  }
}
