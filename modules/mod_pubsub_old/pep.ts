// The plugin pep: every account is a service of its own (XEP-0163), in MongooseIM's older tables.

import { StanzaError } from "../../core/errors.ts";
import { type DiscoItem, type DiscoParams, type Identity, STOP } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Iq, Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import type { Markup } from "../../core/xml/markup.ts";
import { featuresOf } from "../mod_caps/index.ts";
import { hasFrom, rosterOf } from "../mod_roster/index.ts";
import { requireAccess } from "../pubsub/access.ts";
import type { Profile } from "../pubsub/engine.ts";
import { resultForm } from "../pubsub/fields.ts";
import { NS_PUBSUB } from "../pubsub/form.ts";
import { processAuthorization } from "../pubsub/manage.ts";
import type { PubsubNode } from "../pubsub/model.ts";
import { type PersonalParts, personalAudience } from "../pubsub/personal.ts";
import type { Context, Running } from "./context.ts";
import { PLUGINS } from "./plugins.ts";
import { defaultsOf, FIELDS, limitsOf, notices, UNSHOWN } from "./profile.ts";
import { answerPubsub } from "./service.ts";
import type { Engine } from "./tree.ts";

/** §10 of XEP-0060, as far as accounts have it. */
const FEATURES = [
  "access-authorize",
  "access-open",
  "access-presence",
  "access-roster",
  "access-whitelist",
  "auto-create",
  "auto-subscribe",
  "config-node",
  "config-node-max",
  "create-and-configure",
  "create-nodes",
  "delete-items",
  "delete-nodes",
  "filtered-notifications",
  "item-ids",
  "last-published",
  "manage-subscriptions",
  "member-affiliation",
  "meta-data",
  "modify-affiliations",
  "outcast-affiliation",
  "persistent-items",
  "presence-notifications",
  "presence-subscribe",
  "publish",
  "publish-only-affiliation",
  "publish-options",
  "publisher-affiliation",
  "purge-nodes",
  "retract-items",
  "retrieve-affiliations",
  "retrieve-default",
  "retrieve-items",
  "retrieve-subscriptions",
  "rsm",
  "subscribe",
  "subscription-notifications",
  "subscription-options",
];
/** Nodes that are listed. */
const MAX_LISTED = 1000;

export function personalParts(ctx: Context): PersonalParts {
  const { host, server, store, config } = ctx;
  return {
    host,
    server,
    featuresOf,
    inGroups: async ({ service, config: { roster_groups_allowed: groups } }) => {
      const roster = rosterOf(host);
      const items = roster === undefined ? [] : await roster.store.items(server, service);
      return items.filter((i) => hasFrom(i.state) && i.groups.some((g) => groups.includes(g))).map((i) => i.jid);
    },
    lastItems: (domain, users, names) => store.lastItems(domain, users, names),
    sends: (contact) => !config.ignore_pep_from_offline || server.sessionsOf(contact).some((s) => s.available),
  };
}

const isOwn = (service: BareJid, who: BareJid): boolean => service.text === who.text;

export function pepProfile(ctx: Context, running: () => Running): Profile {
  const { config, host } = ctx;
  const parts = personalParts(ctx);
  // Personal nodes are in no collections.
  const fields = FIELDS.filter((field) => field !== "collection");
  const unshown = UNSHOWN.filter((field) => field !== "node_type");
  const mapping = new Map(config.pep_mapping.map(({ namespace, node }) => [namespace, node]));
  for (const kind of mapping.values()) {
    // MongooseIM would load a module of the operator's own.
    if (!PLUGINS.some((plugin) => plugin === kind)) ctx.log.warning("pep_mapping_unknown", { plugin: kind });
  }
  return {
    ...notices(ctx, running),
    limits: { ...limitsOf(ctx), fields, unshown, nodes: config.max_nodes_user },
    autoCreate: true,
    instantNodes: false,
    subids: true,
    subscriptionOptions: true,
    newestFirst: true,
    kindOf: (_service, _wanted, name) => mapping.get(name) ?? "pep",
    defaults: (_service, kind) => defaultsOf(ctx, kind ?? "pep"),
    mayCreate: (service, who) =>
      isOwn(service, who) && host.access.match(config.access_createnode, who, who.domain) === "allow",
    impliedAffiliation: (service, who) => (isOwn(service, who) ? "owner" : undefined),
    rosterOwners: ({ service }) => [service],
    // What somebody has is nobody's business who may not manage it anyway.
    missing: (service, who, manage) => new StanzaError(manage && !isOwn(service, who) ? "forbidden" : "item-not-found"),
    publisherOf: (_node, { publisher }) => (config.item_publisher ? publisher : undefined),
    audience: (node) => personalAudience(parts, node),
  };
}

