// The items of nodes: tables pubsub_items, and pubsub_last_item for the one that is kept ready.

import { StanzaError } from "../../core/errors.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Db, type SqlValue, type Statement, StorageError } from "../../core/storage/db.ts";
import { DIALECTS, LIMIT_OFFSET } from "../../core/storage/dialect.ts";
import type { Item, ItemPage, NewNode, PubsubNode } from "../pubsub/model.ts";
import type { BoundedPage } from "../pubsub/rsm.ts";
import type { Keep } from "../pubsub/store.ts";
import type { LastItems, NodeRef } from "./last.ts";
import { holdNode, type ItemRow, itemOf, itemText } from "./rows.ts";

const ITEM = "itemid, modified_luser, modified_lserver, modified_lresource, modified_at, payload";
const ITEM_COLUMNS = [
  "nidx",
  "itemid",
  "created_luser",
  "created_lserver",
  "created_at",
  "modified_luser",
  "modified_lserver",
  "modified_lresource",
  "modified_at",
  "publisher",
  "payload",
] as const;
const NEWEST_FIRST = "ORDER BY modified_at DESC, itemid DESC";

interface LastRow {
  itemid: string;
  created_luser: string;
  created_lserver: string;
  created_at: number | string;
  payload: string;
}

/** What the service is configured to, which decides how rows are written. */
export interface StoreSettings {
  /** Items name their publisher to all. */
  itemPublisher: boolean;
  /** The collections that a node is in, by its configuration or by its name. */
  parents(node: NewNode): readonly string[];
  /** The address of a domain's own service; undefined where all domains have one together. */
  serviceOf(domain: string): string | undefined;
}

/** Items that go at a time: a node that is told to keep fewer gets there in some steps. */
const MAX_SURPLUS = 1000;

export class ItemRows {
  settings: StoreSettings = {
    itemPublisher: false,
    parents: (node) => node.config.collection,
    serviceOf: (domain) => `pubsub.${domain}`,
  };
  /** Where last items are kept ready; undefined: nowhere. */
  cache: LastItems | undefined = undefined;

  /** What is too much is looked for before an item is stored: of two at once one would be forgotten. */
  readonly inOrder = false;

  constructor(protected readonly db: Db) {}

  protected async count(sql: string, params: readonly SqlValue[]): Promise<number> {
    const [row] = await this.db.query<{ n: number | string }>(sql, params);
    return Number(row.n);
  }

  async publish(node: PubsubNode, item: Item, keep: Keep): Promise<string[]> {
    const gone = await this.surplus(node, keep, item.id);
    const { insertNew } = DIALECTS[this.db.dialect];
    const { publisher, at } = item;
    const shown = this.settings.itemPublisher ? publisher : undefined;
    const modified = [publisher.local, publisher.domain, resourceOf(publisher), at, shown?.text ?? null];
    const payload = itemText(item, shown);
    const changed = await this.db.transaction([
      ...holdNode(this.db.dialect, node.ref),
      {
        sql: `UPDATE pubsub_items SET modified_luser = ?, modified_lserver = ?, modified_lresource = ?, modified_at = ?,
              publisher = ?, payload = ? WHERE nidx = ? AND itemid = ?`,
        params: [...modified, payload, node.ref, item.id],
      },
      {
        sql: insertNew("pubsub_items", ITEM_COLUMNS),
        params: [node.ref, item.id, publisher.local, publisher.domain, at, ...modified, payload],
      },
      ...deleteItems(node, gone),
      {
        sql: `DELETE FROM pubsub_items WHERE nidx = ? AND itemid = ?
              AND NOT EXISTS (SELECT 1 FROM pubsub_nodes n WHERE n.nidx = pubsub_items.nidx)`,
        params: [node.ref, item.id],
      },
    ]);
    // The tables have no foreign keys: somebody may have deleted the node meanwhile.
    if (changed.at(-1) !== 0) throw new StorageError("constraint", "There is no such node");
    return gone;
  }

  async trim(node: PubsubNode, keep: Keep): Promise<string[]> {
    const gone = await this.surplus(node, keep);
    await this.db.transaction(deleteItems(node, gone));
    return gone;
  }

