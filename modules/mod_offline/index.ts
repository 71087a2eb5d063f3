// XEP-0160 Offline Messages: what nobody can take now is stored, and goes out when its addressee becomes available.
// A message is taken over only when the database has committed it, and deleted only after it was handed to a session and
// has left this process's memory: an end of either between the two delivers it twice, never not at all.

import { z } from "zod";
import { accessRule, enumOf, own, positiveOrInfinity } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import { storable } from "../../core/hints.ts";
import { STOP } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { defineModule, type MaybePromise, type ModuleContext, type Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { stanzaText } from "../../core/xml/stanza-text.ts";
import { deliver } from "./deliver.ts";
import { operations } from "./operations.ts";
import type { Place } from "./quota.ts";
import { expiry, takeOwnDelay } from "./rules.ts";
import { OfflineStore, type Waiting } from "./store.ts";

export type { Waiting } from "./store.ts";

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** Stored messages that are about to go to a session: those that it has, or gets, from elsewhere are taken out. */
    filter_offline_messages: { acc: readonly Waiting[]; params: { session: Session } };
  }
}

const FEATURE = "msgoffline";
/** Characters of a sender's address that its column holds. One with a longer resource is read from the message. */
const MAX_JID = 250;
/**
 * How long what a sender says next waits, in ms, for a message of his that is stored and goes to a client that has come
 * back: it comes after it, but a client that reads slowly holds up nothing else of his for longer.
 */
const ORDER_MS = 1000;

const config = z.strictObject({
  backend: enumOf("mnesia", "rdbms").default("mnesia").describe("Where messages are kept"),
  access_max_user_messages: accessRule()
    .default("max_user_offline_messages")
    .describe("Rule that gives the number of messages that may wait for a user"),
  max_user_messages: own(positiveOrInfinity())
    .default(10_000)
    .describe("Messages that may wait for a user about whom that rule says nothing"),
  store_groupchat_messages: z.boolean().default(false).describe("Store messages of MUC Light rooms too"),
});
type Context = ModuleContext<z.output<typeof config>, OfflineStore>;

export default defineModule({
  name: "mod_offline",
  xeps: [
    { n: 160, version: "1.0.1" },
    { n: 203, version: "2.0" },
    { n: 23, version: "1.3" },
    { n: 334, version: "0.3.0" },
  ],
  config,
  features: [FEATURE],
  accountFeatures: [FEATURE],
  store: (db) => new OfflineStore(db),
  timed: {
    backends: ["mnesia", "rdbms"],
    in: (store) => store,
    calls: { pop_messages: "popMessages", write_messages: "writeMessages" },
  },
  retention: { offline: (store) => store },
  hooks: {
    offline_message: { type: ["chat", "", "normal"], run: keep },
    offline_groupchat_message: {
      type: "groupchat",
      run: (stanza, ctx) => (ctx.config.store_groupchat_messages ? keep(stanza, ctx) : undefined),
    },
    amp_determine_strategy: {
      at: 30,
      run: (strategy, { stanza, event }) => {
        if (event !== "initial" || !strategy.away || strategy.deliver.includes("stored") || stanza.type === "headline")
          return;
        if (!storable(stanza)) return;
        return { ...strategy, deliver: ["stored", ...strategy.deliver] };
      },
    },
    user_terminate: { at: 1, run: ({ session }, { store }) => store.endings.begins(session) },
    message_held: ({ session }, { store }) => store.endings.holds(session),
    resend_offline_messages: ({ session }, ctx) => (session.priority >= 0 ? deliver(session, ctx) : undefined),
  },
  operations,
});

/** Waits for work, for so long at most. It must not reject. */
function within(ms: number, work: Promise<void>, { server }: Context): Promise<void> {
  return new Promise((resolve) => {
    const cancel = server.after(ms, resolve);
    void work.then(() => {
      cancel();
      resolve();
    });
  });
}

/** Stores a message, and stops it. */
function keep(stanza: Stanza, ctx: Context): typeof STOP | undefined {
  // A carbon copy whose session is gone: the message itself was delivered.
  if (stanza.copy) return STOP;
  if (!storable(stanza)) return;
  stanza.store(
    admitted(stanza, ctx).then(
      () => stored(stanza, ctx),
      (error: unknown) => failed(stanza, error, ctx),
    ),
  );
  return STOP;
}

/** Stores it after what is older and what came before, if there is room for it. */
function admitted(stanza: Stanza, ctx: Context): Promise<void> {
  const { store } = ctx;
  const to = stanza.to.bare;
  // What a session that ends gives back is older than what waits for its end.
  const line = stanza.revived ? `${to.text} again` : to.text;
  const older = stanza.revived ? undefined : store.endings.older(to);
  const enter = (place: Place | undefined): Promise<void> =>
    place === undefined ? Promise.reject(full()) : write(stanza, place, ctx);
  if (older === undefined && !store.admitting.has(line)) {
    const place = placeFor(to, ctx);
    return place instanceof Promise ? store.admitting.take(line, () => place).then(enter) : enter(place);
  }
  return store.admitting
    .take(line, async () => {
      await older;
      return placeFor(to, ctx);
    })
    .then(enter);
}

/** A place for one more message, if a user may have it. */
function placeFor(user: BareJid, { store, config, host }: Context): MaybePromise<Place | undefined> {
  const said = host.access.match(config.access_max_user_messages, user, user.domain);
  const limit = typeof said === "number" ? said : said === "infinity" ? Infinity : config.max_user_messages;
  return store.quota.take(user, limit);
}

// As MongooseIM has it: there will be room again. XEP-0160 §2 has service-unavailable.
const full = (): StanzaError => new StanzaError("resource-constraint", "No more messages can be stored for this user");

async function write(stanza: Stanza, place: Place, { store, now, server }: Context): Promise<void> {
  const to = stanza.to.bare;
  const delayed = takeOwnDelay(stanza, to.domain);
  const expire = expiry(stanza, delayed ?? now() * 1000);
  // Not of a clock that is behind: once that is right, [retention] would take what has just come for old.
  const timestamp = delayed ?? server.tick();
  const packet = stanzaText(stanza, stanza.toText === undefined ? stanza.to : undefined);
  const { text, bare } = stanza.from;
  const from = text.length > MAX_JID ? bare.text : text;
  let stored = false;
  try {
    await store.writeMessages(to, { timestamp, expire, from, packet });
    stored = true;
  } finally {
    place(stored);
  }
}

async function stored(stanza: Stanza, ctx: Context): Promise<void> {
  const { hooks } = ctx.host;
  if (hooks.has("amp_event")) await hooks.notify("amp_event", { stanza, event: "stored" });
  // The user may have come back while the message was on its way to the disk.
  const back = ctx.server.sessionsOf(stanza.to.bare).find((s) => s.available && s.priority >= 0 && !s.detached);
  if (back) await within(ORDER_MS, deliver(back, ctx), ctx);
}

/** Throws the StanzaError that the sender is told. */
async function failed(stanza: Stanza, error: unknown, { host, log }: Context): Promise<never> {
  await host.hooks.notify("amp_event", { stanza, event: "storage_failed" });
  if (error instanceof StanzaError) throw error;
  log.limited("write", 10)?.error("offline_write_failed", { error, user: stanza.to.bare.text });
  throw new StanzaError("internal-server-error", "The message could not be stored");
}
