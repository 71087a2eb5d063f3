// The archive of users in the databases of the SQL family: tables mam_message, mam_server_user (MongooseIM's).

import type { Jid } from "../../../core/jid.ts";
import { pause } from "../../../core/storage/batches.ts";
import type { Db, Deleted, SqlValue } from "../../../core/storage/db.ts";
import type { ArchiveBackend, Archived, Filter, Found, Owner, Page, PageFound } from "../backend.ts";
import type { JidCodec } from "../codecs/jid.ts";
import type { MessageCodec } from "../codecs/message.ts";
import type { SearchForm } from "../search/form.ts";
import type { ArchiveWriter } from "../writer.ts";
import { type Bounds, boundsOf, type Condition, contentCondition, MAX_ID, pageBounds } from "./lookup.ts";
import type { Owners } from "./owners.ts";
import type { Ranks } from "./ranks.ts";

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
/** Characters that a column for a JID or an id holds. */
const WIDTH = 250;

interface Row {
  id: number | bigint;
  from_jid: string | Uint8Array;
  message: string | Uint8Array;
}

export interface ArchiveParts {
  readonly db: Db;
  readonly owners: Owners;
  readonly ranks: Ranks;
  readonly writer: ArchiveWriter;
  readonly jids: JidCodec;
  readonly messages: MessageCodec;
  /** How words are looked for; undefined where they cannot be. */
  readonly search: SearchForm | undefined;
  /** A message has an address that no column can hold: it is delivered and not kept. */
  unfit(owner: Owner, id: bigint): void;
}

export class SqlArchive implements ArchiveBackend {
  /** Owners of a domain up to this number have nothing old any more: where `deleteBefore` goes on. */
  private readonly cleaned = new Map<string, number>();

  constructor(private readonly parts: ArchiveParts) {}

  get searches(): boolean {
    return this.parts.search !== undefined;
  }

  archive(message: Archived): Promise<void> {
    const { owners } = this.parts;
    const number = owners.known(message.owner);
    return number === undefined
      ? owners.number(message.owner).then((made) => this.write(message, made))
      : this.write(message, number);
  }

  private write(m: Archived, number: number): Promise<void> {
    const { jids, messages, writer } = this.parts;
    const { owner, remote, originId } = m;
    const remoteBare = jids.encode(owner, remote.bare);
    const from = jids.encode(owner, m.from);
    if (from.length > WIDTH || remoteBare.length > WIDTH || remote.resource.length > WIDTH) {
      this.parts.unfit(owner, m.id);
      return Promise.resolve();
    }
    const row: SqlValue[] = [
      m.id,
      number,
      from,
      remoteBare,
      remote.resource,
      m.direction === "in" ? "I" : "O",
      messages.encode(m.stanza),
      m.searchBody,
      originId === undefined || originId.length > WIDTH ? null : originId,
      m.groupchat,
    ];
    return writer.write(row);
  }

  settled(): Promise<void> {
    return this.parts.writer.sync();
  }

  async lookup(owner: Owner, filter: Filter, page: Page): Promise<PageFound> {
    const number = await this.parts.owners.find(owner);
    if (number === undefined) return { messages: [], total: 0, offset: 0, complete: true };
    const bounds = boundsOf(filter);
    const content = contentCondition(filter, owner, number, this.parts.jids, this.parts.search);
    // All at once: they travel together.
    const rows = page.max === 0 ? Promise.resolve([]) : this.page(number, bounds, content, page);
    const counts = page.count ? this.counts(number, bounds, content, page) : undefined;
    const [found, counted] = await Promise.all([rows, counts]);
    const more = found.length > page.max;
    if (more) found.pop();
    if (page.dir === "before") found.reverse();
    const messages = found.map((row) => this.found(owner, row));
    const { total, offset } = placed(counted, page, messages.length);
    return { messages, total, offset, complete: page.max === 0 ? total === 0 : !more };
  }

  private page(number: number, bounds: Bounds, content: Condition | undefined, page: Page): Promise<Row[]> {
    const { low, high } = pageBounds(bounds, page);
    const order = page.dir === "before" ? "DESC" : "ASC";
    const where = content === undefined ? "" : ` AND ${content.sql}`;
    const skip = page.index === undefined ? "" : " OFFSET ?";
    const sql = `SELECT id, from_jid, message FROM mam_message WHERE user_id = ? AND id >= ? AND id <= ?${where} ORDER BY id ${order} LIMIT ?${skip}`;
    const params: SqlValue[] = [number, low, high, ...(content?.params ?? []), page.max + 1];
    if (page.index !== undefined) params.push(page.index);
    return this.parts.db.query<Row>(sql, params);
  }

