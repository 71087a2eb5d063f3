// What is old in the archives of a domain: found owner by owner, for the key of mam_message begins with the owner, and
// in the order of both keys, so that each owner and each old message is looked at once. A domain may have a hundred
// thousand owners, and an owner a million messages: no statement looks at more than a page of them.

import { FEW, pause } from "../../../core/storage/batches.ts";
import type { Db, SqlValue } from "../../../core/storage/db.ts";

/** Owners that one statement looks at. */
const OWNERS = 200;
/** Owners whose old messages are counted together, and messages of each that are counted in one go. */
const TOGETHER = 20;
const COUNTED = 1000;

const OLDEST = "SELECT id FROM mam_message WHERE user_id = ? AND id >= ? AND id < ? ORDER BY id LIMIT ?";

/** Messages of an owner: ids, both included. */
interface Range {
  readonly owner: number;
  readonly from: bigint;
  readonly to: bigint;
}

export class Ageing {
  constructor(
    private readonly db: Db,
    /** Messages of an owner may be gone. */
    private readonly gone: (owner: number) => void,
  ) {}

  /** Deletes, as far as it is iterated, the messages of a domain's owners below an id; see `ArchiveBackend`. */
  async *deleteBefore(domain: string, id: bigint, limit: number): AsyncGenerator<number> {
    const most = Math.min(limit, FEW);
    // Of several owners, so that those who have few old messages are one transaction.
    let ranges: Range[] = [];
    let rows = 0;
    for await (const owners of this.owners(domain, id)) {
      for (const owner of owners) {
        for (let from = 0n; ; ) {
          const { n, to } = await this.next(owner, from, id, most - rows);
          if (n > 0) ranges.push({ owner, from, to });
          rows += n;
          if (rows < most) break;
          yield await this.delete(ranges);
          ranges = [];
          rows = 0;
          from = to + 1n;
        }
      }
      yield 0;
    }
    if (rows > 0) yield await this.delete(ranges);
  }

  async countBefore(domain: string, id: bigint): Promise<number> {
    let count = 0;
    for await (const owners of this.owners(domain, id)) {
      for (let at = 0; at < owners.length; at += TOGETHER) {
        const begun = performance.now();
        count += await this.count(owners.slice(at, at + TOGETHER), id);
        await pause(begun);
      }
    }
    return count;
  }

  private async count(owners: readonly number[], id: bigint): Promise<number> {
    // One after the other: to find many at once a planner may read the whole table.
    const counts = owners.map((_, i) => `(SELECT COUNT(*) FROM (${OLDEST}) o${i}) AS n${i}`);
    const params = owners.flatMap((owner): SqlValue[] => [owner, 0, id, COUNTED]);
    const [row] = await this.db.query<Record<`n${number}`, number | bigint>>(`SELECT ${counts.join(", ")}`, params);
    let count = 0;
    for (const [i, owner] of owners.entries()) {
      const n = Number(row[`n${i}`]);
      count += n < COUNTED ? n : await this.countLong(owner, id);
    }
    return count;
  }

  private async countLong(owner: number, id: bigint): Promise<number> {
    let count = 0;
    for (let from = 0n; ; ) {
      const { n, to } = await this.next(owner, from, id, COUNTED);
      count += n;
      if (n < COUNTED) return count;
      from = to + 1n;
    }
  }

  private async delete(ranges: readonly Range[]): Promise<number> {
    const sql = "DELETE FROM mam_message WHERE user_id = ? AND id >= ? AND id <= ?";
    for (const { owner } of ranges) this.gone(owner);
    try {
      const went = await this.db.transaction(ranges.map(({ owner, from, to }) => ({ sql, params: [owner, from, to] })));
      return went.reduce((all, n) => all + n, 0);
    } finally {
      for (const { owner } of ranges) this.gone(owner);
    }
  }

  /** The oldest messages of an owner from one id on and below another: how many they are, and up to where. */
  private async next(owner: number, from: bigint, below: bigint, limit: number): Promise<{ n: number; to: bigint }> {
    const [row] = await this.db.query<{ n: number | bigint; id: number | bigint | null }>(
      `SELECT COUNT(*) AS n, MAX(id) AS id FROM (${OLDEST}) old`,
      [owner, from, below, limit],
    );
    return { n: Number(row.n), to: BigInt(row.id ?? 0) };
  }

  /** The owners of a domain that have a message below an id, of a page of the domain's at a time: there may be none on it. */
  private async *owners(domain: string, id: bigint): AsyncGenerator<number[]> {
    for (let after: SqlValue | undefined; ; ) {
      // A subquery that gives a value is looked up for each owner, whatever a planner thinks of it. With the id in it MySQL
      // would read on to the end of an archive that has nothing so old; without the owner in the order, which is always the
      // same, MySQL 9 reads and sorts each archive.
      const sql = `SELECT u.id, u.user_name,
          (SELECT m.id FROM mam_message m WHERE m.user_id = u.id ORDER BY m.user_id, m.id LIMIT 1) AS oldest
        FROM mam_server_user u WHERE u.server = ?${after === undefined ? "" : " AND u.user_name > ?"}
        ORDER BY u.user_name LIMIT ${OWNERS}`;
      const params: SqlValue[] = after === undefined ? [domain] : [domain, after];
      const rows = await this.db.query<OwnerRow>(sql, params);
      const old = rows.filter(({ oldest }) => oldest !== null && BigInt(oldest) < id);
      if (rows.length > 0) yield old.map((row) => Number(row.id));
      if (rows.length < OWNERS) return;
      after = rows[rows.length - 1].user_name;
    }
  }
}

interface OwnerRow {
  readonly id: number | bigint;
  readonly user_name: SqlValue;
  readonly oldest: number | bigint | string | null;
}
