// Dynamic domains as they are kept: tables domain_settings, domain_events and domain_admins of MongooseIM.

import { type Db, type Statement, StorageError, type StorageErrorCode } from "../storage/db.ts";

/** Values of domain_settings.status. */
export const DISABLED = 0;
export const ENABLED = 1;
export const DELETING = 2;

/** Rows read at a time. */
const PAGE = 5000;
/** Domains asked for in one statement. */
const LOOK_UPS = 500;

/** How often a change is tried, and the milliseconds between. */
const TRIES = 3;
const BREAK = 100;
/** Failures that may be over in a moment. */
const PASSING: ReadonlySet<string> = new Set<StorageErrorCode>(["conflict", "locked", "unavailable"]);

export interface DomainRow {
  /** Not that of a domain of the same name that was there before. */
  id: number | bigint;
  domain: string;
  host_type: string;
  status: number;
}

export class DomainStore {
  constructor(private readonly db: Db) {}

  /**
   * Commits a change, with another try after a short break when the database cannot just now, as MongooseIM does.
   * @param unsure told when it may have been done before the next try
   */
  private async commit(statements: readonly Statement[], unsure?: () => void): Promise<void> {
    for (let left = TRIES - 1; ; left--) {
      try {
        await this.db.transaction(statements);
        return;
      } catch (error) {
        if (!(error instanceof StorageError) || !PASSING.has(error.code) || left === 0) throw error;
        if (error.maybeDone) unsure?.();
      }
      await Bun.sleep(BREAK);
    }
  }

  /** Every dynamic domain. Read in pages, so that a hundred thousand do not come as one answer. */
  async all(page: (rows: DomainRow[]) => void): Promise<void> {
    let after: DomainRow["id"] = 0;
    for (;;) {
      const rows: DomainRow[] = await this.db.query(
        `SELECT id, domain, host_type, status FROM domain_settings WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
        [after],
      );
      page(rows);
      if (rows.length < PAGE) return;
      after = rows[rows.length - 1].id;
    }
  }

  /** Those of the domains that are there. */
  async findMany(domains: readonly string[]): Promise<DomainRow[]> {
    const found: DomainRow[] = [];
    for (let at = 0; at < domains.length; at += LOOK_UPS) {
      const part = domains.slice(at, at + LOOK_UPS);
      const rows = await this.db.query<DomainRow>(
        `SELECT id, domain, host_type, status FROM domain_settings WHERE domain IN (${part.map(() => "?").join(", ")})`,
        part,
      );
      found.push(...rows);
    }
    return found;
  }

  async find(domain: string): Promise<DomainRow | undefined> {
    const rows = await this.db.query<DomainRow>(
      "SELECT id, domain, host_type, status FROM domain_settings WHERE domain = ?",
      [domain],
    );
    return rows[0];
  }

  /** Adds an enabled domain; false when it is there already. Other nodes learn of it from domain_events. */
  async add(domain: string, hostType: string): Promise<boolean> {
    const sql = "INSERT INTO domain_settings (domain, host_type, status) VALUES (?, ?, 1)";
    let lost = false;
    const unsure = (): void => {
      lost = true;
    };
    for (let left = TRIES - 1; ; left--) {
      try {
        await this.commit([{ sql, params: [domain, hostType] }, event(domain)], unsure);
        return true;
      } catch (error) {
        if (!(error instanceof StorageError && error.code === "constraint")) throw error;
        const there = await this.find(domain);
        // After a lost answer what is there is likely our own.
        if (there !== undefined) return lost && there.host_type === hostType && there.status === ENABLED;
        // What was there has just been removed; or else the column cannot hold the name.
        if (left === 0) throw error;
      }
    }
  }

  /**
   * Changes the status of a row, unless it is that of a domain which is being deleted.
   * @returns the row as it is then; undefined when it is gone, whether or not there is another domain of the name
   */
  async setStatus({ id, domain }: DomainRow, status: number): Promise<DomainRow | undefined> {
    const sql = `UPDATE domain_settings SET status = ? WHERE id = ? AND status <> ${DELETING}`;
    await this.commit([{ sql, params: [status, id] }, event(domain)]);
    const row = await this.find(domain);
    return row?.id === id ? row : undefined;
  }

  /** Removes a row that is marked as being deleted, and the domain's administrator. */
  async remove({ id, domain }: Pick<DomainRow, "id" | "domain">): Promise<void> {
    const others = "NOT EXISTS (SELECT 1 FROM domain_settings s WHERE s.domain = domain_admins.domain)";
    await this.commit([
      { sql: `DELETE FROM domain_settings WHERE id = ? AND status = ${DELETING}`, params: [id] },
      { sql: `DELETE FROM domain_admins WHERE domain = ? AND ${others}`, params: [domain] },
      event(domain),
    ]);
  }

  /** The stored form of a domain administrator's password. */
  async password(domain: string): Promise<string | undefined> {
    const rows = await this.db.query<{ pass_details: string }>(
      "SELECT pass_details FROM domain_admins WHERE domain = ?",
      [domain],
    );
    return rows[0]?.pass_details;
  }

  async setPassword(domain: string, details: string): Promise<void> {
    await this.db.upsert("domain_admins", { domain }, { pass_details: details });
  }

  async deletePassword(domain: string): Promise<boolean> {
    return (await this.db.execute("DELETE FROM domain_admins WHERE domain = ?", [domain])) > 0;
  }

  /** The newest event: what other nodes have done since is after it. */
  async lastEvent(): Promise<number> {
    const rows = await this.db.query<{ id: number | null }>("SELECT MAX(id) AS id FROM domain_events");
    return rows[0]?.id ?? 0;
  }

  /** The oldest event that is still there, 0 when there is none. */
  async firstEvent(): Promise<number> {
    const rows = await this.db.query<{ id: number | null }>("SELECT MIN(id) AS id FROM domain_events");
    return rows[0]?.id ?? 0;
  }

  /** Domains that changed after an event, each once, with the newest event's id. */
  async changedSince(id: number): Promise<{ last: number; domains: string[] }> {
    const domains = new Set<string>();
    for (let last = id; ; ) {
      const rows = await this.db.query<{ id: number; domain: string }>(
        `SELECT id, domain FROM domain_events WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
        [last],
      );
      for (const row of rows) domains.add(row.domain);
      last = rows.at(-1)?.id ?? last;
      if (rows.length < PAGE) return { last, domains: [...domains] };
    }
  }

  /** Forgets events up to an id. */
  async forgetEvents(upTo: number): Promise<void> {
    await this.db.execute("DELETE FROM domain_events WHERE id <= ?", [upTo]);
  }
}

const event = (domain: string) => ({ sql: "INSERT INTO domain_events (domain) VALUES (?)", params: [domain] });
