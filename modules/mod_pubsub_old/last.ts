// The last item of each node, kept ready (last_item_cache): also of nodes that keep no items.

import { BoundedMap } from "../../core/bounded-map.ts";
import type { Item, PubsubNode } from "../pubsub/model.ts";
import type { PubsubOldStore } from "./store.ts";

/** A node, by its number. */
export type NodeRef = Pick<PubsubNode, "ref">;

export interface LastItems {
  get(node: NodeRef): Promise<Item | undefined>;
  set(node: NodeRef, item: Item): Promise<void>;
  /** Forgets a node's item; with an id, only when it is that one. */
  drop(node: NodeRef, id?: string): Promise<void>;
}

/** Characters of payload that are kept in memory; the items set longest ago give way. */
const MAX_TEXT = 16_000_000;

/** In memory, by the node's number. */
export class MemoryLastItems implements LastItems {
  private readonly items = new BoundedMap<number, Item>(MAX_TEXT, ({ payload }) => payload.length);

  async get({ ref }: NodeRef): Promise<Item | undefined> {
    return this.items.get(ref);
  }

  async set({ ref }: NodeRef, item: Item): Promise<void> {
    this.items.set(ref, item);
  }

  async drop({ ref }: NodeRef, id?: string): Promise<void> {
    if (id === undefined || this.items.get(ref)?.id === id) this.items.delete(ref);
  }

  /** An account or a domain is gone: whose items these are is not known here. */
  clear(): void {
    this.items.clear();
  }
}

/** In the table pubsub_last_item. */
export class StoredLastItems implements LastItems {
  constructor(private readonly store: PubsubOldStore) {}
  get(node: NodeRef): Promise<Item | undefined> {
    return this.store.getLast(node);
  }
  set(node: NodeRef, item: Item): Promise<void> {
    return this.store.setLast(node, item);
  }
  drop(node: NodeRef, id?: string): Promise<void> {
    return this.store.dropLast(node, id);
  }
}
