// The module contract: a feature is one object, its registrations are data. Start, stop, reload, the manual, the list
// of metrics and the export of personal data are loops over these declarations.

import type { z } from "zod";
import type { StreamError } from "./errors.ts";
import type { HookHandlers, HookTable, MaybePromise, PersonalData, SessionEnd, Works } from "./hooks.ts";

export type { MaybePromise } from "./hooks.ts";

import type { BareJid, FullJid, Jid } from "./jid.ts";
import type { Log } from "./log/index.ts";
import type { Operation, OperationNode } from "./operations.ts";
import type { Element, Stanza } from "./stanza.ts";
import type { Db, Deleted } from "./storage/db.ts";
import type { Markup } from "./xml/markup.ts";

/**
 * Whom an iq request is for: the server, an account by anyone, an account by its owner only, or an account that does
 * not exist (service-unavailable without such a handler).
 */
export type IqTarget = "host" | "account" | "own" | "absent";
/** "get host urn:xmpp:ping": type, target, namespace of the payload. */
export type IqKey = `${"get" | "set"} ${IqTarget} ${string}`;

/** What an iq handler answers: the payload of the result, or nothing for an empty one. */
export type IqReply = Markup | Element | undefined | void;

export interface Iq {
  readonly type: "get" | "set";
  readonly from: Jid;
  /** The server or a bare JID; the sender's own bare JID when the iq had no `to`. */
  readonly to: Jid;
  readonly stanza: Stanza;
  /** The one child element, parsed at the first use. */
  readonly payload: Element;
  /** The session that asks, when it is one of this node's. */
  readonly session: Session | undefined;
}

/** What a feature that keeps data must do about it; a store that lacks one of these does not compile. */
export interface PersonalStore {
  removeUser(jid: BareJid): Promise<void>;
  /**
   * Removes everything of a domain. Tables that may be large are emptied in batches (core/storage/batches.ts), which
   * tell `deleted` of their rows. It is called again from the beginning when it fails or the process ends.
   */
  removeDomain(domain: string, deleted?: Deleted): Promise<void>;
  /** Everything that is kept about a user. Tables that may be large are read in pages (PersonalData.more). */
  personalData(jid: BareJid): Promise<PersonalData[]>;
}

/** Where a service was reached. */
export interface ServiceAt {
  /** The service's own domain. */
  readonly domain: string;
  /** The domain that it is under; undefined where the address is configured as a whole domain. */
  readonly parent: string | undefined;
}

/** A domain that a feature answers for beside the domains it serves, such as vjud.@HOST@. */
export interface ServiceDef<C = unknown, S = unknown, M extends string = string> {
  /** The address: a template with @HOST@ for the domain, or a whole domain. Undefined: off with this configuration. */
  address(config: C): string | undefined;
  /** Whether the domains above name it among their items (disco#items); yes when left out. */
  listed?: boolean;
  /** Answers a get or set for the service's domain or a JID under it; throws StanzaError. */
  iq(iq: Iq, ctx: ModuleContext<C, S, M>, at: ServiceAt): MaybePromise<IqReply>;
  /** Takes messages, presence and answers to requests. Without it messages come back and the rest is dropped. */
  stanza?(stanza: Stanza, ctx: ModuleContext<C, S, M>, at: ServiceAt): MaybePromise<void>;
}
/** A service whose types are known only to its feature, as the registry keeps it. */
export type AnyService = ServiceDef<unknown, unknown, string>;

/** What the section `retention` can bound, by the names of its options. */
export type RetentionKind = "archive" | "offline" | "inbox_bin" | "uploads";
/** A store's part in `retention`. Times are milliseconds since 1970. */
export interface Retained {
  /**
   * Deletes what a domain's users have that is older than `before`, as far as it is iterated: each step is a statement or
   * transaction that nobody has to wait for, of at most `limit` rows, and gives how many went, 0 when it has only looked.
   */
  deleteBefore(domain: string, before: number, limit: number): AsyncIterable<number>;
  /** Counts what `deleteBefore` would delete. */
  countBefore(domain: string, before: number): Promise<number>;
}

