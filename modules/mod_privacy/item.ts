// Privacy lists as clients write and read them (XEP-0016 §2.1).

import { StanzaError } from "../../core/errors.ts";
import { tryParseJid } from "../../core/jid.ts";
import type { Element } from "../../core/stanza.ts";
import { escapeXml } from "../../core/xml/markup.ts";
import { EVERY_KIND, IQ_IN, type Item, MESSAGE_IN, PRESENCE_IN, PRESENCE_OUT } from "./list.ts";

export const NS_PRIVACY = "jabber:iq:privacy";

/** The greatest order that the column holds. */
const MAX_ORDER = 2_147_483_647;
/** The longest name of a list, in characters: what MySQL's column holds. */
const MAX_NAME = 250;
/** The longest name of a group, in bytes, as in the roster. */
const MAX_GROUP = 1023;

const KINDS: Readonly<Record<string, number>> = {
  message: MESSAGE_IN,
  iq: IQ_IN,
  "presence-in": PRESENCE_IN,
  "presence-out": PRESENCE_OUT,
};
const SUBSCRIPTIONS: ReadonlySet<string> = new Set(["none", "to", "from", "both"]);

const bad = (text: string): StanzaError => new StanzaError("bad-request", text);

/**
 * The name of a list, an active list or a default list; undefined when there is no name attribute.
 * @throws StanzaError bad-request for one that no list can have
 */
export function nameOf(element: Element): string | undefined {
  const name = element.attrs["name"];
  if (name === undefined) return undefined;
  if (name === "" || name.length > MAX_NAME) throw bad(`the name of a list has 1 to ${MAX_NAME} characters`);
  return name;
}

/**
 * The items of a list that a client sends.
 * @throws StanzaError bad-request; policy-violation when there are more than `most`
 */
export function parseItems(list: Element, most: number): Item[] {
  const children = list.getChildElements();
  if (children.length > most) throw tooManyItems(most);
  const orders = new Set<number>();
  return children.map((child) => {
    if (!child.is("item", NS_PRIVACY)) throw bad("a list has items only");
    const item = parseItem(child);
    if (orders.has(item.order)) throw bad(`two items have the order ${item.order}`);
    orders.add(item.order);
    return item;
  });
}

export const tooManyItems = (most: number): StanzaError =>
  new StanzaError("policy-violation", `A list cannot have more than ${most} items`);

function parseItem(element: Element): Item {
  const { action, order, type, value = "" } = element.attrs as Record<string, string | undefined>;
  if (action !== "allow" && action !== "deny") throw bad("an item's action is allow or deny");
  if (order === undefined || !/^\d{1,10}$/.test(order) || Number(order) > MAX_ORDER) {
    throw bad(`an item's order is a whole number from 0 to ${MAX_ORDER}`);
  }
  const head = { action, order: Number(order), kinds: kindsOf(element) } as const;
  switch (type) {
    case undefined:
      return { ...head, type: "none", value: "" };
    case "jid": {
      const jid = tryParseJid(value);
      if (jid === undefined) throw bad("an item's value is no JID");
      return { ...head, type, value: jid.text };
    }
    case "group":
      if (value === "" || Buffer.byteLength(value) > MAX_GROUP) throw bad("an item's value is no group");
      return { ...head, type, value };
    case "subscription":
      if (!SUBSCRIPTIONS.has(value)) throw bad("an item's value is no subscription");
      return { ...head, type, value };
    default:
      throw bad("an item's type is jid, group or subscription");
  }
}

function kindsOf(element: Element): number {
  const children = element.getChildElements();
  if (children.length === 0) return EVERY_KIND;
  let kinds = 0;
  for (const child of children) {
    if (!child.is(child.name, NS_PRIVACY) || !Object.hasOwn(KINDS, child.name)) {
      throw bad("an item is for message, iq, presence-in and presence-out");
    }
    kinds |= KINDS[child.name];
  }
  return kinds;
}

/** The <item/> of a list that is shown to its owner. */
export function itemXml({ type, value, action, order, kinds }: Item): string {
  const what = type === "none" ? "" : ` type='${type}' value='${escapeXml(value)}'`;
  const head = `<item action='${action === "allow" ? "allow" : "deny"}' order='${order}'${what}`;
  if (kinds === EVERY_KIND) return `${head}/>`;
  const names = Object.keys(KINDS).filter((name) => (kinds & KINDS[name]) !== 0);
  return `${head}>${names.map((name) => `<${name}/>`).join("")}</item>`;
}
