// Counts of messages that a statement makes beside what it reads: one question to the database for a page and its place.

import type { SqlValue } from "../../../core/storage/db.ts";
import type { Place } from "./ranks.ts";

/** The columns of a row that hold what was counted. */
export interface Counted {
  [count: `count_${number}`]: number | bigint | null;
}

export class Counts {
  /** Ids whose messages are counted, the second exclusive. */
  readonly ranges: { readonly from: bigint; readonly to: bigint }[] = [];
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
    const at = this.ranges.push({ from, to: id }) - 1;
    return () => rank + this.found[at];
  }

  /** Columns of a statement; empty when nothing is counted. */
  get columns(): string {
    return this.ranges
      .map((_, i) => `, (SELECT COUNT(*) FROM mam_message WHERE user_id = ? AND id >= ? AND id < ?) AS count_${i}`)
      .join("");
  }

  /** What the columns want. */
  get params(): SqlValue[] {
    return this.ranges.flatMap(({ from, to }) => [this.number, from, to]);
  }

  /** The statement that does nothing but count. */
  get alone(): string {
    return `SELECT ${this.columns.slice(2)}`;
  }

  /** An empty range may be told as null. */
  take(row: Counted): void {
    for (let i = 0; i < this.ranges.length; i++) this.found.push(Number(row[`count_${i}`] ?? 0));
  }
}
