// Rosters in SQL: MongooseIM's tables rosterusers, rostergroups and roster_version, with its letters.

import type { PersonalData } from "../../core/hooks.ts";
import { type BareJid, makeBare } from "../../core/jid.ts";
import { type Deleted, deleteInBatches, PAGE, pages } from "../../core/storage/batches.ts";
import type { Db, Statement } from "../../core/storage/db.ts";
import { asWritten, DIALECTS, escapeLike, exactly, exactValues, insert } from "../../core/storage/dialect.ts";
import { type Ask, askOf, type RosterItem, type Subscription, stateOf, subscriptionOf } from "./item.ts";
import type { State } from "./subscription.ts";

const SUBSCRIPTION_LETTERS: Readonly<Record<Subscription, string>> = { both: "B", to: "T", from: "F", none: "N" };
const SUBSCRIPTIONS: Readonly<Record<string, Subscription>> = { B: "both", T: "to", F: "from", N: "none" };
const ASK_LETTERS: Readonly<Record<Ask, string>> = { both: "B", out: "O", in: "I", none: "N" };
/** S, an older word for a request that went out, is read and never written; U says nothing about a subscription. */
const ASKS: Readonly<Record<string, Ask>> = { B: "both", O: "out", I: "in", S: "out", U: "none", N: "none" };

interface Row {
  jid: string;
  nick: string;
  subscription: string;
  ask: string;
  askmessage: string;
  grp: string | null;
}

type OutsideRow = Pick<Row, "jid" | "subscription" | "ask"> & { username: string };

const SELECT = `SELECT r.jid, r.nick, r.subscription, r.ask, r.askmessage, g.grp FROM rosterusers r
  LEFT JOIN rostergroups g ON g.server = r.server AND g.username = r.username AND g.jid = r.jid
  WHERE r.server = ? AND r.username = ?`;
const ROSTER = `${SELECT} ORDER BY r.jid, g.grp`;
const ONE = `${SELECT} AND r.jid = ? ORDER BY g.grp`;
const OF_USER = "WHERE server = ? AND username = ?";
const REQUESTS = `SELECT jid, askmessage FROM rosterusers ${OF_USER} AND ask IN ('I', 'B') ORDER BY jid`;
const TABLES = ["rosterusers", "rostergroups", "roster_version"] as const;
const KEYS = ["server", "username", "jid"] as const;
const VALUES = ["nick", "subscription", "ask", "askmessage"] as const;
/**
 * In a table that MongooseIM made in MySQL the row of josé@x is in the way of jose@x: it is not written over, for NULL is
 * refused.
 */
const MYSQL_UPSERT = `${insert("rosterusers", [...KEYS, ...VALUES])} ON DUPLICATE KEY UPDATE ${VALUES.map((v) =>
  v === "nick" ? `nick = IF(${asWritten("jid")} = VALUES(jid), VALUES(nick), NULL)` : `${v} = VALUES(${v})`,
).join(", ")}`;
const NO_GROUPS: readonly string[] = Object.freeze([]);

const OUTSIDE = `SELECT username, jid, subscription, ask FROM rosterusers
  WHERE server = ? AND jid NOT LIKE ? ESCAPE '$' AND (subscription <> 'N' OR ask <> 'N')`;

/** What there is between an account of a domain and somebody of another one. */
export interface Outside extends Pick<RosterItem, "jid" | "state"> {
  readonly user: BareJid;
}

/** What a write does besides the item itself. */
export interface WriteOptions {
  /** The groups have changed too. */
  groups: boolean;
  /** The roster's new version, when versions are stored. */
  version: string | undefined;
}

export class RosterStore {
  readonly #upsertItem: string;
  readonly #upsertVersion: string;

  constructor(private readonly db: Db) {
    const dialect = DIALECTS[db.dialect];
    this.#upsertItem = dialect.name === "mysql" ? MYSQL_UPSERT : dialect.upsert("rosterusers", KEYS, VALUES);
    this.#upsertVersion = dialect.upsert("roster_version", ["server", "username"], ["version"]);
  }

  /** The whole roster with its groups, in one query, in the order of the contacts' JIDs. */
  async roster(user: BareJid): Promise<RosterItem[]> {
    return itemsOf(await this.db.query<Row>(ROSTER, [user.domain, user.local]));
  }

  async item(user: BareJid, jid: string): Promise<RosterItem | undefined> {
    // The database may take josé@x for jose@x.
    return itemsOf(await this.db.query<Row>(ONE, [user.domain, user.local, jid])).find((item) => item.jid === jid);
  }

  /** The contacts who wait for an answer, each with the text of the request. */
  requests(user: BareJid): Promise<{ jid: string; askmessage: string }[]> {
    return this.db.query(REQUESTS, [user.domain, user.local]);
  }