/** A kind of counter a feature has, by its metric name. */
export interface MetricDef<S = never> {
  kind: "counter" | "gauge" | "histogram";
  help: string;
  /** Labels beside host_type, each with its value in a host type. */
  labels?: Readonly<Record<string, (hostType: string) => string>>;
  /** Of a gauge: its value, asked of the feature's store when metrics are read. */
  read?(store: S): number;
}
/** Calls of a feature's store that are counted and timed, as MongooseIM does for its back ends. */
export interface TimedCalls<S = unknown> {
  /** What the metrics are named after; the module when left out. */
  as?: string;
  /** Counted for all host types together, as MongooseIM counts some. */
  perServer?: true;
  /** What the `backend` option may say. */
  backends: readonly string[];
  /** Whose methods they are. */
  in(store: S): object;
  /** The methods, one or more, by MongooseIM's names for them; "store.version" is that of what is in a field. */
  calls: Readonly<Record<string, string | readonly string[]>>;
}
export interface Counter {
  /** Adds `n`, 1 when not given; for a histogram, observes `n`. */
  add(n?: number): void;
}

/** What a feature's handlers are given: its own configuration, store and counters, and the server around it. */
export interface ModuleContext<C = unknown, S = unknown, M extends string = string> {
  readonly config: C;
  readonly store: S;
  readonly metrics: Readonly<Record<M, Counter>>;
  readonly host: HostType;
  readonly server: Server;
  readonly log: Log;
  /** Milliseconds since 1970. */
  now(): number;
}

export interface ModuleDef<C = unknown, S = undefined, M extends string = string> {
  /** The configuration key: mod_ping. */
  name: string;
  xeps: readonly { n: number; version: string }[];
  /** Options as in the reference table: strict, described. */
  config: z.ZodType<C>;
  /** Features that must be on too. */
  needs?: readonly string[];
  /** Features that are on with it though the configuration does not name them, with the options they then have. */
  implies?: Readonly<Record<string, (config: C) => Readonly<Record<string, unknown>>>>;
  /** Features that are started before this one when they are on; without them it does less. */
  uses?: readonly string[];
  /** Features that answer the same requests: where one of them runs (name them in `uses`), this one's `iq` is left out. */
  yieldsTo?: readonly string[];
  /** MongooseIM's names of parts of the feature that are on with a configuration, for operations that need them. */
  parts?(config: C): readonly string[];
  /** disco#info features of the server. */
  features?: readonly string[];
  /** disco#info features of an account. */
  accountFeatures?: readonly string[];
  iq?: { [key: IqKey]: (iq: Iq, ctx: ModuleContext<C, S, M>) => MaybePromise<IqReply> };
  hooks?: HookHandlers<ModuleContext<C, S, M>>;
  /** Domains of its own that the feature answers for. */
  services?: readonly ServiceDef<C, S, M>[];
  /** Opens the feature's store on the database its `backend` option names. */
  store?: (db: Db) => S & PersonalStore;
  metrics?: Readonly<Record<M, MetricDef<S>>>;
  timed?: TimedCalls<S>;
  /** What of its store `retention` bounds. */
  retention?: Partial<Record<RetentionKind, (store: S) => Retained>>;
  operations?: readonly Operation[];
  start?(ctx: ModuleContext<C, S, M>): MaybePromise<void>;
  stop?(ctx: ModuleContext<C, S, M>): MaybePromise<void>;
}

/** A feature whose types are known only to itself, as the registry keeps it. */
export type AnyModule = ModuleDef<unknown, unknown, string>;

/**
 * Declares a feature. The type parameters come from `config` and `store`.
 * One object per feature is the file's default export; modules/index.ts lists them.
 */
export function defineModule<C, S = undefined, M extends string = never>(def: ModuleDef<C, S, M>): AnyModule {
  return def as unknown as AnyModule;
}

let slots = 0;

/** A place for a feature's own value on each session that has one; sessions without cost nothing. */
export class Slot<T> {
  private readonly index = slots++;
  get(session: Session): T | undefined {
    return session.slots?.[this.index] as T | undefined;
  }
  set(session: Session, value: T | undefined): void {
    session.slots ??= [];
    session.slots[this.index] = value;
  }
}

