// A server in memory for unit tests of features: sessions that record what their clients received, a database, a
// clock that stands still, and hooks and iq tables wired the way the engine does it.
//
//     const server = new FakeServer({ users: ["romeo", "juliet"] });
//     await server.startModule(modRoster, { versioning: true });
//     const romeo = server.connect("romeo@localhost/orchard");
//     await romeo.sends("<presence to='juliet@localhost' type='subscribe'/>");
//     romeo.hears("<iq …/>");                 // exactly these stanzas, in this order, since the last time
import { expect } from "vitest";
import { StanzaError, type StreamError } from "../../core/errors.ts";
import { type HookHandlers, HookTable, type SessionEnd, STOP } from "../../core/hooks.ts";
import { type BareJid, type FullJid, isFull, type Jid, parseBareJid, parseFullJid, parseJid } from "../../core/jid.ts";
import { Log } from "../../core/log/log.ts";
import type {
  AccessRules,
  AnyModule,
  HostType,
  Iq,
  IqKey,
  ModuleContext,
  PersonalStore,
  RunningModule,
  Server,
  Session,
} from "../../core/module.ts";
import { Shaper } from "../../core/shaper.ts";
import { type Element, IQ, MESSAGE, PRESENCE, type Stanza } from "../../core/stanza.ts";
import { UnderWay } from "../../core/under-way.ts";
import { viewText } from "../../core/xml/framer.ts";
import { attr, Markup, xml } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import { FakeAccounts, FakeClock, FakeCounter } from "./fake-parts.ts";
import { normal, wireText } from "./fake-wire.ts";
import { MemoryDb } from "./memory-db.ts";

export { wireText } from "./fake-wire.ts";

export interface FakeOptions {
  /** The domains of the one host type; the first is "localhost" when left out. */
  domains?: readonly string[];
  /** Accounts, as bare JIDs or as localparts of the first domain; their passwords are "secret". */
  users?: readonly string[];
  /** Seconds between two registrations from one address; no bound when left out. */
  registrationTimeout?: number;
  /** Values of access rules; "all" allows, everything else denies. */
  access?: Readonly<Record<string, string | number>>;
  /** Rates by the names of shapers. */
  shapers?: Readonly<Record<string, number>>;
}

type IqHandler = (iq: Iq, ctx: ModuleContext) => unknown;
export class FakeServer implements Server {
  readonly clock = new FakeClock();
  /** Milliseconds by which the machine's clock was set, which moves no timer. */
  setBy = 0;
  readonly db = new MemoryDb();
  readonly name = "mongooseim@localhost";
  readonly operations = undefined;
  readonly underWay = new UnderWay();
  readonly version = "0.0.0-test";
  readonly startedAt = this.clock.time;
  /** Lines the server logged, warnings and worse. */
  readonly logged: string[] = [];
  readonly log: Log;
  readonly host: HostType;
  readonly accounts = new FakeAccounts();
  /** Stanzas that left for other domains, as text. */
  readonly remote: string[] = [];
  /** Everything that failed in a hook: unit tests want it thrown. */
  readonly failures: unknown[] = [];
  private readonly domains: readonly string[];
  private readonly running = new Map<string, RunningModule>();
  private readonly iqTable = new Map<IqKey, { run: IqHandler; ctx: ModuleContext }>();
  private readonly directory = new Map<string, FakeClient[]>();
  private sids = 0;
  private lastTick = 0;
  private tokens = 0;

  constructor(private readonly options: FakeOptions = {}) {
    this.domains = options.domains ?? ["localhost"];
    this.log = new Log({
      level: "warning",
      now: () => this.clock.time,
      sink: { write: (line: string) => void this.logged.push(line), flush() {} },
    });
    const hooks = new HookTable({
      failed: (hook, module, error) => void this.failures.push({ hook, module, error }),
      late: (hook, module) => void this.failures.push({ hook, module, late: true }),
      after: (ms, run) => this.clock.after(ms, run),
    });
    const access: AccessRules = {
      match: (rule, _jid, _domain, otherwise = "deny") =>
        options.access?.[rule] ?? (rule === "all" ? "allow" : otherwise),
    };
    this.host = {
      name: this.domains[0],
      hooks,
      modules: this.running,
      access,
      auth: this.accounts,
      language: "en",
      registrationTimeout: options.registrationTimeout ?? Number.POSITIVE_INFINITY,
    };
    for (const user of options.users ?? []) {
      this.accounts.passwords.set(user.includes("@") ? user : `${user}@${this.domains[0]}`, "secret");
    }
  }

