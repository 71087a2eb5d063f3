// How MongooseIM's tables of mod_pubsub_old say things: numbers for words, JSON for options, <item/> around payloads.

import { BareJid, FullJid, type Jid } from "../../core/jid.ts";
import type { Dialect, Statement } from "../../core/storage/db.ts";
import { attr, Markup, xml } from "../../core/xml/markup.ts";
import { parseElement } from "../../core/xml/tree.ts";
import type { Affiliation, Item, NodeConfig, Subscription, SubscriptionOptions } from "../pubsub/model.ts";

/** By `aff`. */
const AFFILIATIONS: readonly Affiliation[] = ["none", "owner", "publisher", "publish-only", "member", "outcast"];
/** By `type` of a subscription. 2 was "unconfigured" in old versions. */
const STATES = ["none", "pending", "unconfigured", "subscribed"] as const;

export const affiliationCode = (affiliation: Affiliation): number => AFFILIATIONS.indexOf(affiliation);
export const affiliationOf = (code: number | bigint): Affiliation => AFFILIATIONS[Number(code)] ?? "none";
export const stateCode = (state: Subscription["state"]): number => STATES.indexOf(state);

export interface NodeRow {
  nidx: number | string;
  name: string;
  type: string;
  owners: string;
  options: string;
}
export interface SubscriptionRow {
  luser: string;
  lserver: string;
  lresource: string;
  type: number;
  sub_id: string;
  options: string;
}
export interface ItemRow {
  itemid: string;
  modified_luser: string;
  modified_lserver: string;
  modified_lresource: string;
  modified_at: number | string;
  payload: string;
}

/** Parts of the tables are prepared. */
function jidOf(local: string, domain: string, resource: string): Jid {
  const bare = new BareJid(local, domain);
  return resource === "" ? bare : new FullJid(bare, resource);
}

/** Tables of what hangs on a node, by `nidx`. */
const HANGING = ["pubsub_affiliations", "pubsub_subscriptions", "pubsub_items", "pubsub_last_item"] as const;

/**
 * Begins a transaction that adds something to a node: who deletes the node meanwhile waits for its end, or is waited for.
 * The tables have no foreign keys. SQLite writes one transaction after the other.
 */
export function holdNode(dialect: Dialect, ref: number): Statement[] {
  if (dialect === "sqlite") return [];
  const lock = dialect === "pgsql" ? "FOR KEY SHARE" : "LOCK IN SHARE MODE";
  return [{ sql: `SELECT nidx FROM pubsub_nodes WHERE nidx = ? ${lock}`, params: [ref] }];
}

/** Deletes a node with all that hangs on it: the node first, for which somebody may be waiting (see `holdNode`). */
export function nodeRemoval(ref: number, name: string, key: string): Statement[] {
  const params = [ref];
  return [
    forgetParents(name, key),
    { sql: "DELETE FROM pubsub_nodes WHERE nidx = ?", params },
    ...HANGING.map((table) => ({ sql: `DELETE FROM ${table} WHERE nidx = ?`, params })),
  ];
}

/** A node is in no collection any more. The table has no service in it: a name that another service has too stays. */
export const forgetParents = (name: string, key: string): Statement => ({
  sql: `DELETE FROM pubsub_node_collections WHERE name = ? AND NOT EXISTS (
          SELECT 1 FROM pubsub_nodes WHERE pubsub_nodes.name = ? AND p_key <> ?)`,
  params: [name, name, key],
});

/** The key of a service or an account (`p_key`). */
export const keyOf = (service: BareJid): string => service.text;

// --- Nodes ------------------------------------------------------------------------------------------------------------

/** `max`, which has no number in JSON. */
const MAX = "max";

export function optionsText(config: NodeConfig): string {
  return JSON.stringify(config, (_key, value) => (value === Number.POSITIVE_INFINITY ? MAX : value));
}

/** What a row says over the defaults of its kind: rows of other versions may lack some, or have others. */
export function configOf(options: string, defaults: NodeConfig): NodeConfig {
  const given = parsed(options);
  const config: Record<string, unknown> = { ...defaults };
  for (const [name, fallback] of Object.entries(defaults)) {
    const value = given[name];
    if (value === MAX && typeof fallback === "number") config[name] = Number.POSITIVE_INFINITY;
    else if (Array.isArray(fallback)) {
      if (Array.isArray(value)) config[name] = value.filter((v) => typeof v === "string");
    } else if (typeof value === typeof fallback) config[name] = value;
  }
  return config as unknown as NodeConfig;
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

// --- Subscriptions ------------------------------------------------------------------------------------------------------

export function subscriptionOptionsText(options: SubscriptionOptions | undefined): string {
  if (options === undefined) return "{}";
  const { expire, subscription_depth } = options;
  return JSON.stringify({
    ...options,
    expire: expire === undefined ? undefined : new Date(expire).toISOString(),
    subscription_depth: subscription_depth === "1" ? 1 : "all",
  });
}

export function subscriptionOf(row: SubscriptionRow): Subscription | undefined {
  const state = STATES[Number(row.type)];
  if (state === undefined || state === "none") return undefined;
  const given = parsed(row.options);
  return {
    jid: jidOf(row.luser, row.lserver, row.lresource),
    state,
    subid: row.sub_id,
    options: Object.keys(given).length === 0 ? undefined : optionsOf(given),
  };
}

function optionsOf(given: Readonly<Record<string, unknown>>): SubscriptionOptions {
  const { show_values: shows, expire, subscription_type: type, subscription_depth: depth } = given;
  const end = typeof expire === "string" ? Date.parse(expire) : Number.NaN;
  return {
    deliver: given["deliver"] !== false,
    expire: Number.isFinite(end) ? end : undefined,
    include_body: given["include_body"] === true,
    show_values: Array.isArray(shows) ? shows.filter((v) => typeof v === "string") : undefined,
    subscription_type: type === "nodes" || type === "items" ? type : undefined,
    subscription_depth: depth === 1 || depth === "1" ? "1" : "all",
  };
}

// --- Items --------------------------------------------------------------------------------------------------------------

/** The <item/> of the table. */
export const itemText = ({ id, payload }: Item, publisher: Jid | undefined): string =>
  xml`<item${attr("id", id)}${attr("publisher", publisher?.text)}>${new Markup(payload)}</item>`.text;

const ITEM = /^<item(?:\s[^>]*)?(?:\/>|>([\s\S]*)<\/item>)$/;

/** The payload in the table's <item/>. Attribute values that hold a ">" are in no row that anybody wrote. */
export function payloadOf(text: string): string {
  const found = ITEM.exec(text);
  if (found === null) return text;
  const inside = found[1] ?? "";
  // The namespace that the wrapper declared is the payload's where it declares none itself.
  return / xmlns=/.test(text.slice(0, text.indexOf(">"))) && inside !== ""
    ? parseElement(text).getChildElements().map(String).join("")
    : inside;
}

export function itemOf(row: ItemRow): Item {
  return {
    id: row.itemid,
    publisher: jidOf(row.modified_luser, row.modified_lserver, row.modified_lresource),
    payload: payloadOf(row.payload),
    at: Number(row.modified_at),
  };
}
