// Broadcasts in MongooseIM's tables: `broadcast_jobs`; `broadcast_jobs_ownership`, leases of the nodes that send them;
// `broadcast_worker_state`, how far they are.

import type { Cursor } from "../../core/auth/host.ts";
import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { asBoolean, asTime, type Db, type SqlValue, StorageError } from "../../core/storage/db.ts";
import { DIALECTS, LIMIT_OFFSET } from "../../core/storage/dialect.ts";
import type { Job, JobSpec, JobState } from "./job.ts";

/** How far a job is. */
export interface Progress {
  /** After which user it goes on; undefined at the beginning. */
  readonly cursor: Omit<Cursor, "until"> | undefined;
  readonly processed: number;
  readonly finished: boolean;
}

interface JobRow {
  id: SqlValue;
  name: string;
  server: string;
  host_type: string;
  from_jid: string;
  subject: string;
  body: string;
  rate: SqlValue;
  recipient_count: SqlValue;
  execution_state: JobState;
  abortion_reason: string | null;
  created_at: string | Date;
  started_at: string | Date | null;
  stopped_at: string | Date | null;
  owner_node: string | null;
  recipients_processed: SqlValue | null;
}

const JOBS = `SELECT j.id, j.name, j.server, j.host_type, j.from_jid, j.subject, j.body, j.rate, j.recipient_count,
  j.execution_state, j.abortion_reason, j.created_at, j.started_at, j.stopped_at, o.owner_node, w.recipients_processed
  FROM broadcast_jobs j LEFT JOIN broadcast_jobs_ownership o ON o.broadcast_id = j.id
  LEFT JOIN broadcast_worker_state w ON w.broadcast_id = j.id`;
const RUNNING_OF = "SELECT id FROM broadcast_jobs WHERE host_type = ? AND execution_state = 'running'";

export class BroadcastStore implements PersonalStore {
  constructor(private readonly db: Db) {}

  private get dialect() {
    return DIALECTS[this.db.dialect];
  }

  /**
   * Makes a running job that `node` owns for `lease` seconds. Undefined when the domain has a running job already;
   * of two that are made at the same time at least one is given up.
   */
  async createJob(
    spec: JobSpec & { hostType: string; recipientCount: number },
    node: string,
    lease: number,
  ): Promise<number | undefined> {
    const { domain } = spec;
    if ((await this.running(domain)).length > 0) return undefined;
    const { now, secondsFromNow } = this.dialect;
    const made = "broadcast_jobs WHERE server = ? AND execution_state = 'running'";
    const { name, hostType, sender, subject, body, rate, recipientCount } = spec;
    const making = this.db.transaction([
      {
        sql: `INSERT INTO broadcast_jobs
          (name, server, host_type, from_jid, subject, body, rate, recipient_group, recipient_count)
          VALUES (?, ?, ?, ?, ?, ?, ?, 'all_users_in_domain', ?)`,
        params: [name, domain, hostType, sender.text, subject, body, rate, recipientCount],
      },
      {
        sql: `INSERT INTO broadcast_jobs_ownership (broadcast_id, owner_node, updated_at, expires_at)
          SELECT MAX(id), ?, ${now}, ${secondsFromNow} FROM ${made}`,
        params: [node, lease, domain],
      },
      { sql: `INSERT INTO broadcast_worker_state (broadcast_id) SELECT MAX(id) FROM ${made}`, params: [domain] },
    ]);
    try {
      await making;
    } catch (error) {
      // The newest job of the domain is another node's, made at the same time.
      if (error instanceof StorageError && error.code === "constraint") return undefined;
      throw error;
    }
    const running = await this.running(domain);
    const own = running.find((job) => job.owner_node === node);
    if (own === undefined) return undefined;
    if (running.length > 1) {
      await this.db.execute("DELETE FROM broadcast_jobs WHERE id = ?", [own.id]);
      return undefined;
    }
    return Number(own.id);
  }

