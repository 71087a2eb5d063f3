// MongooseIM's table auth_token: for each owner of refresh tokens, by bare JID, the lowest number that is not revoked.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteThroughout } from "../../core/storage/batches.ts";
import type { Db } from "../../core/storage/db.ts";
import { escapeLike } from "../../core/storage/dialect.ts";

export class TokenStore implements PersonalStore {
  constructor(private readonly db: Db) {}

  /** The lowest sequence number that is valid; undefined for who was never given a refresh token. */
  async validSequence(owner: BareJid): Promise<number | undefined> {
    const rows = await this.db.query<{ seq_no: number | bigint }>("SELECT seq_no FROM auth_token WHERE owner = ?", [
      owner.text,
    ]);
    return rows.length === 0 ? undefined : Number(rows[0].seq_no);
  }

  /** The number for a new refresh token; `first` is that of an owner who had none. */
  async sequence(owner: BareJid, first: number): Promise<number> {
    const known = await this.validSequence(owner);
    if (known !== undefined) return known;
    if (await this.db.insertNew("auth_token", { owner: owner.text, seq_no: first })) return first;
    // Somebody else was quicker.
    return (await this.validSequence(owner)) ?? first;
  }

  /** Makes every refresh token so far invalid. False for who has none. */
  async revoke(owner: BareJid): Promise<boolean> {
    return (await this.db.execute("UPDATE auth_token SET seq_no = seq_no + 1 WHERE owner = ?", [owner.text])) > 0;
  }

  async removeUser(jid: BareJid): Promise<void> {
    await this.db.execute("DELETE FROM auth_token WHERE owner = ?", [jid.text]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    const sought = { table: "auth_token", column: "owner", where: "owner LIKE ? ESCAPE '$'" };
    await deleteThroughout(this.db, { ...sought, params: [`%@${escapeLike(domain)}`] }, deleted);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const sequence = await this.validSequence(jid);
    const rows = sequence === undefined ? [] : [[jid.text, String(sequence)]];
    return [{ name: "auth_token", columns: ["owner", "seq_no"], rows }];
  }
}
