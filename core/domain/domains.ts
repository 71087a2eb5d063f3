// Which domains are ours and which host type serves each: static `hosts` from the configuration, dynamic ones from the
// store. Enabled domains are a Map, so that the router asks without waiting; everything else asks the store.

import { Interrupted } from "../errors.ts";
import type { Log } from "../log/index.ts";
import { Turns } from "../turns.ts";
import { DELETING, DISABLED, type DomainRow, type DomainStore, ENABLED } from "./store.ts";

export type DomainStatus = "ENABLED" | "DISABLED" | "DELETING";
export interface DomainDetails {
  domain: string;
  hostType: string;
  status: DomainStatus;
  type: "STATIC" | "DYNAMIC";
}
export type DomainProblem = "static" | "not_found" | "duplicate" | "unknown_host_type" | "wrong_host_type";

const STATUS = ["DISABLED", "ENABLED", "DELETING"] as const;

/** More events than nodes write at the same moment: at start, so many before the newest are read once more. */
const UNCOMMITTED = 1000;

/** What happens when a domain stops being served, or goes for ever. */
export interface DomainEvents<H> {
  /** Sessions of the domain end. */
  closed(domain: string): void;
  /** Its data must go. Rejects when some is left; it is then called again, later or after a restart. */
  removed(domain: string, host: H): Promise<void>;
}

export class Domains<H extends { readonly name: string }> {
  private readonly enabled = new Map<string, H>();
  private readonly statics = new Set<string>();
  /** Rows of domains being removed, by their ids. Without `done` the removal was cut short or has failed, and will be tried again. */
  private readonly removals = new Map<DomainRow["id"], { row: DomainRow; host: H; done: Promise<void> | undefined }>();
  /** Changes of a domain that are made here, one after the other. */
  private readonly changes = new Turns();
  /** Domains that were changed here since others' changes were last asked for: what was read then is older. */
  private readonly changedHere = new Set<string>();
  private refreshed: Promise<unknown> = Promise.resolve();
  private dynamic = 0;
  /** Events up to here were read the time before last, when everything that had a lower number was committed. */
  private settled = 0;
  /** The newest event that was read. */
  private newest = 0;

  constructor(
    private readonly hosts: ReadonlyMap<string, H>,
    staticHosts: readonly string[],
    /** Absent without service_domain_db: then there are only static domains. */
    private readonly store: DomainStore | undefined,
    private readonly events: DomainEvents<H>,
    private readonly log: Log,
  ) {
    for (const host of staticHosts) {
      this.statics.add(host);
      this.enabled.set(host, hosts.get(host)!);
    }
  }

  /** The host type that serves a domain now. */
  lookup(domain: string): H | undefined {
    return this.enabled.get(domain);
  }

  get count(): number {
    return this.enabled.size;
  }

  get dynamicCount(): number {
    return this.dynamic;
  }

  isStatic(domain: string): boolean {
    return this.statics.has(domain);
  }

  /** Enabled domains of a host type, sorted. */
  ofHostType(hostType: string): string[] {
    const found: string[] = [];
    for (const [domain, host] of this.enabled) if (host.name === hostType) found.push(domain);
    return found.sort();
  }

  /** Reads the dynamic domains. Removals that were cut short go on, but for those of domains that are static now. */
  async load(): Promise<void> {
    const { store } = this;
    if (!store) return;
    this.newest = await store.lastEvent();
    this.settled = Math.max(0, this.newest - UNCOMMITTED);
    await this.readAll(store);
    await this.resumeRemovals();
  }

  /** Takes every dynamic domain as the store has it. Returns their names. */
  private async readAll(store: DomainStore): Promise<Set<string>> {
    const found = new Set<string>();
    const wanted: DomainRow[] = [];
    await store.all((rows) => {
      for (const row of rows) {
        const { id, domain, host_type, status } = row;
        const host = this.hosts.get(host_type);
        if (!host) continue; // a host type that was taken out of the configuration: MongooseIM ignores its domains too
        if (status === ENABLED) {
          found.add(domain);
          this.takeOver(domain, host);
        } else if (status === DELETING && this.statics.has(domain)) wanted.push(row);
        else if (status === DELETING && !this.removals.has(id)) this.removals.set(id, { row, host, done: undefined });
      }
    });
    for (const row of wanted) await this.giveUp(store, row);
    return found;
  }

