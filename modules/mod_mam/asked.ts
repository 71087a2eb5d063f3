// The asking side of the archives of users: what requests, operations and Bind 2 are given of them.

import { StanzaError } from "../../core/errors.ts";
import type { HookHandlers } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Iq, IqKey, IqReply, MaybePromise } from "../../core/module.ts";
import type { ArchiveBackend } from "./backend.ts";
import type { PmConfig } from "./config.ts";
import type { Context } from "./context.ts";
import { isContact } from "./prefs/contacts.ts";
import { PreferenceStore, Preferences } from "./prefs/index.ts";
import { bind2Hooks } from "./query/bind2.ts";
import { discoHooks } from "./query/disco.ts";
import { type AskedArchive, answer, NAMESPACES, Shapers } from "./query/index.ts";
import { words } from "./search/normalise.ts";

/** Preferences of users, undefined where they may not have any. Throws for a store that is not built. */
export function preferencesOf(ctx: Context, { user_prefs_store, max_prefs_jids }: PmConfig): Preferences | undefined {
  if (user_prefs_store === undefined) return undefined;
  if (user_prefs_store === "cassandra") {
    throw new Error('Cannot start modules.mod_mam: user_prefs_store "cassandra" is not in this build; use "rdbms"');
  }
  const { host, server, store } = ctx;
  return new Preferences(
    new PreferenceStore(store.db),
    (owner, contact) => isContact(host, server, owner, contact),
    max_prefs_jids,
    () => server.steady(),
  );
}

/** The archives of users, as they are asked. */
export function askedArchive(
  ctx: Context,
  config: PmConfig,
  backend: ArchiveBackend,
  prefs: Preferences | undefined,
): AskedArchive {
  const { host, server, metrics, log } = ctx;
  return {
    backend,
    prefs,
    words: config.full_text_search && backend.searches ? words : undefined,
    limits: {
      default: config.default_result_limit,
      most: config.max_result_limit,
      simple: config.enforce_simple_queries,
    },
    mayAsk: (from, owner) => from.bare.text === owner.text,
    access: host.access,
    shapers: new Shapers("mam", host.access, server),
    counters: {
      lookup: metrics.mod_mam_pm_lookup_count,
      simple: metrics.mod_mam_pm_lookup_simple,
      size: metrics.mod_mam_pm_lookup_size,
      time: metrics.mod_mam_pm_lookup_time,
      getPrefs: metrics.mod_mam_pm_get_prefs_count,
      setPrefs: metrics.mod_mam_pm_set_prefs_count,
      droppedIq: metrics.mod_mam_pm_dropped_iq_count,
    },
    server,
    failed: (error: unknown, { text }: BareJid) =>
      log.limited("lookup", 10)?.error("archive_lookup_failed", { error, user: text }),
  };
}

function request(iq: Iq, { store }: Context): MaybePromise<IqReply> {
  if (store.pm === undefined) throw new StanzaError("service-unavailable");
  return answer(iq, store.pm.asked);
}

/** For one's own archive; that of another is answered with an error. */
export const requests: { [key: IqKey]: (iq: Iq, ctx: Context) => MaybePromise<IqReply> } = Object.fromEntries(
  NAMESPACES.flatMap((ns) => [
    [`get account ${ns}`, request],
    [`set account ${ns}`, request],
  ]),
);

export const askedHooks: HookHandlers<Context> = {
  remove_user: (_, { store, metrics }) => {
    if (store.pm !== undefined) metrics.mod_mam_pm_remove_archive_count.add();
  },
  ...discoHooks<Context>(({ store: { pm } }) =>
    pm === undefined
      ? undefined
      : {
          searches: pm.asked.words !== undefined,
          tombstones: pm.config.message_retraction,
          groupchats: pm.config.archive_groupchats ? "archived" : "understood",
        },
  ),
  ...bind2Hooks<Context>(({ store }) => store.pm?.asked),
};
