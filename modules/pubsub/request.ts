// Requests of XEP-0060 as types. What is wrong whoever asks, and whatever node it is about, is refused here.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import { type Jid, tryParseJid } from "../../core/jid.ts";
import { NS_DATA, NS_RSM } from "../../core/ns.ts";
import { pubsubError } from "./errors.ts";
import { booleanOf, type FormValues, NS_PUBSUB, parseForm } from "./form.ts";
import { AFFILIATIONS, type Affiliation, type SubscriptionState } from "./model.ts";
import { type BoundedPage, boundedPage } from "./rsm.ts";

export const NS_OWNER = `${NS_PUBSUB}#owner`;

/** `node` is undefined only where the request may leave it out; "" is no name. */
export type Request =
  /** `config` undefined: the default configuration. */
  | { kind: "create"; node: string | undefined; type: string | undefined; config: FormValues | undefined }
  /** `item` undefined: a notification without an item (§7.1.3.6). */
  | { kind: "publish"; node: string; item: NewItem | undefined; options: FormValues | undefined }
  | { kind: "retract"; node: string; id: string; notify: boolean }
  | { kind: "items"; node: string; ids: readonly string[]; newest: number | undefined; page: BoundedPage | undefined }
  | { kind: "subscribe"; node: string; jid: Jid; options: FormValues | undefined }
  | { kind: "unsubscribe"; node: string; jid: Jid; subid: string | undefined }
  | { kind: "subscriptions"; node: string | undefined }
  | { kind: "affiliations"; node: string | undefined }
  | { kind: "options"; node: string; jid: Jid; subid: string | undefined }
  | { kind: "set options"; node: string; jid: Jid; subid: string | undefined; options: FormValues | undefined }
  | { kind: "default options"; node: string | undefined }
  | { kind: "configuration"; node: string }
  /** `config` undefined: the form was cancelled. */
  | { kind: "configure"; node: string; config: FormValues | undefined }
  | { kind: "default configuration" }
  | { kind: "delete"; node: string; redirect: string | undefined }
  | { kind: "purge"; node: string }
  | { kind: "node affiliations"; node: string }
  | { kind: "set affiliations"; node: string; changes: readonly { jid: Jid; affiliation: Affiliation }[] }
  | { kind: "node subscriptions"; node: string }
  | { kind: "set subscriptions"; node: string; changes: readonly SubscriptionChange[] };

export interface NewItem {
  /** Undefined: the service makes one up. */
  readonly id: string | undefined;
  /** The payload, undefined for none. */
  readonly payload: Element | undefined;
}
export interface SubscriptionChange {
  readonly jid: Jid;
  readonly state: SubscriptionState;
  readonly subid: string | undefined;
}

/** Entries of one request that changes affiliations or subscriptions. */
const MAX_CHANGES = 1000;
/** Items that can be asked for by their ids at once. */
const MAX_IDS = 1000;

const bad = (text: string): StanzaError => new StanzaError("bad-request", text);

/** @throws StanzaError with the condition of pubsub#errors that the XEP has for it */
export function parseRequest(type: "get" | "set", payload: Element): Request {
  if (payload.name !== "pubsub") throw bad("The element must be <pubsub/>");
  const owner = payload.getNS() === NS_OWNER;
  const all = payload.getChildElements();
  const set = all.find((el) => el.is("set", NS_RSM));
  const children = all.filter((el) => el !== set);
  const [first, second] = children;
  if (first === undefined) throw bad("The request is empty");
  const own = first.getNS() === payload.getNS();
  const key = `${type} ${owner ? "owner " : ""}${own ? first.name : "?"}`;
  const parse = PARSERS[key];
  if (parse === undefined) throw bad("There is no such request");
  const companion = second !== undefined && own && second.name === COMPANIONS[key] ? second : undefined;
  if (children.length > (companion === undefined ? 1 : 2)) throw bad("There is an element too much");
  return parse(first, companion, set);
}

/** What may stand beside the element that names the request. */
const COMPANIONS: Readonly<Record<string, string>> = {
  "set create": "configure",
  "set publish": "publish-options",
  "set subscribe": "options",
};

type Parse = (el: Element, companion: Element | undefined, set: Element | undefined) => Request;

