// The options of one host type: what host_config says, over the sections above it.
import type {
  Access,
  Acl,
  Auth,
  General,
  HostConfigTable,
  Modules,
  OutgoingPools,
  Retention,
  S2s,
  Sections,
} from "./schema.ts";

/** The options of one host type. */
export interface HostConfig {
  readonly hostType: string;
  readonly general: General;
  readonly auth: Auth;
  readonly modules: Modules;
  readonly acl: Acl;
  readonly access: Access;
  readonly s2s: S2s;
  /** Pools of the top level, and those that this host type has for itself, which win. */
  readonly outgoing_pools: OutgoingPools;
  readonly retention: Retention;
}

/**
 * Puts the options of a host type over the global ones, as MongooseIM 6.8 documents it: options of `general`, ages of
 * `retention` and pools one by one; `auth`, `modules` and `s2s` as a whole; classes of `acl` united; rules of `access` extended.
 */
export function hostConfigOf(hostType: string, sections: Sections): HostConfig {
  const own: HostConfigTable | undefined = sections.host_config.find(
    (table) => (table.host_type ?? table.host) === hostType,
  );
  return {
    hostType,
    general: { ...sections.general, ...defined(own?.general) },
    auth: own?.auth ?? sections.auth,
    modules: own?.modules ?? sections.modules,
    acl: merged(sections.acl, own?.acl, (above, added) => [...above, ...added]),
    access: merged(sections.access, own?.access, extendedRule),
    s2s: own?.s2s ?? sections.s2s,
    outgoing_pools: poolsOf(sections.outgoing_pools, own?.outgoing_pools),
    retention: { ...sections.retention, ...defined(own?.retention) },
  };
}

type Rule = Access[string];

/** Clauses of a host type come after those above it, but before a last clause that lets everyone in. */
function extendedRule(above: Rule, added: Rule): Rule {
  const last = above.at(-1);
  if (last?.acl === "all" && last.value === "allow") return [...above.slice(0, -1), ...added, last];
  return [...above, ...added];
}

function merged<T>(above: Record<string, T>, own: Record<string, T> | undefined, join: (above: T, own: T) => T) {
  const all = { ...above };
  for (const [name, added] of Object.entries(own ?? {})) {
    all[name] = Object.hasOwn(above, name) ? join(above[name], added) : added;
  }
  return all;
}

function poolsOf(above: OutgoingPools, own: HostConfigTable["outgoing_pools"]): OutgoingPools {
  const all: Record<string, Record<string, unknown>> = { ...above };
  for (const [kind, pools] of Object.entries(own ?? {})) {
    all[kind] = { ...all[kind] };
    for (const [tag, pool] of Object.entries(pools ?? {})) all[kind][tag] = { ...pool, scope: "host_type" };
  }
  return all as OutgoingPools;
}

function defined<T extends object>(table: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(table ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>;
}
