// Whether somebody is a contact, for owners who want the messages of contacts archived.

import { contactInfo, subscriptionLists } from "../../../core/contacts.ts";
import type { BareJid } from "../../../core/jid.ts";
import type { HostType, MaybePromise, Server } from "../../../core/module.ts";

/**
 * Whether a contact has a subscription in either direction: of connected owners that is known at once, of others one
 * item is read. Contacts without any are strangers here.
 */
export function isContact(
  host: Pick<HostType, "hooks">,
  server: Pick<Server, "sessionsOf">,
  owner: BareJid,
  contact: BareJid,
): MaybePromise<boolean> {
  if (server.sessionsOf(owner).length === 0) {
    const info = contactInfo(host, owner, contact);
    return info instanceof Promise ? info.then(subscribed) : subscribed(info);
  }
  const lists = subscriptionLists(host, owner);
  const isIn = ({ from, to }: Awaited<typeof lists>): boolean =>
    from.includes(contact.text) || to.includes(contact.text);
  return lists instanceof Promise ? lists.then(isIn) : isIn(lists);
}

const subscribed = ({ subscription }: { subscription: string }): boolean => subscription !== "none";
