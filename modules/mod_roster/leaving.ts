// Accounts that are removed have no subscriptions any more: whoever gets a name later is not shown the presence of its
// former owner's contacts, nor what they show to who may see it.

import { type BareJid, parseJid } from "../../core/jid.ts";
import { pause } from "../../core/storage/batches.ts";
import type { RosterContext } from "./context.ts";
import type { Leaving } from "./roster.ts";
import type { Outside } from "./store.ts";
import { announce, leaveContact } from "./subscribe.ts";

/** Does all of some work, and rejects in the end when a part of it failed. */
async function all<T>(parts: readonly T[], work: (part: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const part of parts) await work(part).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Before what is kept of an account, or of a domain's, is deleted: a removal that is tried again needs it. */
export const leaving = (ctx: RosterContext): Leaving => ({
  async user(user: BareJid) {
    await all(await ctx.store.items(ctx.server, user), async (item) => {
      await leaveContact(ctx, user, item);
      await announce(ctx, user, parseJid(item.jid), { before: item, after: undefined });
    });
  },

  /** Contacts in the same domain go with it. */
  async domain(domain, deleted) {
    let begun = performance.now();
    for await (const items of ctx.store.store.outside(domain)) {
      await all<Outside>(items, (item) => leaveContact(ctx, item.user, item));
      // Nothing yet, but the server may be about to stop.
      deleted?.(0);
      await pause(begun);
      begun = performance.now();
    }
  },
});
