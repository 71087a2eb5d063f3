// Sessions that end with messages which their clients have not acknowledged. Those are stored when the session has
// ended: what comes meanwhile is newer, and waits until they are.

import { C2S } from "../../core/c2s/stream.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";

export class Endings {
  /** Ends that newer messages wait for, by bare JID. */
  readonly #ending = new Map<string, Set<PromiseWithResolvers<void>>>();
  readonly #of = new WeakMap<Session, PromiseWithResolvers<void>>();

  /** A session begins to end. */
  begins(session: Session): void {
    if (!(session instanceof C2S) || session.sm === undefined || session.sm.waiting === 0) return;
    const end = Promise.withResolvers<void>();
    const key = session.jid.bare.text;
    this.#of.set(session, end);
    this.#ending.set(key, (this.#ending.get(key) ?? new Set()).add(end));
    // Whatever goes wrong: its end is there to be waited for when everybody has been told of it.
    queueMicrotask(() => void session.ending?.finally(() => this.ends(session)));
  }

  /** What was not acknowledged is stored. What the session itself gives back now does not wait for it, and is next. */
  ends(session: Session): void {
    const end = this.#of.get(session);
    if (end === undefined) return;
    this.#of.delete(session);
    const key = session.jid.bare.text;
    const ends = this.#ending.get(key);
    ends?.delete(end);
    if (ends?.size === 0) this.#ending.delete(key);
    setImmediate(end.resolve);
  }

  /** Resolves when what is older than a message for an account is stored; undefined when it is. */
  older({ text }: BareJid): Promise<unknown> | undefined {
    const ends = this.#ending.get(text);
    return ends && Promise.all([...ends].map(({ promise }) => promise));
  }
}
