// Events (XEP-0060 §7.1.2, §12): made once, with an address for each who gets them.

import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import { type BareJid, isFull, type Jid, parseJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { NS_DELAY } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { viewText } from "../../core/xml/framer.ts";
import { attr, escapeXml, Markup, xml } from "../../core/xml/markup.ts";
import type { Audience, PubsubEngine } from "./engine.ts";
import { NS_PUBSUB } from "./form.ts";
import type { Item, PubsubNode, Subscription } from "./model.ts";

export const NS_EVENT = `${NS_PUBSUB}#event`;

/** A message of a service without its addressee. */
export interface Event {
  readonly service: BareJid;
  readonly type: "normal" | "headline";
  /** What is inside of <message/>. */
  readonly content: Markup;
  /** It is about a node, not about items: subscribers of collections may ask for one of both (XEP-0248 §6). */
  readonly aboutNode?: true;
  /** The payload that it brings. */
  readonly payload?: string;
}

/** An item as events and answers hold it; without its payload where that is not delivered. */
export function itemMarkup(engine: PubsubEngine, node: PubsubNode, item: Item, payload = true): Markup {
  const publisher = engine.profile.publisherOf(node, item);
  const attributes = xml`${attr("id", item.id)}${attr("publisher", publisher?.text)}`;
  if (!payload || item.payload === "") return xml`<item${attributes}/>`;
  return xml`<item${attributes}>${new Markup(item.payload)}</item>`;
}

export function itemEvent(engine: PubsubEngine, node: PubsubNode, item: Item): Markup {
  const inside = itemMarkup(engine, node, item, node.config.deliver_payloads);
  return xml`<items node='${node.name}'>${inside}</items>`;
}

export const retractEvent = (node: PubsubNode, ids: readonly string[]): Markup =>
  xml`<items node='${node.name}'>${ids.map((id) => xml`<retract id='${id}'/>`)}</items>`;

/** When an item was published, for one that is sent later (XEP-0203). */
export function delayOf(item: Item): Markup {
  const stamp = new Date(Math.floor(item.at / 1000)).toISOString();
  return xml`<delay stamp='${stamp}' xmlns='${NS_DELAY}'/>`;
}

/** An event of a node. `beside` is what stands beside <event/>: a delay, headers. */
export const eventOf = (node: PubsubNode, content: Markup, beside?: Markup): Event => ({
  service: node.service,
  type: node.config.notification_type,
  content: xml`<event xmlns='${NS_EVENT}'>${content}</event>${beside}`,
});

export const nodeEvent = (node: PubsubNode, content: Markup): Event => ({ ...eventOf(node, content), aboutNode: true });

function eventText({ type, content }: Event, id: string, to: string): string {
  return `<message id='${id}'${to}${type === "headline" ? " type='headline'" : ""}>${content.text}</message>`;
}

/** One event on its way to many. */
export class Delivery {
  readonly #id: string;
  #view: Stanza | undefined;
  /** Sessions that had it; only filled when somebody might get it twice. */
  #had: Set<Session> | undefined;

  constructor(
    private readonly engine: PubsubEngine,
    private readonly event: Event,
    /** Sessions may be reached in several ways: each gets it once. A set is shared with other deliveries. */
    once: boolean | Set<Session>,
  ) {
    this.#id = engine.server.token(8);
    if (once) this.#had = once === true ? new Set() : once;
  }

  toSession(session: Session): void {
    if (this.#had?.has(session)) return;
    this.#had?.add(session);
    this.#view ??= this.#make();
    // What one of them refuses does not concern the others.
    try {
      const copy = this.#view.clone();
      copy.to = session.jid;
      const passes = this.engine.server.passes(copy, session.host);
      const give = (): MaybePromise<void> => session.receive(copy, session.jid);
      const done =
        passes instanceof Promise ? passes.then((p) => (p ? give() : undefined)) : passes ? give() : undefined;
      done?.catch(this.#lost);
    } catch (error) {
      this.#lost(error);
    }
  }

  /** To the available sessions of an account that `wants` takes. */
  toSessions(sessions: readonly Session[], wants: (session: Session) => boolean): void {
    for (const session of sessions) if (session.available && wants(session)) this.toSession(session);
  }

  /** To an explicit subscriber: a session, an account, or an address elsewhere. */
  toSubscriber(jid: Jid, onlyAvailable: boolean): void {
    const { server } = this.engine;
    if (server.hostTypeOf(jid.domain) === undefined || jid.bare.isDomain) {
      this.route(jid);
    } else if (isFull(jid)) {
      const session = server.session(jid);
      if (session !== undefined && (session.available || !onlyAvailable)) this.toSession(session);
    } else this.#toAccount(jid, onlyAvailable);
  }

  #toAccount(jid: BareJid, onlyAvailable: boolean): void {
    const sessions = this.engine.server.sessionsOf(jid);
    // A normal message may be stored for who is away; a headline is for who is there (RFC 6121 §8.5.2).
    const there = sessions.some((s) => s.available && s.priority >= 0);
    if (there) this.toSessions(sessions, (s) => s.priority >= 0);
    else if (this.event.type === "normal" && !onlyAvailable) this.route(jid);
  }

  readonly #lost = (error: unknown): void => {
    if (!(error instanceof StanzaError)) this.engine.log.error("event_not_delivered", { error });
  };

  route(to: Jid): void {
    const { engine, event } = this;
    const stanza = viewText(eventText(event, this.#id, ` to='${escapeXml(to.text)}'`));
    stanza.from = event.service;
    stanza.to = to;
    const routed = engine.server.route(stanza);
    if (routed !== undefined) void engine.server.underWay.add(routed).catch(this.#lost);
  }

  #make(): Stanza {
    const view = viewText(eventText(this.event, this.#id, ""));
    view.from = this.event.service;
    view.lead = ` from='${escapeXml(this.event.service.text)}'`;
    return view;
  }
}

/** Sends an event of a node to all who are to have it. */
export function broadcast(engine: PubsubEngine, node: PubsubNode, event: Event): MaybePromise<void> {
  if (!node.config.deliver_notifications) return;
  const { profile } = engine;
  const give = (known: Audience): MaybePromise<void> =>
    profile.send === undefined ? send(engine, node, event, known) : profile.send(node, event, known);
  const audience = profile.audience(node);
  return audience instanceof Promise ? audience.then(give) : give(audience);
}

function send(engine: PubsubEngine, node: PubsubNode, event: Event, audience: Audience): void {
  const { accounts } = audience;
  if (accounts.length === 0 && node.subscriptions.size === 0) return;
  const delivery = new Delivery(engine, event, node.subscriptions.size > 0);
  const wants = (session: Session): boolean => audience.wants(session);
  for (const account of accounts) {
    const jid = parseJid(account);
    if (isFull(jid)) {
      const session = engine.server.session(jid);
      if (session !== undefined) delivery.toSessions([session], wants);
      continue;
    }
    const sessions = engine.server.sessionsOf(jid);
    if (sessions.length > 0) delivery.toSessions(sessions, wants);
  }
  const onlyAvailable = node.config.presence_based_delivery;
  const now = engine.server.now();
  for (const subscriptions of node.subscriptions.values()) {
    const subscription = subscriptions.find((s) => isActive(s, now));
    if (subscription !== undefined && audience.admits(subscription.jid.bare)) {
      delivery.toSubscriber(subscription.jid, onlyAvailable);
    }
  }
}

/** A subscription by which events are sent; `now` is milliseconds since 1970. */
export const isActive = ({ state, options }: Subscription, now: number): boolean =>
  state === "subscribed" && (options === undefined || (options.deliver && (options.expire ?? Infinity) > now));

/** Tells the owners of a node something (§6.1.7, §8.6). */
export function tellOwners(engine: PubsubEngine, node: PubsubNode, event: Event): void {
  const delivery = new Delivery(engine, event, true);
  for (const owner of ownersOf(engine, node)) delivery.toSubscriber(owner, false);
}

export function ownersOf(engine: PubsubEngine, node: PubsubNode): BareJid[] {
  const owners: BareJid[] = [];
  if (engine.profile.impliedAffiliation(node.service, node.service) === "owner") owners.push(node.service);
  for (const [jid, affiliation] of node.affiliations) if (affiliation === "owner") owners.push(parseJid(jid).bare);
  return owners;
}
