// Chat markers (XEP-0333) for users who are not there: instead of a stored message each, only the newest of every kind,
// sender and thread comes when they are back. The markers themselves are kept by mod_smart_markers.

import { z } from "zod";
import { enumOf, own, positiveOrInfinity } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import { noPermanentStore, noStore } from "../../core/hints.ts";
import { type MaybePromise, STOP, type Stop } from "../../core/hooks.ts";
import { type BareJid, type Jid, tryParseJid } from "../../core/jid.ts";
import { defineModule, type HostType, type ModuleContext, type Session } from "../../core/module.ts";
import { NS_DELAY, NS_MARKERS } from "../../core/ns.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import type { Stanza } from "../../core/stanza.ts";
import { viewText } from "../../core/xml/framer.ts";
import { attr, Markup, xml } from "../../core/xml/markup.ts";
import { keptMarkers, type Marker, marksOf, onlyMarks, threadOf } from "../mod_smart_markers/index.ts";
import { OfflineMarkerStore, type Unseen } from "./store.ts";

const config = z.strictObject({
  backend: enumOf("rdbms").default("rdbms").describe("Where it is kept which markers wait"),
  max_user_threads: own(
    positiveOrInfinity().default(1000).describe("Threads and rooms of a user that markers may wait in"),
  ),
  store_groupchat_messages: z.boolean().default(false).describe("Keep markers of rooms too"),
});
type Context = ModuleContext<z.output<typeof config>, OfflineMarkerStore>;

export default defineModule({
  name: "mod_offline_chatmarkers",
  xeps: [
    { n: 160, version: "1.0.1" },
    { n: 333, version: "0.4.1" },
  ],
  needs: ["mod_smart_markers"],
  config,
  store: (db) => new OfflineMarkerStore(db),
  timed: { backends: ["rdbms"], in: (store) => store, calls: { get: "get", maybe_store: "maybeStore" } },
  hooks: {
    // 40: before offline storage, which would keep every one
    offline_message: {
      at: 40,
      ns: NS_MARKERS,
      type: ["chat", "", "normal"],
      run: (stanza, ctx) => keep(stanza, "", stanza.to.bare.text, stanza.from.bare, ctx),
    },
    offline_groupchat_message: {
      at: 40,
      ns: NS_MARKERS,
      type: "groupchat",
      run: (stanza, ctx) => {
        if (!ctx.config.store_groupchat_messages) return;
        const room = stanza.from.bare.text;
        return keep(stanza, room, room, undefined, ctx);
      },
    },
    // 60: after the stored messages, which the markers are about
    resend_offline_messages: {
      at: 60,
      run: ({ session }, ctx) => (session.priority >= 0 ? deliver(session, ctx) : undefined),
    },
    forget_room: { at: 85, run: ({ room }, { store }) => store.forgetRoom(room) },
  },
});

/** Takes over a message that is nothing but markers which are kept; what is not stays a message to be stored. */
function keep(
  stanza: Stanza,
  room: string,
  to: string,
  user: BareJid | undefined,
  ctx: Context,
): MaybePromise<Stop | undefined> {
  if (stanza.copy || !onlyMarks(stanza) || noStore(stanza)) return;
  return note(stanza, room, to, user, ctx);
}

async function note(
  stanza: Stanza,
  room: string,
  to: string,
  user: BareJid | undefined,
  { store, config, host, server, log }: Context,
): Promise<Stop | undefined> {
  const jid = stanza.to.bare;
  const thread = threadOf(stanza);
  const kept = user !== undefined && !noPermanentStore(stanza);
  let stored: boolean;
  // Its addressee may come before they are stored, and has the markers at once.
  await stanza.behind;
  try {
    const markers = await keptMarkers(host);
    if (markers === undefined) return;
    const times = await Promise.all(
      marksOf(stanza).map(async (mark) => {
        const at = await markers.timeOf({ ...mark, to, thread, user });
        // The same user may have sent a newer one, and this message has waited for its archive meanwhile.
        return at ?? (kept ? markers.newest({ ...mark, to, thread, user }) : undefined);
      }),
    );
    // One that came from another server, or to a room and is no longer what is kept.
    if (times.length === 0 || times.includes(undefined)) return;
    const since = Math.min(...times.filter((at) => at !== undefined));
    stored = await store.maybeStore(jid, { thread, room, since }, config.max_user_threads);
  } catch (error) {
    log.limited("write", 10)?.error("offline_marker_write_failed", { error, user: jid.text });
    throw new StanzaError("internal-server-error", "The marker could not be stored");
  }
  if (!stored) throw new StanzaError("resource-constraint", "No more markers can be stored for this user");
  // The user may have come back meanwhile, and have had what was noted before this.
  const back = server.sessionsOf(jid).find((s) => s.available && s.priority >= 0 && !s.detached);
  if (back) await replay(back, stanza);
  return STOP;
}

const replay = (session: Session, stanza: Stanza): MaybePromise<void> =>
  session.replay ? session.replay(stanza) : session.receive(stanza);

async function deliver(session: Session, { store, host, server }: Context): Promise<void> {
  const account = session.jid.bare;
  const unseen = await store.get(account);
  if (unseen.length === 0) return;
  const markers = await keptMarkers(host);
  if (markers === undefined) return;
  for (const one of unseen) {
    const to = one.room === "" ? account : await roomOf(one, account, host);
    const found = to === undefined ? [] : await markers.getMarkersTo(to, one.thread, one.since - 1);
    for (const marker of found) {
      if (server.session(session.jid) !== session) return;
      const stanza = revive(marker, one, account);
      if (stanza !== undefined) await replay(session, stanza);
    }
    await store.forget(account, one);
  }
}

/** The room, unless the user may not read it any more. */
async function roomOf({ room: text }: Unseen, user: BareJid, host: HostType): Promise<BareJid | undefined> {
  const room = tryParseJid(text)?.bare;
  if (room === undefined) return;
  return (await host.hooks.fold("can_access_room", undefined, { room, user })) === true ? room : undefined;
}

/** A kept marker as the message that it came in, with the time it was sent (XEP-0203). */
function revive(marker: Marker, { room }: Unseen, account: BareJid): Stanza | undefined {
  const from: Jid | undefined = tryParseJid(room === "" ? marker.from : `${room}/${marker.from}`);
  // One's own marks in a room are no news.
  if (from === undefined || (room !== "" && marker.from === account.text)) return;
  const type = attr("type", room === "" ? undefined : "groupchat");
  const thread = marker.thread === "" ? undefined : xml`<thread>${marker.thread}</thread>`;
  const mark = xml`<${new Markup(marker.type)} xmlns='${NS_MARKERS}' id='${marker.id}'/>`;
  const stamp = printDateTime(marker.timestamp);
  const delay = xml`<delay from='${account.domain}' stamp='${stamp}' xmlns='${NS_DELAY}'>Offline Storage</delay>`;
  const stanza = viewText(xml`<message to='${account.text}'${type}>${thread}${mark}${delay}</message>`.text);
  stanza.from = from;
  stanza.to = account;
  return stanza;
}
