// Collections (XEP-0248): events of a node reach the subscribers of the collections that it is in, and subscriptions
// with options (XEP-0060 §6.3) get their own form of it.

import { isFull, type Jid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { Markup, xml } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import type { Audience, PubsubEngine } from "./engine.ts";
import { Delivery, type Event, isActive } from "./event.ts";
import type { PubsubNode, Subscription } from "./model.ts";
import { subscriptionEvent } from "./state.ts";

const NS_SHIM = "http://jabber.org/protocol/shim";
/** Collections above one node. */
const MAX_ANCESTORS = 100;
/** Characters of a message body made of a payload. */
const MAX_BODY = 1000;

export interface Ancestor {
  readonly node: PubsubNode;
  /** 1 for a collection that the node is in itself. */
  readonly depth: number;
}

/** The collections above a node, the nearest first, each once. */
export async function ancestorsOf(
  engine: PubsubEngine,
  node: PubsubNode,
  parents: (node: PubsubNode) => readonly string[],
): Promise<Ancestor[]> {
  const found: Ancestor[] = [];
  const seen = new Set([node.name]);
  for (let level = [node], depth = 1; level.length > 0; depth++) {
    const next: PubsubNode[] = [];
    for (const name of level.flatMap(parents)) {
      if (seen.has(name) || found.length >= MAX_ANCESTORS) continue;
      seen.add(name);
      const parent = await engine.nodes.peek(node.service, name);
      if (parent === undefined) continue;
      found.push({ node: parent, depth });
      next.push(parent);
    }
    level = next;
  }
  return found;
}

/** One address that an event goes to. */
interface Recipient {
  readonly jid: Jid;
  /** The collections by which it came. */
  readonly collections: string[];
  body: boolean;
  shows: readonly string[] | undefined;
  onlyAvailable: boolean;
}

/** Sends an event of a node to its subscribers and to those of the collections above it. */
export function sendWide(
  engine: PubsubEngine,
  node: PubsubNode,
  event: Event,
  audience: Audience,
  ancestors: readonly Ancestor[],
): void {
  const recipients = new Map<string, Recipient>();
  const now = engine.server.now();
  const take = (from: PubsubNode, collection: string | undefined, depth: number): void => {
    for (const subscriptions of from.subscriptions.values()) {
      if (subscriptions.some((s) => isLapsed(s, now))) lapsed(engine, from, now);
      const one = subscriptions.find((s) => isActive(s, now) && (depth === 0 || covers(s, event, depth)));
      if (one === undefined || !audience.admits(one.jid.bare)) continue;
      const known = recipients.get(one.jid.text);
      const body = one.options?.include_body ?? false;
      if (known === undefined) {
        recipients.set(one.jid.text, {
          jid: one.jid,
          collections: collection === undefined ? [] : [collection],
          body,
          shows: one.options?.show_values,
          onlyAvailable: from.config.presence_based_delivery,
        });
        continue;
      }
      if (collection !== undefined) known.collections.push(collection);
      known.body ||= body;
      known.onlyAvailable &&= from.config.presence_based_delivery;
      if (one.options?.show_values === undefined) known.shows = undefined;
    }
  };
  for (const { node: ancestor, depth } of ancestors) take(ancestor, ancestor.name, depth);
  take(node, undefined, 0);
  deliver(engine, event, [...recipients.values()]);
}

const isLapsed = ({ options }: Subscription, now: number): boolean => (options?.expire ?? Infinity) <= now;

/** XEP-0060 §12.18: subscriptions whose time is over end, and their subscribers are told. Not waited for. */
function lapsed(engine: PubsubEngine, { service, name }: PubsubNode, now: number): void {
  const end = engine.nodes.turn(service, name, async (node) => {
    if (node === undefined) return;
    const gone = [...node.subscriptions.values()].flat().filter((s) => isLapsed(s, now));
    await engine.nodes.dropSubscriptions(node, gone);
    for (const { jid } of gone) {
      new Delivery(engine, subscriptionEvent(node, jid, "none"), false).toSubscriber(jid, true);
    }
  });
  end.catch((error: unknown) => engine.log.error("subscriptions_not_ended", { error, node: name }));
}

/** Whether a subscription to a collection is about an event so deep in it (XEP-0248 §6.2). */
function covers({ options }: Subscription, event: Event, depth: number): boolean {
  if (options === undefined) return true;
  if (options.subscription_depth === "1" && depth > 1) return false;
  return options.subscription_type !== (event.aboutNode ? "items" : "nodes");
}

function deliver(engine: PubsubEngine, event: Event, recipients: readonly Recipient[]): void {
  const had = recipients.length > 1 ? new Set<Session>() : false;
  const deliveries = new Map<string, Delivery>();
  for (const { jid, collections, body, shows, onlyAvailable } of recipients) {
    const key = `${body}\n${collections.join("\n")}`;
    let delivery = deliveries.get(key);
    if (delivery === undefined) {
      delivery = new Delivery(engine, dressed(event, collections, body), had);
      deliveries.set(key, delivery);
    }
    if (shows === undefined || engine.server.hostTypeOf(jid.domain) === undefined) {
      delivery.toSubscriber(jid, onlyAvailable);
      continue;
    }
    const sessions = engine.server.sessionsOf(jid.bare).filter((s) => !isFull(jid) || s.jid.text === jid.text);
    delivery.toSessions(sessions, (s) => shows.includes(showOf(s)));
  }
}

const showOf = (session: Session): string =>
  session.presence?.has("show") ? (session.presence.childText("show") ?? "") : "online";

/** The event with what a recipient has beside it: SHIM headers (XEP-0248 §5.3.1), a body (XEP-0060 §6.3). */
function dressed(event: Event, collections: readonly string[], body: boolean): Event {
  const headers =
    collections.length > 0 &&
    xml`<headers xmlns='${NS_SHIM}'>${collections.map((c) => xml`<header name='Collection'>${c}</header>`)}</headers>`;
  const text = body && event.payload !== undefined ? bodyOf(event.payload) : "";
  if (!headers && text === "") return event;
  return { ...event, content: xml`${event.content}${headers}${text !== "" && xml`<body>${text}</body>`}` };
}

/** Names of elements that say in short what an entry is about, the best first. */
const SPEAKING = ["summary", "title", "body", "content", "description"];

/** What a payload says to people: its summary or the like, else all of its text. */
function bodyOf(payload: string): string {
  if (payload === "") return "";
  const root = parseElement(payload);
  const children = root.getChildElements();
  const speaking = SPEAKING.map((name) =>
    children
      .find((el) => el.name === name)
      ?.text()
      .trim(),
  ).find((t) => t);
  const text = speaking ?? parseElement(`<a>${payload.replace(/<[^>]*>/g, " ")}</a>`).text();
  return text.replace(/\s+/g, " ").trim().slice(0, MAX_BODY);
}

/** XEP-0248 §5.3.1.2: a node has come into a collection. */
export const createEvent = (node: PubsubNode): Markup => xml`<create node='${node.name}'/>`;

/** XEP-0248 §7.1.3: a node went into a collection, or out of it. */
export const associateEvent = (node: PubsubNode, what: "associate" | "disassociate", collection: string): Markup =>
  xml`<collection node='${collection}'>${new Markup(`<${what} node='`)}${node.name}${new Markup("'/>")}</collection>`;
