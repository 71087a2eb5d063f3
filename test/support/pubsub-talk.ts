// Conversations of stories with a pubsub service or with accounts that have personal nodes: XEP-0060 on the client's side.
import { expect } from "vitest";
import type { Client } from "./client.ts";
import { childOf, childrenOf, find, show, textOf, type XElement } from "./match.ts";

export const NS_PUBSUB = "http://jabber.org/protocol/pubsub";
export const NS_OWNER = `${NS_PUBSUB}#owner`;
export const NS_EVENT = `${NS_PUBSUB}#event`;
const NS_DATA = "jabber:x:data";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
export const ENTRY = `<entry xmlns="http://www.w3.org/2005/Atom"/>`;

/** Where mod_pubsub_old is on localhost when nothing else is said. */
export const SERVICE = "pubsub.localhost";

/** Both ways to order nodes, with mod_pubsub_old's options; one door shows the second well enough. */
export const NODETREES = [
  { nodetree: "dag", plugin: "dag", at: {} },
  { nodetree: "tree", plugin: "flat", at: { door: "tcp" } as const },
].map(({ nodetree, plugin, at }) => ({
  nodetree,
  at,
  service: (more = {}) => ({ modules: { mod_pubsub_old: { nodetree, plugins: [plugin], ...more } } }),
}));

export type Fields = Readonly<Record<string, string | readonly string[]>>;

let ids = 0;
/** A name that no other story uses. */
export const fresh = (what = "node"): string => `${what}-${process.pid}-${++ids}`;

/** A submitted form. */
export function form(type: string, fields: Fields): string {
  const list = Object.entries(fields).map(([name, value]) => {
    const values = (typeof value === "string" ? [value] : value).map((v) => `<value>${v}</value>`);
    return `<field var="${name}">${values.join("")}</field>`;
  });
  return `<x xmlns="${NS_DATA}" type="submit"><field var="FORM_TYPE" type="hidden"><value>${NS_PUBSUB}#${type}</value></field>${list.join("")}</x>`;
}

/** Values of a form inside an element, by field. */
export function valuesOf(e: XElement): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = {};
  const x = find(e, "x");
  for (const field of x === undefined ? [] : childrenOf(x).filter((f) => f.name === "field")) {
    const texts = childrenOf(field)
      .filter((v) => v.name === "value")
      .map(textOf);
    values[field.attrs["var"]] = texts.length === 1 ? texts[0] : texts;
  }
  return values;
}

/** A client's talk with one service: answers by their ids, everything else is kept for `hears`. */
export class Talk {
  private readonly kept: XElement[] = [];

  constructor(
    readonly client: Client,
    /** The service, or an account; undefined for one's own. */
    readonly to: string | undefined,
  ) {}

  /** The same client, talking to somebody else. */
  with(to: string | undefined): Talk {
    const talk = new Talk(this.client, to);
    // What came is the client's, whoever is talked to.
    Object.assign(talk, { kept: this.kept });
    return talk;
  }

  private get address(): string {
    return this.to === undefined ? "" : ` to="${this.to}"`;
  }

  async asks(type: "get" | "set", payload: string): Promise<XElement> {
    const id = `q${++ids}`;
    this.client.says(`<iq type="${type}" id="${id}"${this.address}>${payload}</iq>`);
    for (;;) {
      const e = await this.client.next();
      if (e.name === "iq" && e.attrs["id"] === id) {
        this.client.tally.assertions++;
        return e;
      }
      this.kept.push(e);
    }
  }

  /** The request is granted. */
  async gets(type: "get" | "set", payload: string): Promise<XElement> {
    const answer = await this.asks(type, payload);
    if (answer.attrs["type"] !== "result") throw new Error(`${this.client.full} was refused: ${show(answer)}`);
    return answer;
  }

  /** The request is refused: type, RFC 6120's condition, that of pubsub. */
  async refused(type: "get" | "set", payload: string, ...why: string[]): Promise<XElement> {
    const answer = await this.asks(type, payload);
    expect(answer.attrs["type"]).toBe("error");
    const error = childOf(answer, "error")!;
    const words = [error.attrs["type"], ...childrenOf(error).map((e) => e.name)];
    expect(words).toEqual(expect.arrayContaining(why));
    expect(childrenOf(error)[0].ns).toBe(NS_STANZAS);
    return answer;
  }