/** A bound client stream of this node, as features see it. */
export interface Session {
  /** Undefined only before a resource is bound: for the handlers that see a stream before that. */
  readonly jid: FullJid;
  /** The domain of the stream. */
  readonly domain: string;
  readonly host: HostType;
  /** Increases with every session of the node: tells sessions with the same JID apart. */
  readonly sid: number;
  /** IP address of the client. */
  readonly address: string;
  /** Port of the client; 0 when it has no connection. */
  readonly port: number;
  readonly secure: boolean;
  /** Bytes written to the client that it has not taken yet. */
  readonly unread: number;
  /** The session has sent available presence and not taken it back. */
  readonly available: boolean;
  /** -128..127; meaningful while available. */
  readonly priority: number;
  /** The last available presence as it was broadcast. */
  readonly presence: Stanza | undefined;
  /** The stream is gone and may come back (XEP-0198). */
  readonly detached: boolean;
  readonly anonymous: boolean;
  slots: unknown[] | undefined;

  /** Delivers a stanza to the client; `to` replaces its to attribute. Runs the user_receive and presend hooks. */
  receive(stanza: Stanza, to?: Jid): MaybePromise<void>;
  /**
   * As `receive`, for what was stored for this client: it is waited for when it is slow, and what a feature turns away
   * is dropped. Absent: `receive`.
   */
  replay?(stanza: Stanza): MaybePromise<void>;
  /**
   * A moment in which the client may read on; what its stream is working on is waited for by nobody else meanwhile. Absent:
   * it leaves nothing unread.
   */
  aMoment?(): Promise<void>;
  /** Writes a stanza that has passed the user_receive and presend hooks; routes it again when the stream has ended. */
  put(stanza: Stanza, to?: Jid): MaybePromise<void>;
  /** Writes what the server itself says to this client (a push, a reply): no user_receive hooks. */
  write(markup: Markup | string): void;
  /**
   * As `write`, for the messages that answer a request of this client, such as a page of its archive: it is waited for
   * when it is slow, and what it has not taken when its session ends goes nowhere else. Absent: `write` for each.
   */
  serve?(messages: readonly string[]): MaybePromise<void>;
  /**
   * What is delivered from now on waits until `done`, and what the server writes does not: for what the client must
   * hear first. Absent: nothing waits.
   */
  holdUntil?(done: Promise<unknown>): void;
  /** Sends an iq request from the server (or `from`) to the client; resolves with its reply, undefined on time-out. */
  request(type: "get" | "set", payload: Markup, timeoutMs: number, from?: Jid): Promise<Stanza | undefined>;
  setPresence(stanza: Stanza | undefined, priority: number): void;
  /** Ends the stream with an error. */
  close(error: StreamError, reason: SessionEnd): void;
}

/** A host type: the unit that has features. */
export interface HostType {
  readonly name: string;
  readonly hooks: HookTable;
  /** The features that are on, by name. */
  readonly modules: ReadonlyMap<string, RunningModule>;
  readonly access: AccessRules;
  readonly auth: Accounts;
  readonly language: string;
  /** Seconds between two registrations from one address (`general.registration_timeout`); Infinity for no bound. */
  readonly registrationTimeout: number;
  /** What remembers which accounts exist, put here by the feature that does; every question goes to `auth` without. */
  accountCache?: AccountCache | undefined;
}
/**
 * A memory of accounts that exist, by bare JID as text. What it does not have may exist nevertheless. Whoever removes
 * accounts takes them out first of all.
 */
