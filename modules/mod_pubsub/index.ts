// XEP-0163 Personal Eventing Protocol: publish-subscribe (XEP-0060) at the bare JID of every account. The protocol is
// that of modules/pubsub; what is personal about it is there in personal.ts, and in profile.ts.

import type { Element } from "@xmpp/xml";
import { type MaybePromise, STOP } from "../../core/hooks.ts";
import type { BareJid, Jid } from "../../core/jid.ts";
import { defineModule, type Iq, type Server, type Session } from "../../core/module.ts";
import { NS_DATA } from "../../core/ns.ts";
import type { Stanza } from "../../core/stanza.ts";
import { hasFrom } from "../mod_roster/index.ts";
import { answer as answerRequest } from "../pubsub/answer.ts";
import { forms } from "../pubsub/discovery.ts";
import { type Answer, type Asker, type Profile, PubsubEngine } from "../pubsub/engine.ts";
import { processAuthorization } from "../pubsub/manage.ts";
import type { PubsubNode } from "../pubsub/model.ts";
import { publisherGone } from "../pubsub/offline.ts";
import { clientGone, clientKnown, contactAdmitted, type Personal } from "../pubsub/personal.ts";
import { parseRequest } from "../pubsub/request.ts";
import { Avatars, forgetHash, NS_METADATA, stampPresence } from "./avatars.ts";
import { type Config, config } from "./config.ts";
import { features, identities, items } from "./disco.ts";
import { NS_DISPLAYED, publishDisplayed } from "./displayed.ts";
import { defaultsOf, limitsOf, type Pep, type PepContext, pepProfile, personalParts } from "./profile.ts";
import { PepStore } from "./store.ts";
import { isBookmarks, Unifier } from "./unify.ts";

interface Running {
  readonly engine: Pep;
  readonly avatars: Avatars;
  readonly bookmarks: Unifier;
}

/** What runs for each host type, and for all of a server. */
const running = new WeakMap<PepContext, Running>();
const onServer = new WeakMap<Server, Set<Pep>>();

function runningOf(ctx: PepContext): Running {
  let known = running.get(ctx);
  if (known === undefined) {
    ctx.store.defaults = defaultsOf(ctx, limitsOf(ctx));
    const profile: Profile = {
      ...pepProfile(ctx),
      published: (node, { publisher }, payload) => published(ctx, node, publisher, payload),
      retracted: (node) => changed(ctx, node),
      purged: (node) => changed(ctx, node),
      // Not waited for: the node is held while it is deleted.
      removed: (node) => {
        const done = changed(ctx, node);
        if (done !== undefined) void ctx.server.underWay.add(done);
      },
    };
    const engine = new PubsubEngine(ctx.store, profile, ctx.host, ctx.server, ctx.log);
    known = { engine, avatars: new Avatars(engine, ctx), bookmarks: new Unifier(engine, ctx) };
    running.set(ctx, known);
    const others = onServer.get(ctx.server) ?? new Set();
    onServer.set(ctx.server, others.add(engine));
  }
  return known;
}

const engineOf = (ctx: PepContext): Pep => runningOf(ctx).engine;
const personalOf = (ctx: PepContext): Personal => ({ engine: engineOf(ctx), parts: personalParts(ctx) });

/** What is kept in other forms too is copied there. */
function published(ctx: PepContext, node: PubsubNode, by: Jid, payload: Element | undefined): MaybePromise<void> {
  if (node.name !== NS_METADATA) return changed(ctx, node);
  if (payload !== undefined && by.bare.text === node.service.text)
    return runningOf(ctx).avatars.published(node.service);
}

function changed(ctx: PepContext, node: PubsubNode): MaybePromise<void> {
  if (isBookmarks(node.name)) return runningOf(ctx).bookmarks.changed(node);
}

function answer(iq: Iq, ctx: PepContext): Answer {
  const { engine, bookmarks } = runningOf(ctx);
  const asker: Asker = { service: iq.to.bare, from: iq.from, session: iq.session };
  const request = parseRequest(iq.type, iq.payload);
  if (!("node" in request) || !isBookmarks(request.node) || iq.from.bare.text !== iq.to.text) {
    return answerRequest(engine, asker, request);
  }
  return bookmarks.prepare(iq.to.bare).then(() => answerRequest(engine, asker, request));
}

/** A session's owner has answered a request for a subscription (XEP-0060 §8.6), in a message to himself. */
function answered(message: Stanza, session: Session, ctx: PepContext): Promise<typeof STOP | undefined> | undefined {
  const { bare } = session.jid;
  if (message.to.text !== bare.text) return undefined;
  const asker = { service: bare, from: session.jid, session };
  return processAuthorization(engineOf(ctx), asker, message).then((done) => (done ? STOP : undefined));
}

