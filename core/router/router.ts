// The router: from a stanza's address to its owner (RFC 6120 §10, RFC 6121 §8). Sessions of this node, accounts,
// the server itself; other domains have their own doors.

import type { Arrivals } from "../c2s/arrivals.ts";
import type { C2S } from "../c2s/stream.ts";
import type { FoundService } from "../domain/services.ts";
import { StanzaError } from "../errors.ts";
import { type HookTable, STOP } from "../hooks.ts";
import { type BareJid, isFull, type Jid } from "../jid.ts";
import type { Log } from "../log/index.ts";
import type { HostType, MaybePromise, Session } from "../module.ts";
import { errorReply, iqResult } from "../replies.ts";
import type { Sessions } from "../session/directory.ts";
import { IQ, MESSAGE, PRESENCE, type Stanza } from "../stanza.ts";
import { logOf } from "../storage/away.ts";
import { viewText } from "../xml/framer.ts";
import { IqRequest, type IqTable, textOf } from "./iq.ts";

/** A host type as the router sees it. */
export interface RoutedHost extends HostType {
  readonly hooks: HookTable;
  readonly iqs: IqTable;
  readonly counters: { dropped: number; bounced: number };
}

export interface RouterParts {
  readonly sessions: Sessions<C2S>;
  readonly arrivals: Arrivals;
  readonly log: Log;
  hostOf(domain: string): RoutedHost | undefined;
  /** The feature that answers at a domain which is none of the served ones. */
  serviceOf(domain: string): FoundService<RoutedHost> | undefined;
  /** Whether there is such an account; asked only when it has no session. */
  accountExists(host: RoutedHost, jid: BareJid): MaybePromise<boolean>;
  answered(session: Session, stanza: Stanza): boolean;
  /** A stanza for a domain that is not ours: components, s2s. False when nobody takes it. */
  foreign(stanza: Stanza): MaybePromise<boolean>;
}

/** Messages of a session to an account that lag. */
interface Lagging {
  /** Resolves when a feature has the last one, or it went back to its sender; undefined when that is so. */
  entered: Promise<void> | undefined;
  /** Resolves when nothing is done about any of them any more; does not reject. */
  readonly done: Promise<void>;
}

export class Router {
  /** Stanzas for domains that nobody serves, so far. */
  noRouteFound = 0;
  /** Look-ups of accounts that messages for nobody's session wait for, by bare JID: what came first goes on first. */
  private readonly looking = new Map<string, Promise<unknown>>();
  /** What lags (`Stanza.lag`), by its sender's session and the account it is for. */
  private readonly lagging = new Map<string, Lagging>();

  constructor(private readonly parts: RouterParts) {}

  /** Sends a stanza, its `from` and `to` set, on its way. */
  route(s: Stanza): MaybePromise<void> {
    const { to } = s;
    const host = this.parts.hostOf(to.domain);
    if (host === undefined) return this.inTurn(s, undefined);
    const passes = this.passes(s, host);
    if (passes === true) return this.inTurn(s, host);
    if (passes !== false) return passes.then((p) => (p ? this.inTurn(s, host) : undefined));
  }

  /** Delivers a stanza when its turn is: after the write it waits for, and what its sender sent before. */
  private inTurn(s: Stanza, host: RoutedHost | undefined): MaybePromise<void> {
    const sender = s.origin as C2S | undefined;
    const { commit } = s;
    if (sender !== undefined && (commit !== undefined || sender.outbox?.busy)) return sender.later(s, host);
    if (commit === undefined) return this.deliver(s, host);
    return this.parts.arrivals.pass(s.to.bare.text, commit, (lost) =>
      lost
        ? this.bounce(s, new StanzaError("internal-server-error", "The message could not be stored"))
        : this.deliver(s, host),
    );
  }

  /** Delivers a stanza to its addressee, whose host type is `host`; undefined when that is none of the served ones. */
  deliver(s: Stanza, host: RoutedHost | undefined): MaybePromise<void> {
    s.commit = undefined;
    return host === undefined ? this.foreign(s) : this.local(host, s);
  }

