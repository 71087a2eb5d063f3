// Presence to many (XEP-0016 §2.11): whom a list leaves out.

import { STRANGER } from "../../core/contacts.ts";
import type { FoldHooks, MaybePromise } from "../../core/hooks.ts";
import { type BareJid, isFull, parseJid } from "../../core/jid.ts";
import { contactsOf, rosterOf } from "../mod_roster/index.ts";
import { accountList, isOutOfReach, judge } from "./check.ts";
import { appliedTo, type PrivacyContext } from "./context.ts";
import { type Action, type Contact, OTHER, PRESENCE_OUT, type PrivacyList } from "./list.ts";

/**
 * The fold presence_audience: leaves out those who may not have the session's presence, or may not be asked for theirs.
 * For an account without a session its default list says that.
 */
export function audience(
  jids: readonly string[],
  { account, session, type }: FoldHooks["presence_audience"]["params"],
  ctx: PrivacyContext,
): MaybePromise<readonly string[]> {
  const kind = type === "probe" ? OTHER : PRESENCE_OUT;
  const pick = (list: PrivacyList | undefined): MaybePromise<readonly string[]> =>
    list === undefined || (list.denies & kind) === 0 ? jids : allowed(ctx, list, account, jids, kind);
  const list = session === undefined ? accountList(ctx, account) : appliedTo(session);
  const some = list instanceof Promise ? list.then(pick) : pick(list);
  if (!(some instanceof Promise)) return some;
  return some.catch((error: unknown) => {
    // Nobody sees who would be unseen.
    ctx.log.limited("audience", 10)?.error("privacy_check_failed", { error });
    return [];
  });
}

/** Those of the JIDs that a list lets through; accounts by their resources where the list tells them apart. */
export function allowed(
  ctx: PrivacyContext,
  list: PrivacyList,
  user: BareJid,
  all: readonly string[],
  kind: number,
): MaybePromise<readonly string[]> {
  const jids = list.tellsResources(kind) ? byResource(ctx, all) : all;
  const roster = list.needsGroups(kind) ? rosterOf(ctx.host) : undefined;
  if (roster !== undefined) return contactsOf(roster, user).then((known) => pickKnown(list, user, jids, kind, known));
  const said = jids.map((jid) => judge(ctx, list, user, parseJid(jid), kind));
  const pick = (actions: readonly Action[]): readonly string[] => jids.filter((_, i) => actions[i] === "allow");
  return said.some((action) => action instanceof Promise) ? Promise.all(said).then(pick) : pick(said as Action[]);
}

/** As `allowed`, when the whole roster is known: not a question for each of hundreds of contacts. */
function pickKnown(
  list: PrivacyList,
  user: BareJid,
  jids: readonly string[],
  kind: number,
  known: ReadonlyMap<string, Contact>,
): readonly string[] {
  return jids.filter((text) => {
    const jid = parseJid(text);
    if (isOutOfReach(user, jid)) return true;
    return list.verdict(kind, jid, () => known.get(jid.bare.text) ?? STRANGER) === "allow";
  });
}

/** In place of each account that has sessions here, its available sessions. */
export function byResource({ server }: PrivacyContext, jids: readonly string[]): readonly string[] {
  const apart = jids.flatMap((text) => {
    const jid = parseJid(text);
    const sessions = isFull(jid) ? [] : server.sessionsOf(jid);
    return sessions.length === 0 ? [text] : sessions.filter((s) => s.available).map((s) => s.jid.text);
  });
  return [...new Set(apart)];
}
