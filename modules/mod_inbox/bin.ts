// The bin: entries that their owners have thrown away. They go for good when their last message is old enough. Times are
// microseconds since 1970, but for those of `Retained`.

import { type BareJid, makeBare } from "../../core/jid.ts";
import type { Retained } from "../../core/module.ts";
import { FEW, pause, type Stretch, stretches } from "../../core/storage/batches.ts";
import { asText, columnTime, type Db, type SqlValue, type Statement } from "../../core/storage/db.ts";
import type { EntryKey } from "./entry.ts";
import { ofUser, removeEntry } from "./statements.ts";

/** After every message, also those that have come before a clock was set back. */
export const ANY_TIME = Number.MAX_SAFE_INTEGER;

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
  async emptyOfUser(user: BareJid, before: number): Promise<number> {
    await this.around.settled();
    const { where, params } = ofUser(this.db.dialect, user);
    return sum(this.delete(`${where} AND box = 'bin'`, params, before, FEW));
  }

  /** As `emptyOfUser`, of all users of a domain. */
  async emptyOfDomain(domain: string, before: number): Promise<number> {
    await this.around.settled();
    return sum(this.deleteThroughout(domain, before, FEW));
  }

  /** Domains with something in a bin that had its last message before a time. */
  async domains(before: number): Promise<string[]> {
    const sql = "SELECT DISTINCT lserver FROM inbox WHERE box = 'bin' AND timestamp < ?";
    return (await this.db.query<Row>(sql, [columnTime(before)])).map((row) => asText(row.lserver));
  }

  deleteBefore(domain: string, before: number, limit: number): AsyncIterable<number> {
    return this.deleteThroughout(domain, before * 1000, Math.min(limit, FEW));
  }

  async countBefore(domain: string, before: number): Promise<number> {
    let count = 0;
    for await (const { where, params } of this.binsOf(domain)) {
      const begun = performance.now();
      const sql = `SELECT count(*) AS n FROM inbox WHERE ${where} AND timestamp < ?`;
      const [{ n }] = await this.db.query<{ n: number | string }>(sql, [...params, columnTime(before * 1000)]);
      count += Number(n);
      await pause(begun);
    }
    return count;
  }

  /** Goes through the inboxes of a domain once: gives the entries deleted in each step, so many at most. */
  private async *deleteThroughout(domain: string, before: number, most: number): AsyncGenerator<number> {
    for await (const { where, params } of this.binsOf(domain)) {
      yield* this.delete(where, params, before, most);
      yield 0;
    }
  }

  /** The bins of a domain's users, some users at a time. */
  private async *binsOf(domain: string): AsyncGenerator<Stretch> {
    const of = { where: "lserver = ?", params: [domain] };
    for await (const { where, params } of stretches(this.db, { table: "inbox", column: "luser", of })) {
      // In other words the index of all bins would be taken by some, and read whole for each stretch.
      yield { where: `${where} AND box BETWEEN 'bin' AND 'bin'`, params };
    }
  }

  /** Deletes those of a condition that are old, so many in a transaction. */
  private async *delete(which: string, params: readonly SqlValue[], before: number, most: number) {
    const until = columnTime(before);
    const sql = `SELECT luser, lserver, remote_bare_jid FROM inbox WHERE ${which} AND timestamp < ?`;
    const rows = await this.db.query<Row>(sql, [...params, until]);
    for (let at = 0; at < rows.length; at += most) {
      // What its owner has taken out of the bin meanwhile stays.
      const statements = rows.slice(at, at + most).map((row): Statement => {
        const key = { user: makeBare(asText(row.luser), asText(row.lserver)), remote: asText(row.remote_bare_jid) };
        this.around.gone(key);
        const { sql, params = [] } = removeEntry(this.db.dialect, key);
        return { sql: `${sql} AND box = 'bin' AND timestamp < ?`, params: [...params, until] };
      });
      const changed = await this.db.transaction(statements);
      yield changed.reduce((n, one) => n + one, 0);
    }
  }
}

async function sum(steps: AsyncIterable<number>): Promise<number> {
  let all = 0;
  for await (const n of steps) all += n;
  return all;
}