  /** Parses the configuration, opens the store, registers hooks and iq handlers, and starts the feature. */
  async startModule(def: AnyModule, config: Record<string, unknown> = {}): Promise<ModuleContext> {
    for (const need of def.needs ?? []) {
      if (!this.running.has(need)) throw new Error(`${def.name} needs ${need}: start it first`);
    }
    const metrics: Record<string, FakeCounter> = {};
    for (const name of Object.keys(def.metrics ?? {})) metrics[name] = new FakeCounter();
    const ctx: ModuleContext = {
      config: def.config.parse(config),
      store: def.store?.(this.db),
      metrics,
      host: this.host,
      server: this,
      log: this.log.child({ module: def.name }),
      now: () => this.now(),
    };
    this.running.set(def.name, { def, ctx });
    if (def.hooks) this.host.hooks.add(def.name, def.hooks, ctx);
    const store = ctx.store as PersonalStore | undefined;
    if (store !== undefined) {
      const handlers: HookHandlers<ModuleContext> = {
        remove_user: { at: 60, run: ({ jid }) => store.removeUser(jid) },
        remove_domain: { at: 60, run: ({ domain }) => store.removeDomain(domain) },
        get_personal_data: async (acc, { jid }) => [...acc, ...(await store.personalData(jid))],
      };
      this.host.hooks.add(def.name, handlers, ctx);
    }
    for (const [key, run] of Object.entries(def.iq ?? {})) this.iqTable.set(key as IqKey, { run, ctx });
    await def.start?.(ctx);
    return ctx;
  }

  async stopModule(name: string): Promise<void> {
    const module = this.running.get(name);
    if (!module) throw new Error(`${name} does not run`);
    await module.def.stop?.(module.ctx);
    this.host.hooks.remove(name);
    for (const key of Object.keys(module.def.iq ?? {})) this.iqTable.delete(key as IqKey);
    this.running.delete(name);
  }

  /** Registers handlers of the test itself. */
  hook(handlers: HookHandlers<undefined>): void {
    this.host.hooks.add("test", handlers, undefined);
  }

  /** What a counter of a feature stands at. */
  metric(module: string, name: string): number {
    const running = this.running.get(module);
    if (!running) throw new Error(`${module} does not run`);
    return (running.ctx.metrics[name] as FakeCounter).value;
  }

  /** A bound session of an account, which is made when there is none. */
  connect(jidText: string, options: { anonymous?: boolean } = {}): FakeClient {
    const jid = parseFullJid(jidText);
    if (!options.anonymous && !this.accounts.exists(jid.local, jid.domain)) {
      this.accounts.passwords.set(jid.bare.text, "secret");
    }
    const client = new FakeClient(this, jid, ++this.sids, options.anonymous ?? false);
    const list = this.directory.get(jid.bare.text);
    if (list) list.push(client);
    else this.directory.set(jid.bare.text, [client]);
    void this.host.hooks.notify("sm_register_connection", { session: client });
    void this.host.hooks.notify("user_open_session", { session: client });
    return client;
  }

