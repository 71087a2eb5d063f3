// What publish-subscribe is made of (XEP-0060 §4): nodes with their configuration, affiliations, subscriptions, items.

import type { BareJid, Jid } from "../../core/jid.ts";
import type { Page } from "../../core/xml/rsm.ts";

/** §4.1; "none" is never stored. */
export type Affiliation = "owner" | "publisher" | "publish-only" | "member" | "none" | "outcast";
export const AFFILIATIONS: readonly Affiliation[] = ["owner", "publisher", "publish-only", "member", "none", "outcast"];

/** §4.5 */
export type AccessModel = "open" | "presence" | "roster" | "authorize" | "whitelist";
export const ACCESS_MODELS: readonly AccessModel[] = ["open", "presence", "roster", "authorize", "whitelist"];

/** §4.2; "none" is never stored. */
export type SubscriptionState = "subscribed" | "pending" | "unconfigured" | "none";

/** The configuration of a node under the names of its form fields, without `pubsub#` (§16.4.4). */
export interface NodeConfig {
  readonly access_model: AccessModel;
  readonly publish_model: "publishers" | "subscribers" | "open";
  /** Items that are kept; Infinity is the form's `max`, 0 keeps none. */
  readonly max_items: number;
  readonly persist_items: boolean;
  /** Seconds until an item goes by itself; Infinity is the form's `max`. */
  readonly item_expire: number;
  /** Bytes of an item's payload as it is stored. */
  readonly max_payload_size: number;
  readonly deliver_notifications: boolean;
  readonly deliver_payloads: boolean;
  /** Events go only to subscribers that are available. */
  readonly presence_based_delivery: boolean;
  readonly notify_config: boolean;
  readonly notify_delete: boolean;
  readonly notify_retract: boolean;
  /** Owners are told of new and gone subscribers. */
  readonly notify_sub: boolean;
  readonly notification_type: "normal" | "headline";
  readonly send_last_published_item: "never" | "on_sub" | "on_sub_and_presence";
  /** Items go when their publisher goes offline. */
  readonly purge_offline: boolean;
  /** Subscriptions are taken. */
  readonly subscribe: boolean;
  readonly roster_groups_allowed: readonly string[];
  readonly title: string;
  readonly description: string;
  /** The kind of payload, its namespace as a rule. */
  readonly type: string;
  readonly language: string;
  /** JIDs of those who answer questions. */
  readonly contact: readonly string[];
  readonly node_type: "leaf" | "collection";
  /** The collections that a node is in (XEP-0248). */
  readonly collection: readonly string[];
}

/** What the defaults of all kinds of nodes have in common; the rest is each kind's own. */
export const PLAIN_CONFIG = {
  publish_model: "publishers",
  persist_items: true,
  item_expire: Number.POSITIVE_INFINITY,
  deliver_notifications: true,
  deliver_payloads: true,
  notify_config: false,
  notify_retract: false,
  notify_sub: false,
  notification_type: "headline",
  purge_offline: false,
  subscribe: true,
  roster_groups_allowed: [],
  title: "",
  description: "",
  type: "",
  language: "",
  contact: [],
  node_type: "leaf",
  collection: [],
} as const satisfies Partial<NodeConfig>;

/** §6.3, as far as an engine can honour them. */
export interface SubscriptionOptions {
  readonly deliver: boolean;
  /** When the subscription ends by itself, milliseconds since 1970; undefined: never. */
  readonly expire: number | undefined;
  /** Events have a <body/> with the text of the payload. */
  readonly include_body: boolean;
  /** Values of <show/> with which events are wanted; undefined: with all. */
  readonly show_values: readonly string[] | undefined;
  /** What a subscription to a collection is about (XEP-0248 §6); undefined: both. */
  readonly subscription_type: "items" | "nodes" | undefined;
  readonly subscription_depth: "1" | "all";
}

export interface Subscription {
  readonly jid: Jid;
  readonly state: Exclude<SubscriptionState, "none">;
  /** "" where subscriptions have no ids. */
  readonly subid: string;
  /** Undefined: the defaults. */
  readonly options: SubscriptionOptions | undefined;
}

export interface NewNode {
  /** Who is asked: an account with PEP, else the service. */
  readonly service: BareJid;
  readonly name: string;
  /** What kind of node it was made as, where a service has several (a plugin of mod_pubsub_old). */
  readonly kind?: string;
  readonly config: NodeConfig;
  /** Bare JID (text) to affiliation. */
  readonly affiliations: ReadonlyMap<string, Affiliation>;
}

/** A node as the engine has it in memory. Only `NodeTable` changes one, after the store has. */
export interface PubsubNode extends NewNode {
  /** The store's own key, 0 where service and name are the key. */
  readonly ref: number;
  config: NodeConfig;
  readonly affiliations: Map<string, Affiliation>;
  /** By the JID that is subscribed (text); more than one entry only where subscriptions have ids. */
  readonly subscriptions: Map<string, readonly Subscription[]>;
}

export interface Item {
  readonly id: string;
  readonly publisher: Jid;
  /** The payload's markup, "" for none. */
  readonly payload: string;
  /** Microseconds since 1970. */
  readonly at: number;
}

/** Part of a list of items (XEP-0059). Items are in the order of their publication. */
export type ItemPage = Page<Item>;
