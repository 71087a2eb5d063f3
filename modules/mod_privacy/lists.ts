// The privacy lists of a host type: default lists that were lately asked for, and one change of an account at a time.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { MaybePromise, PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Deleted } from "../../core/storage/batches.ts";
import { Turns } from "../../core/turns.ts";
import type { PrivacyList } from "./list.ts";
import type { PrivacyStore } from "./store.ts";

/** What may be remembered: an account counts one, and one more for each item of its default list. */
const MAX_WEIGHT = 50_000;

const weight = (list: PrivacyList | undefined): number => 1 + (list?.items.length ?? 0);

export class Lists implements PersonalStore {
  /** Default lists by account; undefined for an account that has none. */
  readonly #known = new BoundedMap<string, PrivacyList | undefined>(MAX_WEIGHT, weight);
  readonly #turns = new Turns();

  constructor(readonly store: PrivacyStore) {}

  /** The default list of an account, at once when it was asked for lately. */
  defaultList(user: BareJid): MaybePromise<PrivacyList | undefined> {
    if (this.#known.has(user.text)) return this.#known.get(user.text);
    return this.inTurn(user, async () => {
      if (!this.#known.has(user.text)) this.remember(user, await this.store.defaultList(user));
      return this.#known.get(user.text);
    });
  }

  /** Whether the default list of an account is at hand. */
  knows(user: BareJid): boolean {
    return this.#known.has(user.text);
  }

  /** An account's default list is this one from now on. */
  remember(user: BareJid, list: PrivacyList | undefined): void {
    this.#known.set(user.text, list);
  }

  /** A change that failed may have been done nevertheless, when only its answer was lost: the list is asked for anew. */
  async changing<T>(user: BareJid, change: Promise<T>): Promise<T> {
    try {
      return await change;
    } catch (error) {
      this.#known.delete(user.text);
      throw error;
    }
  }

  /** Runs `work` after everything that was begun for this account before. */
  inTurn<T>(user: BareJid, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(user.text, work);
  }

  removeUser(user: BareJid): Promise<void> {
    return this.inTurn(user, async () => {
      await this.store.removeUser(user);
      this.#known.delete(user.text);
    });
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await this.store.removeDomain(domain, deleted);
    // A list that was asked for before is remembered after.
    await this.#turns.settled();
    for (const [user] of this.#known) if (user.endsWith(`@${domain}`)) this.#known.delete(user);
  }

  personalData(user: BareJid): Promise<PersonalData[]> {
    return this.store.personalData(user);
  }
}
