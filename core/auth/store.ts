// The SQL of accounts: MongooseIM's `users` table, in a service or in the embedded store.
import { type BareJid, makeBare } from "../jid.ts";
import { type Deleted, deleteInBatches } from "../storage/batches.ts";
import type { Db, SqlValue } from "../storage/db.ts";
import { escapeLike, exactly, exactValues, LIMIT_OFFSET } from "../storage/dialect.ts";
import { formatPassDetails, parsePassDetails } from "./pass-details.ts";
import type { Credentials, HashName, SnapshotPage, UserPage } from "./types.ts";

/** A stored user as GDPR retrieval needs it. */
export interface StoredUser {
  username: string;
  server: string;
  password: "plain" | "scram";
  created_at: string;
}

/** A row whose `pass_details` no reader understands. The account exists, but nobody can log in to it. */
export class DamagedPasswordError extends Error {
  override readonly name = "DamagedPasswordError";
}

interface PasswordRow {
  password: string;
  pass_details: string | null;
}

/** More rows than any table has, where a dialect wants a LIMIT before OFFSET. */
const NO_LIMIT = 2_147_483_647;

/** Accounts in the `users` table. Nothing here knows hashing or policy. Rejects with the storage's `StorageError`. */
export class UserStore {
  readonly #db: Db;
  /** Finds one account. A table that MongooseIM made in MySQL takes José for jose: neither may log in as the other. */
  readonly #one: string;

  constructor(db: Db) {
    this.#db = db;
    this.#one = `server = ? AND username = ?${exactly(db.dialect, "username")}`;
  }

  #key(local: string, domain: string): string[] {
    return [domain, ...exactValues(this.#db.dialect, local)];
  }

  /** What is stored of the password; with `only`, keys of that hash function alone. Undefined: no such user. */
  async credentials(local: string, domain: string, only?: HashName): Promise<Credentials | undefined> {
    const [row] = await this.#db.query<PasswordRow>(
      `SELECT password, pass_details FROM users WHERE ${this.#one}`,
      this.#key(local, domain),
    );
    if (!row) return undefined;
    if (row.pass_details === null) return { plain: row.password };
    const scram = parsePassDetails(row.pass_details, only);
    if (!scram) {
      throw new DamagedPasswordError(
        `Cannot read users.pass_details of "${local}@${domain}": neither ==MULTI_SCRAM== nor ==SCRAM==; set a new password`,
      );
    }
    return { scram };
  }

  async exists(local: string, domain: string): Promise<boolean> {
    const rows = await this.#db.query(`SELECT 1 AS found FROM users WHERE ${this.#one}`, this.#key(local, domain));
    return rows.length > 0;
  }

  /** False when the user exists already. */
  create(local: string, domain: string, credentials: Credentials): Promise<boolean> {
    return this.#db.insertNew("users", { server: domain, username: local, ...columns(credentials) });
  }