  /** The next message. */
  async hears(): Promise<XElement> {
    for (;;) {
      const e = this.kept.shift() ?? (await this.client.next());
      if (e.name === "message") {
        this.client.tally.assertions++;
        return e;
      }
    }
  }

  /** Nothing has come, nor comes from what was sent so far. */
  async hearsNothing(): Promise<void> {
    expect(this.kept.splice(0).map((e) => show(e))).toEqual([]);
    await this.client.receivesNothing();
  }

  /** The next message is an event with this one element in it. */
  async event(name: string, node?: string): Promise<XElement> {
    const message = await this.hears();
    expect(message.attrs["from"]).toBe(this.to);
    const event = childOf(message, "event", NS_EVENT);
    if (event === undefined) throw new Error(`No event: ${show(message)}`);
    const [inside] = childrenOf(event);
    expect([inside.name, node === undefined ? undefined : inside.attrs["node"]]).toEqual([name, node]);
    return message;
  }

  /** The next message brings this item, by one of these collections or by none. */
  async item(node: string, id: string, collections: readonly string[] = []): Promise<XElement> {
    const message = await this.event("items", node);
    expect(message.attrs["type"]).toBe("headline");
    const item = find(message, "item")!;
    expect(item.attrs["id"]).toBe(id);
    const headers = childOf(message, "headers", "http://jabber.org/protocol/shim");
    expect((headers === undefined ? [] : childrenOf(headers)).map(textOf)).toEqual(collections);
    return item;
  }

  /** The next message says that this item is gone. */
  async retraction(node: string, id: string): Promise<void> {
    const message = await this.event("items", node);
    expect(find(message, "retract")!.attrs["id"]).toBe(id);
  }

  /** The next message tells the state of a subscription. */
  async subscriptionIs(node: string, state: string, jid = this.client.full): Promise<void> {
    const message = await this.event("subscription", node);
    const { attrs } = find(message, "subscription")!;
    expect([attrs["jid"], attrs["subscription"]]).toEqual([jid, state]);
  }

  // --- Requests -------------------------------------------------------------------------------------------------------

