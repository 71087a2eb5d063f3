// Nodes, affiliations and subscriptions in MongooseIM's tables pubsub_nodes, pubsub_affiliations, pubsub_subscriptions
// and pubsub_node_collections. Items are in items.ts.

import type { PersonalData } from "../../core/hooks.ts";
import { type BareJid, parseBareJid } from "../../core/jid.ts";
import type { Deleted } from "../../core/storage/batches.ts";
import { type Statement, StorageError } from "../../core/storage/db.ts";
import { DIALECTS, escapeLike, insert } from "../../core/storage/dialect.ts";
import type { Affiliation, NewNode, NodeConfig, PubsubNode, Subscription } from "../pubsub/model.ts";
import type { LastItem } from "../pubsub/personal.ts";
import type { NodeHead, PubsubStore } from "../pubsub/store.ts";
import { chunks, ItemRows, marks, resourceOf } from "./items.ts";
import { personalData, removeDomain, removeUser } from "./personal-data.ts";
import { nodeDefaults } from "./plugins.ts";
import {
  affiliationCode,
  affiliationOf,
  configOf,
  forgetParents,
  holdNode,
  keyOf,
  type NodeRow,
  nodeRemoval,
  optionsText,
  type SubscriptionRow,
  stateCode,
  subscriptionOf,
  subscriptionOptionsText,
} from "./rows.ts";

const NODE = "nidx, name, type, owners, options";
const SUBSCRIPTION = "luser, lserver, lresource, type, sub_id, options";
const SUBSCRIPTION_COLUMNS = ["nidx", "luser", "lserver", "lresource", "type", "sub_id", "options"] as const;

/** Rows that were added to a node that is not there any more. */
const STRAYS = ["pubsub_affiliations", "pubsub_subscriptions"].map(
  (table) => `DELETE FROM ${table} WHERE nidx = ?
    AND NOT EXISTS (SELECT 1 FROM pubsub_nodes n WHERE n.nidx = ${table}.nidx)`,
);

export class PubsubOldStore extends ItemRows implements PubsubStore {
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
      forgetParents(node.name, keyOf(node.service)),
      ...this.parentStatements({ ...node, config }),
    ]);
  }

  async remove(node: PubsubNode): Promise<void> {
    await this.db.transaction(nodeRemoval(node.ref, node.name, keyOf(node.service)));
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
    await this.adding(node, statements);
  }

  /** Adds rows to a node, unless it has been deleted meanwhile. @throws StorageError constraint */
  private async adding(node: PubsubNode, statements: readonly Statement[]): Promise<void> {
    const strays = STRAYS.map((sql) => ({ sql, params: [node.ref] }));
    const changed = await this.db.transaction([...holdNode(this.db.dialect, node.ref), ...statements, ...strays]);
    if (changed.slice(-strays.length).some((rows) => rows > 0)) {
      throw new StorageError("constraint", "There is no such node");
    }
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
    await this.adding(node, [
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

  /** The newest items of nodes of these names, of accounts of one domain. */
  async lastItems(domain: string, users: readonly string[], names: readonly string[]): Promise<LastItem[]> {
    const found: LastItem[] = [];
    for (const some of chunks(users)) {
      for (const wanted of chunks(names)) found.push(...(await this.lastOf(domain, some, wanted)));
    }
    return found;
  }

  private async lastOf(domain: string, users: readonly string[], names: readonly string[]): Promise<LastItem[]> {
    const keys = users.map((user) => `${user}@${domain}`);
    const rows = await this.db.query<NodeRow & { p_key: string }>(
      `SELECT ${NODE}, p_key FROM pubsub_nodes WHERE p_key IN (${marks(keys)}) AND name IN (${marks(names)})
       ORDER BY p_key, name`,
      [...keys, ...names],
    );
    const newest = await this.newestOf(rows.map(({ nidx }) => Number(nidx)));
    return rows.flatMap((row) => {
      const item = newest.get(Number(row.nidx));
      return item === undefined ? [] : [{ service: parseBareJid(row.p_key), ...headOf(row), item }];
    });
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

  /** As `removeUser`; resolves to whether anything was kept of the account. */
  forget(jid: BareJid): Promise<boolean> {
    return removeUser(this.db, jid);
  }
  async removeUser(jid: BareJid): Promise<void> {
    await removeUser(this.db, jid);
  }
  removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    return removeDomain(this.db, domain, this.settings.serviceOf(domain), deleted);
  }
  personalData(jid: BareJid): Promise<PersonalData[]> {
    return personalData(this.db, jid);
  }
}

const ownersText = (affiliations: ReadonlyMap<string, Affiliation>): string =>
  JSON.stringify([...affiliations].flatMap(([jid, affiliation]) => (affiliation === "owner" ? [jid] : [])));

const headOf = ({ name, type, options }: NodeRow): NodeHead => ({
  name,
  config: configOf(options, nodeDefaults(type)),
});

function deletion(node: PubsubNode, { jid, subid }: Subscription): Statement {
  return {
    sql: `DELETE FROM pubsub_subscriptions
          WHERE nidx = ? AND luser = ? AND lserver = ? AND lresource = ? AND sub_id = ?`,
    params: [node.ref, jid.local, jid.domain, resourceOf(jid), subid],
  };
}
