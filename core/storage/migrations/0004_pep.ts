// Tables of our own for mod_pubsub: what MongooseIM's pubsub_node has no columns for. Rows hang on MongooseIM's node.
import { createTable } from "../ddl.ts";
import { type Column, type Table, text, varchar } from "../schema.ts";
import type { Migration } from "./migration.ts";

const NODE = { service_domain: varchar(125), service_user: varchar(125), node_id: varchar(125) };

const hanging = (name: string, columns: Readonly<Record<string, Column>>, key: readonly string[]): Table => ({
  name,
  columns: { ...NODE, ...columns },
  primaryKey: [...Object.keys(NODE), ...key],
  foreignKeys: [{ columns: Object.keys(NODE), table: "pubsub_node", references: Object.keys(NODE), cascade: true }],
});

const CONFIG = hanging("mongooseim_pubsub_config", { config: text() }, []);

const AFFILIATION: Table = {
  ...hanging(
    "mongooseim_pubsub_affiliation",
    { entity_domain: varchar(125), entity_user: varchar(125), affiliation: varchar(16) },
    ["entity_domain", "entity_user"],
  ),
  indexes: [{ name: "i_mongooseim_pubsub_affiliation_entity", columns: ["entity_domain", "entity_user"] }],
};

/** Subscriptions that wait for an owner: MongooseIM knows none, a row of pubsub_subscription is an active one. */
const PENDING: Table = {
  ...hanging(
    "mongooseim_pubsub_pending",
    { subscriber_domain: varchar(125), subscriber_user: varchar(125), subscriber_resource: varchar(125) },
    ["subscriber_domain", "subscriber_user", "subscriber_resource"],
  ),
  indexes: [{ name: "i_mongooseim_pubsub_pending_subscriber", columns: ["subscriber_domain", "subscriber_user"] }],
};

export const PEP: readonly Table[] = [CONFIG, AFFILIATION, PENDING];

export const pep: Migration = {
  id: 4,
  name: "pep",
  statements: ({ dialect, tables, collations }) =>
    PEP.filter(({ name }) => !tables.has(name))
      .flatMap((table) => createTable(dialect, table, collations))
      .map((sql) => ({ sql })),
};
