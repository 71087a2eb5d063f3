// Accounts that may not log in: table `blocklist`.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import type { Db } from "../../core/storage/db.ts";
import { LIMIT_OFFSET } from "../../core/storage/dialect.ts";

export interface Entry {
  /** Localpart. */
  readonly user: string;
  readonly reason: string | undefined;
}

/** As many rows as there are. */
const ALL = 2_147_483_647;
/** Accounts that are remembered as blocked by this server. */
const REMEMBERED = 10_000;

export class BlocklistStore implements PersonalStore {
  /** Blocked of late: a session that was allowed just before and opens just after is ended by this. */
  readonly #recent = new Set<string>();

  constructor(private readonly db: Db) {}

  async isBlocked(user: BareJid): Promise<boolean> {
    return (await this.#reason(user)) !== undefined;
  }

  wasJustBlocked(user: BareJid): boolean {
    return this.#recent.has(user.text);
  }

  /** Blocks an account; one that is blocked already gets the new reason. */
  async block(user: BareJid, reason: string | undefined): Promise<void> {
    const key = { luser: user.local, lserver: user.domain };
    await this.db.upsert("blocklist", key, { reason: reason ?? null });
    this.#recent.add(user.text);
    if (this.#recent.size > REMEMBERED) this.#recent.delete(this.#recent.values().next().value ?? "");
  }

  /** False when the account was not blocked. */
  async unblock(user: BareJid): Promise<boolean> {
    const sql = "DELETE FROM blocklist WHERE luser = ? AND lserver = ?";
    const removed = await this.db.execute(sql, [user.local, user.domain]);
    this.#recent.delete(user.text);
    return removed > 0;
  }

  async count(domain: string): Promise<number> {
    const sql = "SELECT count(*) AS n FROM blocklist WHERE lserver = ?";
    const [row] = await this.db.query<{ n: number | string }>(sql, [domain]);
    return Number(row.n);
  }

  /** Blocked accounts of a domain in the order of their names, `limit` of them (all when undefined) from `index` on. */
  async list(domain: string, limit: number | undefined, index: number): Promise<Entry[]> {
    const sql = `SELECT luser, reason FROM blocklist WHERE lserver = ? ORDER BY luser ${LIMIT_OFFSET}`;
    const rows = await this.db.query<{ luser: string; reason: string | null }>(sql, [domain, limit ?? ALL, index]);
    return rows.map(({ luser, reason }) => ({ user: luser, reason: reason ?? undefined }));
  }

  /** The reason that was given, null for none; undefined for an account that is not blocked. */
  async #reason(user: BareJid): Promise<string | null | undefined> {
    const sql = "SELECT reason FROM blocklist WHERE luser = ? AND lserver = ?";
    const [row] = await this.db.query<{ reason: string | null }>(sql, [user.local, user.domain]);
    return row?.reason;
  }

  async removeUser(user: BareJid): Promise<void> {
    await this.unblock(user);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await deleteInBatches(
      this.db,
      { table: "blocklist", key: ["lserver", "luser"], where: "lserver = ?", params: [domain] },
      deleted,
    );
    for (const user of this.#recent) if (user.endsWith(`@${domain}`)) this.#recent.delete(user);
  }

  async personalData(user: BareJid): Promise<PersonalData[]> {
    const reason = await this.#reason(user);
    const rows = reason === undefined ? [] : [[user.text, reason ?? ""]];
    return [{ name: "blocklist", columns: ["jid", "reason"], rows }];
  }
}
