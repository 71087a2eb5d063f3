// The removal of accounts and domains: what is kept of them goes, whatever comes between. An account is marked in the
// embedded store (`mongooseim_removals`) before it goes, a domain in its row of `domain_settings`; what an end of the
// process or a failure has cut short goes on at the next start, or some seconds later.

import type { RemovalStore } from "./auth/store.ts";
import type { C2S } from "./c2s/stream.ts";
import type { Domains } from "./domain/domains.ts";
import { hostsElsewhere, storesElsewhere } from "./elsewhere.ts";
import { Interrupted, insistOn, StreamError } from "./errors.ts";
import type { HostRuntime } from "./host.ts";
import type { BareJid } from "./jid.ts";
import type { Log } from "./log/index.ts";
import type { PersonalStore, Session } from "./module.ts";
import type { Sessions } from "./session/directory.ts";
import { UnderWay } from "./under-way.ts";
import type { Wheel } from "./wheel.ts";

/** After how long a removal that failed is tried again, in ms. */
const RETRY_MS = 10_000;
/** How long a removal waits for what has been begun before, in ms. */
const LAST_WORK_MS = 2_000;
/** How long what takes longer may store something that is deleted then, in ms. */
const LATE_MS = 60_000;
/** How often the log says how far the removal of a domain is, in ms. */
const PROGRESS_MS = 10_000;
/** Stores that nobody uses are asked so many at once: pools have room for others meanwhile. */
const AT_ONCE = 4;

/** What a removal has to do with of its node. */
export interface RemovalParts {
  readonly sessions: Sessions<C2S>;
  /** Streams without a session. */
  readonly waiting: ReadonlySet<C2S>;
  /** Streams that have ended and are not done with what had come before. */
  readonly parting: ReadonlySet<C2S>;
  /** What sessions that have ended still do. */
  readonly endings: UnderWay;
  /** What else stores something about accounts: mutations, features' own work. */
  readonly underWay: UnderWay;
  readonly domains: Domains<HostRuntime>;
  readonly hosts: ReadonlyMap<string, HostRuntime>;
  /** Of features that no host type runs. */
  unusedStores(): Iterable<PersonalStore>;
  readonly wheel: Wheel;
  readonly log: Log;
  now(): number;
}

/** What has been begun before a removal, and takes long. */
interface Late {
  readonly done: Promise<unknown>;
}

type Work = () => Promise<void>;

/** How everything of somebody is deleted. */
interface Erasure {
  /** By the features of his host type. */
  here(): Promise<void>;
  elsewhere(store: PersonalStore): Promise<void>;
  /** What nobody uses is asked several at once: it is many stores, and they have hardly anything. */
  readonly together?: true;
}

/**
 * Does some at once. What has failed is done once more, alone: a pool may let fewer requests wait. Rejects when all are
 * done and some have failed.
 */
async function severalAtOnce(works: readonly Work[]): Promise<void> {
  const rest = works.values();
  const again: Work[] = [];
  const lane = (): Promise<void> => insistOn(rest, (work) => work().catch(() => void again.push(work)));
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  await insistOn(again, (work) => work());
}

export class Removal {
  private stopping = false;
  /** Features do not run any more: nobody is there who would delete what is theirs. */
  private ended = false;
  /** Removals that are being done. */
  private readonly running = new UnderWay();
  /** Sessions that wait for a removal: it does not wait for them, nor does another. */
  private readonly asking = new Set<Session>();

  constructor(
    private readonly parts: RemovalParts,
    private readonly store: RemovalStore,
  ) {}

  /** Leaves removals of domains after the batch that is being deleted, and lets those of accounts come to their end. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.running.settled();
  }

  /** The features stop: what has not come to its end goes on at the next start. */
  end(): void {
    this.ended = true;
  }

  /** Goes on with the removals of accounts that were cut short; their names are not free from here on. */
  async resume(): Promise<void> {
    for (const jid of await this.store.all()) {
      const host = await this.hostOf(jid.domain);
      if (host !== undefined) void this.resumeOne(jid, host, host.auth.leaves(jid.local, jid.domain));
    }
  }

  /** Also of a domain that is disabled: it may be served again, and the account's name given to somebody else. */
  private async hostOf(domain: string): Promise<HostRuntime | undefined> {
    const { domains, hosts } = this.parts;
    const details = await domains.details(domain);
    return details && hosts.get(details.hostType);
  }

