// Invitations: to become a contact (XEP-0379), to make an account (XEP-0445), made by ad-hoc commands (XEP-0401) and
// by operations. MongooseIM has none.

import { defineModule } from "../../core/module.ts";
import { Markup } from "../../core/xml/markup.ts";
import { commands } from "./commands.ts";
import { canRegister, config, type InviteContext, NS_PARS } from "./invite.ts";
import { operations } from "./operations.ts";
import { permit, preauth } from "./registration.ts";
import { InviteStore } from "./store.ts";
import { subscribe } from "./subscription.ts";

export type { InviteContext };

const FEATURE = new Markup("<register xmlns='urn:xmpp:ibr-token:0'/>");

export default defineModule({
  name: "mod_invites",
  xeps: [
    { n: 379, version: "0.1.1" },
    { n: 401, version: "0.6.0" },
    { n: 445, version: "0.2.0" },
  ],
  config,
  needs: ["mod_roster"],
  uses: ["mod_adhoc", "mod_register"],
  store: (db) => new InviteStore(db),
  hooks: {
    ...commands,
    c2s_stream_features: (features, { authenticated }, ctx) => {
      if (!authenticated && canRegister(ctx)) features.push(FEATURE);
    },
    // 30: before those who look at any first-level element
    user_send_xmlel: { at: 30, type: "set", ns: NS_PARS, child: "preauth", run: preauth },
    registration_permit: async (acc, { jid, session }, ctx) => acc ?? (await permit(ctx, jid, session)),
    // Before mod_roster, which would ask the user.
    account_presence: { at: 44, type: "subscribe", ns: NS_PARS, child: "preauth", run: subscribe },
  },
  operations,
});
