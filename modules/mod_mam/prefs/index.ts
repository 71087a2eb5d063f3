// XEP-0441: what an owner wants archived. Asked for every message, so that it is kept in memory.

import { BoundedMap } from "../../../core/bounded-map.ts";
import type { MaybePromise } from "../../../core/hooks.ts";
import type { BareJid, Jid } from "../../../core/jid.ts";
import { Turns } from "../../../core/turns.ts";
import type { Behaviour } from "../backend.ts";
import type { Preference, PreferenceStore } from "./store.ts";

export { type Preference, PreferenceStore } from "./store.ts";

/** JIDs of preferences in memory, each owner counted as one more. */
const REMEMBERED = 100_000;
/** How long they are trusted: they may be set on another node. Milliseconds. */
const LIFE = 60_000;

/** What those have who have said nothing. */
export const UNSAID: Preference = { default: "A", jids: new Map() };

interface Remembered {
  readonly preference: Preference;
  readonly until: number;
}

export class Preferences {
  private readonly memory = new BoundedMap<string, Remembered>(
    REMEMBERED,
    ({ preference }) => preference.jids.size + 1,
  );
  /** What is done about one owner is done one after the other: a set is not overtaken by a read that began before. */
  private readonly turns = new Turns();

  /**
   * @param inRoster whether a JID is a contact of an owner
   * @param mostJids JIDs that an owner may name
   * @param steady `Server.steady`
   */
  constructor(
    private readonly store: PreferenceStore,
    private readonly inRoster: (owner: BareJid, contact: BareJid) => MaybePromise<boolean>,
    readonly mostJids: number,
    private readonly steady: () => number,
  ) {}

  /** Whether a message to or from `remote` goes to the archive of `owner`. Rejects when the database does not answer. */
  shouldArchive(owner: BareJid, remote: Jid): MaybePromise<boolean> {
    const preference = this.of(owner);
    if (preference instanceof Promise) return preference.then((found) => this.wants(found, owner, remote));
    return this.wants(preference, owner, remote);
  }

  /** What an owner has said, or what counts when he has said nothing; at once when it is in memory. */
  of(owner: BareJid): MaybePromise<Preference> {
    return this.remembered(owner) ?? this.turns.take(owner.text, () => this.read(owner));
  }

  /** Resolves when it is durable. */
  set(owner: BareJid, preference: Preference): Promise<void> {
    return this.turns.take(owner.text, async () => {
      // Whether the write has been done is not known when it fails.
      this.memory.delete(owner.text);
      await this.store.save(owner, preference);
      this.remember(owner, preference);
    });
  }

  /** The rows of an owner are gone, or of all owners of a domain. */
  forget(owner: BareJid): void {
    this.memory.delete(owner.text);
  }

  forgetAll(): void {
    this.memory.clear();
  }

  private remembered({ text }: BareJid): Preference | undefined {
    const found = this.memory.get(text);
    return found !== undefined && found.until > this.steady() ? found.preference : undefined;
  }

  private remember({ text }: BareJid, preference: Preference): void {
    this.memory.set(text, { preference, until: this.steady() + LIFE });
  }

  private async read(owner: BareJid): Promise<Preference> {
    const meanwhile = this.remembered(owner);
    if (meanwhile !== undefined) return meanwhile;
    const preference = (await this.store.load(owner)) ?? UNSAID;
    this.remember(owner, preference);
    return preference;
  }

  private wants(preference: Preference, owner: BareJid, remote: Jid): MaybePromise<boolean> {
    const said = behaviour(preference, remote);
    return said === "R" ? this.inRoster(owner, remote.bare) : said === "A";
  }
}

/** What is said of a JID: of itself first, then of its account, then of all (XEP-0441 §2.2). */
export function behaviour({ default: byDefault, jids }: Preference, remote: Jid): Behaviour {
  if (jids.size === 0) return byDefault;
  return jids.get(remote.text) ?? jids.get(remote.bare.text) ?? byDefault;
}
