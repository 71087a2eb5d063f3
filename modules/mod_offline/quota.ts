// How many messages wait for the accounts that messages have lately been stored for. The database is asked for an
// account that is not known here, and again before a message is refused: another node may have delivered some.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { BareJid } from "../../core/jid.ts";
import type { MaybePromise } from "../../core/module.ts";

/** Accounts that are remembered. */
const MAX = 10_000;

interface Entry {
  /** Stored messages and those being stored. */
  count: number;
  /** Being stored. */
  pending: number;
}

/** A place among an account's messages: say whether one has it now, or it is free again. */
export type Place = (stored: boolean) => void;

const nothing = (): void => {};

export class Quota {
  private readonly entries = new BoundedMap<string, Entry>(MAX, () => 1);
  private readonly asking = new Map<string, Promise<number>>();

  constructor(private readonly stored: (jid: BareJid) => Promise<number>) {}

  /** Counts one more message; undefined when `max` wait already. */
  take(jid: BareJid, max: number): MaybePromise<Place | undefined> {
    if (max === Infinity) return nothing;
    const entry = this.entries.get(jid.text);
    if (entry !== undefined && entry.count < max) return this.give(jid, entry);
    return this.ask(jid).then((stored) => {
      const known = this.entries.get(jid.text) ?? { count: stored, pending: 0 };
      this.entries.set(jid.text, known);
      if (known.count >= max) known.count = stored + known.pending;
      return known.count < max ? this.give(jid, known) : undefined;
    });
  }

  private give(jid: BareJid, taken: Entry): Place {
    taken.count++;
    taken.pending++;
    return (stored) => {
      const entry = this.entries.get(jid.text);
      if (entry === undefined || entry.pending === 0) return;
      entry.pending--;
      if (!stored) entry.count--;
    };
  }

  /** Messages were deleted: the next one asks again. */
  forget(jid: BareJid): void {
    const entry = this.entries.get(jid.text);
    if (entry === undefined) return;
    if (entry.pending === 0) this.entries.delete(jid.text);
    else entry.count = Number.POSITIVE_INFINITY;
  }

  forgetAll(): void {
    for (const [key, entry] of this.entries) {
      if (entry.pending === 0) this.entries.delete(key);
      else entry.count = Number.POSITIVE_INFINITY;
    }
  }

  /** One question for all that come meanwhile. */
  private ask(jid: BareJid): Promise<number> {
    let asked = this.asking.get(jid.text);
    if (asked === undefined) {
      asked = this.stored(jid).finally(() => this.asking.delete(jid.text));
      this.asking.set(jid.text, asked);
    }
    return asked;
  }
}
