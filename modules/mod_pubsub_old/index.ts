// XEP-0060 Publish-Subscribe on a domain of its own, with collections (XEP-0248), and personal eventing (XEP-0163) at
// accounts where mod_pubsub is not on. MongooseIM's older feature, on the engine in modules/pubsub.

import { defineModule, type Server } from "../../core/module.ts";
import { NS_DATA } from "../../core/ns.ts";
import { hasFrom } from "../mod_roster/index.ts";
import { forms } from "../pubsub/discovery.ts";
import { PubsubEngine } from "../pubsub/engine.ts";
import { NS_PUBSUB } from "../pubsub/form.ts";
import { publisherGone } from "../pubsub/offline.ts";
import { clientGone, clientKnown, contactAdmitted, type Personal } from "../pubsub/personal.ts";
import { cameOnline, loadWatched } from "./arrivals.ts";
import { checkWords, config, type PubsubOldConfig } from "./config.ts";
import type { Context, Running } from "./context.ts";
import { MemoryLastItems, StoredLastItems } from "./last.ts";
import { type Metric, metrics } from "./metrics.ts";
import { answerAccount, answered, contactShutOut, pepProfile, personalParts } from "./pep.ts";
import { features, identities, items } from "./pep-disco.ts";
import { serviceProfile } from "./profile.ts";
import { answerService, takeMessage } from "./service.ts";
import { PubsubOldStore } from "./store.ts";
import { type Engine, parentsIn } from "./tree.ts";
import { Watchlist } from "./watch.ts";

/** Stands for the domain in the service's address. */
const HOST = "@HOST@";

/** What runs, by the feature's context, and for all host types of a server. */
const running = new WeakMap<object, Running>();
const onServer = new WeakMap<Server, Set<Running>>();

function runningOf(ctx: Context): Running {
  const found = running.get(ctx);
  if (found === undefined) throw new Error("mod_pubsub_old has not started");
  return found;
}

async function start(ctx: Context): Promise<void> {
  const { config, store, host, server, log } = ctx;
  checkWords(config);
  store.settings = {
    itemPublisher: config.item_publisher,
    parents: parentsIn(config.nodetree),
    serviceOf: (domain) => (config.host.endsWith(HOST) ? config.host.replace(HOST, domain) : undefined),
  };
  const last =
    config.last_item_cache === false
      ? undefined
      : config.last_item_cache === "rdbms"
        ? new StoredLastItems(store)
        : new MemoryLastItems();
  store.cache = last;
  const profile = serviceProfile(ctx, () => runningOf(ctx));
  const now: Running = {
    service: new PubsubEngine(store, profile, host, server, log),
    pep: hasPep(ctx)
      ? new PubsubEngine(
          store,
          pepProfile(ctx, () => runningOf(ctx)),
          host,
          server,
          log,
        )
      : undefined,
    watch: new Watchlist(),
    last,
  };
  running.set(ctx, now);
  const others = onServer.get(server) ?? new Set();
  onServer.set(server, others.add(now));
  await loadWatched(ctx, now);
}

/** Whether accounts are services: with the plugin, where mod_pubsub does not do that. */
function hasPep({ config, host, log }: Context): boolean {
  if (!config.plugins.includes("pep")) return false;
  if (host.modules.has("mod_pubsub")) {
    log.notice("pep_left_to_mod_pubsub");
    return false;
  }
  if (host.modules.has("mod_caps")) return true;
  throw new Error(
    `Cannot start modules.mod_pubsub_old for host type "${host.name}": its pep needs modules.mod_caps too`,
  );
}

/** Rows of many nodes are gone, of other host types' services too: what is in memory of them is asked for anew. */
function forgetAll({ server }: Context): void {
  for (const { service, pep, last } of onServer.get(server) ?? []) {
    service.nodes.clear();
    pep?.nodes.clear();
    if (last instanceof MemoryLastItems) last.clear();
  }
}

function stop(ctx: Context): void {
  onServer.get(ctx.server)?.delete(runningOf(ctx));
  running.delete(ctx);
}

function withPep<T>(ctx: Context, work: (pep: Engine) => T): T | undefined {
  const { pep } = runningOf(ctx);
  return pep === undefined ? undefined : work(pep);
}

const personalOf = (ctx: Context): Personal | undefined =>
  withPep(ctx, (engine) => ({ engine, parts: personalParts(ctx) }));