export interface AccountCache {
  has(jid: string): boolean;
  add(jid: string): void;
  remove(jid: string): void;
  removeDomain(domain: string): void;
  /** How often something was removed: who has asked before a removal must not add after it. */
  readonly removals: number;
}
export interface RunningModule {
  readonly def: AnyModule;
  readonly ctx: ModuleContext;
}
export interface AccessRules {
  /**
   * The value of the first line of a rule that matches: "allow", "deny", a number or a name; `otherwise` for a rule
   * that is not defined, "deny" when left out.
   */
  match(rule: string, jid: Jid | undefined, domain: string, otherwise?: string | number): string | number;
}
export interface Accounts {
  exists(local: string, domain: string): MaybePromise<boolean>;
  create(
    local: string,
    domain: string,
    password: string,
  ): Promise<"ok" | "exists" | "not_allowed" | "limit" | "bad_password">;
  setPassword(local: string, domain: string, password: string): Promise<"ok" | "not_allowed" | "bad_password">;
  checkPassword(local: string, domain: string, password: string): MaybePromise<boolean>;
  remove(local: string, domain: string): Promise<"ok" | "not_allowed" | "user_does_not_exist">;
  /** Authentication methods in use, in order. */
  readonly methods: readonly string[];
  /** Number of stored accounts of a domain. */
  count(domain: string): MaybePromise<number>;
  /** User names of a domain as there were at a time (milliseconds since 1970), page after page; no cursor: the last. */
  snapshot(
    domain: string,
    limit: number,
    from: { until: number } | { cursor: string },
  ): Promise<{ users: readonly string[]; cursor: string | undefined }>;
}

/** A bucket of tokens, one second's worth, as of core/shaper.ts. */
export interface Bucket {
  /**
   * Takes `n` tokens, which may leave the bucket in debt; puts them back when `n` is below 0.
   * @param now `Server.steady`
   * @returns milliseconds to take nothing more, 0 to go on
   */
  take(n: number, now: number): number;
}

/** The server around a feature. */
export interface Server {
  /** Milliseconds since 1970. The machine's clock may be set, forward and back: what waits or lasts goes by `steady`. */
  now(): number;
  /** Milliseconds since some moment, by a clock that goes on evenly whatever is done to the machine's. */
  steady(): number;
  /**
   * The time of something that has a place in an order, in microseconds since 1970: later than every one before, also of
   * those before a restart, wherever the machine's clock is.
   */
  tick(): number;
  random(bytes: number): Uint8Array;
  /** A random token of `bytes` bytes in hexadecimal, for ids. */
  token(bytes: number): string;
  /** A new archive/stanza id: unique over nodes, monotonic within one. */
  messageId(): bigint;
  /** A bucket of an entry of the `shaper` section; undefined when there is none of this name. */
  shaper(name: string): Bucket | undefined;
  /** Name of this node in the cluster. */
  readonly name: string;
  readonly version: string;
  /** When it started, by `steady`. */
  readonly startedAt: number;
  readonly log: Log;
  /** Work that stores something about accounts and is part of no stanza and no operation: removals wait for it. */
  readonly underWay: Works;
  /** Sends a stanza (its `from` and `to` set) on its way, as the sender would. */
  route(stanza: Stanza): MaybePromise<void>;
  /**
   * Whether the filters of the host type of `stanza.to` let it pass, as routing asks: for those who send the same to many
   * and hand it to the sessions themselves. A filter may add to the stanza: each addressee wants a copy of its own.
   */
  passes(stanza: Stanza, host: HostType): MaybePromise<boolean>;
  /** Routes markup that the server wrote. */
  routeXml(from: Jid, to: Jid, markup: Markup): MaybePromise<void>;
  /** Answers a stanza with an error, unless it is an error itself. */
  bounce(stanza: Stanza, error: import("./errors.ts").StanzaError): MaybePromise<void>;
  /** The sessions of an account on this node, any order. */
  sessionsOf(jid: BareJid): readonly Session[];
  session(jid: FullJid): Session | undefined;
  /** The host type that serves a domain, undefined when the domain is not ours (or disabled). */
  hostTypeOf(domain: string): HostType | undefined;
  /** The feature that answers at a domain of its own, and the domain it is under; undefined when none does. */
  serviceOf(domain: string): { readonly module: string; readonly host: HostType; readonly at: ServiceAt } | undefined;
  /** Runs `run` after about `ms` (the wheel turns four times a second); returns what cancels it. */
  after(ms: number, run: () => void): () => void;
  /** The server as administrators' operations see it; undefined before the process has made them. */
  readonly operations: OperationNode | undefined;
  /**
   * Removes an account and everything features keep about it; `removed` is called before its sessions end. `asking` is
   * the session of the account whose request this is.
   */
  removeUser(jid: BareJid, removed?: () => void, asking?: Session): Promise<boolean>;
}
