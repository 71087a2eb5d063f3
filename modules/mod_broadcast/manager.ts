// The broadcasts of a host type on this node: starts and ends their workers, and keeps the leases that say which node
// sends them. While the database cannot be asked nobody sends ("emergency"): another node may have the jobs by then.

import { JidError } from "../../core/jid.ts";
import type { ModuleContext } from "../../core/module.ts";
import { OperationError } from "../../core/operations.ts";
import { StorageError } from "../../core/storage/db.ts";
import { badParameter, type Job, type JobSpec } from "./job.ts";
import type { BroadcastStore } from "./store.ts";
import { type Ending, Worker } from "./worker.ts";

export type Metric =
  | "mod_broadcast_live_jobs_count"
  | "mod_broadcast_jobs_started_count"
  | "mod_broadcast_jobs_finished_count"
  | "mod_broadcast_jobs_aborted_admin_count"
  | "mod_broadcast_jobs_aborted_error_count"
  | "mod_broadcast_recipients_processed_count"
  | "mod_broadcast_recipients_success_count"
  | "mod_broadcast_recipients_skipped_count";
export interface Options {
  /** Seconds. */
  readonly lease_time: number;
}
export type Context = ModuleContext<Options, BroadcastStore, Metric>;

/** What the database says of a statement that would be wrong again. */
const LASTING: ReadonlySet<string> = new Set(["constraint", "corrupt", "syntax"]);

/** Whether an error is the database's, and one that goes by. */
const goesBy = (error: unknown): boolean => error instanceof StorageError && !LASTING.has(error.code);

/** Most ms between two tries to reach the database. */
const MOST_PATIENT = 30_000;

