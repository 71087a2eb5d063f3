// Hooks: how features see what happens. Three kinds, by MongooseIM's names and order (lower runs first, 50 is usual):
// stanza hooks watch stanzas go by and may stop them; folds pass a value along; notices only tell.
// Handlers are synchronous unless they must do I/O: no promise is made unless a handler returns one.
// A feature that offers a hook declares its type in its own file by adding to one of the interfaces below.

import { insistOn, StanzaError } from "./errors.ts";
import type { BareJid, FullJid, Jid } from "./jid.ts";
import type { Session } from "./module.ts";
import type { Stanza } from "./stanza.ts";
import type { Deleted } from "./storage/db.ts";
import type { Markup } from "./xml/markup.ts";

/** Returned by a handler: no further handler runs; a stanza is taken out of its way. */
export const STOP = Symbol("stop");
export type Stop = typeof STOP;
export type MaybePromise<T> = T | Promise<T>;

/** Takes work in that has been begun, until it comes to its end; who must not come between waits for it. */
export interface Works {
  add<T>(work: Promise<T>): Promise<T>;
}
export type Verdict = MaybePromise<Stop | undefined | void>;

/** Hooks that see a stanza of a session of this node. */
export type SessionStanzaHook =
  | "user_send_packet"
  | "user_send_message"
  | "user_send_presence"
  | "user_send_iq"
  | "user_send_xmlel"
  | "user_receive_packet"
  | "user_receive_message"
  | "user_receive_presence"
  | "user_receive_iq"
  | "xmpp_presend_element"
  /** A stanza was written to a client, or is kept for one that is detached (XEP-0198). Only tells; not waited for. */
  | "xmpp_send_element";

/** Hooks that see a stanza on its way to a local domain, whoever sent it. */
export type RouteStanzaHook =
  | "filter_packet"
  | "filter_local_packet"
  /** Presence of any type for the bare JID of a local account; whoever handles it stops it. Ours, not MongooseIM's. */
  | "account_presence"
  /** A request for the bare JID of a local account, before the server answers for it. Ours, not MongooseIM's. */
  | "account_iq"
  | "offline_message"
  | "offline_groupchat_message"
  /**
   * A message of a client of this node was neither delivered nor stored, and its sender is about to be told: STOP
   * leaves the error out. Of the sender's host type; handlers must be synchronous.
   */
  | "failed_to_store_message";

export type StanzaHook = SessionStanzaHook | RouteStanzaHook;

/** Folds: the accumulated value and what it is about. */
export interface FoldHooks {
  /** Namespaces for the server's disco#info; `node` is "" without one. */
  disco_local_features: { acc: Set<string>; params: DiscoParams };
  disco_local_identity: { acc: Identity[]; params: DiscoParams };
  disco_local_items: { acc: DiscoItem[]; params: DiscoParams };
  disco_sm_features: { acc: Set<string>; params: DiscoParams };
  disco_sm_identity: { acc: Identity[]; params: DiscoParams };
  disco_sm_items: { acc: DiscoItem[]; params: DiscoParams };
  /** Forms (XEP-0128) in the server's disco#info. */
  disco_info: { acc: Markup[]; params: DiscoParams };
  /** Stream features, markup each; `session` has a JID after authentication. */
  c2s_stream_features: { acc: Markup[]; params: { session: Session; domain: string; authenticated: boolean } };
  /** false refuses a session after its resource is bound. */
  session_opening_allowed_for_user: { acc: boolean; params: { jid: FullJid } };
  /** Subscription lists of a user; see mod_roster. */
  roster_get_subscription_lists: { acc: SubscriptionLists; params: { jid: BareJid } };
  /** The state of one contact as the roster has it. */
  roster_get_jid_info: { acc: ContactInfo; params: { jid: BareJid; contact: BareJid } };
  /** Whether a stanza from `from` may reach `to` (mod_privacy and others). */
  privacy_check_packet: {
    acc: "allow" | "deny" | "block";
    params: { jid: BareJid; stanza: Stanza; dir: "in" | "out" };
  };
  /** Tables of what is kept about a user (GDPR). */
  get_personal_data: { acc: PersonalData[]; params: { jid: BareJid } };
}

