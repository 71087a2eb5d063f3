// Smart markers (esl:xmpp:smart-markers:0): where everybody has come to in a conversation. The newest chat marker
// (XEP-0333) that a local user sends is kept by kind, conversation and thread, and told to who asks: to both sides of a
// conversation and to the members of a room, or with keep_private to its sender alone.

import { z } from "zod";
import { enumOf, iqdisc, nonNegative, own, positiveOrInfinity } from "../../core/config/types.ts";
import { StanzaError } from "../../core/errors.ts";
import { noPermanentStore } from "../../core/hints.ts";
import { type MaybePromise, STOP, type Stop } from "../../core/hooks.ts";
import { type BareJid, isFull, tryParseJid } from "../../core/jid.ts";
import { type AsyncPoolMetric, asyncPoolMetrics } from "../../core/metrics/async-pool.ts";
import { defineModule, type HostType, type Iq, type ModuleContext, type Server } from "../../core/module.ts";
import { NS_MARKERS } from "../../core/ns.ts";
import { parseDateTime, printDateTime } from "../../core/operations/scalars.ts";
import type { Stanza } from "../../core/stanza.ts";
import { attr, type Markup, xml } from "../../core/xml/markup.ts";
import { MARKER_MESSAGES, marks, marksOf, onlyMarks, takeOutMarks, threadOf } from "./markers.ts";
import { type Marker, MarkerStore, type Sent } from "./store.ts";

export { marksOf, onlyMarks, threadOf } from "./markers.ts";
export type { Marker } from "./store.ts";

const NS_SMART = "esl:xmpp:smart-markers:0";
/** Bytes of an id or a thread, characters of an address: what the columns hold. */
const MAX_TEXT = 250;
/** Milliseconds between two writes of backend rdbms_async, and markers after which one does not wait for the time. */
const FLUSH_MS = 500;
const FLUSH_SIZE = 1000;

const config = z.strictObject({
  async_writer: z
    .strictObject({ pool_size: nonNegative().default(4).describe("Transactions at once") })
    .prefault({})
    .describe("How backend rdbms_async writes"),
  backend: enumOf("rdbms", "rdbms_async")
    .default("rdbms")
    .describe("Write each marker before it goes on, or many at a time a little later"),
  iqdisc: iqdisc("no_queue"),
  keep_private: z.boolean().default(false).describe("Show markers to nobody but their sender, and do not deliver them"),
  max_user_markers: own(
    positiveOrInfinity().default(10_000).describe("Markers kept for a user: kinds, conversations and threads"),
  ),
});
type Context = ModuleContext<z.output<typeof config>, MarkerStore, AsyncPoolMetric>;

declare module "../../core/hooks.ts" {
  interface FoldHooks {
    /** Whether a user may read what is in a room; undefined when the address is no room. */
    can_access_room: { acc: boolean | undefined; params: { room: BareJid; user: BareJid } };
  }
  interface NoticeHooks {
    /** A room is gone from storage. Waited for. */
    forget_room: { room: BareJid };
    /** Affiliations of a room have changed: those of them that are "none" have left. Waited for. */
    room_new_affiliations: {
      room: BareJid;
      affiliations: readonly { readonly jid: BareJid; readonly affiliation: string }[];
    };
  }
}

/** The kept markers of a host type, for features that build on them; undefined when it keeps none. */
export async function keptMarkers(
  host: HostType,
): Promise<Pick<MarkerStore, "timeOf" | "newest" | "getMarkersTo"> | undefined> {
  const ctx = host.modules.get("mod_smart_markers")?.ctx as Context | undefined;
  return ctx && written(ctx);
}

/** The store, with everything in the database that was sent so far. */
async function written({ store, config }: Context): Promise<MarkerStore> {
  if (store.unwritten) await store.flush(config.async_writer.pool_size);
  return store;
}

