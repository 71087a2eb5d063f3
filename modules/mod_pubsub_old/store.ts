// Nodes, affiliations, subscriptions and items in MongooseIM's tables pubsub_nodes, pubsub_affiliations,
// pubsub_subscriptions, pubsub_items and pubsub_node_collections.

import type { PersonalData } from "../../core/hooks.ts";
import { type BareJid, parseBareJid } from "../../core/jid.ts";
import { type Db, type SqlValue, type Statement, StorageError } from "../../core/storage/db.ts";
import { DIALECTS, escapeLike, insert } from "../../core/storage/dialect.ts";
import type { Affiliation, Item, ItemPage, NewNode, NodeConfig, PubsubNode, Subscription } from "../pubsub/model.ts";
import type { PageRequest } from "../pubsub/rsm.ts";
import type { Keep, NodeHead, PubsubStore } from "../pubsub/store.ts";
import type { LastItems } from "./last.ts";
import { nodeDefaults } from "./plugins.ts";
import {
  affiliationCode,
  affiliationOf,
  configOf,
  type ItemRow,
  itemOf,
  itemText,
  keyOf,
  type NodeRow,
  optionsText,
  payloadOf,
  type SubscriptionRow,
  stateCode,
  subscriptionOf,
  subscriptionOptionsText,
} from "./rows.ts";

const NODE = "nidx, name, type, owners, options";
const SUBSCRIPTION = "luser, lserver, lresource, type, sub_id, options";
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
const SUBSCRIPTION_COLUMNS = ["nidx", "luser", "lserver", "lresource", "type", "sub_id", "options"] as const;
const NEWEST_FIRST = "ORDER BY modified_at DESC, itemid DESC";
/** Everything that hangs on a node. */
const HANGING = ["pubsub_affiliations", "pubsub_subscriptions", "pubsub_items", "pubsub_last_item"] as const;
/** Rows of personal data. */
const MANY = 100_000;

/** What the service is configured to, which decides how rows are written. */
export interface StoreSettings {
  /** Items name their publisher to all. */
  itemPublisher: boolean;
  /** The collections that a node is in, by its configuration or by its name. */
  parents(node: NewNode): readonly string[];
}

export class PubsubOldStore implements PubsubStore {
  settings: StoreSettings = {
    itemPublisher: false,
    parents: (node) => node.config.collection,
  };

  /** Where last items are kept ready; undefined: nowhere. */
  lastItems: LastItems | undefined = undefined;

  constructor(private readonly db: Db) {}

  // --- Nodes ----------------------------------------------------------------------------------------------------------

  async load(service: BareJid, name: string): Promise<PubsubNode | undefined> {
    const [row] = await this.db.query<NodeRow>(`SELECT ${NODE} FROM pubsub_nodes WHERE p_key = ? AND name = ?`, [
      keyOf(service),
      name,
    ]);
    if (row === undefined) return undefined;
    const nidx = Number(row.nidx);
    const [affiliations, subscriptions] = await Promise.all([
      this.db.query<{ luser: string; lserver: string; aff: number }>(
        "SELECT luser, lserver, aff FROM pubsub_affiliations WHERE nidx = ?",
        [nidx],
      ),
      this.db.query<SubscriptionRow>(`SELECT ${SUBSCRIPTION} FROM pubsub_subscriptions WHERE nidx = ?`, [nidx]),
    ]);
    const bySubscriber = new Map<string, Subscription[]>();
    for (const subscription of subscriptions.flatMap((s) => subscriptionOf(s) ?? [])) {
      const { text } = subscription.jid;
      bySubscriber.set(text, [...(bySubscriber.get(text) ?? []), subscription]);
    }
    return {
      service,
      name,
      kind: row.type,
      ref: nidx,
      config: configOf(row.options, nodeDefaults(row.type)),
      affiliations: new Map(
        affiliations.flatMap(({ luser, lserver, aff }) => {
          const affiliation = affiliationOf(aff);
          return affiliation === "none" ? [] : [[`${luser === "" ? "" : `${luser}@`}${lserver}`, affiliation]];
        }),
      ),
      subscriptions: bySubscriber,
    };
  }

  async nodes(service: BareJid, after: string, limit: number): Promise<NodeHead[]> {
    const rows = await this.db.query<NodeRow>(
      `SELECT ${NODE} FROM pubsub_nodes WHERE p_key = ? AND name > ? ORDER BY name LIMIT ?`,
      [keyOf(service), after, limit],
    );
    return rows.map(headOf);
  }

