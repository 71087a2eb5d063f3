// Invitations in mongooseim_invites, a table of our own. Tokens are kept as hashes.

import { createHash } from "node:crypto";
import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import { asBoolean, type Db, type SqlValue } from "../../core/storage/db.ts";
import { LIMIT_OFFSET } from "../../core/storage/dialect.ts";
import { KEEPS_A_NAME } from "../../core/storage/migrations/0029_whose_rows.ts";
import { Turns } from "../../core/turns.ts";

const TABLE = "mongooseim_invites";
const OF_USER = "WHERE server = ? AND username = ?";
const USABLE = "uses_left > 0 AND expires_at > ?";

/** "roster": to become a contact of who invites; "account": to make an account. */
export type InviteKind = "roster" | "account";

export interface NewInvite {
  readonly domain: string;
  /** Local part of who invites; "" for an administrator. */
  readonly inviter: string;
  readonly kind: InviteKind;
  /** The user name that is kept for the invited, "" for any. */
  readonly account: string;
  readonly mayRegister: boolean;
  /** Whether the new account and who invites become contacts. */
  readonly subscribe: boolean;
  readonly uses: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface Invite extends NewInvite {
  /** Text, for it may be greater than a number can be. */
  readonly id: string;
}

interface Row {
  id: number | bigint;
  server: string;
  username: string;
  kind: string;
  account: string;
  may_register: SqlValue;
  subscribe: SqlValue;
  uses_left: number;
  created_at: number | bigint;
  expires_at: number | bigint;
}

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

export class InviteStore implements PersonalStore {
  /** One invitation of a user after the other: how many are open is seen before. */
  readonly turns = new Turns();

  constructor(private readonly db: Db) {}

  async add(token: string, invite: NewInvite): Promise<Invite> {
    await this.db.execute(
      `INSERT INTO ${TABLE} (token_hash, server, username, kind, account, may_register, subscribe, uses_left,
        created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      [
        hashOf(token),
        invite.domain,
        invite.inviter,
        invite.kind,
        invite.account,
        invite.mayRegister,
        invite.subscribe,
        invite.uses,
        invite.createdAt,
        invite.expiresAt,
      ],
    );
    const [row] = await this.db.query<Row>(`SELECT * FROM ${TABLE} WHERE token_hash = ?`, [hashOf(token)]);
    return inviteOf(row);
  }

  /** The invitation of a token, of this domain and usable; undefined for any other. */
  async find(domain: string, token: string, now: number): Promise<Invite | undefined> {
    const [row] = await this.db.query<Row>(`SELECT * FROM ${TABLE} WHERE token_hash = ? AND server = ? AND ${USABLE}`, [
      hashOf(token),
      domain,
      now,
    ]);
    return row && inviteOf(row);
  }

  /** Uses it once, whether it has ended meanwhile or not; false when there is no use left. */
  async take(id: string): Promise<boolean> {
    const sql = `UPDATE ${TABLE} SET uses_left = uses_left - 1 WHERE id = ? AND uses_left > 0`;
    return (await this.db.execute(sql, [BigInt(id)])) > 0;
  }

  /** Takes a use back: what it was for has failed. */
  async giveBack(id: string): Promise<void> {
    await this.db.execute(`UPDATE ${TABLE} SET uses_left = uses_left + 1 WHERE id = ?`, [BigInt(id)]);
  }

  /**
   * Whether a user name is kept for somebody else than the holder of the invitation `but`. Of several invitations that
   * were made at the same time the first one counts.
   */
  async isReserved(domain: string, account: string, now: number, but?: string): Promise<boolean> {
    const rows = await this.db.query<{ id: number | bigint }>(
      `SELECT id FROM ${TABLE} WHERE server = ? AND account = ? AND ${KEEPS_A_NAME} AND ${USABLE}`,
      [domain, account, now],
    );
    return rows.some(({ id }) => but === undefined || BigInt(id) < BigInt(but));
  }

  /** How many usable invitations a user has made. */
  async count(user: { domain: string; local: string }, now: number): Promise<number> {
    const [row] = await this.db.query<{ n: number | string }>(
      `SELECT count(*) AS n FROM ${TABLE} ${OF_USER} AND ${USABLE}`,
      [user.domain, user.local, now],
    );
    return Number(row.n);
  }

  /** Usable invitations, the newest first: of a user, or of the whole domain. */
  async list(domain: string, inviter: string | undefined, now: number, limit: number, offset: number) {
    const of = inviter === undefined ? "" : "AND username = ?";
    const params: SqlValue[] = inviter === undefined ? [domain] : [domain, inviter];
    const rows = await this.db.query<Row>(
      `SELECT * FROM ${TABLE} WHERE server = ? ${of} AND ${USABLE} ORDER BY id DESC ${LIMIT_OFFSET}`,
      [...params, now, limit, offset],
    );
    return rows.map(inviteOf);
  }

  /** Removes an invitation of the domain, and only of this inviter when one is given. False when there is none. */
  async remove(domain: string, id: bigint, inviter?: string): Promise<boolean> {
    const of = inviter === undefined ? "" : "AND username = ?";
    const params: SqlValue[] = inviter === undefined ? [domain, id] : [domain, id, inviter];
    return (await this.db.execute(`DELETE FROM ${TABLE} WHERE server = ? AND id = ? ${of}`, params)) > 0;
  }

  /** Removes what nobody can use any more: whatever has ended, and what a user has made that was used. */
  async removeUseless(inviter: BareJid | undefined, now: number): Promise<void> {
    await this.db.execute(`DELETE FROM ${TABLE} WHERE expires_at <= ?`, [now]);
    if (inviter === undefined) return;
    await this.db.execute(`DELETE FROM ${TABLE} ${OF_USER} AND uses_left <= 0`, [inviter.domain, inviter.local]);
  }

  async removeUser(jid: BareJid): Promise<void> {
    await this.db.execute(`DELETE FROM ${TABLE} ${OF_USER}`, [jid.domain, jid.local]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await deleteInBatches(this.db, { table: TABLE, key: ["id"], where: "server = ?", params: [domain] }, deleted);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const rows = await this.db.query<Row>(`SELECT * FROM ${TABLE} ${OF_USER} ORDER BY id`, [jid.domain, jid.local]);
    const time = (at: number | bigint): string => new Date(Number(at)).toISOString();
    return [
      {
        name: "invites",
        columns: ["kind", "account", "uses_left", "created_at", "expires_at"],
        rows: rows.map((r) => [r.kind, r.account, String(r.uses_left), time(r.created_at), time(r.expires_at)]),
      },
    ];
  }
}

const inviteOf = (row: Row): Invite => ({
  id: String(row.id),
  domain: row.server,
  inviter: row.username,
  kind: row.kind === "account" ? "account" : "roster",
  account: row.account,
  mayRegister: asBoolean(row.may_register),
  subscribe: asBoolean(row.subscribe),
  uses: row.uses_left,
  createdAt: Number(row.created_at),
  expiresAt: Number(row.expires_at),
});
