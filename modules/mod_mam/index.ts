// XEP-0313 Message Archive Management: what accounts send and are sent is kept, and given back on request.
// pm.ts writes; backend.ts says what an archive is; sql/ is the archive on SQLite, PostgreSQL and MySQL.

import { idsAt } from "../../core/message-id.ts";
import { defineModule, type Retained } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { askedArchive, askedHooks, preferencesOf, requests } from "./asked.ts";
import type { Archived } from "./backend.ts";
import { config, pmConfig } from "./config.ts";
import type { Context } from "./context.ts";
import { metrics } from "./metrics.ts";
import { operations } from "./operations.ts";
import { hooks, PmRecorder } from "./pm.ts";
import { Retractions } from "./retraction.ts";
import { searchedText } from "./search/normalise.ts";
import { openSearch } from "./search/open.ts";
import { MamStore } from "./store.ts";

export default defineModule({
  name: "mod_mam",
  xeps: [
    { n: 313, version: "1.1.3" },
    { n: 59, version: "1.0" },
    { n: 441, version: "0.2.0" },
    { n: 359, version: "0.7.0" },
    { n: 334, version: "0.4.0" },
    { n: 422, version: "0.2.0" },
    { n: 424, version: "0.4.2" },
    { n: 431, version: "0.2.0" },
  ],
  config,
  parts: ({ pm }) => (pm === undefined ? [] : ["mod_mam_pm"]),
  store: (db) => new MamStore(db),
  retention: { archive: aged },
  metrics,
  iq: requests,
  hooks: { ...hooks, ...askedHooks },
  operations,
  start: open,
});

/** What [retention] bounds: messages by the time in their ids. */
function aged(store: MamStore): Retained {
  const below = (before: number): bigint => idsAt(before * 1000).lowest;
  return {
    async *deleteBefore(domain, before, limit) {
      if (store.pm !== undefined) yield* store.pm.backend.deleteBefore(domain, below(before), limit);
    },
    countBefore: async (domain, before) => (await store.pm?.backend.countBefore(domain, below(before))) ?? 0,
  };
}

/** Opens the archives of the host type's users, when there are to be any. */
function open(ctx: Context): void {
  const { store, log, metrics: counted } = ctx;
  const pm = pmConfig(ctx.config);
  if (pm === undefined) {
    log.warning("archive_not_configured", { advice: "messages are archived with [modules.mod_mam.pm]" });
    return;
  }
  if (pm.backend !== "rdbms") {
    throw new Error(`Cannot start modules.mod_mam: backend "${pm.backend}" is not in this build; use "rdbms"`);
  }
  const search = openSearch(ctx, pm);
  const built = store.sql(
    pm,
    {
      flushed(messages, ms) {
        counted.mod_mam_pm_archive_message_time.add(Math.round(ms * 1000));
        // Without a pool of writers there are no batches.
        if (!pm.async_writer.enabled) return;
        counted.mod_mam_pm_flushed_count.add(messages);
        counted.mod_mam_pm_flushed_time.add(Math.round(ms * 1000));
        counted.mod_mam_pm_flushed_time_per_message.add(Math.round((ms * 1000) / messages));
        (messages >= pm.async_writer.batch_size
          ? counted.async_pool_flush_batch
          : counted.async_pool_flush_timed
        ).add();
      },
      dropped(messages, error) {
        counted.mod_mam_pm_dropped_count.add(messages);
        log.limited("write", 10)?.error("archive_write_failed", { messages, error });
      },
      unfit(owner, id) {
        counted.mod_mam_pm_dropped_count.add();
        log
          .limited("unfit", 10)
          ?.warning("archive_address_too_long", { user: `${owner.local}@${owner.domain}`, id: String(id) });
      },
      unreadable(owner, id, error) {
        log
          .limited("unreadable", 10)
          ?.error("archived_message_unreadable", { user: `${owner.local}@${owner.domain}`, id: String(id), error });
      },
    },
    () => ctx.now(),
    search,
    () => ctx.server.steady(),
  );
  const retractions = pm.message_retraction ? new Retractions(built.sql) : undefined;
  const archive = {
    config: pm,
    backend: built.sql,
    sql: built.sql,
    writer: built.writer,
    prefs: preferencesOf(ctx, pm),
    searchBody: search === undefined ? () => "" : searchedText,
    afterwards:
      retractions &&
      ((stanza: Stanza, message: Archived, written: Promise<void>) =>
        retractions.after(stanza, message, written, ctx.now())),
  };
  const asked = askedArchive(ctx, pm, built.sql, archive.prefs);
  store.opened({ ...archive, recorder: new PmRecorder(ctx, archive), asked }, built.owners, pm);
}
