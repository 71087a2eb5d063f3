// What is old in the archives of a domain: found owner by owner, for the key of mam_message begins with the owner. A
// domain may have a hundred thousand of them, so no statement looks at more than a page, and each call goes on where the
// one before stopped.

import type { Db } from "../../../core/storage/db.ts";
import type { Owners } from "./owners.ts";

/** Owners that one statement looks at. */
const OWNERS = 200;
/** Owners whose old messages are counted at a time: their archives may be long. */
const COUNTED = 20;

export class Ageing {
  /** The last owner whose old messages are gone, by domain, while there are owners after him. */
  private readonly reached = new Map<string, number>();

  constructor(
    private readonly db: Db,
    private readonly owners: Owners,
    /** Deletes messages of an owner below an id, at most so many. */
    private readonly deleteOf: (number: number, id: bigint, limit: number) => Promise<number>,
  ) {}

  /** Deletes at most `limit` messages; fewer went only when the last owner was reached. */
  async deleteBefore(domain: string, id: bigint, limit: number): Promise<number> {
    let gone = 0;
    for (let after = this.reached.get(domain) ?? 0; ; ) {
      const numbers = await this.owners.ofDomain(domain, after, OWNERS);
      for (const number of await this.withOlder(numbers, id)) {
        gone += await this.deleteOf(number, id, limit - gone);
        if (gone < limit) continue;
        // There may be more of this one.
        this.reached.set(domain, number - 1);
        return gone;
      }
      if (numbers.length < OWNERS) break;
      after = numbers[numbers.length - 1];
      this.reached.set(domain, after);
    }
    this.reached.delete(domain);
    return gone;
  }

  async countBefore(domain: string, id: bigint): Promise<number> {
    let count = 0;
    for (let after = 0; ; ) {
      const numbers = await this.owners.ofDomain(domain, after, COUNTED);
      if (numbers.length > 0) {
        const sql = `SELECT count(*) AS n FROM mam_message WHERE user_id IN (${marks(numbers)}) AND id < ?`;
        const [row] = await this.db.query<{ n: number | bigint | string }>(sql, [...numbers, id]);
        count += Number(row.n);
      }
      if (numbers.length < COUNTED) return count;
      after = numbers[numbers.length - 1];
    }
  }

  /** Those of the owners that have a message below an id, in order. */
  private async withOlder(numbers: readonly number[], id: bigint): Promise<number[]> {
    if (numbers.length === 0) return [];
    const sql = `SELECT id FROM mam_server_user WHERE id IN (${marks(numbers)}) AND EXISTS
      (SELECT 1 FROM mam_message WHERE mam_message.user_id = mam_server_user.id AND mam_message.id < ?) ORDER BY id`;
    const rows = await this.db.query<{ id: number | string }>(sql, [...numbers, id]);
    return rows.map((row) => Number(row.id));
  }
}

const marks = (numbers: readonly number[]): string => numbers.map(() => "?").join(", ");