/** Notices: what they tell. Handlers may return a promise; the teller waits only where it says so. */
export interface NoticeHooks {
  register_user: { jid: BareJid };
  /** An account has a new password. Waited for. Ours, not MongooseIM's. */
  password_changed: { jid: BareJid };
  /** An account is gone: all its data must go. Waited for. */
  remove_user: { jid: BareJid };
  /** A domain is being deleted: all its data must go. Waited for. */
  remove_domain: {
    domain: string;
    /** Told of rows that were deleted, for the log. */
    deleted?: Deleted;
  };
  /**
   * What was kept about an account of another host type, or about all of a domain, is gone from this one's stores: it goes
   * from memory too. `of` is the bare JID, or the domain. Waited for. Ours, not MongooseIM's.
   */
  stranger_removed: { of: string };
  /**
   * The last session of an anonymous user ended. What stores keep of him is deleted at 60, except by features with a
   * handler of their own.
   */
  anonymous_purge: { jid: BareJid };
  auth_failed: { domain: string; local: string };
  forbidden_session: { jid: FullJid };
  user_open_session: { session: Session };
  sm_register_connection: { session: Session };
  sm_remove_connection: { session: Session; reason: SessionEnd };
  /** First available presence of a session. */
  user_available: { session: Session };
  /** Initial presence: stored messages go out now. Waited for. */
  resend_offline_messages: { session: Session };
  set_presence: { session: Session; stanza: Stanza };
  /** A session became unavailable: it said so, or it ended. `status` is the text it gave. */
  unset_presence: { session: Session; status: string };
  /** The session ends, before it is out of the directory. */
  user_terminate: { session: Session; reason: SessionEnd };
  /** A session lost its connection and waits for its client (XEP-0198 §5). */
  session_detached: { session: Session };
  /**
   * A message was taken for a session that waits for its client, or whose client is left in peace: `text` as it will
   * be written. Waited for. It is the stream's, or stands under a `key` of whoever has it wait.
   */
  message_held: { session: Session; text: string; at: number; key?: string };
  /** Messages that were held under a key have gone their way. */
  held_messages_gone: { key: string };
  /** A lost stream was taken up again (XEP-0198 §5); told after the unacknowledged stanzas were sent again. */
  session_resumed: { session: Session };
  /** Out of the directory; what the client did not acknowledge is routed again. */
  reroute_unacked_messages: { session: Session };
  roster_in_subscription: { to: BareJid; from: BareJid; type: string; stanza: Stanza };
  roster_out_subscription: { from: BareJid; to: BareJid; type: string; stanza: Stanza };
  /** A message that the client had not acknowledged when its connection was lost, or that has come for it since. */
  unacknowledged_message: { session: Session; stanza: Stanza };
  /** A vCard was stored; `derived`: another feature has changed it (see changeVcard of mod_vcard). */
  vcard_set: { jid: BareJid; vcard: Markup; derived?: true };
  user_ping_response: { session: Session; ms: number; ok: boolean };
}

export interface DiscoParams {
  from: Jid;
  to: Jid;
  node: string;
  /** For accounts: the asker has a subscription to the account's presence, or owns it. */
  subscribed: boolean;
}
export interface Identity {
  category: string;
  type: string;
  name?: string;
}
export interface DiscoItem {
  jid: string;
  node?: string;
  name?: string;
  /** A service that users are not shown when users_can_see_hidden_services is off (a hidden component). */
  hidden?: boolean;
}
export interface SubscriptionLists {
  /** Bare JIDs (text) that receive the user's presence. */
  from: readonly string[];
  /** Bare JIDs (text) whose presence the user receives. */
  to: readonly string[];
}
export interface ContactInfo {
  subscription: "none" | "to" | "from" | "both";
  ask: "none" | "subscribe" | "unsubscribe" | "in" | "out" | "both";
  groups: readonly string[];
  name: string;
  /** The user has put the contact into the roster: then there need not be a subscription. */
  listed?: boolean;
}
/** A table of what is kept about a user; a value for each column in every row. */
export interface PersonalData {
  /** File name stem in the export, MongooseIM's. */
  name: string;
  columns: readonly string[];
  rows: PersonalRows;
  /** Further rows, a page at a time: a table that may be large is read while it is written out. Asked for once. */
  more?: AsyncIterable<PersonalRows>;
}
export type PersonalRows = readonly (readonly string[])[];
/** Why a session ended. */
export type SessionEnd = "closed" | "lost" | "replaced" | "kicked" | "shutdown" | "resumed" | "timeout" | "error";

