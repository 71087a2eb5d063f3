// Sessions that end with messages which their clients have not acknowledged, or which were held back from them. Those are
// stored when the session has ended: what comes meanwhile is newer, and waits until they are.

import { C2S } from "../../core/c2s/stream.ts";
import type { Session } from "../../core/module.ts";
import type { Stanza } from "../../core/stanza.ts";
import { heldBack } from "../mod_csi.ts";

export class Endings {
  /** Ends that newer messages wait for, by bare JID. */
  readonly #ending = new Map<string, Set<PromiseWithResolvers<void>>>();
  readonly #of = new WeakMap<Session, PromiseWithResolvers<void>>();
  /** Messages that sessions give back when they end. */
  readonly #back = new WeakSet<Stanza>();

  /** A session begins to end. */
  begins(session: Session): void {
    if (!(session instanceof C2S)) return;
    if ((session.sm?.waiting ?? 0) === 0 && heldBack(session) === undefined) return;
    const end = Promise.withResolvers<void>();
    const key = session.jid.bare.text;
    this.#of.set(session, end);
    this.#ending.set(key, (this.#ending.get(key) ?? new Set()).add(end));
    // Its end is there to be waited for when everybody has been told of it.
    queueMicrotask(() => void session.ending?.finally(() => this.#ends(session)));
  }

  /** What was held back is about to be stored: it does not wait for the end that it is part of. */
  givesBack(session: Session): void {
    if (this.#of.has(session)) for (const stanza of heldBack(session) ?? []) this.#back.add(stanza);
  }

  #ends(session: Session): void {
    const end = this.#of.get(session);
    if (end === undefined) return;
    this.#of.delete(session);
    const key = session.jid.bare.text;
    const ends = this.#ending.get(key);
    ends?.delete(end);
    if (ends?.size === 0) this.#ending.delete(key);
    end.resolve();
  }

  /** Resolves when what is older than a message is stored; undefined when it is. */
  older(message: Stanza): Promise<unknown> | undefined {
    const ends = this.#ending.get(message.to.bare.text);
    if (ends === undefined || message.revived || this.#back.has(message)) return undefined;
    return Promise.all([...ends].map(({ promise }) => promise));
  }
}
