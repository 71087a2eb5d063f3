// Publish-subscribe for stories: requests as clients write them, and clients that say what they want events of.
import { verification } from "../../core/disco/caps.ts";
import type { Client } from "./client.ts";
import { childOf, childrenOf, type XElement } from "./match.ts";

export const NS_PUBSUB = "http://jabber.org/protocol/pubsub";
export const NS_OWNER = `${NS_PUBSUB}#owner`;
export const NS_EVENT = `${NS_PUBSUB}#event`;
export const NS_ERRORS = `${NS_PUBSUB}#errors`;
const NS_INFO = "http://jabber.org/protocol/disco#info";
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
/** A payload. */
export const ENTRY = `<entry xmlns="http://www.w3.org/2005/Atom"><title>Soliloquy</title></entry>`;

let made = 0;
/** A node that no other story has. */
export const freshNode = (): string => `urn:test:node:${process.pid}:${++made}`;

/** Fields without their prefix, and their values, as a form to submit. */
export type Fields = Readonly<Record<string, string | readonly string[]>>;
export function form(type: string, fields: Fields, formType = true): string {
  const list = Object.entries(fields).map(([name, value]) => {
    const values = (typeof value === "string" ? [value] : value).map((v) => `<value>${v}</value>`).join("");
    return `<field var="pubsub#${name}">${values}</field>`;
  });
  const hidden = formType ? `<field var="FORM_TYPE" type="hidden"><value>${NS_PUBSUB}#${type}</value></field>` : "";
  return `<x xmlns="jabber:x:data" type="submit">${hidden}${list.join("")}</x>`;
}

export const item = (id: string | undefined, payload = ENTRY): string =>
  `<item${id === undefined ? "" : ` id="${id}"`}>${payload}</item>`;

/** Requests of one client at one service; each resolves to the answer, which is the one wanted. */
export class Pubsub {
  private static ids = 0;
  constructor(
    readonly client: Client,
    readonly service: string,
  ) {}

  /** Sends a request and returns its id. */
  asks(type: "get" | "set", payload: string, ns = NS_PUBSUB): string {
    const id = `ps${++Pubsub.ids}`;
    this.client.says(
      `<iq type="${type}" id="${id}" to="${this.service}"><pubsub xmlns="${ns}">${payload}</pubsub></iq>`,
    );
    return id;
  }
  /** Sends a request and takes the result. */
  async gets(type: "get" | "set", payload: string, ns = NS_PUBSUB): Promise<XElement> {
    const id = this.asks(type, payload, ns);
    return this.client.hears(`<iq type="result" id="${id}" from="${this.service}" to="${this.client.full}"/>`);
  }
  /** Sends a request and takes the error. `extra` is a condition of pubsub#errors. */
  async refused(
    type: "get" | "set",
    payload: string,
    [kind, condition, extra]: readonly [string, string, string?],
    ns = NS_PUBSUB,
  ): Promise<void> {
    const id = this.asks(type, payload, ns);
    const more = extra === undefined ? "" : `<${extra} xmlns="${NS_ERRORS}"/>`;
    await this.client.hears(
      `<iq type="error" id="${id}" from="${this.service}"><error type="${kind}"><${condition} xmlns="${NS_STANZAS}"/>${more}</error></iq>`,
    );
  }