export type FoldName = keyof FoldHooks;
export type NoticeName = keyof NoticeHooks;

/** Conditions under which a stanza handler is called; what is not given is not asked for. */
export interface StanzaFilter {
  at?: number;
  /** Values of the type attribute; "" is an absent one. */
  type?: string | readonly string[];
  /** Namespace of a child that must be there. */
  ns?: string;
  /** Name of that child. */
  child?: string;
}

/** The handlers a feature has, by hook. `Ctx` is what the feature is given when it is called. */
export type HookHandlers<Ctx> = {
  [H in SessionStanzaHook]?: OneOrMore<StanzaHandler<(stanza: Stanza, session: Session, ctx: Ctx) => Verdict>>;
} & {
  [H in RouteStanzaHook]?: OneOrMore<StanzaHandler<(stanza: Stanza, ctx: Ctx) => Verdict>>;
} & {
  [H in FoldName]?: Handler<
    (acc: FoldHooks[H]["acc"], params: FoldHooks[H]["params"], ctx: Ctx) => MaybePromise<FoldHooks[H]["acc"] | void>
  >;
} & {
  [H in NoticeName]?: Handler<(params: NoticeHooks[H], ctx: Ctx) => MaybePromise<void>>;
};
type OneOrMore<T> = T | readonly T[];
type Handler<F> = F | { at: number; run: F };
type StanzaHandler<F> = F | (StanzaFilter & { run: F });

/** A handler as the compiled lists hold it. */
export interface Entry {
  hook: string;
  at: number;
  module: string;
  ctx: unknown;
  run: (...args: never[]) => unknown;
  types: readonly string[] | undefined;
  ns: string | undefined;
  child: string | undefined;
}

type SessionRun = (stanza: Stanza, session: Session, ctx: unknown) => Verdict;
type RouteRun = (stanza: Stanza, ctx: unknown) => Verdict;

/** What the table tells when a handler fails. */
export interface HookObserver {
  /** A handler threw something that is not a StanzaError; it is skipped. */
  failed(hook: string, module: string, error: unknown): void;
  /** A handler has not answered in time; the chain goes on without it. */
  late(hook: string, module: string): void;
  /** Runs `run` after `ms`, returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** How long an asynchronous handler may take before the chain goes on without it, in ms. */
const PATIENCE = 30_000;

/** The handlers of one host type, sorted once and called often. */
export class HookTable {
  private readonly entries = new Map<string, Entry[]>();
  // Per kind of stanza: the packet hook's handlers, then the kind's own.
  sendMessage: readonly Entry[] = [];
  sendPresence: readonly Entry[] = [];
  sendIq: readonly Entry[] = [];
  sendOther: readonly Entry[] = [];
  receiveMessage: readonly Entry[] = [];
  receivePresence: readonly Entry[] = [];
  receiveIq: readonly Entry[] = [];
  presend: readonly Entry[] = [];
  sent: readonly Entry[] = [];
  filterPacket: readonly Entry[] = [];
  filterLocal: readonly Entry[] = [];
  accountPresence: readonly Entry[] = [];
  accountIq: readonly Entry[] = [];
  offline: readonly Entry[] = [];
  offlineGroupchat: readonly Entry[] = [];
  undelivered: readonly Entry[] = [];

