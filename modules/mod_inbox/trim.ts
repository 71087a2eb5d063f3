// Keeps inboxes bounded: strangers may write to a user from any number of addresses. When an inbox has grown past its
// bound, the conversations without a message for longest go; the archive has what was said in them.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { ofUser } from "./statements.ts";

/** Users whose number of rows is remembered. */
const USERS = 10_000;

export class Trim {
  readonly #db: Db;
  readonly #trimmed: (user: BareJid, entries: number) => void;
  /** Rows that users have at most. */
  readonly #counts = new BoundedMap<string, number>(USERS, () => 1);
  /** Rows that may have come since the rows of a user began to be counted. */
  readonly #counting = new Map<string, number>();
  #bound = Number.POSITIVE_INFINITY;
  #failed: (error: unknown) => void = () => {};

  /** @param trimmed hears whose inbox has lost entries, and how many */
  constructor(db: Db, trimmed: (user: BareJid, entries: number) => void) {
    this.#db = db;
    this.#trimmed = trimmed;
  }

  bound(rows: number, failed: (error: unknown) => void): void {
    this.#bound = rows;
    this.#failed = failed;
  }

  /** A row may have been added. Nobody waits for what follows. */
  grown(user: BareJid): void {
    if (this.#bound === Number.POSITIVE_INFINITY) return;
    const more = this.#counting.get(user.text);
    if (more !== undefined) {
      this.#counting.set(user.text, more + 1);
      return;
    }
    const known = this.#counts.get(user.text);
    if (known !== undefined && known < this.#bound) this.#counts.set(user.text, known + 1);
    else void this.#count(user);
  }

  async #count(user: BareJid): Promise<void> {
    this.#counting.set(user.text, 0);
    try {
      for (;;) {
        const rows = (await this.#trim(user)) + (this.#counting.get(user.text) ?? 0);
        this.#counts.set(user.text, rows);
        if (rows <= this.#bound) return;
        this.#counting.set(user.text, 0);
      }
    } catch (error) {
      this.#counts.delete(user.text);
      this.#failed(error);
    } finally {
      this.#counting.delete(user.text);
    }
  }

  forget(user: BareJid): void {
    this.#counts.delete(user.text);
  }

  /** Resolves to the rows that are left. */
  async #trim(user: BareJid): Promise<number> {
    const { where, params } = ofUser(this.#db.dialect, user);
    const sql = `SELECT count(*) AS n FROM inbox WHERE ${where}`;
    const [{ n }] = await this.#db.query<{ n: number | string }>(sql, params);
    if (Number(n) <= this.#bound) return Number(n);
    // A little more than must go, so that not every new conversation has the rows counted.
    const keep = this.#bound - Math.floor(this.#bound / 20);
    const [newest] = await this.#db.query<{ timestamp: number | string }>(
      `SELECT timestamp FROM inbox WHERE ${where} ORDER BY timestamp DESC LIMIT 1 OFFSET ?`,
      [...params, keep],
    );
    if (newest === undefined) return Number(n);
    const gone = await this.#db.execute(`DELETE FROM inbox WHERE ${where} AND timestamp <= ?`, [
      ...params,
      Number(newest.timestamp),
    ]);
    this.#trimmed(user, gone);
    return keep;
  }
}
