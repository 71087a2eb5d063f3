// XEP-0352 Client State Indication: while a client is inactive its messages and presence wait, bounded and in order.
// Their senders are told that they are handled (XEP-0198), so messages are kept safe before that: mod_stream_management
// holds them, as it does those for a broken stream, until they have been written to the client.
import { z } from "zod";
import { C2S } from "../core/c2s/stream.ts";
import { nonNegativeOrInfinity } from "../core/config/types.ts";
import { storable } from "../core/hints.ts";
import { type MaybePromise, STOP, type Stop } from "../core/hooks.ts";
import { defineModule, type Server, type Session, Slot } from "../core/module.ts";
import { NS_DELAY } from "../core/ns.ts";
import { MESSAGE, PRESENCE, type Stanza } from "../core/stanza.ts";
import { Markup, xml } from "../core/xml/markup.ts";
import { stanzaText } from "../core/xml/stanza-text.ts";

const NS_CSI = "urn:xmpp:csi:0";
const FEATURE = new Markup(`<csi xmlns='${NS_CSI}'/>`);
/** Milliseconds until it is looked again whether a slow client has taken what was written. */
const LOOK_MS = 1000;
const NOTHING: Promise<unknown> = Promise.resolve();

interface Held {
  readonly stanza: Stanza;
  /** Since when, in milliseconds since 1970. */
  readonly at: number;
}

/** What waits for an inactive client. */
class Waiting {
  stanzas: Held[] = [];
  /** The name under which its messages are kept safe; "" while none is. */
  key = "";
  /** Settles when all of them are. */
  kept = NOTHING;
}

/** Present only on sessions whose client said that it is inactive. */
const waiting = new Slot<Waiting>();
/** Messages on their way to the client that are still kept, by key: what is waited for before they are forgotten. */
const leaving = new Slot<Map<string, Promise<unknown>>>();

export default defineModule({
  name: "mod_csi",
  xeps: [{ n: 352, version: "1.0.0" }],
  config: z.strictObject({
    buffer_max: nonNegativeOrInfinity().default(20).describe("Stanzas that wait for an inactive client"),
  }),
  metrics: {
    mod_csi_active_count: { kind: "counter", help: "Clients that said they are active" },
    mod_csi_inactive_count: { kind: "counter", help: "Clients that said they are inactive" },
  },
  hooks: {
    c2s_stream_features: { at: 60, run: (features) => void features.push(FEATURE) },
    user_send_xmlel: {
      at: 60,
      run: (el, session, { metrics, server }) => {
        if (session.jid === undefined || !el.inNs(NS_CSI)) return;
        if (el.name === "inactive") {
          metrics.mod_csi_inactive_count.add();
          deactivate(session);
        } else if (el.name === "active") {
          metrics.mod_csi_active_count.add();
          activate(session, server);
        } else return;
        return STOP;
      },
    },
    // Bind 2: the session begins in the state that its client asks for (XEP-0386 §2.2).
    bind2_stream_features: { at: 50, run: (names) => void names.push(NS_CSI) },
    bind2_enable_features: {
      at: 50,
      run: (_, { session, bind }, { metrics }) => {
        if (bind.getChild("active", NS_CSI)) metrics.mod_csi_active_count.add();
        else if (bind.getChild("inactive", NS_CSI)) {
          metrics.mod_csi_inactive_count.add();
          deactivate(session);
        }
      },
    },
    // 45: before stream management (50), which must count only what we let through
    xmpp_presend_element: {
      at: 45,
      run: (stanza, session, { config, server }) => {
        const buffer = waiting.get(session);
        if (buffer === undefined) return;
        if (urgent(stanza)) return flush(session, buffer, server);
        hold(buffer.stanzas, { stanza, at: server.now() });
        if (buffer.stanzas.length <= config.buffer_max) return keep(session, buffer, stanza, server);
        flush(session, buffer, server);
        return STOP;
      },
    },
    // There is nobody to be left in peace any more: it all waits with stream management, which tells others of it, and
    // the client is taken to be active when it comes back (§5). 60: after what was sent earlier is kept
    session_detached: { at: 60, run: ({ session }, { server }) => activate(session, server) },
    // 85: after what stream management has, which was sent earlier
    reroute_unacked_messages: {
      at: 85,
      run: ({ session }, { server }) => {
        const buffer = waiting.get(session);
        if (buffer !== undefined) leaveToOthers(session, buffer, server);
        activate(session, server);
        return forgetAll(session);
      },
    },
  },
});

/** Requests and answers have somebody waiting for them, and errors belong to something the client did. */
function urgent(stanza: Stanza): boolean {
  return (stanza.kind !== MESSAGE && stanza.kind !== PRESENCE) || stanza.type === "error";
}

