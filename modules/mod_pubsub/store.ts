// PEP nodes in SQL: MongooseIM's tables pubsub_node, pubsub_item and pubsub_subscription, which it can go on using, and
// tables of our own for what they have no columns for (migration 0004).

import type { PersonalData } from "../../core/hooks.ts";
import { type BareJid, makeBare, parseJid } from "../../core/jid.ts";
import type { Deleted } from "../../core/storage/batches.ts";
import type { Db, SqlValue, Statement } from "../../core/storage/db.ts";
import { DIALECTS } from "../../core/storage/dialect.ts";
import type { Affiliation, Item, ItemPage, NewNode, NodeConfig, PubsubNode, Subscription } from "../pubsub/model.ts";
import type { LastItem } from "../pubsub/personal.ts";
import type { BoundedPage } from "../pubsub/rsm.ts";
import type { Keep, NodeHead, PubsubStore } from "../pubsub/store.ts";
import {
  ITEM_COLUMNS,
  type ItemRow,
  ItemTable,
  itemOf,
  jidOfRow,
  keyOf,
  NODE_KEY,
  OF_NODE,
  SUBSCRIBER,
} from "./items.ts";
import { configOf, NODE_COLUMNS, NODES, type NodeRow, packed } from "./packed.ts";
import { personalData, removeDomain, removeUser } from "./personal-data.ts";

/** MySQL's TEXT. */
const MAX_MYSQL_TEXT = 65_535;

const NEWEST_OPEN = `SELECT i.payload FROM pubsub_item i JOIN pubsub_node n
  ON n.service_domain = i.service_domain AND n.service_user = i.service_user AND n.node_id = i.node_id
  WHERE i.service_domain = ? AND i.service_user = ? AND i.node_id = ? AND n.access_model = 'open'
    AND i.publisher_domain = i.service_domain AND i.publisher_user = i.service_user
  ORDER BY i.published_at DESC LIMIT 1`;
const OF_SUBSCRIBER = SUBSCRIBER.map((c) => `${c} = ?`).join(" AND ");

interface SubscriberRow {
  node_id: string;
  subscriber_domain: string;
  subscriber_user: string;
  subscriber_resource: string;
}
interface LastRow extends ItemRow, NodeRow {
  service_user: string;
  affiliated: number | bigint;
}
interface AffiliationRow {
  entity_domain: string;
  entity_user: string;
  affiliation: string;
}

export class PepStore implements PubsubStore {
  readonly #items: ItemTable;
  readonly #newNode: string;
  readonly #newConfig: string;
  readonly #putConfig: string;
  readonly #newSubscription: Readonly<Record<string, string>>;
  readonly #putAffiliation: string;
  readonly inOrder: boolean;
  /** Longest payload in bytes. */
  readonly maxPayload: number;
  /** What a node has that somebody else has written; set at the start of the feature. */
  defaults!: NodeConfig;

