// Reports in mongooseim_abuse_reports, a table of our own.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import { asBoolean, type Db, type SqlValue } from "../../core/storage/db.ts";
import { LIMIT_OFFSET } from "../../core/storage/dialect.ts";
import type { Report, StanzaId } from "./report.ts";

const TABLE = "mongooseim_abuse_reports";
const OF_USER = "WHERE server = ? AND username = ?";
const COLUMNS = [
  "server",
  "username",
  "reported",
  "reason",
  "message",
  "stanza_ids",
  "to_origin",
  "to_third_parties",
  "reported_at",
] as const;

export interface StoredReport {
  /** Tells it apart; text, for it may be greater than a number can be. */
  readonly id: string;
  /** Bare JIDs or whatever was blocked. */
  readonly reporter: string;
  readonly reported: string;
  readonly reason: string;
  readonly text: string;
  readonly stanzaIds: readonly StanzaId[];
  readonly toOrigin: boolean;
  readonly toThirdParties: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Which reports of a domain's users. */
export interface ReportFilter {
  readonly reporter?: BareJid;
  /** Bare or full, as it was blocked. */
  readonly reported?: string;
}

interface Row {
  id: number | bigint;
  server: string;
  username: string;
  reported: string;
  reason: string;
  message: string;
  stanza_ids: string;
  to_origin: SqlValue;
  to_third_parties: SqlValue;
  reported_at: number | bigint;
}

export class ReportStore implements PersonalStore {
  constructor(private readonly db: Db) {}

  async add(reporter: BareJid, reports: readonly Report[], now: number): Promise<void> {
    const rows = reports.map((r) => [
      reporter.domain,
      reporter.local,
      r.reported.text,
      r.reason,
      r.text,
      JSON.stringify(r.stanzaIds.map(({ by, id }) => [by, id])),
      r.toOrigin,
      r.toThirdParties,
      now,
    ]);
    await this.db.insertMany(TABLE, COLUMNS, rows);
  }

  /** How many reports of a user, or of a domain's users, there are. */
  async count(domain: string, filter: ReportFilter = {}): Promise<number> {
    const { sql, params } = where(domain, filter);
    const [row] = await this.db.query<{ n: number | string }>(`SELECT count(*) AS n FROM ${TABLE} ${sql}`, params);
    return Number(row.n);
  }

  /** The newest first. */
  async list(domain: string, filter: ReportFilter, limit: number, offset: number): Promise<StoredReport[]> {
    const { sql, params } = where(domain, filter);
    const rows = await this.db.query<Row>(`SELECT * FROM ${TABLE} ${sql} ORDER BY id DESC ${LIMIT_OFFSET}`, [
      ...params,
      limit,
      offset,
    ]);
    return rows.map(reportOf);
  }

  /** False when the domain has no such report. */
  async remove(domain: string, id: bigint): Promise<boolean> {
    return (await this.db.execute(`DELETE FROM ${TABLE} WHERE server = ? AND id = ?`, [domain, id])) > 0;
  }

  /** Removes what was reported before a time, milliseconds since 1970; resolves to how much that was. */
  removeOld(domain: string, before: number): Promise<number> {
    return this.db.execute(`DELETE FROM ${TABLE} WHERE server = ? AND reported_at < ?`, [domain, before]);
  }

  async removeUser(jid: BareJid): Promise<void> {
    await this.db.execute(`DELETE FROM ${TABLE} ${OF_USER}`, [jid.domain, jid.local]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await deleteInBatches(this.db, { table: TABLE, key: ["id"], where: "server = ?", params: [domain] }, deleted);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const rows = await this.db.query<Row>(`SELECT * FROM ${TABLE} ${OF_USER} ORDER BY id`, [jid.domain, jid.local]);
    return [
      {
        name: "abuse_reports",
        columns: ["reported", "reason", "text", "stanza_ids", "reported_at"],
        rows: rows.map((r) => [
          r.reported,
          r.reason,
          r.message,
          r.stanza_ids,
          new Date(Number(r.reported_at)).toISOString(),
        ]),
      },
    ];
  }
}

function where(domain: string, { reporter, reported }: ReportFilter): { sql: string; params: SqlValue[] } {
  const params: SqlValue[] = [domain];
  let sql = "WHERE server = ?";
  if (reporter !== undefined) {
    sql += " AND username = ? AND server = ?";
    params.push(reporter.local, reporter.domain);
  }
  if (reported !== undefined) {
    sql += " AND reported = ?";
    params.push(reported);
  }
  return { sql, params };
}

function reportOf(row: Row): StoredReport {
  const pairs = JSON.parse(row.stanza_ids) as [string, string][];
  return {
    id: String(row.id),
    reporter: `${row.username}@${row.server}`,
    reported: row.reported,
    reason: row.reason,
    text: row.message,
    stanzaIds: pairs.map(([by, id]) => ({ by, id })),
    toOrigin: asBoolean(row.to_origin),
    toThirdParties: asBoolean(row.to_third_parties),
    at: Number(row.reported_at),
  };
}
