// Admin operations: declared once, with GraphQL's types, a scope and the modules they need. From the declarations
// come the GraphQL schemas, `mongooseimctl <category> <command>`, completion, the manual and the audit log.
//
//     const countUsers = defineOperation({
//       category: "account", name: "countUsers", kind: "query", description: "Counts the users of a domain",
//       args: { domain: "DomainName!" }, result: "Int", scope: "domain", domainArgs: ["domain"],
//       run: ({ domain }, _caller, node) => node.accounts.count(domain),
//     });

import type { Works } from "./hooks.ts";
import type { BareJid, FullJid, Jid } from "./jid.ts";
import type { ArgSpecs, ArgsOf, NamedType, OutputOf, TypeRef } from "./operations/language.ts";
import type { Stanza } from "./stanza.ts";

/** Who asks. `via` is "cli" for the control socket, where slow work is awaited, and "http" for the network. */
export type Caller =
  | { readonly kind: "admin"; readonly via: "cli" | "http" }
  | { readonly kind: "domain_admin"; readonly via: "cli" | "http"; readonly domain: string }
  | { readonly kind: "user"; readonly via: "http"; readonly jid: BareJid }
  | { readonly kind: "unauthorized"; readonly via: "http" };

/** The user of an operation of scope "user": `authorise` lets nobody else run it. */
export function userOf(caller: Caller): BareJid {
  if (caller.kind !== "user") throw new TypeError("only a user has something of his own");
  return caller.jid;
}

