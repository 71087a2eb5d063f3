// Deletes what is older than [retention] says: one timer for all host types, small batches with pauses between them, so
// that nobody who sends a message waits for it. What one pass does not finish, the next one does.

import type { Retention as Section } from "../config/index.ts";
import type { Log } from "../log/index.ts";
import type { Registry } from "../metrics/registry.ts";
import { type DbStats, StorageError } from "../storage/db.ts";
import { SaneDate } from "./date.ts";
import { retentionMetrics } from "./metrics.ts";
import { type RetentionHost, type Target, targetsOf } from "./targets.ts";

/** After the start, so that a server that is restarted every day cleans up too; in ms. */
const FIRST_MS = 60_000;
/** Requests before a database that is busy with others. */
const BUSY = 500;
/** How long a batch waits for a busy database before the pass ends, in ms. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 500;
/** A clock that is ahead by more than this is told of. */
const AHEAD_MS = 60_000;

export interface RetentionParts {
  readonly config: Section;
  hosts(): Iterable<RetentionHost>;
  /** Domains in service. */
  domainsOf(hostType: string): readonly string[];
  /** Of all databases. */
  stats(): readonly DbStats[];
  /** Milliseconds since 1970, as the machine has it. */
  now(): number;
  /** Milliseconds of a clock that goes on evenly. */
  steady(): number;
  after(ms: number, run: () => void): () => void;
  sleep(ms: number): Promise<void>;
  readonly registry: Registry;
  readonly log: Log;
}

/** What a pass found, or deleted, of one store in one domain. */
export interface Cleaned {
  readonly domain: string;
  readonly kind: string;
  readonly module: string;
  /** Milliseconds since 1970: what is older than this. */
  readonly before: number;
  readonly count: number;
}

export interface PassOptions {
  /** Only this one. */
  readonly domain?: string;
  /** Count and delete nothing. */
  readonly dryRun: boolean;
}

/** What has been done since the last rest, by whichever targets. */
interface Pace {
  rows: number;
  /** performance.now() */
  begun: number;
}

/** The database is away, full or too busy: a pass ends, and the next one goes on. */
const endsPass = (error: unknown): boolean => error instanceof StorageError && error.code !== "syntax";

export class Retention {
  private stopped = false;
  private cancel: () => void = () => {};
  /** The passes before, one after the other. */
  private last: Promise<unknown> = Promise.resolve();
  private readonly metrics: ReturnType<typeof retentionMetrics>;
  private readonly date: SaneDate;

  constructor(private readonly parts: RetentionParts) {
    this.date = new SaneDate(parts.now, parts.steady);
    this.metrics = retentionMetrics(parts.registry);
  }

  start(): void {
    this.plan(Math.min(FIRST_MS, this.parts.config.interval * 1000));
  }

  /** Ends after the batch that is being deleted. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancel();
    await this.last.catch(() => {});
  }

  private plan(ms: number): void {
    if (this.stopped) return;
    this.cancel = this.parts.after(ms, () => {
      this.pass({ dryRun: false })
        // Each target has told its own.
        .catch(() => {})
        .finally(() => this.plan(this.parts.config.interval * 1000));
    });
  }

  /**
   * Deletes, or counts, what is too old. Passes follow each other. Rejects with the StorageError that ended it; what
   * was deleted before stays deleted.
   */
  pass(options: PassOptions): Promise<Cleaned[]> {
    const mine = this.last.catch(() => {}).then(() => this.work(options));
    this.last = mine;
    return mine;
  }

  private async work({ domain, dryRun }: PassOptions): Promise<Cleaned[]> {
    const done: Cleaned[] = [];
    const pace = { rows: 0, begun: performance.now() };
    let failure: unknown;
    for (const target of this.targets(domain)) {
      if (this.stopped) break;
      const before = this.today() - target.age;
      const { domain, kind, module, rows } = target;
      const row = (count: number): number => done.push({ domain, kind, module, before, count });
      try {
        if (dryRun) row(await rows.countBefore(domain, before));
        else await this.clean(target, before, pace, row);
      } catch (error) {
        failure ??= error;
        this.metrics.failed.bind({ host_type: target.hostType, kind }).add();
        this.parts.log.limited(`retention ${kind}`, 60)?.warning("retention_failed", { domain, kind, module, error });
        if (endsPass(error)) break;
      }
    }
    if (failure !== undefined) throw failure;
    return done;
  }

  private today(): number {
    const date = this.date.look();
    const ahead = this.parts.now() - date;
    if (ahead > AHEAD_MS) {
      const advice = "ages are reckoned from an earlier date; restart the server when the clock is right";
      const seconds = Math.round(ahead / 1000);
      this.parts.log.limited("retention clock", 3600)?.warning("retention_clock_ahead", { seconds, advice });
    }
    return date;
  }

  private *targets(domain: string | undefined): Generator<Target> {
    for (const host of this.parts.hosts()) {
      const domains = this.parts.domainsOf(host.name);
      yield* targetsOf(host, domain === undefined ? domains : domains.filter((d) => d === domain));
    }
  }

  private async clean(target: Target, before: number, pace: Pace, tell: (count: number) => void): Promise<void> {
    const { config, log, sleep } = this.parts;
    const { domain, kind, module, hostType } = target;
    let count = 0;
    try {
      await this.quiet();
      for await (const went of target.rows.deleteBefore(domain, before, config.batch_size)) {
        count += went;
        pace.rows += went;
        if (went > 0) this.metrics.deleted.bind({ host_type: hostType, kind }).add(went);
        // A clock that is set back makes young what was old before: the next pass sees.
        if (this.stopped || this.parts.now() - target.age < before) break;
        const took = performance.now() - pace.begun;
        if (pace.rows < config.batch_size && took < config.pause) continue;
        // Half of the database's time at most.
        await sleep(Math.max(config.pause, took));
        await this.quiet();
        pace.begun = performance.now();
        pace.rows = 0;
      }
    } finally {
      tell(count);
      if (count > 0) {
        log.notice("retention_deleted", { domain, kind, module, count, before: new Date(before).toISOString() });
      }
    }
  }

  /** Waits until the databases have little to do. Rejects when that does not happen. */
  private async quiet(): Promise<void> {
    const busy = (): boolean => this.parts.stats().some(({ queued }) => queued > BUSY);
    for (let waited = 0; busy(); waited += LOOK_MS) {
      if (waited >= PATIENCE_MS || this.stopped) throw new StorageError("unavailable", "The database is busy");
      await this.parts.sleep(LOOK_MS);
    }
  }
}