  /** Whether the filters of a domain that is served let a stanza pass; they may add to it. */
  passes(s: Stanza, host: RoutedHost): MaybePromise<boolean> {
    const { hooks } = host;
    if (hooks.filterLocal.length === 0) return true;
    const verdict = hooks.route(hooks.filterLocal, s);
    if (verdict === undefined) return true;
    return verdict === STOP ? this.drop(host, s) : verdict.then((v) => (v === STOP ? this.drop(host, s) : true));
  }

  private drop(host: RoutedHost, s: Stanza): false {
    host.counters.dropped++;
    if (s.kind === MESSAGE) this.excused(s);
    return false;
  }

  /** Tells features of the sender that its message found no place. */
  private excused(s: Stanza): void {
    const host = (s.origin as Session | undefined)?.host;
    host?.hooks.route(host.hooks.undelivered, s);
  }

  /** For none of the served domains: for a feature's own, or for somewhere else. */
  private foreign(s: Stanza): MaybePromise<void> {
    const service = this.parts.serviceOf(s.to.domain);
    return service === undefined ? this.elsewhere(s) : this.toService(service, s);
  }

  private elsewhere(s: Stanza): MaybePromise<void> {
    const taken = this.parts.foreign(s);
    if (taken === true) return;
    const give = (ok: boolean) => {
      if (ok) return;
      this.noRouteFound++;
      return this.bounce(s, new StanzaError("remote-server-not-found"));
    };
    return taken === false ? give(false) : taken.then(give);
  }

  private local(host: RoutedHost, s: Stanza): MaybePromise<void> {
    const { to } = s;
    if (to.isDomain || to.bare.isDomain) return this.toServer(host, s);
    if (s.kind === MESSAGE) return this.message(host, s);
    if (s.kind === IQ) return this.iq(host, s);
    return this.presence(host, s);
  }

  // --- Features' own domains --------------------------------------------------------------------------------------------

  private toService(service: FoundService<RoutedHost>, s: Stanza): MaybePromise<void> {
    const passes = this.passes(s, service.entry.host);
    if (passes === true) return this.served(service, s);
    if (passes !== false) return passes.then((p) => (p ? this.served(service, s) : undefined));
  }

  private served({ entry: { def, ctx }, at }: FoundService<RoutedHost>, s: Stanza): MaybePromise<void> {
    if (s.kind === IQ && (s.type === "get" || s.type === "set")) {
      return this.answer(s, () => {
        const reply = def.iq(new IqRequest(s), ctx, at);
        return reply instanceof Promise ? reply.then(textOf) : textOf(reply);
      });
    }
    if (def.stanza === undefined) {
      return s.kind === MESSAGE ? this.bounce(s, new StanzaError("service-unavailable")) : undefined;
    }
    const refuse = (error: unknown): MaybePromise<void> => {
      if (error instanceof StanzaError) return this.bounce(s, error);
      this.parts.log.error("service_failed", { error, service: at.domain, from: s.from.text });
      return this.bounce(s, new StanzaError("internal-server-error"));
    };
    try {
      return def.stanza(s, ctx, at)?.catch(refuse);
    } catch (error) {
      return refuse(error);
    }
  }

  // --- The server itself ----------------------------------------------------------------------------------------------

  private toServer(host: RoutedHost, s: Stanza): MaybePromise<void> {
    if (s.kind !== IQ) return; // RFC 6121 §8.1: the server has no use for it
    return this.serverIq(host, s, "host");
  }

  private serverIq(host: RoutedHost, s: Stanza, target: "host" | "account" | "absent"): MaybePromise<void> {
    if (s.type === "result" || s.type === "error") {
      const session = s.origin as Session | undefined;
      if (session !== undefined) this.parts.answered(session, s);
      return;
    }
    return this.answer(s, () => {
      if (target === "host" && isFull(s.to)) throw new StanzaError("service-unavailable");
      return host.iqs.answer(s, target);
    });
  }

  /** Sends what `make` gives as the result of a request, or the error that it throws. */
  private answer(s: Stanza, make: () => MaybePromise<string>): MaybePromise<void> {
    let reply: MaybePromise<string>;
    try {
      reply = make();
    } catch (error) {
      return this.failed(s, error);
    }
    if (typeof reply === "string") return this.reply(s, iqResult(s, reply));
    return reply.then(
      (payload) => this.reply(s, iqResult(s, payload)),
      (error: unknown) => this.failed(s, error),
    );
  }

