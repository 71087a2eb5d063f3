// XEP-0160 Offline Messages: what nobody can take now is stored, and goes out when its addressee becomes available.
// A message is taken over only when the database has committed it, and deleted only after it was handed to a session and
// has left this process's memory: an end of either between the two delivers it twice, never not at all.

import { z } from "zod";
import { accessRule, enumOf, own, positiveOrInfinity } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import { storable } from "../../core/hints.ts";
import { STOP } from "../../core/hooks.ts";
import { type BareJid, isFull, tryParseJid } from "../../core/jid.ts";
import { defineModule, type ModuleContext, type Server, type Session } from "../../core/module.ts";
import { NS_DELAY } from "../../core/ns.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import { Pace } from "../../core/pace.ts";
import type { Stanza } from "../../core/stanza.ts";
import { viewText } from "../../core/xml/framer.ts";
import { escapeXml } from "../../core/xml/markup.ts";
import { stanzaText } from "../../core/xml/stanza-text.ts";
import { keepsUnacknowledged } from "./endings.ts";
import { operations } from "./operations.ts";
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
/** Messages that are read, delivered and deleted at a time. */
const PAGE = 200;
/** Characters of a sender's address that its column holds. One with a longer resource is read from the message. */
const MAX_JID = 250;
/** How often it is looked whether a client has taken what it was given, in ms. */
const LOOK_MS = 25;

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

/** Stores a message, and stops it when it is safe. Throws a StanzaError, which the sender is told. */
async function keep(stanza: Stanza, ctx: Context): Promise<typeof STOP | undefined> {
  // A carbon copy whose session is gone: the message itself was delivered.
  if (stanza.copy) return STOP;
  if (!storable(stanza)) return;
  const { hooks } = ctx.host;
  const older = stanza.revived ? undefined : ctx.store.endings.older(stanza.to.bare);
  if (older !== undefined) await older;
  try {
    await write(stanza, ctx);
  } catch (error) {
    await hooks.notify("amp_event", { stanza, event: "storage_failed" });
    throw error;
  }
  if (hooks.has("amp_event")) await hooks.notify("amp_event", { stanza, event: "stored" });
  // The user may have come back while the message was on its way to the disk.
  const back = ctx.server.sessionsOf(stanza.to.bare).find((s) => s.available && s.priority >= 0 && !s.detached);
  try {
    if (back) await deliver(back, ctx);
  } catch (error) {
    // It is stored: its sender has nothing to do about it.
    ctx.log.limited("deliver", 10)?.error("offline_delivery_failed", { error, user: back?.jid.bare.text });
  }
  return STOP;
}

/** Throws a StanzaError when it cannot. */
async function write(stanza: Stanza, ctx: Context): Promise<void> {
  const { store, config, host } = ctx;
  const to = stanza.to.bare;
  const said = host.access.match(config.access_max_user_messages, to, to.domain);
  const limit = typeof said === "number" ? said : said === "infinity" ? Infinity : config.max_user_messages;
  const bounded = limit !== Infinity;
  if (bounded && !(await store.quota.take(to, limit))) {
    // As MongooseIM has it: there will be room again. XEP-0160 §2 has service-unavailable.
    throw new StanzaError("resource-constraint", "No more messages can be stored for this user");
  }
  const delayed = takeOwnDelay(stanza, to.domain);
  const expire = expiry(stanza, delayed ?? ctx.now() * 1000);
  // Not of a clock that is behind: once that is right, [retention] would take what has just come for old.
  const timestamp = delayed ?? ctx.server.tick();
  const packet = stanzaText(stanza, stanza.toText === undefined ? stanza.to : undefined);
  let stored = false;
  try {
    const { text, bare } = stanza.from;
    const from = text.length > MAX_JID ? bare.text : text;
    await store.writeMessages(to, { timestamp, expire, from, packet });
    stored = true;
  } catch (error) {
    ctx.log.limited("write", 10)?.error("offline_write_failed", { error, user: to.text });
    throw new StanzaError("internal-server-error", "The message could not be stored");
  } finally {
    if (bounded) store.quota.done(to, stored);
  }
}

/** Gives a session what waits for its account; a second session of the account waits until the first has its share. */
async function deliver(session: Session, ctx: Context): Promise<void> {
  const { delivering } = ctx.store;
  const key = session.jid.bare.text;
  const mine = (delivering.get(key) ?? Promise.resolve()).then(() => pages(session, ctx));
  const settled = mine.catch(() => {});
  delivering.set(key, settled);
  await mine.finally(() => {
    if (delivering.get(key) === settled) delivering.delete(key);
  });
}

async function pages(session: Session, { store, server, now, log, host }: Context): Promise<void> {
  const { hooks } = host;
  const account = session.jid.bare;
  const pace = new Pace();
  for (let after: number | bigint = 0; ; ) {
    const messages = await store.popMessages(account, after, PAGE);
    const gone: (number | bigint)[] = [];
    const given: (number | bigint)[] = [];
    const wanted = hooks.has("filter_offline_messages")
      ? new Set(await hooks.fold("filter_offline_messages", messages, { session }))
      : undefined;
    for (const message of messages) {
      if (server.session(session.jid) !== session) break;
      after = message.id;
      const dropped =
        (message.expire !== undefined && message.expire <= now() * 1000) || wanted?.has(message) === false;
      const stanza = dropped ? undefined : revive(message, account);
      if (stanza) {
        await (session.replay ? session.replay(stanza) : session.receive(stanza));
        // What meets a session that has ended goes another way.
        (server.session(session.jid) === session ? given : gone).push(message.id);
        await pace.sent(message.packet.length);
      } else if (dropped) gone.push(message.id);
      else log.warning("offline_message_unreadable", { user: account.text, id: String(message.id) });
    }
    if (given.length > 0 && (await taken(session, server))) gone.push(...given);
    await store.delete(account, gone);
    if (messages.length < PAGE || server.session(session.jid) !== session) return;
  }
}

/**
 * Waits until what a client was given is no more in this process's memory alone; false when it may have gone with its
 * session, and is to be given again: a client that manages its stream (XEP-0198) leaves what it has not acknowledged.
 */
async function taken(session: Session, server: Server): Promise<boolean> {
  const there = (): boolean => server.session(session.jid) === session;
  // What is written goes out at the end of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  while (session.unread > 0 && there()) await Bun.sleep(LOOK_MS);
  return there() || keepsUnacknowledged(session);
}

/** A stored message as a stanza again, with the time it was stored (XEP-0203); undefined when it cannot be read. */
function revive(message: Waiting, account: BareJid): Stanza | undefined {
  const from = tryParseJid(message.from);
  if (!from) return;
  try {
    const stanza = viewText(message.packet);
    const whole = isFull(from) ? undefined : tryParseJid(stanza.fromText ?? "");
    stanza.from = whole?.bare.text === from.text ? whole : from;
    stanza.to = account;
    const stamp = printDateTime(message.timestamp);
    const by = escapeXml(account.domain);
    stanza.appended = `<delay from='${by}' stamp='${stamp}' xmlns='${NS_DELAY}'>Offline Storage</delay>`;
    return stanza;
  } catch {
    return;
  }
}
