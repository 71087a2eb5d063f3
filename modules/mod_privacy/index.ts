// XEP-0016 Privacy Lists, and with them invisibility (XEP-0126): who may talk to a user, and see him.

import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import { defineModule, type HostType, type Session } from "../../core/module.ts";
import { audience } from "./audience.ts";
import { ampStrategy, arrived, checkPacket, received, sent } from "./check.ts";
import { apply, config, hasChosen, metrics, type PrivacyContext } from "./context.ts";
import { get, set } from "./iq.ts";
import { NS_PRIVACY } from "./item.ts";
import type { PrivacyList } from "./list.ts";
import { Lists } from "./lists.ts";
import { PrivacyStore } from "./store.ts";

export { defaultList, editDefault } from "./change.ts";
export { EVERY_KIND, type Item } from "./list.ts";
export { push, pushToUsers } from "./push.ts";
export type { PrivacyContext };

/** The privacy lists of a host type: undefined where mod_privacy is off. */
export function privacyOf(host: HostType): PrivacyContext | undefined {
  return host.modules.get("mod_privacy")?.ctx as PrivacyContext | undefined;
}

/** Presence to an account that is about the account, not about its sessions. */
const ABOUT_ACCOUNT = ["subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"];

/** A session is about to open: the default list applies to it. Without it nobody may come in. */
function opens(session: Session, ctx: PrivacyContext): MaybePromise<void> {
  if (session.anonymous) return;
  const given = (list: PrivacyList | undefined): void => apply(session, list, false);
  const list = ctx.store.defaultList(session.jid.bare);
  if (!(list instanceof Promise)) return given(list);
  return list.then(given, (error: unknown) => {
    ctx.log.limited("load", 10)?.error("privacy_list_unreadable", { error, user: session.jid.bare.text });
    throw new StanzaError("internal-server-error");
  });
}

/** Another session may have changed the default list while this one was opening. */
function opened(session: Session, { store }: PrivacyContext): void {
  const user = session.jid.bare;
  if (session.anonymous || hasChosen(session) || !store.knows(user)) return;
  const list = store.defaultList(user);
  if (!(list instanceof Promise)) apply(session, list, false);
}

export default defineModule({
  name: "mod_privacy",
  xeps: [
    { n: 16, version: "1.7" },
    { n: 126, version: "1.1" },
  ],
  config,
  metrics,
  needs: ["mod_presence"],
  implies: { mod_presence: () => ({}) },
  uses: ["mod_roster"],
  features: [NS_PRIVACY],
  store: (db) => new Lists(new PrivacyStore(db)),
  timed: {
    backends: ["mnesia", "rdbms"],
    in: ({ store }) => store,
    calls: {
      get_default_list: "defaultList",
      get_list_names: "names",
      get_privacy_list: "list",
      replace_privacy_list: "replace",
      remove_privacy_list: "remove",
      set_default_list: "setDefault",
      forget_default_list: "forgetDefault",
    },
  },
  iq: {
    "get own jabber:iq:privacy": get,
    "set own jabber:iq:privacy": set,
  },
  hooks: {
    user_open_session: ({ session }, ctx) => opens(session, ctx),
    sm_register_connection: ({ session }, ctx) => opened(session, ctx),

    // 10: what is turned away is seen by nobody else, as in MongooseIM; §2.2 has lists come first.
    user_send_message: { at: 10, run: sent },
    user_send_presence: { at: 10, run: sent },
    user_send_iq: { at: 10, run: sent },
    user_receive_message: { at: 10, run: received },
    user_receive_presence: { at: 10, run: received },
    user_receive_iq: { at: 10, run: received },
    account_presence: { at: 10, type: ABOUT_ACCOUNT, run: arrived },
    account_iq: { at: 10, run: arrived },
    offline_message: { at: 10, run: arrived },
    offline_groupchat_message: { at: 10, run: arrived },

    presence_audience: audience,
    privacy_check_packet: checkPacket,
    // After those who would store the message.
    amp_determine_strategy: { at: 90, run: ampStrategy },
    anonymous_purge: ({ jid }, { store }) => store.removeUser(jid),
  },
});