  /** The items that are too many or too old, the oldest first; `except` is about to become the newest. */
  private async surplus(node: PubsubNode, keep: Keep, except = ""): Promise<string[]> {
    const gone: string[] = [];
    const ids = async (where: string, ...params: SqlValue[]): Promise<void> => {
      const rows = await this.db.query<{ itemid: string }>(
        `SELECT itemid FROM pubsub_items WHERE nidx = ? AND itemid <> ? ${where}`,
        [node.ref, except, ...params],
      );
      for (const { itemid } of rows) if (!gone.includes(itemid)) gone.push(itemid);
    };
    if (keep.newest !== Number.POSITIVE_INFINITY) {
      const room = Math.max(0, keep.newest - (except === "" ? 0 : 1));
      await ids(`${NEWEST_FIRST} ${LIMIT_OFFSET}`, MAX_SURPLUS, room);
    }
    if (keep.since > 0) await ids(`AND modified_at < ? ${NEWEST_FIRST} LIMIT ?`, keep.since, MAX_SURPLUS);
    return gone.reverse();
  }

  async item(node: PubsubNode, id: string): Promise<Item | undefined> {
    return (await this.select(node, [id]))[0];
  }

  itemsById(node: PubsubNode, ids: readonly string[]): Promise<Item[]> {
    return this.select(node, ids);
  }

  private async select(node: PubsubNode, ids: readonly string[]): Promise<Item[]> {
    if (ids.length === 0) return [];
    const rows = await this.db.query<ItemRow>(
      `SELECT ${ITEM} FROM pubsub_items WHERE nidx = ? AND itemid IN (${marks(ids)})`,
      [node.ref, ...ids],
    );
    const byId = new Map(rows.map((row) => [row.itemid, itemOf(row)]));
    return ids.flatMap((id) => byId.get(id) ?? []);
  }

  async newest(node: PubsubNode, limit: number): Promise<Item[]> {
    const rows = await this.db.query<ItemRow>(
      `SELECT ${ITEM} FROM pubsub_items WHERE nidx = ? ${NEWEST_FIRST} LIMIT ?`,
      [node.ref, limit],
    );
    return rows.map(itemOf).reverse();
  }

  async page(node: PubsubNode, request: BoundedPage): Promise<ItemPage> {
    const count = await this.count("SELECT count(*) AS n FROM pubsub_items WHERE nidx = ?", [node.ref]);
    const start = await this.startOf(node, request, count);
    const [from, to] = start;
    const rows = await this.db.query<ItemRow>(
      `SELECT ${ITEM} FROM pubsub_items WHERE nidx = ? ORDER BY modified_at, itemid ${LIMIT_OFFSET}`,
      [node.ref, Math.max(0, to - from), from],
    );
    return { items: rows.map(itemOf), index: from, count };
  }

  /** The range of the list that a page asks for. @throws StanzaError item-not-found for an item that is not there */
  private async startOf(
    node: PubsubNode,
    { max, after, before, index }: BoundedPage,
    count: number,
  ): Promise<[from: number, to: number]> {
    if (max === 0) return [0, 0];
    if (after !== undefined) {
      const place = await this.place(node, after);
      return [place + 1, place + 1 + max];
    }
    if (before !== undefined) {
      const end = before === "" ? count : await this.place(node, before);
      return [Math.max(0, end - max), end];
    }
    const from = index ?? 0;
    return [from, from + max];
  }

  private async place(node: PubsubNode, id: string): Promise<number> {
    const [row] = await this.db.query<{ modified_at: number | string }>(
      "SELECT modified_at FROM pubsub_items WHERE nidx = ? AND itemid = ?",
      [node.ref, id],
    );
    if (row === undefined) throw new StanzaError("item-not-found", "The page begins at an item that is not there");
    const at = Number(row.modified_at);
    return this.count(
      `SELECT count(*) AS n FROM pubsub_items
       WHERE nidx = ? AND (modified_at < ? OR (modified_at = ? AND itemid < ?))`,
      [node.ref, at, at, id],
    );
  }

  async retract(node: PubsubNode, id: string): Promise<boolean> {
    const params = [node.ref, id];
    return (await this.db.execute("DELETE FROM pubsub_items WHERE nidx = ? AND itemid = ?", params)) > 0;
  }

