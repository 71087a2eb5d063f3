// Resource binding (RFC 6120 §7), and the session that comes of it, however it was asked for.

import { StanzaError, StreamError } from "../errors.ts";
import type { MaybePromise } from "../hooks.ts";
import { type FullJid, JidError, makeBare, withResource } from "../jid.ts";
import { NS_BIND } from "../ns.ts";
import type { Stanza } from "../stanza.ts";
import { escapeXml } from "../xml/markup.ts";
import type { C2S } from "./stream.ts";

/** Sessions of an account where `max_user_sessions` does not say. */
const MAX_SESSIONS = 100;

/** The iq of §7.6. A session with the same full JID is replaced (§7.7.2.2). */
export function bind(c2s: C2S, s: Stanza): MaybePromise<void> {
  const wanted = resourceWanted(s);
  const refuse = (error: StanzaError): void => {
    const id = s.id === undefined ? "" : ` id='${escapeXml(s.id)}'`;
    c2s.write(`<iq${id} type='error'>${s.innerXml}${error.toXml()}</iq>`);
  };
  let jid: FullJid;
  try {
    jid = withResource(makeBare(c2s.nego!.local!, c2s.domain), wanted ? wanted : c2s.engine.token(8));
  } catch (error) {
    if (!(error instanceof JidError)) throw error;
    return refuse(new StanzaError("bad-request", undefined, "modify"));
  }
  if (s.idS < 0) return refuse(new StanzaError("bad-request"));
  return openSession(c2s, jid, {
    refused: () => refuse(new StanzaError("not-allowed")),
    opened: () => {
      const id = escapeXml(s.id!);
      c2s.write(`<iq id='${id}' type='result'><bind xmlns='${NS_BIND}'><jid>${escapeXml(jid.text)}</jid></bind></iq>`);
    },
  });
}

/** The resource that a client asks for; the way in which clients write it needs no tree. */
function resourceWanted(s: Stanza): string | null | undefined {
  const usual = /^<bind\s[^<>]*><resource>([^<&]*)<\/resource><\/bind>$/.exec(s.innerXml);
  return usual ? usual[1] : s.child("bind", NS_BIND)?.getChildText("resource", NS_BIND);
}

/** How whoever asked for a session is answered. One of the two is called, unless the stream ends before. */
export interface SessionAnswer {
  /** The access rules, or a feature, do not let this account have a session. */
  refused(): void;
  /**
   * The session has just begun: whatever is written here comes before anything that others send to it. One that has to
   * wait before it can write sees to that with `holdUntil`.
   */
  opened(): MaybePromise<void>;
}

/** Makes an authenticated stream the session `jid`. A session with the same full JID is replaced. */
export function openSession(c2s: C2S, jid: FullJid, answer: SessionAnswer): MaybePromise<void> {
  const { access, hooks, auth } = c2s.host;
  if (auth.removedOfLate(jid.local, jid.domain)) {
    return auth
      .isBack(jid.local, jid.domain)
      .then((back) => (back ? openSession(c2s, jid, answer) : c2s.fail(accountGone())));
  }
  if (access.match(c2s.options.access, jid, c2s.domain) !== "allow") return forbidden(c2s, jid, answer);
  const allowed = hooks.fold("session_opening_allowed_for_user", true, { jid });
  if (allowed instanceof Promise) {
    return allowed.then((ok) => (ok ? bound(c2s, jid, answer) : forbidden(c2s, jid, answer)));
  }
  return allowed ? bound(c2s, jid, answer) : forbidden(c2s, jid, answer);
}

/** The account was removed after its client had shown who it is: nothing is left that could be its session. */
const accountGone = (): StreamError => new StreamError("conflict", "The account was removed");

function forbidden(c2s: C2S, jid: FullJid, answer: SessionAnswer): MaybePromise<void> {
  if (c2s.closed) return;
  answer.refused();
  return c2s.host.hooks.notify("forbidden_session", { jid });
}

function bound(c2s: C2S, jid: FullJid, answer: SessionAnswer): MaybePromise<void> {
  if (c2s.closed) return;
  const old = c2s.engine.sessions.get(jid);
  if (old !== undefined) {
    const gone = replace(c2s, old);
    if (gone !== undefined) return gone.then(() => bound(c2s, jid, answer));
  }
  return registered(c2s, jid, answer);
}

/**
 * Ends a session that a newer one takes the place of. What it could not deliver must be stored before the newer one asks
 * for it, hence the promise; but not for ever: after `replaced_wait_timeout` its place is free anyhow.
 */
export function replace(c2s: C2S, old: C2S): Promise<void> | undefined {
  old.close(new StreamError("conflict", "Replaced by new connection"), "replaced");
  return old.ending === undefined ? undefined : replaced(c2s, old, old.ending);
}

async function replaced({ engine }: C2S, old: C2S, ending: Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = engine.wheel.after(engine.replacedWait, () => {
      engine.log.warning("replaced_wait_timeout", { jid: old.jid.text });
      resolve();
    });
    ending.then(() => {
      cancel();
      resolve();
    });
  });
  engine.sessions.remove(old);
}

function registered(c2s: C2S, jid: FullJid, answer: SessionAnswer): MaybePromise<void> {
  if (c2s.closed) return;
  const { hooks } = c2s.host;
  c2s.jid = jid;
  const told = hooks.notify("user_open_session", { session: c2s });
  const go = (): MaybePromise<void> => {
    if (c2s.closed) return;
    const { auth } = c2s.host;
    if (auth.removedOfLate(jid.local, jid.domain)) return c2s.fail(accountGone());
    // Somebody else may have bound the resource meanwhile.
    if (c2s.engine.sessions.get(jid) !== undefined) return bound(c2s, jid, answer);
    c2s.begin(jid);
    const answered = answer.opened();
    makeRoom(c2s);
    const tell = (): MaybePromise<void> => hooks.notify("sm_register_connection", { session: c2s });
    return answered === undefined ? tell() : answered.then(tell);
  };
  return told === undefined ? go() : told.then(go);
}

/** An account has as many sessions as `max_user_sessions` says: the oldest gives way to one more, as in MongooseIM. */
function makeRoom({ jid, domain, host, engine }: C2S): void {
  const sessions = engine.sessions.of(jid.bare.text);
  if (sessions.length === 1) return;
  const rule = host.access.match("max_user_sessions", jid.bare, domain);
  const most = typeof rule === "number" ? rule : MAX_SESSIONS;
  let oldest: C2S | undefined;
  let alive = 0;
  for (const s of sessions) {
    if (s.closed) continue;
    alive++;
    if (oldest === undefined || s.sid < oldest.sid) oldest = s;
  }
  if (alive > most) oldest?.close(new StreamError("conflict", "Replaced by new connection"), "replaced");
}

/** The session request of RFC 3921 §3: nothing is left to do. */
export function legacySession(c2s: C2S, s: Stanza): string {
  const id = escapeXml(s.id ?? "");
  const to = c2s.jid === undefined ? "" : ` to='${escapeXml(c2s.jid.text)}'`;
  return `<iq from='${escapeXml(c2s.domain)}' id='${id}'${to} type='result'/>`;
}
