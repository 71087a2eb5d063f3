// The archive of users in the databases of the SQL family: tables mam_message, mam_server_user (MongooseIM's).

import { TermError } from "../../../core/erlang/term.ts";
import type { Jid } from "../../../core/jid.ts";
import { deleteInBatches, pause } from "../../../core/storage/batches.ts";
import { asText, type Db, type Deleted, type SqlValue, StorageError } from "../../../core/storage/db.ts";
import type { ArchiveBackend, Archived, Filter, Found, Owner, Page, PageFound } from "../backend.ts";
import type { JidCodec } from "../codecs/jid.ts";
import { type MessageCodec, UNREADABLE } from "../codecs/message.ts";
import type { SearchForm } from "../search/form.ts";
import type { ArchiveWriter } from "../writer.ts";
import { Ageing } from "./ageing.ts";
import {
  type Bounds,
  boundsOf,
  type Condition,
  contentCondition,
  edgeOf,
  MAX_ID,
  order,
  pageBounds,
} from "./lookup.ts";
import type { Owners } from "./owners.ts";
import type { Row } from "./pages.ts";
import { PlainPages } from "./plain-pages.ts";
import type { Ranks } from "./ranks.ts";
import { type Read, trim } from "./read.ts";

/** Columns of mam_message, in the order in which they are written. */
export const COLUMNS = [
  "id",
  "user_id",
  "from_jid",
  "remote_bare_jid",
  "remote_resource",
  "direction",
  "message",
  "search_body",
  "origin_id",
  "is_groupchat",
] as const;
/** Bytes that a column for a JID or an id holds: on MySQL; elsewhere as many characters, which is no less. */
const WIDTH = 250;
/** A UTF-16 unit is three bytes of UTF-8 at most. */
const fits = (text: string): boolean => text.length <= WIDTH / 3 || Buffer.byteLength(text) <= WIDTH;

export interface ArchiveParts {
  readonly db: Db;
  readonly owners: Owners;
  readonly ranks: Ranks;
  readonly writer: ArchiveWriter;
  readonly jids: JidCodec;
  readonly messages: MessageCodec;
  /** How words are looked for; undefined where they cannot be. */
  readonly search: SearchForm | undefined;
  /** Messages could not be written; their senders are told. */
  dropped(messages: number, error: unknown): void;
  /** A message has an address that no column can hold: it is delivered and not kept. */
  unfit(owner: Owner, id: bigint): void;
  /** A row holds no message: what stands for it is given instead. */
  unreadable?(owner: Owner, id: bigint, error: TermError): void;
}

/** How a message begins. */
const MESSAGE = /^<message[\s/>]/;

export class SqlArchive implements ArchiveBackend {
  private readonly ageing: Ageing;
  private readonly pages: PlainPages;

  constructor(private readonly parts: ArchiveParts) {
    this.pages = new PlainPages(parts.db, parts.ranks);
    this.ageing = new Ageing(parts.db, (number) => parts.ranks.forget(number));
  }

  get searches(): boolean {
    return this.parts.search !== undefined;
  }

  archive(message: Archived): Promise<void> {
    const { owners } = this.parts;
    const number = owners.known(message.owner);
    return number === undefined
      ? owners.number(message.owner).then(
          (made) => this.write(message, made),
          (error: unknown) => {
            // MySQL's column for the name has 250 bytes, that of accounts so many characters.
            if (error instanceof StorageError && error.code === "constraint")
              return this.parts.unfit(message.owner, message.id);
            this.parts.dropped(1, error);
            throw error;
          },
        )
      : this.write(message, number);
  }

  private write(m: Archived, number: number): Promise<void> {
    const { jids, messages, writer } = this.parts;
    const { owner, remote, originId } = m;
    const remoteBare = jids.encode(owner, remote.bare);
    let from = jids.encode(owner, m.from);
    // Of a client with a very long resource it is known whose it is; the message says the rest.
    if (!fits(from)) from = jids.encode(owner, m.from.bare);
    if (!fits(from) || !fits(remoteBare)) {
      this.parts.unfit(owner, m.id);
      return Promise.resolve();
    }
    const row: SqlValue[] = [
      m.id,
      number,
      from,
      remoteBare,
      fits(remote.resource) ? remote.resource : "",
      m.direction === "in" ? "I" : "O",
      messages.encode(m.stanza),
      m.searchBody,
      originId === undefined || !fits(originId) ? null : originId,
      m.groupchat,
    ];
    return writer.write(row, number);
  }

  settled(): Promise<void> {
    return this.parts.writer.sync();
  }

