// MongooseIM's tables of the service itself: domains, cluster, broadcasts.
import {
  bigint,
  bigserial,
  boolean,
  int,
  NOW,
  oneOf,
  serial,
  smallint,
  type Table,
  text,
  timestamptz,
  varchar,
} from "../schema.ts";

export const SERVICE: readonly Table[] = [
  {
    name: "mongoose_cluster_id",
    columns: { k: varchar(50), v: text({ nullable: true }) },
    primaryKey: ["k"],
  },
  {
    name: "domain_admins",
    columns: { domain: varchar(250), pass_details: text() },
    primaryKey: ["domain"],
  },
  {
    name: "domain_settings",
    columns: {
      id: bigserial(),
      domain: varchar(250),
      host_type: varchar(250),
      status: smallint({ default: 1, mysql: "tinyint" }),
    },
    primaryKey: ["domain"],
    indexes: [{ name: "", columns: ["id"], unique: true }],
    mysql: { primaryKey: ["id"], indexes: [{ name: "domain", columns: ["domain"], unique: true }] },
  },
  {
    name: "domain_events",
    columns: { id: bigserial(), domain: varchar(250) },
    primaryKey: ["id"],
    indexes: [{ name: "i_domain_events_domain", columns: ["domain"] }],
  },
  {
    name: "discovery_nodes",
    columns: {
      cluster_name: varchar(250),
      node_name: varchar(250),
      node_num: int({ mysql: "int unsigned" }),
      address: varchar(250, { default: "" }),
      updated_timestamp: bigint(),
    },
    primaryKey: ["node_name"],
    indexes: [{ name: "i_discovery_nodes_node_num", columns: ["cluster_name", "node_num"], unique: true }],
  },
  {
    name: "broadcast_jobs",
    columns: {
      id: serial({ mysql: "int" }),
      name: varchar(250),
      server: varchar(250),
      host_type: varchar(250),
      from_jid: varchar(250),
      subject: varchar(1024),
      body: text(),
      rate: int(),
      recipient_group: oneOf("broadcast_recipient_group", ["all_users_in_domain"]),
      recipient_count: int(),
      execution_state: oneOf("broadcast_state", ["running", "finished", "abort_error", "abort_admin"], {
        default: "running",
      }),
      abortion_reason: text({ nullable: true }),
      created_at: timestamptz({ default: NOW }),
      started_at: timestamptz({ nullable: true }),
      stopped_at: timestamptz({ nullable: true }),
    },
    primaryKey: ["id"],
    indexes: [
      { name: "i_broadcast_jobs_server", columns: ["server", "id"] },
      { name: "i_broadcast_jobs_server_state", columns: ["server", "execution_state"] },
      { name: "i_broadcast_jobs_host_state", columns: ["host_type", "execution_state"] },
    ],
  },
  {
    name: "broadcast_jobs_ownership",
    columns: {
      broadcast_id: int(),
      owner_node: varchar(250),
      updated_at: timestamptz({ default: NOW }),
      expires_at: timestamptz(),
    },
    primaryKey: ["broadcast_id"],
    indexes: [
      { name: "i_broadcast_jobs_ownership_owner_node", columns: ["owner_node"] },
      { name: "i_broadcast_jobs_ownership_expires_at", columns: ["expires_at"] },
    ],
    foreignKeys: [{ columns: ["broadcast_id"], table: "broadcast_jobs", references: ["id"], cascade: true }],
  },
  {
    name: "broadcast_worker_state",
    columns: {
      broadcast_id: int(),
      cursor_user: varchar(250, { nullable: true }),
      recipients_processed: int({ default: 0 }),
      finished: boolean({ default: false }),
    },
    primaryKey: ["broadcast_id"],
    foreignKeys: [{ columns: ["broadcast_id"], table: "broadcast_jobs", references: ["id"], cascade: true }],
  },
];
