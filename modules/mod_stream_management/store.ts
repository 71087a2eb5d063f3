// Messages held for broken streams: table `mongooseim_held_stanzas`. A row lives from the commit that its sender's
// acknowledgement waits for until the stream is resumed or the message has gone another way.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches, PAGE, pages } from "../../core/storage/batches.ts";
import type { Db, SqlValue } from "../../core/storage/db.ts";

export interface Held {
  id: number;
  /** The stream that it waited for. */
  stream_id: string;
  server: string;
  username: string;
  /** The stanza as it was written for the client. */
  stanza: string;
  /** Milliseconds since 1970. */
  held_at: number;
}

const TABLE = "mongooseim_held_stanzas";
const COLUMNS = ["server", "username", "stream_id", "stanza", "held_at"];

/** Stanzas of sessions that have ended, while they are routed again. */
type OnTheirWay = readonly { readonly bytes: string }[];

export class HeldStore implements PersonalStore {
  /** By account. */
  private readonly rerouting = new Map<string, OnTheirWay[]>();

  constructor(private readonly db: Db) {}

  onTheirWay(account: BareJid): OnTheirWay {
    return this.rerouting.get(account.text)?.flat() ?? [];
  }

  /** Notes what is routed again until `done` is called. */
  underway(account: BareJid, stanzas: OnTheirWay): { done(): void } {
    const there = this.rerouting.get(account.text) ?? [];
    this.rerouting.set(account.text, there);
    there.push(stanzas);
    return {
      done: () => {
        there.splice(there.indexOf(stanzas), 1);
        if (there.length === 0) this.rerouting.delete(account.text);
      },
    };
  }

  /** Keeps stanzas of one stream, in order; resolves when they are committed. */
  hold(jid: BareJid, streamId: string, stanzas: readonly { text: string; at: number }[]): Promise<void> {
    const rows = stanzas.map(({ text, at }): SqlValue[] => [jid.domain, jid.local, streamId, text, at]);
    return this.db.insertMany(TABLE, COLUMNS, rows);
  }

  /** Forgets what was held for a stream. */
  async release(streamId: string): Promise<void> {
    await this.db.execute("DELETE FROM mongooseim_held_stanzas WHERE stream_id = ?", [streamId]);
  }

  async remove(id: number): Promise<void> {
    await this.db.execute("DELETE FROM mongooseim_held_stanzas WHERE id = ?", [id]);
  }

  /** The id of the newest row, 0 without any. */
  async newest(): Promise<number> {
    const [row] = await this.db.query<{ id: number | null }>("SELECT MAX(id) AS id FROM mongooseim_held_stanzas");
    return Number(row?.id ?? 0);
  }

  /** Rows after `after` up to `upTo`, oldest first, a few hundred at once. */
  between(after: number, upTo: number): Promise<Held[]> {
    return this.db.query<Held>(
      "SELECT id, stream_id, server, username, stanza, held_at FROM mongooseim_held_stanzas WHERE id > ? AND id <= ? ORDER BY id LIMIT 500",
      [after, upTo],
    );
  }

  async removeUser({ local, domain }: BareJid): Promise<void> {
    await this.db.execute("DELETE FROM mongooseim_held_stanzas WHERE server = ? AND username = ?", [domain, local]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await deleteInBatches(
      this.db,
      { table: "mongooseim_held_stanzas", key: ["id"], where: "server = ?", params: [domain] },
      deleted,
    );
  }

  async personalData({ local, domain }: BareJid): Promise<PersonalData[]> {
    type Row = Pick<Held, "id" | "stanza" | "held_at">;
    const read = (last: Row | undefined): Promise<Row[]> =>
      this.db.query(
        `SELECT id, stanza, held_at FROM mongooseim_held_stanzas WHERE server = ? AND username = ? AND id > ?
         ORDER BY id LIMIT ${PAGE}`,
        [domain, local, last?.id ?? 0],
      );
    const more = pages(read, ({ stanza, held_at }) => [new Date(Number(held_at)).toISOString(), stanza]);
    return [{ name: "held_stanzas", columns: ["held_at", "stanza"], rows: [], more }];
  }
}
