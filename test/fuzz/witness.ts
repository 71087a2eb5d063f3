// What a database holds, to see whether a request has changed something that it should not have.

import type { Node } from "../../core/node.ts";
import type { Db, SqlValue } from "../../core/storage/db.ts";
import { tableNames } from "../support/table-names.ts";

/** Tables that change by themselves, or with what is only asked for. */
const LIVELY: ReadonlySet<string> = new Set([
  "auth_token",
  "last",
  "mongooseim_held_stanzas",
  "mongooseim_message_ids",
  "sqlite_sequence",
]);
const WRITES = ["execute", "transaction", "upsert", "insertNew", "insertMany"] as const;

/** All rows, by table, each as text. */
export type Snapshot = ReadonlyMap<string, readonly string[]>;

export class Witness {
  /** Writing statements so far. */
  writes = 0;
  private readonly dbs: Db[];
  private tables: { db: Db; name: string }[] | undefined;

  constructor(node: Node) {
    this.dbs = [...new Set([node.db("rdbms"), node.db("mnesia")])];
    for (const db of this.dbs) for (const name of WRITES) this.count(db, name);
  }

  private count(db: Db, name: (typeof WRITES)[number]): void {
    const own = (db[name] as (...args: unknown[]) => Promise<unknown>).bind(db);
    Object.assign(db, {
      [name]: (...args: unknown[]) => {
        this.writes++;
        return own(...args);
      },
    });
  }

  private async list(): Promise<{ db: Db; name: string }[]> {
    const found: { db: Db; name: string }[] = [];
    for (const db of this.dbs) {
      for (const name of await tableNames(db)) {
        if (!LIVELY.has(name)) found.push({ db, name });
      }
    }
    return found;
  }

  async look(): Promise<Snapshot> {
    this.tables ??= await this.list();
    const rows = await Promise.all(
      this.tables.map(({ db, name }) => db.query<Record<string, SqlValue>>(`SELECT * FROM ${name}`)),
    );
    // Bookmarks are copied from one of their places to the others in the background.
    const steady = (i: number): string[] => rows[i].map(textOf).filter((row) => !row.includes("bookmarks"));
    return new Map(this.tables.map(({ name }, i) => [name, steady(i).sort()]));
  }
}

const textOf = (row: Record<string, SqlValue>): string =>
  JSON.stringify(row, (_, value: unknown) =>
    typeof value === "bigint"
      ? String(value)
      : value instanceof Uint8Array
        ? Buffer.from(value).toString("latin1")
        : value,
  );

/** The first difference of two looks, undefined when there is none. */
export function difference(before: Snapshot, after: Snapshot): string | undefined {
  for (const [table, rows] of after) {
    const old = before.get(table) ?? [];
    if (old.length === rows.length && old.every((row, i) => row === rows[i])) continue;
    const had = new Set(old);
    const has = new Set(rows);
    return `${table}: gone ${old.filter((r) => !has.has(r)).slice(0, 2)}, new ${rows.filter((r) => !had.has(r)).slice(0, 2)}`;
  }
  return undefined;
}

/** A row that speaks of a text, undefined when none does. */
export function rowWith(look: Snapshot, text: string): string | undefined {
  for (const [table, rows] of look) {
    const row = rows.find((r) => r.includes(text));
    if (row !== undefined) return `${table}: ${row}`;
  }
  return undefined;
}