  /** Lets everything that was begun come to its end (the database answers within a microtask). */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    const [failure] = this.failures.splice(0);
    if (failure !== undefined) throw (failure as { error?: unknown }).error ?? new Error(JSON.stringify(failure));
  }

  /** A stanza from another server (or component) comes in. */
  async receivesFrom(text: string): Promise<void> {
    const stanza = viewText(text);
    stanza.from = parseJid(stanza.fromText!);
    stanza.to = parseJid(stanza.toText!);
    await this.route(stanza);
    await this.settle();
  }

  /** Takes a session out of the directory. */
  forget(client: FakeClient): void {
    const left = this.sessionsOf(client.jid.bare).filter((c) => c !== client) as FakeClient[];
    if (left.length > 0) this.directory.set(client.jid.bare.text, left);
    else this.directory.delete(client.jid.bare.text);
  }

  // --- Server ---

  now(): number {
    return this.clock.time + this.setBy;
  }

  steady(): number {
    return this.clock.time;
  }

  tick(): number {
    this.lastTick = Math.max(this.lastTick + 1, this.now() * 1000);
    return this.lastTick;
  }
  random(bytes: number): Uint8Array {
    return new Uint8Array(bytes).fill(++this.tokens);
  }
  token(bytes: number): string {
    return (++this.tokens).toString(16).padStart(bytes * 2, "0");
  }
  messageId(): bigint {
    return BigInt(this.clock.time) * 256_000n + BigInt(++this.tokens);
  }
  after(ms: number, run: () => void): () => void {
    return this.clock.after(ms, run);
  }
  shaper(name: string): Shaper | undefined {
    const rate = this.options.shapers?.[name];
    return rate === undefined ? undefined : new Shaper(rate);
  }
  sessionsOf(jid: BareJid): readonly FakeClient[] {
    return this.directory.get(jid.text) ?? [];
  }
  session(jid: FullJid): FakeClient | undefined {
    return this.sessionsOf(jid.bare).find((s) => s.jid.text === jid.text);
  }
  async passes(stanza: Stanza): Promise<boolean> {
    return (await this.host.hooks.route(this.host.hooks.filterLocal, stanza)) !== STOP;
  }
  serviceOf(): undefined {
    return undefined;
  }
  hostTypeOf(domain: string): HostType | undefined {
    return this.domains.includes(domain) ? this.host : undefined;
  }

  async removeUser(jid: BareJid): Promise<boolean> {
    if ((await this.accounts.remove(jid.local, jid.domain)) !== "ok") return false;
    this.host.accountCache?.remove(jid.text);
    await this.host.hooks.notify("remove_user", { jid });
    return true;
  }

  async removeDomain(domain: string): Promise<void> {
    this.host.accountCache?.removeDomain(domain);
    await this.host.hooks.notify("remove_domain", { domain });
  }

  async bounce(stanza: Stanza, error: StanzaError): Promise<void> {
    if (stanza.type === "error" || (stanza.kind === IQ && stanza.type === "result")) return;
    const children = stanza.text.replace(/^<[^>]*>/, "").replace(/<\/[^<>]*>$/, "");
    const id = attr("id", stanza.id) ?? "";
    const to = stanza.from.text;
    const text = `<${stanza.name}${id} type='error'>${stanza.selfClosed ? "" : children}${error.toXml()}</${stanza.name}>`;
    const reply = viewText(text);
    reply.from = stanza.to;
    reply.to = parseJid(to);
    // As the engine does: the answer to one's own client takes no way through features.
    if (stanza.origin instanceof FakeClient) stanza.origin.write(wireText(reply, reply.to));
    else await this.route(reply);
  }

  async routeXml(from: Jid, to: Jid, markup: Markup): Promise<void> {
    const stanza = viewText(markup.text);
    stanza.from = from;
    stanza.to = to;
    await this.route(stanza);
  }

  async route(stanza: Stanza): Promise<void> {
    const { to } = stanza;
    const { hooks } = this.host;
    if ((await hooks.route(hooks.filterPacket, stanza)) === STOP) return;
    if (!this.hostTypeOf(to.domain)) {
      this.remote.push(wireText(stanza));
      return;
    }
    if ((await hooks.route(hooks.filterLocal, stanza)) === STOP) return;
    if (stanza.kind === IQ) return this.routeIq(stanza);
    if (to.local === "") return;
    if (stanza.kind === PRESENCE) return this.routePresence(stanza);
    if (isFull(to)) {
      const session = this.session(to);
      return session ? session.receive(stanza) : this.offline(stanza);
    }
    const able = this.sessionsOf(to).filter((s) => s.available && s.priority >= 0);
    if (able.length === 0) return this.offline(stanza);
    for (const session of able) await session.receive(stanza);
  }

  private async routePresence(stanza: Stanza): Promise<void> {
    const { to, type } = stanza;
    const { hooks } = this.host;
    if (isFull(to) && (type === "" || type === "unavailable" || type === "error")) {
      return this.session(to)?.receive(stanza);
    }
    if ((await hooks.route(hooks.accountPresence, stanza)) === STOP) return;
    for (const session of this.sessionsOf(to.bare)) if (session.available) await session.receive(stanza);
  }

  private async offline(stanza: Stanza): Promise<void> {
    const { hooks } = this.host;
    const known = this.accounts.exists(stanza.to.local, stanza.to.domain);
    if (known && (await hooks.route(hooks.offline, stanza)) === STOP) {
      await stanza.storing;
      return;
    }
    await this.bounce(stanza, new StanzaError("service-unavailable"));
  }

  private async routeIq(stanza: Stanza): Promise<void> {
    const { from, to } = stanza;
    const reply = stanza.type === "result" || stanza.type === "error";
    if (isFull(to)) {
      const session = this.session(to);
      if (session) await session.receive(stanza, to);
      else if (!reply) await this.bounce(stanza, new StanzaError("service-unavailable"));
      return;
    }
    if (reply) return;
    const { hooks } = this.host;
    if (to.local !== "" && (await hooks.route(hooks.accountIq, stanza)) === STOP) return;
    const type = stanza.type as "get" | "set";
    const ns = stanza.kidNs(0);
    const own = this.iqTable.get(`${type} own ${ns}`);
    const handler =
      to.local === "" ? this.iqTable.get(`${type} host ${ns}`) : (this.iqTable.get(`${type} account ${ns}`) ?? own);
    try {
      if (!handler) throw new StanzaError(to.local === "" ? "feature-not-implemented" : "service-unavailable");
      if (handler === own && to.text !== from.bare.text) throw new StanzaError("forbidden");
      const iq: Iq = {
        type,
        from,
        to,
        stanza,
        session: isFull(from) ? this.session(from) : undefined,
        get payload() {
          return stanza.kid(0);
        },
      };
      const payload = (await handler.run(iq, handler.ctx)) as Markup | Element | undefined;
      await this.routeXml(to, from, xml`<iq${attr("id", stanza.id)} type='result'>${markupOf(payload)}</iq>`);
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error;
      await this.bounce(stanza, error);
    }
  }
}

