// The service on its own domain as the engine sees it: who may make nodes, who gets events, how nodes are ordered.

import { subscriptionLists } from "../../core/contacts.ts";
import { StanzaError } from "../../core/errors.ts";
import { type BareJid, parseJid } from "../../core/jid.ts";
import { inGroups } from "../pubsub/access.ts";
import type { Audience, Limits, Profile } from "../pubsub/engine.ts";
import { pubsubError, unsupported } from "../pubsub/errors.ts";
import type { FieldName } from "../pubsub/fields.ts";
import { ACCESS_MODELS, type NodeConfig, type PubsubNode } from "../pubsub/model.ts";
import type { Context, Running } from "./context.ts";
import { nodeDefaults, type Plugin } from "./plugins.ts";
import { checkCollections, checkTree, mayHaveAtHome, orphan, parentsIn, sendUp, tellCollections } from "./tree.ts";

/** MongooseIM's form. */
export const FIELDS: readonly FieldName[] = [
  "title",
  "deliver_payloads",
  "deliver_notifications",
  "notify_config",
  "notify_delete",
  "notify_retract",
  "persist_items",
  "max_items",
  "subscribe",
  "access_model",
  "roster_groups_allowed",
  "publish_model",
  "purge_offline",
  "notification_type",
  "max_payload_size",
  "send_last_published_item",
  "presence_based_delivery",
  "type",
  "collection",
];
/** What may be set beside it. */
export const UNSHOWN: readonly FieldName[] = [
  "node_type",
  "description",
  "language",
  "contact",
  "item_expire",
  "notify_sub",
];

/** Width of the columns. */
const MAX_NAME = 250;
const MAX_AFFILIATIONS = 10_000;
/** Subscriptions of a node without `max_subscriptions_node`. */
const MAX_SUBSCRIPTIONS = 100_000;
/** Bytes of a payload that a node may be configured to take: what MySQL's TEXT holds with <item/> around it. */
const MAX_PAYLOAD = 65_000;

export function limitsOf({ config }: Context): Limits {
  return {
    fields: FIELDS,
    unshown: UNSHOWN,
    accessModels: ACCESS_MODELS,
    maxItems: config.max_items_node,
    maxPayloadSize: Math.max(MAX_PAYLOAD, config.default_node_config.max_payload_size ?? 0),
    nodes: Number.POSITIVE_INFINITY,
    subscriptionsPerNode: config.max_subscriptions_node ?? MAX_SUBSCRIPTIONS,
    affiliationsPerNode: MAX_AFFILIATIONS,
    nodeName: MAX_NAME,
    itemId: MAX_NAME,
  };
}

/** The configuration of a new node: its kind's, under that of the option. */
export function defaultsOf({ config }: Context, kind: string): NodeConfig {
  return { ...nodeDefaults(kind), ...(config.default_node_config as Partial<NodeConfig>) };
}

/** The kinds of nodes that the service has: personal ones are accounts'. */
export const serviceKinds = ({ config }: Context): Plugin[] => config.plugins.filter((plugin) => plugin !== "pep");

const isOwned = (affiliation: string | undefined): boolean =>
  affiliation === "owner" || affiliation === "publisher" || affiliation === "member";

/** What both profiles do after something happened to a node. */
export function notices(ctx: Context, running: () => Running): Partial<Profile> {
  const { nodetree } = ctx.config;
  return {
    published: (node, item) => running().last?.set(node, item),
    retracted: (node, id) => running().last?.drop(node, id),
    purged: (node) => running().last?.drop(node),
    created: (node) => running().watch.look(node),
    configured: (node) => running().watch.look(node),
    removed: async (node) => {
      running().watch.forget(node);
      await running().last?.drop(node);
      if (node.service.isDomain) await orphan(running().service, nodetree, node);
    },
  };
}

