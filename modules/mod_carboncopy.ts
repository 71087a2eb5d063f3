// XEP-0280 Message Carbons: what one session of an account sends or receives, the others that asked for it get too.
import { z } from "zod";
import { iqdisc } from "../core/config/types.ts";
import { StanzaError } from "../core/errors.ts";
import { noCopy } from "../core/hints.ts";
import type { BareJid } from "../core/jid.ts";
import { defineModule, type Iq, type Session, Slot } from "../core/module.ts";
import { NS_CHATSTATES, NS_FORWARD, NS_MARKERS, NS_RECEIPTS } from "../core/ns.ts";
import { stanzaId } from "../core/stable-id.ts";
import type { Stanza } from "../core/stanza.ts";
import { viewText } from "../core/xml/framer.ts";
import { escapeXml } from "../core/xml/markup.ts";
import { forwardable } from "../core/xml/stanza-text.ts";

const NS_CARBONS = "urn:xmpp:carbons:2";
const NS_CARBONS_RULES = "urn:xmpp:carbons:rules:0";
const NS_MUC_USER = "http://jabber.org/protocol/muc#user";

/** Set on the sessions that want copies. */
const enabled = new Slot<true>();

export default defineModule({
  name: "mod_carboncopy",
  xeps: [{ n: 280, version: "1.0.1" }],
  config: z.strictObject({ iqdisc: iqdisc("no_queue") }),
  features: [NS_CARBONS, NS_CARBONS_RULES],
  iq: { "set own urn:xmpp:carbons:2": toggle },
  hooks: {
    // 89: after those who may still refuse or change the message
    user_send_message: {
      at: 89,
      type: ["chat", "", "normal"],
      run: (stanza, session, { server }) => {
        const { bare } = session.jid;
        const others = wanting(server.sessionsOf(bare), session);
        // A message to oneself reaches the other sessions as a received one.
        if (others === undefined || stanza.to.bare.text === bare.text || !eligible(stanza)) return;
        if (stanza.commit === undefined) return copy(stanza, "sent", bare, others);
        // What is not safe yet may come to nothing: the copies are not ahead of the message. Nor do they show what its
        // addressee is told on the way.
        const envelope = envelopeOf(stanza, "sent", bare);
        stanza.commit.then(
          () => give(envelope, others),
          () => undefined,
        );
      },
    },
    user_receive_message: {
      at: 89,
      type: ["chat", "", "normal"],
      run: (stanza, session, { server }) => {
        const { bare } = session.jid;
        const sessions = server.sessionsOf(bare);
        const others = wanting(sessions, session)?.filter((s) => s !== stanza.origin);
        if (others === undefined || !eligible(stanza) || stanza.has("x", NS_MUC_USER)) return;
        if (stanza.to.text === session.jid.text) return copy(stanza, "received", bare, others);
        // To the account: the sessions of the highest priority get the message itself (RFC 6121 §8.5.2.1.1), and the
        // first of them sees to the copies for the rest.
        const best = Math.max(...sessions.map((s) => (s.available ? s.priority : -129)));
        const direct = (s: Session): boolean => s.available && s.priority === best;
        if (sessions.find(direct) !== session) return;
        copy(
          stanza,
          "received",
          bare,
          others.filter((s) => !direct(s)),
        );
      },
    },
    // Bind 2 (XEP-0386 §2.2): copies from the session's first moment.
    bind2_stream_features: { at: 50, run: (names) => void names.push(NS_CARBONS) },
    bind2_enable_features: {
      at: 50,
      run: (_, { session, bind }) => {
        if (bind.getChild("enable", NS_CARBONS)) enabled.set(session, true);
      },
    },
    // As MongooseIM has it: who goes unavailable has to ask again.
    unset_presence: { at: 10, run: ({ session }) => enabled.get(session) && enabled.set(session, undefined) },
  },
});

/** The sessions other than `except` that want copies; undefined when none does, as for nearly every message. */
function wanting(sessions: readonly Session[], except: Session): Session[] | undefined {
  if (sessions.length < 2) return;
  let found: Session[] | undefined;
  for (const s of sessions) {
    if (s === except || !enabled.get(s)) continue;
    found ??= [];
    found.push(s);
  }
  return found;
}

function toggle(iq: Iq): void {
  if (!iq.session) throw new StanzaError("not-allowed", "Carbons are for a session of this account");
  const { name } = iq.payload;
  if (name !== "enable" && name !== "disable") throw new StanzaError("bad-request");
  enabled.set(iq.session, name === "enable" ? true : undefined);
}

/** The rules of §6.1, as far as they do not depend on the direction; the type is chat or normal. */
function eligible(stanza: Stanza): boolean {
  if (stanza.copy || stanza.has("private", NS_CARBONS) || noCopy(stanza)) return false;
  // A copy that somebody made up, or one that comes from a server that should not have sent it.
  if (stanza.has("sent", NS_CARBONS) || stanza.has("received", NS_CARBONS)) return false;
  if (stanza.type === "chat" || stanza.hasBody) return true;
  return (
    stanza.has(undefined, NS_RECEIPTS) || stanza.has(undefined, NS_MARKERS) || stanza.has(undefined, NS_CHATSTATES)
  );
}

/** What was sent has the id that the sender's archive keeps it under. */
function forwarded(stanza: Stanza, kind: "sent" | "received", account: BareJid): string {
  if (kind === "received" || stanza.ownId === undefined) return forwardable(stanza);
  const copy = stanza.clone();
  copy.appended += stanzaId(account.text, stanza.ownId);
  return forwardable(copy);
}

function copy(stanza: Stanza, kind: "sent" | "received", account: BareJid, sessions: readonly Session[]): void {
  if (sessions.length > 0) give(envelopeOf(stanza, kind, account), sessions);
}

/** Serialises the message once; what differs between the sessions is the `to` of the envelope. */
function envelopeOf(stanza: Stanza, kind: "sent" | "received", account: BareJid): Stanza {
  const type = stanza.type === "" ? "" : ` type='${escapeXml(stanza.type)}'`;
  const envelope = viewText(
    `<message${type}><${kind} xmlns='${NS_CARBONS}'><forwarded xmlns='${NS_FORWARD}'>${forwarded(stanza, kind, account)}</forwarded></${kind}></message>`,
  );
  envelope.from = account;
  envelope.to = account;
  envelope.copy = true;
  return envelope;
}

function give(envelope: Stanza, sessions: readonly Session[]): void {
  for (const session of sessions) {
    // A session that refuses its copy is no concern of the message or of the other copies.
    try {
      const done = session.receive(envelope.clone(), session.jid);
      done?.catch(() => undefined);
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error;
    }
  }
}
