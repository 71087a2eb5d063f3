// What [retention] bounds: each store that takes part, for each domain with a finite age.

import type { HostConfig } from "../config/index.ts";
import type { Retained, RetentionKind, RunningModule } from "../module.ts";

const DAY = 86_400_000;

/** A host type, as far as retention goes. */
export interface RetentionHost {
  readonly name: string;
  readonly config: Pick<HostConfig, "retention">;
  readonly modules: ReadonlyMap<string, RunningModule>;
}

/** Rows of a domain in one feature's store. */
export interface Target {
  readonly hostType: string;
  readonly domain: string;
  readonly kind: RetentionKind;
  readonly module: string;
  readonly rows: Retained;
  /** Milliseconds. */
  readonly age: number;
}

/**
 * The targets of a host type.
 * @param domains those to look at
 */
export function* targetsOf(host: RetentionHost, domains: Iterable<string>): Generator<Target> {
  const { retention } = host.config;
  const stores: Omit<Target, "domain" | "age">[] = [];
  for (const [module, { def, ctx }] of host.modules) {
    for (const [kind, open] of Object.entries(def.retention ?? {})) {
      stores.push({ hostType: host.name, kind: kind as RetentionKind, module, rows: open(ctx.store) });
    }
  }
  if (stores.length === 0) return;
  for (const domain of domains) {
    const own = retention.domains.find((table) => table.domain === domain);
    for (const store of stores) {
      const days = own?.[store.kind] ?? retention[store.kind];
      if (days !== Number.POSITIVE_INFINITY) yield { ...store, domain, age: days * DAY };
    }
  }
}