/** Requests to accounts; none without the plugin. */
export function answerAccount(engine: Engine | undefined, ctx: Context, iq: Iq): Promise<Markup | undefined> {
  if (engine === undefined) throw new StanzaError("service-unavailable");
  return answerPubsub(engine, ctx, iq);
}

/** A session's owner has answered a request for a subscription (§8.6), in a message to himself. */
export function answered(engine: Engine | undefined, message: Stanza, session: Session) {
  const { bare } = session.jid;
  if (engine === undefined || message.to.text !== bare.text) return undefined;
  const asker = { service: bare, from: session.jid, session };
  return processAuthorization(engine, asker, message).then((done) => (done ? STOP : undefined));
}

/** §12.15: who does not see an account's presence any more has no subscriptions that hang on it. */
export async function contactShutOut(engine: Engine, ctx: Context, owner: BareJid, contact: BareJid): Promise<void> {
  const names = new Set((await ctx.store.subscriptionsOf(owner, contact)).map(({ node }) => node));
  for (const name of names) {
    await engine.nodes.turn(owner, name, async (node) => {
      if (node === undefined || !hangsOnPresence(node)) return;
      const own = [...node.subscriptions.values()].flat().filter((s) => s.jid.bare.text === contact.text);
      await engine.nodes.dropSubscriptions(node, own);
    });
  }
}

const hangsOnPresence = ({ config }: PubsubNode): boolean =>
  config.access_model === "presence" || config.access_model === "roster";

// --- Service discovery -------------------------------------------------------------------------------------------------------

const isOwner = ({ from, to }: DiscoParams): boolean => from.bare.text === to.bare.text;

/** The node that is asked about, if the asker may know of it. */
async function visible(engine: Engine, params: DiscoParams): Promise<PubsubNode | undefined> {
  const node = await engine.nodes.get(params.to.bare, params.node);
  if (node === undefined) return undefined;
  try {
    await requireAccess(engine, node, params.from.bare);
    return node;
  } catch (error) {
    if (error instanceof StanzaError) return undefined;
    throw error;
  }
}

/** As in MongooseIM an account is a pep service at any node that its owner asks about. */
export async function identities(engine: Engine, acc: Identity[], params: DiscoParams): Promise<Identity[]> {
  if (params.node === "" || isOwner(params)) return [...acc, { category: "pubsub", type: "pep" }];
  const node = await visible(engine, params);
  return node === undefined ? acc : [...acc, { category: "pubsub", type: node.config.node_type }];
}

export async function features(engine: Engine, acc: Set<string>, params: DiscoParams): Promise<Set<string>> {
  if (params.node !== "" && !isOwner(params)) {
    return (await visible(engine, params)) === undefined ? acc : acc.add(NS_PUBSUB);
  }
  acc.add(NS_PUBSUB);
  if (params.node === "") for (const feature of FEATURES) acc.add(`${NS_PUBSUB}#${feature}`);
  return acc;
}

export async function items(engine: Engine, acc: DiscoItem[], params: DiscoParams): Promise<DiscoItem[]> {
  const jid = params.to.bare.text;
  if (params.node !== "") {
    const node = await visible(engine, params);
    return node === undefined ? acc : [...acc, { jid, node: node.name }];
  }
  const found: DiscoItem[] = [];
  for (const { name, config } of await engine.store.nodes(params.to.bare, "", MAX_LISTED)) {
    const plain = config.access_model === "open" || (config.access_model === "presence" && params.subscribed);
    if (!plain && !isOwner(params) && (await visible(engine, { ...params, node: name })) === undefined) continue;
    found.push({ jid, node: name, ...(config.title !== "" && { name: config.title }) });
  }
  return [...acc, ...found];
}

/** The meta-data of a node (§5.4). */
export async function forms(engine: Engine, acc: Markup[], params: DiscoParams): Promise<Markup[]> {
  const node = params.node === "" ? undefined : await visible(engine, params);
  return node === undefined ? acc : [...acc, resultForm(node.config, engine.profile.limits, "meta-data")];
}
