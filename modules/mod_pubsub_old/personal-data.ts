// What is kept of an account or a domain: told, and deleted.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Deleted, deleteInBatches, deleteThroughout, PAGE, pages } from "../../core/storage/batches.ts";
import type { Db, Statement } from "../../core/storage/db.ts";
import { escapeLike } from "../../core/storage/dialect.ts";
import { CHANGED_BY_ANOTHER } from "../../core/storage/migrations/0029_whose_rows.ts";
import { affiliationCode, type NodeRow, nodeRemoval, payloadOf } from "./rows.ts";

/** Nodes that are removed in one transaction. */
const NODES = 50;

/** Nodes that go, with all that hangs on them. */
function removal(nodes: readonly { nidx: number | string; name: string; p_key: string }[]): Statement[] {
  return nodes.flatMap(({ nidx, name, p_key }) => nodeRemoval(Number(nidx), name, p_key));
}

interface OwnedRow extends NodeRow {
  p_key: string;
}
const OWNED = `SELECT n.nidx, n.p_key, n.name, n.type, n.owners, n.options FROM pubsub_nodes n
  INNER JOIN pubsub_affiliations a ON a.nidx = n.nidx`;

/**
 * Deletes what an account has made and all that names it. A node of the service that others have to do with stays for
 * them, without an owner where there was one only. Resolves to whether there was anything.
 */
export async function removeUser(db: Db, jid: BareJid): Promise<boolean> {
  const who = [jid.local, jid.domain];
  const owned = await db.query<OwnedRow>(`${OWNED} WHERE a.luser = ? AND a.lserver = ? AND a.aff = ?`, [
    ...who,
    affiliationCode("owner"),
  ]);
  const personal = await db.query<OwnedRow>(
    "SELECT nidx, p_key, name, type, owners, options FROM pubsub_nodes WHERE p_key = ?",
    [jid.text],
  );
  const statements: Statement[] = [
    { sql: "DELETE FROM pubsub_items WHERE created_luser = ? AND created_lserver = ?", params: who },
    {
      sql: `DELETE FROM pubsub_items WHERE modified_luser = ? AND modified_lserver = ? AND ${CHANGED_BY_ANOTHER}`,
      params: who,
    },
    { sql: "DELETE FROM pubsub_last_item WHERE created_luser = ? AND created_lserver = ?", params: who },
    { sql: "DELETE FROM pubsub_subscriptions WHERE luser = ? AND lserver = ?", params: who },
    { sql: "DELETE FROM pubsub_affiliations WHERE luser = ? AND lserver = ?", params: who },
  ];
  const gone = [...personal];
  for (const node of owned) {
    if (node.p_key === jid.text) continue;
    const left = ownersOf(node).filter((owner) => owner !== jid.text);
    if (left.length === 0 && (node.type === "push" || !(await concernsOthers(db, node, jid)))) gone.push(node);
    else statements.push(ownersSet(node, left));
  }
  await removeItems(db, gone);
  const changed = await db.transaction([...statements, ...removal(gone)]);
  return changed.some((rows) => rows > 0);
}

async function concernsOthers(db: Db, { nidx }: NodeRow, { local, domain }: BareJid): Promise<boolean> {
  for (const table of ["pubsub_affiliations", "pubsub_subscriptions"]) {
    const [row] = await db.query(
      `SELECT nidx FROM ${table} WHERE nidx = ? AND NOT (luser = ? AND lserver = ?) LIMIT 1`,
      [Number(nidx), local, domain],
    );
    if (row !== undefined) return true;
  }
  return false;
}

/** Which of the nodes others than accounts of the domain have to do with. */
async function sharedAmong(db: Db, nodes: readonly OwnedRow[], domain: string): Promise<Set<number>> {
  const ids = nodes.map(({ nidx }) => Number(nidx));
  const among = (table: string): string =>
    `SELECT nidx FROM ${table} WHERE nidx IN (${ids.map(() => "?").join(", ")}) AND lserver <> ?`;
  const rows = await db.query<{ nidx: number | string }>(
    `${among("pubsub_affiliations")} UNION ${among("pubsub_subscriptions")}`,
    [...ids, domain, ...ids, domain],
  );
  return new Set(rows.map(({ nidx }) => Number(nidx)));
}

/** The nodes of a domain's service and its accounts, and those of anybody's that its accounts own; page after page. */
async function* nodesOf(db: Db, domain: string, service: string | undefined): AsyncGenerator<OwnedRow[]> {
  const params = [service ?? domain, `%@${escapeLike(domain)}`, domain, affiliationCode("owner")];
  for (let after = 0; ; ) {
    const rows: OwnedRow[] = await db.query(
      `SELECT n.nidx, n.p_key, n.name, n.type, n.owners, n.options FROM pubsub_nodes n
       WHERE n.nidx > ? AND (n.p_key = ? OR n.p_key LIKE ? ESCAPE '$' OR EXISTS
         (SELECT 1 FROM pubsub_affiliations a WHERE a.nidx = n.nidx AND a.lserver = ? AND a.aff = ?))
       ORDER BY n.nidx LIMIT ${NODES}`,
      [after, ...params],
    );
    if (rows.length > 0) yield rows;
    if (rows.length < NODES) return;
    after = Number(rows[rows.length - 1].nidx);
  }
}