  /** The nodes that are in no collection, in the order of their names, at most `limit`, after that name. */
  async roots(service: BareJid, after: string, limit: number): Promise<NodeHead[]> {
    const rows = await this.db.query<NodeRow>(
      `SELECT ${NODE} FROM pubsub_nodes n WHERE p_key = ? AND name > ? AND NOT EXISTS (
         SELECT 1 FROM pubsub_node_collections c INNER JOIN pubsub_nodes p ON p.name = c.parent_name
         WHERE c.name = n.name AND p.p_key = n.p_key)
       ORDER BY name LIMIT ?`,
      [keyOf(service), after, limit],
    );
    return rows.map(headOf);
  }

  /** The nodes in a collection, in the order of their names, at most `limit`, after that name. */
  async children(service: BareJid, collection: string, after: string, limit: number): Promise<NodeHead[]> {
    const rows = await this.db.query<NodeRow>(
      `SELECT ${NODE.split(", ")
        .map((column) => `n.${column}`)
        .join(", ")} FROM pubsub_nodes n INNER JOIN pubsub_node_collections c ON c.name = n.name
       WHERE c.parent_name = ? AND n.p_key = ? AND n.name > ? ORDER BY n.name LIMIT ?`,
      [collection, keyOf(service), after, limit],
    );
    return rows.map(headOf);
  }

  async countNodes(service: BareJid): Promise<number> {
    return this.count("SELECT count(*) AS n FROM pubsub_nodes WHERE p_key = ?", [keyOf(service)]);
  }

  /** Nodes of a service that an account owns. */
  async countOwned(service: BareJid, owner: BareJid): Promise<number> {
    return this.count(
      `SELECT count(*) AS n FROM pubsub_affiliations a INNER JOIN pubsub_nodes n ON n.nidx = a.nidx
       WHERE a.luser = ? AND a.lserver = ? AND a.aff = ? AND n.p_key = ?`,
      [owner.local, owner.domain, affiliationCode("owner"), keyOf(service)],
    );
  }

  private async count(sql: string, params: readonly SqlValue[]): Promise<number> {
    const [row] = await this.db.query<{ n: number | string }>(sql, params);
    return Number(row.n);
  }

  async create(node: NewNode): Promise<PubsubNode | undefined> {
    const key = [keyOf(node.service), node.name];
    // An account owns its nodes without a word; MongooseIM has rows for it all the same.
    const affiliations = new Map(node.affiliations);
    if (!node.service.isDomain) affiliations.set(node.service.text, "owner");
    const statements: Statement[] = [
      {
        sql: insert("pubsub_nodes", ["p_key", "name", "type", "owners", "options"]),
        params: [...key, node.kind ?? "flat", ownersText(affiliations), optionsText(node.config)],
      },
    ];
    for (const [jid, affiliation] of affiliations) {
      const { local, domain } = parseBareJid(jid);
      statements.push({
        sql: `INSERT INTO pubsub_affiliations (nidx, luser, lserver, aff)
              SELECT nidx, ?, ?, ${affiliationCode(affiliation)} FROM pubsub_nodes WHERE p_key = ? AND name = ?`,
        params: [local, domain, ...key],
      });
    }
    try {
      await this.db.transaction([...statements, ...this.parentStatements(node)]);
    } catch (error) {
      if (error instanceof StorageError && error.code === "constraint") return undefined;
      throw error;
    }
    return this.load(node.service, node.name);
  }

  async configure(node: PubsubNode, config: NodeConfig): Promise<void> {
    await this.db.transaction([
      { sql: "UPDATE pubsub_nodes SET options = ? WHERE nidx = ?", params: [optionsText(config), node.ref] },
      forgetParents(node),
      ...this.parentStatements({ ...node, config }),
    ]);
  }

  async remove(node: PubsubNode): Promise<void> {
    const params = [node.ref];
    await this.db.transaction([
      ...HANGING.map((table) => ({ sql: `DELETE FROM ${table} WHERE nidx = ?`, params })),
      forgetParents(node),
      { sql: "DELETE FROM pubsub_nodes WHERE nidx = ?", params },
    ]);
  }

