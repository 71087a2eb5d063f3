// The fields of a node's configuration: one line each, from which come the form, its parser, the preconditions of
// publish-options and the meta-data that service discovery shows (XEP-0060 §7.1.5, §8.2, §5.4, §16.4).

import { StanzaError } from "../../core/errors.ts";
import { tryParseJid } from "../../core/jid.ts";
import { NS_DATA } from "../../core/ns.ts";
import { type Markup, xml } from "../../core/xml/markup.ts";
import { pubsubError } from "./errors.ts";
import { booleanOf, type FormType, type FormValues, NS_PUBSUB } from "./form.ts";
import { ACCESS_MODELS, type NodeConfig } from "./model.ts";

export type FieldName = keyof NodeConfig;

type Kind = "boolean" | "choice" | "number" | "count" | "text" | "texts" | "jids";
interface Field {
  readonly kind: Kind;
  readonly label: string;
  readonly choices?: readonly string[];
  /** Shown to those who may see the node (§5.4). */
  readonly meta?: true;
}

/** Longest text of a field: titles and the like are in the memory of the server. */
const MAX_TEXT = 1024;
const MAX_TEXTS = 100;

/** `count` is a number that may be `max`. */
const FIELDS: Readonly<Record<FieldName, Field>> = {
  title: { kind: "text", label: "Name of the node", meta: true },
  description: { kind: "text", label: "What the node is for", meta: true },
  type: { kind: "text", label: "Namespace of the payloads", meta: true },
  language: { kind: "text", label: "Language of the node", meta: true },
  contact: { kind: "jids", label: "Who answers questions about the node", meta: true },
  node_type: { kind: "choice", label: "Kind of node", choices: ["leaf", "collection"] },
  collection: { kind: "texts", label: "Collections that the node is in" },
  access_model: { kind: "choice", label: "Who may subscribe and read", choices: ACCESS_MODELS, meta: true },
  publish_model: {
    kind: "choice",
    label: "Who may publish",
    choices: ["publishers", "subscribers", "open"],
    meta: true,
  },
  roster_groups_allowed: { kind: "texts", label: "Roster groups that may subscribe" },
  subscribe: { kind: "boolean", label: "Take subscriptions" },
  persist_items: { kind: "boolean", label: "Keep items" },
  max_items: { kind: "count", label: "Number of items to keep", meta: true },
  item_expire: { kind: "count", label: "Seconds until an item is deleted" },
  max_payload_size: { kind: "number", label: "Largest payload in bytes" },
  deliver_notifications: { kind: "boolean", label: "Send events" },
  deliver_payloads: { kind: "boolean", label: "Send payloads with events" },
  presence_based_delivery: { kind: "boolean", label: "Send events only to those who are online" },
  notification_type: { kind: "choice", label: "Type of the messages", choices: ["normal", "headline"] },
  notify_config: { kind: "boolean", label: "Tell subscribers of a new configuration" },
  notify_delete: { kind: "boolean", label: "Tell subscribers that the node was deleted" },
  notify_retract: { kind: "boolean", label: "Tell subscribers that an item was deleted" },
  notify_sub: { kind: "boolean", label: "Tell owners of subscribers that come and go" },
  purge_offline: { kind: "boolean", label: "Delete items when their publisher goes offline" },
  send_last_published_item: {
    kind: "choice",
    label: "When the last item is sent",
    choices: ["never", "on_sub", "on_sub_and_presence"],
  },
};

const FORM_FIELD_TYPES: Readonly<Record<Kind, string>> = {
  boolean: "boolean",
  choice: "list-single",
  number: "text-single",
  count: "text-single",
  text: "text-single",
  texts: "text-multi",
  jids: "jid-multi",
};

/** What a kind of service lets its nodes be configured to. */
export interface Configurable {
  readonly fields: readonly FieldName[];
  /** Fields that may be set and are not shown in forms. */
  readonly unshown?: readonly FieldName[];
  readonly accessModels: readonly NodeConfig["access_model"][];
  /** What `max` means; a node that is configured to keep more keeps so many. */
  readonly maxItems: number;
  /** Bytes. */
  readonly maxPayloadSize: number;
}

const PREFIX = "pubsub#";

/** The name of a field that may be set; undefined for any other. */
function fieldOf(wire: string, { fields, unshown }: Configurable): FieldName | undefined {
  const name = wire.slice(PREFIX.length) as FieldName;
  return wire.startsWith(PREFIX) && (fields.includes(name) || unshown?.includes(name)) ? name : undefined;
}

