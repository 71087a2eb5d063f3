// The publish-subscribe engine (XEP-0060): one for each feature and host type. What differs between personal eventing
// and a service of its own is in the `Profile`, what differs between their tables in the `PubsubStore`.

import type { Element } from "@xmpp/xml";
import type { StanzaError } from "../../core/errors.ts";
import type { MaybePromise } from "../../core/hooks.ts";
import type { BareJid, Jid } from "../../core/jid.ts";
import type { Log } from "../../core/log/index.ts";
import type { HostType, Server, Session } from "../../core/module.ts";
import { Turns } from "../../core/turns.ts";
import type { Markup } from "../../core/xml/markup.ts";
import { pubsubError } from "./errors.ts";
import type { Event } from "./event.ts";
import type { Configurable } from "./fields.ts";
import type { Affiliation, Item, NewNode, NodeConfig, PubsubNode } from "./model.ts";
import { NodeTable } from "./nodes.ts";
import { FleetingItems } from "./offline.ts";
import type { PubsubStore } from "./store.ts";

/** Who gets events without a subscription of his own, and who may no longer get them with one. */
export interface Audience {
  /** Accounts, or single sessions of them: JIDs as text. */
  readonly accounts: readonly string[];
  /** Whether a session of one of these accounts has asked for events of the node. */
  wants(session: Session): boolean;
  /** Whether an explicit subscriber may still have events. */
  admits(subscriber: BareJid): boolean;
}

export interface Limits extends Configurable {
  /** Nodes that a service (with PEP: an account) has. */
  readonly nodes: number;
  readonly subscriptionsPerNode: number;
  readonly affiliationsPerNode: number;
  /** Characters that the tables hold. */
  readonly nodeName: number;
  readonly itemId: number;
}

/** What a kind of pubsub service decides for itself. */
export interface Profile {
  readonly limits: Limits;
  /** The configuration of new nodes; `kind` is one that `kindOf` gave. */
  defaults(service: BareJid, kind?: string): NodeConfig;
  /** The kind of a new node, of the one that was asked for; absent where there is one kind. Throws for one that is not there. */
  kindOf?(service: BareJid, wanted: string | undefined, name: string): string;
  /** Publishing to a node that is not there makes it (§7.1.4). */
  readonly autoCreate: boolean;
  /** A node without a name gets one (§8.1.2). */
  readonly instantNodes: boolean;
  /** Whether somebody may make nodes; with instant nodes `name` may be "". */
  mayCreate(service: BareJid, who: BareJid, name: string): MaybePromise<boolean>;
  /** Throws when a node cannot be as it is to be made or configured. Called before anything is stored. */
  checkNode?(node: NewNode, who: BareJid, before: PubsubNode | undefined): Promise<void>;
  /** Subscriptions have ids (§6.1.6). */
  readonly subids?: boolean;
  /** Subscribers may set options (§6.3). */
  readonly subscriptionOptions?: boolean;
  /** A list of all items begins with the newest, as MongooseIM's old service has it. */
  readonly newestFirst?: boolean;
  /** The error for a node that has all subscriptions it may have; too-many-subscriptions where absent. */
  full?(): StanzaError;
  /** An affiliation that needs no row: the account's owner with PEP. */
  impliedAffiliation(service: BareJid, who: BareJid): Affiliation | undefined;
  /** Those whose rosters decide in the access models presence and roster. */
  rosterOwners(node: PubsubNode): readonly BareJid[];
  /** The error for a node that is not there; `manage` for what only its owner may ask. */
  missing(service: BareJid, who: BareJid, manage: boolean): StanzaError;
  /** Whom an item names as its publisher; undefined for nobody. */
  publisherOf(node: PubsubNode, item: Item): Jid | undefined;
  audience(node: PubsubNode): MaybePromise<Audience>;
  /** Told after an item was stored and sent. */
  published?(node: PubsubNode, item: Item, payload: Element | undefined): MaybePromise<void>;
  retracted?(node: PubsubNode, id: string): MaybePromise<void>;
  purged?(node: PubsubNode): MaybePromise<void>;
  /** Told after a node was made or configured anew (`before` is what was), in its turn, and after one was deleted. */
  created?(node: PubsubNode): MaybePromise<void>;
  configured?(node: PubsubNode, before: NodeConfig): MaybePromise<void>;
  removed?(node: PubsubNode): MaybePromise<void>;
  /** Sends an event in the engine's place: to more than the audience and the node's subscribers. */
  send?(node: PubsubNode, event: Event, audience: Audience): MaybePromise<void>;
}

/** Who asks for something, and where. */
export interface Asker {
  readonly service: BareJid;
  readonly from: Jid;
  readonly session: Session | undefined;
}

/** What a request is answered with: the payload of the result, undefined for an empty one. */
export type Answer = MaybePromise<Markup | undefined>;

export class PubsubEngine<S extends PubsubStore = PubsubStore> {
  readonly nodes: NodeTable;
  readonly fleeting = new FleetingItems();
  /** Who makes a node, one after the other: so many nodes and no more. Outside of the turn of the node itself. */
  readonly makers = new Turns();
  readonly #writes = new Turns();

  constructor(
    readonly store: S,
    readonly profile: Profile,
    readonly host: HostType,
    readonly server: Server,
    readonly log: Log,
  ) {
    this.nodes = new NodeTable(store);
  }

  /** The time of an item that is published now, in microseconds: the newest of a node is the last one that came. */
  now(): number {
    return this.server.tick();
  }

  /**
   * Changes the items of a node and tells of it. What comes first is stored first, whichever connections of a pool the
   * requests go by, and subscribers hear of it first: the last that they hear of is what is there. Not for inside a turn of
   * the node.
   * @param store begins its request at once
   */
  change<T>(node: PubsubNode, store: () => Promise<T>, tell: (stored: T) => MaybePromise<void>): Promise<T> {
    // Where requests cannot overtake each other they go together: a busy node does not wait for each commit.
    const begun = this.store.inOrder ? store() : undefined;
    begun?.catch(nothing);
    return this.#writes.take(`${node.service.text}\n${node.name}`, async () => {
      const stored = await (begun ?? store());
      await tell(stored);
      return stored;
    });
  }

  affiliation(node: PubsubNode, who: BareJid): Affiliation {
    return this.profile.impliedAffiliation(node.service, who) ?? node.affiliations.get(who.text) ?? "none";
  }

  /** An id for a new subscription, "" where they have none. */
  newSubid(): string {
    return this.profile.subids ? this.server.token(8) : "";
  }

  tooMany(): StanzaError {
    return this.profile.full?.() ?? pubsubError("too-many-subscriptions");
  }

  /** The newest item of a node, unless it is too old. */
  async lastItem(node: PubsubNode): Promise<Item | undefined> {
    const { store } = this;
    const item = store.last === undefined ? (await store.newest(node, 1))[0] : await store.last(node);
    return item === undefined || item.at < this.keep(node).since ? undefined : item;
  }

  /** What stays of a node's items when one more is stored. */
  keep({ config }: { readonly config: NodeConfig }): { newest: number; since: number } {
    const since = config.item_expire === Infinity ? 0 : this.server.now() * 1000 - config.item_expire * 1e6;
    const newest = config.persist_items ? Math.min(config.max_items, this.profile.limits.maxItems) : 0;
    return { newest, since };
  }
}

const nothing = (): void => {};
