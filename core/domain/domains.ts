// Which domains are ours and which host type serves each: static `hosts` from the configuration, dynamic ones from the
// store. Enabled domains are a Map, so that the router asks without waiting; everything else asks the store.

import type { Log } from "../log/index.ts";
import { DELETING, DISABLED, type DomainStore, ENABLED } from "./store.ts";

export type DomainStatus = "ENABLED" | "DISABLED" | "DELETING";
export interface DomainDetails {
  domain: string;
  hostType: string;
  status: DomainStatus;
  type: "STATIC" | "DYNAMIC";
}
export type DomainProblem = "static" | "not_found" | "duplicate" | "unknown_host_type" | "wrong_host_type";

const STATUS = ["DISABLED", "ENABLED", "DELETING"] as const;

/** What happens when a domain stops being served, or goes for ever. */
export interface DomainEvents<H> {
  /** Sessions of the domain end. */
  closed(domain: string): void;
  /** Its data must go. */
  removed(domain: string, host: H): Promise<void>;
}

export class Domains<H extends { readonly name: string }> {
  private readonly enabled = new Map<string, H>();
  private readonly statics = new Set<string>();
  private dynamic = 0;
  private seen = 0;

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

  /** Reads the dynamic domains. Removals that were cut short go on. */
  async load(): Promise<void> {
    const { store } = this;
    if (!store) return;
    this.seen = await store.lastEvent();
    const unfinished: { domain: string; host: H }[] = [];
    await store.all((rows) => {
      for (const row of rows) {
        const host = this.hosts.get(row.host_type);
        if (!host) continue; // a host type that was taken out of the configuration: MongooseIM ignores its domains too
        if (row.status === ENABLED) this.enable(row.domain, host);
        else if (row.status === DELETING) unfinished.push({ domain: row.domain, host });
      }
    });
    for (const { domain, host } of unfinished) {
      this.erase(domain, host).catch((error: unknown) => this.log.error("domain_removal_failed", { domain, error }));
    }
  }

  /** Takes over what other nodes have changed in the store since the last call. */
  async refresh(): Promise<void> {
    const { store } = this;
    if (!store) return;
    const { last, domains } = await store.changedSince(this.seen);
    this.seen = last;
    for (const domain of domains) {
      const row = await store.find(domain);
      const host = row && this.hosts.get(row.host_type);
      if (host && row.status === ENABLED) this.enable(domain, host);
      else this.disable(domain);
    }
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
    if (!host || this.statics.has(hostType) || !this.store) return "unknown_host_type";
    if (!(await this.store.add(domain, hostType))) {
      const there = await this.store.find(domain);
      return there && there.host_type !== hostType ? "wrong_host_type" : "duplicate";
    }
    this.enable(domain, host);
    return { domain, hostType, status: "ENABLED", type: "DYNAMIC" };
  }

  async setEnabled(domain: string, on: boolean): Promise<DomainDetails | DomainProblem> {
    if (this.statics.has(domain)) return "static";
    const row = await this.store?.find(domain);
    if (!row || row.status === DELETING) return "not_found";
    const host = this.hosts.get(row.host_type);
    if (!host) return "unknown_host_type";
    await this.store!.setStatus(domain, on ? ENABLED : DISABLED);
    if (on) this.enable(domain, host);
    else this.disable(domain);
    return { domain, hostType: row.host_type, status: on ? "ENABLED" : "DISABLED", type: "DYNAMIC" };
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
    await this.store!.setStatus(domain, DELETING);
    this.disable(domain);
    const erased = this.erase(domain, host);
    if (wait) await erased;
    else erased.catch((error: unknown) => this.log.error("domain_removal_failed", { domain, error }));
    return { domain, hostType, status: "DELETING", type: "DYNAMIC" };
  }

  private async erase(domain: string, host: H): Promise<void> {
    await this.events.removed(domain, host);
    await this.store!.remove(domain);
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
