// What features ask the roster of an account about, whoever keeps it. Where nobody does, everybody is a stranger.

import type { ContactInfo, MaybePromise, SubscriptionLists } from "./hooks.ts";
import type { BareJid } from "./jid.ts";
import type { HostType } from "./module.ts";

/** What a roster says of somebody who is not in it. */
export const STRANGER: ContactInfo = Object.freeze({ subscription: "none", ask: "none", groups: [], name: "" });
const NOBODY: SubscriptionLists = Object.freeze({ from: Object.freeze([]), to: Object.freeze([]) });

/** Who receives the presence of an account and whose presence it receives; at once for a connected user. */
export function subscriptionLists({ hooks }: Pick<HostType, "hooks">, jid: BareJid): MaybePromise<SubscriptionLists> {
  return hooks.fold("roster_get_subscription_lists", NOBODY, { jid });
}

/** What an account's roster says of one contact. */
export function contactInfo(
  { hooks }: Pick<HostType, "hooks">,
  jid: BareJid,
  contact: BareJid,
): MaybePromise<ContactInfo> {
  return hooks.fold("roster_get_jid_info", STRANGER, { jid, contact });
}

/** Whether an account lets a contact see its presence, by the one item: for accounts that need not be connected. */
export async function letsSee(host: Pick<HostType, "hooks">, account: BareJid, contact: BareJid): Promise<boolean> {
  const { subscription } = await contactInfo(host, account, contact);
  return subscription === "from" || subscription === "both";
}
