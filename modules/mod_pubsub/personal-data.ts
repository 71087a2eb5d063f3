// What is kept of an account or a domain: told, and deleted.

import type { PersonalData } from "../../core/hooks.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import { type Deleted, deleteInBatches, PAGE, pages } from "../../core/storage/batches.ts";
import type { Db } from "../../core/storage/db.ts";
import { PUBLISHED_ELSEWHERE } from "../../core/storage/migrations/0028_pubsub_publisher.ts";
import type { NodeConfig } from "../pubsub/model.ts";
import { ITEM_COLUMNS, type ItemRow, itemOf, jidOfRow, NODE_KEY, SUBSCRIBER } from "./items.ts";
import { configOf, NODE_COLUMNS, NODES, type NodeRow } from "./packed.ts";

const ITEM_KEY = [...NODE_KEY, "item_id"];
const SUBSCRIBER_KEY = [...NODE_KEY, ...SUBSCRIBER];
const ENTITY_KEY = [...NODE_KEY, "entity_domain", "entity_user"];

/** What an account has published in others' nodes; domain, user. */
const ELSEWHERE = `publisher_domain = ? AND publisher_user = ? AND ${PUBLISHED_ELSEWHERE}`;

/**
 * Deletes an account's nodes with all that is in them, and what it is and has published in others': whoever gets the name
 * would count as the publisher, and might change it. Subscribers are told of the one as little as of the other: XEP-0060
 * has notifications for what a publisher or an owner does (§7.2.2.1, §8.4), not for a service that deletes, and a removal
 * that was cut short and goes on does not know any more whom it has told.
 */
export async function removeUser(db: Db, { local, domain }: BareJid): Promise<void> {
  const params = [domain, local];
  const own = "service_domain = ? AND service_user = ?";
  for (const where of [own, ELSEWHERE]) {
    await deleteInBatches(db, { table: "pubsub_item", key: ITEM_KEY, where, params });
  }
  await db.transaction(
    [
      `DELETE FROM pubsub_node WHERE ${own}`,
      "DELETE FROM pubsub_subscription WHERE subscriber_domain = ? AND subscriber_user = ?",
      "DELETE FROM mongooseim_pubsub_pending WHERE subscriber_domain = ? AND subscriber_user = ?",
      "DELETE FROM mongooseim_pubsub_affiliation WHERE entity_domain = ? AND entity_user = ?",
    ].map((sql) => ({ sql, params })),
  );
}

/** Deletes the nodes of a domain's accounts, items and subscriptions first, and what they are and have published in others'. */
export async function removeDomain(db: Db, domain: string, deleted?: Deleted): Promise<void> {
  for (const [table, key, where] of [
    ["pubsub_item", ITEM_KEY, "service_domain = ?"],
    ["pubsub_subscription", NODE_KEY, "service_domain = ?"],
    ["pubsub_node", NODE_KEY, "service_domain = ?"],
    ["pubsub_item", ITEM_KEY, `publisher_domain = ? AND ${PUBLISHED_ELSEWHERE}`],
    ["pubsub_subscription", SUBSCRIBER_KEY, "subscriber_domain = ?"],
    ["mongooseim_pubsub_pending", SUBSCRIBER_KEY, "subscriber_domain = ?"],
    ["mongooseim_pubsub_affiliation", ENTITY_KEY, "entity_domain = ?"],
  ] as const) {
    await deleteInBatches(db, { table, key, where, params: [domain] }, deleted);
  }
}

type PlacedItem = ItemRow & { service_domain: string; service_user: string; node_id: string };
const placeOf = ({ service_domain, service_user, node_id, item_id }: PlacedItem): string[] => [
  service_domain,
  service_user,
  node_id,
  item_id,
];

/** Items that `where` holds for, page after page in the order of the key, whose columns are written as `order` has them. */
function items(
  db: Db,
  where: string,
  params: readonly string[],
  order: readonly string[] = ITEM_KEY,
): AsyncGenerator<string[][]> {
  const key = order.join(", ");
  const read = (last: PlacedItem | undefined): Promise<PlacedItem[]> =>
    db.query(
      `SELECT ${NODE_KEY.join(", ")}, ${ITEM_COLUMNS} FROM pubsub_item
       WHERE ${where}${last === undefined ? "" : ` AND (${key}) > (?, ?, ?, ?)`} ORDER BY ${key} LIMIT ${PAGE}`,
      [...params, ...(last === undefined ? [] : placeOf(last))],
    );
  return pages(read, (row) => [row.node_id, row.item_id, itemOf(row).publisher.text, row.payload]);
}

/** In these words the key serves no planner: some would read all items that come after one, rather than sort a user's. */
const SORTED = ITEM_KEY.map((column) => `coalesce(${column}, '')`);

/** All items in a user's own nodes, and then those that he has published in others'. */
async function* itemsOf(db: Db, { domain, local }: BareJid): AsyncGenerator<string[][]> {
  const user = [domain, local];
  yield* items(db, "service_domain = ? AND service_user = ?", user);
  yield* items(db, ELSEWHERE, user, SORTED);
}

interface SubscribedRow {
  service_domain: string;
  service_user: string;
  node_id: string;
  subscriber_domain: string;
  subscriber_user: string;
  subscriber_resource: string;
}

/** The tables of a user; `defaults` are what a node's rows do not say. */
export async function personalData(db: Db, defaults: NodeConfig, jid: BareJid): Promise<PersonalData[]> {
  const params = [jid.domain, jid.local];
  const subscriptionsIn = (table: string): Promise<SubscribedRow[]> =>
    db.query(
      `SELECT service_domain, service_user, node_id, subscriber_domain, subscriber_user, subscriber_resource FROM ${table}
       WHERE subscriber_domain = ? AND subscriber_user = ? ORDER BY service_user, node_id`,
      params,
    );
  const [nodes, subscriptions, pending, affiliations] = await Promise.all([
    db.query<NodeRow>(`SELECT ${NODE_COLUMNS} ${NODES} ORDER BY n.node_id`, params),
    subscriptionsIn("pubsub_subscription"),
    subscriptionsIn("mongooseim_pubsub_pending"),
    db.query<{ service_domain: string; service_user: string; node_id: string; affiliation: string }>(
      `SELECT service_domain, service_user, node_id, affiliation FROM mongooseim_pubsub_affiliation
       WHERE entity_domain = ? AND entity_user = ? ORDER BY service_user, node_id`,
      params,
    ),
  ]);
  const service = (row: { service_user: string; service_domain: string }): string =>
    makeBare(row.service_user, row.service_domain).text;
  const subscribed = (rows: readonly SubscribedRow[]) => ({
    columns: ["service_jid", "node_id", "subscriber_jid"],
    rows: rows.map((row) => [
      service(row),
      row.node_id,
      jidOfRow(row.subscriber_user, row.subscriber_domain, row.subscriber_resource).text,
    ]),
  });
  return [
    {
      name: "pubsub_items",
      columns: ["node_id", "item_id", "publisher_jid", "payload"],
      rows: [],
      more: itemsOf(db, jid),
    },
    {
      name: "pubsub_nodes",
      columns: ["node_id", "access_model"],
      rows: nodes.map((row) => [row.node_id, configOf(row, defaults).access_model]),
    },
    { name: "pubsub_subscriptions", ...subscribed(subscriptions) },
    // What MongooseIM does not keep.
    { name: "pubsub_pending_subscriptions", ...subscribed(pending) },
    {
      name: "pubsub_affiliations",
      columns: ["service_jid", "node_id", "affiliation"],
      rows: affiliations.map((row) => [service(row), row.node_id, row.affiliation]),
    },
  ];
}
