// What is kept about somebody where the features of his own host type do not look: in the databases of others, where he
// has published in somebody's node, say, and in the tables of features that his host type does not run, or nobody any more.

import type { HostRuntime } from "./host.ts";
import type { AnyModule, PersonalStore } from "./module.ts";
import type { Db } from "./storage/db.ts";

type Host = Pick<HostRuntime, "stores">;

/** The host types beside one that have such stores. */
export const hostsElsewhere = <H extends Host>(own: H, hosts: ReadonlyMap<string, H>): ReadonlySet<H> =>
  new Set([...storesElsewhere(own, hosts)].map(([other]) => other));

/** The stores beside those of a host type, with the host type that runs each: of a feature in a database, one. */
export function* storesElsewhere<H extends Host>(own: H, hosts: ReadonlyMap<string, H>): Generator<[H, PersonalStore]> {
  const seen = new Map<string, Set<Db>>();
  for (const host of [own, ...hosts.values()]) {
    for (const [feature, { db, store }] of host.stores) {
      const databases = seen.get(feature) ?? new Set();
      seen.set(feature, databases);
      if (databases.has(db)) continue;
      databases.add(db);
      if (host !== own) yield [host, store];
    }
  }
}

/**
 * Stores of features that no host type runs in a database: what they have kept there may come to light again with them.
 * @param databases where features may keep something
 */
export function* unusedStores(
  features: Iterable<AnyModule>,
  databases: Iterable<Db>,
  hosts: ReadonlyMap<string, Host>,
): Generator<PersonalStore> {
  const dbs = [...databases];
  const running = [...hosts.values()];
  for (const { name, store } of features) {
    if (store === undefined) continue;
    for (const db of dbs)
      if (!running.some(({ stores }) => stores.get(name)?.db === db)) yield store(db) as PersonalStore;
  }
}
