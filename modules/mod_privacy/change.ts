// Lists that change: what is stored, which sessions it applies to from then on, and who sees them come or go for it.

import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { showTo, witnesses } from "../mod_presence/index.ts";
import { allowed, byResource } from "./audience.ts";
import { appliedTo, apply, hasChosen, type PrivacyContext } from "./context.ts";
import { tooManyItems } from "./item.ts";
import { type Item, PRESENCE_OUT, PrivacyList } from "./list.ts";

/** A session to which another list applies now. */
interface Switched {
  readonly session: Session;
  readonly before: PrivacyList | undefined;
  readonly after: PrivacyList | undefined;
}

/** Makes a list the session's own; with undefined the default list applies again. */
export async function choose(ctx: PrivacyContext, session: Session, name: string | undefined): Promise<void> {
  const user = session.jid.bare;
  const switched = await ctx.store.inTurn(user, async () => {
    const list = name === undefined ? undefined : await ctx.store.store.list(user, name);
    if (name !== undefined && list === undefined) throw new StanzaError("item-not-found");
    const usual = list ?? (await defaultOf(ctx, user));
    return [put(session, usual, list !== undefined)];
  });
  await show(ctx, switched, false);
}

/**
 * Makes a list the user's default one; with undefined he has none any more.
 * @throws StanzaError item-not-found; conflict when the default list applies to another session than `asking`
 */
export async function setDefault(
  ctx: PrivacyContext,
  user: BareJid,
  name: string | undefined,
  asking: Session | undefined,
): Promise<void> {
  const switched = await ctx.store.inTurn(user, async () => {
    const before = await defaultOf(ctx, user);
    const list = name === undefined ? undefined : await ctx.store.store.list(user, name);
    if (name !== undefined && list === undefined) throw new StanzaError("item-not-found");
    if (before?.name === name) return [];
    if (before !== undefined && others(ctx, user, asking).some((s) => !hasChosen(s))) throw new StanzaError("conflict");
    const { store } = ctx.store;
    await ctx.store.changing(user, name === undefined ? store.forgetDefault(user) : store.setDefault(user, name));
    ctx.store.remember(user, list);
    return putDefault(ctx, user, list);
  });
  await show(ctx, switched, false);
}

/**
 * Writes a list in place of the one of its name, if there is one.
 * @throws StanzaError policy-violation when it would be one list too many
 */
export async function replace(ctx: PrivacyContext, user: BareJid, list: PrivacyList): Promise<void> {
  const switched = await ctx.store.inTurn(user, async () => {
    const { store } = ctx.store;
    const before = await store.list(user, list.name);
    if (before === undefined && (await store.names(user)).length >= ctx.config.max_lists) {
      throw new StanzaError("policy-violation", `You cannot have more than ${ctx.config.max_lists} lists`);
    }
    await ctx.store.changing(user, store.replace(user, before, list, false));
    if ((await defaultOf(ctx, user))?.name === list.name) ctx.store.remember(user, list);
    return putEdited(ctx, user, list);
  });
  await show(ctx, switched, false);
}

/**
 * Removes a list.
 * @throws StanzaError item-not-found; conflict when it applies to another session than `asking`
 */
export async function remove(
  ctx: PrivacyContext,
  user: BareJid,
  name: string,
  asking: Session | undefined,
): Promise<void> {
  const switched = await ctx.store.inTurn(user, async () => {
    if ((await ctx.store.store.list(user, name)) === undefined) throw new StanzaError("item-not-found");
    if (others(ctx, user, asking).some((s) => appliedTo(s)?.name === name)) throw new StanzaError("conflict");
    return removed(ctx, user, name);
  });
  await show(ctx, switched, false);
}

/** The list that blocking edits where there is no default list. */
const BLOCKING = "blocking";

/** The user's default list, as his block list is found in it. */
export const defaultList = (ctx: PrivacyContext, user: BareJid) => ctx.store.inTurn(user, () => defaultOf(ctx, user));

/**
 * Edits the user's default list; the list "blocking" becomes it where there is none. A list without items goes. Who is
 * blocked no more sees the user's presence again (XEP-0191 §3.4).
 * @param edit gets the items and returns those that shall be; the same array for no change
 * @returns the name of the list, undefined when nothing was to be changed
 * @throws StanzaError policy-violation when there are too many items
 */