  /** Server.removeUser. */
  removeUser(jid: BareJid, removed?: () => void, asking?: Session): Promise<boolean> {
    const host = this.parts.domains.lookup(jid.domain);
    if (!host) return Promise.resolve(false);
    if (asking === undefined) return this.running.add(this.removeNow(jid, host, removed));
    this.asking.add(asking);
    return this.running.add(this.removeNow(jid, host, removed)).finally(() => this.asking.delete(asking));
  }

  private async removeNow(jid: BareJid, host: HostRuntime, removed?: () => void): Promise<boolean> {
    const free = host.auth.leaves(jid.local, jid.domain);
    let removing: boolean;
    try {
      await this.store.begin(jid, this.parts.now());
      removing = (await host.auth.remove(jid.local, jid.domain)) === "ok";
    } catch (error) {
      // Whether the account is gone is not known: somebody looks, and finishes what was begun.
      this.later(jid, host, free);
      throw error;
    }
    if (!removing) {
      await this.forget(jid, free);
      return false;
    }
    removed?.();
    await this.finish(jid, host, free);
    return true;
  }

  /** Nothing was removed. The mark goes too, unless it is that of another removal which is not done yet. */
  private async forget(jid: BareJid, free: () => boolean): Promise<void> {
    if (!free()) return;
    // A mark that stays is looked at with the next start.
    await this.store.end(jid).catch((error: unknown) => {
      this.parts.log.limited("removal", 10)?.error("user_removal_not_forgotten", { user: jid.text, error });
    });
  }

  /** Removes what is kept of an account that is gone, and frees its name. What fails is tried again. */
  private finish(jid: BareJid, host: HostRuntime, free: () => boolean, erase = this.eraseUser): Promise<void> {
    return this.running.add(this.finishNow(jid, host, free, erase));
  }

  private async finishNow(jid: BareJid, host: HostRuntime, free: () => boolean, erase = this.eraseUser): Promise<void> {
    try {
      const late = await erase.call(this, jid, host);
      if (late === undefined) {
        await this.store.end(jid);
        free();
        return;
      }
      // What it stores now would be left to whoever gets the name.
      void this.within(LATE_MS, late.done).then(() =>
        this.stopping ? undefined : this.finish(jid, host, free, this.eraseData),
      );
    } catch (error) {
      if (error instanceof Interrupted) {
        this.parts.log.notice("user_removal_interrupted", { user: jid.text });
        return;
      }
      this.parts.log.error("user_data_not_removed", { user: jid.text, error, retry_ms: RETRY_MS });
      this.later(jid, host, free);
    }
  }

  private later(jid: BareJid, host: HostRuntime, free: () => boolean): void {
    this.parts.wheel.after(RETRY_MS, () => void this.resumeOne(jid, host, free));
  }

  /** A removal that was cut short: it goes on when the account is gone, and is forgotten when it is not. */
  private async resumeOne(jid: BareJid, host: HostRuntime, free: () => boolean): Promise<void> {
    let there: boolean;
    try {
      there = await host.auth.keeps(jid.local, jid.domain);
    } catch (error) {
      this.parts.log.limited("removal", 10)?.error("user_removal_not_resumed", { user: jid.text, error });
      this.later(jid, host, free);
      return;
    }
    if (there) await this.forget(jid, free);
    else await this.finish(jid, host, free);
  }

  /** Resolves to what may still store something about the account. */
  private async eraseUser(jid: BareJid, host: HostRuntime): Promise<Late | undefined> {
    host.accountCache?.remove(jid.text);
    this.endStreams(jid);
    const first = await this.settled(LAST_WORK_MS);
    // Whoever was showing his password has a session now; and until a session is out of the directory its account is there.
    this.endStreams(jid);
    const late = await this.settled(first === undefined ? LAST_WORK_MS : 0);
    await this.eraseData(jid, host);
    return late;
  }

  private async eraseData(jid: BareJid, host: HostRuntime): Promise<undefined> {
    await this.erase(host, jid.text, {
      here: () => host.hooks.insist("remove_user", { jid }),
      elsewhere: (store) => store.removeUser(jid),
      together: true,
    });
  }

  /** Has everything of somebody deleted, in the stores of other host types too. Rejects, after all of it, when some failed. */
  private async erase(host: HostRuntime, of: string, { here, elsewhere, together }: Erasure): Promise<void> {
    const { hosts } = this.parts;
    const works: Work[] = [];
    for (const [, store] of storesElsewhere(host, hosts)) works.push(() => elsewhere(store));
    const unused = [...this.parts.unusedStores()].map((store) => () => elsewhere(store));
    works.push(...(together ? [() => severalAtOnce(unused)] : unused));
    for (const other of hostsElsewhere(host, hosts)) works.push(() => other.hooks.insist("stranger_removed", { of }));
    works.push(here);
    await insistOn(works, (work) => {
      if (this.ended) throw new Interrupted("The server stops");
      return work();
    });
  }