/** A refusal with MongooseIM's code ("user_not_found"); extra facts become GraphQL extensions beside the code. */
export class OperationError extends Error {
  override readonly name = "OperationError";
  constructor(
    readonly code: string,
    message: string,
    readonly extensions: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

/** Which schema: "admin" serves global and domain administrators, "user" the users themselves. */
export type Audience = "admin" | "user";

type Awaitable<T> = T | Promise<T>;
/** Path to a value inside the arguments: "user", or "contacts.jid" for each contact's jid. */
type ArgPath<A> = (keyof A & string) | `${keyof A & string}.${string}`;

interface OperationHead {
  /** A field of the schema's root, such as "account"; "" puts the operation itself at the root (checkAuth). */
  readonly category: string;
  readonly name: string;
  readonly kind: "query" | "mutation" | "subscription";
  /** One line for the manual, the schema and `--help`. */
  readonly description: string;
  /**
   * Who may call it: "global" administrators of the whole server, "domain" those and the administrator of the domain
   * that `domainArgs` carry, "user" the user himself (the user schema), "anyone" also without credentials.
   */
  readonly scope: "global" | "domain" | "user" | "anyone";
  /** Which schema it is in: the users' for scope "user", else the administrators', when not said otherwise. */
  readonly audience?: Audience;
  /** What must be loaded: mod_* for the host type of the arguments, service_*, or an internal database. */
  readonly needs?: readonly string[];
  /**
   * Removals of accounts and domains do not wait for this mutation while it is under way: it is one itself, or takes long
   * and stores nothing about an account that is there.
   */
  readonly unawaited?: true;
  /**
   * Arguments kept out of the audit log: what people write to each other, and what else is nobody's business. Those whose
   * name has "password" in it always are, and of a stanza no more is shown than its head.
   */
  readonly secrets?: readonly string[];
  /** Named types of the module, beyond the core's. */
  readonly types?: readonly NamedType[];
}

/** A declaration whose argument and result types have been checked and forgotten. */
export interface Operation extends OperationHead {
  readonly args: ArgSpecs;
  readonly result: TypeRef;
  readonly domainArgs?: readonly string[];
  readonly hostTypeArgs?: readonly string[];
  run(args: Readonly<Record<string, unknown>>, caller: Caller, node: OperationNode): unknown;
}

/**
 * Declares an operation. `run` gets arguments that are parsed and prepared, and is called only when the caller may.
 * It throws OperationError for a refusal; anything else thrown is a crash, logged and hidden from the caller.
 * A result with an enum in it needs `run(...): OutputOf<"Status">`, or TypeScript takes "RUNNING" for any string.
 */
export function defineOperation<const A extends ArgSpecs, const T extends string>(
  operation: OperationHead &
    Typed<A, T> & {
      readonly kind: "query" | "mutation";
      run(args: ArgsOf<A>, caller: Caller, node: OperationNode): Awaitable<OutputOf<T>>;
    },
): Operation {
  return operation as Operation;
}

interface Typed<A extends ArgSpecs, T extends string> {
  readonly args: A;
  readonly result: T;
  /** Arguments (DomainName or JIDs) that must belong to a domain administrator's domain. */
  readonly domainArgs?: readonly ArgPath<A>[];
  /** Arguments that tell the host type whose modules are needed; domainArgs when left out. */
  readonly hostTypeArgs?: readonly ArgPath<A>[];
}

/** What happens from now on. One asks for the next event when it has the one before. */
export interface Events<T> {
  /** Undefined at the end. */
  next(): Promise<T | undefined>;
  /** Nobody will ask again; a `next` that waits ends. */
  stop(): void;
}

/** Declares a subscription. `run` begins it and gives its events; where they end, the caller's stream does. */
export function defineSubscription<const A extends ArgSpecs, const T extends string>(
  operation: Omit<OperationHead, "kind"> &
    Typed<A, T> & {
      run(args: ArgsOf<A>, caller: Caller, node: OperationNode): Awaitable<Events<OutputOf<T>>>;
    },
): Operation {
  return { ...operation, kind: "subscription" } as Operation;
}

// --- what operations ask of the running server ---

export interface Page {
  readonly limit?: number;
  readonly offset?: number;
}

export interface AccountOps {
  /** Bare JIDs of a domain's users, sorted. */
  list(domain: string, page: Page): Awaitable<readonly string[]>;
  count(domain: string): Awaitable<number>;
  /** True only for stored users: anonymous ones do not count. */
  exists(user: BareJid): Awaitable<boolean>;
  checkPassword(user: BareJid, password: string): Awaitable<boolean>;
  /** Undefined when the user does not exist or only a hash is stored. */
  plainPassword(user: BareJid): Awaitable<string | undefined>;
  register(user: BareJid, password: string): Awaitable<RegisterResult>;
  /** Removes the account and, through the remove_user hook, all data of the user. */
  remove(user: BareJid): Awaitable<"ok" | "not_allowed">;
  setPassword(user: BareJid, password: string): Awaitable<"ok" | "not_allowed">;
}

export interface PersonalOps {
  /**
   * Writes all that is kept about a user into a new zip file on the server's disk, a CSV file for each table that has
   * something. Throws OperationError when the file cannot be made; nothing is left of it when anything fails.
   */
  writeZip(user: BareJid, file: string): Promise<void>;
}
export type RegisterResult = "ok" | "exists" | "not_allowed" | "limit_per_domain_exceeded";

export interface SessionInfo {
  readonly jid: FullJid;
  /** MongooseIM's word for the kind of connection: "c2s", "c2s_tls", "http_ws", ... */
  readonly connection?: string;
  readonly ip?: string;
  readonly port?: number;
  /** Absent until the first presence. */
  readonly priority?: number;
  readonly node: string;
  /** Seconds. */
  readonly uptime: number;
  /** Show is "available" when presence has no <show/>, and "unavailable" before the first presence. */
  readonly presence: { readonly show: string; readonly status: string };
}

export interface PresenceToSet {
  /** RFC 6121 type in lower case, "available" for none. */
  readonly type: string;
  /** RFC 6121 show in lower case, "online" for none. */
  readonly show?: string;
  readonly status?: string;
  readonly priority?: number;
}

/** Sessions of the whole cluster unless said otherwise. */
export interface SessionOps {
  list(domain?: string): Awaitable<readonly SessionInfo[]>;
  count(domain?: string): Awaitable<number>;
  /** Sessions on this node. */
  countHere(): number;
  of(user: BareJid): Awaitable<readonly SessionInfo[]>;
  /** Ends the stream, telling why. False when there is no such session. */
  kick(session: FullJid, reason: string): Awaitable<boolean>;
  /** Acts as if the client had sent this presence. False when there is no such session. */
  setPresence(session: FullJid, presence: PresenceToSet): Awaitable<boolean>;
}

export interface DomainInfo {
  readonly domain: string;
  readonly hostType: string;
  readonly status: "ENABLED" | "DISABLED" | "DELETING" | "DELETED";
  readonly type: "STATIC" | "DYNAMIC";
}
export type DomainRefusal = "static" | "not_found" | "duplicate" | "unknown_host_type" | "wrong_host_type" | "deleted";

export interface DomainOps {
  /** Host type of an enabled domain, static or dynamic. */
  hostTypeOf(domain: string): Awaitable<string | undefined>;
  /** The domain above a subdomain that a module or component serves ("muc.localhost" -> "localhost"). */
  parentOf(subdomain: string): Awaitable<string | undefined>;
  hostTypes(): readonly string[];
  all(): Awaitable<readonly DomainInfo[]>;
  /** Enabled domains of a host type, sorted. */
  ofHostType(hostType: string): Awaitable<readonly string[]>;
  details(domain: string): Awaitable<DomainInfo | undefined>;
  add(domain: string, hostType: string): Awaitable<DomainInfo | DomainRefusal>;
  /** Removes the domain with its data; when `wait` is false the data goes later and the status is DELETING. */
  remove(domain: string, hostType: string, wait: boolean): Awaitable<DomainInfo | DomainRefusal>;
  setEnabled(domain: string, enabled: boolean): Awaitable<DomainInfo | DomainRefusal>;
  /** The domain administrator's password. False when the domain does not exist or is disabled. */
  setPassword(domain: string, password: string): Awaitable<boolean>;
  /** False when there was none. */
  deletePassword(domain: string): Awaitable<boolean>;
}

export type LogLevelName =
  | "none"
  | "emergency"
  | "alert"
  | "critical"
  | "error"
  | "warning"
  | "notice"
  | "info"
  | "debug"
  | "all";

export interface HostTypeDescription {
  readonly name: string;
  readonly modules: readonly { readonly name: string; readonly options: Readonly<Record<string, string | null>> }[];
  readonly authMethods: readonly string[];
}

export interface ServerOps {
  readonly version: string;
  /** Commit the executable was built from. */
  readonly commit: string;
  running(): boolean;
  /** Seconds since start. */
  uptime(): number;
  logLevel(): LogLevelName;
  setLogLevel(level: LogLevelName): void;
  /** Begins an orderly stop after the answer has left; does not wait. */
  stop(): void;
  restart(): void;
  hostTypes(): readonly HostTypeDescription[];
  services(): readonly string[];
  internalDatabases(): readonly string[];
  /** Names of the modules that run in a host type. */
  modules(hostType: string): ReadonlySet<string>;
  s2s(): { readonly incoming: number; readonly outgoing: number };
  /** Lines of a text file on the server's disk, or undefined when there is none. */
  readLines(file: string): Awaitable<AsyncIterable<string> | undefined>;
}

/** Present when the node can be a member of a cluster. Errors are OperationErrors. */
export interface ClusterOps {
  join(node: string): Awaitable<string>;
  leave(): Awaitable<string>;
  remove(node: string): Awaitable<string>;
}

export interface StanzaOps {
  /**
   * Sends a stanza, whose `from` and `to` are set, as if the local user had sent it: through his user_send_packet
   * hooks, to wherever it goes.
   */
  send(stanza: Stanza): Awaitable<void>;
  /**
   * Messages that are routed to the user's bare JID from now on, as a further client of his would get them; they take
   * their usual way too. Ends when the account is removed, and when nobody takes what has come.
   */
  follow(user: BareJid): Events<FollowedMessage>;
}

export interface FollowedMessage {
  readonly sender: Jid;
  /** The stanza, serialised. */
  readonly stanza: string;
  readonly id: string | undefined;
}

export interface RetentionOps {
  /**
   * Deletes, or with `dryRun` counts, what is older than the section retention allows. `before` is milliseconds since
   * 1970. Throws database_unavailable when the database cuts it short.
   */
  run(options: { readonly domain?: string; readonly dryRun: boolean }): Promise<
    readonly {
      readonly domain: string;
      readonly kind: string;
      readonly module: string;
      readonly before: number;
      readonly count: number;
    }[]
  >;
}

export interface MetricSample {
  /** Segments, such as ["global", "c2s", "message_processed"]. */
  readonly name: readonly string[];
  readonly type: "histogram" | "counter" | "spiral" | "gauge";
  /** By MongooseIM's keys: value, one, count, n, mean, min, max, median, p50 ... p999, ms_since_reset. */
  readonly values: Readonly<Record<string, number>>;
}

export interface MetricOps {
  /** Metrics of this node. */
  samples(): readonly MetricSample[];
  /** Metrics of another node of the cluster; undefined when it does not answer. */
  samplesOf(node: string): Awaitable<readonly MetricSample[] | undefined>;
}

/** One line of the audit log: every mutation, and every operation that crashed. */
export interface AuditEntry {
  readonly operation: string;
  readonly caller: Caller;
  /** As given, with secrets replaced by "***". */
  readonly args: Readonly<Record<string, unknown>>;
  readonly outcome: "ok" | "refused" | "crashed";
  /** Code of a refusal. */
  readonly code?: string;
  /** What was thrown by a crash. */
  readonly error?: unknown;
  readonly milliseconds: number;
}

/**
 * What modules offer their operations, by module name; the engine gives the module's context. A module says:
 *
 *     declare module "../core/operations.ts" { interface ModuleInstances { mod_last: ModuleContext<Config, LastStore> } }
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging in modules
export interface ModuleInstances {}

/** A module as it runs for a domain. Throws domain_not_found, for a domain that is not ours. */
export function runningIn<N extends keyof ModuleInstances>(
  node: OperationNode,
  module: N,
  domain: string,
): ModuleInstances[N] {
  const running = node.instance(module, domain);
  if (running !== undefined) return running;
  throw new OperationError("domain_not_found", "Domain not found", { domain });
}

/** The running server, as operations see it. The engine implements it; tests fake the parts they need. */
export interface OperationNode {
  readonly name: string;
  /** Names of all nodes of the cluster, this one included. */
  nodes(): readonly string[];
  readonly accounts: AccountOps;
  readonly personalData: PersonalOps;
  readonly sessions: SessionOps;
  readonly domains: DomainOps;
  readonly server: ServerOps;
  readonly stanzas: StanzaOps;
  readonly metrics: MetricOps;
  readonly retention: RetentionOps;
  readonly cluster?: ClusterOps;
  /** Mutations under way, which removals wait for. */
  readonly underWay?: Works;
  /**
   * A module as it runs for a domain. An operation that names the module in `needs` finds it unless the domain is
   * not ours: what to say then is the operation's business.
   */
  instance<N extends keyof ModuleInstances>(module: N, domain: string): ModuleInstances[N] | undefined;
  /** Milliseconds on a clock that only runs forward. */
  clock(): number;
  /** Microseconds since 1970, UTC. */
  now(): number;
  /** Hexadecimal text of so many random bytes. */
  randomHex(bytes: number): string;
  audit(entry: AuditEntry): void;
}
