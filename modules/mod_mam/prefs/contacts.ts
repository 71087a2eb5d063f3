// Whether somebody is a contact, for owners who want the messages of contacts archived.

import { contactInfo, subscriptionLists } from "../../../core/contacts.ts";
import type { BareJid } from "../../../core/jid.ts";
import type { HostType, MaybePromise, Server } from "../../../core/module.ts";

/**
 * Whether a contact is in the owner's roster, with a subscription or without (XEP-0441 §2.1.1). Of connected owners
 * subscriptions are known at once; else one item is read.
 */
export function isContact(
  host: Pick<HostType, "hooks">,
  server: Pick<Server, "sessionsOf">,
  owner: BareJid,
  contact: BareJid,
): MaybePromise<boolean> {
  if (server.sessionsOf(owner).length === 0) return isListed(host, owner, contact);
  const lists = subscriptionLists(host, owner);
  const isIn = ({ from, to }: Awaited<typeof lists>): MaybePromise<boolean> =>
    from.includes(contact.text) || to.includes(contact.text) || isListed(host, owner, contact);
  return lists instanceof Promise ? lists.then(isIn) : isIn(lists);
}

function isListed(host: Pick<HostType, "hooks">, owner: BareJid, contact: BareJid): MaybePromise<boolean> {
  const info = contactInfo(host, owner, contact);
  return info instanceof Promise ? info.then(({ listed }) => listed === true) : info.listed === true;
}