export class Manager {
  /** "emergency" until the database has told which jobs are this node's. */
  mode: "normal" | "emergency" = "emergency";
  /** Workers by job. */
  readonly workers = new Map<number, Worker>();
  private stopped = false;
  /** Until when the leases hold, by `Server.steady`. */
  private leaseUntil = 0;
  private cancelSync: (() => void) | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly ctx: Context) {}

  /** Begins to work; jobs that were running when the node stopped go on. */
  start(): Promise<void> {
    return this.sync();
  }

  /** Ends the workers, each after noting how far it is; the jobs stay as they are. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelSync?.();
    await this.last;
    await Promise.all([...this.workers.values()].map((worker) => worker.stop()));
  }

  // --- what administrators ask for ---

  /** Makes a job and begins with it; resolves to its id. Throws OperationError. */
  startJob(spec: JobSpec): Promise<number> {
    return this.exclusive(async () => {
      if (this.mode === "emergency") throw unavailable();
      try {
        return await this.create(spec);
      } catch (error) {
        if (!goesBy(error)) throw error;
        this.trouble(error);
        throw unavailable();
      }
    });
  }

  private async create(spec: JobSpec): Promise<number> {
    const { host, store, server, config, metrics, log } = this.ctx;
    const recipientCount = await host.auth.count(spec.domain);
    const bad = badParameter(spec);
    if (bad === "message_rate") throw badParameterError(bad);
    const { sender } = spec;
    // Nobody else's name, nor that of another domain's user.
    if (sender.domain !== spec.domain || !(await host.auth.exists(sender.local, sender.domain))) {
      throw new OperationError("sender_not_found", "Sender account does not exist");
    }
    if (recipientCount === 0) throw new OperationError("no_recipients", "Recipient group is empty");
    if (bad !== undefined) throw badParameterError(bad);
    const id = await store.createJob({ ...spec, hostType: host.name, recipientCount }, server.name, config.lease_time);
    const job = id === undefined ? undefined : await store.getJob(id);
    if (job === undefined) {
      const text = "Cannot start new broadcast job: running job limit exceeded";
      throw new OperationError("running_job_limit_exceeded", text);
    }
    metrics.mod_broadcast_jobs_started_count.add();
    await store.setStarted(job.id);
    log.info("broadcast_job_started", { job: job.id, domain: job.domain, recipients: recipientCount });
    this.launch(job);
    return job.id;
  }

  /** Ends a running job of the domain. Throws OperationError. */
  abort(domain: string, id: number): Promise<void> {
    return this.exclusive(async () => {
      const job = await this.ctx.store.getJob(id);
      if (job === undefined || job.domain !== domain) throw notFound();
      if (job.state !== "running") throw notRunning();
      if (job.owner !== this.ctx.server.name) {
        throw new OperationError("cannot_reach_job_owner_node", "Cannot reach the node managing the broadcast job");
      }
      if (!(await this.abortOwn(id))) throw notRunning();
    });
  }

  /** Ends all running jobs of a domain that is being removed. */
  abortDomain(domain: string): Promise<void> {
    return this.exclusive(async () => {
      for (const { job } of [...this.workers.values()]) if (job.domain === domain) await this.abortOwn(job.id);
    });
  }

  private async abortOwn(id: number): Promise<boolean> {
    await this.workers.get(id)?.stop();
    if (!(await this.ctx.store.end(id, "abort_admin"))) return false;
    this.ctx.metrics.mod_broadcast_jobs_aborted_admin_count.add();
    this.ctx.log.info("broadcast_job_aborted_by_admin", { job: id });
    return true;
  }

  // --- workers ---

  private launch(job: Job): void {
    const { host, server, store, metrics } = this.ctx;
    const worker = new Worker(job, {
      host,
      server,
      store,
      metrics: {
        processed: metrics.mod_broadcast_recipients_processed_count,
        success: metrics.mod_broadcast_recipients_success_count,
        skipped: metrics.mod_broadcast_recipients_skipped_count,
      },
      mayRun: () => this.mode === "normal" && server.steady() < this.leaseUntil,
      trouble: (error) => this.trouble(error),
      isTrouble: goesBy,
    });
    this.workers.set(job.id, worker);
    metrics.mod_broadcast_live_jobs_count.add();
    const gone = () => {
      if (this.workers.get(job.id) === worker) this.workers.delete(job.id);
      metrics.mod_broadcast_live_jobs_count.add(-1);
    };
    worker.ended.then(
      (ending) => this.ended(job, ending).finally(gone),
      (error: unknown) => this.broke(job, error).finally(gone),
    );
  }

  private async ended(job: Job, ending: Ending): Promise<void> {
    const { store, metrics, log } = this.ctx;
    if (ending === "lost") log.warning("broadcast_job_lost", { job: job.id });
    if (ending !== "finished") return;
    try {
      if (!(await store.end(job.id, "finished"))) return;
      metrics.mod_broadcast_jobs_finished_count.add();
      log.info("broadcast_job_finished", { job: job.id, domain: job.domain });
    } catch (error) {
      // The next look at the database finds the job running, and its worker finished.
      this.trouble(error);
    }
  }

  /** What a worker cannot go on with would be there again after a restart: the job ends. */
  private async broke(job: Job, error: unknown): Promise<void> {
    const { store, metrics, log } = this.ctx;
    const reason = error instanceof JidError ? `The sender is no JID: ${error.message}` : String(error);
    log.error("broadcast_job_aborted_error", { job: job.id, domain: job.domain, error });
    try {
      if (await store.end(job.id, "abort_error", reason)) metrics.mod_broadcast_jobs_aborted_error_count.add();
    } catch (failure) {
      this.trouble(failure);
    }
  }

  // --- leases ---

  /** The database does not answer: nobody sends until it has told again which jobs are this node's. */
  private trouble(error: unknown): void {
    if (this.mode === "emergency") return;
    this.mode = "emergency";
    this.ctx.log.warning("broadcast_entering_emergency_mode", { error });
    this.schedule();
  }

  private schedule(): void {
    this.cancelSync?.();
    if (this.stopped) return;
    const lease = this.ctx.config.lease_time * 1000;
    const ms = this.mode === "normal" ? (lease * 2) / 3 : Math.min(MOST_PATIENT, lease / 10);
    this.cancelSync = this.ctx.server.after(ms, () => void this.sync());
  }

  /** Takes jobs whose node is gone, renews the leases, and sees to it that there is a worker for each own job. */
  private sync(): Promise<void> {
    return this.exclusive(async () => {
      const { host, store, server, config, log } = this.ctx;
      const begun = server.steady();
      try {
        const taken = await store.takeExpiredJobs(host.name, server.name, config.lease_time);
        await store.renewOwnership(host.name, server.name, config.lease_time);
        const own = await store.getRunningJobs(host.name, server.name);
        // What was taken may be further than a worker of ours knows: it begins anew.
        const kept = new Set(own.map((job) => job.id).filter((id) => !taken.includes(id)));
        for (const worker of [...this.workers.values()]) if (!kept.has(worker.job.id)) await worker.stop();
        this.leaseUntil = begun + config.lease_time * 1000;
        if (this.mode === "emergency") log.info("broadcast_jobs_synchronised", { jobs: own.length });
        this.mode = "normal";
        for (const job of own) if (!this.workers.has(job.id)) this.resume(job);
      } catch (error) {
        this.mode = "emergency";
        log.limited("broadcast_sync", 60)?.error("broadcast_job_synchronization_failed", { error });
      }
      this.schedule();
    });
  }

  private resume(job: Job): void {
    if (this.stopped) return;
    this.ctx.log.info("broadcast_job_resumed", { job: job.id, domain: job.domain, processed: job.processed });
    this.launch(job);
  }

  /** One after the other: what one changes the next must know. */
  private exclusive<T>(run: () => Promise<T>): Promise<T> {
    const done = this.last.then(run);
    this.last = done.catch(() => undefined);
    return done;
  }
}

export const notFound = (): OperationError => new OperationError("broadcast_not_found", "Broadcast job not found");
const notRunning = (): OperationError =>
  new OperationError("not_running", "The broadcast job is not currently running");
const unavailable = (): OperationError =>
  new OperationError("temporarily_unavailable", "Broadcast manager is temporarily unavailable");
const badParameterError = (name: string): OperationError =>
  new OperationError("bad_parameter", `Invalid parameter: ${name}`);