/** A session together with the client at its other end. */
export class FakeClient implements Session {
  available = false;
  priority = 0;
  presence: Stanza | undefined;
  detached = false;
  readonly address = "192.0.2.1";
  readonly port = 50_000;
  unread = 0;
  readonly secure = true;
  slots: unknown[] | undefined;
  /** Why the server ended the stream. */
  closed: { error: StreamError; reason: SessionEnd } | undefined;
  private heard: string[] = [];
  private readonly asked = new Map<string, (reply: Stanza | undefined) => void>();
  private requests = 0;

  constructor(
    private readonly server: FakeServer,
    readonly jid: FullJid,
    readonly sid: number,
    readonly anonymous: boolean,
  ) {}

  get host(): HostType {
    return this.server.host;
  }
  get domain(): string {
    return this.jid.domain;
  }

  // --- what the client does ---

  /** Sends stanzas, each as the engine would take it in, and waits for all they cause. */
  async sends(...texts: string[]): Promise<void> {
    for (const text of texts) {
      const stanza = viewText(text);
      stanza.from = this.jid;
      stanza.origin = this;
      stanza.to = stanza.toText === undefined ? this.jid.bare : parseJid(stanza.toText);
      try {
        await this.take(stanza);
      } catch (error) {
        if (!(error instanceof StanzaError)) throw error;
        stanza.from = this.jid; // a feature may have stamped it otherwise: the answer is for this client
        await this.server.bounce(stanza, error);
      }
    }
    await this.server.settle();
  }