  constructor(private readonly observer: HookObserver) {}

  /** Registers all handlers of a feature. */
  add<Ctx>(module: string, handlers: HookHandlers<Ctx>, ctx: Ctx): void {
    for (const [hook, given] of Object.entries(handlers)) {
      if (given === undefined) continue;
      const list = this.entries.get(hook) ?? [];
      for (const one of Array.isArray(given) ? given : [given]) {
        const h: StanzaFilter & { run?: Entry["run"] } = typeof one === "function" ? { run: one } : one;
        list.push({
          hook,
          at: h.at ?? 50,
          module,
          ctx,
          run: h.run!,
          types: h.type === undefined ? undefined : typeof h.type === "string" ? [h.type] : h.type,
          ns: h.ns,
          child: h.child,
        });
      }
      list.sort((a, b) => a.at - b.at);
      this.entries.set(hook, list);
    }
    this.compile();
  }

  /** Takes out every handler of a feature. */
  remove(module: string): void {
    for (const [hook, list] of this.entries) {
      const left = list.filter((e) => e.module !== module);
      if (left.length > 0) this.entries.set(hook, left);
      else this.entries.delete(hook);
    }
    this.compile();
  }

  private compile(): void {
    const of = (...hooks: StanzaHook[]) => hooks.flatMap((h) => this.entries.get(h) ?? []);
    this.sendMessage = of("user_send_packet", "user_send_message");
    this.sendPresence = of("user_send_packet", "user_send_presence");
    this.sendIq = of("user_send_packet", "user_send_iq");
    this.sendOther = of("user_send_xmlel");
    this.receiveMessage = of("user_receive_packet", "user_receive_message");
    this.receivePresence = of("user_receive_packet", "user_receive_presence");
    this.receiveIq = of("user_receive_packet", "user_receive_iq");
    this.presend = of("xmpp_presend_element");
    this.sent = of("xmpp_send_element");
    this.filterPacket = of("filter_packet");
    this.filterLocal = of("filter_local_packet");
    this.accountPresence = of("account_presence");
    this.accountIq = of("account_iq");
    this.offline = of("offline_message");
    this.offlineGroupchat = of("offline_groupchat_message");
    this.undelivered = of("failed_to_store_message");
  }

  /** Whether anybody listens to a hook. */
  has(hook: StanzaHook | FoldName | NoticeName): boolean {
    return this.entries.has(hook);
  }

  /** Shows a session's stanza to a compiled list. A StanzaError that a handler throws goes to the caller. */
  session(list: readonly Entry[], stanza: Stanza, session: Session, from = 0): MaybePromise<Stop | undefined> {
    for (let i = from; i < list.length; i++) {
      const e = list[i];
      if (!wants(e, stanza)) continue;
      let verdict: Verdict;
      try {
        verdict = (e.run as SessionRun)(stanza, session, e.ctx);
      } catch (error) {
        this.caught(e, error);
        continue;
      }
      if (verdict === undefined) continue;
      if (verdict === STOP) return STOP;
      return this.wait(e, verdict).then((v) => (v === STOP ? STOP : this.session(list, stanza, session, i + 1)));
    }
    return undefined;
  }

  /** Shows a stanza on its way to a compiled list. */
  route(list: readonly Entry[], stanza: Stanza, from = 0): MaybePromise<Stop | undefined> {
    for (let i = from; i < list.length; i++) {
      const e = list[i];
      if (!wants(e, stanza)) continue;
      let verdict: Verdict;
      try {
        verdict = (e.run as RouteRun)(stanza, e.ctx);
      } catch (error) {
        this.caught(e, error);
        continue;
      }
      if (verdict === undefined) continue;
      if (verdict === STOP) return STOP;
      return this.wait(e, verdict).then((v) => (v === STOP ? STOP : this.route(list, stanza, i + 1)));
    }
    return undefined;
  }

