// Messages that wait: table `offline_message`, in the order of their ids. Times are microseconds since 1970.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore, Retained } from "../../core/module.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import {
  type Deleted,
  deleteInBatches,
  deleteThroughout,
  FEW,
  PAGE,
  pages,
  stretches,
} from "../../core/storage/batches.ts";
import { asText, columnTime, type Db, type SqlValue } from "../../core/storage/db.ts";
import { exactly, exactValues } from "../../core/storage/dialect.ts";
import { writeEach } from "../../core/storage/each.ts";
import { surely } from "../../core/storage/surely.ts";
import { Turns } from "../../core/turns.ts";
import { Endings } from "./endings.ts";
import { Quota } from "./quota.ts";

export interface Waiting {
  id: number | bigint;
  timestamp: number;
  /** Undefined: never. */
  expire: number | undefined;
  /** Full JID of the sender. */
  from: string;
  /** The stanza as text. */
  packet: string;
}
interface Row {
  id: number | bigint | string;
  timestamp: number | string;
  expire: number | string | null;
  from_jid: string;
  packet: string | Uint8Array;
}

/** A message that is to be stored. */
interface Write {
  /** Bare JID of the recipient. */
  readonly to: string;
  readonly row: readonly SqlValue[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const COLUMNS = ["timestamp", "expire", "server", "username", "from_jid", "packet", "permanent_fields"] as const;
const TABLE = "offline_message";
/** Rows in one INSERT. */
const BATCH = 500;

export class OfflineStore implements PersonalStore, Retained {
  /** What has come in this turn of the event loop, and what waits for an earlier message to the same recipient. */
  private batch: Write[] = [];
  private flushing = false;
  /** Recipients of what is being written; and which messages they have been given meanwhile, as `said` tells them. */
  private readonly writing = new Map<string, Set<string> | undefined>();
  readonly endings = new Endings();
  /** Accounts whose messages are going out, by bare JID. */
  readonly delivering = new Map<string, Promise<void>>();
  /** Messages that wait for what is older, or to be counted, by bare JID. */
  readonly admitting = new Turns();
  readonly quota = new Quota((jid) => this.count(jid));

  /** Whose messages; its parameters are `whose`. */
  private readonly ofOne: string;

  constructor(private readonly db: Db) {
    this.ofOne = `server = ? AND username = ?${exactly(db.dialect, "username")}`;
  }

  private whose({ domain, local }: BareJid): string[] {
    return [domain, ...exactValues(this.db.dialect, local)];
  }

  /**
   * Stores a message; resolves when it is committed. All that come in the same turn of the event loop are one commit, but
   * one recipient's messages are written one after the other: ids are the order of delivery, and a pool of connections
   * keeps none.
   */
  writeMessages(to: BareJid, message: Omit<Waiting, "id">): Promise<void> {
    const expire = message.expire ?? null;
    const row = [message.timestamp, expire, to.domain, to.local, message.from, message.packet, null];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.batch.push({ to: to.text, row, resolve, reject });
    this.flushSoon();
    return promise;
  }

  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      this.flush();
    });
  }

  private flush(): void {
    const { writing } = this;
    const ready = writing.size === 0 ? this.batch : this.batch.filter(({ to }) => !writing.has(to));
    if (ready.length === 0) return;
    this.batch = ready.length === this.batch.length ? [] : this.batch.filter(({ to }) => writing.has(to));
    for (const { to } of ready) writing.set(to, undefined);
    void this.insert(ready).finally(() => {
      for (const { to } of ready) writing.delete(to);
      if (this.batch.length > 0) this.flushSoon();
    });
  }

  /** Parts follow each other. */
  private async insert(batch: readonly Write[]): Promise<void> {
    const insert = (some: readonly Write[]): Promise<void> =>
      this.db.insertMany(
        TABLE,
        COLUMNS,
        some.map(({ row }) => row),
      );
    const rest = async (some: readonly Write[]): Promise<void> => insert(await this.missing(some));
    const errors = await writeEach(batch, surely(insert, rest), BATCH);
    for (const [place, { resolve, reject }] of batch.entries()) {
      if (errors.has(place)) reject(errors.get(place));
      else resolve();
    }
  }

  /** Those that are not stored, and have not been. No key tells: a message is what it says, whom it is from and when it came. */
  private async missing(some: readonly Write[]): Promise<Write[]> {
    const sql = `SELECT timestamp, from_jid, packet FROM ${TABLE} WHERE server = ? AND username = ? AND timestamp = ?`;
    const missing: Write[] = [];
    for (const write of some) {
      const [timestamp, , server, username, from, packet] = write.row;
      const rows = await this.db.query<Row>(sql, [server, username, timestamp]);
      const it = said(timestamp, from, packet);
      const there = rows.some((row) => said(row.timestamp, row.from_jid, asText(row.packet)) === it);
      // Its addressee may have come and gone with it, before anybody knew that it was stored.
      if (!there && this.writing.get(write.to)?.has(it) !== true) missing.push(write);
    }
    return missing;
  }

  private async count(jid: BareJid): Promise<number> {
    const sql = `SELECT count(*) AS n FROM ${TABLE} WHERE ${this.ofOne}`;
    const [row] = await this.db.query<{ n: number | string }>(sql, this.whose(jid));
    return Number(row.n);
  }

  /** The oldest messages after `after`, at most `limit`. */
  async popMessages(jid: BareJid, after: number | bigint, limit: number): Promise<Waiting[]> {
    const rows = await this.db.query<Row>(
      `SELECT id, timestamp, expire, from_jid, packet FROM ${TABLE} WHERE ${this.ofOne} AND id > ? ORDER BY id LIMIT ?`,
      [...this.whose(jid), after, limit],
    );
    const messages = rows.map((row) => ({
      id: typeof row.id === "string" ? BigInt(row.id) : row.id,
      timestamp: Number(row.timestamp),
      expire: row.expire === null ? undefined : Number(row.expire),
      from: row.from_jid,
      packet: asText(row.packet),
    }));
    if (this.writing.has(jid.text)) {
      const given = this.writing.get(jid.text) ?? new Set();
      for (const { timestamp, from, packet } of messages) given.add(said(timestamp, from, packet));
      this.writing.set(jid.text, given);
    }
    return messages;
  }

  /** Deletes messages by their ids: one that is committed late with a lower id must not go with the others. */
  async delete(jid: BareJid, ids: readonly (number | bigint)[]): Promise<void> {
    this.quota.forget(jid);
    if (ids.length === 0) return;
    const marks = ids.map(() => "?").join(", ");
    const sql = `DELETE FROM ${TABLE} WHERE ${this.ofOne} AND id IN (${marks})`;
    await this.db.execute(sql, [...this.whose(jid), ...ids]);
  }

  /** Deletes what has expired; the number of messages. */
  deleteExpired(domain: string, now: number): Promise<number> {
    this.quota.forgetAll();
    return this.sweep(domain, "expire IS NOT NULL AND expire < ?", now);
  }

  /** Deletes what was stored before `before`; the number of messages. */
  deleteOlder(domain: string, before: number): Promise<number> {
    this.quota.forgetAll();
    const until = columnTime(before);
    // Only MySQL has no index for it.
    if (this.db.dialect === "mysql") return this.sweep(domain, "timestamp < ?", until);
    const params = [domain, until];
    return deleteInBatches(this.db, { table: TABLE, key: ["id"], where: "server = ? AND timestamp < ?", params });
  }

  /** Deletes those messages of a domain that no index finds. */
  private sweep(domain: string, which: string, time: number): Promise<number> {
    // The function keeps SQLite from taking an index of `server`, and reading the whole domain for every stretch.
    const where = `coalesce(server, '') = ? AND ${which}`;
    return deleteThroughout(this.db, { table: TABLE, column: "id", numbers: true, where, params: [domain, time] });
  }

  /** Deletes, as far as it is iterated, messages that came before a time (milliseconds since 1970); see `Retained`. */
  async *deleteBefore(domain: string, before: number, limit: number): AsyncGenerator<number> {
    const until = columnTime(before * 1000);
    const most = Math.min(limit, FEW);
    for await (const ids of this.db.dialect === "mysql"
      ? this.olderThroughout(domain, until)
      : this.older(domain, until)) {
      for (let at = 0; at < ids.length; at += most) yield await this.deleteOld(ids.slice(at, at + most), until);
      yield 0;
    }
  }

  /** The time again: MySQL before 8.0 gives the highest ids to others when it is started anew. */
  private async deleteOld(ids: readonly Row["id"][], until: number): Promise<number> {
    const sql = `DELETE FROM offline_message WHERE id IN (${ids.map(() => "?").join(", ")}) AND timestamp < ?`;
    try {
      return await this.db.execute(sql, [...ids, until]);
    } finally {
      this.quota.forgetAll();
    }
  }

  /** The ids of old messages, the oldest first, each page from where the one before ended: what is deleted is behind. */
  private async *older(domain: string, until: number): AsyncGenerator<Row["id"][]> {
    const sql = `SELECT id, timestamp FROM offline_message WHERE server = ? AND timestamp >= ? AND timestamp < ?
      ORDER BY timestamp LIMIT ?`;
    for (let from: number | string = 0; ; ) {
      const rows: Row[] = await this.db.query<Row>(sql, [domain, from, until, PAGE]);
      if (rows.length > 0) yield rows.map(({ id }) => id);
      if (rows.length < PAGE) return;
      from = rows[PAGE - 1].timestamp;
    }
  }

  /** As `older`, where no index begins with a domain and a time: the domain's messages are gone through, user by user. */
  private async *olderThroughout(domain: string, until: number): AsyncGenerator<Row["id"][]> {
    const of = { where: "server = ?", params: [domain] };
    for await (const { where, params } of stretches(this.db, { table: TABLE, column: "username", of })) {
      const sql = `SELECT id FROM offline_message WHERE ${where} AND timestamp < ?`;
      yield (await this.db.query<Row>(sql, [...params, until])).map(({ id }) => id);
    }
  }

  /** Counts what `deleteBefore` would delete. */
  async countBefore(domain: string, before: number): Promise<number> {
    if (this.db.dialect === "mysql") {
      let count = 0;
      for await (const ids of this.olderThroughout(domain, columnTime(before * 1000))) count += ids.length;
      return count;
    }
    const sql = "SELECT count(*) AS n FROM offline_message WHERE server = ? AND timestamp < ?";
    const [row] = await this.db.query<{ n: number | string }>(sql, [domain, columnTime(before * 1000)]);
    return Number(row.n);
  }

  async removeUser(jid: BareJid): Promise<void> {
    this.quota.forget(jid);
    const params = this.whose(jid);
    await deleteInBatches(this.db, { table: TABLE, key: ["id"], where: this.ofOne, params });
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    this.quota.forgetAll();
    await deleteInBatches(this.db, { table: TABLE, key: ["id"], where: "server = ?", params: [domain] }, deleted);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const read = (last: Waiting | undefined): Promise<Waiting[]> => this.popMessages(jid, last?.id ?? 0, PAGE);
    const more = pages(read, (m) => [printDateTime(m.timestamp), m.from, jid.text, m.packet]);
    return [{ name: "offline", columns: ["timestamp", "from", "to", "packet"], rows: [], more }];
  }
}

/** What tells a message from others to the same recipient. */
const said = (timestamp: SqlValue, from: SqlValue, packet: SqlValue): string => `${timestamp} ${from} ${packet}`;
