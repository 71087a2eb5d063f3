// A client of the fuzzer: knows which of its requests wait for an answer, and looks at everything that comes.

import { Client } from "../support/client.ts";
import { childOf, childrenOf, NS_CLIENT, show, textOf, type XElement } from "../support/match.ts";
import { ODD } from "./mutate.ts";
import type { Random } from "./random.ts";

const NS_SM = "urn:xmpp:sm:3";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
/** Conditions of RFC 6120 §8.3.3 that a client may cause. */
const CONDITIONS: ReadonlySet<string> = new Set([
  "bad-request",
  "conflict",
  "feature-not-implemented",
  "forbidden",
  "gone",
  "item-not-found",
  "jid-malformed",
  "not-acceptable",
  "not-allowed",
  "not-authorized",
  "policy-violation",
  "recipient-unavailable",
  "redirect",
  "registration-required",
  "remote-server-not-found",
  "remote-server-timeout",
  "resource-constraint",
  "service-unavailable",
  "subscription-required",
  "undefined-condition",
  "unexpected-request",
]);
const TYPES: ReadonlySet<string> = new Set(["auth", "cancel", "continue", "modify", "wait"]);
/** Attributes whose values make sense in later requests. */
const TELLING = ["id", "subid", "node", "ver", "jid", "name"] as const;
/** Milliseconds after which an answer is not waited for any more. */
const PATIENCE = 10_000;
const KNOWN = 50;

/** What is wrong with an error: undefined for nothing. */
function faultOf(stanza: XElement): string | undefined {
  const errors = childrenOf(stanza).filter((c) => c.name === "error" && c.ns === NS_CLIENT);
  const [error] = errors;
  if (errors.length === 0) return "an error without <error/>";
  // What was sent comes back with it, an <error/> of its own too.
  const own = errors[errors.length - 1] ?? error;
  const [condition] = childrenOf(own).filter((c) => c.ns === NS_STANZAS && c.name !== "text");
  if (condition === undefined) return "an error without a condition";
  if (!CONDITIONS.has(condition.name)) return `the condition ${condition.name}`;
  if (!TYPES.has(own.attrs["type"] ?? "")) return `the error type ${own.attrs["type"]}`;
  return undefined;
}

/** The condition of an error. */
export function conditionOf(stanza: XElement): string {
  const error = childrenOf(stanza)
    .filter((c) => c.name === "error" && c.ns === NS_CLIENT)
    .at(-1);
  return (error && childrenOf(error).find((c) => c.ns === NS_STANZAS && c.name !== "text")?.name) ?? "";
}

export class Actor extends Client {
  /** From now on the fuzzer hears what comes. */
  live = false;
  /** Tells of what a server never does. */
  complain: (what: string) => void = () => {};
  /** Stanzas that were no answers. */
  heard = 0;
  /** The condition of the stream error that came. */
  streamError = "";
  /** Values that the server has told. */
  known: string[] = [];
  /** Sessions of commands. */
  sessions: string[] = [];
  /** What it answers to a request for its features; undefined: that it has none. */
  chance: Random | undefined;
  private readonly pending = new Map<string, (answer: XElement | undefined) => void>();
  private readonly answered = new Set<string>();

  override element(e: XElement): void {
    if (!this.live) {
      super.element(e);
      return;
    }
    if (e.name === "error" && e.ns !== NS_CLIENT) {
      this.streamError = childrenOf(e)
        .map((c) => (c.name === "text" ? textOf(c) : c.name))
        .join(": ");
      return;
    }
    if (e.ns === NS_SM) this.stream(e);
    if (e.ns !== NS_CLIENT) return;
    this.received++;
    this.look(e);
    if (e.name === "iq") this.iq(e);
    else this.heard++;
  }

  /** XEP-0198: what comes is counted and acknowledged, or it would be told again when the stream ends. */
  private stream(e: XElement): void {
    if (e.name === "enabled") this.received = 0;
    if (e.name === "r") this.says(`<a xmlns='${NS_SM}' h='${this.received}'/>`);
  }

