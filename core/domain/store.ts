// Dynamic domains as they are kept: tables domain_settings, domain_events and domain_admins of MongooseIM.

import { type Db, StorageError } from "../storage/db.ts";

/** Values of domain_settings.status. */
export const DISABLED = 0;
export const ENABLED = 1;
export const DELETING = 2;

export interface DomainRow {
  domain: string;
  host_type: string;
  status: number;
}

export class DomainStore {
  constructor(private readonly db: Db) {}

  /** Every dynamic domain. Read in pages, so that a hundred thousand do not come as one answer. */
  async all(page: (rows: DomainRow[]) => void): Promise<void> {
    let after = 0;
    for (;;) {
      const rows = await this.db.query<DomainRow & { id: number }>(
        "SELECT id, domain, host_type, status FROM domain_settings WHERE id > ? ORDER BY id LIMIT 5000",
        [after],
      );
      if (rows.length === 0) return;
      page(rows);
      after = rows[rows.length - 1].id;
    }
  }

  async find(domain: string): Promise<DomainRow | undefined> {
    const rows = await this.db.query<DomainRow>(
      "SELECT domain, host_type, status FROM domain_settings WHERE domain = ?",
      [domain],
    );
    return rows[0];
  }

  /** Adds an enabled domain; false when it is there already. Other nodes learn of it from domain_events. */
  async add(domain: string, hostType: string): Promise<boolean> {
    try {
      await this.db.transaction([
        { sql: "INSERT INTO domain_settings (domain, host_type, status) VALUES (?, ?, 1)", params: [domain, hostType] },
        event(domain),
      ]);
      return true;
    } catch (error) {
      if (error instanceof StorageError && error.code === "constraint") return false;
      throw error;
    }
  }

  async setStatus(domain: string, status: number): Promise<void> {
    await this.db.transaction([
      { sql: "UPDATE domain_settings SET status = ? WHERE domain = ?", params: [status, domain] },
      event(domain),
    ]);
  }

  async remove(domain: string): Promise<void> {
    await this.db.transaction([
      { sql: "DELETE FROM domain_settings WHERE domain = ?", params: [domain] },
      { sql: "DELETE FROM domain_admins WHERE domain = ?", params: [domain] },
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

  /** Domains that changed after an event, with the newest event's id. */
  async changedSince(id: number): Promise<{ last: number; domains: string[] }> {
    const rows = await this.db.query<{ id: number; domain: string }>(
      "SELECT id, domain FROM domain_events WHERE id > ? ORDER BY id LIMIT 10000",
      [id],
    );
    return { last: rows.at(-1)?.id ?? id, domains: [...new Set(rows.map((r) => r.domain))] };
  }

  /** Forgets events up to an id. */
  async forgetEvents(upTo: number): Promise<void> {
    await this.db.execute("DELETE FROM domain_events WHERE id <= ?", [upTo]);
  }
}

const event = (domain: string) => ({ sql: "INSERT INTO domain_events (domain) VALUES (?)", params: [domain] });
