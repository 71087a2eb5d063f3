// The newest chat marker of each kind that a user has sent, by conversation and thread: table `smart_markers`. Rows
// only move forward in time. Times are microseconds since 1970.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import { type Deleted, deleteInBatches, deleteThroughout } from "../../core/storage/batches.ts";
import { asText, type Db, type SqlValue, type Statement } from "../../core/storage/db.ts";
import { escapeLike } from "../../core/storage/dialect.ts";
import { isUnfit, writeEach } from "../../core/storage/each.ts";
import { surely } from "../../core/storage/surely.ts";
import { UnderWay } from "../../core/under-way.ts";

export type MarkerType = "received" | "displayed" | "acknowledged";

export interface Marker {
  /** Bare JID of who has sent it, as text. */
  readonly from: string;
  /** Bare JID of the conversation: the other user, or the room. */
  readonly to: string;
  /** "" for none. */
  readonly thread: string;
  readonly type: MarkerType;
  /** Of the message that it marks. */
  readonly id: string;
  readonly timestamp: number;
}
/** A marker that a local user sends. */
export type Sent = Omit<Marker, "from"> & { readonly user: BareJid };

interface Row {
  lserver: string | Uint8Array;
  luser: string | Uint8Array;
  to_jid: string | Uint8Array;
  thread: string | Uint8Array;
  type: string;
  msg_id: string | Uint8Array;
  timestamp: number | string;
}

const TABLE = "smart_markers";
const COLUMNS = "lserver, luser, to_jid, thread, type, msg_id, timestamp";
const CODES = { received: "R", displayed: "D", acknowledged: "A" } as const;
const TYPES: Readonly<Record<string, MarkerType>> = { R: "received", D: "displayed", A: "acknowledged" };
/** Users whose number of rows is remembered. */
const MAX_COUNTS = 10_000;

const keyOf = ({ user, to, thread, type }: Sent): string => `${user.text}\n${to}\n${thread}\n${type}`;

export class MarkerStore implements PersonalStore {
  /** Markers that wait to be written, the newest of each key; see `later`. */
  private pending = new Map<string, Sent>();
  private flushing: Promise<void> | undefined;
  /** Markers that are being written, or are about to wait. */
  private readonly taking = new UnderWay();
  /** Told of a marker that the database cannot take, which is lost. Set by whoever runs the store. */
  unfit: ((error: unknown, marker: Sent) => void) | undefined;
  /** Rows that users have, of those that were asked for lately. */
  private readonly counts = new BoundedMap<string, number>(MAX_COUNTS, () => 1);

  constructor(private readonly db: Db) {}

  /** Markers that are not written yet. */
  get waiting(): number {
    return this.pending.size;
  }

  /** Whether markers wait to be written, or are being written by a `flush`. */
  get unwritten(): boolean {
    return this.pending.size > 0 || this.flushing !== undefined;
  }

  /** Writes markers, in order; false, with the others written, when a new one would be more than `max` of its user. */
  write(markers: readonly Sent[], max: number): Promise<boolean> {
    const write = surely((some: readonly Sent[]) => this.writeNow(some, max));
    return this.taking.add(write(markers));
  }

  /** May be done twice: what is written already stays as it is. */
  private async writeNow(markers: readonly Sent[], max: number): Promise<boolean> {
    let room = true;
    for (const marker of markers) {
      if ((await this.db.execute(...statement(update(marker)))) > 0) continue;
      if ((await this.rowsOf(marker.user)) < max) await this.insert(marker);
      else room = await this.exists(marker);
    }
    return room;
  }

  /** Takes markers to be written by the next `flush`; false as for `write`. */
  later(markers: readonly Sent[], max: number): Promise<boolean> {
    return this.taking.add(this.take(markers, max));
  }

  private async take(markers: readonly Sent[], max: number): Promise<boolean> {
    for (const marker of markers) {
      const key = keyOf(marker);
      if (!this.pending.has(key) && (await this.rowsOf(marker.user)) >= max && !(await this.exists(marker))) {
        return false;
      }
      this.pending.set(key, marker);
    }
    return true;
  }

