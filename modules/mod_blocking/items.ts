// A block list as items of a privacy list (XEP-0191 §5): those for a JID that turn everything away.

import { EVERY_KIND, type Item } from "../mod_privacy/index.ts";

const MAX_ORDER = 2_147_483_647;

const isBlocked = ({ type, action, kinds }: Item): boolean =>
  type === "jid" && action !== "allow" && kinds === EVERY_KIND;

/** The blocked JIDs in a list. */
export const blockedIn = (items: readonly Item[]): string[] => items.filter(isBlocked).map(({ value }) => value);

const blocking = (value: string, order: number): Item => ({
  type: "jid",
  value,
  action: "block",
  order,
  kinds: EVERY_KIND,
});

/**
 * Adds JIDs to a list, behind those that are blocked and before all else, which could let them through. Orders that need
 * not change stay. The same array when all of them are blocked already.
 * @param items by their order
 */
export function block(items: readonly Item[], jids: readonly string[]): readonly Item[] {
  const end = items.findIndex((item) => !isBlocked(item));
  const first = end < 0 ? items : items.slice(0, end);
  const there = new Set(first.map(({ value }) => value));
  const more = [...new Set(jids)].filter((jid) => !there.has(jid));
  if (more.length === 0) return items;
  const added = new Set(more);
  const rest = items.slice(first.length).filter((item) => !(isBlocked(item) && added.has(item.value)));
  const low = first.length === 0 ? 0 : first[first.length - 1].order + 1;
  const high = rest.length === 0 ? MAX_ORDER + 1 : rest[0].order;
  if (high - low >= more.length) return [...first, ...more.map((jid, i) => blocking(jid, low + i)), ...rest];
  const all = [...first, ...more.map((jid) => blocking(jid, 0)), ...rest];
  return all.map((item, i) => ({ ...item, order: i + 1 }));
}

/** Takes JIDs off a list, all that are blocked when none are given. The same array when none of them is there. */
export function unblock(items: readonly Item[], jids: readonly string[]): readonly Item[] {
  const gone = new Set(jids);
  const left = items.filter((item) => !(isBlocked(item) && (gone.size === 0 || gone.has(item.value))));
  return left.length === items.length ? items : left;
}