  /** The running jobs of a domain: one, unless two nodes are making one at the same time. */
  private running(domain: string): Promise<{ id: SqlValue; owner_node: string | null }[]> {
    return this.db.query(
      `SELECT j.id, o.owner_node FROM broadcast_jobs j LEFT JOIN broadcast_jobs_ownership o ON o.broadcast_id = j.id
       WHERE j.server = ? AND j.execution_state = 'running'`,
      [domain],
    );
  }

  async getJob(id: number): Promise<Job | undefined> {
    const [row] = await this.db.query<JobRow>(`${JOBS} WHERE j.id = ?`, [id]);
    return row === undefined ? undefined : jobOf(row);
  }

  /** The jobs of a domain, the newest first. */
  async getJobs(domain: string, limit: number, offset: number): Promise<Job[]> {
    const rows = await this.db.query<JobRow>(`${JOBS} WHERE j.server = ? ORDER BY j.id DESC ${LIMIT_OFFSET}`, [
      domain,
      limit,
      offset,
    ]);
    return rows.map(jobOf);
  }

  /** The running jobs of a host type that `node` owns. */
  async getRunningJobs(hostType: string, node: string): Promise<Job[]> {
    const rows = await this.db.query<JobRow>(
      `${JOBS} WHERE o.owner_node = ? AND j.host_type = ? AND j.execution_state = 'running' ORDER BY j.id`,
      [node, hostType],
    );
    return rows.map(jobOf);
  }

  async setStarted(id: number): Promise<void> {
    await this.db.execute(`UPDATE broadcast_jobs SET started_at = ${this.dialect.now} WHERE id = ?`, [id]);
  }

  /** Ends a running job. False when it was not running. */
  async end(id: number, state: Exclude<JobState, "running">, reason?: string): Promise<boolean> {
    const [changed] = await this.db.transaction([
      {
        sql: `UPDATE broadcast_jobs SET execution_state = '${state}', stopped_at = ${this.dialect.now},
          abortion_reason = ? WHERE id = ? AND execution_state = 'running'`,
        params: [reason ?? null, id],
      },
      { sql: "DELETE FROM broadcast_jobs_ownership WHERE broadcast_id = ?", params: [id] },
    ]);
    return changed > 0;
  }

  /** Deletes those of a domain's jobs that do not run (of `ids`, when given); resolves to their ids. */
  async deleteInactive(domain: string, ids?: readonly number[]): Promise<number[]> {
    if (ids?.length === 0) return [];
    const among = ids === undefined ? "" : ` AND id IN (${ids.map(() => "?").join(", ")})`;
    const where = `server = ? AND execution_state <> 'running'${among}`;
    const params = [domain, ...(ids ?? [])];
    const rows = await this.db.query<{ id: SqlValue }>(
      `SELECT id FROM broadcast_jobs WHERE ${where} ORDER BY id`,
      params,
    );
    const found = rows.map((row) => Number(row.id));
    if (found.length === 0) return [];
    await this.db.execute(
      `DELETE FROM broadcast_jobs WHERE execution_state <> 'running' AND id IN (${found.map(() => "?").join(", ")})`,
      found,
    );
    return found;
  }

  // --- leases ---

  /** Takes the running jobs of a host type whose leases are over; resolves to their ids. */
  async takeExpiredJobs(hostType: string, node: string, lease: number): Promise<number[]> {
    const { now, secondsFromNow } = this.dialect;
    const expired = await this.db.query<{ id: SqlValue }>(
      `SELECT broadcast_id AS id FROM broadcast_jobs_ownership WHERE expires_at < ${now} AND broadcast_id IN (${RUNNING_OF})`,
      [hostType],
    );
    const taken: number[] = [];
    for (const { id } of expired) {
      // Another node may have been faster.
      const changed = await this.db.execute(
        `UPDATE broadcast_jobs_ownership SET owner_node = ?, updated_at = ${now}, expires_at = ${secondsFromNow}
         WHERE broadcast_id = ? AND expires_at < ${now}`,
        [node, lease, id],
      );
      if (changed > 0) taken.push(Number(id));
    }
    return taken;
  }