  /** After events were forgotten that this node has not seen, for want of a database: everything is compared. */
  private async compareAll(store: DomainStore): Promise<void> {
    const found = await this.readAll(store);
    const missing = [...this.enabled.keys()].filter((domain) => !this.statics.has(domain) && !found.has(domain));
    // Those that were added meanwhile are no more missing than others.
    const there = new Set((await store.findMany(missing)).filter((r) => r.status === ENABLED).map((r) => r.domain));
    for (const domain of missing) if (!there.has(domain)) this.takeOver(domain, undefined);
  }

  /** Serves a domain or does so no longer, as another node has it, unless that is older than what was done here. */
  private takeOver(domain: string, host: H | undefined): void {
    if (this.changedHere.has(domain)) return;
    if (host === undefined) this.disable(domain);
    else this.enable(domain, host);
  }

  /** Takes over what other nodes have changed in the store since the last call, and resumes removals that failed. */
  refresh(): Promise<void> {
    const mine = this.refreshed.then(() => this.refreshNow());
    this.refreshed = mine.catch(() => {});
    return mine;
  }

  private async refreshNow(): Promise<void> {
    const { store } = this;
    if (!store) return;
    this.changedHere.clear();
    if ((await store.firstEvent()) > this.newest + 1) await this.compareAll(store);
    // Numbers are given before the commit: an event may appear after one with a higher number. What was read the last
    // time is read again, and by then the transactions of that time are over.
    const { last, domains } = await store.changedSince(this.settled);
    const rows = new Map((await store.findMany(domains)).map((row) => [row.domain, row]));
    for (const domain of domains) {
      const row = rows.get(domain);
      this.takeOver(domain, row?.status === ENABLED ? this.hosts.get(row.host_type) : undefined);
    }
    this.settled = this.newest;
    this.newest = Math.max(this.newest, last);
    await this.resumeRemovals();
  }

  async all(): Promise<DomainDetails[]> {
    const found: DomainDetails[] = [...this.statics].map((domain) => this.staticDetails(domain));
    await this.store?.all((rows) => {
      for (const { domain, host_type, status } of rows) {
        found.push({ domain, hostType: host_type, status: STATUS[status], type: "DYNAMIC" });
      }
    });
    return found;
  }

  async details(domain: string): Promise<DomainDetails | undefined> {
    if (this.statics.has(domain)) return this.staticDetails(domain);
    const row = await this.store?.find(domain);
    return row && { domain, hostType: row.host_type, status: STATUS[row.status], type: "DYNAMIC" };
  }

  private staticDetails(domain: string): DomainDetails {
    return { domain, hostType: domain, status: "ENABLED", type: "STATIC" };
  }

  async add(domain: string, hostType: string): Promise<DomainDetails | DomainProblem> {
    if (this.statics.has(domain)) return "static";
    const host = this.hosts.get(hostType);
    // Static host types serve just the domain they are named after.
    const { store } = this;
    if (!host || this.statics.has(hostType) || !store) return "unknown_host_type";
    return this.changes.take(domain, async () => {
      if (!(await store.add(domain, hostType))) {
        const there = await store.find(domain);
        return there && there.host_type !== hostType ? "wrong_host_type" : "duplicate";
      }
      this.enable(domain, host);
      this.changedHere.add(domain);
      return { domain, hostType, status: "ENABLED", type: "DYNAMIC" };
    });
  }

  /** Changes the status of a domain, here and in the store. Resolves to the row, or to undefined when it is gone. */
  private change(row: DomainRow, host: H, status: number): Promise<DomainRow | undefined> {
    return this.changes.take(row.domain, async () => {
      const now = await this.store?.setStatus(row, status);
      if (now?.status === ENABLED) this.enable(row.domain, host);
      else if (now !== undefined) this.disable(row.domain);
      if (now !== undefined) this.changedHere.add(row.domain);
      return now;
    });
  }