/** Puts a stanza at the end; of the presence of one sender only the last is of interest. */
function hold(buffer: Held[], held: Held): void {
  const { kind, from } = held.stanza;
  if (kind === PRESENCE && isAvailability(held.stanza)) {
    const old = buffer.findIndex(
      ({ stanza }) => stanza.kind === PRESENCE && isAvailability(stanza) && stanza.from.text === from.text,
    );
    if (old >= 0) buffer.splice(old, 1);
  }
  buffer.push(held);
}

const isAvailability = (presence: Stanza): boolean => presence.type === "" || presence.type === "unavailable";

/** Whom a stanza is written to: one without `to` is for this session, as presence that was broadcast. */
const addressee = (stanza: Stanza, session: Session) => (stanza.toText === undefined ? session.jid : undefined);

/** Has a message kept safe before its sender is told that it is handled. What is no loss waits in memory only. */
function keep(session: Session, buffer: Waiting, stanza: Stanza, server: Server): MaybePromise<Stop> {
  if (stanza.kind !== MESSAGE || stanza.copy || stanza.type === "headline" || !storable(stanza)) return STOP;
  const { hooks } = session.host;
  if (!hooks.has("message_held")) return STOP;
  if (buffer.key === "") buffer.key = `csi-${server.token(16)}`;
  const text = stanzaText(stanza, addressee(stanza, session));
  const kept = hooks
    .insist("message_held", { session, text, at: server.now(), key: buffer.key })
    // What cannot be kept safe does not wait.
    .catch(() => flush(session, buffer, server));
  buffer.kept = Promise.all([buffer.kept, kept]);
  return kept.then((): Stop => STOP);
}

function deactivate(session: Session): void {
  if (!waiting.get(session)) waiting.set(session, new Waiting());
}

function activate(session: Session, server: Server): void {
  const buffer = waiting.get(session);
  if (buffer === undefined) return;
  waiting.set(session, undefined);
  flush(session, buffer, server);
}

/** Drops what another inactive client of the account has waiting too: the message was for both. */
function leaveToOthers(session: Session, buffer: Waiting, server: Server): void {
  for (const other of server.sessionsOf(session.jid.bare)) {
    const theirs = other === session ? undefined : waiting.get(other);
    if (theirs === undefined) continue;
    const waits = new Set(theirs.stanzas.map(({ stanza }) => stanza));
    buffer.stanzas = buffer.stanzas.filter(({ stanza }) => !waits.has(stanza));
  }
}

/** A message of a session that is gone is on its way again: it has been counted, and was sent when it came here. */
function turnBack({ stanza, at }: Held, session: Session): void {
  if (stanza.kind !== MESSAGE || stanza.revived) return;
  stanza.revived = true;
  stanza.append(xml`<delay xmlns='${NS_DELAY}' from='${session.domain}' stamp='${new Date(at).toISOString()}'/>`);
}

/** Lets go what waits. */
function flush(session: Session, buffer: Waiting, server: Server): void {
  const { stanzas, key, kept } = buffer;
  buffer.stanzas = [];
  buffer.key = "";
  buffer.kept = NOTHING;
  const writing: (Promise<unknown> | undefined)[] = [kept];
  const gone = session instanceof C2S && session.gone;
  for (const held of stanzas) {
    const { stanza } = held;
    if (gone) turnBack(held, session);
    const done = session.put(stanza, addressee(stanza, session));
    // Rejected is what went back to routing and found no place: routing has told its sender.
    if (done !== undefined) writing.push(done.catch(() => undefined));
  }
  if (key !== "") leave(session, key, Promise.all(writing), server);
}

/** Forgets messages that were kept safe when the client has taken them from us: a slow one may take its time. */
function leave(session: Session, key: string, written: Promise<unknown>, server: Server): void {
  const all = leaving.get(session) ?? new Map<string, Promise<unknown>>();
  leaving.set(session, all);
  all.set(key, written);
  const look = (): void => {
    if (!all.has(key)) return;
    if (session.unread > 0) {
      server.after(LOOK_MS, look);
      return;
    }
    all.delete(key);
    void forget(session, key);
  };
  void written.then(() => server.after(0, look));
}

/** The session has ended: what was on its way has been given to others. */
async function forgetAll(session: Session): Promise<void> {
  const all = leaving.get(session);
  if (all === undefined) return;
  const keys = [...all];
  all.clear();
  for (const [key, written] of keys) {
    await written;
    await forget(session, key);
  }
}

/** One that cannot be forgotten comes twice, after a restart. */
function forget(session: Session, key: string): Promise<void> {
  return session.host.hooks.insist("held_messages_gone", { key }).catch(() => undefined);
}
