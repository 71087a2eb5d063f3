// The searches of a running archive: which way the options say, and the index, made and filled aside from everything.

import type { ArchiveConfig } from "../config.ts";
import type { Context } from "../context.ts";
import { type SearchForm, searchForm } from "./form.ts";
import { type ArchiveTable, USERS } from "./word-index.ts";

/** How an archive is searched; undefined where it is not. */
export function openSearch(
  ctx: Context,
  { full_text_search, search_index }: ArchiveConfig,
  at: ArchiveTable = USERS,
): SearchForm | undefined {
  if (!full_text_search) return undefined;
  const { store, server, host, log } = ctx;
  const form = searchForm(store.db, search_index, at);
  const running = () => host.modules.get("mod_mam")?.ctx === ctx;
  // Not waited for: of a large archive it takes hours, and searches are right from the start.
  server.after(0, () => {
    if (!running()) return;
    void form.prepare({
      running,
      pause: (ms) => new Promise((resolve) => void server.after(ms, resolve)),
      failed: (error) => {
        if (running()) log.warning("search_index_failed", { table: at.table, error });
      },
    });
  });
  return form;
}