  private async take(stanza: Stanza): Promise<void> {
    const { hooks } = this.host;
    const reply = stanza.kind === IQ && (stanza.type === "result" || stanza.type === "error");
    const asked = reply && stanza.id !== undefined ? this.asked.get(stanza.id) : undefined;
    if (asked) {
      this.asked.delete(stanza.id!);
      asked(stanza);
      return;
    }
    const list =
      stanza.kind === MESSAGE
        ? hooks.sendMessage
        : stanza.kind === PRESENCE
          ? hooks.sendPresence
          : stanza.kind === IQ
            ? hooks.sendIq
            : hooks.sendOther;
    if ((await hooks.session(list, stanza, this)) === STOP) return;
    if (stanza.kind !== 0) await this.server.route(stanza);
  }

  /** The session ends as it does in the engine: a reason, then the notices in order. */
  async ends(reason: SessionEnd = "closed"): Promise<void> {
    const { hooks } = this.host;
    await hooks.notify("user_terminate", { session: this, reason });
    this.server.forget(this);
    await hooks.notify("sm_remove_connection", { session: this, reason });
    await hooks.notify("reroute_unacked_messages", { session: this });
    await this.server.settle();
  }

  /** What the client has received since the last time anybody asked, as text. */
  received(): string[] {
    return this.heard.splice(0);
  }

  /**
   * The client has received exactly these stanzas, in this order, since the last time anybody asked. Order of
   * attributes does not matter; an attribute `{any}` must be there with any value; ids of pushes need not be written.
   */
  hears(...expected: string[]): void {
    const actual = this.received();
    const wanted = expected.map((text) => parseElement(text));
    const shown = actual.map((text, i) => normal(parseElement(text), wanted[i]));
    expect(shown).toEqual(wanted.map((el) => normal(el)));
  }

  // --- Session ---

  receive(stanza: Stanza, to?: Jid): Promise<void> | void {
    const { hooks } = this.host;
    const list =
      stanza.kind === MESSAGE
        ? hooks.receiveMessage
        : stanza.kind === PRESENCE
          ? hooks.receivePresence
          : hooks.receiveIq;
    const verdict = hooks.session(list, stanza, this);
    if (verdict instanceof Promise) return verdict.then((v) => (v === STOP ? undefined : this.presend(stanza, to)));
    if (verdict !== STOP) return this.presend(stanza, to);
  }

  /** As the engine does: what a feature turns away is dropped. */
  async replay(stanza: Stanza): Promise<void> {
    try {
      await this.receive(stanza);
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error;
    }
  }

  private presend(stanza: Stanza, to?: Jid): Promise<void> | void {
    const { hooks } = this.host;
    const verdict = hooks.session(hooks.presend, stanza, this);
    if (verdict instanceof Promise) return verdict.then((v) => (v === STOP ? undefined : this.put(stanza, to)));
    if (verdict !== STOP) this.put(stanza, to);
  }

  put(stanza: Stanza, to?: Jid): void {
    this.heard.push(wireText(stanza, to));
  }

  write(markup: Markup | string): void {
    this.heard.push(typeof markup === "string" ? markup : markup.text);
  }

  request(type: "get" | "set", payload: Markup, timeoutMs: number, from?: Jid): Promise<Stanza | undefined> {
    const id = `ask${++this.requests}`;
    this.write(
      xml`<iq from='${(from ?? parseBareJid(this.jid.domain)).text}' id='${id}' to='${this.jid.text}' type='${type}'>${payload}</iq>`,
    );
    return new Promise((resolve) => {
      const cancel = this.server.after(timeoutMs, () => {
        this.asked.delete(id);
        resolve(undefined);
      });
      this.asked.set(id, (reply) => {
        cancel();
        resolve(reply);
      });
    });
  }

  setPresence(stanza: Stanza | undefined, priority: number): void {
    this.available = stanza !== undefined;
    this.presence = stanza;
    this.priority = priority;
  }

  close(error: StreamError, reason: SessionEnd): void {
    this.closed ??= { error, reason };
  }
}

function markupOf(payload: Markup | Element | undefined): Markup | undefined {
  return payload === undefined || payload instanceof Markup ? payload : new Markup(payload.toString());
}
