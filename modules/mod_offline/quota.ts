// How many messages wait for the accounts that messages have lately been stored for. The database is asked for an
// account that is not known here, and again before a message is refused: another node may have delivered some.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { BareJid } from "../../core/jid.ts";

/** Accounts that are remembered. */
const MAX = 10_000;

interface Entry {
  /** Stored messages and those being stored. */
  count: number;
  /** Being stored. */
  pending: number;
}

export class Quota {
  private readonly entries = new BoundedMap<string, Entry>(MAX, () => 1);
  private readonly asking = new Map<string, Promise<number>>();

  constructor(private readonly stored: (jid: BareJid) => Promise<number>) {}

  /** Counts one more message unless `max` wait already. Say `done` when its fate is known. */
  async take(jid: BareJid, max: number): Promise<boolean> {
    let entry = this.entries.get(jid.text);
    if (entry === undefined || entry.count >= max) {
      const stored = await this.ask(jid);
      entry = this.entries.get(jid.text);
      if (entry === undefined) {
        entry = { count: stored, pending: 0 };
        this.entries.set(jid.text, entry);
      } else if (entry.count >= max) entry.count = stored + entry.pending;
    }
    if (entry.count >= max) return false;
    entry.count++;
    entry.pending++;
    return true;
  }

  done(jid: BareJid, stored: boolean): void {
    const entry = this.entries.get(jid.text);
    if (entry === undefined || entry.pending === 0) return;
    entry.pending--;
    if (!stored) entry.count--;
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