  /** Has everything of an anonymous account deleted that has ended with its last session. */
  async forgetAnonymous(jid: BareJid, host: HostRuntime | undefined): Promise<void> {
    if (host === undefined) return;
    for (const one of [host, ...hostsElsewhere(host, this.parts.hosts)]) {
      await one.hooks.notify("anonymous_purge", { jid });
    }
  }

  /** Ends the sessions of an account that was removed, and the streams that are about to be such. */
  private endStreams(jid: BareJid): void {
    const why = (): StreamError => new StreamError("conflict", "The account was removed");
    const sessions = [...this.parts.sessions.of(jid.text)];
    const arriving = [...this.parts.waiting].filter((s) => s.domain === jid.domain && s.nego?.local === jid.local);
    for (const session of sessions) session.close(why(), "kicked");
    for (const stream of arriving) stream.fail(why());
  }

  /** Ends the streams of a domain that is not served any more. */
  closeDomain(domain: string): void {
    const sessions = [...this.parts.sessions].filter((session) => session.domain === domain);
    const arriving = [...this.parts.waiting].filter((stream) => stream.domain === domain);
    for (const session of sessions) session.close(new StreamError("host-gone"), "kicked");
    for (const stream of arriving) stream.fail(new StreamError("host-gone"));
  }

  /**
   * Resolves when everything is done that has been begun, for whomever: stanzas that have come, ends of sessions,
   * operations. What it writes must come before everything of an account or a domain is deleted. Resolves to what is
   * left of it when that takes longer.
   */
  private async settled(ms: number): Promise<Late | undefined> {
    const { sessions, waiting, parting, endings, underWay } = this.parts;
    const works: Promise<unknown>[] = [endings.settled(), underWay.settled()];
    for (const streams of [sessions, waiting, parting]) {
      for (const stream of streams) {
        const begun = this.asking.has(stream) ? undefined : stream.begun;
        if (begun !== undefined) works.push(begun);
      }
    }
    const all = Promise.allSettled(works);
    return (await this.within(ms, all)) ? undefined : { done: all };
  }

  /** Waits for work, so long at most; whether it is done. */
  private async within(ms: number, work: Promise<unknown>): Promise<boolean> {
    let cancel: (() => void) | undefined;
    const late = new Promise<boolean>((resolve) => {
      cancel = this.parts.wheel.after(ms, () => resolve(false));
    });
    const done = await Promise.race([work.then(() => true), late]);
    cancel?.();
    return done;
  }

  /**
   * Deletes all that is kept of a domain, its accounts last: as long as something is left, the next try finds it. Large
   * tables are emptied in batches, so that other domains' traffic goes on. Rejects when something could not be deleted,
   * and when the server stops before the end.
   */
  eraseDomain(domain: string, host: HostRuntime): Promise<void> {
    return this.running.add(this.eraseDomainNow(domain, host));
  }

  private async eraseDomainNow(domain: string, host: HostRuntime): Promise<void> {
    const { log, wheel } = this.parts;
    host.accountCache?.removeDomain(domain);
    const late = await this.settled(LAST_WORK_MS);
    const begun = performance.now();
    const seconds = (): number => Math.round((performance.now() - begun) / 100) / 10;
    let rows = 0;
    const deleted = (n: number): void => {
      rows += n;
      if (this.stopping) throw new Interrupted("The server stops");
    };
    log.notice("domain_removal_begun", { domain, host_type: host.name });
    let cancel = wheel.after(PROGRESS_MS, function tell() {
      log.notice("domain_removal_goes_on", { domain, rows, seconds: seconds() });
      cancel = wheel.after(PROGRESS_MS, tell);
    });
    const erase = (): Promise<void> =>
      this.erase(host, domain, {
        here: () => host.hooks.insist("remove_domain", { domain, deleted }),
        elsewhere: (store) => store.removeDomain(domain, deleted),
      });
    try {
      await erase();
      if (late !== undefined) {
        await this.within(LATE_MS, late.done);
        deleted(0);
        await erase();
      }
      await host.auth.removeDomain(domain, deleted);
      await this.store.endAll(domain);
    } finally {
      cancel();
    }
    log.notice("domain_removed", { domain, rows, seconds: seconds() });
  }
}