/** Rows of many nodes are gone, of other host types' accounts too: what is in memory of them is asked for anew. */
function forgetAll({ server }: PepContext): void {
  for (const { nodes } of onServer.get(server) ?? []) nodes.clear();
}

function stop(ctx: PepContext): void {
  onServer.get(ctx.server)?.delete(engineOf(ctx));
  running.delete(ctx);
}

/** An anonymous user is gone, with all that was kept of him. */
async function forget(jid: BareJid, ctx: PepContext): Promise<void> {
  await ctx.store.removeUser(jid);
  forgetAll(ctx);
}

export default defineModule<Config, PepStore>({
  name: "mod_pubsub",
  xeps: [
    { n: 60, version: "1.25.0" },
    { n: 163, version: "1.2.2" },
    { n: 223, version: "1.1.1" },
    { n: 398, version: "1.0.0" },
    { n: 402, version: "1.2.0" },
    { n: 411, version: "1.1.0" },
    { n: 490, version: "1.0.1" },
  ],
  config,
  uses: ["mod_caps", "mod_private", "mod_roster", "mod_vcard"],
  store: (db) => new PepStore(db),
  timed: {
    as: "mod_pubsub_backend",
    backends: ["rdbms"],
    in: (store) => store,
    calls: {
      set_node: ["create", "configure"],
      delete_node: "remove",
      remove_user: "removeUser",
      remove_domain: "removeDomain",
      set_subscription: "putSubscription",
      delete_subscription: "dropSubscriptions",
      set_item: "publish",
      delete_item: "retract",
    },
  },
  start: (ctx) => void runningOf(ctx),
  stop,
  iq: {
    "get account http://jabber.org/protocol/pubsub": answer,
    "set account http://jabber.org/protocol/pubsub": answer,
    "get account http://jabber.org/protocol/pubsub#owner": answer,
    "set account http://jabber.org/protocol/pubsub#owner": answer,
  },
  hooks: {
    // 40: before the presence goes anywhere (mod_presence: 50)
    // "available" is no type, but mod_presence takes it
    user_send_presence: { at: 40, type: ["", "available"], run: stampPresence },
    vcard_set: ({ jid, derived }, ctx) => (derived ? undefined : runningOf(ctx).avatars.vcardSet(jid)),
    private_stored: ({ jid, namespaces }, ctx) => {
      if (namespaces.some(isBookmarks)) return runningOf(ctx).bookmarks.privateStored(jid);
    },
    user_send_message: [
      // 20: before anybody keeps or copies the message
      {
        at: 20,
        child: "displayed",
        ns: NS_DISPLAYED,
        run: (message, session, ctx) => publishDisplayed(engineOf(ctx), ctx, message, session),
      },
      { at: 45, type: ["", "normal"], child: "x", ns: NS_DATA, run: answered },
    ],

    disco_sm_identity: { at: 75, run: (acc, params, ctx) => identities(engineOf(ctx), acc, params) },
    disco_sm_features: {
      at: 75,
      run: (acc, params, ctx) => features(engineOf(ctx), acc, params, ctx.host.modules),
    },
    disco_sm_items: { at: 75, run: (acc, params, ctx) => items(engineOf(ctx), acc, params) },
    disco_sm_info: { at: 75, run: (acc, params, ctx) => forms(engineOf(ctx), acc, params) },

    caps_recognised: ({ session, features: known }, ctx) =>
      clientKnown(personalOf(ctx), session, known, ({ modules }) => {
        const there = modules.get("mod_pubsub")?.ctx as PepContext | undefined;
        return there && personalOf(there);
      }),
    unset_presence: ({ session }, ctx) => {
      clientGone(session);
      forgetHash(session);
      const { bare } = session.jid;
      if (!ctx.server.sessionsOf(bare).some((s) => s.available)) return publisherGone(engineOf(ctx), bare);
    },
    roster_subscription_changed: async ({ user, contact, before, after }, ctx) => {
      if (hasFrom(after) && !hasFrom(before))
        await contactAdmitted(engineOf(ctx), personalParts(ctx), user, contact.bare);
    },

    // After the rows have gone, which the core sees to at 60.
    remove_user: { at: 70, run: (_params, ctx) => forgetAll(ctx) },
    remove_domain: { at: 70, run: (_params, ctx) => forgetAll(ctx) },
    stranger_removed: (_params, ctx) => forgetAll(ctx),
    anonymous_purge: ({ jid }, ctx) => forget(jid, ctx),
  },
});
