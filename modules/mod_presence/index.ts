// Presence (RFC 6121 §4): who is there, told to those who may know.

import { z } from "zod";
import { STOP, type Stop } from "../../core/hooks.ts";
import { defineModule, type ModuleContext } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { hasFrom } from "../mod_roster/index.ts";
import { toSessions } from "./fan.ts";
import { answer } from "./probe.ts";
import { clientSent, sessionEnds, toContact } from "./send.ts";

export { sessionsSeenBy } from "./fan.ts";
export { lastPresence } from "./last.ts";
export { showTo, witnesses } from "./send.ts";

/** Presence for an account or, probes, for one of its resources; subscription stanzas are mod_roster's. */
function arrived(presence: Stanza, ctx: ModuleContext): Stop | Promise<Stop> {
  switch (presence.type) {
    case "":
    case "unavailable":
      toSessions(ctx, presence, ctx.server.sessionsOf(presence.to.bare));
      return STOP;
    case "probe": {
      const answered = answer(ctx, presence.to, presence.from);
      return answered === undefined ? STOP : answered.then((): Stop => STOP);
    }
    default:
      // An error that belongs to no session, or no presence at all.
      return STOP;
  }
}

export default defineModule({
  name: "mod_presence",
  xeps: [],
  config: z.strictObject({}),
  uses: ["mod_roster"],
  hooks: {
    user_send_presence: clientSent,
    account_presence: arrived,
    // 90: after those that look at the session as it was, as in MongooseIM.
    user_terminate: { at: 90, run: ({ session, reason }, ctx) => sessionEnds(session, reason, ctx) },
    roster_subscription_changed: ({ user, contact, before, after }, ctx) => {
      const visible = hasFrom(after);
      if (visible === hasFrom(before)) return;
      for (const session of [...ctx.server.sessionsOf(user)]) {
        if (session.available) toContact(ctx, session, contact.text, visible);
      }
    },
  },
});
