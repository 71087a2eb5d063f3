// Inboxes in table `inbox`: a row for each conversation of a user. Times are microseconds since 1970.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import { printDateTime } from "../../core/operations/scalars.ts";
import { type Deleted, deleteInBatches, PAGE, pages } from "../../core/storage/batches.ts";
import { asText, type Db, type SqlValue } from "../../core/storage/db.ts";
import { Bin } from "./bin.ts";
import type { Entry, EntryKey, Properties } from "./entry.ts";
import type { Message } from "./message.ts";
import { ENTRY, type Place, type Query, select } from "./select.ts";
import { ofEntry, ofUser, type Update } from "./statements.ts";
import { Trim } from "./trim.ts";
import { Writer, type WriterEvents } from "./writer.ts";

interface Row {
  luser: string | Uint8Array;
  lserver: string | Uint8Array;
  remote_bare_jid: string | Uint8Array;
  box: string | Uint8Array;
  content: string | Uint8Array;
  timestamp: number | string;
  muted_until: number | string | null;
  unread_count: number | string;
}

/** What an owner changes of an entry; what is absent stays. */
export interface Changes {
  readonly box?: string;
  readonly mutedUntil?: number;
  /** True for no unread messages, false for one if there was none. */
  readonly read?: boolean;
}

/** Characters of an address: what the columns hold. */
const MAX_TEXT = 250;
/** Bytes of a message in MySQL's column. */
const MYSQL_BLOB = 65_535;
const ROWS = { table: "inbox", key: ["lserver", "luser", "remote_bare_jid"] };

/** Entries that are read at a time for who asks for many. */
const TOGETHER = 100;

const NOTHING = Promise.resolve();

/** Some of the entries that a query finds. */
export interface Part {
  readonly entries: readonly Entry[];
  /** Where they were when their order was settled; one that has had a message since is elsewhere. */
  readonly places: readonly Place[];
}

/** What the store tells. */
export interface InboxEvents extends Omit<WriterEvents, "grown"> {
  /** Something was given to the writers. */
  requested?(): void;
  /** A user had more conversations than he may have: the oldest are gone. */
  trimmed?(user: BareJid, entries: number): void;
}

export class InboxStore implements PersonalStore {
  /** Set by whoever runs the store. */
  readonly events: InboxEvents = {};
  /** Rows that are deleted at once when a domain is removed; the usual number when undefined. */
  deleteLimit: number | undefined = undefined;
  readonly bin: Bin;
  private readonly writer: Writer;
  private readonly trim: Trim;

  constructor(private readonly db: Db) {
    this.bin = new Bin(db, {
      settled: () => this.writer.settled(),
      gone: (key) => this.writer.changed(key),
    });
    this.trim = new Trim(db, (user, entries) => {
      this.writer.changedOf(user);
      this.events.trimmed?.(user, entries);
    });
    this.writer = new Writer(db, {
      unarchived: (key) => this.events.unarchived?.(key),
      flushing: (many) => this.events.flushing?.(many),
      failed: (error, entries) => this.events.failed?.(error, entries),
      grown: (user) => this.trim.grown(user),
    });
  }

  /** Entries that are not written yet. */
  get waiting(): number {
    return this.writer.waiting;
  }

  /** Has so many writers gather what comes while they write. */
  gather(writers: number): void {
    this.writer.gather(writers);
  }

  /** Conversations that a user may have; the oldest go. `failed` hears of what could not be deleted. */
  bound(conversations: number, failed: (error: unknown) => void): void {
    this.trim.bound(conversations, failed);
  }

  /** Resolves when everything that was asked for so far has been written or has failed; undefined when it has. */
  settled(): Promise<unknown> | undefined {
    return this.writer.settled();
  }

  // --- what messages do; each resolves when it is written or has failed ------------------------------------------------

  /** The owner has sent a message: he has read everything before it. */
  setInbox(key: EntryKey, message: Message, timestamp: number): Promise<void> {
    return this.put(key, message, timestamp, true);
  }

