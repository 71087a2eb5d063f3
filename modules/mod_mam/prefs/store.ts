// Preferences of archiving in MongooseIM's tables: `mam_config`, a row for each JID and one with "" for the default, of
// owners by their numbers in `mam_server_user`.

import { asText, type Db, type Statement } from "../../../core/storage/db.ts";
import type { Behaviour, Owner } from "../backend.ts";

/** Bytes that the column for JIDs holds: on MySQL; elsewhere as many characters. */
export const MAX_JID = 250;

/** What an owner has said, the default and JIDs of which he said "always" (A) or "never" (N). */
export interface Preference {
  readonly default: Behaviour;
  readonly jids: ReadonlyMap<string, "A" | "N">;
}

const OWNER = "SELECT id FROM mam_server_user WHERE server = ? AND user_name = ?";

export class PreferenceStore {
  constructor(private readonly db: Db) {}

  /** Undefined for an owner who has said nothing. */
  async load({ local, domain }: Owner): Promise<Preference | undefined> {
    const rows = await this.db.query<{ remote_jid: string | Uint8Array; behaviour: string }>(
      `SELECT c.remote_jid, c.behaviour FROM mam_config c JOIN mam_server_user u ON u.id = c.user_id
       WHERE u.server = ? AND u.user_name = ?`,
      [domain, local],
    );
    if (rows.length === 0) return undefined;
    let byDefault: Behaviour = "A";
    const jids = new Map<string, "A" | "N">();
    for (const { remote_jid, behaviour } of rows) {
      const jid = asText(remote_jid);
      if (jid === "") byDefault = behaviour as Behaviour;
      else jids.set(jid, behaviour === "N" ? "N" : "A");
    }
    return { default: byDefault, jids };
  }

  /** Takes the place of what was said before, all at once. */
  async save({ local, domain }: Owner, { default: byDefault, jids }: Preference): Promise<void> {
    const id = (await this.number(domain, local)) ?? (await this.makeNumber(domain, local));
    const rows: [string, Behaviour][] = [["", byDefault], ...jids];
    // In one order, so that two who write the same rows do not wait for each other for ever.
    rows.sort(([a], [b]) => (a < b ? -1 : 1));
    const insert = "INSERT INTO mam_config (user_id, remote_jid, behaviour) VALUES (?, ?, ?)";
    const statements: Statement[] = rows.map((row) => ({ sql: insert, params: [id, ...row] }));
    await this.db.transaction([{ sql: "DELETE FROM mam_config WHERE user_id = ?", params: [id] }, ...statements]);
  }

  private async number(domain: string, local: string): Promise<number | bigint | undefined> {
    const [row] = await this.db.query<{ id: number | bigint }>(OWNER, [domain, local]);
    return row?.id;
  }

  /** Another may have made it meanwhile: it is read again. */
  private async makeNumber(domain: string, local: string): Promise<number | bigint> {
    await this.db.insertNew("mam_server_user", { server: domain, user_name: local });
    const id = await this.number(domain, local);
    if (id === undefined) throw new Error(`${local}@${domain} got no number`);
    return id;
  }
}