export default defineModule<PubsubOldConfig, PubsubOldStore, Metric>({
  name: "mod_pubsub_old",
  xeps: [
    { n: 60, version: "1.25.0" },
    { n: 163, version: "1.2.2" },
    { n: 248, version: "0.2" },
  ],
  config,
  uses: ["mod_disco", "mod_caps", "mod_roster", "mod_pubsub"],
  yieldsTo: ["mod_pubsub"],
  features: [NS_PUBSUB],
  store: (db) => new PubsubOldStore(db),
  metrics,
  timed: {
    as: "mod_pubsub_old_db",
    perServer: true,
    backends: ["mnesia", "rdbms"],
    in: (store) => store,
    calls: {
      create_node: "create",
      set_node: "configure",
      del_node: "remove",
      find_node_by_name: "load",
      find_nodes_by_key: ["nodes", "roots"],
      get_subnodes: "children",
      get_states_by_bare: ["affiliationsOf", "subscriptionsOf"],
      get_items: ["newest", "page", "itemsById"],
      get_item: "item",
      add_item: "publish",
      del_item: "retract",
      del_items: ["purge", "purgePublisher"],
    },
  },
  services: [
    {
      address: ({ host }) => host,
      iq: (iq, ctx) => answerService(runningOf(ctx).service, ctx, iq),
      stanza: (stanza, ctx) => takeMessage(runningOf(ctx).service, stanza),
    },
  ],
  iq: {
    "get account http://jabber.org/protocol/pubsub": (iq, ctx) => answerAccount(runningOf(ctx).pep, ctx, iq),
    "set account http://jabber.org/protocol/pubsub": (iq, ctx) => answerAccount(runningOf(ctx).pep, ctx, iq),
    "get account http://jabber.org/protocol/pubsub#owner": (iq, ctx) => answerAccount(runningOf(ctx).pep, ctx, iq),
    "set account http://jabber.org/protocol/pubsub#owner": (iq, ctx) => answerAccount(runningOf(ctx).pep, ctx, iq),
  },
  hooks: {
    user_send_message: {
      at: 45,
      type: ["", "normal"],
      child: "x",
      ns: NS_DATA,
      run: (message, session, ctx) => answered(runningOf(ctx).pep, message, session),
    },
    disco_sm_identity: { at: 75, run: (acc, params, ctx) => withPep(ctx, (pep) => identities(pep, acc, params)) },
    disco_sm_features: { at: 75, run: (acc, params, ctx) => withPep(ctx, (pep) => features(pep, acc, params)) },
    disco_sm_items: { at: 75, run: (acc, params, ctx) => withPep(ctx, (pep) => items(pep, acc, params)) },
    disco_sm_info: { at: 75, run: (acc, params, ctx) => withPep(ctx, (pep) => forms(pep, acc, params)) },
    caps_recognised: {
      at: 80,
      run: ({ session, features: known }, ctx) => {
        const own = personalOf(ctx);
        if (own === undefined) return;
        return clientKnown(own, session, known, ({ modules }) => {
          const there = modules.get("mod_pubsub_old")?.ctx as Context | undefined;
          return there && personalOf(there);
        });
      },
    },
    roster_subscription_changed: ({ user, contact, before, after }, ctx) =>
      withPep(ctx, async (pep) => {
        if (hasFrom(after) && !hasFrom(before)) await contactAdmitted(pep, personalParts(ctx), user, contact.bare);
        if (hasFrom(before) && !hasFrom(after)) await contactShutOut(pep, ctx, user, contact.bare);
      }),
    user_available: ({ session }, ctx) => {
      const running = runningOf(ctx);
      if (running.watch.any) return cameOnline(ctx, running, session);
    },
    unset_presence: ({ session }, ctx) => {
      const { bare } = session.jid;
      const { service, pep } = runningOf(ctx);
      if (pep !== undefined) clientGone(session);
      if (ctx.server.sessionsOf(bare).some((s) => s.available)) return;
      return publisherGone(service, bare).then(() => pep && publisherGone(pep, bare));
    },
    // 70: after the store has forgotten them
    remove_user: { at: 70, run: (_params, ctx) => forgetAll(ctx) },
    remove_domain: { at: 70, run: (_params, ctx) => forgetAll(ctx) },
    stranger_removed: (_params, ctx) => forgetAll(ctx),
    anonymous_purge: async ({ jid }, ctx) => {
      if (await ctx.store.forget(jid)) forgetAll(ctx);
    },
  },
  start,
  stop,
});