  /** A message has come that the owner has not read. */
  setInboxIncrUnread(key: EntryKey, message: Message, timestamp: number): Promise<void> {
    return this.put(key, message, timestamp, false);
  }

  private put(key: EntryKey, { msgId, content }: Message, timestamp: number, own: boolean): Promise<void> {
    if (!fits(key)) return NOTHING;
    this.events.requested?.();
    const bytes = Buffer.from(content);
    const update: Update = {
      user: key.user,
      remote: key.remote,
      own,
      unread: own ? 0 : 1,
      msgId: msgId === undefined || msgId.length > MAX_TEXT ? null : msgId,
      content: this.db.dialect === "mysql" && bytes.length > MYSQL_BLOB ? envelope(content) : bytes,
      timestamp,
      binned: false,
    };
    return this.writer.put(update);
  }

  /** The owner has read up to a message; nothing when it is not the last one. */
  resetUnread(key: EntryKey, msgId: string): Promise<void> {
    if (!fits(key) || msgId.length > MAX_TEXT) return NOTHING;
    this.events.requested?.();
    return this.writer.read(key, msgId);
  }

  /** The conversation is over: its entry is removed, or goes into the bin. */
  removeInboxRow(key: EntryKey, toBin: boolean): Promise<void> {
    if (!fits(key)) return NOTHING;
    this.events.requested?.();
    return this.writer.remove(key, toBin);
  }

  // --- what owners ask -------------------------------------------------------------------------------------------------

  /** Entries of an inbox, in the order that the query says. */
  async getInbox(user: BareJid, query: Query): Promise<Entry[]> {
    await this.writer.settled();
    return (await this.read(ENTRY, user, query)).map(decode);
  }

  /**
   * As `getInbox`, some entries at a time: the messages of a large inbox are never in memory together. Which entries
   * come, and their order, is settled when the first are read; each is then as it is when it is read.
   */
  async *inParts(user: BareJid, query: Query): AsyncGenerator<Part> {
    const { limit = Number.POSITIVE_INFINITY, before } = query;
    // The end of a list is read backwards.
    const size = limit <= TOGETHER ? limit : before === undefined ? TOGETHER : 0;
    const entries = size === 0 && limit > 0 ? [] : await this.getInbox(user, { ...query, limit: size });
    let others: Place[] = [];
    if (entries.length === size && size < limit) {
      // All of them again: one may have come forward since.
      const given = new Set(entries.map(({ remote }) => remote));
      await this.writer.settled();
      const places = (await this.read("remote_bare_jid, timestamp", user, query)).map(place);
      others = places.filter(({ remote }) => !given.has(remote)).slice(0, limit - size);
    }
    yield { entries, places: entries };
    for (let at = 0; at < others.length; at += TOGETHER) {
      const places = others.slice(at, at + TOGETHER);
      yield { entries: await this.these(user, places), places };
    }
  }

  private async read(columns: string, user: BareJid, query: Query): Promise<Row[]> {
    const { sql, params, reversed } = select(this.db.dialect, columns, user, query);
    const rows = await this.db.query<Row>(sql, params);
    return reversed ? rows.reverse() : rows;
  }

  /** The entries that were at some places; those that are gone meanwhile are left out. */
  private async these(user: BareJid, places: readonly Place[]): Promise<Entry[]> {
    const marks = Array(TOGETHER).fill("?").join(", ");
    const { where, params } = ofUser(this.db.dialect, user);
    const sql = `SELECT ${ENTRY} FROM inbox WHERE ${where} AND remote_bare_jid IN (${marks})`;
    // One text for any number of names: it stays prepared.
    const names = Array.from({ length: TOGETHER }, (_, i) => (places[i] ?? places[0]).remote);
    const rows = await this.db.query<Row>(sql, [...params, ...names]);
    const entries = new Map(rows.map((row) => [asText(row.remote_bare_jid), decode(row)]));
    return places.flatMap(({ remote }) => entries.get(remote) ?? []);
  }