export function serviceProfile(ctx: Context, running: () => Running): Profile {
  const { config, host, store } = ctx;
  const kinds = serviceKinds(ctx);
  const parents = parentsIn(config.nodetree);
  const told = notices(ctx, running);
  const fallback = kinds[0] ?? "flat";
  return {
    ...told,
    limits: limitsOf(ctx),
    autoCreate: true,
    instantNodes: true,
    subids: true,
    subscriptionOptions: true,
    newestFirst: true,
    defaults: (_service, kind) => defaultsOf(ctx, kind ?? fallback),
    kindOf: (_service, wanted) => {
      const kind = wanted === undefined ? kinds[0] : kinds.find((k) => k === wanted);
      if (kind === undefined) throw unsupported("create-nodes");
      return kind;
    },
    // MongooseIM's answer to one subscriber too many.
    full: () => pubsubError("closed-node"),
    mayCreate: (_service, who) => host.access.match(config.access_createnode, who, who.domain) === "allow",
    checkNode: async (node, who, before) => {
      const engine = running().service;
      if (before === undefined) {
        if ((await store.countOwned(node.service, who)) >= config.max_nodes_user) {
          throw pubsubError("max-nodes-exceeded", `A user owns at most ${config.max_nodes_user} nodes`);
        }
        if (node.kind === "hometree" && !(await mayHaveAtHome(engine, node.service, who, node.name))) {
          throw new StanzaError("forbidden", "Nodes are made at home, below a node that is there");
        }
      }
      if (config.nodetree === "tree") checkTree(node);
      await checkCollections(engine, parents, node, who, before);
    },
    impliedAffiliation: () => undefined,
    rosterOwners: ownersHere,
    missing: () => new StanzaError("item-not-found"),
    publisherOf: (_node, { publisher }) => (config.item_publisher ? publisher : undefined),
    audience: (node) => audienceOf(ctx, node),
    send: async (node, event, audience) => sendUp(running().service, parents, audience, node, event),
    created: async (node) => {
      await told.created?.(node);
      await tellCollections(running().service, parents, await audienceOf(ctx, node), node, undefined);
    },
    configured: async (node, before) => {
      await told.configured?.(node, before);
      if (before.collection === node.config.collection) return;
      await tellCollections(running().service, parents, await audienceOf(ctx, node), node, before);
    },
  };

  /** The owners whose rosters are here. */
  function ownersHere({ affiliations }: PubsubNode): BareJid[] {
    const owners: BareJid[] = [];
    for (const [jid, affiliation] of affiliations) {
      if (affiliation !== "owner") continue;
      const owner = parseJid(jid).bare;
      if (ctx.server.hostTypeOf(owner.domain) !== undefined) owners.push(owner);
    }
    return owners;
  }

  /** Nobody without a subscription; of those with one, who may still read the node (§12.15). */
  async function audienceOf(ctx: Context, node: PubsubNode): Promise<Audience> {
    const { config, affiliations } = node;
    const model = config.access_model;
    const visible = model === "presence" || model === "roster" ? await seeing(ctx, node) : undefined;
    return {
      accounts: [],
      wants: () => false,
      admits: ({ text }) => {
        const affiliation = affiliations.get(text);
        if (isOwned(affiliation)) return true;
        if (affiliation === "outcast" || affiliation === "publish-only" || model === "whitelist") return false;
        if (model === "authorize") return subscribed(node, text);
        return visible === undefined || visible.has(text);
      },
    };
  }

  /** The subscribers who see the presence of an owner, or are in the right group of his roster. */
  async function seeing({ host }: Context, node: PubsubNode): Promise<ReadonlySet<string>> {
    const seen = new Set<string>();
    const subscribers = [...node.subscriptions.keys()].map((jid) => parseJid(jid).bare);
    for (const owner of ownersHere(node)) {
      if (node.config.access_model === "presence") {
        const { from } = await subscriptionLists(host, owner);
        for (const jid of from) seen.add(jid);
        continue;
      }
      for (const jid of subscribers) {
        if (seen.has(jid.text)) continue;
        if (await inGroups(host, owner, jid, node.config.roster_groups_allowed)) seen.add(jid.text);
      }
    }
    return seen;
  }
}

/** Whether an account has a subscription of the node itself, which an owner has agreed to. */
function subscribed({ subscriptions }: PubsubNode, account: string): boolean {
  for (const [jid, list] of subscriptions) {
    if (list.some((s) => s.state === "subscribed") && (jid === account || jid.startsWith(`${account}/`))) return true;
  }
  return false;
}