  /** Renews the leases that `node` holds on running jobs of a host type. */
  async renewOwnership(hostType: string, node: string, lease: number): Promise<void> {
    const { now, secondsFromNow } = this.dialect;
    await this.db.execute(
      `UPDATE broadcast_jobs_ownership SET updated_at = ${now}, expires_at = ${secondsFromNow}
       WHERE owner_node = ? AND broadcast_id IN (${RUNNING_OF})`,
      [lease, node, hostType],
    );
  }

  // --- progress ---

  /** How far a job is; from now on there is something to update. */
  async getWorkerState(id: number): Promise<Progress> {
    await this.db.insertNew("broadcast_worker_state", { broadcast_id: id });
    const [row] = await this.db.query<{
      cursor_user: string | null;
      recipients_processed: SqlValue;
      finished: SqlValue;
    }>("SELECT cursor_user, recipients_processed, finished FROM broadcast_worker_state WHERE broadcast_id = ?", [id]);
    return {
      cursor: row.cursor_user === null ? undefined : readCursor(row.cursor_user),
      processed: Number(row.recipients_processed),
      finished: asBoolean(row.finished),
    };
  }

  /** Notes how far a job is. False when `node` does not own it (any more): nothing was noted. */
  async updateWorkerState(job: Pick<Job, "id" | "createdAt">, node: string, progress: Progress): Promise<boolean> {
    const { cursor, processed, finished } = progress;
    const changed = await this.db.execute(
      `UPDATE broadcast_worker_state SET cursor_user = ?, recipients_processed = ?, finished = ?
       WHERE broadcast_id = ? AND EXISTS
         (SELECT 1 FROM broadcast_jobs_ownership o WHERE o.broadcast_id = ? AND o.owner_node = ?)`,
      [cursor === undefined ? null : writeCursor(cursor, job.createdAt), processed, finished, job.id, job.id, node],
    );
    return changed > 0;
  }

  // --- personal data ---

  /** Announcements are the administrators', also those that bear a user's address. */
  async removeUser(_jid: BareJid): Promise<void> {}

  async removeDomain(domain: string): Promise<void> {
    await this.db.execute("DELETE FROM broadcast_jobs WHERE server = ?", [domain]);
  }

  async personalData(_jid: BareJid): Promise<PersonalData[]> {
    return [];
  }
}

/** Width of the column for the cursor. */
const CURSOR_WIDTH = 250;

/**
 * MongooseIM's cursor: the time of the snapshot, "$", the last user. A user of another authentication method than the
 * first has "#" and the method's number for the time; without room for the time it is left out.
 */
function writeCursor({ backend, after }: Omit<Cursor, "until">, createdAt: number): string {
  if (backend > 0) return `#${backend}$${after}`;
  const at = new Date(createdAt);
  const time = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()];
  const date = [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate()];
  const cursor = `${[...time, ...date].join(":")}$${after}`;
  return [...cursor].length > CURSOR_WIDTH ? `$${after}` : cursor;
}

function readCursor(text: string): Omit<Cursor, "until"> {
  const end = text.indexOf("$");
  const method = /^#(\d{1,3})$/.exec(text.slice(0, Math.max(0, end)));
  return { backend: Number(method?.[1] ?? 0), after: text.slice(end + 1) };
}

const timeOf = (value: string | Date): number => (value instanceof Date ? value.getTime() : asTime(value));

function jobOf(row: JobRow): Job {
  return {
    id: Number(row.id),
    name: row.name,
    domain: row.server,
    hostType: row.host_type,
    sender: row.from_jid,
    subject: row.subject,
    body: row.body,
    rate: Number(row.rate),
    recipientCount: Number(row.recipient_count),
    state: row.execution_state,
    abortionReason: row.abortion_reason ?? undefined,
    createdAt: timeOf(row.created_at),
    startedAt: row.started_at === null ? undefined : timeOf(row.started_at),
    stoppedAt: row.stopped_at === null ? undefined : timeOf(row.stopped_at),
    owner: row.owner_node ?? "",
    processed: Number(row.recipients_processed ?? 0),
  };
}
