// The rosters of a host type: what is kept of them in memory while their owners are connected, and how they change.

import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise, PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore, Server } from "../../core/module.ts";
import type { Deleted } from "../../core/storage/batches.ts";
import { StorageError } from "../../core/storage/db.ts";
import { Turns } from "../../core/turns.ts";
import { type RosterItem, seesPresence, showsPresence } from "./item.ts";
import type { RosterStore } from "./store.ts";
import { isAsked } from "./subscription.ts";

/** What presence needs of a roster. Lists hold the contacts' JIDs as text; empty lists are all the same one. */
export interface Summary {
  /** How many items are stored, those of contacts who have only asked left out. */
  readonly items: number;
  /** How many contacts have only asked. */
  readonly requests: number;
  /** They receive the user's presence. */
  readonly from: readonly string[];
  /** The user receives theirs. */
  readonly to: readonly string[];
  /** They have asked for the user's presence. */
  readonly pending: readonly string[];
}

const NOBODY: readonly string[] = Object.freeze([]);
const EMPTY: Summary = Object.freeze({ items: 0, requests: 0, from: NOBODY, to: NOBODY, pending: NOBODY });

/** Requests of strangers that an account may have waiting: they fill neither the disk nor the place of contacts. */
const MAX_REQUESTS = 1000;

/** Who is connected. */
type Directory = Pick<Server, "sessionsOf">;

/** What comes before the rows of accounts are deleted. */
export interface Leaving {
  user(user: BareJid): Promise<void>;
  domain(domain: string, deleted: Deleted | undefined): Promise<void>;
}

export interface Change {
  readonly before: RosterItem | undefined;
  readonly after: RosterItem | undefined;
}

/**
 * Reads and writes rosters. What is done to one account is done one after the other, so that no change is made on an
 * item that another is changing, and a roster that several ask for is read once.
 */
export class Rosters implements PersonalStore {
  /** Of accounts that are connected. */
  readonly #summaries = new Map<string, Summary>();
  readonly #turns = new Turns();

  /** Contacts that an account may have. */
  maxItems = Number.POSITIVE_INFINITY;

  /** Ends the subscriptions of accounts that are removed; set at the start of the feature. */
  leave: Leaving | undefined = undefined;

  constructor(readonly store: RosterStore) {}

