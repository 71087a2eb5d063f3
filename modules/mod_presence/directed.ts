// Directed presence (RFC 6121 §4.6): who has been sent one, so that they learn when the session goes.

import { StanzaError } from "../../core/errors.ts";
import type { Jid } from "../../core/jid.ts";
import { type Session, Slot } from "../../core/module.ts";

/** JIDs as text; sessions that direct no presence at anybody have none. */
const DIRECTED = new Slot<Set<string>>();

const NOBODY: ReadonlySet<string> = new Set();

/** Whom a session may direct presence at, at the same time: a client is in hundreds of rooms, not in thousands. */
const MAX_DIRECTED = 4096;

/** @throws StanzaError resource-constraint when these are too many */
export function rememberDirected(session: Session, to: Jid): void {
  const known = DIRECTED.get(session);
  if (known === undefined) DIRECTED.set(session, new Set([to.text]));
  else if (known.size < MAX_DIRECTED || known.has(to.text)) known.add(to.text);
  else throw new StanzaError("resource-constraint", `presence is directed at ${MAX_DIRECTED} others already`);
}

export function forgetDirected(session: Session, to: Jid): void {
  const known = DIRECTED.get(session);
  if (known?.delete(to.text) && known.size === 0) DIRECTED.set(session, undefined);
}

/** Who was sent presence; the session starts anew. */
export function takeDirected(session: Session): ReadonlySet<string> | undefined {
  const known = DIRECTED.get(session);
  if (known !== undefined) DIRECTED.set(session, undefined);
  return known;
}

/** Who was sent presence and will be told when the session goes. */
export const directedOf = (session: Session): ReadonlySet<string> => DIRECTED.get(session) ?? NOBODY;

export function isDirectedTo(session: Session, jid: Jid): boolean {
  const known = DIRECTED.get(session);
  return known !== undefined && (known.has(jid.text) || known.has(jid.bare.text));
}
