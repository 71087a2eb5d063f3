// Privacy lists in SQL: MongooseIM's tables privacy_list, privacy_list_data and privacy_default_list, with its letters.

import type { PersonalData } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { type Deleted, deleteInBatches } from "../../core/storage/batches.ts";
import { asBoolean, type Db, type SqlValue, type Statement } from "../../core/storage/db.ts";
import { DIALECTS, insert } from "../../core/storage/dialect.ts";
import {
  type Action,
  EVERY_KIND,
  IQ_IN,
  type Item,
  MESSAGE_IN,
  PRESENCE_IN,
  PRESENCE_OUT,
  PrivacyList,
} from "./list.ts";

const TYPE_LETTERS: Readonly<Record<Item["type"], string>> = { none: "n", jid: "j", group: "g", subscription: "s" };
const TYPES: Readonly<Record<string, Item["type"]>> = { n: "none", j: "jid", g: "group", s: "subscription" };
const ACTION_LETTERS: Readonly<Record<Action, string>> = { allow: "a", deny: "d", block: "b" };
const ACTIONS: Readonly<Record<string, Action>> = { a: "allow", d: "deny", b: "block" };

const MATCHES = ["match_all", "match_iq", "match_message", "match_presence_in", "match_presence_out"] as const;
const COLUMNS = ["id", "t", "value", "action", "ord", ...MATCHES] as const;
const FIELDS = COLUMNS.slice(1)
  .map((column) => `i.${column}`)
  .join(", ");

interface ItemRow extends Record<(typeof MATCHES)[number], SqlValue> {
  t: string;
  value: string;
  action: string;
  ord: number;
}

const OF_USER = "WHERE server = ? AND username = ?";
const ID = `SELECT id FROM privacy_list ${OF_USER} AND name = ?`;
const LIST = `SELECT ${FIELDS} FROM privacy_list l JOIN privacy_list_data i ON i.id = l.id
  WHERE l.server = ? AND l.username = ? AND l.name = ?`;
const DEFAULT = `SELECT d.name, ${FIELDS} FROM privacy_default_list d
  JOIN privacy_list l ON l.server = d.server AND l.username = d.username AND l.name = d.name
  JOIN privacy_list_data i ON i.id = l.id
  WHERE d.server = ? AND d.username = ?`;
const NAMES = `SELECT l.name FROM privacy_list l WHERE l.server = ? AND l.username = ?
  AND EXISTS (SELECT 1 FROM privacy_list_data i WHERE i.id = l.id) ORDER BY l.name`;
/** Rows in one statement. */
const BATCH = 500;

/** A list without items does not exist (§2.1): a row of one may be left by a crash between two commits. */
export class PrivacyStore {
  readonly #upsertDefault: string;

  constructor(private readonly db: Db) {
    this.#upsertDefault = DIALECTS[db.dialect].upsert("privacy_default_list", ["server", "username"], ["name"]);
  }

  /** The user's default list; undefined without one. One query. */
  async defaultList(user: BareJid): Promise<PrivacyList | undefined> {
    const rows = await this.db.query<ItemRow & { name: string }>(DEFAULT, [user.domain, user.local]);
    return rows.length === 0 ? undefined : new PrivacyList(rows[0].name, rows.map(itemOf));
  }

  async list(user: BareJid, name: string): Promise<PrivacyList | undefined> {
    const rows = await this.db.query<ItemRow>(LIST, [user.domain, user.local, name]);
    return rows.length === 0 ? undefined : new PrivacyList(name, rows.map(itemOf));
  }

  /** The names of the user's lists, sorted. */
  async names(user: BareJid): Promise<string[]> {
    const rows = await this.db.query<{ name: string }>(NAMES, [user.domain, user.local]);
    return rows.map((row) => row.name);
  }

