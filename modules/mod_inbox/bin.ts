// The bin: entries that their owners have thrown away. They go for good when their last message is old enough. Times are
// microseconds since 1970, but for those of `Retained`.

import { type BareJid, makeBare } from "../../core/jid.ts";
import type { Retained } from "../../core/module.ts";
import { asText, columnTime, type Db, type SqlValue, type Statement } from "../../core/storage/db.ts";
import type { EntryKey } from "./entry.ts";
import { removeEntry } from "./statements.ts";

/** After every message, also those that have come before a clock was set back. */
export const ANY_TIME = Number.MAX_SAFE_INTEGER;
/** Entries that are deleted in one transaction. */
const PAGE = 500;

/** What the bin asks of the store that it is in. */
interface Around {
  /** Resolves when what has come so far is written. */
  settled(): Promise<unknown> | undefined;
  /** An entry may be gone. */
  gone(key: EntryKey): void;
}

interface Row {
  luser: string | Uint8Array;
  lserver: string | Uint8Array;
  remote_bare_jid: string | Uint8Array;
}

export class Bin implements Retained {
  constructor(
    private readonly db: Db,
    private readonly around: Around,
  ) {}

  /** Empties a user's bin of what had its last message before a time; resolves to the entries deleted. */
  emptyOfUser(user: BareJid, before: number): Promise<number> {
    return this.empty("lserver = ? AND luser = ?", [user.domain, user.local], before);
  }

  /** As `emptyOfUser`, of all users of a domain. */
  emptyOfDomain(domain: string, before: number): Promise<number> {
    return this.empty("lserver = ?", [domain], before);
  }

  /** Domains with something in a bin that had its last message before a time. */
  async domains(before: number): Promise<string[]> {
    const sql = "SELECT DISTINCT lserver FROM inbox WHERE box = 'bin' AND timestamp < ?";
    return (await this.db.query<Row>(sql, [columnTime(before)])).map((row) => asText(row.lserver));
  }

  deleteBefore(domain: string, before: number, limit: number): Promise<number> {
    return this.page("lserver = ?", [domain], before * 1000, limit).then(({ deleted }) => deleted);
  }

  async countBefore(domain: string, before: number): Promise<number> {
    const sql = "SELECT count(*) AS n FROM inbox WHERE box = 'bin' AND lserver = ? AND timestamp < ?";
    const [{ n }] = await this.db.query<{ n: number | string }>(sql, [domain, columnTime(before * 1000)]);
    return Number(n);
  }

  private async empty(whose: string, params: readonly SqlValue[], before: number): Promise<number> {
    await this.around.settled();
    for (let all = 0; ; ) {
      const { found, deleted } = await this.page(whose, params, before, PAGE);
      all += deleted;
      if (found < PAGE) return all;
    }
  }

  private async page(whose: string, params: readonly SqlValue[], before: number, limit: number) {
    const sql = `SELECT luser, lserver, remote_bare_jid FROM inbox
      WHERE box = 'bin' AND ${whose} AND timestamp < ? LIMIT ?`;
    const until = columnTime(before);
    const rows = await this.db.query<Row>(sql, [...params, until, limit]);
    // What its owner has taken out of the bin meanwhile stays.
    const statements = rows.map((row): Statement => {
      const key = { user: makeBare(asText(row.luser), asText(row.lserver)), remote: asText(row.remote_bare_jid) };
      this.around.gone(key);
      const { sql, params = [] } = removeEntry(key);
      return { sql: `${sql} AND box = 'bin' AND timestamp < ?`, params: [...params, until] };
    });
    const changed = await this.db.transaction(statements);
    return { found: rows.length, deleted: changed.reduce((n, one) => n + one, 0) };
  }
}
