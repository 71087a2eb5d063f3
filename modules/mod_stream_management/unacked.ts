// What a client has not acknowledged: kept and told of when its connection is lost, and routed again when it does not
// come back.

import type { C2S } from "../../core/c2s/stream.ts";
import { noStore } from "../../core/hints.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import { type ModuleContext, type Session, Slot } from "../../core/module.ts";
import { NS_HINTS } from "../../core/ns.ts";
import { MESSAGE, type Stanza } from "../../core/stanza.ts";
import { logOf } from "../../core/storage/away.ts";
import { viewElement, viewText } from "../../core/xml/framer.ts";
import { revive } from "./revive.ts";
import type { HeldStore } from "./store.ts";

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** What a session that has ended leaves is to be routed again: handlers may take stanzas out. */
    filter_unacknowledged_messages: { acc: readonly Stanza[]; params: { session: Session } };
  }
}

type Ctx = ModuleContext<unknown, HeldStore>;

/** On sessions that wait for their client: features know of the messages that wait with them. */
const told = new Slot<true>();

/** Keeps what a broken stream has not acknowledged: its senders have been told that it is handled. */
export async function detached(session: C2S, ctx: Ctx): Promise<void> {
  const { sm } = session;
  if (sm === undefined) return;
  const texts = sm
    .unacked()
    .filter(({ bytes, copy }) => !copy && bytes.startsWith("<message"))
    .map(({ bytes, at }) => ({ text: Buffer.from(bytes, "latin1").toString(), at }));
  const keep = texts.filter(({ text }) => !text.includes(NS_HINTS) || !noStore(viewText(text)));
  told.set(session, true);
  if (keep.length > 0) await ctx.store.hold(session.jid.bare, sm.id, keep);
  for (const { text, at } of texts) await tellOne(session, text, at, ctx);
}

/** The client is back: what it does not acknowledge now is new again. */
export function resumed(session: C2S): void {
  if (told.get(session)) told.set(session, undefined);
}

/** Tells features of a message that the client has not acknowledged; `at` is when it was sent, ms since 1970. */
export function tellOne(session: C2S, text: string, at: number, { log }: Ctx): MaybePromise<void> {
  const { hooks } = session.host;
  if (!hooks.has("unacknowledged_message")) return undefined;
  const stanza = viewText(text);
  revive(stanza, session.jid, session.domain, at);
  const what = "unacknowledged_message_not_told";
  const failed = (error: unknown): void => logOf(log, what, error)?.error(what, { error, jid: session.jid.text });
  try {
    return hooks.notify("unacknowledged_message", { session, stanza })?.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** What the client did not acknowledge goes where it would have gone without this session. */
export async function reroute(session: C2S, ctx: Ctx): Promise<void> {
  const { store, log } = ctx;
  const { sm, host } = session;
  if (sm === undefined) return;
  const unacked = sm.unacked();
  sm.clear();
  // What goes wrong with one must not take the others with it.
  const what = "unacked_stanza_not_rerouted";
  const failed = (error: unknown): void => logOf(log, what, error)?.error(what, { error, jid: session.jid.text });
  const elsewhere = unacked.length > 0 ? waitingElsewhere(session, store) : undefined;
  const underway = store.underway(session.jid.bare, unacked);
  const stanzas: Stanza[] = [];
  for (const { bytes, at, copy } of unacked) {
    if (bytes === "" || elsewhere?.has(bytes)) continue;
    try {
      const s = viewElement(Buffer.from(bytes, "latin1"));
      if (!revive(s, session.jid, session.domain, at)) {
        log.error("unacked_stanza_without_sender", { from: s.fromText });
        continue;
      }
      s.copy = copy;
      if (s.kind === MESSAGE && !copy && !told.get(session)) {
        const done = host.hooks.notify("unacknowledged_message", { session, stanza: s });
        if (done !== undefined) await done;
      }
      stanzas.push(s);
    } catch (error) {
      failed(error);
    }
  }
  const left = await host.hooks.fold("filter_unacknowledged_messages", stanzas, { session });
  // All at once: they keep their order and are one commit, before the user is back to see only some of them.
  const rerouted: MaybePromise<void>[] = [];
  for (const s of left) {
    try {
      rerouted.push(session.engine.reroute(s)?.catch(failed));
    } catch (error) {
      failed(error);
    }
  }
  await Promise.all(rerouted);
  underway.done();
  if (session.wasDetached) await store.release(sm.id);
}

/**
 * What other sessions of the account wait to have acknowledged, or have on its way already: a message for the account
 * that several were to get is looked after by one of them.
 */
function waitingElsewhere(session: C2S, store: HeldStore): ReadonlySet<string> | undefined {
  const { bare } = session.jid;
  const others = session.engine.sessions.of(bare.text).filter((s) => s !== session && !s.closed && s.sm);
  const ended = store.onTheirWay(bare);
  if (others.length === 0 && ended.length === 0) return undefined;
  return new Set([...ended, ...others.flatMap((s) => s.sm!.unacked())].map(({ bytes }) => bytes));
}