export async function editDefault(
  ctx: PrivacyContext,
  user: BareJid,
  edit: (items: readonly Item[]) => readonly Item[],
): Promise<string | undefined> {
  let edited: string | undefined;
  const switched = await ctx.store.inTurn(user, async () => {
    const { store } = ctx.store;
    const usual = await defaultOf(ctx, user);
    const before = usual ?? (await store.list(user, BLOCKING));
    const old = before?.items ?? [];
    const items = edit(old);
    if (items === old && (usual !== undefined || items.length === 0)) return [];
    if (items.length > ctx.config.max_items && items.length > old.length) throw tooManyItems(ctx.config.max_items);
    const name = before?.name ?? BLOCKING;
    edited = name;
    if (items.length === 0) return removed(ctx, user, name);
    const list = new PrivacyList(name, items);
    await ctx.store.changing(user, store.replace(user, before, list, usual === undefined));
    ctx.store.remember(user, list);
    return [...putEdited(ctx, user, list), ...(usual === undefined ? putDefault(ctx, user, list) : [])];
  });
  await show(ctx, switched, true);
  return edited;
}

// --- Within a turn ------------------------------------------------------------------------------------------------------

/** The default list, when it is this account's turn already. */
async function defaultOf(ctx: PrivacyContext, user: BareJid): Promise<PrivacyList | undefined> {
  if (!ctx.store.knows(user)) ctx.store.remember(user, await ctx.store.store.defaultList(user));
  return ctx.store.defaultList(user);
}

const others = ({ server }: PrivacyContext, user: BareJid, asking: Session | undefined): readonly Session[] =>
  server.sessionsOf(user).filter((session) => session !== asking);

async function removed(ctx: PrivacyContext, user: BareJid, name: string): Promise<Switched[]> {
  await ctx.store.changing(user, ctx.store.store.remove(user, name));
  const usual = await defaultOf(ctx, user);
  const left = usual?.name === name ? undefined : usual;
  ctx.store.remember(user, left);
  return ctx.server
    .sessionsOf(user)
    .filter((session) => appliedTo(session)?.name === name)
    .map((session) => put(session, left, false));
}

/** A list has new items: it applies where it applied before. */
function putEdited({ server }: PrivacyContext, user: BareJid, list: PrivacyList): Switched[] {
  const concerned = server.sessionsOf(user).filter((session) => appliedTo(session)?.name === list.name);
  return concerned.map((session) => put(session, list, hasChosen(session)));
}

/** The default list is another one: it applies to all sessions that have chosen none. */
function putDefault({ server }: PrivacyContext, user: BareJid, list: PrivacyList | undefined): Switched[] {
  const concerned = server.sessionsOf(user).filter((session) => !hasChosen(session) && appliedTo(session) !== list);
  return concerned.map((session) => put(session, list, false));
}

function put(session: Session, after: PrivacyList | undefined, chosen: boolean): Switched {
  const before = appliedTo(session);
  apply(session, after, chosen);
  return { session, before, after };
}

// --- Presence -----------------------------------------------------------------------------------------------------------

/**
 * Those who may not see a session's presence any more are told that it is gone (§2.11); with `reveal` those who may see
 * it again are shown it.
 */
async function show(ctx: PrivacyContext, switched: readonly Switched[], reveal: boolean): Promise<void> {
  for (const { session, before, after } of switched) {
    if (!session.available || (((before?.denies ?? 0) | (after?.denies ?? 0)) & PRESENCE_OUT) === 0) continue;
    const accounts = await witnesses(ctx, session);
    const apart = before?.tellsResources(PRESENCE_OUT) || after?.tellsResources(PRESENCE_OUT);
    const seen = apart ? byResource(ctx, accounts) : accounts;
    const [could, can] = [await visible(ctx, session, before, seen), await visible(ctx, session, after, seen)];
    if (!session.available) continue;
    showTo(
      ctx,
      session,
      seen.filter((jid) => could.has(jid) && !can.has(jid)),
      false,
    );
    if (!reveal) continue;
    showTo(
      ctx,
      session,
      seen.filter((jid) => can.has(jid) && !could.has(jid)),
      true,
    );
  }
}

async function visible(
  ctx: PrivacyContext,
  session: Session,
  list: PrivacyList | undefined,
  seen: readonly string[],
): Promise<ReadonlySet<string>> {
  return new Set(list === undefined ? seen : await allowed(ctx, list, session.jid.bare, seen, PRESENCE_OUT));
}