  override streamEnd(): void {
    super.streamEnd();
    this.giveUp();
  }
  override closed(code?: number): void {
    super.closed(code);
    this.giveUp();
  }
  override broken(error: Error): void {
    super.broken(error);
    this.complain(`what comes is not well-formed: ${error.message}`);
    this.giveUp();
  }
  private giveUp(): void {
    for (const resolve of this.pending.values()) resolve(undefined);
    this.pending.clear();
  }

  /** What holds for everything that comes. */
  private look(e: XElement): void {
    // The attribute stays as it was written; routing goes by what it means.
    const to = e.attrs["to"]?.toLowerCase();
    if (to !== undefined && to !== this.domain && to !== this.bare && !to.startsWith(`${this.bare}/`)) {
      this.complain(`${this.full} got what is for another: ${show(e)}`);
    }
    if (e.attrs["type"] === "error") {
      const fault = e.name === "iq" ? faultOf(e) : undefined;
      if (fault !== undefined) this.complain(`${fault}: ${show(e)}`);
    }
    this.learn(e);
  }

  private learn(e: XElement): void {
    for (const key of TELLING) {
      const value = e.attrs[key];
      if (value !== undefined && value.length < 200) this.note(this.known, value);
    }
    const session = e.attrs["sessionid"];
    if (session !== undefined) this.note(this.sessions, session);
    for (const child of childrenOf(e)) this.learn(child);
    const token = e.name === "value" ? /preauth=([^;&]+)/.exec(textOf(e)) : null;
    if (token !== null) this.note(this.known, token[1]);
  }
  private note(list: string[], value: string): void {
    list.push(value);
    if (list.length > KNOWN) list.shift();
  }

  private iq(e: XElement): void {
    const id = e.attrs["id"] ?? "";
    const { type } = e.attrs;
    if (type === "get" || type === "set") {
      this.asked(e);
      return;
    }
    const resolve = this.pending.get(id);
    if (resolve === undefined) {
      if (this.answered.has(id)) this.complain(`${id} was answered twice: ${show(e)}`);
      return;
    }
    this.pending.delete(id);
    this.answered.add(id);
    if (type === "result") {
      if (childrenOf(e).length > 1) this.complain(`a result with more than one element: ${show(e)}`);
      const bare = childrenOf(e).find((c) => c.ns === NS_CLIENT || c.ns === "");
      if (bare !== undefined) this.complain(`a result without a namespace: ${show(e)}`);
    } else if (type !== "error") this.complain(`an answer of type ${type}: ${show(e)}`);
    resolve(e);
  }

  /** The server, or somebody, asks this client. */
  private asked(e: XElement): void {
    const { id, from } = e.attrs;
    const to = from === undefined ? "" : ` to='${from.replaceAll("&", "&amp;").replaceAll("'", "&apos;")}'`;
    const query = childOf(e, "query", "http://jabber.org/protocol/disco#info");
    const head = `<iq id='${(id ?? "").replaceAll("&", "&amp;").replaceAll("'", "&apos;")}'${to}`;
    if (query === undefined || this.chance === undefined) {
      this.says(`${head} type='error'><error type='cancel'><service-unavailable xmlns='${NS_STANZAS}'/></error></iq>`);
      return;
    }
    const r = this.chance;
    const features = Array.from({ length: r.pick([0, 1, 5, 200]) }, () => r.pick(ODD).replaceAll(/[<>&'"]/g, "?"));
    const list = [...features, "http://jabber.org/protocol/tune+notify"].map((f) => `<feature var='${f}'/>`);
    this.says(
      `${head} type='result'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/>${list.join("")}</query></iq>`,
    );
  }

  /** Nothing can be sent any more. */
  get over(): boolean {
    return this.gone || this.streamEnded;
  }

  /** Sends a request; undefined when the stream ends instead of an answer, "late" when none comes. */
  asks(id: string, text: string): Promise<XElement | undefined | "late"> {
    if (this.over) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        resolve("late");
      }, PATIENCE);
      this.pending.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.says(text);
    });
  }

  /** Forgets which requests were answered: their ids do not come again. */
  forget(): void {
    this.answered.clear();
  }
}