export default defineModule<z.output<typeof config>, MarkerStore, AsyncPoolMetric>({
  name: "mod_smart_markers",
  xeps: [{ n: 333, version: "0.4.1" }],
  config,
  features: [NS_SMART],
  store: (db) => new MarkerStore(db),
  timed: {
    backends: ["rdbms", "rdbms_async"],
    in: (store) => store,
    calls: {
      get_chat_markers: "getMarkersTo",
      get_conv_chat_marker: "getConversation",
      update_chat_marker: ["write", "later"],
    },
  },
  metrics: asyncPoolMetrics("smart_markers", (store) => store.waiting),
  iq: { "get own esl:xmpp:smart-markers:0": query },
  hooks: {
    // 20: before the recipient's archive
    filter_local_packet: { at: 20, ns: NS_MARKERS, type: MARKER_MESSAGES, run: hide },
    // 90: what others have refused is not kept
    user_send_message: {
      at: 90,
      ns: NS_MARKERS,
      type: MARKER_MESSAGES,
      run: (stanza, session, ctx) => keep(stanza, session.jid.bare, ctx),
    },
    // 50: before the rows are deleted, at 60
    remove_user: { at: 50, run: ({ jid }, ctx) => dropSentTo(ctx, (to) => to === jid.text) },
    remove_domain: { at: 50, run: ({ domain }, ctx) => dropSentTo(ctx, (to) => to.endsWith(`@${domain}`)) },
    forget_room: { at: 85, run: ({ room }, { store }) => store.forgetRoom(room) },
    room_new_affiliations: {
      at: 60,
      run: async ({ room, affiliations }, { store }) => {
        for (const { jid, affiliation } of affiliations) if (affiliation === "none") await store.forgetIn(room, jid);
      },
    },
  },
  start({ store, log, server }) {
    const others = onServer.get(server) ?? new Set();
    onServer.set(server, others.add(store));
    store.unfit = (error, { user, to }) =>
      log.limited("unfit", 10)?.error("marker_dropped", { error, user: user.text, to });
  },
  async stop(ctx) {
    onServer.get(ctx.server)?.delete(ctx.store);
    timers.get(ctx)?.();
    timers.delete(ctx);
    try {
      await ctx.store.flush(ctx.config.async_writer.pool_size);
    } catch (error) {
      ctx.log.error("markers_lost", { error, markers: ctx.store.waiting });
    }
  },
});

/** The stores of all host types of a server. */
const onServer = new WeakMap<Server, Set<MarkerStore>>();

/** Takes out what users of any host type have sent to who is removed and what is not written yet. */
async function dropSentTo({ server }: Context, gone: (to: string) => boolean): Promise<void> {
  for (const store of onServer.get(server) ?? []) await store.drop(({ to }) => gone(to));
}

/** What stops the timer of the next write, of backend rdbms_async, while one runs. */
const timers = new WeakMap<object, () => void>();

/** With keep_private nobody gets a marker; a message that says more goes on without it. */
function hide(stanza: Stanza, { config }: Context): Stop | undefined {
  if (!config.keep_private || !marks(stanza)) return;
  if (onlyMarks(stanza)) return STOP;
  takeOutMarks(stanza);
}

/** Keeps the marks of a message. Throws for what cannot be kept. */
function keep(stanza: Stanza, user: BareJid, ctx: Context): MaybePromise<void> {
  const to = stanza.to.bare;
  if (to.isDomain || !marks(stanza) || noPermanentStore(stanza)) return;
  const found = marksOf(stanza);
  if (found.length === 0) return;
  const thread = threadOf(stanza);
  const addresses = [to.text, user.local, user.domain];
  const texts = [thread, ...found.map(({ id }) => id)];
  if (addresses.some((t) => t.length > MAX_TEXT) || texts.some((t) => Buffer.byteLength(t) > MAX_TEXT)) {
    throw new StanzaError("policy-violation", "A marker's id, thread or address is too long to be kept");
  }
  const timestamp = ctx.server.tick();
  const sent = found.map(({ type, id }): Sent => ({ user, to: to.text, thread, type, id, timestamp }));
  return inRoom(stanza, to, user, ctx, () => store(sent, ctx));
}