  private failed(s: Stanza, error: unknown): MaybePromise<void> {
    if (error instanceof StanzaError) return this.bounce(s, error);
    const what = s.kind === IQ ? "iq_handler_failed" : "message_not_delivered";
    const ns = s.childCount > 0 ? s.kidNs(0) : "";
    logOf(this.parts.log, what, error)?.error(what, { error, ns, from: s.from.text });
    return this.bounce(s, new StanzaError("internal-server-error"));
  }

  /** The answer to one's own client needs no routing. */
  private reply(s: Stanza, text: string): MaybePromise<void> {
    const session = s.origin as Session | undefined;
    if (session !== undefined) {
      session.write(text);
      return;
    }
    const answer = viewText(text);
    answer.from = s.to;
    answer.to = s.from;
    return this.route(answer);
  }

  /** Answers with an error, unless the stanza is an answer itself. */
  bounce(s: Stanza, error: StanzaError): MaybePromise<void> {
    if (s.type === "error" || (s.kind === IQ && s.type === "result")) return;
    // Presence is told about only when it asked for something.
    if (s.kind === PRESENCE && (s.type === "" || s.type === "unavailable")) return;
    // Its session says so itself: hundreds may come to nothing at once.
    if (s.origin !== undefined) return (s.origin as C2S).refuse(s, error);
    return this.reply(s, errorReply(s, error));
  }

  // --- iq -------------------------------------------------------------------------------------------------------------

  private iq(host: RoutedHost, s: Stanza): MaybePromise<void> {
    const { to } = s;
    if (!isFull(to)) return this.accountIq(host, s);
    const session = this.parts.sessions.get(to);
    if (session !== undefined) return this.give(s, session);
    return this.bounce(s, new StanzaError("service-unavailable"));
  }

  /** For an account, which the server answers for; nobody answers for one that does not exist (RFC 6121 §8.5.1). */
  private accountIq(host: RoutedHost, s: Stanza): MaybePromise<void> {
    const { hooks } = host;
    if (hooks.accountIq.length === 0 || (s.type !== "get" && s.type !== "set")) return this.answerFor(host, s);
    let verdict: ReturnType<HookTable["route"]>;
    try {
      verdict = hooks.route(hooks.accountIq, s);
    } catch (error) {
      return this.failed(s, error);
    }
    if (verdict === STOP) return;
    if (verdict === undefined) return this.answerFor(host, s);
    return verdict.then(
      (v) => (v === STOP ? undefined : this.answerFor(host, s)),
      (error: unknown) => this.failed(s, error),
    );
  }

  private answerFor(host: RoutedHost, s: Stanza): MaybePromise<void> {
    const exists = s.type === "result" || s.type === "error" || this.parts.accountExists(host, s.to.bare);
    const give = (there: boolean): MaybePromise<void> =>
      there || host.iqs.knowsAbsent(s)
        ? this.serverIq(host, s, there ? "account" : "absent")
        : this.bounce(s, new StanzaError("service-unavailable"));
    return exists instanceof Promise ? exists.then(give) : give(exists);
  }

  // --- presence -------------------------------------------------------------------------------------------------------

  private presence(host: RoutedHost, s: Stanza): MaybePromise<void> {
    const { to } = s;
    const { sessions } = this.parts;
    if (isFull(to) && (s.type === "" || s.type === "unavailable" || s.type === "error")) {
      return sessions.get(to)?.receive(s);
    }
    const { hooks } = host;
    if (hooks.accountPresence.length > 0) {
      const verdict = hooks.route(hooks.accountPresence, s);
      if (verdict === STOP) return;
      if (verdict !== undefined) return verdict.then((v) => (v === STOP ? undefined : this.toAvailable(s)));
    }
    return this.toAvailable(s);
  }

  private toAvailable(s: Stanza): MaybePromise<void> {
    return this.each(
      s,
      this.parts.sessions.of(s.to.bare.text).filter((session) => session.available),
    );
  }

  /** To one session. When a feature of the addressee refuses the stanza, the sender is told. */
  private give(s: Stanza, session: C2S): MaybePromise<void> {
    try {
      return session.receive(s)?.catch((error: unknown) => this.refused(s, error));
    } catch (error) {
      return this.refused(s, error);
    }
  }

  private refused(s: Stanza, error: unknown): MaybePromise<void> {
    if (!(error instanceof StanzaError)) throw error;
    return this.bounce(s, error);
  }