  constructor(private readonly db: Db) {
    const { upsert, insertNew } = DIALECTS[db.dialect];
    this.#items = new ItemTable(db);
    this.inOrder = db.dialect === "sqlite";
    this.#newNode = insertNew("pubsub_node", [...NODE_KEY, "access_model", "max_items"]);
    this.#newConfig = insertNew("mongooseim_pubsub_config", [...NODE_KEY, "config"]);
    this.#putConfig = upsert("mongooseim_pubsub_config", NODE_KEY, ["config"]);
    this.#newSubscription = {
      subscribed: insertNew("pubsub_subscription", [...NODE_KEY, ...SUBSCRIBER]),
      pending: insertNew("mongooseim_pubsub_pending", [...NODE_KEY, ...SUBSCRIBER]),
    };
    const entity = [...NODE_KEY, "entity_domain", "entity_user"];
    this.#putAffiliation = upsert("mongooseim_pubsub_affiliation", entity, ["affiliation"]);
    this.maxPayload = db.dialect === "mysql" ? MAX_MYSQL_TEXT : Number.MAX_SAFE_INTEGER;
  }

  // --- Nodes -------------------------------------------------------------------------------------------------------------

  async load(service: BareJid, name: string): Promise<PubsubNode | undefined> {
    const key = keyOf({ service, name });
    const subscribers = (table: string) =>
      this.db.query<SubscriberRow>(`SELECT node_id, ${SUBSCRIBER.join(", ")} FROM ${table} WHERE ${OF_NODE}`, key);
    const [nodes, affiliations, subscribed, pending] = await Promise.all([
      this.db.query<NodeRow>(`SELECT ${NODE_COLUMNS} ${NODES} AND n.node_id = ?`, key),
      this.db.query<AffiliationRow>(
        `SELECT entity_domain, entity_user, affiliation FROM mongooseim_pubsub_affiliation WHERE ${OF_NODE}`,
        key,
      ),
      subscribers("pubsub_subscription"),
      subscribers("mongooseim_pubsub_pending"),
    ]);
    // MySQL compares without regard to case.
    const row = nodes.find((n) => n.node_id === name);
    if (row === undefined) return undefined;
    const subscriptions = new Map<string, readonly Subscription[]>();
    for (const s of [...pending.map(pendingOf), ...subscribed.map(activeOf)]) subscriptions.set(s.jid.text, [s]);
    return {
      service,
      name,
      ref: 0,
      config: configOf(row, this.defaults),
      affiliations: new Map(
        affiliations.map((a) => [makeBare(a.entity_user, a.entity_domain).text, a.affiliation as Affiliation]),
      ),
      subscriptions,
    };
  }

  async nodes(service: BareJid, after: string, limit: number): Promise<NodeHead[]> {
    const sql = `SELECT ${NODE_COLUMNS} ${NODES} AND n.node_id > ? ORDER BY n.node_id LIMIT ?`;
    const rows = await this.db.query<NodeRow>(sql, [service.domain, service.local, after, limit]);
    return rows.map((row) => ({ name: row.node_id, config: configOf(row, this.defaults) }));
  }

  async countNodes(service: BareJid): Promise<number> {
    const sql = "SELECT count(*) AS n FROM pubsub_node WHERE service_domain = ? AND service_user = ?";
    const rows = await this.db.query<{ n: number | bigint }>(sql, [service.domain, service.local]);
    return Number(rows[0].n);
  }

  async create(node: NewNode): Promise<PubsubNode | undefined> {
    const { access_model, max_items, config } = packed(node.config);
    const key = keyOf(node);
    const [fresh] = await this.db.transaction([
      { sql: this.#newNode, params: [...key, access_model, max_items] },
      { sql: this.#newConfig, params: [...key, config] },
      ...[...node.affiliations].map(([jid, what]) => this.#affiliating(key, jid, what)),
    ]);
    if (fresh === 0) return undefined;
    return { ...node, ref: 0, affiliations: new Map(node.affiliations), subscriptions: new Map() };
  }

  async configure(node: PubsubNode, next: NodeConfig): Promise<void> {
    const { access_model, max_items, config } = packed(next);
    const key = keyOf(node);
    await this.db.transaction([
      {
        sql: `UPDATE pubsub_node SET access_model = ?, max_items = ? WHERE ${OF_NODE}`,
        params: [access_model, max_items, ...key],
      },
      { sql: this.#putConfig, params: [...key, config] },
    ]);
  }

  /** What hangs on the node goes with it: the tables cascade. */
  async remove(node: PubsubNode): Promise<void> {
    await this.db.execute(`DELETE FROM pubsub_node WHERE ${OF_NODE}`, keyOf(node));
  }

  // --- Affiliations and subscriptions --------------------------------------------------------------------------------------

  async setAffiliations(node: PubsubNode, changes: ReadonlyMap<string, Affiliation>): Promise<void> {
    const key = keyOf(node);
    if (changes.size > 0) {
      await this.db.transaction([...changes].map(([jid, what]) => this.#affiliating(key, jid, what)));
    }
  }

  #affiliating(key: readonly SqlValue[], text: string, affiliation: Affiliation): Statement {
    const { domain, local } = parseJid(text);
    if (affiliation !== "none") return { sql: this.#putAffiliation, params: [...key, domain, local, affiliation] };
    return {
      sql: `DELETE FROM mongooseim_pubsub_affiliation WHERE ${OF_NODE} AND entity_domain = ? AND entity_user = ?`,
      params: [...key, domain, local],
    };
  }

  async affiliationsOf(service: BareJid, who: BareJid): Promise<{ node: string; affiliation: Affiliation }[]> {
    const rows = await this.db.query<{ node_id: string; affiliation: string }>(
      `SELECT node_id, affiliation FROM mongooseim_pubsub_affiliation WHERE service_domain = ? AND service_user = ?
       AND entity_domain = ? AND entity_user = ? ORDER BY node_id`,
      [service.domain, service.local, who.domain, who.local],
    );
    return rows.map((row) => ({ node: row.node_id, affiliation: row.affiliation as Affiliation }));
  }

  async putSubscription(node: PubsubNode, { jid, state }: Subscription): Promise<void> {
    const params = [...keyOf(node), jid.domain, jid.local, jid.resource];
    const active = state === "subscribed";
    const other = active ? "mongooseim_pubsub_pending" : "pubsub_subscription";
    await this.db.transaction([
      { sql: `DELETE FROM ${other} WHERE ${OF_NODE} AND ${OF_SUBSCRIBER}`, params },
      { sql: this.#newSubscription[active ? "subscribed" : "pending"], params },
    ]);
  }

  async dropSubscriptions(node: PubsubNode, gone: readonly Subscription[]): Promise<void> {
    const statements = gone.map(({ jid, state }): Statement => {
      const table = state === "subscribed" ? "pubsub_subscription" : "mongooseim_pubsub_pending";
      const params = [...keyOf(node), jid.domain, jid.local, jid.resource];
      return { sql: `DELETE FROM ${table} WHERE ${OF_NODE} AND ${OF_SUBSCRIBER}`, params };
    });
    await this.db.transaction(statements);
  }

  async subscriptionsOf(service: BareJid, who: BareJid): Promise<{ node: string; subscription: Subscription }[]> {
    const of = (table: string) =>
      this.db.query<SubscriberRow>(
        `SELECT node_id, ${SUBSCRIBER.join(", ")} FROM ${table} WHERE service_domain = ? AND service_user = ?
         AND subscriber_domain = ? AND subscriber_user = ? ORDER BY node_id, subscriber_resource`,
        [service.domain, service.local, who.domain, who.local],
      );
    const [active, pending] = await Promise.all([of("pubsub_subscription"), of("mongooseim_pubsub_pending")]);
    return [
      ...active.map((row) => ({ node: row.node_id, subscription: activeOf(row) })),
      ...pending.map((row) => ({ node: row.node_id, subscription: pendingOf(row) })),
    ];
  }

  // --- Items ---------------------------------------------------------------------------------------------------------------

  publish(node: PubsubNode, item: Item, keep: Keep): Promise<void> {
    return this.#items.publish(node, item, keep);
  }
  trim(node: PubsubNode, keep: Keep): Promise<void> {
    return this.#items.trim(node, keep);
  }
  item(node: PubsubNode, id: string): Promise<Item | undefined> {
    return this.#items.item(node, id);
  }
  itemsById(node: PubsubNode, ids: readonly string[]): Promise<Item[]> {
    return this.#items.itemsById(node, ids);
  }
  newest(node: PubsubNode, limit: number): Promise<Item[]> {
    return this.#items.newest(node, limit);
  }
  page(node: PubsubNode, request: BoundedPage): Promise<ItemPage> {
    return this.#items.page(node, request);
  }
  retract(node: PubsubNode, id: string): Promise<boolean> {
    return this.#items.retract(node, id);
  }
  purge(node: PubsubNode): Promise<void> {
    return this.#items.purge(node);
  }
  purgePublisher(node: PubsubNode, publisher: BareJid): Promise<string[]> {
    return this.#items.purgePublisher(node, publisher);
  }

  /** The payload of the newest item of a node that everybody may read, of its owner's; undefined where there is none. */
  async newestOpen(service: BareJid, name: string): Promise<string | undefined> {
    const rows = await this.db.query<{ payload: string }>(NEWEST_OPEN, keyOf({ service, name }));
    return rows[0]?.payload;
  }

  /**
   * The newest item of each node of some accounts of a domain.
   * @param names only nodes of these names; undefined: all
   */
  async lastItems(domain: string, users: readonly string[], names: readonly string[] | undefined): Promise<LastItem[]> {
    const found: LastItem[] = [];
    for (const some of chunks(users)) {
      for (const wanted of names === undefined ? [undefined] : chunks(names)) {
        found.push(...(await this.#lastItems(domain, some, wanted)));
      }
    }
    return found;
  }

  async #lastItems(
    domain: string,
    users: readonly string[],
    names: readonly string[] | undefined,
  ): Promise<LastItem[]> {
    const only = names === undefined ? "" : ` AND i.node_id IN (${places(names)})`;
    const columns = ITEM_COLUMNS.replace(/\w+/g, "i.$&");
    const rows = await this.db.query<LastRow>(
      `SELECT i.service_user, ${NODE_COLUMNS}, ${columns},
       (SELECT count(*) FROM mongooseim_pubsub_affiliation f WHERE f.service_domain = i.service_domain
        AND f.service_user = i.service_user AND f.node_id = i.node_id) AS affiliated FROM pubsub_item i
       JOIN pubsub_node n ON n.service_domain = i.service_domain AND n.service_user = i.service_user
         AND n.node_id = i.node_id
       LEFT JOIN mongooseim_pubsub_config c ON c.service_domain = i.service_domain AND c.service_user = i.service_user
         AND c.node_id = i.node_id
       WHERE i.service_domain = ? AND i.service_user IN (${places(users)})${only} AND i.published_at =
         (SELECT max(l.published_at) FROM pubsub_item l WHERE l.service_domain = i.service_domain
          AND l.service_user = i.service_user AND l.node_id = i.node_id)
       ORDER BY i.service_user, i.node_id`,
      [domain, ...users, ...(names ?? [])],
    );
    return rows.map((row) => ({
      service: makeBare(row.service_user, domain),
      name: row.node_id,
      config: configOf(row, this.defaults),
      item: itemOf(row),
      plain: Number(row.affiliated) === 0,
    }));
  }

  // --- Accounts ------------------------------------------------------------------------------------------------------------

  removeUser(jid: BareJid): Promise<void> {
    return removeUser(this.db, jid);
  }
  removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    return removeDomain(this.db, domain, deleted);
  }
  personalData(jid: BareJid): Promise<PersonalData[]> {
    return personalData(this.db, this.defaults, jid);
  }
}

const subscriberOf = (row: SubscriberRow) =>
  jidOfRow(row.subscriber_user, row.subscriber_domain, row.subscriber_resource);
const activeOf = (row: SubscriberRow): Subscription => ({
  jid: subscriberOf(row),
  state: "subscribed",
  subid: "",
  options: undefined,
});
const pendingOf = (row: SubscriberRow): Subscription => ({ ...activeOf(row), state: "pending" });

/** Values of one statement. */
const CHUNK = 64;

/** Lists of a few lengths, the last value repeated, so that there are few statements to prepare. */
function chunks(values: readonly string[]): string[][] {
  const out: string[][] = [];
  for (let k = 0; k < values.length; k += CHUNK) {
    const some = values.slice(k, k + CHUNK);
    const length = some.length <= 1 ? 1 : some.length <= 8 ? 8 : CHUNK;
    out.push([...some, ...Array<string>(length - some.length).fill(some[some.length - 1])]);
  }
  return out;
}
const places = (values: readonly string[]): string => values.map(() => "?").join(", ");
