// What is kept of an account or a domain: told, and deleted.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import type { Db, Statement } from "../../core/storage/db.ts";
import { escapeLike } from "../../core/storage/dialect.ts";
import { affiliationCode, type NodeRow, nodeRemoval, payloadOf } from "./rows.ts";

/** Rows of personal data. */
const MANY = 100_000;

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
    { sql: "DELETE FROM pubsub_items WHERE modified_luser = ? AND modified_lserver = ?", params: who },
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

/** The nodes of anybody's that accounts of a domain own, and that others than the domain's have to do with. */
async function ownedAmongOthers(db: Db, domain: string): Promise<Set<number>> {
  const of = (
    table: string,
  ): string => `SELECT x.nidx FROM ${table} x INNER JOIN pubsub_affiliations o ON o.nidx = x.nidx
    WHERE o.lserver = ? AND o.aff = ? AND x.lserver <> ?`;
  const params = [domain, affiliationCode("owner"), domain];
  const rows = await db.query<{ nidx: number | string }>(
    `${of("pubsub_affiliations")} UNION ${of("pubsub_subscriptions")}`,
    [...params, ...params],
  );
  return new Set(rows.map(({ nidx }) => Number(nidx)));
}

/**
 * Deletes the nodes of a domain's accounts and of its `service`, and all that names somebody of the domain. A node of
 * another service that others have to do with stays for them.
 */
export async function removeDomain(db: Db, domain: string, service: string | undefined): Promise<void> {
  const owned = await db.query<OwnedRow>(`${OWNED} WHERE a.lserver = ? AND a.aff = ?`, [
    domain,
    affiliationCode("owner"),
  ]);
  const gone = await db.query<OwnedRow>(
    "SELECT nidx, p_key, name, type, owners, options FROM pubsub_nodes WHERE p_key = ? OR p_key LIKE ? ESCAPE '$'",
    [service ?? domain, `%@${escapeLike(domain)}`],
  );
  const ids = new Set(gone.map(({ nidx }) => Number(nidx)));
  const shared = await ownedAmongOthers(db, domain);
  for (const node of owned) {
    const id = Number(node.nidx);
    if (ids.has(id) || shared.has(id)) continue;
    ids.add(id);
    gone.push(node);
  }
  await db.transaction([
    { sql: "DELETE FROM pubsub_items WHERE created_lserver = ?", params: [domain] },
    { sql: "DELETE FROM pubsub_items WHERE modified_lserver = ?", params: [domain] },
    { sql: "DELETE FROM pubsub_last_item WHERE created_lserver = ?", params: [domain] },
    { sql: "DELETE FROM pubsub_subscriptions WHERE lserver = ?", params: [domain] },
    { sql: "DELETE FROM pubsub_affiliations WHERE lserver = ?", params: [domain] },
    ...owned
      .filter(({ nidx }) => !ids.has(Number(nidx)))
      .map((node) =>
        ownersSet(
          node,
          ownersOf(node).filter((owner) => !owner.endsWith(`@${domain}`)),
        ),
      ),
    ...removal(gone),
  ]);
}

const ownersOf = ({ owners }: NodeRow): string[] => JSON.parse(owners) as string[];

const ownersSet = ({ nidx }: NodeRow, owners: readonly string[]): Statement => ({
  sql: "UPDATE pubsub_nodes SET owners = ? WHERE nidx = ?",
  params: [JSON.stringify(owners), Number(nidx)],
});

export async function personalData(db: Db, jid: BareJid): Promise<PersonalData[]> {
  const who = [jid.local, jid.domain];
  const items = await db.query<{ name: string; itemid: string; payload: string }>(
    `SELECT n.name, i.itemid, i.payload FROM pubsub_items i INNER JOIN pubsub_nodes n ON n.nidx = i.nidx
     WHERE i.created_luser = ? AND i.created_lserver = ? ORDER BY n.name, i.itemid LIMIT ${MANY}`,
    who,
  );
  const nodes = await db.query<{ name: string; type: string }>(
    `SELECT n.name, n.type FROM pubsub_nodes n INNER JOIN pubsub_affiliations a ON a.nidx = n.nidx
     WHERE a.luser = ? AND a.lserver = ? AND a.aff = ? ORDER BY n.name LIMIT ${MANY}`,
    [...who, affiliationCode("owner")],
  );
  const subscriptions = await db.query<{ name: string }>(
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