  creates(node: string, config?: Fields, type?: string): Promise<XElement> {
    return this.gets("set", create(node, config, type));
  }
  deletes(node: string): Promise<XElement> {
    return this.gets("set", deletion(node));
  }
  async publishes(node: string, id: string, payload = ENTRY, options?: Fields): Promise<XElement> {
    const answer = await this.gets("set", publish(node, id, payload, options));
    expect(find(answer, "item")!.attrs["id"]).toBe(id);
    return answer;
  }
  /** The ids of items, in the order given. */
  async items(node: string, ...only: string[]): Promise<string[]> {
    const answer = await this.gets("get", items(node, ...only));
    return childrenOf(find(answer, "items")!).map((item) => item.attrs["id"]);
  }
  async subscribes(node: string, options?: Fields, jid = this.client.full): Promise<XElement> {
    const answer = await this.gets("set", subscribe(node, jid, options));
    const { attrs } = find(answer, "subscription")!;
    expect([attrs["jid"], attrs["node"]]).toEqual([jid, node]);
    return find(answer, "subscription")!;
  }
  unsubscribes(node: string, jid = this.client.full): Promise<XElement> {
    return this.gets("set", pubsub(`<unsubscribe node="${node}" jid="${jid}"/>`));
  }
  retracts(node: string, id: string): Promise<XElement> {
    return this.gets("set", retract(node, id));
  }
  configures(node: string, config: Fields): Promise<XElement> {
    return this.gets("set", owner(`<configure node="${node}">${form("node_config", config)}</configure>`));
  }
  async configuration(node: string): Promise<Record<string, string | string[]>> {
    return valuesOf(await this.gets("get", owner(`<configure node="${node}"/>`)));
  }
  affiliates(node: string, changes: Readonly<Record<string, string>>): Promise<XElement> {
    return this.gets("set", affiliations(node, changes));
  }
  async affiliations(node: string): Promise<Record<string, string>> {
    const answer = await this.gets("get", owner(`<affiliations node="${node}"/>`));
    return Object.fromEntries(
      childrenOf(find(answer, "affiliations")!).map((a) => [a.attrs["jid"], a.attrs["affiliation"]]),
    );
  }
  /** One's own subscriptions at the service, by node. */
  async subscriptions(): Promise<string[]> {
    const answer = await this.gets("get", pubsub("<subscriptions/>"));
    return childrenOf(find(answer, "subscriptions")!)
      .map((s) => `${s.attrs["node"]} ${s.attrs["subscription"]}`)
      .sort();
  }
  /** The subscriptions of a node, as its owner sees them. */
  async subscribers(node: string): Promise<string[]> {
    const answer = await this.gets("get", owner(`<subscriptions node="${node}"/>`));
    return childrenOf(find(answer, "subscriptions")!)
      .map((s) => `${s.attrs["jid"]} ${s.attrs["subscription"]}`)
      .sort();
  }
  /** Names of nodes at the top, or in a collection. */
  async discovers(node?: string): Promise<string[]> {
    const answer = await this.gets("get", discovery("items", node));
    const found = childrenOf(childOf(answer, "query")!).filter((e) => e.name === "item");
    for (const item of found) expect(item.attrs["jid"]).toBe(this.to);
    return found.map((item) => item.attrs["node"]);
  }
  /** Takes the form by which an owner is asked about a subscription. */
  async request(node: string, jid: string): Promise<Record<string, string | string[]>> {
    const message = await this.hears();
    expect(message.attrs["from"]).toBe(this.to);
    const values = valuesOf(message);
    expect([values["pubsub#node"], values["pubsub#subscriber_jid"]]).toEqual([node, jid]);
    return values;
  }
  /** Answers such a form. */
  decides(request: Record<string, string | string[]>, allow: boolean): void {
    const { FORM_TYPE: _, ...fields } = request;
    const filled = form("subscribe_authorization", { ...fields, "pubsub#allow": String(allow) });
    this.client.says(`<message${this.address}>${filled}</message>`);
  }
}

/** Talks of clients with the service. */
export const talks = (...clients: readonly Client[]): Talk[] => clients.map((c) => new Talk(c, SERVICE));

export const pubsub = (inside: string): string => `<pubsub xmlns="${NS_PUBSUB}">${inside}</pubsub>`;
export const owner = (inside: string): string => `<pubsub xmlns="${NS_OWNER}">${inside}</pubsub>`;
export const create = (node: string, config?: Fields, type?: string): string =>
  pubsub(
    `<create node="${node}"${type ? ` type="${type}"` : ""}/>${config ? `<configure>${form("node_config", config)}</configure>` : ""}`,
  );
export const deletion = (node: string): string => owner(`<delete node="${node}"/>`);
export const publish = (node: string, id: string, payload = ENTRY, options?: Fields): string =>
  pubsub(
    `<publish node="${node}"><item id="${id}">${payload}</item></publish>${options ? `<publish-options>${form("publish-options", options)}</publish-options>` : ""}`,
  );
export const items = (node: string, ...ids: string[]): string =>
  pubsub(`<items node="${node}">${ids.map((id) => `<item id="${id}"/>`).join("")}</items>`);
export const retract = (node: string, id: string): string =>
  pubsub(`<retract node="${node}"><item id="${id}"/></retract>`);
export const subscribe = (node: string, jid: string, options?: Fields): string =>
  pubsub(
    `<subscribe node="${node}" jid="${jid}"/>${options ? `<options>${form("subscribe_options", options)}</options>` : ""}`,
  );
export const affiliations = (node: string, changes: Readonly<Record<string, string>>): string =>
  owner(
    `<affiliations node="${node}">${Object.entries(changes)
      .map(([jid, what]) => `<affiliation jid="${jid}" affiliation="${what}"/>`)
      .join("")}</affiliations>`,
  );
export const discovery = (what: "info" | "items", node?: string): string =>
  `<query xmlns="http://jabber.org/protocol/disco#${what}"${node === undefined ? "" : ` node="${node}"`}/>`;