  /** The subscriptions and requests between accounts of a domain and contacts of others, page after page. */
  outside(domain: string): AsyncGenerator<Outside[]> {
    const read = (last?: OutsideRow): Promise<OutsideRow[]> =>
      this.db.query(
        `${OUTSIDE}${last === undefined ? "" : " AND (username, jid) > (?, ?)"} ORDER BY username, jid LIMIT ${PAGE}`,
        [domain, `%@${escapeLike(domain)}`, ...(last === undefined ? [] : [last.username, last.jid])],
      );
    return pages(read, (row) => ({ user: makeBare(row.username, domain), jid: row.jid, state: stateOfRow(row) }));
  }

  /** How many contacts have only asked, and how many others there are. */
  async count(user: BareJid): Promise<{ items: number; requests: number }> {
    const asked = "CASE WHEN subscription = 'N' AND ask = 'I' THEN 1 ELSE 0 END";
    const [{ n, requests }] = await this.db.query<{ n: number | string; requests: number | string | null }>(
      `SELECT count(*) AS n, sum(${asked}) AS requests FROM rosterusers ${OF_USER}`,
      [user.domain, user.local],
    );
    return { items: Number(n) - Number(requests ?? 0), requests: Number(requests ?? 0) };
  }

  async write(user: BareJid, item: RosterItem, { groups, version }: WriteOptions): Promise<void> {
    const key = [user.domain, user.local, item.jid];
    const subscription = SUBSCRIPTION_LETTERS[subscriptionOf(item.state)];
    const params = [...key, item.name, subscription, ASK_LETTERS[askOf(item.state)], item.askMessage];
    const statements: Statement[] = [{ sql: this.#upsertItem, params }];
    if (groups) {
      statements.push(this.#deletion("rostergroups", user, item.jid));
      if (item.groups.length > 0) {
        const rows = item.groups.flatMap((group) => [...key, group]);
        statements.push({ sql: insert("rostergroups", [...KEYS, "grp"], item.groups.length), params: rows });
      }
    }
    await this.#run(user, statements, version);
  }

  async delete(user: BareJid, jid: string, version: string | undefined): Promise<void> {
    await this.#run(
      user,
      [this.#deletion("rosterusers", user, jid), this.#deletion("rostergroups", user, jid)],
      version,
    );
  }

  #deletion(table: "rosterusers" | "rostergroups", user: BareJid, jid: string): Statement {
    const { dialect } = this.db;
    const sql = `DELETE FROM ${table} ${OF_USER} AND jid = ?${exactly(dialect, "jid")}`;
    return { sql, params: [user.domain, user.local, ...exactValues(dialect, jid)] };
  }

  async #run(user: BareJid, statements: Statement[], version: string | undefined): Promise<void> {
    if (version !== undefined) {
      statements.push({ sql: this.#upsertVersion, params: [user.domain, user.local, version] });
    }
    if (statements.length === 1) await this.db.execute(statements[0].sql, statements[0].params);
    else await this.db.transaction(statements);
  }

  /** The stored version, undefined when there has been none. */
  async version(user: BareJid): Promise<string | undefined> {
    const sql = `SELECT version FROM roster_version ${OF_USER}`;
    return (await this.db.query<{ version: string }>(sql, [user.domain, user.local]))[0]?.version;
  }

  async setVersion(user: BareJid, version: string): Promise<void> {
    await this.#run(user, [], version);
  }

  async removeUser(user: BareJid): Promise<void> {
    const params = [user.domain, user.local];
    await this.db.transaction(TABLES.map((table) => ({ sql: `DELETE FROM ${table} ${OF_USER}`, params })));
  }

  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    for (const table of TABLES) {
      const rows = { table, key: ["server", "username"], where: "server = ?", params: [domain] };
      await deleteInBatches(this.db, rows, deleted);
    }
  }

  async personalData(user: BareJid): Promise<PersonalData[]> {
    const items = await this.roster(user);
    const rows = items.map((i) => [
      i.jid,
      i.name,
      subscriptionOf(i.state),
      askOf(i.state),
      i.groups.join(", "),
      i.askMessage,
      "",
    ]);
    return [{ name: "roster", columns: ["jid", "name", "subscription", "ask", "groups", "askmessage", "xs"], rows }];
  }
}

const stateOfRow = ({ subscription, ask }: Pick<Row, "subscription" | "ask">): State =>
  stateOf(SUBSCRIPTIONS[subscription] ?? "none", ASKS[ask] ?? "none");

/** Rows of one contact follow each other, one for each group, or one without. */
function itemsOf(rows: readonly Row[]): RosterItem[] {
  const items: (RosterItem & { groups: readonly string[] })[] = [];
  let groups: string[] = [];
  for (const row of rows) {
    if (items.at(-1)?.jid !== row.jid) {
      groups = [];
      const state = stateOfRow(row);
      const { jid, nick: name, askmessage: askMessage } = row;
      items.push({ jid, name, state, askMessage, groups: row.grp === null ? NO_GROUPS : groups });
    }
    if (row.grp !== null) groups.push(row.grp);
  }
  return items;
}
