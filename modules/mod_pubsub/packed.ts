// A node's configuration as its rows have it: MongooseIM's columns say what it understands, JSON of ours the rest.

import type { AccessModel, NodeConfig } from "../pubsub/model.ts";

/** The columns of a NodeRow, and where they are: all nodes of an account (domain, user name). */
export const NODE_COLUMNS = "n.node_id, n.access_model, n.max_items, c.config";
export const NODES = `FROM pubsub_node n LEFT JOIN mongooseim_pubsub_config c
  ON c.service_domain = n.service_domain AND c.service_user = n.service_user AND c.node_id = n.node_id
  WHERE n.service_domain = ? AND n.service_user = ?`;

export interface NodeRow {
  node_id: string;
  access_model: string;
  /** NULL is no limit. */
  max_items: number | bigint | null;
  /** Ours; NULL for a node that MongooseIM made. */
  config: string | null;
}

/** JSON has no infinity: the one number that may be it is written as the form has it. */
const MAX = "max";
const written = (key: string, value: unknown): unknown => (key === "item_expire" && value === Infinity ? MAX : value);
const read = (key: string, value: unknown): unknown => (key === "item_expire" && value === MAX ? Infinity : value);

/**
 * The columns of a configuration. To MongooseIM all that is not open is `presence`, the narrower of the two access
 * models that it has.
 */
export function packed(config: NodeConfig): { access_model: string; max_items: number | null; config: string } {
  const { max_items, ...rest } = config;
  return {
    access_model: config.access_model === "open" ? "open" : "presence",
    max_items: max_items === Infinity ? null : max_items,
    config: JSON.stringify(rest, written),
  };
}

/** The configuration of a row; `defaults` are what neither table says. */
export function configOf(row: NodeRow, defaults: NodeConfig): NodeConfig {
  const ours = row.config === null ? {} : (JSON.parse(row.config, read) as Partial<NodeConfig>);
  const max_items = row.max_items === null ? Infinity : Number(row.max_items);
  return { ...defaults, ...ours, max_items, access_model: accessModel(row.access_model, ours.access_model) };
}

/** What MongooseIM's column says counts where the two disagree: somebody has configured the node with MongooseIM. */
function accessModel(column: string, ours: AccessModel | undefined): AccessModel {
  if (column === "open") return "open";
  return ours === undefined || ours === "open" ? "presence" : ours;
}