  /**
   * Writes what waits, in so many transactions at once. What the database cannot take is lost; what it could not write
   * for another reason waits on, and the promise is rejected.
   */
  flush(writers: number): Promise<void> {
    const before = this.flushing ?? Promise.resolve();
    const mine = before.then(() => this.writeAll(writers));
    const settled = mine.catch(() => undefined);
    this.flushing = settled;
    void settled.then(() => {
      if (this.flushing === settled) this.flushing = undefined;
    });
    return mine;
  }

  private async writeAll(writers: number): Promise<void> {
    const batch = this.pending;
    if (batch.size === 0) return;
    this.pending = new Map();
    const all = [...batch.values()];
    const size = Math.ceil(all.length / Math.max(1, writers));
    const parts = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
    const write = (markers: readonly Sent[]): Promise<void> => this.writePart(markers);
    const errors = await Promise.all(parts.map((part) => writeEach(part, write)));
    const failed = parts.flatMap((part, i) => [...errors[i]].map(([at, error]) => ({ marker: part[at], error })));
    const again = failed.filter(({ error }) => !isUnfit(error));
    for (const { marker, error } of failed) if (isUnfit(error)) this.unfit?.(error, marker);
    // A newer one of the same key that has come meanwhile stands.
    for (const { marker } of again) if (!this.pending.has(keyOf(marker))) this.pending.set(keyOf(marker), marker);
    if (again.length > 0) throw again[0].error;
  }

  /** May be done twice: what is written already stays as it is. */
  private async writePart(part: readonly Sent[]): Promise<void> {
    const changed = await this.db.transaction(part.map(update));
    for (const [i, marker] of part.entries()) if (changed[i] === 0) await this.insert(marker);
  }

  private async insert(marker: Sent): Promise<void> {
    const { user, to, thread, type, id, timestamp } = marker;
    const key = { lserver: user.domain, luser: user.local, to_jid: to, thread, type: CODES[type] };
    if (await this.db.insertNew(TABLE, { ...key, msg_id: id, timestamp })) {
      const count = this.counts.get(user.text);
      if (count !== undefined) this.counts.set(user.text, count + 1);
    }
    // Another connection was first: the newer of the two stands.
    else await this.db.execute(...statement(update(marker)));
  }

  private async rowsOf(user: BareJid): Promise<number> {
    const known = this.counts.get(user.text);
    if (known !== undefined) return known;
    const sql = "SELECT count(*) AS n FROM smart_markers WHERE lserver = ? AND luser = ?";
    const [{ n }] = await this.db.query<{ n: number | string }>(sql, [user.domain, user.local]);
    this.counts.set(user.text, Number(n));
    return Number(n);
  }

  private async exists({ user, to, thread, type }: Sent): Promise<boolean> {
    const rows = await this.db.query(
      "SELECT 1 AS one FROM smart_markers WHERE lserver = ? AND luser = ? AND to_jid = ? AND thread = ? AND type = ?",
      [user.domain, user.local, to, thread, CODES[type]],
    );
    return rows.length > 0;
  }

  /** What one user has sent to a conversation in a thread after a time, oldest first. */
  getConversation(from: BareJid, to: BareJid, thread: string, after = 0): Promise<Marker[]> {
    return this.select("lserver = ? AND luser = ? AND to_jid = ? AND thread = ? AND timestamp > ?", [
      from.domain,
      from.local,
      to.text,
      thread,
      after,
    ]);
  }

  /** What everybody has sent to a room or a user in a thread after a time, oldest first. */
  getMarkersTo(to: BareJid, thread: string, after = 0): Promise<Marker[]> {
    return this.select("to_jid = ? AND thread = ? AND timestamp > ?", [to.text, thread, after]);
  }

  /** When a marker was sent that stands for this: of the earliest sender, when there are several in a room. */
  async timeOf(mark: Omit<Marker, "from" | "timestamp"> & { readonly user?: BareJid }): Promise<number | undefined> {
    const { user, to, thread, type, id } = mark;
    const [row] = await this.db.query<{ at: number | string | null }>(
      `SELECT min(timestamp) AS at FROM smart_markers WHERE to_jid = ? AND thread = ? AND type = ? AND msg_id = ?${
        user === undefined ? "" : " AND lserver = ? AND luser = ?"
      }`,
      [to, thread, CODES[type], id, ...(user === undefined ? [] : [user.domain, user.local])],
    );
    return row.at === null ? undefined : Number(row.at);
  }