  /** Of what the filter leaves: how many in all, and how many before where the page begins or behind where it ends. */
  private async counts(number: number, bounds: Bounds, content: Condition | undefined, page: Page): Promise<Counts> {
    const { low, high } = bounds;
    // A filter whose bounds have crossed leaves nothing.
    if (high < low) return { total: 0, before: 0 };
    const edge = page.id === undefined ? undefined : page.dir === "after" ? page.id + 1n : page.id;
    const within = edge === undefined ? undefined : edge < low ? low : edge > high + 1n ? high + 1n : edge;
    if (content !== undefined) {
      const [total, before] = await Promise.all([
        this.count(number, low, high, content),
        within === undefined ? undefined : this.count(number, low, within - 1n, content),
      ]);
      return { total, before };
    }
    const { ranks } = this.parts;
    const [start, end, at] = await Promise.all([
      ranks.below(number, low),
      ranks.below(number, high === MAX_ID ? MAX_ID : high + 1n),
      within === undefined ? undefined : ranks.below(number, within),
    ]);
    return { total: end - start, before: at === undefined ? undefined : at - start };
  }

  private async count(number: number, low: bigint, high: bigint, content: Condition): Promise<number> {
    if (high < low) return 0;
    const sql = `SELECT COUNT(*) AS n FROM mam_message WHERE user_id = ? AND id >= ? AND id <= ? AND ${content.sql}`;
    const params = [number, low, high, ...content.params];
    const [{ n }] = await this.parts.db.query<{ n: number | bigint }>(sql, params);
    return Number(n);
  }

  private found(owner: Owner, { id, from_jid, message }: Row): Found {
    const from = this.parts.jids.decode(owner, textOf(from_jid));
    return { id: BigInt(id), from, stanza: this.parts.messages.decode(message) };
  }

  async bounds(owner: Owner): Promise<{ first: bigint; last: bigint } | undefined> {
    const number = await this.parts.owners.find(owner);
    if (number === undefined) return undefined;
    const end = (order: "ASC" | "DESC") =>
      this.parts.db.query<{ id: number | bigint }>(
        `SELECT id FROM mam_message WHERE user_id = ? ORDER BY id ${order} LIMIT 1`,
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
    const sql =
      "SELECT id, from_jid, message FROM mam_message WHERE user_id = ? AND remote_bare_jid = ? AND origin_id = ? AND direction = ? ORDER BY id DESC LIMIT 1";
    const params = [number, this.parts.jids.encode(owner, remote.bare), originId, direction === "in" ? "I" : "O"];
    const [row] = await this.parts.db.query<Row>(sql, params);
    return row === undefined ? undefined : this.found(owner, row);
  }

  async replace(owner: Owner, id: bigint, stanza: string): Promise<void> {
    const number = await this.parts.owners.find(owner);
    if (number === undefined) return;
    const sql = "UPDATE mam_message SET message = ?, search_body = '' WHERE user_id = ? AND id = ?";
    await this.parts.db.execute(sql, [this.parts.messages.encode(stanza), number, id]);
  }

  async deleteBefore(domain: string, id: bigint, limit: number): Promise<number> {
    let gone = 0;
    for (let after = this.cleaned.get(domain) ?? 0; ; ) {
      const numbers = await this.parts.owners.ofDomain(domain, after, OWNERS);
      for (const number of numbers) {
        gone += await this.deleteOf(number, id, limit - gone);
        if (gone >= limit) {
          // There may be more of this owner: the next call begins with him.
          this.cleaned.set(domain, number - 1);
          return gone;
        }
        after = number;
      }
      if (numbers.length < OWNERS) break;
    }
    // Less than `limit` went: all owners were looked at.
    this.cleaned.delete(domain);
    return gone;
  }

  async countBefore(domain: string, id: bigint): Promise<number> {
    const sql =
      "SELECT COUNT(*) AS n FROM mam_message WHERE id < ? AND user_id IN (SELECT id FROM mam_server_user WHERE server = ?)";
    const [{ n }] = await this.parts.db.query<{ n: number | bigint }>(sql, [id, domain]);
    return Number(n);
  }

  /** Deletes the messages of one owner below an id, the oldest first, at most `limit`; resolves to how many went. */
  async deleteOf(number: number, id: bigint, limit: number): Promise<number> {
    const { db, ranks } = this.parts;
    // The id up to which so many go: a range of the key, in every dialect.
    const sql = "SELECT id FROM mam_message WHERE user_id = ? AND id < ? ORDER BY id LIMIT 1 OFFSET ?";
    const [next] = await db.query<{ id: number | bigint }>(sql, [number, id, limit]);
    const to = next === undefined ? id : BigInt(next.id);
    ranks.forget(number);
    const gone = await db.execute("DELETE FROM mam_message WHERE user_id = ? AND id < ?", [number, to]);
    ranks.forget(number);
    return gone;
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

/** Owners that are looked at in one go. */
const OWNERS = 500;

interface Counts {
  total: number;
  /** Messages before the edge of the page that its id is; undefined without one. */
  before: number | undefined;
}

/** Where a page of so many messages lies. */
function placed(
  counts: Counts | undefined,
  page: Page,
  n: number,
): { total: number | undefined; offset: number | undefined } {
  if (counts === undefined) return { total: undefined, offset: undefined };
  const { total, before } = counts;
  if (page.index !== undefined) return { total, offset: page.index };
  if (page.dir === "after") return { total, offset: before ?? 0 };
  return { total, offset: Math.max(0, (before ?? total) - n) };
}

/** Columns with a binary character set come as bytes from MySQL. */
const textOf = (value: string | Uint8Array): string =>
  typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
