// A host type at work: its features with their hooks, iq handlers and stores, its access rules and its accounts.

import type { Access } from "./access/access.ts";
import type { HostAuth } from "./auth/host.ts";
import type { ChannelOffer, StreamCounters, StreamHost } from "./c2s/engine.ts";
import type { HostConfig } from "./config/index.ts";
import { type Services, serviceAddress } from "./domain/services.ts";
import { type HookHandlers, type HookObserver, HookTable } from "./hooks.ts";
import type { Log } from "./log/index.ts";
import { Histogram } from "./metrics/instrument.ts";
import type { Registry } from "./metrics/registry.ts";
import type {
  AccountCache,
  AnyModule,
  Counter,
  MetricDef,
  ModuleContext,
  PersonalStore,
  RunningModule,
  Server,
} from "./module.ts";
import { IqTable } from "./router/iq.ts";
import type { Db } from "./storage/db.ts";
import { timeCalls } from "./store-metrics.ts";

export const newCounters = (): StreamCounters => ({
  messagesSent: 0,
  messagesReceived: 0,
  iqSent: 0,
  iqReceived: 0,
  presencesSent: 0,
  presencesReceived: 0,
  messageErrorsSent: 0,
  messageErrorsReceived: 0,
  iqErrorsSent: 0,
  iqErrorsReceived: 0,
  presenceErrorsSent: 0,
  presenceErrorsReceived: 0,
  othersSent: 0,
  othersReceived: 0,
  streamErrorsSent: 0,
  streamErrorsReceived: 0,
  logins: 0,
  logouts: 0,
  authFailures: 0,
  dropped: 0,
  bounced: 0,
  sizesIn: new Histogram(),
  sizesOut: new Histogram(),
  messageTimes: new Histogram(),
});

/** The names of a metric's labels, in the order in which it is declared with them. */
export const metricLabels = ({ labels }: MetricDef): string[] => [...Object.keys(labels ?? {}), "host_type"];

/** What a feature keeps about accounts, and where. */
interface Keeping {
  readonly db: Db;
  readonly store: PersonalStore;
}

/** What a host type's features are given to run on. */
export interface HostParts {
  config: HostConfig;
  access: Access;
  auth: HostAuth;
  server: Server;
  services: Services<HostRuntime>;
  registry: Registry;
  log: Log;
  observer: HookObserver;
  /** The database that a feature's `backend` option names. */
  db(backend: string | undefined): Db;
}

export class HostRuntime implements StreamHost {
  readonly name: string;
  readonly hooks: HookTable;
  readonly iqs = new IqTable();
  readonly access: Access;
  readonly auth: HostAuth;
  readonly counters = newCounters();
  readonly language: string;
  readonly registrationTimeout: number;
  accountCache: AccountCache | undefined = undefined;
  readonly offers = new Map<string, ChannelOffer>();
  /** What features keep, by their names. */
  readonly stores = new Map<string, Keeping>();
  private readonly running = new Map<string, RunningModule>();

  constructor(private readonly parts: HostParts) {
    this.name = parts.config.hostType;
    this.access = parts.access;
    this.auth = parts.auth;
    this.language = parts.config.general.language;
    this.registrationTimeout = parts.config.general.registration_timeout;
    this.hooks = new HookTable(parts.observer);
  }

  get modules(): ReadonlyMap<string, RunningModule> {
    return this.running;
  }

  get config(): HostConfig {
    return this.parts.config;
  }

  /** Starts the configured features, those that others need first. */
  async start(available: ReadonlyMap<string, AnyModule>): Promise<void> {
    const configured = withImplied(this.parts.config.modules as Readonly<Record<string, unknown>>, available);
    const started = new Set<string>();
    const start = async (name: string): Promise<void> => {
      const def = available.get(name);
      if (started.has(name) || def === undefined || configured[name] === undefined) return;
      started.add(name);
      for (const other of def.needs ?? []) {
        if (configured[other] === undefined) {
          throw new Error(`Cannot start modules.${name} for host type "${this.name}": it needs modules.${other} too`);
        }
        await start(other);
      }
      for (const other of def.uses ?? []) await start(other);
      await this.startModule(def, configured[name]);
    };
    for (const name of Object.keys(configured)) await start(name);
  }

