// Tokens of clients: table `fast_auth_token`, a row for each client (user agent) of an account with two places, as
// XEP-0484 §6.1 has it: a token that was given out, and the one that was used last.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import type { Db, SqlValue } from "../../core/storage/db.ts";

export interface Token {
  /** The key of its HMAC, as the client has it. */
  readonly text: string;
  /** Unix seconds. */
  readonly expires: number;
  /** The highest `count` that it was used with. */
  readonly count: number;
  /** The number of its mechanism in the table. */
  readonly mechanism: number;
}

export interface Tokens {
  /** Was used. */
  readonly current: Token | undefined;
  /** Was given out and not used yet. */
  readonly fresh: Token | undefined;
}

/** The client of an account. */
export interface Owner {
  readonly jid: BareJid;
  /** The id of its <user-agent/>. */
  readonly agent: string;
}

type Nullable<T> = { [K in keyof T]: T[K] | null };
type Slot<P extends "current" | "new"> = Nullable<
  Record<`${P}_token`, string> & Record<`${P}_expire` | `${P}_count` | `${P}_mech_id`, number>
>;
type Row = Slot<"current"> & Slot<"new">;

/** Accounts of which it is remembered that their tokens were taken back. */
const REMEMBERED = 10_000;

/** Clients of an account that have tokens; one more takes the place of the one whose tokens end first. */
export const MAX_CLIENTS = 100;

const OWNER = "server = ? AND username = ? AND user_agent_id = ?";
const owned = ({ jid, agent }: Owner): SqlValue[] => [jid.domain, jid.local, agent];

function token(text: string | null, expires: number | null, count: number | null, id: number | null) {
  if (text === null || expires === null || id === null) return undefined;
  return { text, expires: Number(expires), count: Number(count ?? 0), mechanism: Number(id) };
}

export class FastTokenStore implements PersonalStore {
  /** How often tokens were taken back so far. */
  #takings = 0;
  /** When that was last done to an account, as `takings` was then; the newest last. */
  readonly #taken = new BoundedMap<string, number>(REMEMBERED, () => 1);

  constructor(private readonly db: Db) {}

  /** A moment, for `takenSince`. */
  get moment(): number {
    return this.#takings;
  }

  /** Whether the tokens of an account were taken back after a moment: what is given out for an older proof is void. */
  takenSince({ text }: BareJid, moment: number): boolean {
    return (this.#taken.get(text) ?? 0) > moment;
  }

  async read(owner: Owner): Promise<Tokens | undefined> {
    const [row] = await this.db.query<Row>(
      `SELECT current_token, current_expire, current_count, current_mech_id, new_token, new_expire, new_count, new_mech_id FROM fast_auth_token WHERE ${OWNER}`,
      owned(owner),
    );
    return (
      row && {
        current: token(row.current_token, row.current_expire, row.current_count, row.current_mech_id),
        fresh: token(row.new_token, row.new_expire, row.new_count, row.new_mech_id),
      }
    );
  }

  /** A token that was given out is used: it takes the place of the one before. False when it is not there any more. */
  async adopt(owner: Owner, { text, expires, mechanism }: Token, count: number): Promise<boolean> {
    const changed = await this.db.execute(
      `UPDATE fast_auth_token SET current_token = ?, current_expire = ?, current_count = ?, current_mech_id = ?, new_token = NULL, new_expire = NULL, new_count = NULL, new_mech_id = NULL WHERE ${OWNER} AND new_token = ?`,
      [text, expires, count, mechanism, ...owned(owner), text],
    );
    return changed > 0;
  }

  /** The current token is used with `count`. False when it was used with this or a higher one, or is gone. */
  async countUp(owner: Owner, { text }: Token, count: number): Promise<boolean> {
    const changed = await this.db.execute(
      `UPDATE fast_auth_token SET current_count = ? WHERE ${OWNER} AND current_token = ? AND (current_count IS NULL OR current_count < ?)`,
      [count, ...owned(owner), text, count],
    );
    return changed > 0;
  }

  /** A token is given out, in the place of one that was and has not been used. */
  async give(owner: Owner, { text, expires, mechanism }: Token): Promise<void> {
    const { jid, agent } = owner;
    await this.makeRoom(owner);
    await this.db.upsert(
      "fast_auth_token",
      { server: jid.domain, username: jid.local, user_agent_id: agent },
      { new_token: text, new_expire: expires, new_count: 0, new_mech_id: mechanism },
    );
  }

  private async makeRoom({ jid, agent }: Owner): Promise<void> {
    const rows = await this.db.query<{ agent: string; current_expire: number | null; new_expire: number | null }>(
      "SELECT user_agent_id AS agent, current_expire, new_expire FROM fast_auth_token WHERE server = ? AND username = ?",
      [jid.domain, jid.local],
    );
    if (rows.length < MAX_CLIENTS || rows.some((row) => row.agent === agent)) return;
    const end = ({ current_expire, new_expire }: (typeof rows)[number]): number =>
      Math.max(Number(current_expire ?? 0), Number(new_expire ?? 0));
    rows.sort((a, b) => end(a) - end(b));
    for (const row of rows.slice(0, rows.length - MAX_CLIENTS + 1)) await this.forget({ jid, agent: row.agent });
  }

  /** Both tokens of a client are good no more. */
  async forget(owner: Owner): Promise<void> {
    await this.db.execute(`DELETE FROM fast_auth_token WHERE ${OWNER}`, owned(owner));
  }

  async removeUser({ local, domain, text }: BareJid): Promise<void> {
    // First of all: a token that is stored after this is seen to be void by who stores it.
    this.#taken.set(text, ++this.#takings);
    await this.db.execute("DELETE FROM fast_auth_token WHERE server = ? AND username = ?", [domain, local]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await deleteInBatches(
      this.db,
      { table: "fast_auth_token", key: ["server", "username"], where: "server = ?", params: [domain] },
      deleted,
    );
  }

  /** §5.1: tokens are secrets and not exported; which clients have some, and until when, is. */
  async personalData({ local, domain }: BareJid): Promise<PersonalData[]> {
    const rows = await this.db.query<{ agent: string; current_expire: number | null; new_expire: number | null }>(
      "SELECT user_agent_id AS agent, current_expire, new_expire FROM fast_auth_token WHERE server = ? AND username = ? ORDER BY user_agent_id",
      [domain, local],
    );
    const date = (seconds: number | null): string =>
      seconds === null ? "" : new Date(Number(seconds) * 1000).toISOString();
    return [
      {
        name: "fast_auth_token",
        columns: ["user_agent_id", "current_expire", "new_expire"],
        rows: rows.map((row) => [row.agent, date(row.current_expire), date(row.new_expire)]),
      },
    ];
  }
}