  /** False when there is no such user. */
  async setCredentials(local: string, domain: string, credentials: Credentials): Promise<boolean> {
    const { password, pass_details } = columns(credentials);
    const changed = await this.#db.execute(`UPDATE users SET password = ?, pass_details = ? WHERE ${this.#one}`, [
      password,
      pass_details,
      ...this.#key(local, domain),
    ]);
    return changed > 0;
  }

  /** False when there was no such user. */
  async remove(local: string, domain: string): Promise<boolean> {
    return (await this.#db.execute(`DELETE FROM users WHERE ${this.#one}`, this.#key(local, domain))) > 0;
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    const users = { table: "users", key: ["server", "username"], where: "server = ?", params: [domain] };
    await deleteInBatches(this.#db, users, deleted);
  }

  /** User names in order. */
  async list(domain: string, { limit, offset = 0, prefix }: UserPage): Promise<string[]> {
    const where = matching(domain, prefix);
    const rows = await this.#db.query<{ username: string }>(
      `SELECT username FROM users WHERE ${where.sql} ORDER BY username ${LIMIT_OFFSET}`,
      [...where.params, limit ?? NO_LIMIT, offset],
    );
    return rows.map((row) => row.username);
  }

  /** User names in order, without the accounts that were made after a time. */
  async snapshot(domain: string, { limit, after, until }: SnapshotPage): Promise<string[]> {
    // The databases that count fractions count them too: the whole second belongs to it.
    const end = new Date((Math.floor(until / 1000) + 1) * 1000).toISOString().slice(0, 19).replace("T", " ");
    const rows = await this.#db.query<{ username: string }>(
      "SELECT username FROM users WHERE server = ? AND username > ? AND created_at < ? ORDER BY username LIMIT ?",
      [domain, after, end, limit],
    );
    return rows.map((row) => row.username);
  }

  async count(domain: string, prefix?: string): Promise<number> {
    const where = matching(domain, prefix);
    const [row] = await this.#db.query<{ n: SqlValue }>(
      `SELECT COUNT(*) AS n FROM users WHERE ${where.sql}`,
      where.params,
    );
    return Number(row.n);
  }

  /**
   * The database's own estimate of the whole table's rows, which costs nothing (`auth.rdbms.users_number_estimate`).
   * Undefined where there is none: SQLite, or a table that PostgreSQL has not analysed yet (-1).
   */
  async estimate(): Promise<number | undefined> {
    const sql = {
      sqlite: undefined,
      pgsql: "SELECT reltuples AS n FROM pg_class WHERE oid = 'users'::regclass::oid",
      mysql:
        "SELECT table_rows AS n FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'users'",
    }[this.#db.dialect];
    if (sql === undefined) return undefined;
    const [row] = await this.#db.query<{ n: SqlValue }>(sql);
    const n = row === undefined ? -1 : Number(row.n ?? -1);
    return n < 0 ? undefined : Math.round(n);
  }

  async user(local: string, domain: string): Promise<StoredUser | undefined> {
    const [row] = await this.#db.query<{ pass_details: string | null; created_at: unknown }>(
      `SELECT pass_details, created_at FROM users WHERE ${this.#one}`,
      this.#key(local, domain),
    );
    if (!row) return undefined;
    const created = row.created_at;
    return {
      username: local,
      server: domain,
      password: row.pass_details === null ? "plain" : "scram",
      created_at: created instanceof Date ? created.toISOString() : String(created),
    };
  }
}

/** MongooseIM leaves `password` empty beside SCRAM keys. A plain password clears old keys, or they would win. */
function columns({ plain, scram }: Credentials): { password: string; pass_details: string | null } {
  return scram
    ? { password: "", pass_details: formatPassDetails(scram) }
    : { password: plain ?? "", pass_details: null };
}

function matching(domain: string, prefix: string | undefined): { sql: string; params: SqlValue[] } {
  if (prefix === undefined || prefix === "") return { sql: "server = ?", params: [domain] };
  return { sql: "server = ? AND username LIKE ? ESCAPE '$'", params: [domain, `${escapeLike(prefix)}%`] };
}

/** Accounts whose removal has begun: table `mongooseim_removals`. */
export class RemovalStore {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** @param now milliseconds since 1970 */
  begin({ local, domain }: BareJid, now: number): Promise<void> {
    return this.#db.upsert("mongooseim_removals", { server: domain, username: local }, { began_at: now });
  }

  /** Nothing is left to remove. */
  async end({ local, domain }: BareJid): Promise<void> {
    await this.#db.execute("DELETE FROM mongooseim_removals WHERE server = ? AND username = ?", [domain, local]);
  }

  async endAll(domain: string): Promise<void> {
    const begun = { table: "mongooseim_removals", key: ["server", "username"], where: "server = ?", params: [domain] };
    await deleteInBatches(this.#db, begun);
  }

  /** Those that have not come to their end. */
  async all(): Promise<BareJid[]> {
    const rows = await this.#db.query<{ server: string; username: string }>(
      "SELECT server, username FROM mongooseim_removals",
    );
    return rows.map(({ server, username }) => makeBare(username, server));
  }
}