/**
 * Deletes the nodes of a domain's accounts and of its `service`, and all that names somebody of the domain. A node of
 * another service that others have to do with stays for them. Nodes come first: it is by their affiliations that those
 * of other services are found, when this is done again.
 */
export async function removeDomain(
  db: Db,
  domain: string,
  service: string | undefined,
  deleted?: Deleted,
): Promise<void> {
  const isOf = (jid: string): boolean => jid.endsWith(`@${domain}`);
  for await (const nodes of nodesOf(db, domain, service)) {
    const shared = await sharedAmong(db, nodes, domain);
    const gone = nodes.filter(
      ({ nidx, p_key }) => p_key === (service ?? domain) || isOf(p_key) || !shared.has(Number(nidx)),
    );
    const left = nodes.filter((node) => !gone.includes(node));
    await removeItems(db, gone, deleted);
    await db.transaction([
      ...left.map((node) =>
        ownersSet(
          node,
          ownersOf(node).filter((owner) => !isOf(owner)),
        ),
      ),
      ...removal(gone),
    ]);
    deleted?.(gone.length);
  }
  for (const [table, where] of [
    ["pubsub_items", "created_lserver = ?"],
    ["pubsub_items", "modified_lserver = ?"],
    ["pubsub_last_item", "created_lserver = ?"],
    ["pubsub_subscriptions", "lserver = ?"],
    ["pubsub_affiliations", "lserver = ?"],
  ] as const) {
    await deleteThroughout(db, { table, column: "nidx", numbers: true, where, params: [domain] }, deleted);
  }
}

/** Of nodes that are about to go. */
async function removeItems(db: Db, nodes: readonly OwnedRow[], deleted?: Deleted): Promise<void> {
  if (nodes.length === 0) return;
  const where = `nidx IN (${nodes.map(() => "?").join(", ")})`;
  const params = nodes.map(({ nidx }) => Number(nidx));
  await deleteInBatches(db, { table: "pubsub_items", key: ["nidx", "itemid"], where, params }, deleted);
}

const ownersOf = ({ owners }: NodeRow): string[] => JSON.parse(owners) as string[];

const ownersSet = ({ nidx }: NodeRow, owners: readonly string[]): Statement => ({
  sql: "UPDATE pubsub_nodes SET owners = ? WHERE nidx = ?",
  params: [JSON.stringify(owners), Number(nidx)],
});

export async function personalData(db: Db, jid: BareJid): Promise<PersonalData[]> {
  const who = [jid.local, jid.domain];
  type Item = { nidx: number | string; name: string; itemid: string; payload: string };
  const items = (last: Item | undefined): Promise<Item[]> =>
    db.query(
      `SELECT i.nidx, n.name, i.itemid, i.payload FROM pubsub_items i INNER JOIN pubsub_nodes n ON n.nidx = i.nidx
       WHERE i.created_luser = ? AND i.created_lserver = ? AND (i.nidx > ? OR (i.nidx = ? AND i.itemid > ?))
       ORDER BY i.nidx, i.itemid LIMIT ${PAGE}`,
      [...who, Number(last?.nidx ?? 0), Number(last?.nidx ?? 0), last?.itemid ?? ""],
    );
  const nodes = await db.query<{ name: string; type: string }>(
    `SELECT n.name, n.type FROM pubsub_nodes n INNER JOIN pubsub_affiliations a ON a.nidx = n.nidx
     WHERE a.luser = ? AND a.lserver = ? AND a.aff = ? ORDER BY n.name`,
    [...who, affiliationCode("owner")],
  );
  const subscriptions = await db.query<{ name: string }>(
    `SELECT n.name FROM pubsub_subscriptions s INNER JOIN pubsub_nodes n ON n.nidx = s.nidx
     WHERE s.luser = ? AND s.lserver = ? ORDER BY n.name`,
    who,
  );
  return [
    {
      name: "pubsub_payloads",
      columns: ["node_name", "item_id", "payload"],
      rows: [],
      more: pages(items, (row) => [row.name, row.itemid, payloadOf(row.payload)]),
    },
    { name: "pubsub_nodes", columns: ["node_name", "type"], rows: nodes.map((row) => [row.name, row.type]) },
    { name: "pubsub_subscriptions", columns: ["node_name"], rows: subscriptions.map((row) => [row.name]) },
  ];
}
