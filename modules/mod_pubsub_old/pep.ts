// The plugin pep: every account is a service of its own (XEP-0163), in MongooseIM's older tables.

import { StanzaError } from "../../core/errors.ts";
import { STOP } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Iq, Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import type { Markup } from "../../core/xml/markup.ts";
import { featuresOf } from "../mod_caps/index.ts";
import { hasFrom, rosterOf } from "../mod_roster/index.ts";
import type { Profile } from "../pubsub/engine.ts";
import { processAuthorization } from "../pubsub/manage.ts";
import type { PubsubNode } from "../pubsub/model.ts";
import { type PersonalParts, personalAudience } from "../pubsub/personal.ts";
import type { Context, Running } from "./context.ts";
import { PLUGINS } from "./plugins.ts";
import { defaultsOf, FIELDS, limitsOf, notices, UNSHOWN } from "./profile.ts";
import { answerPubsub } from "./service.ts";
import type { Engine } from "./tree.ts";

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
