// Domains that features answer for beside the domains that are served: vjud.@HOST@, pubsub.@HOST@. A template costs an
// entry per host type, however many domains the host type has: the domain is worked out from the address.

import type { AnyService, HostType, ModuleContext, ServiceAt } from "../module.ts";

/** Stands for the domain in the address of a service (`subdomainTemplate` of the configuration). */
const HOST = "@HOST@";

/** A service of one host type's feature. */
export interface ServiceEntry<H extends HostType = HostType> {
  readonly module: string;
  readonly host: H;
  readonly def: AnyService;
  readonly ctx: ModuleContext;
}

/** A service that was found at an address. */
export interface FoundService<H extends HostType = HostType> {
  readonly entry: ServiceEntry<H>;
  readonly at: ServiceAt;
}

/** The address of a service with the template `template` for `domain`. */
export function serviceAddress(template: string, domain: string): string {
  return template.replace(HOST, domain);
}

export class Services<H extends HostType> {
  private readonly whole = new Map<string, ServiceEntry<H>>();
  /** By what stands before the domain, then by host type. */
  private readonly under = new Map<string, Map<string, ServiceEntry<H>>>();
  /** Most labels that stand before a domain. */
  private labels = 0;

  constructor(private readonly hostOf: (domain: string) => H | undefined) {}

  /** Throws one line for the operator when the address is taken. */
  add(template: string, entry: ServiceEntry<H>): void {
    const taken = (other: ServiceEntry<H> | undefined): void => {
      if (other === undefined) return;
      throw new Error(
        `Cannot start modules.${entry.module} for host type "${entry.host.name}": its address "${template}" is that of modules.${other.module} for host type "${other.host.name}"`,
      );
    };
    if (!template.endsWith(`.${HOST}`)) {
      taken(this.whole.get(template));
      this.whole.set(template, entry);
      return;
    }
    const prefix = template.slice(0, -HOST.length - 1);
    const hosts = this.under.get(prefix) ?? new Map<string, ServiceEntry<H>>();
    taken(hosts.get(entry.host.name));
    hosts.set(entry.host.name, entry);
    this.under.set(prefix, hosts);
    this.labels = Math.max(this.labels, prefix.split(".").length);
  }

  /** Takes out every service of a host type's feature. */
  remove(module: string, host: H): void {
    const mine = (e: ServiceEntry<H>): boolean => e.module === module && e.host === host;
    for (const [domain, entry] of this.whole) if (mine(entry)) this.whole.delete(domain);
    for (const [prefix, hosts] of this.under) {
      for (const [name, entry] of hosts) if (mine(entry)) hosts.delete(name);
      if (hosts.size === 0) this.under.delete(prefix);
    }
  }

  /** The service at `domain`, which is no served domain. */
  find(domain: string): FoundService<H> | undefined {
    const whole = this.whole.get(domain);
    if (whole !== undefined) return { entry: whole, at: { domain, parent: undefined } };
    let dot = domain.indexOf(".");
    for (let n = 0; n < this.labels && dot > 0; n++, dot = domain.indexOf(".", dot + 1)) {
      const hosts = this.under.get(domain.slice(0, dot));
      if (hosts === undefined) continue;
      const parent = domain.slice(dot + 1);
      const entry = hosts.get(this.hostOf(parent)?.name ?? "");
      if (entry !== undefined) return { entry, at: { domain, parent } };
    }
    return undefined;
  }
}
