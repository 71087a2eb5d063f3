// A running job: goes through the users of the domain as there were when it was made, some pages a second, and notes how
// far it is after each. What is noted is what a restart begins with: after a crash, users of one page get the message
// twice, with the same id; after an orderly stop nobody does.

import { type Cursor, readCursor, writeCursor } from "../../core/auth/host.ts";
import { type BareJid, makeBare, parseBareJid } from "../../core/jid.ts";
import type { Counter, HostType, Server } from "../../core/module.ts";
import { type Job, message } from "./job.ts";
import type { BroadcastStore, Progress } from "./store.ts";

/** What a worker works with. */
export interface WorkerParts {
  readonly host: HostType;
  readonly server: Server;
  readonly store: BroadcastStore;
  readonly metrics: Readonly<Record<"processed" | "success" | "skipped", Counter>>;
  /** Whether messages may be sent now: the lease holds. */
  mayRun(): boolean;
  /** The database did not answer. The worker goes on when `mayRun` says so. */
  trouble(error: unknown): void;
  /** Whether an error is the database's, which goes by. */
  isTrouble(error: unknown): boolean;
}

/** How a worker ended: all have the message; it was told to stop; another node has the job. */
export type Ending = "finished" | "stopped" | "lost";

/** How often a worker looks whether it may go on, in ms. */
const LOOK = 250;
/** Pages a second: the server's wheel turns as often. */
const PAGES = 4;

export class Worker {
  /** Resolves when the worker has ended; rejects with what broke it. */
  readonly ended: Promise<Ending>;
  private stopped = false;
  private wake: (() => void) | undefined;
  /** When the next message is due (`Server.steady`). */
  private due = 0;

  constructor(
    readonly job: Job,
    private readonly parts: WorkerParts,
  ) {
    this.ended = this.run();
  }

  /** Ends it after the messages that are on their way. */
  stop(): Promise<unknown> {
    this.stopped = true;
    this.wake?.();
    return this.ended.catch(() => undefined);
  }

  private async run(): Promise<Ending> {
    const { store } = this.parts;
    const sender = parseBareJid(this.job.sender);
    let progress = await this.insist(() => store.getWorkerState(this.job.id));
    while (progress !== undefined) {
      if (progress.finished) return "finished";
      if (!(await this.ready())) break;
      const { cursor = { backend: 0, after: "" }, processed }: Progress = progress;
      const from: Cursor = { until: this.job.createdAt, ...cursor };
      const page = await this.insist(() => this.page(Math.ceil(this.job.rate / PAGES), from));
      if (page === undefined) break;
      const sent = await this.send(page.users, sender);
      const whole = sent === page.users.length;
      if (sent === 0 && !whole) break;
      const place = whole ? page : await this.insist(() => this.page(sent, from), true);
      if (place === undefined) break;
      const next: Progress = {
        cursor:
          place.cursor === undefined
            ? { ...cursor, after: place.users.at(-1) ?? cursor.after }
            : readCursor(place.cursor),
        processed: processed + sent,
        finished: whole && page.cursor === undefined,
      };
      const noted = await this.insist(() => store.updateWorkerState(this.job, this.parts.server.name, next), true);
      if (noted === false) return "lost";
      progress = noted && next;
    }
    return "stopped";
  }

  private page(limit: number, from: Cursor) {
    return this.parts.host.auth.snapshot(this.job.domain, limit, { cursor: writeCursor(from) });
  }

  /** Sends to a page of users, at the job's rate; tells how many were sent to. */
  private async send(users: readonly string[], sender: BareJid): Promise<number> {
    let sent = 0;
    while (sent < users.length && (await this.ready())) {
      const now = this.parts.server.steady();
      // After a wait the rate begins anew: what was not sent meanwhile is not made up for at once.
      if (now - this.due > 1000) this.due = now;
      const some = Math.min(users.length - sent, Math.floor(((now - this.due) * this.job.rate) / 1000) + 1);
      if (now < this.due) {
        await this.sleep(this.due - now);
        continue;
      }
      await Promise.all(users.slice(sent, sent + some).map((user) => this.sendTo(user, sender)));
      this.due += (some * 1000) / this.job.rate;
      sent += some;
    }
    return sent;
  }

  private async sendTo(user: string, sender: BareJid): Promise<void> {
    const { server, metrics } = this.parts;
    metrics.processed.add();
    try {
      const to = makeBare(user, this.job.domain);
      const routed = server.routeXml(sender, to, message(this.job, sender, to));
      if (routed !== undefined) await server.underWay.add(routed);
      metrics.success.add();
    } catch (error) {
      metrics.skipped.add();
      server.log.limited("broadcast_send", 60)?.warning("broadcast_send_failed", { error, job: this.job.id });
    }
  }

  /** Waits until messages may be sent and the domain is served. False when the worker is to stop. */
  private async ready(): Promise<boolean> {
    const { server, host, mayRun } = this.parts;
    while (!this.stopped && !(mayRun() && server.hostTypeOf(this.job.domain) === host)) await this.sleep(LOOK);
    return !this.stopped;
  }

  /**
   * Asks the database again and again until it answers. Undefined when the worker is to stop meanwhile.
   * @param once ask at least once, also of a worker that is to stop
   */
  private async insist<T>(ask: () => Promise<T>, once = false): Promise<T | undefined> {
    for (let tried = !once; !tried || !this.stopped; tried = true) {
      try {
        return await ask();
      } catch (error) {
        if (!this.parts.isTrouble(error)) throw error;
        this.parts.trouble(error);
      }
      if (!this.stopped) await this.sleep(LOOK);
      await this.ready();
    }
    return undefined;
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.parts.server.after(ms, resolve);
      this.wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
