// Users whom an administrator keeps out: their sessions end, and none of theirs is opened.

import { z } from "zod";
import { enumOf } from "../../core/config/types.ts";
import { StanzaError, StreamError } from "../../core/errors.ts";
import { defineModule, type ModuleContext, type Session } from "../../core/module.ts";
import { operations } from "./operations.ts";
import { BlocklistStore } from "./store.ts";

const config = z.strictObject({
  backend: enumOf("rdbms").default("rdbms").describe("Where it is kept who may not log in"),
});

export type BlocklistContext = ModuleContext<z.output<typeof config>, BlocklistStore, "mod_blocklist_denied_count">;

/** The database decides: another server on it may have let the user go. */
async function endIfBlocked(session: Session, store: BlocklistStore): Promise<void> {
  if (!(await store.isBlocked(session.jid.bare))) return;
  session.close(new StreamError("conflict", "Kicked by administrator"), "kicked");
}

export default defineModule({
  name: "mod_blocklist",
  xeps: [],
  config,
  store: (db) => new BlocklistStore(db),
  timed: { backends: ["rdbms"], in: (store) => store, calls: { upsert_block: "block", remove_block: "unblock" } },
  metrics: {
    mod_blocklist_denied_count: { kind: "counter", help: "Sessions refused since their users may not log in" },
  },
  hooks: {
    session_opening_allowed_for_user: async (allowed, { jid }, { store, metrics, log }) => {
      if (!allowed) return;
      const blocked = await store.isBlocked(jid.bare).catch((error: unknown) => {
        // Who cannot be told from those who are kept out does not come in.
        log.limited("read", 10)?.error("blocklist_unreadable", { error, user: jid.bare.text });
        throw new StanzaError("internal-server-error");
      });
      if (!blocked) return;
      metrics.mod_blocklist_denied_count.add();
      return false;
    },
    // Who is kept out stays so, also one whose account ends with his session.
    anonymous_purge: () => undefined,
    // The user was blocked between the question above and the session's beginning.
    sm_register_connection: ({ session }, { store }) =>
      store.wasJustBlocked(session.jid.bare) ? endIfBlocked(session, store) : undefined,
  },
  operations,
});
