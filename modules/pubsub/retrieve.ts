// Reading items (XEP-0060 §6.5).

import { type Markup, xml } from "../../core/xml/markup.ts";
import { anyNode, requireReader } from "./access.ts";
import type { Asker, PubsubEngine } from "./engine.ts";
import { itemMarkup } from "./event.ts";
import { NS_PUBSUB } from "./form.ts";
import type { Item, PubsubNode } from "./model.ts";
import type { Request } from "./request.ts";
import { pageMarkup } from "./rsm.ts";

/** Items that are given at once to who asks for all; the newest, and a note that there are more (§6.5.4). */
const MAX_ALL = 1000;
/** Payload characters of one answer; what is more is asked for in pages. */
const MAX_TEXT = 4 << 20;

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
  if (ids.length > 0) return { found: fitting(await store.itemsById(node, ids)) };
  if (page !== undefined) {
    const part = await store.page(node, page);
    return { found: part.items, set: pageMarkup(part.count, part.index, part.items[0]?.id, part.items.at(-1)?.id) };
  }
  const all = await store.newest(node, Math.min(newest ?? MAX_ALL + 1, MAX_ALL + 1));
  const found = fitting(all.length > MAX_ALL ? all.slice(-MAX_ALL) : all);
  if (found.length === all.length) return { found };
  const { count } = await store.page(node, { max: 0 });
  return { found, set: pageMarkup(count, count - found.length, found[0]?.id, found.at(-1)?.id) };
}

/** The newest items that fit into one answer; one does in any case. */
function fitting(found: readonly Item[]): readonly Item[] {
  let size = 0;
  for (let k = found.length - 1; k >= 0; k--) {
    size += found[k].payload.length;
    if (size > MAX_TEXT && k < found.length - 1) return found.slice(k + 1);
  }
  return found;
}
