// From a filter and a page to the statements that read them.

import type { SqlValue } from "../../../core/storage/db.ts";
import type { Filter, Owner, Page } from "../backend.ts";
import type { JidCodec } from "../codecs/jid.ts";
import type { SearchForm } from "../search/form.ts";

/** The largest id that a signed 64-bit column holds. */
export const MAX_ID = 2n ** 63n - 1n;

/** The id above one; no message has the largest. */
const above = (id: bigint): bigint => (id < MAX_ID ? id + 1n : MAX_ID);

/** Ids of a filter, lowest and highest, inclusive. */
export interface Bounds {
  readonly low: bigint;
  readonly high: bigint;
}

export function boundsOf({ fromId, toId, afterId, beforeId }: Filter): Bounds {
  let low = fromId ?? 0n;
  let high = toId ?? MAX_ID;
  if (afterId !== undefined && above(afterId) > low) low = above(afterId);
  if (beforeId !== undefined && beforeId - 1n < high) high = beforeId - 1n;
  return { low: low < 0n ? 0n : low, high: high > MAX_ID ? MAX_ID : high };
}

/** The bounds of a filter, narrowed to what may be on a page. */
export function pageBounds({ low, high }: Bounds, { dir, id }: Page): Bounds {
  if (id === undefined) return { low, high };
  if (dir === "after") return { low: above(id) > low ? above(id) : low, high };
  return { low, high: id - 1n < high ? id - 1n : high };
}

/** In which order rows are read for a page. */
export const order = (dir: Page["dir"]): "ASC" | "DESC" => (dir === "before" ? "DESC" : "ASC");

/** A condition and its parameters. */
export interface Condition {
  readonly sql: string;
  readonly params: readonly SqlValue[];
  /** Rows are looked through for it that it does not leave. */
  readonly looksThrough: boolean;
}

/** Where what is on a page begins or ends, kept to the bounds of the filter; undefined without an id. */
export function edgeOf({ id, dir }: Page, { low, high }: Bounds): bigint | undefined {
  if (id === undefined) return undefined;
  const edge = dir === "after" ? above(id) : id;
  if (edge < low) return low;
  return edge > high ? above(high) : edge;
}

/** What a filter asks beside the bounds; undefined for nothing, so that ranks can be used. */
export function contentCondition(
  filter: Filter,
  owner: Owner,
  number: number,
  codec: JidCodec,
  search: SearchForm | undefined,
): Condition | undefined {
  const parts: string[] = [];
  const params: SqlValue[] = [];
  const { with: remote, ids, words, noGroupchat } = filter;
  if (remote !== undefined) {
    parts.push("remote_bare_jid = ?");
    params.push(codec.encode(owner, remote.bare));
    if (remote.resource !== "") {
      parts.push("remote_resource = ?");
      params.push(remote.resource);
    }
  }
  if (ids !== undefined) {
    // Rounded up by repeating one, so that there are few texts of statements.
    const places = 2 ** Math.ceil(Math.log2(Math.max(1, ids.length)));
    parts.push(`id IN (${Array(places).fill("?").join(", ")})`);
    for (let i = 0; i < places; i++) params.push(ids[Math.min(i, ids.length - 1)] ?? -1n);
  }
  if (words !== undefined && words.length > 0 && search !== undefined) {
    const found = search.where(number, words);
    parts.push(found.sql);
    params.push(...found.params);
  }
  if (noGroupchat) {
    parts.push("is_groupchat = ?");
    params.push(false);
  }
  return parts.length === 0 ? undefined : { sql: parts.join(" AND "), params, looksThrough: ids === undefined };
}