  /** The table has no service in it: a name that several services have is in all of their collections. */
  private parentStatements(node: NewNode): Statement[] {
    const { insertNew } = DIALECTS[this.db.dialect];
    return this.settings.parents(node).map((parent) => ({
      sql: insertNew("pubsub_node_collections", ["name", "parent_name"]),
      params: [node.name, parent],
    }));
  }

  // --- Affiliations and subscriptions -----------------------------------------------------------------------------------

  async setAffiliations(node: PubsubNode, changes: ReadonlyMap<string, Affiliation>): Promise<void> {
    const { upsert } = DIALECTS[this.db.dialect];
    const statements: Statement[] = [];
    const after = new Map(node.affiliations);
    for (const [jid, affiliation] of changes) {
      const { local, domain } = parseBareJid(jid);
      const key = [local, domain, node.ref];
      if (affiliation === "none") {
        after.delete(jid);
        statements.push({
          sql: "DELETE FROM pubsub_affiliations WHERE luser = ? AND lserver = ? AND nidx = ?",
          params: key,
        });
      } else {
        after.set(jid, affiliation);
        statements.push({
          sql: upsert("pubsub_affiliations", ["luser", "lserver", "nidx"], ["aff"]),
          params: [...key, affiliationCode(affiliation)],
        });
      }
    }
    const owners = ownersText(after);
    if (owners !== ownersText(node.affiliations)) {
      statements.push({ sql: "UPDATE pubsub_nodes SET owners = ? WHERE nidx = ?", params: [owners, node.ref] });
    }
    await this.db.transaction(statements);
  }

  async affiliationsOf(service: BareJid, who: BareJid): Promise<{ node: string; affiliation: Affiliation }[]> {
    const rows = await this.db.query<{ name: string; aff: number }>(
      `SELECT n.name, a.aff FROM pubsub_affiliations a INNER JOIN pubsub_nodes n ON n.nidx = a.nidx
       WHERE a.luser = ? AND a.lserver = ? AND n.p_key = ? ORDER BY n.name`,
      [who.local, who.domain, keyOf(service)],
    );
    const all = rows.map(({ name, aff }) => ({ node: name, affiliation: affiliationOf(aff) }));
    return all.filter(({ affiliation }) => affiliation !== "none");
  }

  async putSubscription(node: PubsubNode, subscription: Subscription): Promise<void> {
    const { jid, state, subid, options } = subscription;
    const key = [node.ref, jid.local, jid.domain, resourceOf(jid)];
    await this.db.transaction([
      deletion(node, subscription),
      {
        sql: insert("pubsub_subscriptions", SUBSCRIPTION_COLUMNS),
        params: [...key, stateCode(state), subid, subscriptionOptionsText(options)],
      },
    ]);
  }

  async dropSubscriptions(node: PubsubNode, gone: readonly Subscription[]): Promise<void> {
    await this.db.transaction(gone.map((subscription) => deletion(node, subscription)));
  }

  async subscriptionsOf(service: BareJid, who: BareJid): Promise<{ node: string; subscription: Subscription }[]> {
    const rows = await this.db.query<SubscriptionRow & { name: string }>(
      `SELECT n.name, s.luser, s.lserver, s.lresource, s.type, s.sub_id, s.options
       FROM pubsub_subscriptions s INNER JOIN pubsub_nodes n ON n.nidx = s.nidx
       WHERE s.luser = ? AND s.lserver = ? AND n.p_key = ? ORDER BY n.name`,
      [who.local, who.domain, keyOf(service)],
    );
    return rows.flatMap((row) => {
      const subscription = subscriptionOf(row);
      return subscription === undefined ? [] : [{ node: row.name, subscription }];
    });
  }

  /** The nodes of a service that an account owns and that have subscribers who wait for an answer (§8.7). */
  async pendingOf(service: BareJid, owner: BareJid): Promise<string[]> {
    const rows = await this.db.query<{ name: string }>(
      `SELECT DISTINCT n.name FROM pubsub_nodes n INNER JOIN pubsub_affiliations a ON a.nidx = n.nidx
       INNER JOIN pubsub_subscriptions s ON s.nidx = n.nidx
       WHERE n.p_key = ? AND a.luser = ? AND a.lserver = ? AND a.aff = ? AND s.type = ? ORDER BY n.name`,
      [keyOf(service), owner.local, owner.domain, affiliationCode("owner"), stateCode("pending")],
    );
    return rows.map(({ name }) => name);
  }

