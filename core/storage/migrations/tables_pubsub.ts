// MongooseIM's tables of publish-subscribe (mod_pubsub, then mod_pubsub_old) and push.
import { bigint, bigserial, json, oneOf, smallint, type Table, text, varchar } from "../schema.ts";

export const PUBSUB: readonly Table[] = [
  {
    name: "pubsub_node",
    columns: {
      service_domain: varchar(125),
      service_user: varchar(125),
      node_id: varchar(125),
      access_model: oneOf("pubsub_node_access_model", ["open", "presence"]),
      max_items: bigint({ nullable: true }),
    },
    primaryKey: ["service_domain", "service_user", "node_id"],
  },
  {
    name: "pubsub_item",
    columns: {
      service_domain: varchar(125),
      service_user: varchar(125),
      node_id: varchar(125),
      item_id: varchar(125),
      publisher_domain: varchar(125),
      publisher_user: varchar(125),
      publisher_resource: varchar(125),
      payload: text(),
      published_at: bigint(),
    },
    primaryKey: ["service_domain", "service_user", "node_id", "item_id"],
    indexes: [
      { name: "i_pubsub_item_published_at", columns: ["service_domain", "service_user", "node_id", "published_at"] },
    ],
    foreignKeys: [
      {
        columns: ["service_domain", "service_user", "node_id"],
        table: "pubsub_node",
        references: ["service_domain", "service_user", "node_id"],
        cascade: true,
      },
    ],
  },
  {
    name: "pubsub_subscription",
    columns: {
      service_domain: varchar(125),
      service_user: varchar(125),
      node_id: varchar(125),
      subscriber_domain: varchar(125),
      subscriber_user: varchar(125),
      subscriber_resource: varchar(125),
    },
    primaryKey: [
      "service_domain",
      "service_user",
      "node_id",
      "subscriber_domain",
      "subscriber_user",
      "subscriber_resource",
    ],
    indexes: [{ name: "i_pubsub_subscription_subscriber", columns: ["subscriber_domain", "subscriber_user"] }],
    foreignKeys: [
      {
        columns: ["service_domain", "service_user", "node_id"],
        table: "pubsub_node",
        references: ["service_domain", "service_user", "node_id"],
        cascade: true,
      },
    ],
  },
  {
    name: "pubsub_nodes",
    columns: {
      nidx: bigserial(),
      p_key: varchar(250),
      name: varchar(250),
      type: varchar(250),
      owners: json(),
      options: json(),
    },
    primaryKey: ["nidx"],
    indexes: [{ name: "i_pubsub_nodes_key_name", columns: ["p_key", "name"], unique: true }],
    mysql: { indexes: [{ name: "i_pubsub_nodes", columns: ["p_key", "name"], unique: true }] },
  },
  {
    name: "pubsub_node_collections",
    columns: { name: varchar(250), parent_name: varchar(250) },
    primaryKey: ["name", "parent_name"],
  },
  {
    name: "pubsub_affiliations",
    columns: {
      nidx: bigint({ mysql: "bigint unsigned" }),
      luser: varchar(250),
      lserver: varchar(250),
      aff: smallint({ mysql: "tinyint unsigned" }),
    },
    primaryKey: ["luser", "lserver", "nidx"],
    indexes: [{ name: "i_pubsub_affiliations_nidx", columns: ["nidx"] }],
  },
  {
    name: "pubsub_items",
    columns: {
      nidx: bigint({ mysql: "bigint unsigned" }),
      itemid: varchar(250),
      created_luser: varchar(250),
      created_lserver: varchar(250),
      created_at: bigint(),
      modified_luser: varchar(250),
      modified_lserver: varchar(250),
      modified_lresource: varchar(250),
      modified_at: bigint(),
      publisher: text({ nullable: true }),
      payload: text(),
    },
    primaryKey: ["nidx", "itemid"],
    indexes: [
      { name: "i_pubsub_items_lus_nidx", columns: ["created_luser", "created_lserver", "nidx"] },
      { name: "i_pubsub_items_nidx", columns: ["nidx"] },
    ],
    mysql: {
      indexes: [
        { name: "i_pubsub_items_nidx_itemid", columns: ["nidx"] },
        { name: "i_pubsub_items_lus_nidx", columns: ["created_luser", "created_lserver", "nidx"] },
      ],
    },
  },
  {
    name: "pubsub_last_item",
    columns: {
      nidx: bigint(),
      itemid: varchar(250),
      created_luser: varchar(250),
      created_lserver: varchar(250),
      created_at: bigint(),
      payload: text(),
    },
    primaryKey: ["nidx"],
  },
  {
    name: "pubsub_subscriptions",
    columns: {
      nidx: bigint({ mysql: "bigint unsigned" }),
      luser: varchar(250),
      lserver: varchar(250),
      lresource: varchar(250),
      type: smallint({ mysql: "tinyint unsigned" }),
      sub_id: varchar(125),
      options: json(),
    },
    indexes: [
      { name: "i_pubsub_subscriptions_lus_nidx", columns: ["luser", "lserver", "nidx"] },
      { name: "i_pubsub_subscriptions_nidx", columns: ["nidx"] },
    ],
  },
  {
    name: "event_pusher_push_subscription",
    columns: {
      owner_jid: varchar(250),
      node: varchar(250),
      pubsub_jid: varchar(250),
      form: json(),
      created_at: bigint(),
    },
    primaryKey: ["owner_jid", "node", "pubsub_jid"],
    indexes: [{ name: "i_event_pusher_push_subscription", columns: ["owner_jid"] }],
  },
];
