// What waits for an account goes to a session of it.

import { type BareJid, isFull, tryParseJid } from "../../core/jid.ts";
import { type ModuleContext, type Server, type Session, Slot } from "../../core/module.ts";
import { NS_DELAY } from "../../core/ns.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import { Pace } from "../../core/pace.ts";
import type { Stanza } from "../../core/stanza.ts";
import { logOf } from "../../core/storage/away.ts";
import { StorageError, type StorageErrorCode } from "../../core/storage/db.ts";
import { viewText } from "../../core/xml/framer.ts";
import { escapeXml } from "../../core/xml/markup.ts";
import { keepsUnacknowledged } from "./endings.ts";
import type { OfflineStore, Waiting } from "./store.ts";

type Context = ModuleContext<unknown, OfflineStore>;

/** Messages that are read, delivered and deleted at a time. */
const PAGE = 200;
/** After how long a delivery that the database has cut short goes on, in ms. */
const AGAIN_MS = 10_000;
/** Errors of a database that another try may not meet. */
const PASSING: ReadonlySet<StorageErrorCode> = new Set(["unavailable", "timeout", "conflict", "locked"]);

/** Messages that a session was given and that could not be deleted: it must not be given them again. */
const undeleted = new Slot<readonly Waiting["id"][]>();
/** On a session: a delivery that waits for another one of the account. */
const next = new Slot<Promise<void>>();
/** Set on a session whose delivery is to go on later. */
const waiting = new Slot<true>();

/**
 * Gives a session what waits for its account; a second session of the account waits until the first has its share. What
 * fails is logged; when the database is away it goes on later, as long as the session is there.
 */
export async function deliver(session: Session, ctx: Context): Promise<void> {
  const { delivering } = ctx.store;
  const key = session.jid.bare.text;
  // Many may have been stored at once: what has not begun will find them all.
  const waits = next.get(session);
  if (waits !== undefined) return waits;
  const settled = (delivering.get(key) ?? Promise.resolve())
    .then(() => {
      next.set(session, undefined);
      return pages(session, ctx);
    })
    .catch((error: unknown) => failed(session, error, ctx));
  next.set(session, settled);
  delivering.set(key, settled);
  await settled;
  if (delivering.get(key) === settled) delivering.delete(key);
}

function failed(session: Session, error: unknown, ctx: Context): void {
  const what = "offline_delivery_failed";
  logOf(ctx.log, what, error)?.limited(what, 10)?.error(what, { error, user: session.jid.bare.text });
  if (error instanceof StorageError && PASSING.has(error.code)) later(session, ctx);
}

function later(session: Session, ctx: Context): void {
  if (waiting.get(session)) return;
  waiting.set(session, true);
  ctx.server.after(AGAIN_MS, () => {
    waiting.set(session, undefined);
    const runs = ctx.host.modules.get("mod_offline")?.ctx === ctx;
    if (!runs || ctx.server.session(session.jid) !== session || !session.available || session.priority < 0) return;
    // One whose client may come back has time.
    if (session.detached) later(session, ctx);
    // Others who keep something for it have met the same.
    else void ctx.host.hooks.notify("resend_offline_messages", { session });
  });
}

async function pages(session: Session, { store, server, now, log, host }: Context): Promise<void> {
  const { hooks } = host;
  const account = session.jid.bare;
  const pace = new Pace();
  const left = undeleted.get(session);
  if (left !== undefined) {
    await store.delete(account, left);
    undeleted.set(session, undefined);
  }
  for (let after: Waiting["id"] = 0; ; ) {
    const messages = await store.popMessages(account, after, PAGE);
    const gone: Waiting["id"][] = [];
    const given: Waiting["id"][] = [];
    const wanted = hooks.has("filter_offline_messages")
      ? new Set(await hooks.fold("filter_offline_messages", messages, { session }))
      : undefined;
    for (const message of messages) {
      if (server.session(session.jid) !== session) break;
      after = message.id;
      const dropped =
        (message.expire !== undefined && message.expire <= now() * 1000) || wanted?.has(message) === false;
      const stanza = dropped ? undefined : revive(message, account);
      if (stanza) {
        await (session.replay ? session.replay(stanza) : session.receive(stanza));
        // What meets a session that has ended goes another way.
        (server.session(session.jid) === session ? given : gone).push(message.id);
        await pace.sent(message.packet.length);
      } else if (dropped) gone.push(message.id);
      else log.warning("offline_message_unreadable", { user: account.text, id: String(message.id) });
    }
    if (given.length > 0 && (await taken(session, server))) gone.push(...given);
    await store.delete(account, gone).catch((error: unknown) => {
      undeleted.set(session, gone);
      throw error;
    });
    if (messages.length < PAGE || server.session(session.jid) !== session) return;
  }
}

/**
 * Waits until what a client was given is no more in this process's memory alone; false when it may have gone with its
 * session, and is to be given again: a client that manages its stream (XEP-0198) leaves what it has not acknowledged.
 */
async function taken(session: Session, server: Server): Promise<boolean> {
  const there = (): boolean => server.session(session.jid) === session;
  // What is written goes out at the end of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  while (session.aMoment !== undefined && session.unread > 0 && there()) await session.aMoment();
  return there() || keepsUnacknowledged(session);
}

/** A stored message as a stanza again, with the time it was stored (XEP-0203); undefined when it cannot be read. */
function revive(message: Waiting, account: BareJid): Stanza | undefined {
  const from = tryParseJid(message.from);
  if (!from) return;
  try {
    const stanza = viewText(message.packet);
    const whole = isFull(from) ? undefined : tryParseJid(stanza.fromText ?? "");
    stanza.from = whole?.bare.text === from.text ? whole : from;
    stanza.to = account;
    const stamp = printDateTime(message.timestamp);
    const by = escapeXml(account.domain);
    stanza.appended = `<delay from='${by}' stamp='${stamp}' xmlns='${NS_DELAY}'>Offline Storage</delay>`;
    return stanza;
  } catch {
    return;
  }
}
