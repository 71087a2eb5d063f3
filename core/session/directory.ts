// The directory of sessions: by bare JID, a session or a few. Routing and streams know the interface; what stands behind
// it is a map of this node's sessions. A store that several nodes share (Redis) stands behind such a map: what is here is
// answered from here, without waiting, and only for an account without a session here is the store asked on which node it is.

import type { FullJid } from "../jid.ts";
import type { Session } from "../module.ts";

const NONE: readonly never[] = Object.freeze([]);

/** What streams and routing need to know of the sessions of this node. */
export interface Sessions<S extends Session> extends Iterable<S> {
  /** Sessions in the directory. */
  readonly count: number;
  /** Accounts with a session. */
  readonly users: number;
  /** A resource was bound. */
  add(session: S): void;
  /** Takes a session out; false when it was not in. */
  remove(session: S): boolean;
  /** The sessions of an account, for reading now: the list may change after. */
  of(bare: string): readonly S[];
  /** The one session, a list of several, or undefined: the form the router reads without making a list. */
  raw(bare: string): S | readonly S[] | undefined;
  get(jid: FullJid): S | undefined;
}

/** Keeps one object per session and no list for the usual account with one session. */
export class SessionDirectory<S extends Session> implements Sessions<S> {
  private readonly byBare = new Map<string, S | S[]>();
  count = 0;

  get users(): number {
    return this.byBare.size;
  }

  add(session: S): void {
    const key = session.jid.bare.text;
    const there = this.byBare.get(key);
    if (there === undefined) this.byBare.set(key, session);
    else if (Array.isArray(there)) there.push(session);
    else this.byBare.set(key, [there, session]);
    this.count++;
  }

  remove(session: S): boolean {
    const key = session.jid.bare.text;
    const there = this.byBare.get(key);
    if (there === session) this.byBare.delete(key);
    else if (Array.isArray(there)) {
      const at = there.indexOf(session);
      if (at < 0) return false;
      there.splice(at, 1);
      if (there.length === 1) this.byBare.set(key, there[0]);
    } else return false;
    this.count--;
    return true;
  }

  of(bare: string): readonly S[] {
    const there = this.byBare.get(bare);
    return there === undefined ? NONE : Array.isArray(there) ? there : [there];
  }

  raw(bare: string): S | readonly S[] | undefined {
    return this.byBare.get(bare);
  }

  get(jid: FullJid): S | undefined {
    const there = this.byBare.get(jid.bare.text);
    if (there === undefined) return undefined;
    if (!Array.isArray(there)) return there.jid.text === jid.text ? there : undefined;
    for (const s of there) if (s.jid.text === jid.text) return s;
    return undefined;
  }

  *[Symbol.iterator](): IterableIterator<S> {
    for (const there of this.byBare.values()) {
      if (Array.isArray(there)) yield* there;
      else yield there;
    }
  }
}
