// Standing announcements of domains, and which users have got them: tables `mongooseim_announcements` and
// `mongooseim_announced`.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import type { Db, SqlValue } from "../../core/storage/db.ts";
import { DIALECTS } from "../../core/storage/dialect.ts";

/** The message of the day, or what new users get. */
export type Kind = "motd" | "welcome";

export interface Announcement {
  readonly body: string;
  /** Milliseconds since 1970. */
  readonly setAt: number;
}

/** What a user has got. */
export interface Announced {
  /** `setAt` of the last message of the day; 0 for none. */
  readonly motdAt: number;
  readonly welcomeDue: boolean;
}

interface Row {
  motd_at: SqlValue;
  welcome_due: SqlValue;
}

export class AnnouncementStore implements PersonalStore {
  constructor(private readonly db: Db) {}

  /** All announcements, by domain and kind. */
  async all(): Promise<{ domain: string; kind: Kind; announcement: Announcement }[]> {
    const rows = await this.db.query<{ server: string; kind: Kind; body: string; set_at: SqlValue }>(
      "SELECT server, kind, body, set_at FROM mongooseim_announcements",
    );
    return rows.map((row) => ({
      domain: row.server,
      kind: row.kind,
      announcement: { body: row.body, setAt: Number(row.set_at) },
    }));
  }

  async set(domain: string, kind: Kind, { body, setAt }: Announcement): Promise<void> {
    await this.db.upsert("mongooseim_announcements", { server: domain, kind }, { body, set_at: setAt });
  }

  async delete(domain: string, kind: Kind): Promise<void> {
    await this.db.execute("DELETE FROM mongooseim_announcements WHERE server = ? AND kind = ?", [domain, kind]);
  }

  async announced(user: BareJid): Promise<Announced> {
    const [row] = await this.db.query<Row>(
      "SELECT motd_at, welcome_due FROM mongooseim_announced WHERE server = ? AND username = ?",
      [user.domain, user.local],
    );
    return { motdAt: Number(row?.motd_at ?? 0), welcomeDue: Number(row?.welcome_due ?? 0) === 1 };
  }

  /** Users of a domain have got the message of the day of this time. */
  async sawMotd(domain: string, locals: readonly string[], setAt: number): Promise<void> {
    const sql = DIALECTS[this.db.dialect].upsert("mongooseim_announced", ["server", "username"], ["motd_at"]);
    await this.db.transaction(locals.map((local) => ({ sql, params: [domain, local, setAt] })));
  }

  /** Whether a user is to get the welcome message when he comes. */
  async setWelcomeDue(user: BareJid, due: boolean): Promise<void> {
    const key = { server: user.domain, username: user.local };
    await this.db.upsert("mongooseim_announced", key, { welcome_due: due ? 1 : 0 });
  }

  async removeUser(user: BareJid): Promise<void> {
    await this.db.execute("DELETE FROM mongooseim_announced WHERE server = ? AND username = ?", [
      user.domain,
      user.local,
    ]);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await this.db.execute("DELETE FROM mongooseim_announcements WHERE server = ?", [domain]);
    const told = { table: "mongooseim_announced", key: ["server", "username"] };
    await deleteInBatches(this.db, { ...told, where: "server = ?", params: [domain] }, deleted);
  }

  async personalData(user: BareJid): Promise<PersonalData[]> {
    const rows = await this.db.query<Row>(
      "SELECT motd_at, welcome_due FROM mongooseim_announced WHERE server = ? AND username = ?",
      [user.domain, user.local],
    );
    const told = rows.map((row) => [user.text, String(row.motd_at), Number(row.welcome_due) === 1 ? "true" : "false"]);
    return [{ name: "announced", columns: ["jid", "motd_at", "welcome_due"], rows: told }];
  }
}
