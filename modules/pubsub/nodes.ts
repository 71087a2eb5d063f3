// The nodes in use, in memory: publishing, reading and subscribing ask the database for a node once.

import { StanzaError } from "../../core/errors.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import type { BareJid } from "../../core/jid.ts";
import { StorageError } from "../../core/storage/db.ts";
import { Turns } from "../../core/turns.ts";
import type { Affiliation, NewNode, NodeConfig, PubsubNode, Subscription } from "./model.ts";
import type { PubsubStore } from "./store.ts";

/** Nodes, affiliations and subscriptions in memory, for one host type; about 100 bytes each. */
const MAX_WEIGHT = 200_000;

const weightOf = (node: PubsubNode): number => 10 + node.affiliations.size + node.subscriptions.size;

export class NodeTable {
  /** Those used last are at the end. */
  readonly #nodes = new Map<string, PubsubNode>();
  readonly #turns = new Turns();
  #weight = 0;
  /** How often everything was forgotten: what was asked for before is not remembered after. */
  #cleared = 0;

  constructor(private readonly store: PubsubStore) {}

  /** A node, at once when it was used lately. */
  get(service: BareJid, name: string): MaybePromise<PubsubNode | undefined> {
    const key = keyOf(service, name);
    return this.#known(key) ?? this.#turns.take(key, () => this.#load(key, service, name));
  }

  /** A node as it is, whatever is being done with it: inside a turn of another one, where waiting could go in circles. */
  peek(service: BareJid, name: string): MaybePromise<PubsubNode | undefined> {
    return this.#known(keyOf(service, name)) ?? this.store.load(service, name);
  }

  /** Does something with a node that nobody changes meanwhile. */
  turn<T>(service: BareJid, name: string, work: (node: PubsubNode | undefined) => Promise<T>): Promise<T> {
    const key = keyOf(service, name);
    return this.#turns.take(key, async () => work(this.#known(key) ?? (await this.#load(key, service, name))));
  }

  // What follows is called inside a turn of the node.

  /** Undefined when there is such a node. */
  async create(node: NewNode): Promise<PubsubNode | undefined> {
    const cleared = this.#cleared;
    const made = await this.store.create(node);
    if (made !== undefined && cleared === this.#cleared) this.#remember(keyOf(node.service, node.name), made);
    return made;
  }

  async configure(node: PubsubNode, config: NodeConfig): Promise<void> {
    await this.#written(node, this.store.configure(node, config));
    node.config = config;
  }

  async remove(node: PubsubNode): Promise<void> {
    await this.#written(node, this.store.remove(node));
    this.#forget(keyOf(node.service, node.name));
  }

  async setAffiliations(node: PubsubNode, changes: ReadonlyMap<string, Affiliation>): Promise<void> {
    await this.#written(node, this.store.setAffiliations(node, changes));
    for (const [jid, affiliation] of changes) {
      if (affiliation === "none") node.affiliations.delete(jid);
      else node.affiliations.set(jid, affiliation);
    }
  }

  async putSubscription(node: PubsubNode, subscription: Subscription): Promise<void> {
    await this.#written(node, this.store.putSubscription(node, subscription));
    const { text } = subscription.jid;
    const others = node.subscriptions.get(text)?.filter((s) => s.subid !== subscription.subid) ?? [];
    node.subscriptions.set(text, [...others, subscription]);
  }

  async dropSubscriptions(node: PubsubNode, gone: readonly Subscription[]): Promise<void> {
    if (gone.length === 0) return;
    await this.#written(node, this.store.dropSubscriptions(node, gone));
    for (const subscription of gone) {
      const { text } = subscription.jid;
      const left = node.subscriptions.get(text)?.filter((s) => s.subid !== subscription.subid) ?? [];
      if (left.length === 0) node.subscriptions.delete(text);
      else node.subscriptions.set(text, left);
    }
  }

  /** Something has changed that concerns many nodes: an account or a domain is gone. */
  clear(): void {
    this.#cleared++;
    this.#nodes.clear();
    this.#weight = 0;
  }

  /** How many nodes are in memory. */
  get size(): number {
    return this.#nodes.size;
  }

  #known(key: string): PubsubNode | undefined {
    const node = this.#nodes.get(key);
    if (node === undefined) return undefined;
    this.#nodes.delete(key);
    this.#nodes.set(key, node);
    return node;
  }

  async #load(key: string, service: BareJid, name: string): Promise<PubsubNode | undefined> {
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const cleared = this.#cleared;
    const node = await this.store.load(service, name);
    if (node !== undefined && cleared === this.#cleared) this.#remember(key, node);
    return node;
  }

  /**
   * A write that failed may have been done nevertheless, when only its answer was lost: the node is asked for anew.
   * @throws StanzaError item-not-found when the node has gone meanwhile, with its account or by another server
   */
  async #written(node: PubsubNode, done: Promise<void>): Promise<void> {
    try {
      await done;
    } catch (error) {
      this.#forget(keyOf(node.service, node.name));
      throw error instanceof StorageError && error.code === "constraint" ? new StanzaError("item-not-found") : error;
    }
  }

  #remember(key: string, node: PubsubNode): void {
    this.#nodes.set(key, node);
    this.#weight += weightOf(node);
    if (this.#weight <= MAX_WEIGHT) return;
    // What has grown since it was weighed comes to light here.
    this.#weight = 0;
    for (const kept of this.#nodes.values()) this.#weight += weightOf(kept);
    for (const [old, node] of this.#nodes) {
      if (this.#weight <= MAX_WEIGHT / 2 || old === key) break;
      this.#weight -= weightOf(node);
      this.#nodes.delete(old);
    }
  }

  #forget(key: string): void {
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    this.#nodes.delete(key);
    this.#weight -= weightOf(node);
  }
}

/** A JID has no line break. */
const keyOf = (service: BareJid, name: string): string => `${service.text}\n${name}`;