  async lookup(owner: Owner, filter: Filter, page: Page): Promise<PageFound> {
    const number = this.parts.owners.known(owner) ?? (await this.parts.owners.find(owner));
    if (number === undefined) return { messages: [], total: 0, offset: 0, complete: true };
    const bounds = boundsOf(filter);
    // A filter whose bounds have crossed leaves nothing.
    if (bounds.high < bounds.low) return { messages: [], total: 0, offset: 0, complete: true };
    const content = contentCondition(filter, owner, number, this.parts.jids, this.parts.search);
    const read =
      content === undefined ? this.pages.read(number, bounds, page) : this.filteredPage(number, bounds, content, page);
    const { rows, total, before, edge, more } = await read;
    if (page.dir === "before") rows.reverse();
    const messages = rows.map((row) => this.found(owner, row));
    const complete = page.max === 0 ? total === 0 : !more;
    if (total === undefined) return { messages, total, offset: undefined, complete, edge };
    const offset =
      page.index ?? (page.dir === "after" ? (before ?? 0) : Math.max(0, (before ?? total) - messages.length));
    return { messages, total, offset, complete, edge };
  }

  /** A page of what a filter of contents leaves. */
  private async filteredPage(number: number, bounds: Bounds, content: Condition, page: Page): Promise<Read> {
    // At once: they travel together.
    const [rows, counted] = await Promise.all([
      page.max === 0 ? [] : this.filteredRows(number, bounds, content, page),
      page.count ? this.count(number, bounds, content, edgeOf(page, bounds)) : undefined,
    ]);
    return { rows, more: trim(rows, page.max), total: counted?.total, before: counted?.before, edge: undefined };
  }

  private filteredRows(number: number, bounds: Bounds, content: Condition, page: Page): Promise<Row[]> {
    const { low, high } = pageBounds(bounds, page);
    const skip = page.index === undefined ? "" : " OFFSET ?";
    const sql = `SELECT id, from_jid, message FROM mam_message WHERE user_id = ? AND id >= ? AND id <= ? AND ${content.sql} ORDER BY id ${order(page.dir)} LIMIT ?${skip}`;
    const params: SqlValue[] = [number, low, high, ...content.params, page.max + 1];
    if (page.index !== undefined) params.push(page.index);
    return this.read<Row>(content, sql, params);
  }

  /** How many messages there are, and how many of them before the edge of a page. */
  private async count(
    number: number,
    { low, high }: Bounds,
    content: Condition,
    edge: bigint | undefined,
  ): Promise<{ total: number; before: number | undefined }> {
    const before = edge === undefined ? "" : ", COUNT(CASE WHEN id < ? THEN 1 END) AS m";
    const sql = `SELECT COUNT(*) AS n${before} FROM mam_message WHERE user_id = ? AND id >= ? AND id <= ? AND ${content.sql}`;
    const params = [...(edge === undefined ? [] : [edge]), number, low, high, ...content.params];
    const [{ n, m }] = await this.read<{ n: number | bigint; m?: number | bigint }>(content, sql, params);
    return { total: Number(n), before: m === undefined ? undefined : Number(m) };
  }

  private read<R extends object>({ looksThrough }: Condition, sql: string, params: readonly SqlValue[]): Promise<R[]> {
    return looksThrough ? this.parts.db.scan<R>(sql, params) : this.parts.db.query<R>(sql, params);
  }

  private found(owner: Owner, { id, from_jid, message }: Row): Found {
    const from = this.parts.jids.decode(owner, asText(from_jid));
    return { id: BigInt(id), from, stanza: this.stanza(owner, BigInt(id), message) };
  }

  private stanza(owner: Owner, id: bigint, message: Row["message"]): string {
    try {
      const text = this.parts.messages.decode(message);
      if (MESSAGE.test(text)) return text;
      throw new TermError("value", "Cannot read an archived message: it is another element");
    } catch (error) {
      if (!(error instanceof TermError)) throw error;
      this.parts.unreadable?.(owner, id, error);
      return UNREADABLE;
    }
  }

  async bounds(owner: Owner): Promise<{ first: bigint; last: bigint } | undefined> {
    const number = await this.parts.owners.find(owner);
    if (number === undefined) return undefined;
    const end = (way: "ASC" | "DESC") =>
      this.parts.db.query<{ id: number | bigint }>(
        `SELECT id FROM mam_message WHERE user_id = ? ORDER BY id ${way} LIMIT 1`,
        [number],
      );
    const [[first], [last]] = await Promise.all([end("ASC"), end("DESC")]);
    if (first === undefined || last === undefined) return undefined;
    return { first: BigInt(first.id), last: BigInt(last.id) };
  }

