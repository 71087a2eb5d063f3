// Accounts that are removed have no subscriptions any more: whoever gets a name later is not shown the presence of its
// former owner's contacts, nor what they show to who may see it.

import { insistOn } from "../../core/errors.ts";
import { type BareJid, parseJid } from "../../core/jid.ts";
import { pause } from "../../core/storage/batches.ts";
import type { RosterContext } from "./context.ts";
import type { Leaving } from "./roster.ts";
import { announce, leaveContact } from "./subscribe.ts";

/** Before what is kept of an account, or of a domain's, is deleted: a removal that is tried again needs it. */
export const leaving = (ctx: RosterContext): Leaving => ({
  async user(user: BareJid) {
    await insistOn(await ctx.store.items(ctx.server, user), async (item) => {
      await leaveContact(ctx, user, item);
      await announce(ctx, user, parseJid(item.jid), { before: item, after: undefined });
    });
  },

  /** Contacts in the same domain go with it. */
  async domain(domain, deleted) {
    let begun = performance.now();
    for await (const items of ctx.store.store.outside(domain)) {
      await insistOn(items, (item) => leaveContact(ctx, item.user, item));
      // Nothing yet, but the server may be about to stop.
      deleted?.(0);
      await pause(begun);
      begun = performance.now();
    }
  },
});
