// Requests for privacy lists and their changes (XEP-0016 §2.3-§2.8).

import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Iq, Session } from "../../core/module.ts";
import type { Element } from "../../core/stanza.ts";
import { escapeXml, Markup } from "../../core/xml/markup.ts";
import { rosterOf } from "../mod_roster/index.ts";
import { choose, defaultList, remove, replace, setDefault } from "./change.ts";
import { appliedTo, hasChosen, type PrivacyContext } from "./context.ts";
import { itemXml, NS_PRIVACY, nameOf, parseItems } from "./item.ts";
import { PrivacyList } from "./list.ts";
import { changedList, noteUse, push } from "./push.ts";

const query = (inner: string): Markup => new Markup(`<query xmlns='${NS_PRIVACY}'>${inner}</query>`);
const named = (element: "active" | "default" | "list", name: string): string =>
  `<${element} name='${escapeXml(name)}'/>`;

/** "get own jabber:iq:privacy": the names of all lists, or one list. */
export async function get(iq: Iq, ctx: PrivacyContext): Promise<Markup> {
  ctx.metrics.mod_privacy_get_count.add();
  noteUse(iq.session);
  const user = iq.to.bare;
  const children = queryOf(iq).getChildElements();
  if (children.length === 0) return overview(ctx, user, iq.session);
  const [wanted] = children;
  const name = children.length === 1 && wanted.is("list", NS_PRIVACY) ? nameOf(wanted) : undefined;
  if (name === undefined) throw new StanzaError("bad-request", "ask for one list by its name");
  const list = await ctx.store.inTurn(user, () => ctx.store.store.list(user, name));
  if (list === undefined) throw new StanzaError("item-not-found");
  return query(`<list name='${escapeXml(name)}'>${list.items.map(itemXml).join("")}</list>`);
}

async function overview(ctx: PrivacyContext, user: BareJid, session: Session | undefined): Promise<Markup> {
  const usual = await defaultList(ctx, user);
  const names = await ctx.store.store.names(user);
  let out = "";
  const active = session !== undefined && hasChosen(session) ? appliedTo(session) : undefined;
  if (active !== undefined) out += named("active", active.name);
  if (usual !== undefined) out += named("default", usual.name);
  for (const name of names) out += named("list", name);
  return query(out);
}

/** "set own jabber:iq:privacy": a session's active list, the default list, or the items of a list. */
export async function set(iq: Iq, ctx: PrivacyContext): Promise<void> {
  ctx.metrics.mod_privacy_set_count.add();
  noteUse(iq.session);
  const children = queryOf(iq).getChildElements();
  if (children.length !== 1) throw new StanzaError("bad-request", "one thing is changed at a time");
  const [change] = children;
  if (change.is("active", NS_PRIVACY)) {
    ctx.metrics.mod_privacy_set_active_count.add();
    if (iq.session === undefined) throw new StanzaError("not-allowed", "an active list is for a session");
    await choose(ctx, iq.session, nameOf(change));
  } else if (change.is("default", NS_PRIVACY)) {
    ctx.metrics.mod_privacy_set_default_count.add();
    await setDefault(ctx, iq.to.bare, nameOf(change), iq.session);
  } else if (change.is("list", NS_PRIVACY)) await setList(iq, change, ctx);
  else throw new StanzaError("bad-request");
}

function queryOf({ payload }: Iq): Element {
  if (!payload.is("query", NS_PRIVACY)) throw new StanzaError("bad-request");
  return payload;
}

async function setList(iq: Iq, element: Element, ctx: PrivacyContext): Promise<void> {
  const user = iq.to.bare;
  const name = nameOf(element);
  if (name === undefined) throw new StanzaError("bad-request", "a list has a name");
  const items = parseItems(element, ctx.config.max_items);
  if (items.length === 0) await remove(ctx, user, name, iq.session);
  else {
    await checkGroups(ctx, user, new Set(items.filter(({ type }) => type === "group").map(({ value }) => value)));
    await replace(ctx, user, new PrivacyList(name, items));
  }
  push(ctx, user, `push${ctx.server.token(8)}`, changedList(name));
}

/** §2.1: a group that no contact is in is not known. Where there are no rosters nothing is known of groups. */
async function checkGroups(ctx: PrivacyContext, user: BareJid, groups: ReadonlySet<string>): Promise<void> {
  const roster = rosterOf(ctx.host);
  if (groups.size === 0 || roster === undefined) return;
  const known = new Set((await roster.store.items(ctx.server, user)).flatMap((item) => item.groups));
  for (const group of groups) if (!known.has(group)) throw new StanzaError("item-not-found", `no group "${group}"`);
}