  /** The summary of an account, at once when it is connected and was asked for before. */
  summary(directory: Directory, user: BareJid): MaybePromise<Summary> {
    const known = this.#summaries.get(user.text);
    if (known !== undefined) return known;
    return this.#turns.take(user.text, async () => {
      const meanwhile = this.#summaries.get(user.text);
      return meanwhile ?? this.#remember(directory, user, await this.store.roster(user));
    });
  }

  /** All items in the order of their JIDs; one query, or none when the roster is known to be empty. */
  items(directory: Directory, user: BareJid): MaybePromise<readonly RosterItem[]> {
    if (this.#summaries.get(user.text) === EMPTY) return [];
    return this.#turns.take(user.text, async () => {
      const items = await this.store.roster(user);
      this.#remember(directory, user, items);
      return items;
    });
  }

  item(user: BareJid, jid: string): MaybePromise<RosterItem | undefined> {
    return this.#summaries.get(user.text) === EMPTY ? undefined : this.store.item(user, jid);
  }

  /**
   * Changes the item of one contact: `edit` gets it as it is and returns it as it shall be, undefined for no item.
   * @param version the roster's new version, when versions are stored
   * @throws what `edit` throws; StanzaError policy-violation when a new item would be one too many, not-acceptable when an
   * address or a group is too long for the database (MySQL's columns have 250 characters)
   */
  change(
    user: BareJid,
    jid: string,
    version: string | undefined,
    edit: (before: RosterItem | undefined) => RosterItem | undefined,
  ): Promise<Change> {
    return this.#turns.take(user.text, async () => {
      const before = await this.item(user, jid);
      const after = edit(before);
      if (after === before) return { before, after };
      if (after === undefined) await this.store.delete(user, jid, version);
      else {
        await this.#makeRoom(user, before, after);
        await this.store
          .write(user, after, { groups: after.groups !== before?.groups, version })
          .catch((error: unknown) => {
            throw error instanceof StorageError && error.code === "constraint"
              ? new StanzaError(
                  "not-acceptable",
                  "the database cannot hold an item with such an address or such groups",
                )
              : error;
          });
      }
      this.#update(user, jid, before, after);
      return { before, after };
    });
  }

  /** Lets go of what is kept in memory: the account has no session any more. */
  forget(user: BareJid): void {
    this.#summaries.delete(user.text);
  }

  /** How many accounts are kept in memory. */
  get kept(): number {
    return this.#summaries.size;
  }

  async removeUser(user: BareJid): Promise<void> {
    await this.leave?.user(user);
    await this.store.removeUser(user);
    this.forget(user);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await this.leave?.domain(domain, deleted);
    await this.store.removeDomain(domain, deleted);
    for (const user of this.#summaries.keys()) if (user.endsWith(`@${domain}`)) this.#summaries.delete(user);
  }

  personalData(user: BareJid): Promise<PersonalData[]> {
    return this.store.personalData(user);
  }

  /** @throws StanzaError policy-violation when `after` is one too many of its kind */
  async #makeRoom(user: BareJid, before: RosterItem | undefined, after: RosterItem): Promise<void> {
    const request = isRequest(after);
    if (before !== undefined && isRequest(before) === request) return;
    const { items, requests } = this.#summaries.get(user.text) ?? (await this.store.count(user));
    if (request ? requests < MAX_REQUESTS : items < this.maxItems) return;
    throw new StanzaError("policy-violation", `A roster cannot have more than ${this.maxItems} contacts`);
  }

  #remember(directory: Directory, user: BareJid, items: readonly RosterItem[]): Summary {
    const summary = summarise(items);
    if (directory.sessionsOf(user).length > 0) this.#summaries.set(user.text, summary);
    return summary;
  }

  #update(user: BareJid, jid: string, before: RosterItem | undefined, after: RosterItem | undefined): void {
    const old = this.#summaries.get(user.text);
    if (old === undefined) return;
    const [is, was] = [after === undefined ? undefined : isRequest(after), before && isRequest(before)];
    const items = old.items + (is === false ? 1 : 0) - (was === false ? 1 : 0);
    const requests = old.requests + (is === true ? 1 : 0) - (was === true ? 1 : 0);
    const summary: Summary = {
      items,
      requests,
      from: changed(old.from, jid, after !== undefined && showsPresence(after)),
      to: changed(old.to, jid, after !== undefined && seesPresence(after)),
      pending: changed(old.pending, jid, after !== undefined && isAsked(after.state)),
    };
    this.#summaries.set(user.text, items + requests === 0 ? EMPTY : summary);
  }
}

/** The contact has asked, and nothing else is between the two. */
const isRequest = (item: RosterItem): boolean => item.state === "none/in";

function summarise(items: readonly RosterItem[]): Summary {
  if (items.length === 0) return EMPTY;
  const which = (test: (item: RosterItem) => boolean): readonly string[] => {
    const jids = items.filter(test).map((item) => item.jid);
    return jids.length === 0 ? NOBODY : jids;
  };
  const requests = items.filter(isRequest).length;
  return {
    items: items.length - requests,
    requests,
    from: which(showsPresence),
    to: which(seesPresence),
    pending: which((item) => isAsked(item.state)),
  };
}

/** The list with or without the JID: the same list when that is how it was. */
function changed(list: readonly string[], jid: string, wanted: boolean): readonly string[] {
  if (list.includes(jid) === wanted) return list;
  if (wanted) return [...list, jid];
  return list.length === 1 ? NOBODY : list.filter((other) => other !== jid);
}
