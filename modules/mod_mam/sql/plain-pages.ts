// Pages of a range of ids, with no filter of contents: what clients ask for most. One statement reads the messages of a
// page and counts those before it and all of the range, as far as ranks.ts does not know. What is known may be wrong:
// another server on the same database may have deleted messages since. The messages that were read are then believed.

import type { Db } from "../../../core/storage/db.ts";
import type { Page } from "../backend.ts";
import { Counts } from "./counts.ts";
import { type Bounds, edgeOf, MAX_ID, pageBounds } from "./lookup.ts";
import { type PageReader, pageReader, type Row } from "./pages.ts";
import type { Marks, Ranks } from "./ranks.ts";
import { type Read, trim } from "./read.ts";

export class PlainPages {
  private readonly reader: PageReader;

  constructor(
    private readonly db: Db,
    private readonly ranks: Ranks,
  ) {
    this.reader = pageReader(db);
  }

  async read(number: number, bounds: Bounds, page: Page): Promise<Read> {
    const { ranks } = this;
    const known = page.count ? ranks.of(number) : undefined;
    const marks = known instanceof Promise ? await known : known;
    const counts = new Counts(number, marks === undefined ? undefined : (id) => ranks.place(marks, id));
    const start = counts.below(bounds.low);
    const end = counts.below(bounds.high === MAX_ID ? MAX_ID : bounds.high + 1n);
    const place = edgeOf(page, bounds);
    const at = place === undefined ? undefined : counts.below(place);

    let edge = this.shown(marks, bounds, page);
    // The message that the page's id names is read with the page, to see whether it is there.
    const named = edge === false;
    const rows = await this.rows(number, bounds, page, named, counts);
    if (named) {
      edge = rows.length > 0 && BigInt(rows[0].id) === page.id;
      if (edge) rows.shift();
    }
    const more = trim(rows, page.max);
    if (marks === undefined) return { rows, more, total: undefined, before: undefined, edge };

    const first = start();
    const total = end() - first;
    const before = at === undefined ? undefined : at() - first;
    return this.checked(number, marks, bounds, page, first, { rows, more, total, before, edge });
  }

  /**
   * Whether the message that the page's id names is known to be there, since it was at the end of a page before. False when
   * that has to be looked at, undefined when it does not matter.
   */
  private shown(marks: Marks | undefined, { low, high }: Bounds, { id, max }: Page): boolean | undefined {
    if (id === undefined || id < low || id > high || max === 0) return undefined;
    return marks !== undefined && this.ranks.rankOf(marks, id) !== undefined;
  }

  /**
   * The statement: the messages of a page, from the one that its id names on when that is asked for, and what is counted.
   * Where nothing is counted, one message more shows whether there are more.
   */
  private rows(number: number, bounds: Bounds, page: Page, named: boolean, counts: Counts): Promise<Row[]> {
    const { id, dir, max, index, count } = page;
    const { low, high } = pageBounds(bounds, page);
    const range = {
      number,
      low: named && id !== undefined && dir === "after" ? id : low,
      high: named && id !== undefined && dir === "before" ? id : high,
      dir,
      limit: max === 0 ? 0 : max + (named ? 1 : 0) + (count ? 0 : 1),
      skip: index,
    };
    return this.reader.read(range, counts);
  }

  /**
   * What was read, with figures that agree with its messages: counts of what another server has deleted may be too high
   * or too low. Such counts are given as long as they may be of some archive that has this page, and forgotten.
   * @param read with the figures as they were counted
   * @param first messages of the archive below the range
   */
  private async checked(
    number: number,
    marks: Marks,
    bounds: Bounds,
    page: Page,
    first: number,
    read: Read & { readonly total: number },
  ): Promise<Read> {
    const { rows, edge } = read;
    const { dir, max, index } = page;
    const n = rows.length;
    const beyond = counted(page, read.total, read.before);
    let { more } = read;
    // Counts may say that this is the end; a client that believes it misses messages.
    if (!more && n === max && n > 0) more = beyond > max || (await this.goesOn(number, bounds, dir, rows[n - 1].id));
    if (max > 0 && (more ? beyond <= n : beyond !== n)) this.ranks.forget(number);
    const total = Math.max(n === 0 ? 0 : n + (index ?? 0), read.total);
    const [least, most] = dir === "after" ? [0, total - n] : [n, total];
    const before = read.before === undefined ? undefined : Math.min(most, Math.max(least, read.before));
    const checked = { rows, more, total, before, edge };
    this.note(number, marks, page, first, checked);
    return checked;
  }

  /** Whether there are messages beyond one, in a direction. */
  private async goesOn(number: number, bounds: Bounds, dir: Page["dir"], last: Row["id"]): Promise<boolean> {
    const { low, high } = pageBounds(bounds, { dir, id: BigInt(last), max: 1, count: false });
    const sql = "SELECT id FROM mam_message WHERE user_id = ? AND id >= ? AND id <= ? LIMIT 1";
    return (await this.db.query(sql, [number, low, high])).length > 0;
  }

  /** The next page begins where this one ends: what is below that place need not be counted again. */
  private note(number: number, marks: Marks, page: Page, first: number, { rows, total, before }: Read): void {
    const n = rows.length;
    if (n === 0 || total === undefined || page.index !== undefined) return;
    const { ranks } = this;
    if (!ranks.holds(number, marks)) return;
    const oldest = BigInt(rows[page.dir === "before" ? n - 1 : 0].id);
    const newest = BigInt(rows[page.dir === "before" ? 0 : n - 1].id);
    const offset = first + (page.dir === "after" ? (before ?? 0) : (before ?? total) - n);
    ranks.note(marks, oldest, offset);
    ranks.note(marks, newest, offset + n - 1);
  }
}

/** By the counts: messages from the edge of a page on in its direction, those on it included. */
function counted({ dir, index }: Page, total: number, before: number | undefined): number {
  return Math.max(0, dir === "before" ? (before ?? total) : total - (before ?? 0) - (index ?? 0));
}
