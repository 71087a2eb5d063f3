// Options of a subscription (XEP-0060 §6.3, §16.4.2; XEP-0248 §6 for those of collections).

import { StanzaError } from "../../core/errors.ts";
import type { Jid } from "../../core/jid.ts";
import { NS_DATA } from "../../core/ns.ts";
import { attr, type Markup, xml } from "../../core/xml/markup.ts";
import { anyNode } from "./access.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { pubsubError, unsupported } from "./errors.ts";
import { booleanOf, type FormValues, NS_PUBSUB } from "./form.ts";
import type { PubsubNode, Subscription, SubscriptionOptions } from "./model.ts";
import type { Request } from "./request.ts";

type Of<K extends Request["kind"]> = Request & { kind: K };

const DEFAULTS: SubscriptionOptions = {
  deliver: true,
  expire: undefined,
  include_body: false,
  show_values: undefined,
  subscription_type: undefined,
  subscription_depth: "all",
};

/** "online" is presence without <show/>. */
const SHOWS: readonly string[] = ["away", "chat", "dnd", "online", "xa"];

/**
 * Options with what a form sets; `now` is milliseconds since 1970.
 * @throws StanzaError invalid-options (§6.3.4.4)
 */
export function optionsOf(
  before: SubscriptionOptions | undefined,
  values: FormValues,
  now: number,
): SubscriptionOptions {
  let options = before ?? DEFAULTS;
  for (const [name, texts] of values) {
    const change = Object.hasOwn(READERS, name) ? READERS[name](texts, now) : undefined;
    if (change === undefined) throw pubsubError("invalid-options", `"${texts.join(", ")}" is no value of "${name}"`);
    options = { ...options, ...change };
  }
  return options;
}

type Reader = (texts: readonly string[], now: number) => Partial<SubscriptionOptions> | undefined;

/** By the field's name; undefined for a value that is none. */
const READERS: Readonly<Record<string, Reader>> = {
  "pubsub#deliver": (texts) => {
    const deliver = booleanOf(texts[0]);
    return deliver === undefined ? undefined : { deliver };
  },
  // Events are sent as they come: only that can be wanted.
  "pubsub#digest": (texts) => (booleanOf(texts[0]) === false ? {} : undefined),
  "pubsub#expire": ([text = ""], now) => {
    if (text === "") return { expire: undefined };
    const expire = Date.parse(text);
    return Number.isFinite(expire) && expire > now ? { expire } : undefined;
  },
  "pubsub#include_body": (texts) => {
    const include_body = booleanOf(texts[0]);
    return include_body === undefined ? undefined : { include_body };
  },
  "pubsub#show-values": (texts) => {
    if (!texts.every((text) => SHOWS.includes(text))) return undefined;
    return { show_values: texts.length === 0 || SHOWS.every((show) => texts.includes(show)) ? undefined : texts };
  },
  "pubsub#subscription_type": ([text]) =>
    text === "items" || text === "nodes" ? { subscription_type: text } : text === "all" ? BOTH : undefined,
  "pubsub#subscription_depth": ([text]) => (text === "1" || text === "all" ? { subscription_depth: text } : undefined),
};
const BOTH = { subscription_type: undefined };

function optionsForm(options: SubscriptionOptions): Markup {
  const { deliver, expire, include_body, show_values = SHOWS, subscription_type, subscription_depth } = options;
  const field = (name: string, type: string, label: string, values: readonly string[], choices?: readonly string[]) =>
    xml`<field label='${label}' type='${type}' var='pubsub#${name}'>${values.map(
      (value) => xml`<value>${value}</value>`,
    )}${choices?.map((choice) => xml`<option><value>${choice}</value></option>`)}</field>`;
  return xml`<x type='form' xmlns='${NS_DATA}'><field type='hidden' var='FORM_TYPE'><value>${NS_PUBSUB}#subscribe_options</value></field>${[
    field("deliver", "boolean", "Send events", [String(deliver)]),
    field("expire", "text-single", "When the subscription ends", [
      expire === undefined ? "" : new Date(expire).toISOString(),
    ]),
    field("include_body", "boolean", "Put the text of the payload into a message body", [String(include_body)]),
    field("show-values", "list-multi", "Presence with which events are wanted", show_values, SHOWS),
    field(
      "subscription_type",
      "list-single",
      "What to hear of a collection",
      [subscription_type ?? "all"],
      ["items", "nodes", "all"],
    ),
    field("subscription_depth", "list-single", "How deep into a collection", [subscription_depth], ["1", "all"]),
  ]}</x>`;
}

/** §6.3.2 */
export async function options(engine: PubsubEngine, asker: Asker, request: Of<"options">): Promise<Markup> {
  const node = await anyNode(engine, asker, request.node);
  const subscription = ownSubscription(engine, asker, node, request);
  const form = optionsForm(subscription.options ?? DEFAULTS);
  const subid = attr("subid", subscription.subid === "" ? undefined : subscription.subid);
  return xml`<pubsub xmlns='${NS_PUBSUB}'><options jid='${subscription.jid.text}' node='${node.name}'${subid}>${form}</options></pubsub>`;
}

/** §6.3.5 */
export function setOptions(engine: PubsubEngine, asker: Asker, request: Of<"set options">): Promise<void> {
  return engine.nodes.turn(asker.service, request.node, async (node) => {
    if (node === undefined) throw engine.profile.missing(asker.service, asker.from.bare, false);
    const subscription = ownSubscription(engine, asker, node, request);
    if (request.options === undefined) return;
    const now = engine.server.now();
    const changed = { ...subscription, options: optionsOf(subscription.options, request.options, now) };
    await engine.nodes.putSubscription(node, changed);
  });
}

/** §6.4 */
export function defaultOptions(engine: PubsubEngine, asker: Asker, request: Of<"default options">): Promise<Markup> {
  if (!engine.profile.subscriptionOptions) throw unsupported("subscription-options");
  const answer = (): Markup =>
    xml`<pubsub xmlns='${NS_PUBSUB}'><default${attr("node", request.node)}>${optionsForm(DEFAULTS)}</default></pubsub>`;
  return request.node === undefined ? Promise.resolve(answer()) : anyNode(engine, asker, request.node).then(answer);
}

/** @throws StanzaError with the conditions of §6.3.4 */
function ownSubscription(
  engine: PubsubEngine,
  { from }: Asker,
  node: PubsubNode,
  { jid, subid }: { jid: Jid; subid: string | undefined },
): Subscription {
  if (!engine.profile.subscriptionOptions) throw unsupported("subscription-options");
  if (jid.bare.text !== from.bare.text) throw new StanzaError("forbidden");
  const own = node.subscriptions.get(jid.text) ?? [];
  // §6.3.4.2 has "modify" for it: another JID may be subscribed.
  if (own.length === 0) throw pubsubError("not-subscribed", undefined, undefined, "modify");
  if (subid === undefined && own.length > 1) throw pubsubError("subid-required");
  const meant = subid === undefined ? own[0] : own.find((s) => s.subid === subid);
  if (meant === undefined) throw pubsubError("invalid-subid");
  return meant;
}
