// What is kept about somebody where the features of his own host type do not look: in the databases of others, where he
// has published in somebody's node, say, and in the tables of features that his host type does not run.

import type { HostRuntime } from "./host.ts";
import type { PersonalStore } from "./module.ts";
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
