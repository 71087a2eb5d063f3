// When accounts were last seen: table `last`, Unix seconds and the status they left with.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import type { Db } from "../../core/storage/db.ts";
import { Turns } from "../../core/turns.ts";

export interface Last {
  /** Unix seconds. */
  seconds: number;
  status: string;
}

/** The greatest value of the column, in the databases that count its bytes. */
const MAX_SECONDS = 2_147_483_647;

export class LastStore implements PersonalStore {
  /** What concerns one account, by bare JID: nobody waits for a time to be stored, and the next one may come meanwhile. */
  readonly #turns = new Turns();

  constructor(private readonly db: Db) {}

  async getLast(jid: BareJid): Promise<Last | undefined> {
    const sql = "SELECT seconds, state FROM last WHERE server = ? AND username = ?";
    const [row] = await this.#turns.take(jid.text, () =>
      this.db.query<{ seconds: number; state: string }>(sql, [jid.domain, jid.local]),
    );
    return row && { seconds: row.seconds, status: row.state };
  }

  setLastInfo(jid: BareJid, { seconds, status }: Last): Promise<void> {
    return this.#turns.take(jid.text, () =>
      this.db.upsert("last", { server: jid.domain, username: jid.local }, { seconds, state: status }),
    );
  }

  /** Seconds by localpart, of those of the users that have been seen. */
  async secondsOf(domain: string, locals: readonly string[]): Promise<Map<string, number>> {
    if (locals.length === 0) return new Map();
    const rows = await this.db.query<{ username: string; seconds: number }>(
      `SELECT username, seconds FROM last WHERE server = ? AND username IN (${locals.map(() => "?").join(", ")})`,
      [domain, ...locals],
    );
    return new Map(rows.map((row) => [row.username, row.seconds]));
  }

  /** How many users of a domain have been seen after `seconds`. */
  async countActive(domain: string, seconds: number): Promise<number> {
    const sql = "SELECT count(*) AS n FROM last WHERE server = ? AND seconds > ?";
    const within = Math.max(-MAX_SECONDS, Math.min(MAX_SECONDS, seconds));
    const [row] = await this.db.query<{ n: number | string }>(sql, [domain, within]);
    return Number(row.n);
  }

  async removeUser(jid: BareJid): Promise<void> {
    await this.#turns.take(jid.text, () =>
      this.db.execute("DELETE FROM last WHERE server = ? AND username = ?", [jid.domain, jid.local]),
    );
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await deleteInBatches(
      this.db,
      { table: "last", key: ["server", "username"], where: "server = ?", params: [domain] },
      deleted,
    );
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const last = await this.getLast(jid);
    const rows = last ? [[String(last.seconds), last.status]] : [];
    return [{ name: "last", columns: ["seconds", "status"], rows }];
  }
}