  create(node: string, config?: Fields): Promise<XElement> {
    const configure = config === undefined ? "" : `<configure>${form("node_config", config)}</configure>`;
    return this.gets("set", `<create node="${node}"/>${configure}`);
  }
  publish(node: string, id: string | undefined, options?: Fields, payload = ENTRY): Promise<XElement> {
    return this.gets("set", publishing(node, item(id, payload), options));
  }
  /** The ids of the items that are given. */
  async items(node: string, attributes = "", inside = ""): Promise<string[]> {
    return itemIds(await this.gets("get", `<items node="${node}"${attributes}>${inside}</items>`));
  }
  subscribe(node: string, jid: string): Promise<XElement> {
    return this.gets("set", `<subscribe node="${node}" jid="${jid}"/>`);
  }
  unsubscribe(node: string, jid: string): Promise<XElement> {
    return this.gets("set", `<unsubscribe node="${node}" jid="${jid}"/>`);
  }
  configure(node: string, fields: Fields): Promise<XElement> {
    return this.gets("set", `<configure node="${node}">${form("node_config", fields)}</configure>`, NS_OWNER);
  }
  /** The configuration, by field. */
  async configuration(node: string): Promise<Record<string, string[]>> {
    const answer = await this.gets("get", `<configure node="${node}"/>`, NS_OWNER);
    const configure = childOf(childOf(answer, "pubsub", NS_OWNER)!, "configure", NS_OWNER)!;
    return fieldsOf(childOf(configure, "x", "jabber:x:data")!);
  }
  retract(node: string, id: string, notify?: string): Promise<XElement> {
    const attribute = notify === undefined ? "" : ` notify="${notify}"`;
    return this.gets("set", `<retract node="${node}"${attribute}><item id="${id}"/></retract>`);
  }
  remove(node: string): Promise<XElement> {
    return this.gets("set", `<delete node="${node}"/>`, NS_OWNER);
  }
}

export function publishing(node: string, items: string, options?: Fields): string {
  const more = options === undefined ? "" : `<publish-options>${form("publish-options", options)}</publish-options>`;
  return `<publish node="${node}">${items}</publish>${more}`;
}

export function fieldsOf(x: XElement): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  for (const field of childrenOf(x)) {
    if (field.name !== "field") continue;
    const values = childrenOf(field).filter((v) => v.name === "value");
    fields[field.attrs["var"]?.replace(`pubsub#`, "") ?? ""] = values.map((v) => v.children.join(""));
  }
  return fields;
}

function itemIds(answer: XElement): string[] {
  const items = childOf(childOf(answer, "pubsub", NS_PUBSUB)!, "items", NS_PUBSUB)!;
  return childrenOf(items).map((i) => i.attrs["id"] ?? "");
}

/** The template of an event with one item. */
export const itemEvent = (from: string, node: string, id: string, payload = ENTRY, more = ""): string =>
  `<message from="${from}" type="headline"><event xmlns="${NS_EVENT}"><items node="${node}"><item id="${id}">${payload}</item></items></event>${more}</message>`;
export const retractEvent = (from: string, node: string, id: string): string =>
  `<message from="${from}" type="headline"><event xmlns="${NS_EVENT}"><items node="${node}"><retract id="${id}"/></items></event></message>`;

/** Presence of a client with these disco#info features, and the answer to who asks for them. */
export function capabilities(features: readonly string[]) {
  const all = [NS_INFO, ...features];
  const ver = verification({ identities: [{ category: "client", type: "pc", name: "" }], features: all, forms: [] });
  const c = `<c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="urn:test" ver="${ver}"/>`;
  const query = `<query xmlns="${NS_INFO}" node="urn:test#${ver}"><identity category="client" type="pc"/>${all
    .map((f) => `<feature var="${f}"/>`)
    .join("")}</query>`;
  return { c, query };
}

/**
 * The client comes online and wants events of these nodes; the server has asked it, or knows its kind: then the newest
 * items may come before its own presence.
 */
export async function wantsEvents(client: Client, ...nodes: readonly string[]): Promise<void> {
  const { c, query } = capabilities(nodes.flatMap((n) => [n, `${n}+notify`]));
  client.says(`<presence>${c}</presence>`);
  await client.settled();
  for (;;) {
    const next = await client.takes((e) => e.name !== "message");
    if (next.name === "presence") return client.settled();
    if (next.name !== "iq") throw new Error(`${client.full} got ${next.name}`);
    client.says(`<iq type="result" id="${next.attrs["id"]}" to="${next.attrs["from"]}">${query}</iq>`);
    await client.settled();
  }
}

/** `subscriber` receives the presence of `owner` from now on; both have nothing left to read but what is returned. */
export async function follows(subscriber: Client, owner: Client): Promise<XElement[]> {
  subscriber.says(`<presence to="${owner.bare}" type="subscribe"/>`);
  await owner.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "subscribe");
  await subscriber.settles();
  owner.says(`<presence to="${subscriber.bare}" type="subscribed"/>`);
  await owner.settles();
  return (await subscriber.settles()).filter((e) => e.name === "message");
}
