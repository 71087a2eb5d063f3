// The newest items go to clients that come online, or whose user was let in (XEP-0163 §4.3.4): those that they want, of
// their own account and of the accounts whose presence they receive.

import { StanzaError } from "../../core/errors.ts";
import type { SubscriptionLists } from "../../core/hooks.ts";
import { type BareJid, parseJid } from "../../core/jid.ts";
import { type Session, Slot } from "../../core/module.ts";
import { featuresOf } from "../mod_caps/index.ts";
import { requireReader } from "../pubsub/access.ts";
import { Delivery, delayOf, eventOf, itemEvent } from "../pubsub/event.ts";
import type { PubsubNode } from "../pubsub/model.ts";
import type { Pep, PepContext } from "./profile.ts";
import type { LastItem } from "./store.ts";

const NOTIFY = "+notify";
const NOBODY: SubscriptionLists = Object.freeze({ from: Object.freeze([]), to: Object.freeze([]) });

/** What a session has been sent the newest items of; the set is shared by all clients of its kind. */
const SERVED = new Slot<ReadonlySet<string>>();

/** Nodes whose newest items a client is given when it comes; clients want a dozen or two. */
const MAX_WANTED = 128;

/** The node names that a client wants events of. */
const wantedOf = (features: ReadonlySet<string>): string[] =>
  [...features]
    .filter((f) => f.endsWith(NOTIFY))
    .slice(0, MAX_WANTED)
    .map((f) => f.slice(0, -NOTIFY.length));

/** A client's features became known: it has come online, or wants something else than before. */
export async function clientKnown(
  engine: Pep,
  ctx: PepContext,
  session: Session,
  features: ReadonlySet<string>,
): Promise<void> {
  const before = SERVED.get(session);
  if (before === features) return;
  SERVED.set(session, features);
  const names = wantedOf(features).filter((name) => before?.has(name + NOTIFY) !== true);
  if (names.length === 0) return;
  const { to } = await ctx.host.hooks.fold("roster_get_subscription_lists", NOBODY, { jid: session.jid.bare });
  const last: LastItem[] = [];
  for (const [domain, users] of byDomain(ctx, [session.jid.bare.text, ...to])) {
    last.push(...(await ctx.store.lastItems(domain, users, names)));
  }
  for (const one of last) if (session.available) await give(engine, one, [session]);
}

/** Accounts that this feature keeps, by domain. */
function byDomain({ host, server }: PepContext, jids: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const text of jids) {
    const { domain, local } = parseJid(text);
    const users = found.get(domain);
    if (users !== undefined) users.push(local);
    else if (server.hostTypeOf(domain) === host) found.set(domain, [local]);
  }
  return found;
}

/** A session is gone for others: when it comes back it gets all anew. */
export function clientGone(session: Session): void {
  if (SERVED.get(session) !== undefined) SERVED.set(session, undefined);
}

/** An account lets a contact see its presence from now on. */
export async function contactAdmitted(engine: Pep, ctx: PepContext, owner: BareJid, contact: BareJid): Promise<void> {
  const sessions = ctx.server.sessionsOf(contact).filter((s) => s.available && featuresOf(s) !== undefined);
  if (sessions.length === 0) return;
  const names = new Set(sessions.flatMap((s) => wantedOf(featuresOf(s) ?? new Set())));
  if (names.size === 0) return;
  for (const one of await ctx.store.lastItems(owner.domain, [owner.local], [...names])) {
    await give(
      engine,
      one,
      sessions.filter((s) => featuresOf(s)?.has(one.name + NOTIFY)),
    );
  }
}

/** Sends a newest item to sessions of one account, if that may read it. */
async function give(
  engine: Pep,
  { service, name, config, item }: LastItem,
  sessions: readonly Session[],
): Promise<void> {
  const [first] = sessions;
  if (first === undefined || config.send_last_published_item !== "on_sub_and_presence") return;
  if (!config.deliver_notifications || item.at < engine.keep({ config }).since) return;
  const who = first.jid.bare;
  const node = await engine.nodes.get(service, name);
  if (node === undefined || !(await mayRead(engine, node, who))) return;
  const delivery = new Delivery(engine, eventOf(node, itemEvent(engine, node, item), delayOf(item)), false);
  for (const session of sessions) delivery.toSession(session);
}

async function mayRead(engine: Pep, node: PubsubNode, who: BareJid): Promise<boolean> {
  try {
    await requireReader(engine, node, who);
    return true;
  } catch (error) {
    if (error instanceof StanzaError) return false;
    throw error;
  }
}