  /**
   * Writes a list in place of the one of its name, `before`: what the two have in common is not written again.
   * `asDefault` makes it the default list too.
   */
  async replace(user: BareJid, before: PrivacyList | undefined, after: PrivacyList, asDefault: boolean): Promise<void> {
    const key = [user.domain, user.local, after.name];
    const made = { server: user.domain, username: user.local, name: after.name };
    if (before === undefined) await this.db.insertNew("privacy_list", made);
    const [row] = await this.db.query<{ id: number | bigint | string }>(ID, key);
    const id = typeof row.id === "string" ? BigInt(row.id) : row.id;
    const statements = changes(id, before?.items ?? [], after.items);
    if (asDefault) statements.push({ sql: this.#upsertDefault, params: key });
    if (statements.length > 0) await this.db.transaction(statements);
  }

  /** Removes a list; it is no default list any more either. */
  async remove(user: BareJid, name: string): Promise<void> {
    const params = [user.domain, user.local, name];
    await this.db.transaction([
      { sql: this.#itemsOf("AND l.name = ?"), params },
      { sql: `DELETE FROM privacy_list ${OF_USER} AND name = ?`, params },
      { sql: `DELETE FROM privacy_default_list ${OF_USER} AND name = ?`, params },
    ]);
  }

  /** Deletes the items of a user's lists. MySQL and MariaDB would look at everybody's for a subquery. */
  #itemsOf(which: string): string {
    const lists = `l.server = ? AND l.username = ? ${which}`;
    return this.db.dialect === "mysql"
      ? `DELETE i FROM privacy_list_data i JOIN privacy_list l ON l.id = i.id WHERE ${lists}`
      : `DELETE FROM privacy_list_data WHERE id IN (SELECT l.id FROM privacy_list l WHERE ${lists})`;
  }

  /** Makes a list the default one. */
  async setDefault(user: BareJid, name: string): Promise<void> {
    await this.db.execute(this.#upsertDefault, [user.domain, user.local, name]);
  }

  /** The user has no default list any more. */
  async forgetDefault(user: BareJid): Promise<void> {
    await this.db.execute(`DELETE FROM privacy_default_list ${OF_USER}`, [user.domain, user.local]);
  }

  async removeUser(user: BareJid): Promise<void> {
    const params = [user.domain, user.local];
    await this.db.transaction([
      { sql: this.#itemsOf(""), params },
      { sql: `DELETE FROM privacy_list ${OF_USER}`, params },
      { sql: `DELETE FROM privacy_default_list ${OF_USER}`, params },
    ]);
  }

  /** The items go first: without their lists nobody would find them again. */
  async removeDomain(domain: string, deleted?: Deleted): Promise<void> {
    const items = "id IN (SELECT id FROM privacy_list WHERE server = ?)";
    const user = ["server", "username"];
    for (const [table, key, where] of [
      ["privacy_list_data", ["id", "ord"], items],
      ["privacy_list", user, "server = ?"],
      ["privacy_default_list", user, "server = ?"],
    ] as const) {
      await deleteInBatches(this.db, { table, key, where, params: [domain] }, deleted);
    }
  }

  async personalData(user: BareJid): Promise<PersonalData[]> {
    const rows: string[][] = [];
    const usual = await this.defaultList(user);
    for (const name of await this.names(user)) {
      for (const { order, type, value, action, kinds } of (await this.list(user, name))?.items ?? []) {
        rows.push([name, String(name === usual?.name), String(order), type, value, action, stanzas(kinds)]);
      }
    }
    const columns = ["list", "default", "order", "type", "value", "action", "stanzas"];
    return [{ name: "privacy", columns, rows }];
  }
}

function itemOf(row: ItemRow): Item {
  const bit = (value: SqlValue, kind: number): number => (asBoolean(value) ? kind : 0);
  const kinds = asBoolean(row.match_all)
    ? EVERY_KIND
    : bit(row.match_iq, IQ_IN) |
      bit(row.match_message, MESSAGE_IN) |
      bit(row.match_presence_in, PRESENCE_IN) |
      bit(row.match_presence_out, PRESENCE_OUT);
  const type = TYPES[row.t] ?? "none";
  return {
    type,
    value: type === "none" ? "" : row.value,
    action: ACTIONS[row.action] ?? "deny",
    order: row.ord,
    kinds,
  };
}

const rowOf = (id: number | bigint, { type, value, action, order, kinds }: Item): SqlValue[] => {
  const all = kinds === EVERY_KIND;
  const has = (kind: number): boolean => !all && (kinds & kind) !== 0;
  return [
    id,
    TYPE_LETTERS[type],
    value,
    ACTION_LETTERS[action],
    order,
    all,
    has(IQ_IN),
    has(MESSAGE_IN),
    has(PRESENCE_IN),
    has(PRESENCE_OUT),
  ];
};

/** The statements that make the rows of one list those of another; an item is known by its order. */
function changes(id: number | bigint, before: readonly Item[], after: readonly Item[]): Statement[] {
  const wanted = new Map(after.map((item) => [item.order, item]));
  const gone: number[] = [];
  for (const item of before) {
    const now = wanted.get(item.order);
    if (now !== undefined && sameItem(now, item)) wanted.delete(item.order);
    else gone.push(item.order);
  }
  const statements: Statement[] = [];
  for (let at = 0; at < gone.length; at += BATCH) {
    const part = gone.slice(at, at + BATCH);
    const marks = part.map(() => "?").join(", ");
    statements.push({ sql: `DELETE FROM privacy_list_data WHERE id = ? AND ord IN (${marks})`, params: [id, ...part] });
  }
  const rows = [...wanted.values()];
  for (let at = 0; at < rows.length; at += BATCH) {
    const part = rows.slice(at, at + BATCH);
    const params = part.flatMap((item) => rowOf(id, item));
    statements.push({ sql: insert("privacy_list_data", COLUMNS, part.length), params });
  }
  return statements;
}

const sameItem = (a: Item, b: Item): boolean =>
  a.type === b.type && a.value === b.value && a.action === b.action && a.kinds === b.kinds;

function stanzas(kinds: number): string {
  if (kinds === EVERY_KIND) return "all";
  const names: [number, string][] = [
    [MESSAGE_IN, "message"],
    [IQ_IN, "iq"],
    [PRESENCE_IN, "presence-in"],
    [PRESENCE_OUT, "presence-out"],
  ];
  return names
    .filter(([kind]) => (kinds & kind) !== 0)
    .map(([, name]) => name)
    .join(", ");
}
