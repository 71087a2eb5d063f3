// Whose archive a row is: table `mam_server_user` gives every owner a number. Rows are made on first use and stay.

import { BoundedMap } from "../../../core/bounded-map.ts";
import { BareJid } from "../../../core/jid.ts";
import type { Db } from "../../../core/storage/db.ts";
import type { Owner } from "../backend.ts";

/** How long a number is trusted: another server on the same database may remove the account, and make it anew. */
const LIFE_MS = 300_000;

interface Known {
  readonly number: number;
  /** By `Server.steady`. */
  readonly until: number;
}

export class Owners {
  private readonly numbers: BoundedMap<string, Known>;
  private readonly asked = new Map<string, Promise<number | undefined>>();
  private readonly making = new Map<string, Promise<number>>();

  /**
   * @param remembered owners whose number is kept in memory
   * @param steady `Server.steady`
   */
  constructor(
    private readonly db: Db,
    remembered: number,
    private readonly steady: () => number,
  ) {
    this.numbers = new BoundedMap(remembered, () => 1);
  }

  /** The number of an owner that was asked for lately. */
  known(owner: Owner): number | undefined {
    const found = this.numbers.get(key(owner));
    return found !== undefined && found.until > this.steady() ? found.number : undefined;
  }

  /** The number of an owner; undefined for one who has no archive. */
  find(owner: Owner): Promise<number | undefined> {
    const known = this.known(owner);
    return known === undefined ? this.read(owner) : Promise.resolve(known);
  }

  /**
   * The number of an owner, who gets one if he has none: one promise for all who come meanwhile, so that what waits for
   * it goes on in the order in which it came.
   */
  number(owner: Owner): Promise<number> {
    const name = key(owner);
    let making = this.making.get(name);
    if (making === undefined) {
      making = this.make(owner).finally(() => this.making.delete(name));
      this.making.set(name, making);
    }
    return making;
  }

  /** Resolves when all who are being given a number have it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.making.values());
  }

  private async make(owner: Owner): Promise<number> {
    const there = await this.find(owner);
    if (there !== undefined) return there;
    await this.db.insertNew("mam_server_user", { server: owner.domain, user_name: owner.local });
    const made = await this.read(owner);
    if (made === undefined) throw new Error(`mam_server_user does not keep ${owner.local}@${owner.domain}`);
    return made;
  }

  /** The numbers of a domain's owners, at most `limit`. */
  async ofDomain(domain: string, limit: number): Promise<number[]> {
    // In the order of the key: by their numbers all of them would be read.
    const sql = "SELECT id FROM mam_server_user WHERE server = ? ORDER BY user_name LIMIT ?";
    const rows = await this.db.query<{ id: number }>(sql, [domain, limit]);
    return rows.map(({ id }) => Number(id));
  }

  async remove(owner: Owner): Promise<void> {
    this.numbers.delete(key(owner));
    const sql = "DELETE FROM mam_server_user WHERE server = ? AND user_name = ?";
    await this.db.execute(sql, [owner.domain, owner.local]);
    this.numbers.delete(key(owner));
  }

  async removeNumbers(numbers: readonly number[]): Promise<void> {
    this.numbers.clear();
    if (numbers.length === 0) return;
    const marks = numbers.map(() => "?").join(", ");
    await this.db.execute(`DELETE FROM mam_server_user WHERE id IN (${marks})`, numbers);
    this.numbers.clear();
  }

  /** One question for all who come meanwhile. */
  private read(owner: Owner): Promise<number | undefined> {
    const name = key(owner);
    let asked = this.asked.get(name);
    if (asked === undefined) {
      asked = this.select(owner, name).finally(() => this.asked.delete(name));
      this.asked.set(name, asked);
    }
    return asked;
  }

  private async select(owner: Owner, name: string): Promise<number | undefined> {
    const sql = "SELECT id FROM mam_server_user WHERE server = ? AND user_name = ?";
    const [row] = await this.db.query<{ id: number }>(sql, [owner.domain, owner.local]);
    if (row === undefined) return undefined;
    const id = Number(row.id);
    this.numbers.set(name, { number: id, until: this.steady() + LIFE_MS });
    return id;
  }
}

const key = (owner: Owner): string => (owner instanceof BareJid ? owner.text : `${owner.local}@${owner.domain}`);