  async getFullEntry(key: EntryKey): Promise<Entry | undefined> {
    await this.writer.settled();
    const { where, params } = ofEntry(this.db.dialect, key);
    const rows = await this.db.query<Row>(`SELECT ${ENTRY} FROM inbox WHERE ${where}`, params);
    return rows.map(decode).at(0);
  }

  async getEntryProperties(key: EntryKey): Promise<Properties | undefined> {
    await this.writer.settled();
    const { where, params } = ofEntry(this.db.dialect, key);
    const rows = await this.db.query<Row>(`SELECT box, muted_until, unread_count FROM inbox WHERE ${where}`, params);
    return rows.map(properties).at(0);
  }

  /** Unread messages of a conversation, those included that are just being written. */
  async getInboxUnread(key: EntryKey): Promise<number> {
    return (await this.getEntryProperties(key))?.unread ?? 0;
  }

  /** Changes an entry; resolves to what it then is, undefined when there is none. */
  async setEntryProperties(key: EntryKey, { box, mutedUntil, read }: Changes): Promise<Properties | undefined> {
    await this.writer.settled();
    const set: string[] = [];
    const params: SqlValue[] = [];
    if (read !== undefined) {
      set.push(`unread_count = ${read ? "0" : "CASE unread_count WHEN 0 THEN 1 ELSE unread_count END"}`);
    }
    if (box !== undefined) {
      set.push("box = ?");
      params.push(box);
      if (box === "archive") this.writer.changed(key);
    }
    if (mutedUntil !== undefined) {
      set.push("muted_until = ?");
      params.push(mutedUntil);
    }
    const entry = ofEntry(this.db.dialect, key);
    await this.db.execute(`UPDATE inbox SET ${set.join(", ")} WHERE ${entry.where}`, [...params, ...entry.params]);
    // What was written meanwhile may have been remembered again.
    if (box === "archive") this.writer.changed(key);
    return this.getEntryProperties(key);
  }

  // --- removal and export ----------------------------------------------------------------------------------------------

  /** His own inbox; what others have of their conversations with him is theirs. */
  removeUser(user: BareJid): Promise<void> {
    return this.clearInbox(user);
  }

  async clearInbox(user: BareJid): Promise<void> {
    await this.writer.forget((other) => other === user.text);
    this.trim.forget(user);
    await deleteInBatches(this.db, { ...ROWS, ...ofUser(this.db.dialect, user) });
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    await this.writer.forget((user) => user.endsWith(`@${domain}`));
    const rows = { ...ROWS, where: "lserver = ?", params: [domain], limit: this.deleteLimit };
    await deleteInBatches(this.db, rows, deleted);
  }

  async personalData(user: BareJid): Promise<PersonalData[]> {
    const read = (after: Entry | undefined): Promise<Entry[]> =>
      this.getInbox(user, { order: "asc", box: "all", after, limit: PAGE });
    const more = pages(read, (e) => [e.remote, e.content, String(e.unread), printDateTime(e.timestamp)]);
    return [{ name: "inbox", columns: ["jid", "content", "unread_count", "timestamp"], rows: [], more }];
  }
}

/** Whether the columns hold the addresses; a conversation with a longer one has no entry. */
const fits = ({ user, remote }: EntryKey): boolean =>
  remote.length <= MAX_TEXT && user.local.length <= MAX_TEXT && user.domain.length <= MAX_TEXT;

/** A message without what is in it: it would be too large. */
const envelope = (content: string): Uint8Array =>
  Buffer.from(`${/^<message(?:"[^"]*"|'[^']*'|[^>"'])*/.exec(content)?.[0].replace(/\/$/, "") ?? "<message"}/>`);

const properties = (row: Row): Properties => ({
  box: asText(row.box),
  unread: Number(row.unread_count),
  mutedUntil: Number(row.muted_until ?? 0),
});

const place = (row: Row): Place => ({ timestamp: Number(row.timestamp), remote: asText(row.remote_bare_jid) });

const decode = (row: Row): Entry => ({
  ...properties(row),
  remote: asText(row.remote_bare_jid),
  content: asText(row.content),
  timestamp: Number(row.timestamp),
});
