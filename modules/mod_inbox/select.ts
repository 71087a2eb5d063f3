// The statement that reads a page of an inbox.

import type { BareJid } from "../../core/jid.ts";
import type { Dialect, SqlValue } from "../../core/storage/db.ts";
import { ofUser } from "./statements.ts";

/** A place in an inbox: that of an entry. Entries of the same time are in the order of their JIDs. */
export interface Place {
  /** Microseconds since 1970. */
  readonly timestamp: number;
  readonly remote: string;
}

/** Which entries. Everything given must hold. */
export interface Query {
  /** By the time of the last message. */
  readonly order: "asc" | "desc";
  /** Microseconds since 1970, inclusive. */
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  readonly unreadOnly?: boolean;
  /** "all" for every box, undefined for every one but the bin. */
  readonly box?: string | undefined;
  /** Entries behind a place, in the order of the query. */
  readonly after?: Place | undefined;
  /** The last entries before a place, or of all ("end"). */
  readonly before?: Place | "end" | undefined;
  readonly limit?: number | undefined;
}

/** What is read of an entry. */
export const ENTRY = "remote_bare_jid, box, content, timestamp, muted_until, unread_count";

/** `reversed`: the rows come in the other order than was asked for. */
export function select(
  dialect: Dialect,
  columns: string,
  user: BareJid,
  query: Query,
): { sql: string; params: SqlValue[]; reversed: boolean } {
  const { order, start, end, unreadOnly, box, after, before, limit } = query;
  const whose = ofUser(dialect, user);
  const where = [whose.where];
  const params: SqlValue[] = [...whose.params];
  const and = (condition: string, ...values: SqlValue[]): void => {
    where.push(condition);
    params.push(...values);
  };
  const beyond = ({ timestamp, remote }: Place, newer: boolean): void => {
    const sign = newer ? ">" : "<";
    // The first of the two finds its way through the index.
    and(`timestamp ${sign}= ?`, timestamp);
    and(`(timestamp ${sign} ? OR remote_bare_jid ${sign} ?)`, timestamp, remote);
  };
  if (start !== undefined) and("timestamp >= ?", start);
  if (end !== undefined) and("timestamp <= ?", end);
  if (unreadOnly) and("unread_count > 0");
  if (box === undefined) and("box <> 'bin'");
  else if (box !== "all") and("box = ?", box);
  if (after !== undefined) beyond(after, order === "asc");
  if (before !== undefined && before !== "end") beyond(before, order === "desc");
  const reversed = before !== undefined;
  const direction = (order === "asc") !== reversed ? "ASC" : "DESC";
  let sql = `SELECT ${columns} FROM inbox
    WHERE ${where.join(" AND ")} ORDER BY timestamp ${direction}, remote_bare_jid ${direction}`;
  if (limit !== undefined && limit !== Number.POSITIVE_INFINITY) {
    sql += " LIMIT ?";
    params.push(limit);
  }
  return { sql, params, reversed };
}