const PARSERS: Readonly<Record<string, Parse>> = {
  "set create": (el, configure) => ({
    kind: "create",
    node: el.attrs["node"] || undefined,
    type: el.attrs["type"] || undefined,
    config: configure && formIn(configure, "node_config"),
  }),
  "set publish": (el, options) => ({
    kind: "publish",
    node: nodeOf(el),
    item: newItem(el),
    options: options && formIn(options, "publish-options"),
  }),
  "set retract": retract,
  "get items": (el, _, set) => items(el, set),
  "set subscribe": (el, options) => ({
    kind: "subscribe",
    node: nodeOf(el),
    jid: jidOf(el, "invalid-jid"),
    options: options && formIn(options, "subscribe_options"),
  }),
  "set unsubscribe": (el) => ({ kind: "unsubscribe", ...subscriberOf(el) }),
  "get subscriptions": (el) => ({ kind: "subscriptions", node: el.attrs["node"] || undefined }),
  "get affiliations": (el) => ({ kind: "affiliations", node: el.attrs["node"] || undefined }),
  "get options": (el) => ({ kind: "options", ...subscriberOf(el) }),
  "set options": (el) => ({ kind: "set options", ...subscriberOf(el), options: formIn(el, "subscribe_options") }),
  "get default": (el) => ({ kind: "default options", node: el.attrs["node"] || undefined }),
  "get owner configure": (el) => ({ kind: "configuration", node: nodeOf(el) }),
  "set owner configure": (el) => {
    // §8.2.3: an owner who has nothing to set cancels.
    if (el.getChildElements().length === 0) throw bad("A data form is wanted");
    return { kind: "configure", node: nodeOf(el), config: formIn(el, "node_config") };
  },
  "get owner default": () => ({ kind: "default configuration" }),
  "set owner delete": (el) => ({
    kind: "delete",
    node: nodeOf(el),
    redirect: el.getChild("redirect", NS_OWNER)?.attrs["uri"],
  }),
  "set owner purge": (el) => ({ kind: "purge", node: nodeOf(el) }),
  "get owner affiliations": (el) => ({ kind: "node affiliations", node: nodeOf(el) }),
  "set owner affiliations": (el) => ({
    kind: "set affiliations",
    node: nodeOf(el),
    changes: changes(el, "affiliation").map((c) => ({ jid: jidOf(c), affiliation: affiliationOf(c) })),
  }),
  "get owner subscriptions": (el) => ({ kind: "node subscriptions", node: nodeOf(el) }),
  "set owner subscriptions": (el) => ({
    kind: "set subscriptions",
    node: nodeOf(el),
    changes: changes(el, "subscription").map((c) => ({
      jid: jidOf(c),
      state: stateOf(c),
      subid: c.attrs["subid"] || undefined,
    })),
  }),
};

function nodeOf(el: Element): string {
  const node = el.attrs["node"];
  if (!node) throw pubsubError("nodeid-required");
  return node;
}

function jidOf(el: Element, malformed?: "invalid-jid"): Jid {
  const text = el.attrs["jid"];
  if (!text) throw pubsubError(malformed ?? "jid-required");
  const jid = tryParseJid(text);
  if (jid === undefined) throw malformed === undefined ? new StanzaError("jid-malformed") : pubsubError(malformed);
  return jid;
}

function subscriberOf(el: Element): { node: string; jid: Jid; subid: string | undefined } {
  return { node: nodeOf(el), jid: jidOf(el), subid: el.attrs["subid"] || undefined };
}

/** The form inside an element; an empty element sets nothing. */
function formIn(el: Element, type: "node_config" | "publish-options" | "subscribe_options"): FormValues | undefined {
  const inside = el.getChildElements();
  if (inside.length > 1) throw bad("There is more than a form");
  if (inside.length === 0) return new Map();
  if (!inside[0].is("x", NS_DATA)) throw bad("A data form is wanted");
  return parseForm(inside[0], type);
}

/** §7.1.3.6: whether an item, and a payload, is wanted depends on the node; that there is only one does not. */
function newItem(publish: Element): NewItem | undefined {
  const inside = publish.getChildElements();
  if (inside.length === 0) return undefined;
  if (inside.length > 1) throw pubsubError("max-items-exceeded", "One item can be published at a time", "bad-request");
  const [item] = inside;
  if (!item.is("item", NS_PUBSUB)) throw bad("Only an item can be published");
  const payloads = item.getChildElements();
  if (payloads.length > 1) throw pubsubError("invalid-payload");
  return { id: item.attrs["id"] || undefined, payload: payloads[0] };
}

function retract(el: Element): Request {
  const node = nodeOf(el);
  const inside = el.getChildElements();
  if (inside.length === 0) throw pubsubError("item-required");
  if (inside.length > 1) throw bad("One item can be retracted at a time");
  const [item] = inside;
  if (!item.is("item", NS_PUBSUB) || item.getChildElements().length > 0) throw bad("An empty <item/> is wanted");
  const id = item.attrs["id"];
  if (!id) throw pubsubError("item-required");
  const notify = booleanOf(el.attrs["notify"] ?? "false");
  if (notify === undefined) throw bad("notify is true or false");
  return { kind: "retract", node, id, notify };
}

function items(el: Element, set: Element | undefined): Request {
  const node = nodeOf(el);
  const inside = el.getChildElements();
  if (inside.length > MAX_IDS) throw bad("These are too many ids");
  const ids = inside.map((item) => {
    const id = item.is("item", NS_PUBSUB) ? item.attrs["id"] : undefined;
    if (!id) throw bad("An item that is asked for has an id");
    return id;
  });
  const text = el.attrs["max_items"];
  if (text !== undefined && !/^0*[1-9]\d{0,8}$/.test(text)) throw bad("max_items must be a whole number above 0");
  if (text !== undefined && ids.length > 0) throw bad("Either ids or a number of items can be asked for");
  const page = set && boundedPage(set);
  return { kind: "items", node, ids, newest: text === undefined ? undefined : Number(text), page };
}

function changes(el: Element, name: string): Element[] {
  const inside = el.getChildElements();
  if (inside.length === 0) throw bad(`There is no <${name}/>`);
  if (inside.length > MAX_CHANGES) throw bad("These are too many changes");
  if (!inside.every((c) => c.is(name, NS_OWNER))) throw bad(`Only <${name}/> can be in it`);
  return inside;
}

function affiliationOf(el: Element): Affiliation {
  const found = AFFILIATIONS.find((a) => a === el.attrs["affiliation"]);
  if (found === undefined) throw bad("There is no such affiliation");
  return found;
}

const STATES: readonly SubscriptionState[] = ["subscribed", "pending", "unconfigured", "none"];
function stateOf(el: Element): SubscriptionState {
  const found = STATES.find((s) => s === el.attrs["subscription"]);
  if (found === undefined) throw bad("There is no such state of a subscription");
  return found;
}