  async setEnabled(domain: string, on: boolean): Promise<DomainDetails | DomainProblem> {
    if (this.statics.has(domain)) return "static";
    const row = await this.store?.find(domain);
    if (!row || row.status === DELETING) return "not_found";
    const host = this.hosts.get(row.host_type);
    if (!host) return "unknown_host_type";
    const now = await this.change(row, host, on ? ENABLED : DISABLED);
    if (now === undefined || now.status === DELETING) return "not_found";
    return { domain, hostType: row.host_type, status: STATUS[now.status], type: "DYNAMIC" };
  }

  /** Removes a domain and its data. Without `wait` the data goes after the answer. */
  async remove(domain: string, hostType: string, wait: boolean): Promise<DomainDetails | DomainProblem> {
    if (this.statics.has(domain)) return "static";
    const host = this.hosts.get(hostType);
    if (!host) return "unknown_host_type";
    const row = await this.store?.find(domain);
    if (!row) return "not_found";
    if (row.host_type !== hostType) return "wrong_host_type";
    // First out of service and marked: a crash from here on is resumed at the next start.
    const marked = await this.change(row, host, DELETING).catch((error: unknown) => {
      // Whether it is marked is not known: `refresh` looks, and removes it when it is.
      if (!this.removals.has(row.id)) this.removals.set(row.id, { row, host, done: undefined });
      throw error;
    });
    if (marked === undefined) return "not_found";
    const erased = this.erase(row, host);
    if (wait) await erased;
    else this.watch(domain, erased);
    return { domain, hostType, status: "DELETING", type: "DYNAMIC" };
  }

  /** Removes a domain's data and then its row, once at a time. What failed is tried again with the next `refresh`. */
  private erase(row: DomainRow, host: H): Promise<void> {
    const running = this.removals.get(row.id)?.done;
    if (running) return running;
    const removal = { row, host, done: undefined as Promise<void> | undefined };
    this.removals.set(row.id, removal);
    removal.done = (async () => {
      try {
        await this.events.removed(row.domain, host);
        await this.store!.remove(row);
        this.removals.delete(row.id);
      } catch (error) {
        removal.done = undefined;
        throw error;
      }
    })();
    return removal.done;
  }

  /** Another node may have finished a removal meanwhile, and the domain may be in use again: then it is left alone. */
  private async resumeRemovals(): Promise<void> {
    const failed = [...this.removals.values()].filter(({ done }) => done === undefined);
    if (failed.length === 0) return;
    const rows = await this.store!.findMany(failed.map(({ row }) => row.domain));
    const deleting = new Set(rows.filter(({ status }) => status === DELETING).map(({ id }) => id));
    for (const { row, host } of failed) {
      if (deleting.has(row.id)) this.watch(row.domain, this.erase(row, host));
      else this.removals.delete(row.id);
    }
  }

  /** A domain that was put into `general.hosts` is to be served: what it stores from here on must not be deleted. */
  private async giveUp(store: DomainStore, row: DomainRow): Promise<void> {
    await store.remove(row);
    const advice = "the domain is in general.hosts: it is served, with what was left of its accounts and data";
    this.log.warning("domain_removal_given_up", { domain: row.domain, host_type: row.host_type, advice });
  }

  private watch(domain: string, erased: Promise<void>): void {
    erased.catch((error: unknown) => {
      if (error instanceof Interrupted) this.log.notice("domain_removal_interrupted", { domain });
      else this.log.error("domain_removal_failed", { domain, error });
    });
  }

  private enable(domain: string, host: H): void {
    if (this.statics.has(domain)) return;
    if (!this.enabled.has(domain)) this.dynamic++;
    this.enabled.set(domain, host);
  }

  private disable(domain: string): void {
    if (this.statics.has(domain) || !this.enabled.delete(domain)) return;
    this.dynamic--;
    this.events.closed(domain);
  }
}
