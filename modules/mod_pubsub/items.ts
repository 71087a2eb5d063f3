// The items of PEP nodes: MongooseIM's table pubsub_item. `published_at` orders them, no two of a node share one.

import { StanzaError } from "../../core/errors.ts";
import { type Jid, makeJid } from "../../core/jid.ts";
import type { Db, SqlValue, Statement } from "../../core/storage/db.ts";
import { DIALECTS, LIMIT_OFFSET } from "../../core/storage/dialect.ts";
import type { Item, ItemPage, PubsubNode } from "../pubsub/model.ts";
import type { BoundedPage } from "../pubsub/rsm.ts";
import type { Keep } from "../pubsub/store.ts";

export const NODE_KEY = ["service_domain", "service_user", "node_id"] as const;
export const SUBSCRIBER = ["subscriber_domain", "subscriber_user", "subscriber_resource"] as const;
export const OF_NODE = "service_domain = ? AND service_user = ? AND node_id = ?";
export const ITEM_COLUMNS = "item_id, publisher_domain, publisher_user, publisher_resource, payload, published_at";

export interface ItemRow {
  item_id: string;
  publisher_domain: string;
  publisher_user: string;
  publisher_resource: string;
  payload: string;
  published_at: number | bigint;
}

/** Which node: what identifies a row's parent. */
export type NodeKey = Pick<PubsubNode, "service" | "name">;

export const keyOf = ({ service, name }: NodeKey): SqlValue[] => [service.domain, service.local, name];

export function jidOfRow(user: string, domain: string, resource: string): Jid {
  return resource === "" ? makeJid(user, domain) : makeJid(user, domain, resource);
}

export const itemOf = (row: ItemRow): Item => ({
  id: row.item_id,
  publisher: jidOfRow(row.publisher_user, row.publisher_domain, row.publisher_resource),
  payload: row.payload,
  at: Number(row.published_at),
});

const SELECT = `SELECT ${ITEM_COLUMNS} FROM pubsub_item WHERE ${OF_NODE}`;
const NEWEST_FIRST = "ORDER BY published_at DESC";
const OLDEST_FIRST = "ORDER BY published_at";
/** Wrapped once more because MySQL does not read from the table that it deletes from. */
const TOO_MANY = `DELETE FROM pubsub_item WHERE ${OF_NODE} AND published_at <= (SELECT t.published_at FROM
  (SELECT published_at FROM pubsub_item WHERE ${OF_NODE} ${NEWEST_FIRST} ${LIMIT_OFFSET}) t)`;

export class ItemTable {
  readonly #upsert: string;