  // --- Items ------------------------------------------------------------------------------------------------------------

  async publish(node: PubsubNode, item: Item, keep: Keep): Promise<string[]> {
    const gone = await this.surplus(node, keep, item.id);
    const { insertNew } = DIALECTS[this.db.dialect];
    const { publisher, at } = item;
    const shown = this.settings.itemPublisher ? publisher : undefined;
    const modified = [publisher.local, publisher.domain, resourceOf(publisher), at, shown?.text ?? null];
    const payload = itemText(item, shown);
    await this.db.transaction([
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
    ]);
    return gone;
  }

  async trim(node: PubsubNode, keep: Keep): Promise<string[]> {
    const gone = await this.surplus(node, keep);
    await this.db.transaction(deleteItems(node, gone));
    return gone;
  }

  /** The items that are too many or too old, the oldest first; `except` is about to become the newest. */
  private async surplus(node: PubsubNode, keep: Keep, except = ""): Promise<string[]> {
    if (keep.newest === Number.POSITIVE_INFINITY && keep.since === 0) return [];
    const rows = await this.db.query<{ itemid: string; modified_at: number | string }>(
      `SELECT itemid, modified_at FROM pubsub_items WHERE nidx = ? AND itemid <> ? ${NEWEST_FIRST}`,
      [node.ref, except],
    );
    const room = keep.newest - (except === "" ? 0 : 1);
    const gone = rows.filter((row, i) => i >= room || Number(row.modified_at) < keep.since);
    return gone.map((row) => row.itemid).reverse();
  }

  async item(node: PubsubNode, id: string): Promise<Item | undefined> {
    return (await this.itemsById(node, [id]))[0];
  }

