// Requests to the server and to accounts: which feature answers, and how its answer becomes a reply.

import type { C2S } from "../c2s/stream.ts";
import { StanzaError } from "../errors.ts";
import type { Iq, IqReply, MaybePromise, ModuleContext, Session } from "../module.ts";
import { NS_SESSION } from "../ns.ts";
import type { Element, Stanza } from "../stanza.ts";
import { Markup } from "../xml/markup.ts";

type Handler = (iq: Iq, ctx: ModuleContext) => MaybePromise<IqReply>;
interface Registered {
  readonly module: string;
  readonly handler: Handler;
  readonly ctx: ModuleContext;
}

/** A get or set as handlers see it. */
export class IqRequest implements Iq {
  readonly type: "get" | "set";
  constructor(readonly stanza: Stanza) {
    this.type = stanza.type as "get" | "set";
  }
  get from() {
    return this.stanza.from;
  }
  get to() {
    return this.stanza.to;
  }
  get payload(): Element {
    return this.stanza.kid(0);
  }
  get session(): Session | undefined {
    return this.stanza.origin as Session | undefined;
  }
}

/** The iq handlers of a host type. */
export class IqTable {
  private readonly handlers = new Map<string, Registered>();

  add(module: string, key: string, handler: Handler, ctx: ModuleContext): void {
    const there = this.handlers.get(key);
    if (there) throw new Error(`${module} and ${there.module} both answer "${key}"`);
    this.handlers.set(key, { module, handler, ctx });
  }

  remove(module: string): void {
    for (const [key, r] of this.handlers) if (r.module === module) this.handlers.delete(key);
  }

  /** Whether some feature answers requests with this payload, whoever they are for. */
  knows(ns: string): boolean {
    for (const key of this.handlers.keys()) if (key.endsWith(` ${ns}`)) return true;
    return false;
  }

  /** Whether a feature has an answer of its own to this request for an account that does not exist. */
  knowsAbsent(stanza: Stanza): boolean {
    return stanza.childCount > 0 && this.handlers.has(`${stanza.type} absent ${stanza.kidNs(0)}`);
  }

  /**
   * Runs the handler for a request to the server (`host`), an account, or one that does not exist (`absent`). The
   * result is the reply's markup without the envelope, undefined for an empty one; throws StanzaError.
   */
  answer(stanza: Stanza, target: "host" | "account" | "absent"): MaybePromise<string> {
    const ns = stanza.kidNs(0);
    const { type } = stanza;
    let found = this.handlers.get(`${type} ${target} ${ns}`);
    if (found === undefined && target === "account") {
      found = this.handlers.get(`${type} own ${ns}`);
      if (found !== undefined && stanza.from.bare.text !== stanza.to.text) throw new StanzaError("forbidden");
    }
    if (found === undefined) {
      // RFC 3921 §3: old clients ask for a session after binding; nothing is left to do.
      if (type === "set" && ns === NS_SESSION && (stanza.origin as C2S | undefined)?.options.legacySession) return "";
      // A namespace that is known with the other type only: the request is not one of its protocol.
      const other = type === "get" ? "set" : "get";
      if (this.handlers.has(`${other} ${target} ${ns}`)) throw new StanzaError("not-allowed");
      throw target === "host" ? new StanzaError("feature-not-implemented") : new StanzaError("service-unavailable");
    }
    const reply = found.handler(new IqRequest(stanza), found.ctx);
    return reply instanceof Promise ? reply.then(textOf) : textOf(reply);
  }
}

/** The reply's markup without the envelope. */
export const textOf = (reply: IqReply): string =>
  reply === undefined ? "" : reply instanceof Markup ? reply.text : String(reply);
