// What makes publish-subscribe personal (XEP-0163): every account is a service of its own, owned by its user, and whoever
// sees the user's presence is a subscriber who has only to say what interests him.

import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise, SubscriptionLists } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { ModuleContext, Session } from "../../core/module.ts";
import { featuresOf } from "../mod_caps/index.ts";
import { hasFrom, rosterOf } from "../mod_roster/index.ts";
import type { Audience, Limits, Profile, PubsubEngine } from "../pubsub/engine.ts";
import type { FieldName } from "../pubsub/fields.ts";
import { ACCESS_MODELS, type NodeConfig, type PubsubNode } from "../pubsub/model.ts";
import { type Config, MOST_ITEMS } from "./config.ts";
import type { PepStore } from "./store.ts";

export type PepContext = ModuleContext<Config, PepStore>;
export type Pep = PubsubEngine<PepStore>;

/** All that mean something for a personal node. */
const FIELDS: readonly FieldName[] = [
  "title",
  "description",
  "type",
  "language",
  "contact",
  "access_model",
  "publish_model",
  "roster_groups_allowed",
  "subscribe",
  "persist_items",
  "max_items",
  "item_expire",
  "max_payload_size",
  "deliver_notifications",
  "deliver_payloads",
  "presence_based_delivery",
  "notification_type",
  "notify_config",
  "notify_delete",
  "notify_retract",
  "notify_sub",
  "purge_offline",
  "send_last_published_item",
];

/** Width of the columns. */
const MAX_NAME = 125;
/** Friends whom a node may be opened to one by one. */
const MAX_AFFILIATIONS = 1000;

const NOBODY: SubscriptionLists = Object.freeze({ from: Object.freeze([]), to: Object.freeze([]) });

export function limitsOf({ config, store }: PepContext): Limits {
  return {
    fields: FIELDS,
    accessModels: ACCESS_MODELS,
    maxItems: Math.min(config.max_items_per_node, MOST_ITEMS),
    maxPayloadSize: Math.min(config.max_payload_size, store.maxPayload),
    nodes: config.max_nodes_per_user,
    subscriptionsPerNode: config.max_subscriptions_per_node,
    affiliationsPerNode: MAX_AFFILIATIONS,
    nodeName: MAX_NAME,
    itemId: MAX_NAME,
  };
}

export function defaultsOf({ config }: PepContext, { maxPayloadSize }: Limits): NodeConfig {
  return {
    ...config.default_node_config,
    publish_model: "publishers",
    persist_items: true,
    item_expire: Number.POSITIVE_INFINITY,
    max_payload_size: maxPayloadSize,
    deliver_notifications: true,
    deliver_payloads: true,
    presence_based_delivery: true,
    notify_config: false,
    notify_delete: true,
    notify_retract: false,
    notify_sub: false,
    notification_type: "headline",
    send_last_published_item: "on_sub_and_presence",
    purge_offline: false,
    subscribe: true,
    roster_groups_allowed: [],
    title: "",
    description: "",
    type: "",
    language: "",
    contact: [],
    node_type: "leaf",
    collection: [],
  };
}

export function pepProfile(ctx: PepContext): Profile {
  const limits = limitsOf(ctx);
  const defaults = defaultsOf(ctx, limits);
  const isOwn = (service: BareJid, who: BareJid): boolean => service.text === who.text;
  return {
    limits,
    defaults: () => defaults,
    autoCreate: true,
    instantNodes: false,
    mayCreate: isOwn,
    impliedAffiliation: (service, who) => (isOwn(service, who) ? "owner" : undefined),
    rosterOwners: ({ service }) => [service],
    // What somebody has is nobody's business who may not manage it anyway.
    missing: (service, who, manage) => new StanzaError(manage && !isOwn(service, who) ? "forbidden" : "item-not-found"),
    // The owner's name is on every event: only what others have published says so.
    publisherOf: (node, { publisher }) => (publisher.bare.text === node.service.text ? undefined : publisher),
    audience: (node) => audienceOf(ctx, node),
  };
}

/** The account, the contacts that receive its presence as far as the access model lets them, and those on the list. */
function audienceOf(ctx: PepContext, node: PubsubNode): MaybePromise<Audience> {
  const { service } = node;
  if (node.config.access_model === "roster") return inGroups(ctx, node).then((jids) => audience(node, jids));
  const lists = ctx.host.hooks.fold("roster_get_subscription_lists", NOBODY, { jid: service });
  return lists instanceof Promise ? lists.then(({ from }) => audience(node, from)) : audience(node, lists.from);
}

/** The contacts in the groups that a node is open to. */
async function inGroups({ host, server }: PepContext, { service, config }: PubsubNode): Promise<string[]> {
  const roster = rosterOf(host);
  if (roster === undefined) return [];
  const items = await roster.store.items(server, service);
  return items
    .filter((i) => hasFrom(i.state) && i.groups.some((group) => config.roster_groups_allowed.includes(group)))
    .map((i) => i.jid);
}

function audience(node: PubsubNode, contacts: readonly string[]): Audience {
  const { service, config, affiliations } = node;
  const wanted = `${node.name}+notify`;
  const mayRead = (jid: string): boolean => {
    const affiliation = affiliations.get(jid);
    return affiliation === "owner" || affiliation === "publisher" || affiliation === "member";
  };
  const outcast = (jid: string): boolean => {
    const affiliation = affiliations.get(jid);
    return affiliation === "outcast" || affiliation === "publish-only";
  };
  const listed = config.access_model === "whitelist" || config.access_model === "authorize";
  const reached = listed
    ? contacts.filter(mayRead)
    : affiliations.size === 0
      ? contacts
      : contacts.filter((c) => !outcast(c));
  let known: Set<string> | undefined;
  return {
    accounts: [service.text, ...reached],
    wants: (session: Session) => featuresOf(session)?.has(wanted) === true,
    admits: ({ text }) => {
      if (text === service.text || mayRead(text)) return true;
      if (outcast(text) || config.access_model === "whitelist") return false;
      if (config.access_model === "open" || config.access_model === "authorize") return true;
      known ??= new Set(contacts);
      return known.has(text);
    },
  };
}