  async itemsById(node: PubsubNode, ids: readonly string[]): Promise<Item[]> {
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

  async page(node: PubsubNode, request: PageRequest): Promise<ItemPage> {
    const count = await this.count("SELECT count(*) AS n FROM pubsub_items WHERE nidx = ?", [node.ref]);
    const start = await this.startOf(node, request, count);
    if (start === undefined) return { items: [], index: 0, count };
    const [from, to] = start;
    const rows = await this.db.query<ItemRow>(
      `SELECT ${ITEM} FROM pubsub_items WHERE nidx = ? ORDER BY modified_at, itemid LIMIT ? OFFSET ?`,
      [node.ref, Math.max(0, to - from), from],
    );
    return { items: rows.map(itemOf), index: from, count };
  }

  /** The range of the list that a page asks for; undefined for an item that is not there. */
  private async startOf(
    node: PubsubNode,
    { max, after, before, index }: PageRequest,
    count: number,
  ): Promise<[from: number, to: number] | undefined> {
    if (after !== undefined) {
      const place = await this.place(node, after);
      return place === undefined ? undefined : [place + 1, place + 1 + max];
    }
    if (before !== undefined) {
      const end = before === "" ? count : await this.place(node, before);
      return end === undefined ? undefined : [Math.max(0, end - max), end];
    }
    const from = index ?? 0;
    return [from, from + max];
  }

  private async place(node: PubsubNode, id: string): Promise<number | undefined> {
    const [row] = await this.db.query<{ modified_at: number | string }>(
      "SELECT modified_at FROM pubsub_items WHERE nidx = ? AND itemid = ?",
      [node.ref, id],
    );
    if (row === undefined) return undefined;
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
    return (await this.lastItems?.get(node)) ?? (await this.newest(node, 1))[0];
  }

  async setLast(node: PubsubNode, { id, publisher, at, payload }: Item): Promise<void> {
    const item = itemText({ id, publisher, at, payload }, undefined);
    await this.db.upsert(
      "pubsub_last_item",
      { nidx: node.ref },
      { itemid: id, created_luser: publisher.local, created_lserver: publisher.domain, created_at: at, payload: item },
    );
  }

  async getLast(node: PubsubNode): Promise<Item | undefined> {
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
  async dropLast(node: PubsubNode, id?: string): Promise<void> {
    const only = id === undefined ? "" : " AND itemid = ?";
    const params = id === undefined ? [node.ref] : [node.ref, id];
    await this.db.execute(`DELETE FROM pubsub_last_item WHERE nidx = ?${only}`, params);
  }

  // --- Nodes by their options -------------------------------------------------------------------------------------------

  /** The nodes with an option that has this value. JSON columns of MySQL put a space after the colon. */
  async withOption(name: string, value: string | boolean): Promise<{ service: string; node: string }[]> {
    const text = `CAST(options AS ${this.db.dialect === "mysql" ? "CHAR" : "TEXT"})`;
    const part = (gap: string): string => `%${escapeLike(`"${name}":${gap}${JSON.stringify(value)}`)}%`;
    const rows = await this.db.query<{ p_key: string; name: string }>(
      `SELECT p_key, name FROM pubsub_nodes WHERE ${text} LIKE ? ESCAPE '$' OR ${text} LIKE ? ESCAPE '$'`,
      [part(""), part(" ")],
    );
    return rows.map((row) => ({ service: row.p_key, node: row.name }));
  }

  // --- Persons ------------------------------------------------------------------------------------------------------------

  async removeUser(jid: BareJid): Promise<void> {
    const who = [jid.local, jid.domain];
    const owned = await this.db.query<NodeRow & { p_key: string }>(
      `SELECT n.nidx, n.p_key, n.name, n.type, n.owners, n.options FROM pubsub_nodes n
       INNER JOIN pubsub_affiliations a ON a.nidx = n.nidx WHERE a.luser = ? AND a.lserver = ? AND a.aff = ?`,
      [...who, affiliationCode("owner")],
    );
    const statements: Statement[] = [
      { sql: "DELETE FROM pubsub_items WHERE created_luser = ? AND created_lserver = ?", params: who },
      { sql: "DELETE FROM pubsub_items WHERE modified_luser = ? AND modified_lserver = ?", params: who },
      { sql: "DELETE FROM pubsub_last_item WHERE created_luser = ? AND created_lserver = ?", params: who },
      { sql: "DELETE FROM pubsub_subscriptions WHERE luser = ? AND lserver = ?", params: who },
      { sql: "DELETE FROM pubsub_affiliations WHERE luser = ? AND lserver = ?", params: who },
    ];
    for (const { nidx, owners, type } of owned) {
      const left = (JSON.parse(owners) as string[]).filter((owner) => owner !== jid.text);
      const params = [Number(nidx)];
      statements.push({
        sql: "UPDATE pubsub_nodes SET owners = ? WHERE nidx = ?",
        params: [JSON.stringify(left), ...params],
      });
      // A node for others to read stays; what was the account's alone, or nobody's, goes.
      if (left.length > 0) continue;
      const unwanted =
        type === "pep" || type === "push"
          ? ""
          : ` AND NOT EXISTS (SELECT 1 FROM pubsub_affiliations a WHERE a.nidx = pubsub_nodes.nidx)
              AND NOT EXISTS (SELECT 1 FROM pubsub_subscriptions s WHERE s.nidx = pubsub_nodes.nidx)`;
      statements.push({ sql: `DELETE FROM pubsub_nodes WHERE nidx = ?${unwanted}`, params });
    }
    await this.db.transaction([
      ...statements,
      { sql: "DELETE FROM pubsub_nodes WHERE p_key = ?", params: [jid.text] },
      ...ORPHANS,
    ]);
  }

  async removeDomain(domain: string): Promise<void> {
    const account = `%@${escapeLike(domain)}`;
    const service = `%.${escapeLike(domain)}`;
    const owners = await this.db.query<{ nidx: number | string; owners: string }>(
      `SELECT n.nidx, n.owners FROM pubsub_nodes n INNER JOIN pubsub_affiliations a ON a.nidx = n.nidx
       WHERE a.lserver = ? AND a.aff = ?`,
      [domain, affiliationCode("owner")],
    );
    await this.db.transaction([
      { sql: "DELETE FROM pubsub_items WHERE created_lserver = ?", params: [domain] },
      { sql: "DELETE FROM pubsub_items WHERE modified_lserver = ?", params: [domain] },
      { sql: "DELETE FROM pubsub_last_item WHERE created_lserver = ?", params: [domain] },
      { sql: "DELETE FROM pubsub_subscriptions WHERE lserver = ?", params: [domain] },
      { sql: "DELETE FROM pubsub_affiliations WHERE lserver = ?", params: [domain] },
      ...owners.map(({ nidx, owners }) => ({
        sql: "UPDATE pubsub_nodes SET owners = ? WHERE nidx = ?",
        params: [
          JSON.stringify((JSON.parse(owners) as string[]).filter((owner) => !owner.endsWith(`@${domain}`))),
          Number(nidx),
        ],
      })),
      {
        sql: "DELETE FROM pubsub_nodes WHERE p_key = ? OR p_key LIKE ? ESCAPE '$' OR p_key LIKE ? ESCAPE '$'",
        params: [domain, account, service],
      },
      ...ORPHANS,
    ]);
  }

  async personalData(jid: BareJid): Promise<PersonalData[]> {
    const who = [jid.local, jid.domain];
    const items = await this.db.query<{ name: string; itemid: string; payload: string }>(
      `SELECT n.name, i.itemid, i.payload FROM pubsub_items i INNER JOIN pubsub_nodes n ON n.nidx = i.nidx
       WHERE i.created_luser = ? AND i.created_lserver = ? ORDER BY n.name, i.itemid LIMIT ${MANY}`,
      who,
    );
    const nodes = await this.db.query<{ name: string; type: string }>(
      `SELECT n.name, n.type FROM pubsub_nodes n INNER JOIN pubsub_affiliations a ON a.nidx = n.nidx
       WHERE a.luser = ? AND a.lserver = ? AND a.aff = ? ORDER BY n.name LIMIT ${MANY}`,
      [...who, affiliationCode("owner")],
    );
    const subscriptions = await this.db.query<{ name: string }>(
      `SELECT n.name FROM pubsub_subscriptions s INNER JOIN pubsub_nodes n ON n.nidx = s.nidx
       WHERE s.luser = ? AND s.lserver = ? ORDER BY n.name LIMIT ${MANY}`,
      who,
    );
    return [
      {
        name: "pubsub_payloads",
        columns: ["node_name", "item_id", "payload"],
        rows: items.map((row) => [row.name, row.itemid, payloadOf(row.payload)]),
      },
      { name: "pubsub_nodes", columns: ["node_name", "type"], rows: nodes.map((row) => [row.name, row.type]) },
      { name: "pubsub_subscriptions", columns: ["node_name"], rows: subscriptions.map((row) => [row.name]) },
    ];
  }
}

interface LastRow {
  itemid: string;
  created_luser: string;
  created_lserver: string;
  created_at: number | string;
  payload: string;
}

/** Rows of nodes that are no more. */
const ORPHANS: readonly Statement[] = [
  ...HANGING.map((table) => ({ sql: `DELETE FROM ${table} WHERE nidx NOT IN (SELECT nidx FROM pubsub_nodes)` })),
  { sql: "DELETE FROM pubsub_node_collections WHERE name NOT IN (SELECT name FROM pubsub_nodes)" },
];

const marks = (list: readonly unknown[]): string => list.map(() => "?").join(", ");
const resourceOf = (jid: { readonly resource?: string }): string => jid.resource ?? "";

const ownersText = (affiliations: ReadonlyMap<string, Affiliation>): string =>
  JSON.stringify([...affiliations].flatMap(([jid, affiliation]) => (affiliation === "owner" ? [jid] : [])));

const headOf = ({ name, type, options }: NodeRow): NodeHead => ({
  name,
  config: configOf(options, nodeDefaults(type)),
});

function forgetParents({ name, service }: PubsubNode): Statement {
  return {
    sql: `DELETE FROM pubsub_node_collections WHERE name = ? AND NOT EXISTS (
            SELECT 1 FROM pubsub_nodes WHERE pubsub_nodes.name = ? AND p_key <> ?)`,
    params: [name, name, keyOf(service)],
  };
}

function deletion(node: PubsubNode, { jid, subid }: Subscription): Statement {
  return {
    sql: `DELETE FROM pubsub_subscriptions
          WHERE nidx = ? AND luser = ? AND lserver = ? AND lresource = ? AND sub_id = ?`,
    params: [node.ref, jid.local, jid.domain, resourceOf(jid), subid],
  };
}

/** Ids in one statement. */
const BATCH = 500;

function deleteItems(node: PubsubNode, ids: readonly string[]): Statement[] {
  const statements: Statement[] = [];
  for (let i = 0; i < ids.length; i += BATCH) {
    const some = ids.slice(i, i + BATCH);
    statements.push({
      sql: `DELETE FROM pubsub_items WHERE nidx = ? AND itemid IN (${marks(some)})`,
      params: [node.ref, ...some],
    });
  }
  return statements;
}