/** To a room only its members send; what goes to one of its occupants is no mark in the room. */
function inRoom(
  stanza: Stanza,
  to: BareJid,
  user: BareJid,
  { host }: Context,
  then: () => Promise<void>,
): MaybePromise<void> {
  const groupchat = stanza.type === "groupchat";
  if (!host.hooks.has("can_access_room")) return groupchat ? undefined : then();
  const access = host.hooks.fold("can_access_room", undefined, { room: to, user });
  const decide = (may: boolean | undefined): MaybePromise<void> =>
    (may === undefined ? groupchat : !may || isFull(stanza.to)) ? undefined : then();
  return access instanceof Promise ? access.then(decide) : decide(access);
}

async function store(sent: readonly Sent[], ctx: Context): Promise<void> {
  const { config, store, metrics } = ctx;
  let room: boolean;
  try {
    if (config.backend === "rdbms") room = await store.write(sent, config.max_user_markers);
    else {
      room = await store.later(sent, config.max_user_markers);
      metrics.async_pool_request_count.add(sent.length);
      if (store.waiting >= FLUSH_SIZE) {
        metrics.async_pool_flush_batch.add();
        await store.flush(config.async_writer.pool_size);
      } else schedule(ctx);
    }
  } catch (error) {
    ctx.log.limited("write", 10)?.error("marker_write_failed", { error });
    throw new StanzaError("internal-server-error", "The marker could not be kept");
  }
  if (!room) throw new StanzaError("resource-constraint", "No more markers can be kept for this user");
}

function schedule(ctx: Context): void {
  if (timers.has(ctx)) return;
  const cancel = ctx.server.after(FLUSH_MS, () => {
    timers.delete(ctx);
    ctx.metrics.async_pool_flush_timed.add();
    ctx.store.flush(ctx.config.async_writer.pool_size).catch((error: unknown) => {
      ctx.log.limited("write", 10)?.error("marker_write_failed", { error });
      schedule(ctx);
    });
  });
  timers.set(ctx, cancel);
}

async function query({ payload, to: user }: Iq, ctx: Context): Promise<Markup> {
  const { config, host } = ctx;
  if (payload.name !== "query") throw new StanzaError("bad-request");
  const peer = tryParseJid(payload.attrs["peer"] ?? "")?.bare;
  if (peer === undefined) throw new StanzaError("bad-request", "The peer must be a JID");
  const thread = payload.attrs["thread"] ?? "";
  const after = payload.attrs["after"] === undefined ? 0 : timeOf(payload.attrs["after"]);
  const me = user.bare;
  const room = await host.hooks.fold("can_access_room", undefined, { room: peer, user: me });
  if (room === false) throw new StanzaError("forbidden", "Only members may see where others are in a room");
  const store = await written(ctx);
  let markers: Marker[];
  if (config.keep_private) markers = await store.getConversation(me, peer, thread, after);
  else if (room === true) markers = await store.getMarkersTo(peer, thread, after);
  else {
    const mine = store.getConversation(me, peer, thread, after);
    const theirs = peer.text === me.text ? [] : store.getConversation(peer, me, thread, after);
    markers = (await Promise.all([mine, theirs])).flat();
  }
  return xml`<query xmlns='${NS_SMART}' peer='${peer.text}'>${markers.map(element)}</query>`;
}

function timeOf(text: string): number {
  try {
    return parseDateTime(text);
  } catch {
    throw new StanzaError("bad-request", "after must be a date and time (RFC 3339)");
  }
}

const element = ({ from, id, type, timestamp, thread }: Marker): Markup =>
  xml`<marker from='${from}' id='${id}' type='${type}' timestamp='${printDateTime(timestamp)}'${attr("thread", thread === "" ? undefined : thread)}/>`;