  /** Passes a value along the handlers of a fold; a handler that returns nothing leaves it (it may have edited it). */
  fold<H extends FoldName>(
    hook: H,
    acc: FoldHooks[H]["acc"],
    params: FoldHooks[H]["params"],
  ): MaybePromise<FoldHooks[H]["acc"]> {
    const list = this.entries.get(hook);
    return list ? this.foldFrom(list, 0, acc, params) : acc;
  }

  private foldFrom<A, P>(list: readonly Entry[], from: number, acc: A, params: P): MaybePromise<A> {
    for (let i = from; i < list.length; i++) {
      const e = list[i];
      let next: MaybePromise<A | void>;
      try {
        next = (e.run as (acc: A, params: P, ctx: unknown) => MaybePromise<A | void>)(acc, params, e.ctx);
      } catch (error) {
        this.caught(e, error);
        continue;
      }
      if (next instanceof Promise) {
        return this.wait(e, next).then((v) => this.foldFrom(list, i + 1, v === undefined ? acc : (v as A), params));
      }
      if (next !== undefined) acc = next as A;
    }
    return acc;
  }

  /** As `fold`, however long handlers take. Rejects when one fails: what it would have added must not be missing. */
  async foldWhole<H extends FoldName>(
    hook: H,
    acc: FoldHooks[H]["acc"],
    params: FoldHooks[H]["params"],
  ): Promise<FoldHooks[H]["acc"]> {
    type Run = (acc: FoldHooks[H]["acc"], params: FoldHooks[H]["params"], ctx: unknown) => unknown;
    let value = acc;
    for (const e of this.entries.get(hook) ?? []) {
      const next = await (e.run as unknown as Run)(value, params, e.ctx);
      if (next !== undefined) value = next as FoldHooks[H]["acc"];
    }
    return value;
  }

  /** Tells a notice to all its handlers, in order. */
  notify<H extends NoticeName>(hook: H, params: NoticeHooks[H]): MaybePromise<void> {
    const list = this.entries.get(hook);
    if (list) return this.notifyFrom(list, 0, params);
  }

  /**
   * Tells a notice to all its handlers, however long they take. Rejects, after all were told, when one has failed; at
   * once when one was Interrupted.
   */
  insist<H extends NoticeName>(hook: H, params: NoticeHooks[H]): Promise<void> {
    return insistOn(
      this.entries.get(hook) ?? [],
      (e) => (e.run as (params: NoticeHooks[H], ctx: unknown) => MaybePromise<void>)(params, e.ctx),
      (e, error) => this.observer.failed(e.hook, e.module, error),
    );
  }

  private notifyFrom(list: readonly Entry[], from: number, params: unknown): MaybePromise<void> {
    for (let i = from; i < list.length; i++) {
      const e = list[i];
      let done: MaybePromise<void>;
      try {
        done = (e.run as (params: unknown, ctx: unknown) => MaybePromise<void>)(params, e.ctx);
      } catch (error) {
        this.caught(e, error);
        continue;
      }
      if (done instanceof Promise) return this.wait(e, done).then(() => this.notifyFrom(list, i + 1, params));
    }
  }

  private caught(e: Entry, error: unknown): void {
    if (error instanceof StanzaError) throw error;
    this.observer.failed(e.hook, e.module, error);
  }

  /** A handler's promise, bounded in time; a failure counts as no answer, a StanzaError is passed on. */
  private wait<T>(e: Entry, promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const cancel = this.observer.after(PATIENCE, () => {
        this.observer.late(e.hook, e.module);
        resolve(undefined);
      });
      promise.then(
        (value) => {
          cancel();
          resolve(value);
        },
        (error: unknown) => {
          cancel();
          if (error instanceof StanzaError) reject(error);
          else {
            this.observer.failed(e.hook, e.module, error);
            resolve(undefined);
          }
        },
      );
    });
  }
}

function wants(e: Entry, stanza: Stanza): boolean {
  if (e.types !== undefined && !e.types.includes(stanza.type)) return false;
  return e.ns === undefined || stanza.has(e.child, e.ns);
}
