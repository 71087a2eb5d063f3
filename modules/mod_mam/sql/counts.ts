// Counts of messages that a statement makes beside what it reads: one question to the database for a page and its place.

import type { SqlValue } from "../../../core/storage/db.ts";
import type { Place } from "./ranks.ts";

/** The columns of a row that hold what was counted. */
export interface Counted {
  [count: `count_${number}`]: number | bigint;
}

export class Counts {
  columns = "";
  readonly params: SqlValue[] = [];
  private readonly names: string[] = [];
  private readonly found: number[] = [];

  constructor(
    private readonly number: number,
    private readonly place: ((id: bigint) => Place) | undefined,
  ) {}

  /** Asks how many messages are below an id; the answer is there when the statement has been run. */
  below(id: bigint): () => number {
    if (this.place === undefined) return () => 0;
    const { rank, from } = this.place(id);
    if (from === undefined) return () => rank;
    const at = this.names.length;
    const name = `count_${at}`;
    this.names.push(name);
    this.columns += `, (SELECT COUNT(*) FROM mam_message WHERE user_id = ? AND id >= ? AND id < ?) AS ${name}`;
    this.params.push(this.number, from, id);
    return () => rank + this.found[at];
  }

  /** The statement that does nothing but count. */
  get alone(): string {
    return `SELECT ${this.columns.slice(2)}`;
  }

  take(row: Counted): void {
    for (const name of this.names) this.found.push(Number(row[name as `count_${number}`]));
  }
}
