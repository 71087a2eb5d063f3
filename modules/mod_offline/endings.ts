// Sessions that end with messages which their clients have not got: not acknowledged, or held back while the client was
// inactive. Those are stored when the session has ended: what comes meanwhile is newer, and waits until they are.

import { C2S } from "../../core/c2s/stream.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";

export class Endings {
  /** Ends that newer messages wait for, by bare JID. */
  readonly #ending = new Map<string, Set<C2S>>();
  readonly #holding = new WeakSet<Session>();

  /** A session has messages that it keeps back from its client. */
  holds(session: Session): void {
    this.#holding.add(session);
  }

  /** A session begins to end. */
  begins(session: Session): void {
    if (!(session instanceof C2S)) return;
    if (!this.#holding.has(session) && (session.sm === undefined || session.sm.waiting === 0)) return;
    const key = session.jid.bare.text;
    this.#ending.set(key, (this.#ending.get(key) ?? new Set()).add(session));
    // Its end is there to be waited for when everybody has been told of it.
    queueMicrotask(() => void Promise.resolve(session.ending).finally(() => this.#ended(key, session)));
  }

  #ended(key: string, session: C2S): void {
    const all = this.#ending.get(key);
    all?.delete(session);
    if (all?.size === 0) this.#ending.delete(key);
  }

  /**
   * Resolves when what is older than a message for an account is stored; undefined when it is. What such a session gives
   * back itself must not ask: its end waits for that.
   */
  older({ text }: BareJid): Promise<unknown> | undefined {
    const ends = this.#ending.get(text);
    return ends && Promise.all([...ends].map(({ ending }) => ending));
  }
}

/** Whether what a session's client does not acknowledge (XEP-0198) goes another way when it ends. */
export const keepsUnacknowledged = (session: Session): boolean =>
  session instanceof C2S && session.sm !== undefined && session.sm.max > 0;
