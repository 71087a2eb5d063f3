// XEP-0352 Client State Indication: while a client is inactive its messages and presence wait, bounded and in order.
import { z } from "zod";
import { nonNegativeOrInfinity } from "../core/config/types.ts";
import { STOP } from "../core/hooks.ts";
import { defineModule, type Session, Slot } from "../core/module.ts";
import { MESSAGE, PRESENCE, type Stanza } from "../core/stanza.ts";
import { Markup } from "../core/xml/markup.ts";

const NS_CSI = "urn:xmpp:csi:0";
const FEATURE = new Markup(`<csi xmlns='${NS_CSI}'/>`);

/** What waits for an inactive client; present only on sessions whose client said that it is inactive. */
const waiting = new Slot<Stanza[]>();

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
      run: (el, session, { metrics }) => {
        if (session.jid === undefined || !el.inNs(NS_CSI)) return;
        if (el.name === "inactive") {
          metrics.mod_csi_inactive_count.add();
          deactivate(session);
        } else if (el.name === "active") {
          metrics.mod_csi_active_count.add();
          activate(session);
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
      run: (stanza, session, { config }) => {
        const buffer = waiting.get(session);
        if (buffer === undefined) return;
        if (urgent(stanza)) return flush(session, buffer);
        hold(buffer, stanza);
        if (buffer.length > config.buffer_max) flush(session, buffer);
        return STOP;
      },
    },
    // A client that comes back is taken to be active until it says otherwise (§5).
    session_resumed: ({ session }) => activate(session),
    // 85: after what stream management (80) has, which was sent earlier
    reroute_unacked_messages: { at: 85, run: ({ session }) => activate(session) },
  },
});

/** Requests and answers have somebody waiting for them, and errors belong to something the client did. */
function urgent(stanza: Stanza): boolean {
  return (stanza.kind !== MESSAGE && stanza.kind !== PRESENCE) || stanza.type === "error";
}

/** Puts a stanza at the end; of the presence of one sender only the last is of interest. */
function hold(buffer: Stanza[], stanza: Stanza): void {
  if (stanza.kind === PRESENCE && isAvailability(stanza)) {
    const old = buffer.findIndex((s) => s.kind === PRESENCE && isAvailability(s) && s.from.text === stanza.from.text);
    if (old >= 0) buffer.splice(old, 1);
  }
  buffer.push(stanza);
}

const isAvailability = (presence: Stanza): boolean => presence.type === "" || presence.type === "unavailable";

function deactivate(session: Session): void {
  if (!waiting.get(session)) waiting.set(session, []);
}

function activate(session: Session): void {
  const buffer = waiting.get(session);
  if (buffer === undefined) return;
  waiting.set(session, undefined);
  flush(session, buffer);
}

/** Lets go what waits. A stanza without `to` is for this session, as presence that was broadcast. */
function flush(session: Session, buffer: Stanza[]): void {
  for (const stanza of buffer.splice(0)) {
    const done = session.put(stanza, stanza.toText === undefined ? session.jid : undefined);
    // Rejected is what went back to routing and found no place: routing has told its sender.
    done?.catch(() => undefined);
  }
}