  async purge(node: PubsubNode): Promise<void> {
    await this.db.execute("DELETE FROM pubsub_items WHERE nidx = ?", [node.ref]);
  }

  async purgePublisher(node: PubsubNode, publisher: BareJid): Promise<string[]> {
    const rows = await this.db.query<{ itemid: string }>(
      "SELECT itemid FROM pubsub_items WHERE nidx = ? AND modified_luser = ? AND modified_lserver = ?",
      [node.ref, publisher.local, publisher.domain],
    );
    const ids = rows.map(({ itemid }) => itemid);
    await this.db.transaction(deleteItems(node, ids));
    return ids;
  }

  // --- The item that was published last ---------------------------------------------------------------------------------

  /** The item that was published last: the one kept ready, else the newest of those that are stored. */
  async last(node: PubsubNode): Promise<Item | undefined> {
    return (await this.cache?.get(node)) ?? (await this.newest(node, 1))[0];
  }

  /** As `last`, for several nodes by their numbers. */
  async newestOf(refs: readonly number[]): Promise<ReadonlyMap<number, Item>> {
    const found = new Map<number, Item>();
    const { cache } = this;
    if (cache !== undefined) {
      for (const ref of refs) {
        const item = await cache.get({ ref });
        if (item !== undefined) found.set(ref, item);
      }
    }
    for (const some of chunks(refs.filter((ref) => !found.has(ref)))) {
      const rows = await this.db.query<ItemRow & { nidx: number | string }>(
        `SELECT nidx, ${ITEM} FROM pubsub_items i WHERE nidx IN (${marks(some)}) AND modified_at =
           (SELECT max(l.modified_at) FROM pubsub_items l WHERE l.nidx = i.nidx)`,
        some,
      );
      for (const row of rows) found.set(Number(row.nidx), itemOf(row));
    }
    return found;
  }

  async setLast(node: NodeRef, { id, publisher, at, payload }: Item): Promise<void> {
    const { dialect } = this.db;
    const columns = ["itemid", "created_luser", "created_lserver", "created_at", "payload"];
    const item = itemText({ id, publisher, at, payload }, undefined);
    await this.db.transaction([
      ...holdNode(dialect, node.ref),
      {
        sql: DIALECTS[dialect].upsert("pubsub_last_item", ["nidx"], columns),
        params: [node.ref, id, publisher.local, publisher.domain, at, item],
      },
      {
        sql: `DELETE FROM pubsub_last_item WHERE nidx = ?
              AND NOT EXISTS (SELECT 1 FROM pubsub_nodes n WHERE n.nidx = pubsub_last_item.nidx)`,
        params: [node.ref],
      },
    ]);
  }

  async getLast(node: NodeRef): Promise<Item | undefined> {
    const [row] = await this.db.query<LastRow>(
      "SELECT itemid, created_luser, created_lserver, created_at, payload FROM pubsub_last_item WHERE nidx = ?",
      [node.ref],
    );
    return row === undefined
      ? undefined
      : itemOf({
          itemid: row.itemid,
          modified_luser: row.created_luser,
          modified_lserver: row.created_lserver,
          modified_lresource: "",
          modified_at: row.created_at,
          payload: row.payload,
        });
  }

  /** Forgets it; of an id, when it is that item. */
  async dropLast(node: NodeRef, id?: string): Promise<void> {
    const only = id === undefined ? "" : " AND itemid = ?";
    const params = id === undefined ? [node.ref] : [node.ref, id];
    await this.db.execute(`DELETE FROM pubsub_last_item WHERE nidx = ?${only}`, params);
  }
}

export const marks = (list: readonly unknown[]): string => list.map(() => "?").join(", ");
export const resourceOf = (jid: { readonly resource?: string }): string => jid.resource ?? "";

/** Values in one statement. */
const BATCH = 300;

export function chunks<T>(list: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let i = 0; i < list.length; i += BATCH) parts.push(list.slice(i, i + BATCH));
  return parts;
}

function deleteItems(node: PubsubNode, ids: readonly string[]): Statement[] {
  return chunks(ids).map((some) => ({
    sql: `DELETE FROM pubsub_items WHERE nidx = ? AND itemid IN (${marks(some)})`,
    params: [node.ref, ...some],
  }));
}
