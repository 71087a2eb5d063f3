// What mod_mam keeps: the archives of users, on a database of the SQL family. Other back ends implement ArchiveBackend.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { microsOfId } from "../../core/message-id.ts";
import type { PersonalStore } from "../../core/module.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import type { Stanza } from "../../core/stanza.ts";
import type { Db, Deleted } from "../../core/storage/db.ts";
import type { ArchiveBackend, Archived, Behaviour } from "./backend.ts";
import { jidCodec } from "./codecs/jid.ts";
import { DEFAULT_MESSAGE_FORMAT, messageCodec } from "./codecs/message.ts";
import type { MamConfig, PmConfig } from "./config.ts";
import type { PmRecorder } from "./pm.ts";
import type { Preferences } from "./prefs/index.ts";
import type { AskedArchive } from "./query/index.ts";
import type { SearchForm } from "./search/form.ts";
import { type ArchiveParts, COLUMNS, SqlArchive } from "./sql/archive.ts";
import { Owners } from "./sql/owners.ts";
import { Ranks } from "./sql/ranks.ts";
import { ArchiveWriter, type WriterObserver } from "./writer.ts";

/** The archives of the users of one host type. */
export interface PmArchive {
  readonly config: PmConfig;
  readonly backend: ArchiveBackend;
  readonly sql: SqlArchive;
  readonly writer: ArchiveWriter;
  /** Undefined where everything is archived. */
  readonly prefs: Preferences | undefined;
  readonly recorder: PmRecorder;
  /** The asking side. */
  readonly asked: AskedArchive;
  /** What searches will find of a message; "" for nothing. */
  searchBody(stanza: Stanza): string;
  /** Told of every message that was given to the archive. */
  readonly afterwards: ((stanza: Stanza, message: Archived, written: Promise<void>) => void) | undefined;
}

/** Owners whose number is kept in memory, and where `cache_users` is off. */
const REMEMBERED = 50_000;
const FEW = 1;
/** Owners whose archives are deleted together. */
const OWNERS = 200;
/** Messages that are deleted, or read for an export, at a time. */
const BATCH = 1000;

export class MamStore implements PersonalStore {
  pm: PmArchive | undefined;
  private removing: { owners: Owners; sql: SqlArchive };
  private limit = BATCH;

  constructor(readonly db: Db) {
    this.removing = this.sql({ cache_users: false }, silent);
  }

  /**
   * The parts on which the archives of users are built.
   * @param now milliseconds since 1970, as ids have them
   * @param steady `Server.steady`
   */
  sql(
    config: Pick<PmConfig, "cache_users"> & Partial<PmConfig>,
    observer: WriterObserver & Pick<ArchiveParts, "unfit" | "unreadable">,
    now: () => number = Date.now,
    search?: SearchForm,
    steady: () => number = now,
  ) {
    const { db } = this;
    const owners = new Owners(db, config.cache_users ? REMEMBERED : FEW, steady);
    const ranks = new Ranks(db, "mam_message", "user_id", now, steady);
    const options = config.async_writer ?? { enabled: true, batch_size: 30, flush_interval: 2000, pool_size: 1 };
    const writer = new ArchiveWriter(db, "mam_message", COLUMNS, options, observer);
    const sql = new SqlArchive({
      db,
      owners,
      ranks,
      writer,
      jids: jidCodec(config.db_jid_format ?? "mam_jid_mini"),
      messages: messageCodec(config.db_message_format ?? DEFAULT_MESSAGE_FORMAT),
      search,
      dropped: observer.dropped,
      unfit: observer.unfit,
      unreadable: observer.unreadable,
    });
    return { owners, ranks, writer, sql };
  }

  /** The archives of this host type are open: removals go through what they remember. */
  opened(pm: PmArchive, owners: Owners, { delete_domain_limit: limit }: Pick<MamConfig, "delete_domain_limit">): void {
    this.pm = pm;
    this.removing = { owners, sql: pm.sql };
    if (limit !== undefined && Number.isFinite(limit)) this.limit = limit;
  }

  async removeUser(jid: BareJid): Promise<void> {
    const { owners, sql } = this.removing;
    await owners.settled();
    await this.pm?.writer.sync();
    const number = await owners.find(jid);
    if (number === undefined) return;
    await sql.removeAll(number, this.limit);
    this.pm?.prefs?.forget(jid);
    await owners.remove(jid);
    // What was being written meanwhile is of nobody now.
    await this.pm?.writer.sync();
    await sql.removeAll(number, this.limit);
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    const { owners, sql } = this.removing;
    await owners.settled();
    await this.pm?.writer.sync();
    for (;;) {
      const numbers = await owners.ofDomain(domain, OWNERS);
      if (numbers.length === 0) return;
      await sql.removeMany(numbers, this.limit, deleted);
      this.pm?.prefs?.forgetAll();
      await owners.removeNumbers(numbers);
      // What was being written meanwhile is of nobody now.
      await this.pm?.writer.sync();
      await sql.removeMany(numbers, this.limit, deleted);
    }
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    return [
      { name: "mam_pm", columns: ["id", "from", "message"], rows: [], more: this.rows(jid) },
      // What MongooseIM keeps and does not tell.
      { name: "mam_prefs", columns: ["jid", "behaviour"], rows: await this.preferences(jid) },
    ];
  }

  /** Preferences of archiving: a JID, "" for all others, and what is archived. */
  private async preferences({ local, domain }: BareJid): Promise<string[][]> {
    const rows = await this.db.query<{ remote_jid: string | Uint8Array; behaviour: Behaviour }>(
      `SELECT c.remote_jid, c.behaviour FROM mam_config c JOIN mam_server_user u ON u.id = c.user_id
       WHERE u.server = ? AND u.user_name = ? ORDER BY c.remote_jid`,
      [domain, local],
    );
    const words = { A: "always", N: "never", R: "roster" };
    return rows.map(({ remote_jid, behaviour }) => [Buffer.from(remote_jid).toString(), words[behaviour]]);
  }

  private async *rows(jid: BareJid): AsyncGenerator<string[][]> {
    for await (const page of this.removing.sql.all(jid, BATCH)) {
      yield page.map(({ id, from, stanza }) => [printDateTime(microsOfId(id)), from, stanza]);
    }
  }
}

const silent = { flushed: () => undefined, dropped: () => undefined, unfit: () => undefined };
