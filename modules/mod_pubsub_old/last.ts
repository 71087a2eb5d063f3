// The last item of each node, kept ready (last_item_cache): also of nodes that keep no items.

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

/** Characters of payload that are kept in memory; the items used longest ago give way. */
const MAX_TEXT = 16_000_000;

/** In memory, by the node's number. */
export class MemoryLastItems implements LastItems {
  private readonly items = new Map<number, Item>();
  private text = 0;

  async get({ ref }: NodeRef): Promise<Item | undefined> {
    return this.items.get(ref);
  }

  async set({ ref }: NodeRef, item: Item): Promise<void> {
    this.forget(ref);
    this.items.set(ref, item);
    this.text += item.payload.length;
    for (const oldest of this.items.keys()) {
      if (this.text <= MAX_TEXT || oldest === ref) return;
      this.forget(oldest);
    }
  }

  async drop({ ref }: NodeRef, id?: string): Promise<void> {
    if (id === undefined || this.items.get(ref)?.id === id) this.forget(ref);
  }

  /** An account or a domain is gone: whose items these are is not known here. */
  clear(): void {
    this.items.clear();
    this.text = 0;
  }

  private forget(ref: number): void {
    this.text -= this.items.get(ref)?.payload.length ?? 0;
    this.items.delete(ref);
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
