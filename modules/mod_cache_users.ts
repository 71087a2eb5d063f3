// Which accounts exist, kept in memory: a stanza for an account without a session need not ask the authentication back
// end whether there is such an account. Only that an account exists is remembered, never that it does not.

import { z } from "zod";
import { enumOf, positive, positiveOrInfinity } from "../core/config/types.ts";
import { type AccountCache, defineModule, type MetricDef, type ModuleContext } from "../core/module.ts";

const MINUTE_MS = 60_000;
/** Accounts of one segment, so that memory is bounded whatever the time to live: a full one is closed early. */
const MOST_OF_A_SEGMENT = 50_000;

const config = z.strictObject({
  number_of_segments: positive().default(3).describe("Generations of the cache"),
  strategy: enumOf("fifo", "lru").default("fifo").describe("What is forgotten first"),
  time_to_live: positiveOrInfinity().default(480).describe("Life of a generation, minutes"),
});
type Config = z.output<typeof config>;

const labels = { cache_name: (hostType: string) => `mod_cache_users_${hostType}` };
const metrics = {
  user_cache_lookup_hits: { kind: "gauge", help: "Cache look-ups that found something", labels },
  user_cache_lookup_misses: { kind: "gauge", help: "Cache look-ups that found nothing", labels },
  user_cache_lookup_latency: { kind: "histogram", help: "Time of a cache look-up, microseconds", labels },
} as const satisfies Record<string, MetricDef>;
type Context = ModuleContext<Config, undefined, keyof typeof metrics>;

/** Segments of a cache, the newest first; the oldest is dropped when a new one begins. */
export class AccountSegments implements AccountCache {
  private readonly segments: Set<string>[];
  removals = 0;

  constructor(
    segments: number,
    private readonly lru: boolean,
    private readonly metrics?: Context["metrics"],
  ) {
    this.segments = Array.from({ length: segments }, () => new Set<string>());
  }

  has(jid: string): boolean {
    const began = performance.now();
    const found = this.find(jid);
    const { metrics } = this;
    if (metrics === undefined) return found;
    (found ? metrics.user_cache_lookup_hits : metrics.user_cache_lookup_misses).add();
    metrics.user_cache_lookup_latency.add(Math.round((performance.now() - began) * 1000));
    return found;
  }

  private find(jid: string): boolean {
    const at = this.segments.findIndex((segment) => segment.has(jid));
    if (at > 0 && this.lru) {
      this.segments[at].delete(jid);
      this.add(jid);
    }
    return at >= 0;
  }

  add(jid: string): void {
    if (this.segments[0].size >= MOST_OF_A_SEGMENT) this.rotate();
    this.segments[0].add(jid);
  }

  /** A new segment begins; what is only in the oldest is forgotten. */
  rotate(): void {
    const oldest = this.segments.pop()!;
    oldest.clear();
    this.segments.unshift(oldest);
  }

  remove(jid: string): void {
    this.removals++;
    for (const segment of this.segments) segment.delete(jid);
  }

  removeDomain(domain: string): void {
    this.removals++;
    const end = `@${domain}`;
    for (const segment of this.segments) for (const jid of segment) if (jid.endsWith(end)) segment.delete(jid);
  }
}

/** Ends the rotation of a host type's cache. */
const STOPS = new WeakMap<object, () => void>();

function rotateEvery(minutes: number, cache: AccountSegments, { server }: Context): () => void {
  if (!Number.isFinite(minutes)) return () => {};
  const next = (): (() => void) =>
    server.after(minutes * MINUTE_MS, () => {
      cache.rotate();
      cancel = next();
    });
  let cancel = next();
  return () => cancel();
}

export default defineModule({
  name: "mod_cache_users",
  xeps: [],
  config,
  metrics,
  start(ctx: Context) {
    const { number_of_segments, strategy, time_to_live } = ctx.config;
    const cache = new AccountSegments(number_of_segments, strategy === "lru", ctx.metrics);
    ctx.host.accountCache = cache;
    STOPS.set(ctx, rotateEvery(time_to_live, cache, ctx));
  },
  stop(ctx: Context) {
    STOPS.get(ctx)?.();
    ctx.host.accountCache = undefined;
  },
});