  constructor(private readonly db: Db) {
    this.#upsert = DIALECTS[db.dialect].upsert(
      "pubsub_item",
      [...NODE_KEY, "item_id"],
      ["publisher_domain", "publisher_user", "publisher_resource", "payload", "published_at"],
    );
  }

  async publish(node: NodeKey, item: Item, keep: Keep): Promise<void> {
    const { publisher } = item;
    const params = [
      ...keyOf(node),
      item.id,
      publisher.domain,
      publisher.local,
      publisher.resource,
      item.payload,
      item.at,
    ];
    await this.db.transaction([{ sql: this.#upsert, params }, ...trimming(node, keep)]);
  }

  async trim(node: NodeKey, keep: Keep): Promise<void> {
    const statements = trimming(node, keep);
    if (statements.length > 0) await this.db.transaction(statements);
  }

  async item(node: NodeKey, id: string): Promise<Item | undefined> {
    const rows = await this.db.query<ItemRow>(`${SELECT} AND item_id = ?`, [...keyOf(node), id]);
    return rows.length === 0 ? undefined : itemOf(rows[0]);
  }

  async itemsById(node: NodeKey, ids: readonly string[]): Promise<Item[]> {
    const places = ids.map(() => "?").join(", ");
    const rows = await this.db.query<ItemRow>(`${SELECT} AND item_id IN (${places})`, [...keyOf(node), ...ids]);
    const found = new Map(rows.map((row) => [row.item_id, itemOf(row)]));
    return [...new Set(ids)].flatMap((id) => found.get(id) ?? []);
  }

  async newest(node: NodeKey, limit: number): Promise<Item[]> {
    const rows = await this.db.query<ItemRow>(`${SELECT} ${NEWEST_FIRST} ${LIMIT_OFFSET}`, [...keyOf(node), limit, 0]);
    return rows.reverse().map(itemOf);
  }

  /** @throws StanzaError item-not-found for an `after` or `before` that is no item (XEP-0059 §2.2) */
  async page(node: NodeKey, request: BoundedPage): Promise<ItemPage> {
    const [count, items] = await Promise.all([this.#count(node), this.#part(node, request)]);
    const index = items.length === 0 ? 0 : await this.#count(node, items[0].at);
    return { items, index, count };
  }

  async #part(node: NodeKey, { max, after, before, index = 0 }: BoundedPage): Promise<Item[]> {
    if (max === 0) return [];
    const key = keyOf(node);
    if (after !== undefined) {
      const sql = `${SELECT} AND published_at > ? ${OLDEST_FIRST} ${LIMIT_OFFSET}`;
      const rows = await this.db.query<ItemRow>(sql, [...key, await this.#at(node, after), max, 0]);
      return rows.map(itemOf);
    }
    if (before === "") return this.newest(node, max);
    if (before !== undefined) {
      const sql = `${SELECT} AND published_at < ? ${NEWEST_FIRST} ${LIMIT_OFFSET}`;
      const rows = await this.db.query<ItemRow>(sql, [...key, await this.#at(node, before), max, 0]);
      return rows.reverse().map(itemOf);
    }
    const rows = await this.db.query<ItemRow>(`${SELECT} ${OLDEST_FIRST} ${LIMIT_OFFSET}`, [...key, max, index]);
    return rows.map(itemOf);
  }

  async #at(node: NodeKey, id: string): Promise<number> {
    const item = await this.item(node, id);
    if (item === undefined) throw new StanzaError("item-not-found", "The page begins at an item that is not there");
    return item.at;
  }

  async #count(node: NodeKey, before?: number): Promise<number> {
    const only = before === undefined ? "" : " AND published_at < ?";
    const sql = `SELECT count(*) AS n FROM pubsub_item WHERE ${OF_NODE}${only}`;
    const params = before === undefined ? keyOf(node) : [...keyOf(node), before];
    const rows = await this.db.query<{ n: number | bigint }>(sql, params);
    return Number(rows[0].n);
  }

  async retract(node: NodeKey, id: string): Promise<boolean> {
    const sql = `DELETE FROM pubsub_item WHERE ${OF_NODE} AND item_id = ?`;
    return (await this.db.execute(sql, [...keyOf(node), id])) > 0;
  }

  async purge(node: NodeKey): Promise<void> {
    await this.db.execute(`DELETE FROM pubsub_item WHERE ${OF_NODE}`, keyOf(node));
  }

  async purgePublisher(node: NodeKey, publisher: Jid): Promise<string[]> {
    const where = `WHERE ${OF_NODE} AND publisher_domain = ? AND publisher_user = ?`;
    const params = [...keyOf(node), publisher.domain, publisher.local];
    const rows = await this.db.query<{ item_id: string }>(`SELECT item_id FROM pubsub_item ${where}`, params);
    if (rows.length > 0) await this.db.execute(`DELETE FROM pubsub_item ${where}`, params);
    return rows.map((row) => row.item_id);
  }
}

function trimming(node: NodeKey, { newest, since }: Keep): Statement[] {
  const key = keyOf(node);
  const statements: Statement[] = [];
  if (newest < Infinity) statements.push({ sql: TOO_MANY, params: [...key, ...key, 1, newest] });
  if (since > 0) {
    statements.push({ sql: `DELETE FROM pubsub_item WHERE ${OF_NODE} AND published_at < ?`, params: [...key, since] });
  }
  return statements;
}
