// What makes publish-subscribe personal (XEP-0163): every account is a service of its own, owned by its user, and whoever
// sees the user's presence is a subscriber who has only to say what interests him.

import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import { featuresOf } from "../mod_caps/index.ts";
import { hasFrom, rosterOf } from "../mod_roster/index.ts";
import type { Limits, Profile, PubsubEngine } from "../pubsub/engine.ts";
import type { FieldName } from "../pubsub/fields.ts";
import { ACCESS_MODELS, type NodeConfig, PLAIN_CONFIG, type PubsubNode } from "../pubsub/model.ts";
import { type PersonalParts, personalAudience } from "../pubsub/personal.ts";
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
    ...PLAIN_CONFIG,
    ...config.default_node_config,
    max_payload_size: maxPayloadSize,
    presence_based_delivery: true,
    notify_delete: true,
    send_last_published_item: "on_sub_and_presence",
  };
}

export function pepProfile(ctx: PepContext): Profile {
  const limits = limitsOf(ctx);
  const defaults = defaultsOf(ctx, limits);
  const parts = personalParts(ctx);
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
    audience: (node) => personalAudience(parts, node),
  };
}

/** What modules/pubsub/personal.ts is given. */
export function personalParts(ctx: PepContext): PersonalParts {
  const { host, server, store } = ctx;
  return {
    host,
    server,
    featuresOf,
    inGroups: (node) => inGroups(ctx, node),
    lastItems: (domain, users, names) => store.lastItems(domain, users, names),
  };
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
