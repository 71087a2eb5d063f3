// The statements that write to table `inbox` on the way of messages. Timestamps are microseconds since 1970.

import type { BareJid } from "../../core/jid.ts";
import type { Dialect, SqlValue, Statement } from "../../core/storage/db.ts";
import { asWritten, exactly, exactValues, insert, type SqlDialect } from "../../core/storage/dialect.ts";
import type { EntryKey } from "./entry.ts";

/** What messages have done to an entry since it was last written. */
export interface Update extends EntryKey {
  /** One of them was the owner's own: what he had not read before it counts as read. */
  own: boolean;
  /** Messages of others since. */
  unread: number;
  /** Id of the newest message, null without one that could be referred to. */
  msgId: string | null;
  /** The newest message. */
  content: Uint8Array;
  timestamp: number;
  /** The entry goes into the bin with it. */
  binned: boolean;
}

export const KEYS = ["luser", "lserver", "remote_bare_jid"] as const;
const COLUMNS = [...KEYS, "msg_id", "box", "content", "unread_count", "timestamp"] as const;
const keyValues = ({ user, remote }: EntryKey): SqlValue[] => [user.local, user.domain, remote];

/** A condition, and what its placeholders stand for. */
export interface Where {
  readonly where: string;
  readonly params: readonly SqlValue[];
}

/** The entries of a user. */
export function ofUser(dialect: Dialect, { local, domain }: BareJid): Where {
  const where = `luser = ?${exactly(dialect, "luser")} AND lserver = ?`;
  return { where, params: [...exactValues(dialect, local), domain] };
}

/** One entry. */
export function ofEntry(dialect: Dialect, { user, remote }: EntryKey): Where {
  const { where, params } = ofUser(dialect, user);
  const whole = `${where} AND remote_bare_jid = ?${exactly(dialect, "remote_bare_jid")}`;
  return { where: whole, params: [...params, ...exactValues(dialect, remote)] };
}

/** Rows of one statement: few different texts, so that they stay prepared. */
const SIZES = [64, 16, 4, 1];
/** Two servers' clocks differ by less, in microseconds; what is newer than that was written before a clock was set back. */
const SKEW = 60_000_000;

/** Statements that write updates, each of another entry. */
export class Upserts {
  readonly #dialect: SqlDialect;
  readonly #texts = new Map<string, string>();

  constructor(dialect: SqlDialect) {
    this.#dialect = dialect;
  }

  of(updates: Iterable<Update>): Statement[] {
    const own: Update[] = [];
    const others: Update[] = [];
    for (const update of updates) (update.own ? own : others).push(update);
    return [...this.#statements(own, true), ...this.#statements(others, false)];
  }

  #statements(updates: readonly Update[], own: boolean): Statement[] {
    const statements: Statement[] = [];
    for (let at = 0; at < updates.length; ) {
      const size = SIZES.find((n) => n <= updates.length - at)!;
      const part = updates.slice(at, at + size);
      statements.push({ sql: this.#text(own, size), params: part.flatMap(values) });
      at += size;
    }
    return statements;
  }

  #text(own: boolean, rows: number): string {
    const key = `${own} ${rows}`;
    let text = this.#texts.get(key);
    if (text === undefined) {
      text = upsert(this.#dialect, own, rows);
      this.#texts.set(key, text);
    }
    return text;
  }
}

const values = (update: Update): SqlValue[] => {
  const { msgId, content, unread, timestamp, binned } = update;
  return [...keyValues(update), msgId, binned ? "bin" : "inbox", content, unread, timestamp];
};

/** Where MySQL takes josé for jose, the entry of the one is in the way of the other's: it is not written over. */
const SAME = KEYS.map((key) => `${asWritten(`inbox.${key}`)} = VALUES(${key})`).join(" AND ");

/**
 * A message never hides a newer one, whoever writes first: content, id and time move forward only. A message of
 * somebody else counts even then. The timestamp is assigned last, since MySQL reads what it has assigned.
 */
function upsert({ name, incoming, onConflict }: SqlDialect, own: boolean, rows: number): string {
  const at = incoming("timestamp");
  const newer = `NOT (inbox.timestamp BETWEEN ${at} AND ${at} + ${SKEW})`;
  const moved = (column: string) => `CASE WHEN ${newer} THEN ${incoming(column)} ELSE inbox.${column} END`;
  const content = name === "mysql" ? `IF(${SAME}, ${moved("content")}, NULL)` : moved("content");
  const before = own ? `CASE WHEN ${newer} THEN 0 ELSE inbox.unread_count END` : "inbox.unread_count";
  return `${insert("inbox", COLUMNS, rows)} ${onConflict(KEYS)}
    unread_count = ${before} + ${incoming("unread_count")},
    box = CASE WHEN ${incoming("box")} = 'bin' THEN 'bin' WHEN inbox.box = 'archive' THEN 'inbox' ELSE inbox.box END,
    msg_id = ${moved("msg_id")}, content = ${content}, timestamp = ${moved("timestamp")}`;
}

/** Gives a row when the entry is as this update has left it. */
export function shows(dialect: Dialect, update: Update): Statement {
  const { where, params } = ofEntry(dialect, update);
  const sql = `SELECT 1 AS one FROM inbox WHERE ${where} AND timestamp = ? AND content = ?`;
  return { sql, params: [...params, update.timestamp, update.content] };
}

/** The owner has read everything up to a message, if it is the last one. */
export function resetUpTo(dialect: Dialect, key: EntryKey, msgId: string): Statement {
  const { where, params } = ofEntry(dialect, key);
  const sql = `UPDATE inbox SET unread_count = 0 WHERE ${where} AND msg_id = ? AND unread_count > 0`;
  return { sql, params: [...params, msgId] };
}

/** One row is changed when the entry was in the archive. */
export function unarchive(dialect: Dialect, key: EntryKey): Statement {
  const { where, params } = ofEntry(dialect, key);
  return { sql: `UPDATE inbox SET box = 'inbox' WHERE ${where} AND box = 'archive'`, params };
}

export function removeEntry(dialect: Dialect, key: EntryKey): Statement {
  const { where, params } = ofEntry(dialect, key);
  return { sql: `DELETE FROM inbox WHERE ${where}`, params };
}

export function throwAway(dialect: Dialect, key: EntryKey): Statement {
  const { where, params } = ofEntry(dialect, key);
  return { sql: `UPDATE inbox SET box = 'bin' WHERE ${where}`, params };
}