  /** To several sessions: what one of them refuses does not concern the others; when all do, the sender is told. */
  private each(s: Stanza, sessions: readonly C2S[]): MaybePromise<void> {
    let waiting: Promise<void>[] | undefined;
    let refusal: unknown;
    let given = sessions.length;
    const refused = (error: unknown): void => {
      refusal ??= error;
      given--;
    };
    for (const session of sessions) {
      try {
        const done = session.receive(s);
        if (done === undefined) continue;
        waiting ??= [];
        waiting.push(done.catch(refused));
      } catch (error) {
        refused(error);
      }
    }
    const end = (): MaybePromise<void> => {
      if (given === 0 && refusal !== undefined) return this.refused(s, refusal);
    };
    return waiting === undefined ? end() : Promise.all(waiting).then(end);
  }

  // --- messages (RFC 6121 §8.5) -----------------------------------------------------------------------------------------

  private message(host: RoutedHost, s: Stanza): MaybePromise<void> {
    const { to } = s;
    // Its addressee may have come while what its sender sent before is being stored.
    const before = s.mayLag && this.lagging.size > 0 ? this.lagging.get(lineOf(s)) : undefined;
    if (before !== undefined && this.reaches(to)) return before.done.then(() => this.message(host, s));
    s.behind = before?.done;
    const there = this.parts.sessions.raw(to.bare.text);
    if (isFull(to)) {
      const session = there === undefined ? undefined : this.parts.sessions.get(to);
      if (session !== undefined) return this.give(s, session);
      switch (s.type) {
        case "error":
          return;
        case "groupchat":
        case "headline":
          return this.bounce(s, new StanzaError("service-unavailable"));
        default:
      }
      // §8.5.3.2.1: chat is treated as if sent to the bare JID; normal too, as MongooseIM does, so that it is not lost.
    }
    const { type } = s;
    if (type === "groupchat") return this.unsupportedGroupchat(host, s);
    if (type === "error") return; // §8.5.2.1.1, §8.5.2.2.1: an account takes no errors
    if (there === undefined) return this.offline(host, s);
    if (!Array.isArray(there)) {
      const one = there as C2S;
      return one.available && one.priority >= 0 ? this.give(s, one) : this.offline(host, s);
    }
    return this.toResources(host, s, there as readonly C2S[]);
  }

  /** Several sessions: headlines go to all that want messages, the rest to those of the highest priority. */
  private toResources(host: RoutedHost, s: Stanza, sessions: readonly C2S[]): MaybePromise<void> {
    let best = -1;
    for (const x of sessions) if (x.available && !x.gone && x.priority > best) best = x.priority;
    if (best < 0) return this.offline(host, s);
    const all = s.type === "headline";
    const chosen = sessions.filter((x) => x.available && !x.gone && x.priority >= (all ? 0 : best));
    return this.each(s, chosen);
  }

  /** Whether a message may go to a session rather than to the features that store it. */
  private reaches(to: Jid): boolean {
    const { sessions } = this.parts;
    if (isFull(to) && sessions.get(to) !== undefined) return true;
    return sessions.of(to.bare.text).some((x) => x.available && x.priority >= 0);
  }

  private unsupportedGroupchat(host: RoutedHost, s: Stanza): MaybePromise<void> {
    const { hooks } = host;
    const verdict = hooks.route(hooks.offlineGroupchat, s);
    if (verdict === STOP) return this.stored(s);
    const give = () => this.bounce(s, new StanzaError("service-unavailable"));
    return verdict === undefined ? give() : verdict.then((v) => (v === STOP ? this.stored(s) : give()));
  }

  /** A message that no session can take now: stored by a feature, or told to be undeliverable. */
  private offline(host: RoutedHost, s: Stanza): MaybePromise<void> {
    // §8.5.2.2.1: headlines and errors for nobody are dropped.
    if (s.type === "error" || s.type === "headline") return;
    const exists = this.parts.accountExists(host, s.to.bare);
    if (s.mayLag) return this.lags(host, s, exists);
    const entered = this.enter(host, s, exists);
    return entered === undefined ? this.stored(s) : entered.then(() => this.stored(s));
  }