  /** Starts one feature with a configuration that its schema has passed. */
  async startModule(def: AnyModule, config: unknown): Promise<void> {
    const { server, log } = this.parts;
    const backend = (config as { backend?: string }).backend;
    const db = this.parts.db(backend);
    const store: unknown = def.store?.(db);
    const ctx: ModuleContext = {
      config,
      store,
      metrics: this.metrics(def, store),
      host: this,
      server,
      log: log.child({ module: def.name, host_type: this.name }),
      now: () => server.now(),
    };
    if (backend !== undefined) timeCalls(def, ctx.store, backend, this.parts.registry, this.name);
    this.running.set(def.name, { def, ctx });
    const yields = def.yieldsTo?.some((name) => this.running.has(name));
    for (const [key, handler] of Object.entries((yields ? undefined : def.iq) ?? {})) {
      this.iqs.add(def.name, key, handler, ctx);
    }
    if (def.hooks) this.hooks.add(def.name, def.hooks, ctx);
    this.offers.clear();
    this.addServices(def, ctx);
    const personal = store as PersonalStore | undefined;
    if (personal !== undefined) {
      this.stores.set(def.name, { db, store: personal });
      // Removal and export are the same for every store, so no feature can forget to register them.
      this.hooks.add(
        def.name,
        {
          remove_user: { at: 60, run: ({ jid }) => personal.removeUser(jid) },
          remove_domain: { at: 60, run: ({ domain, deleted }) => personal.removeDomain(domain, deleted) },
          // An account that ends with its last session; features that have more to do about it do this themselves.
          anonymous_purge:
            def.hooks?.anonymous_purge === undefined
              ? { at: 60, run: ({ jid }) => personal.removeUser(jid) }
              : undefined,
          get_personal_data: async (acc, { jid }) => [...acc, ...(await personal.personalData(jid))],
        },
        ctx,
      );
    }
    await def.start?.(ctx);
  }

  /** The feature's own domains: found by routing, and named among the items of the domains above them. */
  private addServices(def: AnyModule, ctx: ModuleContext): void {
    for (const service of def.services ?? []) {
      const address = service.address(ctx.config);
      if (address === undefined) continue;
      this.parts.services.add(address, { module: def.name, host: this, def: service, ctx });
      if (service.listed === false) continue;
      const list: HookHandlers<ModuleContext> = {
        disco_local_items: (items, { to, node }) => {
          const jid = serviceAddress(address, to.domain);
          // A domain that is served is itself, whatever it is called.
          if (node === "" && ctx.server.hostTypeOf(jid) === undefined) items.push({ jid });
        },
      };
      this.hooks.add(def.name, list, ctx);
    }
  }

  /** Stops one feature: nothing of it is called any more. */
  async stopModule(name: string): Promise<void> {
    const module = this.running.get(name);
    if (!module) return;
    this.running.delete(name);
    this.stores.delete(name);
    this.hooks.remove(name);
    this.offers.clear();
    this.iqs.remove(name);
    this.parts.services.remove(name, this);
    await module.def.stop?.(module.ctx);
  }

  async stop(): Promise<void> {
    for (const name of [...this.running.keys()].reverse()) await this.stopModule(name);
  }

  private metrics(def: AnyModule, store: unknown): Record<string, Counter> {
    const bound: Record<string, Counter> = {};
    for (const [name, metric] of Object.entries(def.metrics ?? {})) {
      const { kind, help, read } = metric;
      const labels: Record<string, string> = { host_type: this.name };
      for (const [label, valueIn] of Object.entries(metric.labels ?? {})) labels[label] = valueIn(this.name);
      const names = metricLabels(metric);
      if (kind === "histogram") {
        const histogram = this.parts.registry.histogram(name, help, names).bind(labels);
        bound[name] = { add: (n = 1) => histogram.observe(n) };
      } else if (read !== undefined) this.parts.registry.gauge(name, help, names).probe(labels, () => read(store));
      else bound[name] = this.parts.registry[kind](name, help, names).bind(labels);
    }
    return bound;
  }
}

/** The configured features and those that they imply. */
function withImplied(
  given: Readonly<Record<string, unknown>>,
  available: ReadonlyMap<string, AnyModule>,
): Record<string, unknown> {
  const all: Record<string, unknown> = { ...given };
  const imply = (name: string): void => {
    for (const [other, options] of Object.entries(available.get(name)?.implies ?? {})) {
      const def = available.get(other);
      if (all[other] !== undefined || def === undefined) continue;
      all[other] = def.config.parse(options(all[name]));
      imply(other);
    }
  };
  for (const name of Object.keys(given)) if (given[name] !== undefined) imply(name);
  return all;
}