/** The value that texts of a form stand for, undefined when they stand for none. */
function valueIn(name: FieldName, texts: readonly string[]): NodeConfig[FieldName] | undefined {
  const { kind, choices } = FIELDS[name];
  if (kind === "texts" || kind === "jids") {
    const fits = texts.length <= MAX_TEXTS && texts.every((t) => t.length <= MAX_TEXT);
    return fits && (kind === "texts" || texts.every((t) => tryParseJid(t) !== undefined)) ? texts : undefined;
  }
  if (texts.length > 1) return undefined;
  const text = texts[0] ?? "";
  switch (kind) {
    case "boolean":
      return booleanOf(text);
    case "text":
      return text.length <= MAX_TEXT ? text : undefined;
    case "choice":
      return choices?.includes(text) ? (text as NodeConfig[FieldName]) : undefined;
    default:
      if (kind === "count" && text === "max") return Number.POSITIVE_INFINITY;
      return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  }
}

const textsOf = (value: NodeConfig[FieldName]): readonly string[] => {
  if (typeof value === "boolean") return [value ? "1" : "0"];
  if (typeof value === "number") return [value === Number.POSITIVE_INFINITY ? "max" : String(value)];
  return typeof value === "string" ? [value] : value;
};

/**
 * The configuration with what a form sets.
 * @throws StanzaError bad-request for a field or value that is none; not-acceptable for one that is not offered here
 */
export function configured(before: NodeConfig, values: FormValues, offer: Configurable): NodeConfig {
  const changes: Partial<Record<FieldName, NodeConfig[FieldName]>> = {};
  for (const [wire, texts] of values) {
    const name = fieldOf(wire, offer);
    if (name === undefined) throw new StanzaError("bad-request", `There is no option "${wire}"`);
    const value = valueIn(name, texts);
    if (value === undefined) throw new StanzaError("bad-request", `"${texts.join(", ")}" is no value of "${wire}"`);
    changes[name] = value;
  }
  const config = { ...before, ...changes } as NodeConfig;
  if (!offer.accessModels.includes(config.access_model)) throw pubsubError("unsupported-access-model");
  if (changes.max_payload_size !== undefined && config.max_payload_size > offer.maxPayloadSize) {
    throw new StanzaError("not-acceptable", `A payload has at most ${offer.maxPayloadSize} bytes`);
  }
  return config;
}

/** Whether a node is configured as publish-options want it (§7.1.5): fields that are not known cannot be met. */
export function meets(config: NodeConfig, values: FormValues, offer: Configurable): boolean {
  for (const [wire, texts] of values) {
    const name = fieldOf(wire, offer);
    const wanted = name === undefined ? undefined : valueIn(name, texts);
    if (name === undefined || wanted === undefined) return false;
    const is = config[name];
    if (Array.isArray(is) && Array.isArray(wanted)) {
      if (is.length !== wanted.length || !is.every((text) => wanted.includes(text))) return false;
    } else if (wanted !== is && !(name === "max_items" && atBound(is, offer) && atBound(wanted, offer))) return false;
  }
  return true;
}

/** `max` and the number that it stands for are the same. */
const atBound = (value: unknown, { maxItems }: Configurable): boolean => typeof value === "number" && value >= maxItems;

/** The form to be filled in, with the configuration as it is (§8.2.1). */
export function configForm(config: NodeConfig, offer: Configurable): Markup {
  return xml`<x type='form' xmlns='${NS_DATA}'>${formType("node_config")}${offer.fields.map((name) =>
    formField(name, config, offer),
  )}</x>`;
}

/** The fields that an event of a new configuration tells (§8.2.5.2), or service discovery of a node (§5.4). */
export function resultForm(config: NodeConfig, offer: Configurable, type: "node_config" | "meta-data"): Markup {
  const names = type === "meta-data" ? offer.fields.filter((name) => FIELDS[name].meta) : offer.fields;
  return xml`<x type='result' xmlns='${NS_DATA}'>${formType(type)}${names.map(
    (name) => xml`<field var='${PREFIX + name}'>${shown(name, config, offer)}</field>`,
  )}</x>`;
}

const formType = (type: FormType): Markup =>
  xml`<field type='hidden' var='FORM_TYPE'><value>${`${NS_PUBSUB}#${type}`}</value></field>`;

const values = (value: NodeConfig[FieldName]): Markup[] => textsOf(value).map((text) => xml`<value>${text}</value>`);

/** A node that is configured to keep more than it can shows what it keeps. */
function shown(name: FieldName, config: NodeConfig, { maxItems }: Configurable): Markup[] {
  const value = config[name];
  const most = name === "max_items" && typeof value === "number" && value !== Infinity && value > maxItems;
  return values(most ? maxItems : value);
}

function formField(name: FieldName, config: NodeConfig, offer: Configurable): Markup {
  const { kind, label, choices } = FIELDS[name];
  const offered = name === "access_model" ? offer.accessModels : choices;
  const options = offered?.map((choice) => xml`<option><value>${choice}</value></option>`);
  const type = FORM_FIELD_TYPES[kind];
  return xml`<field label='${label}' type='${type}' var='${PREFIX + name}'>${shown(name, config, offer)}${options}</field>`;
}
