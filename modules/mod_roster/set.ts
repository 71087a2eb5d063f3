// Changes of the roster by its owner (RFC 6121 §2.3-§2.5), asked for by a client or by an operation.

import { StanzaError } from "../../core/errors.ts";
import { type BareJid, type Jid, tryParseJid } from "../../core/jid.ts";
import type { Iq } from "../../core/module.ts";
import { NS_ROSTER } from "../../core/ns.ts";
import type { Element } from "../../core/stanza.ts";
import type { RosterContext } from "./context.ts";
import { isHidden, newItem } from "./item.ts";
import { newVersion, pushChange, pushItem, showInterest } from "./push.ts";
import { endSubscriptions } from "./subscribe.ts";

/** The longest handle and the longest name of a group, in bytes. */
const MAX_TEXT = 1023;
const MAX_GROUPS = 100;

interface ItemRequest {
  contact: Jid;
  remove: boolean;
  name: string;
  groups: readonly string[];
}

/** "set own jabber:iq:roster". */
export async function setFromIq(iq: Iq, ctx: RosterContext): Promise<void> {
  const request = parseRequest(iq.payload);
  showInterest(iq.session);
  ctx.metrics.mod_roster_set_count.add();
  const user = iq.to.bare;
  if (request.remove) await removeItem(ctx, user, request.contact);
  else await setItem(ctx, user, request.contact, request.name, request.groups);
}

/** Reads <query/> with its one item. What §2.3.3 does not allow is refused with the error it names. */
function parseRequest(query: Element): ItemRequest {
  const items = query.getChildElements();
  if (items.length !== 1 || !items[0].is("item", NS_ROSTER)) {
    throw new StanzaError("bad-request", "a roster set has exactly one item");
  }
  const [item] = items;
  const { jid, name = "", subscription } = item.attrs;
  if (jid === undefined) throw new StanzaError("bad-request", "the item has no jid");
  const contact = tryParseJid(jid);
  if (contact === undefined) throw new StanzaError("jid-malformed");
  const groups = item.getChildren("group", NS_ROSTER).map((group) => group.text());
  checkItem(name, groups);
  return { contact, remove: subscription === "remove", name, groups };
}

/** @throws StanzaError of §2.3.3 */
function checkItem(name: string, groups: readonly string[]): void {
  const long = (text: string): boolean => text.length > MAX_TEXT / 3 && Buffer.byteLength(text) > MAX_TEXT;
  if (long(name)) throw new StanzaError("not-acceptable", "the name is too long");
  if (groups.length > MAX_GROUPS) throw new StanzaError("not-acceptable", "the item has too many groups");
  if (groups.some((group) => group === "")) throw new StanzaError("not-acceptable", "a group has no name");
  if (groups.some(long)) throw new StanzaError("not-acceptable", "the name of a group is too long");
  if (new Set(groups).size < groups.length) throw new StanzaError("bad-request", "a group is named twice");
}

/**
 * Adds a contact, or changes the name and groups of one; subscriptions stay as they are (§2.1.2.1).
 * @throws StanzaError of §2.3.3
 */
export async function setItem(
  ctx: RosterContext,
  user: BareJid,
  contact: Jid,
  name: string,
  groups: readonly string[],
): Promise<void> {
  checkItem(name, groups);
  const version = newVersion(ctx);
  const { after } = await ctx.store.change(user, contact.text, version, (before) => ({
    ...(before ?? newItem(contact.text)),
    name,
    groups: [...groups].sort(),
  }));
  await pushItem(ctx, user, after!, version);
}

/**
 * Removes a contact, and the subscriptions with it (§2.5.2).
 * @throws StanzaError item-not-found
 */
export async function removeItem(ctx: RosterContext, user: BareJid, contact: Jid): Promise<void> {
  const version = newVersion(ctx);
  const change = await ctx.store.change(user, contact.text, version, (before) => {
    if (before === undefined || isHidden(before)) throw new StanzaError("item-not-found");
    return undefined;
  });
  await pushChange(ctx, user, change, version);
  await endSubscriptions(ctx, user, change.before!);
}
