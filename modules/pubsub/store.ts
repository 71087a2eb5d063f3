// What the engine asks of the tables: mod_pubsub's and mod_pubsub_old's are different ones.

import type { BareJid } from "../../core/jid.ts";
import type { PersonalStore } from "../../core/module.ts";
import type { Affiliation, Item, ItemPage, NewNode, NodeConfig, PubsubNode, Subscription } from "./model.ts";
import type { BoundedPage } from "./rsm.ts";

/** A node without what hangs on it. */
export interface NodeHead {
  readonly name: string;
  readonly config: NodeConfig;
}

/** How many items stay when one is published, and from when. */
export interface Keep {
  /** Newest items that stay; Infinity for all. */
  readonly newest: number;
  /** Items from before this go; microseconds since 1970, 0 for none. */
  readonly since: number;
}

/** Every method is atomic. What one of them changes in a `PubsubNode` the caller takes over into it afterwards. */
export interface PubsubStore extends PersonalStore {
  /** A node with its affiliations and subscriptions. */
  load(service: BareJid, name: string): Promise<PubsubNode | undefined>;
  /** The nodes of a service in the order of their names, at most `limit`, after that name. */
  nodes(service: BareJid, after: string, limit: number): Promise<NodeHead[]>;
  countNodes(service: BareJid): Promise<number>;
  /** Makes a node with its affiliations; undefined when there is one of that name. */
  create(node: NewNode): Promise<PubsubNode | undefined>;
  configure(node: PubsubNode, config: NodeConfig): Promise<void>;
  /** Deletes a node with all that hangs on it. */
  remove(node: PubsubNode): Promise<void>;

  /** Affiliations by bare JID (text), "none" for one that goes. */
  setAffiliations(node: PubsubNode, changes: ReadonlyMap<string, Affiliation>): Promise<void>;
  /** All affiliations that an account has at a service. */
  affiliationsOf(service: BareJid, who: BareJid): Promise<{ node: string; affiliation: Affiliation }[]>;
  /** Adds a subscription, or writes it anew: the key is JID and subid. */
  putSubscription(node: PubsubNode, subscription: Subscription): Promise<void>;
  dropSubscriptions(node: PubsubNode, gone: readonly Subscription[]): Promise<void>;
  /** The subscriptions at a service of all JIDs of an account. */
  subscriptionsOf(service: BareJid, who: BareJid): Promise<{ node: string; subscription: Subscription }[]>;

  /** What is asked for at once is done in order, as if one had waited for the other: not by a pool of connections. */
  readonly inOrder: boolean;
  /** Stores an item, over one with the same id, and drops those that are too many or too old: the ids that went. */
  publish(node: PubsubNode, item: Item, keep: Keep): Promise<readonly string[] | void>;
  /** Drops what is too much or too old. */
  trim(node: PubsubNode, keep: Keep): Promise<unknown>;
  item(node: PubsubNode, id: string): Promise<Item | undefined>;
  /** Of these, those that are there, in the order asked. */
  itemsById(node: PubsubNode, ids: readonly string[]): Promise<Item[]>;
  /** The item that was published last, where one is kept apart: it may be of a node that keeps none. */
  last?(node: PubsubNode): Promise<Item | undefined>;
  /** The newest, in the order of publication. */
  newest(node: PubsubNode, limit: number): Promise<Item[]>;
  page(node: PubsubNode, request: BoundedPage): Promise<ItemPage>;
  /** False when there is no such item. */
  retract(node: PubsubNode, id: string): Promise<boolean>;
  purge(node: PubsubNode): Promise<void>;
  /** Deletes what an account has published at a node; the ids that went. */
  purgePublisher(node: PubsubNode, publisher: BareJid): Promise<string[]>;
}
