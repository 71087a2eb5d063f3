// XEP-0060 Publish-Subscribe on a domain of its own, with collections (XEP-0248), and personal eventing (XEP-0163) at
// accounts where mod_pubsub is not on. MongooseIM's older feature, on the engine in modules/pubsub.

import { defineModule } from "../../core/module.ts";
import { PubsubEngine } from "../pubsub/engine.ts";
import { NS_PUBSUB } from "../pubsub/form.ts";
import { publisherGone } from "../pubsub/offline.ts";
import { cameOnline, loadWatched } from "./comings.ts";
import { checkWords, config, type PubsubOldConfig } from "./config.ts";
import type { Context, Running } from "./context.ts";
import { MemoryLastItems, StoredLastItems } from "./last.ts";
import { type Metric, metrics } from "./metrics.ts";
import { serviceProfile } from "./profile.ts";
import { answerService, takeMessage } from "./service.ts";
import { PubsubOldStore } from "./store.ts";
import { parentsIn } from "./tree.ts";
import { Watchlist } from "./watch.ts";

/** Stands for the domain in the service's address. */
const HOST = "@HOST@";

/** What runs, by the feature's context. */
const running = new WeakMap<object, Running>();

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
  store.lastItems = last;
  const profile = serviceProfile(ctx, () => runningOf(ctx));
  const now: Running = {
    service: new PubsubEngine(store, profile, host, server, log),
    pep: undefined,
    watch: new Watchlist(),
    last,
  };
  running.set(ctx, now);
  await loadWatched(ctx, now);
}

/** Rows of many nodes are gone: what is in memory of them is asked for anew. */
function forgetAll(ctx: Context): void {
  const { service, pep, last } = runningOf(ctx);
  service.nodes.clear();
  pep?.nodes.clear();
  if (last instanceof MemoryLastItems) last.clear();
}

export default defineModule<PubsubOldConfig, PubsubOldStore, Metric>({
  name: "mod_pubsub_old",
  xeps: [
    { n: 60, version: "1.27.1" },
    { n: 248, version: "0.2" },
  ],
  config,
  uses: ["mod_disco", "mod_caps", "mod_roster"],
  features: [NS_PUBSUB],
  store: (db) => new PubsubOldStore(db),
  metrics,
  services: [
    {
      address: ({ host }) => host,
      iq: (iq, ctx) => answerService(runningOf(ctx).service, ctx, iq),
      stanza: (stanza, ctx) => takeMessage(runningOf(ctx).service, stanza),
    },
  ],
  hooks: {
    user_available: ({ session }, ctx) => cameOnline(ctx, runningOf(ctx), session),
    unset_presence: ({ session }, ctx) => {
      const { bare } = session.jid;
      if (!ctx.server.sessionsOf(bare).some((s) => s.available)) return publisherGone(runningOf(ctx).service, bare);
    },
    // 70: after the store has forgotten them
    remove_user: { at: 70, run: (_params, ctx) => forgetAll(ctx) },
    remove_domain: { at: 70, run: (_params, ctx) => forgetAll(ctx) },
  },
  start,
  stop: (ctx) => void running.delete(ctx),
});