  async present(owner: Owner, ids: readonly bigint[]): Promise<Set<bigint>> {
    const number = await this.parts.owners.find(owner);
    if (number === undefined || ids.length === 0) return new Set();
    const { sql, params } = contentCondition({ ids }, owner, number, this.parts.jids, undefined)!;
    const rows = await this.parts.db.query<{ id: number | bigint }>(
      `SELECT id FROM mam_message WHERE user_id = ? AND ${sql}`,
      [number, ...params],
    );
    return new Set(rows.map(({ id }) => BigInt(id)));
  }

  async byOriginId(owner: Owner, remote: Jid, direction: "in" | "out", originId: string): Promise<Found | undefined> {
    const number = await this.parts.owners.find(owner);
    if (number === undefined) return undefined;
    const { db } = this.parts;
    // SQLite has no index of these ids: there the newest of the conversation are looked through.
    const conversation = "FROM mam_message WHERE user_id = ? AND remote_bare_jid = ?";
    const sql =
      db.dialect === "sqlite"
        ? `SELECT id, from_jid, message FROM (SELECT id, from_jid, message, origin_id, direction ${conversation} ORDER BY id DESC LIMIT ${RECENT}) recent WHERE origin_id = ? AND direction = ? LIMIT 1`
        : `SELECT id, from_jid, message ${conversation} AND origin_id = ? AND direction = ? ORDER BY id DESC LIMIT 1`;
    const params = [number, this.parts.jids.encode(owner, remote.bare), originId, direction === "in" ? "I" : "O"];
    const [row] = await db.query<Row>(sql, params);
    return row === undefined ? undefined : this.found(owner, row);
  }

  async replace(owner: Owner, id: bigint, stanza: string): Promise<void> {
    const number = await this.parts.owners.find(owner);
    if (number === undefined) return;
    const sql = "UPDATE mam_message SET message = ?, search_body = '' WHERE user_id = ? AND id = ?";
    await this.parts.db.execute(sql, [this.parts.messages.encode(stanza), number, id]);
  }

  deleteBefore(domain: string, id: bigint, limit: number): AsyncIterable<number> {
    return this.ageing.deleteBefore(domain, id, limit);
  }

  countBefore(domain: string, id: bigint): Promise<number> {
    return this.ageing.countBefore(domain, id);
  }

  /** Deletes the messages of one owner below an id, the oldest first, at most `limit`; resolves to how many went. */
  async deleteOf(number: number, id: bigint, limit: number): Promise<number> {
    const { db, ranks } = this.parts;
    // The id up to which so many go: a range of the key, in every dialect.
    const sql = "SELECT id FROM mam_message WHERE user_id = ? AND id < ? ORDER BY id LIMIT 1 OFFSET ?";
    const [next] = await db.query<{ id: number | bigint }>(sql, [number, id, limit]);
    const to = next === undefined ? id : BigInt(next.id);
    ranks.forget(number);
    try {
      return await db.execute("DELETE FROM mam_message WHERE user_id = ? AND id < ?", [number, to]);
    } finally {
      ranks.forget(number);
    }
  }

  /** Deletes everything under an owner's number, preferences too, so many messages at a time. */
  async removeAll(number: number, batch: number, deleted?: Deleted): Promise<void> {
    for (let more = true; more; ) {
      const begun = performance.now();
      const gone = await this.deleteOf(number, MAX_ID, batch);
      if (gone > 0) deleted?.(gone);
      more = gone >= batch;
      if (more) await pause(begun);
    }
    await this.parts.db.execute("DELETE FROM mam_config WHERE user_id = ?", [number]);
  }

  /** Deletes everything under many owners' numbers, preferences too, so many messages at a time. */
  async removeMany(numbers: readonly number[], limit: number, deleted?: Deleted): Promise<void> {
    const { db, ranks } = this.parts;
    for (const number of numbers) ranks.forget(number);
    const rows = { where: `user_id IN (${numbers.map(() => "?").join(", ")})`, params: numbers, limit };
    try {
      await deleteInBatches(db, { ...rows, table: "mam_message", key: ["user_id", "id"] }, deleted);
      await deleteInBatches(db, { ...rows, table: "mam_config", key: ["user_id", "remote_jid"] }, deleted);
    } finally {
      for (const number of numbers) ranks.forget(number);
    }
  }

  /** What is kept under an owner's number, page after page, oldest first. */
  async *all(owner: Owner, page: number): AsyncGenerator<Found[]> {
    for (let id: bigint | undefined; ; ) {
      const { messages, complete } = await this.lookup(owner, {}, { dir: "after", id, max: page, count: false });
      if (messages.length > 0) yield [...messages];
      if (complete) return;
      id = messages[messages.length - 1].id;
    }
  }
}

/** Messages of a conversation among which one is found by its sender's id where there is no index of those. */
const RECENT = 5000;
