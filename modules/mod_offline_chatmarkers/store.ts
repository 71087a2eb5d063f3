// Which conversations have had chat markers while their reader was away: table `offline_markers`. The markers are in
// mod_smart_markers' table; a row says since when, which no newer marker changes until they are delivered.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import { type Deleted, deleteThroughout } from "../../core/storage/batches.ts";
import type { Db } from "../../core/storage/db.ts";
import { escapeLike } from "../../core/storage/dialect.ts";
import { surely } from "../../core/storage/surely.ts";

/** A thread of a conversation. */
export interface Unseen {
  /** "" for none. */
  readonly thread: string;
  /** Bare JID of the room; "" for what other users have sent. */
  readonly room: string;
  /** Microseconds since 1970 of the first marker that was not delivered. */
  readonly since: number;
}

const TABLE = "offline_markers";

export class OfflineMarkerStore implements PersonalStore {
  constructor(private readonly db: Db) {}

  /** Notes that there is something for a user; false when that would be more than `max` rows. */
  maybeStore(jid: BareJid, unseen: Unseen, max: number): Promise<boolean> {
    return surely((one: Unseen) => this.note(jid, one, max))(unseen);
  }

  /** May be done twice. */
  private async note(jid: BareJid, { thread, room, since }: Unseen, max: number): Promise<boolean> {
    const [{ n, earliest }] = await this.db.query<{ n: number | string; earliest: number | string | null }>(
      `SELECT count(*) AS n, min(CASE WHEN thread = ? AND room = ? THEN timestamp END) AS earliest
       FROM offline_markers WHERE jid = ?`,
      [thread, room, jid.text],
    );
    if (earliest === null) {
      if (Number(n) >= max) return false;
      if (await this.db.insertNew(TABLE, { jid: jid.text, thread, room, timestamp: since })) return true;
    } else if (Number(earliest) <= since) return true;
    // Of two markers that came at once the older is the later to be noted, or another connection was first.
    await this.db.execute(
      "UPDATE offline_markers SET timestamp = ? WHERE jid = ? AND thread = ? AND room = ? AND timestamp > ?",
      [since, jid.text, thread, room, since],
    );
    return true;
  }

  async get(jid: BareJid): Promise<Unseen[]> {
    const rows = await this.db.query<{ thread: string; room: string; timestamp: number | string }>(
      "SELECT thread, room, timestamp FROM offline_markers WHERE jid = ? ORDER BY timestamp, room, thread",
      [jid.text],
    );
    return rows.map(({ thread, room, timestamp }) => ({ thread, room, since: Number(timestamp) }));
  }

  async forget(jid: BareJid, { thread, room }: Unseen): Promise<void> {
    const sql = "DELETE FROM offline_markers WHERE jid = ? AND thread = ? AND room = ?";
    await this.db.execute(sql, [jid.text, thread, room]);
  }

  async forgetRoom(room: BareJid): Promise<void> {
    await this.db.execute("DELETE FROM offline_markers WHERE room = ?", [room.text]);
  }

  async removeUser(jid: BareJid): Promise<void> {
    await this.db.execute("DELETE FROM offline_markers WHERE jid = ?", [jid.text]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    const sought = { table: TABLE, column: "jid", where: "jid LIKE ? ESCAPE '$'" };
    await deleteThroughout(this.db, { ...sought, params: [`%@${escapeLike(domain)}`] }, deleted);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const rows = (await this.get(jid)).map(({ thread, room, since }) => [thread, room, printDateTime(since)]);
    return [{ name: "offline_markers", columns: ["thread", "room", "since"], rows }];
  }
}