  /**
   * Has a message lag: the session that has sent it reads on. A feature has what one session says to an account in order.
   */
  private lags(host: RoutedHost, s: Stanza, exists: MaybePromise<boolean>): void {
    const line = lineOf(s);
    const before = this.lagging.get(line);
    const earlier = before?.entered;
    // Its account is asked for at once, and the answer may come first.
    if (earlier !== undefined && exists instanceof Promise) exists.catch(nothing);
    const entered =
      earlier === undefined ? this.enter(host, s, exists) : earlier.then(() => this.enter(host, s, exists));
    const end = entered === undefined ? this.stored(s) : entered.then(() => this.stored(s));
    if (end === undefined) return;
    const mine = end.catch((error: unknown) => (s.origin as C2S).refuse(s, error));
    // One that finds no room is done with while those before it are on their way to the disk.
    const done = (before === undefined ? mine : Promise.all([before.done, mine])).then(() => {
      if (this.lagging.get(line) === lagging) this.lagging.delete(line);
    });
    const lagging: Lagging = { entered: undefined, done };
    if (entered !== undefined) {
      const clear = (): void => {
        lagging.entered = undefined;
      };
      lagging.entered = entered.then(clear, clear);
    }
    this.lagging.set(line, lagging);
    s.lag = done;
  }

  /** Gives it to the features that store, if there is such an account; resolves when one has it. */
  private enter(host: RoutedHost, s: Stanza, exists: MaybePromise<boolean>): MaybePromise<void> {
    const { bare } = s.to;
    const before = this.looking.get(bare.text);
    if (before === undefined && !(exists instanceof Promise)) return this.store(host, s, exists);
    const turn = Promise.allSettled([exists, before]);
    this.looking.set(bare.text, turn);
    return turn.then(([answer]) => {
      if (this.looking.get(bare.text) === turn) this.looking.delete(bare.text);
      if (answer.status === "rejected") throw answer.reason;
      return this.store(host, s, answer.value);
    });
  }

  private store(host: RoutedHost, s: Stanza, exists: boolean): MaybePromise<void> {
    if (!exists) {
      host.counters.bounced++;
      return this.bounce(s, new StanzaError("service-unavailable", "User not found"));
    }
    const { hooks } = host;
    let verdict: ReturnType<HookTable["route"]>;
    try {
      verdict = hooks.route(hooks.offline, s);
    } catch (error) {
      return this.failed(s, error);
    }
    if (verdict === STOP) return;
    const give = () => {
      host.counters.bounced++;
      return this.bounce(s, new StanzaError("service-unavailable"));
    };
    if (verdict === undefined) return give();
    return verdict.then(
      (v) => (v === STOP ? undefined : give()),
      (error: unknown) => this.notStored(s, error),
    );
  }

  /** Waits for what the feature that has it does to store it (`Stanza.store`). */
  private stored(s: Stanza): MaybePromise<void> {
    const { storing } = s;
    s.storing = undefined;
    return storing?.then(nothing, (error: unknown) => this.notStored(s, error));
  }

  private notStored(s: Stanza, error: unknown): MaybePromise<void> {
    return this.bounce(s, error instanceof StanzaError ? error : new StanzaError("internal-server-error"));
  }

  /**
   * A stanza that a session took and could not deliver (its stream ended): messages go where they would have gone
   * without that session, requests get an error, presence is old news.
   */
  reroute(s: Stanza): MaybePromise<void> {
    // Whoever sent it has been told, or waits for this.
    s.mayLag = false;
    const host = this.parts.hostOf(s.to.domain);
    if (host === undefined || s.copy || s.kind === PRESENCE) return;
    if (s.kind === IQ) return this.bounce(s, new StanzaError("service-unavailable"));
    if (s.type === "error" || s.type === "headline") return;
    if (s.type === "groupchat") return this.unsupportedGroupchat(host, s);
    // One that has ended is in the directory until the features have seen to its end.
    const left = this.parts.sessions.of(s.to.bare.text).filter((x) => !x.closed);
    const done = left.length > 0 ? this.toResources(host, s, left) : this.offline(host, s);
    return done?.catch((error: unknown) => this.failed(s, error));
  }
}

const nothing = (): void => {};
/** Names what a session has sent to an account. */
const lineOf = ({ origin, to }: Stanza): string => `${(origin as C2S).sid} ${to.bare.text}`;
