// Rosters (RFC 6121 §2) and presence subscriptions (§3).

import { StanzaError } from "../../core/errors.ts";
import { type ContactInfo, type MaybePromise, STOP, type Stop, type SubscriptionLists } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { defineModule, type Iq, type Session } from "../../core/module.ts";
import { NS_ROSTER_VER } from "../../core/ns.ts";
import { logOf } from "../../core/storage/away.ts";
import { Markup, xml } from "../../core/xml/markup.ts";
import { config, metrics, type RosterContext, rosterOf } from "./context.ts";
import { askOf, isHidden, itemXml, queryXml, type RosterItem, subscriptionOf } from "./item.ts";
import { leaving } from "./leaving.ts";
import { operations } from "./operations.ts";
import { hashVersion, newVersion, showInterest } from "./push.ts";
import { Rosters, type Summary } from "./roster.ts";
import { setFromIq } from "./set.ts";
import { RosterStore } from "./store.ts";
import { clientSent, deliverRequests, incoming } from "./subscribe.ts";
import { hasFrom, SUBSCRIPTION_TYPES, type SubscriptionType } from "./subscription.ts";

const VERSION_FEATURE = xml`<ver xmlns='${NS_ROSTER_VER}'/>`;
const EMPTY_ROSTER = new Markup(queryXml("", undefined));
const FAILED = "subscription_failed";

/** RFC 6121 §2.1.3, §2.6.2. */
function get(iq: Iq, ctx: RosterContext): MaybePromise<Markup | undefined> {
  showInterest(iq.session);
  ctx.metrics.mod_roster_get_count.add();
  const user = iq.to.bare;
  if (ctx.config.versioning) {
    const known = iq.stanza.kidAttr(0, "ver");
    if (known !== undefined) return versioned(ctx, user, known);
  }
  const items = ctx.store.items(ctx.server, user);
  return items instanceof Promise ? items.then(result) : result(items);
}

function result(items: readonly RosterItem[], ver?: string): Markup {
  if (items.length === 0 && ver === undefined) return EMPTY_ROSTER;
  let out = "";
  for (const item of items) if (!isHidden(item)) out += itemXml(item);
  return new Markup(queryXml(out, ver));
}

/** Nothing when the client has this version already, else the whole roster. */
async function versioned(ctx: RosterContext, user: BareJid, known: string): Promise<Markup | undefined> {
  const { store, server, config } = ctx;
  if (!config.store_current_id) {
    const items = await store.items(server, user);
    const version = hashVersion(items);
    return version === known ? undefined : result(items, version);
  }
  let version = await store.store.version(user);
  if (version === undefined) {
    version = newVersion(ctx)!;
    await store.store.setVersion(user, version);
  } else if (version === known) return undefined;
  return result(await store.items(server, user), version);
}

const lists = (acc: SubscriptionLists, { from, to }: Summary): SubscriptionLists =>
  acc.from.length === 0 && acc.to.length === 0 ? { from, to } : { from: join(acc.from, from), to: join(acc.to, to) };

const join = (a: readonly string[], b: readonly string[]): readonly string[] => [...new Set([...a, ...b])];

const infoOf = ({ name, groups, state }: RosterItem): ContactInfo => ({
  subscription: subscriptionOf(state),
  ask: askOf(state),
  groups,
  name,
  listed: true,
});

/** What a roster says of all its contacts, by their JIDs as text; one query at most. */
export async function contactsOf({ store, server }: RosterContext, user: BareJid): Promise<Map<string, ContactInfo>> {
  const items = await store.items(server, user);
  return new Map(items.filter((item) => !isHidden(item)).map((item) => [item.jid, infoOf(item)]));
}

/** A user's roster as a client would get it, for features that show it to somebody else. */
export async function rosterMarkup({ store, server }: RosterContext, user: BareJid): Promise<Markup> {
  return result(await store.items(server, user), undefined);
}

export { acceptUnasked, makeMutual } from "./invited.ts";
export type { RosterContext };
export { deliverRequests, hasFrom, rosterOf };

declare module "../../core/operations.ts" {
  interface ModuleInstances {
    mod_roster: RosterContext;
  }
}

export default defineModule({
  name: "mod_roster",
  xeps: [{ n: 237, version: "1.3" }],
  config,
  metrics,
  store: (db) => new Rosters(new RosterStore(db)),
  timed: {
    backends: ["mnesia", "rdbms"],
    in: (store) => store,
    calls: {
      get_roster: "items",
      get_roster_entry: "item",
      get_subscription_lists: "summary",
      update_roster_t: "store.write",
      del_roster_t: "store.delete",
      read_roster_version: "store.version",
      write_roster_version: "store.setVersion",
    },
  },
  start(ctx) {
    ctx.store.maxItems = ctx.config.max_items;
    ctx.store.leave = leaving(ctx);
  },
  iq: {
    "get own jabber:iq:roster": get,
    "set own jabber:iq:roster": setFromIq,
  },
  hooks: {
    c2s_stream_features: (acc, { authenticated }, ctx) => {
      if (authenticated && ctx.config.versioning) acc.push(VERSION_FEATURE);
    },

    // Before mod_presence, which leaves these to us.
    user_send_presence: {
      at: 45,
      type: SUBSCRIPTION_TYPES,
      run: async (stanza, session, ctx): Promise<Stop> => {
        try {
          await clientSent(ctx, stanza, session);
        } catch (error) {
          if (error instanceof StanzaError) throw error;
          const { type } = stanza;
          logOf(ctx.log, FAILED, error)?.error(FAILED, { error, from: session.jid.text, type });
          throw new StanzaError("internal-server-error");
        }
        return STOP;
      },
    },
    account_presence: {
      at: 45,
      type: SUBSCRIPTION_TYPES,
      run: async (stanza, ctx): Promise<Stop> => {
        try {
          await incoming(ctx, stanza, stanza.type as SubscriptionType);
        } catch (error) {
          // What the roster does not know of is not shown. A full roster is nothing that strangers need to know.
          if (!(error instanceof StanzaError))
            logOf(ctx.log, FAILED, error)?.error(FAILED, { error, to: stanza.to.text });
        }
        return STOP;
      },
    },

    roster_get_subscription_lists: (acc, { jid }, { store, server }) => {
      const summary = store.summary(server, jid);
      return summary instanceof Promise ? summary.then((s) => lists(acc, s)) : lists(acc, summary);
    },
    roster_get_jid_info: async (acc, { jid, contact }, { store }) => {
      const item = await store.item(jid, contact.text);
      // A copy: who asks can tell an unknown contact from a roster that could not be read.
      return item === undefined || isHidden(item) ? { ...acc } : infoOf(item);
    },

    sm_remove_connection: ({ session }, ctx) => forgetIfGone(session, ctx),
  },
  operations,
});

function forgetIfGone(session: Session, { server, store }: RosterContext): void {
  if (server.sessionsOf(session.jid.bare).length === 0) store.forget(session.jid.bare);
}
