// The inbox (erlang-solutions.com:xmpp:inbox:0): a user's conversations with their last message, what he has not read,
// and the boxes that he keeps them in. A message is delivered when the inboxes of both ends are written; one that could
// not be written is delivered all the same, since the archive has it.

import type { BareJid } from "../../core/jid.ts";
import { defineModule } from "../../core/module.ts";
import { announceReturn } from "./announce.ts";
import { config, type InboxConfig, type InboxContext, metrics, NS_INBOX } from "./config.ts";
import * as conversation from "./conversation.ts";
import { operations } from "./operations.ts";
import * as query from "./query.ts";
import { toMembers } from "./rooms.ts";
import { InboxStore } from "./store.ts";
import { received, sent, TYPES } from "./watch.ts";

export type { InboxResult } from "./entry.ts";

const HOUR = 3_600_000;
const DAY = 86_400_000;
/** Milliseconds between two emptyings of the bin at least. */
const SHORTEST = 1000;

/** What stops the timer of the next emptying. */
const timers = new WeakMap<object, () => void>();

export default defineModule<InboxConfig, InboxStore, keyof typeof metrics>({
  name: "mod_inbox",
  xeps: [{ n: 333, version: "0.4.1" }],
  config,
  features: [NS_INBOX],
  store: (db) => new InboxStore(db),
  timed: {
    backends: ["rdbms", "rdbms_async"],
    in: (store) => store,
    calls: {
      get_inbox: "getInbox",
      set_inbox: "setInbox",
      set_inbox_incr_unread: "setInboxIncrUnread",
      reset_unread: "resetUnread",
      remove_inbox_row: "removeInboxRow",
      clear_inbox: "clearInbox",
      get_inbox_unread: "getInboxUnread",
      get_full_entry: "getFullEntry",
      get_entry_properties: "getEntryProperties",
      set_entry_properties: "setEntryProperties",
      remove_domain: "removeDomain",
    },
  },
  metrics,
  retention: { inbox_bin: (store) => store.bin },
  iq: {
    "get own erlang-solutions.com:xmpp:inbox:0": query.get,
    "set own erlang-solutions.com:xmpp:inbox:0": query.set,
    "get own erlang-solutions.com:xmpp:inbox:0#conversation": conversation.get,
    "set own erlang-solutions.com:xmpp:inbox:0#conversation": conversation.set,
  },
  hooks: {
    // 70 and 90: after the archive, whose id the message then has
    user_send_message: { at: 70, type: TYPES, run: sent },
    filter_local_packet: { at: 90, type: TYPES, run: received },
    update_inbox_for_muc: { at: 90, run: toMembers },
    inbox_unread_count: { at: 80, run: (count, key, { store }) => count ?? unreadOf(store, key) },
  },
  operations,
  start(ctx) {
    const { store, config, log, metrics } = ctx;
    const { delete_domain_limit: limit } = config;
    store.deleteLimit = limit === Number.POSITIVE_INFINITY ? undefined : limit;
    store.bound(config.max_user_conversations, (error) =>
      log.limited("trim", 10)?.error("inbox_not_trimmed", { error }),
    );
    // Above all what MongooseIM has stored without a bound.
    store.events.trimmed = (user, entries) =>
      log.limited("trimmed", 10)?.warning("inbox_trimmed", { user: user.text, entries });
    store.events.unarchived = (key) => void announceReturn(key, ctx);
    store.events.failed = (error, entries) => log.limited("write", 10)?.error("inbox_write_failed", { error, entries });
    if (config.backend === "rdbms_async") {
      store.gather(config.async_writer.pool_size);
      store.events.requested = () => metrics.async_pool_request_count.add();
      store.events.flushing = (many) => (many ? metrics.async_pool_flush_batch : metrics.async_pool_flush_timed).add();
    }
    clean(ctx);
  },
  async stop(ctx) {
    timers.get(ctx)?.();
    timers.delete(ctx);
    await ctx.store.settled();
  },
});

const unreadOf = (store: InboxStore, { user, remote }: { user: BareJid; remote: BareJid }): Promise<number> =>
  store.getInboxUnread({ user, remote: remote.text });

/** Empties the bin of what has been there long enough, again and again. */
function clean(ctx: InboxContext): void {
  const { config, server } = ctx;
  const wait = Math.max(SHORTEST, config.bin_clean_after * HOUR);
  timers.set(
    ctx,
    server.after(wait, () => {
      void emptied(ctx).then(() => {
        // Unless it was stopped meanwhile.
        if (timers.has(ctx)) clean(ctx);
      });
    }),
  );
}

/** Domains of this host type only: others may have another time to live on the same database. */
async function emptied({ store, config, server, host, log, now }: InboxContext): Promise<void> {
  const before = (now() - config.bin_ttl * DAY) * 1000;
  try {
    for (const domain of await store.bin.domains(before)) {
      if (server.hostTypeOf(domain) === host) await store.bin.emptyOfDomain(domain, before);
    }
  } catch (error) {
    log.limited("clean", 10)?.error("inbox_bin_not_emptied", { error });
  }
}
