// XEP-0163 Personal Eventing Protocol: publish-subscribe (XEP-0060) at the bare JID of every account. The protocol is
// that of modules/pubsub; what is personal about it is in profile.ts, what comes with presence in presence.ts.

import { STOP } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { defineModule, type Session } from "../../core/module.ts";
import { NS_DATA } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { hasFrom } from "../mod_roster/index.ts";
import { answerIq } from "../pubsub/answer.ts";
import { PubsubEngine } from "../pubsub/engine.ts";
import { processAuthorization } from "../pubsub/manage.ts";
import { publisherGone } from "../pubsub/offline.ts";
import { type Config, config } from "./config.ts";
import { features, forms, identities, items } from "./disco.ts";
import { clientGone, clientKnown, contactAdmitted } from "./presence.ts";
import { defaultsOf, limitsOf, type PepContext, pepProfile } from "./profile.ts";
import { PepStore } from "./store.ts";

/** The engine of each host type. */
const engines = new WeakMap<PepContext, PubsubEngine<PepStore>>();

function engineOf(ctx: PepContext): PubsubEngine<PepStore> {
  let engine = engines.get(ctx);
  if (engine === undefined) {
    ctx.store.defaults = defaultsOf(ctx, limitsOf(ctx));
    engine = new PubsubEngine(ctx.store, pepProfile(ctx), ctx.host, ctx.server, ctx.log);
    engines.set(ctx, engine);
  }
  return engine;
}

/** A session's owner has answered a request for a subscription (XEP-0060 §8.6), in a message to himself. */
function answered(message: Stanza, session: Session, ctx: PepContext): Promise<typeof STOP | undefined> | undefined {
  const { bare } = session.jid;
  if (message.to.text !== bare.text) return undefined;
  const asker = { service: bare, from: session.jid, session };
  return processAuthorization(engineOf(ctx), asker, message).then((done) => (done ? STOP : undefined));
}

/** An anonymous user is gone, with all that was kept of him. */
async function forget(jid: BareJid, ctx: PepContext): Promise<void> {
  await ctx.store.removeUser(jid);
  engineOf(ctx).nodes.clear();
}

export default defineModule<Config, PepStore>({
  name: "mod_pubsub",
  xeps: [
    { n: 60, version: "1.25.0" },
    { n: 163, version: "1.2.2" },
    { n: 223, version: "1.1.1" },
  ],
  config,
  uses: ["mod_caps", "mod_roster"],
  store: (db) => new PepStore(db),
  start: (ctx) => void engineOf(ctx),
  iq: {
    "get account http://jabber.org/protocol/pubsub": (iq, ctx) => answerIq(engineOf(ctx), iq),
    "set account http://jabber.org/protocol/pubsub": (iq, ctx) => answerIq(engineOf(ctx), iq),
    "get account http://jabber.org/protocol/pubsub#owner": (iq, ctx) => answerIq(engineOf(ctx), iq),
    "set account http://jabber.org/protocol/pubsub#owner": (iq, ctx) => answerIq(engineOf(ctx), iq),
  },
  hooks: {
    user_send_message: { at: 45, type: ["", "normal"], child: "x", ns: NS_DATA, run: answered },

    disco_sm_identity: { at: 75, run: (acc, params, ctx) => identities(engineOf(ctx), acc, params) },
    disco_sm_features: {
      at: 75,
      run: (acc, params, ctx) => features(engineOf(ctx), acc, params, ctx.host.modules.has("mod_caps")),
    },
    disco_sm_items: { at: 75, run: (acc, params, ctx) => items(engineOf(ctx), acc, params) },
    disco_sm_info: { at: 75, run: (acc, params, ctx) => forms(engineOf(ctx), acc, params) },

    caps_recognised: ({ session, features: known }, ctx) => clientKnown(engineOf(ctx), ctx, session, known),
    unset_presence: ({ session }, ctx) => {
      clientGone(session);
      const { bare } = session.jid;
      if (!ctx.server.sessionsOf(bare).some((s) => s.available)) return publisherGone(engineOf(ctx), bare);
    },
    roster_subscription_changed: async ({ user, contact, before, after }, ctx) => {
      if (hasFrom(after) && !hasFrom(before)) await contactAdmitted(engineOf(ctx), ctx, user, contact.bare);
    },

    // After the rows have gone, which the core sees to at 60.
    remove_user: { at: 70, run: (_params, ctx) => engineOf(ctx).nodes.clear() },
    remove_domain: { at: 70, run: (_params, ctx) => engineOf(ctx).nodes.clear() },
    anonymous_purge: ({ jid }, ctx) => forget(jid, ctx),
  },
});