  /** When a user sent the newest of his markers of a kind; undefined when none is kept. */
  async newest(mark: Pick<Marker, "to" | "thread" | "type"> & { readonly user: BareJid }): Promise<number | undefined> {
    const { user, to, thread, type } = mark;
    const where = "lserver = ? AND luser = ? AND to_jid = ? AND thread = ? AND type = ?";
    const [row] = await this.select(where, [user.domain, user.local, to, thread, CODES[type]]);
    return row?.timestamp;
  }

  private async select(where: string, params: readonly SqlValue[]): Promise<Marker[]> {
    const rows = await this.db.query<Row>(
      `SELECT ${COLUMNS} FROM smart_markers WHERE ${where} ORDER BY timestamp, lserver, luser, type`,
      params,
    );
    return rows.map((row) => ({
      from: `${asText(row.luser)}@${asText(row.lserver)}`,
      to: asText(row.to_jid),
      thread: asText(row.thread),
      type: TYPES[row.type],
      id: asText(row.msg_id),
      timestamp: Number(row.timestamp),
    }));
  }

  /** A room is gone. */
  async forgetRoom(room: BareJid): Promise<void> {
    await this.drop((marker) => marker.to === room.text);
    await this.db.execute("DELETE FROM smart_markers WHERE to_jid = ?", [room.text]);
    this.counts.clear();
  }

  /** A user has left a room. */
  async forgetIn(room: BareJid, user: BareJid): Promise<void> {
    await this.drop((marker) => marker.to === room.text && marker.user.text === user.text);
    const sql = "DELETE FROM smart_markers WHERE lserver = ? AND luser = ? AND to_jid = ?";
    await this.db.execute(sql, [user.domain, user.local, room.text]);
    this.counts.delete(user.text);
  }

  /** Of both sides: who gets the name next must not see where others were in a conversation with this user. */
  async removeUser(user: BareJid): Promise<void> {
    await this.drop((marker) => marker.user.text === user.text || marker.to === user.text);
    const { local, domain } = user;
    await this.db.transaction([
      { sql: "DELETE FROM smart_markers WHERE lserver = ? AND luser = ?", params: [domain, local] },
      { sql: "DELETE FROM smart_markers WHERE to_jid = ?", params: [user.text] },
    ]);
    this.counts.clear();
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await this.drop((marker) => marker.user.domain === domain || marker.to.endsWith(`@${domain}`));
    const table = "smart_markers";
    const key = ["lserver", "luser", "to_jid", "thread", "type"];
    await deleteInBatches(this.db, { table, key, where: "lserver = ?", params: [domain] }, deleted);
    const to = { where: "to_jid LIKE ? ESCAPE '$'", params: [`%@${escapeLike(domain)}`] };
    await deleteThroughout(this.db, { table, column: "to_jid", ...to }, deleted);
    this.counts.clear();
  }

  /** Takes markers out of what waits, and lets what is being written come to its end. */
  async drop(gone: (marker: Sent) => boolean): Promise<void> {
    await this.taking.settled();
    await this.flushing;
    for (const [key, marker] of this.pending) if (gone(marker)) this.pending.delete(key);
  }

  async personalData({ local, domain }: BareJid): Promise<PersonalData[]> {
    const markers = await this.select("lserver = ? AND luser = ?", [domain, local]);
    const rows = markers.map((m) => [m.to, m.thread, m.type, m.id, printDateTime(m.timestamp)]);
    return [{ name: "smart_markers", columns: ["to", "thread", "type", "id", "timestamp"], rows }];
  }
}

const statement = ({ sql, params }: Statement) => [sql, params] as const;

function update({ user, to, thread, type, id, timestamp }: Sent): Statement {
  return {
    sql: `UPDATE smart_markers SET msg_id = ?, timestamp = ?
      WHERE lserver = ? AND luser = ? AND to_jid = ? AND thread = ? AND type = ? AND timestamp <= ?`,
    params: [id, timestamp, user.domain, user.local, to, thread, CODES[type], timestamp],
  };
}
