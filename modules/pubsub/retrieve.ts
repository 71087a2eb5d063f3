// Reading items (XEP-0060 §6.5).

import { type Markup, xml } from "../../core/xml/markup.ts";
import { pageMarkup } from "../../core/xml/rsm.ts";
import { anyNode, requireReader } from "./access.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { itemMarkup } from "./event.ts";
import { NS_PUBSUB } from "./form.ts";
import type { Item, PubsubNode } from "./model.ts";
import type { Request } from "./request.ts";

/** Items that are given at once to who asks for all; the newest, and a note that there are more (§6.5.4). */
const MAX_ALL = 1000;
/** Payload characters after which no more items are read for an answer; what is more is asked for in pages. */
const MAX_TEXT = 2 << 20;
/** Items that are read at a time. */
const CHUNK = 100;

type ItemsRequest = Request & { kind: "items" };

export async function items(engine: PubsubEngine, asker: Asker, request: ItemsRequest): Promise<Markup> {
  const node = await anyNode(engine, asker, request.node);
  await requireReader(engine, node, asker.from.bare);
  const { found, set } = await select(engine, node, request);
  const order = engine.profile.newestFirst && set === undefined ? [...found].reverse() : found;
  const inside = order.map((item) => itemMarkup(engine, node, item));
  return xml`<pubsub xmlns='${NS_PUBSUB}'><items node='${node.name}'>${inside}</items>${set}</pubsub>`;
}

interface Selection {
  readonly found: readonly Item[];
  readonly set?: Markup;
}

async function select(engine: PubsubEngine, node: PubsubNode, { ids, newest, page }: ItemsRequest): Promise<Selection> {
  const { store } = engine;
  const keep = engine.keep(node);
  if (keep.since > 0) await store.trim(node, keep);
  if (ids.length > 0) return { found: await byId(engine, node, ids) };
  if (page !== undefined) {
    const part = await store.page(node, page);
    return { found: part.items, set: pageMarkup(part, idOf) };
  }
  const { found, more } = await newestOf(engine, node, Math.min(newest ?? MAX_ALL, MAX_ALL));
  // Who asked for so many knows that there may be more.
  if (!more && (newest !== undefined || found.length < MAX_ALL)) return { found };
  const { count } = await store.page(node, { max: 0 });
  if (count === found.length) return { found };
  return { found, set: pageMarkup({ items: found, index: count - found.length, count }, idOf) };
}

/** Those that are there of the ids, as far as they fit into an answer. */
async function byId({ store }: PubsubEngine, node: PubsubNode, ids: readonly string[]): Promise<readonly Item[]> {
  const found: Item[] = [];
  for (let k = 0; k < ids.length && textOf(found) <= MAX_TEXT; k += CHUNK) {
    found.push(...(await store.itemsById(node, ids.slice(k, k + CHUNK))));
  }
  return found;
}

/** The newest items, read a few at a time; `more`: there are others that do not fit into an answer. */
async function newestOf({ store }: PubsubEngine, node: PubsubNode, limit: number) {
  let found = await store.newest(node, Math.min(limit, CHUNK));
  let last = found.length;
  while (last === CHUNK && found.length < limit) {
    if (textOf(found) > MAX_TEXT) return { found, more: true };
    const max = Math.min(CHUNK, limit - found.length);
    const { items: older } = await store.page(node, { max, before: found[0].id });
    last = older.length;
    found = [...older, ...found];
  }
  return { found, more: false };
}

const idOf = ({ id }: Item): string => id;

const textOf = (found: readonly Item[]): number => found.reduce((size, item) => size + item.payload.length, 0);
