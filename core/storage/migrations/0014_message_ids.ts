// A table of our own: up to where the ids of messages were given out by each node number.
import { createTable } from "../ddl.ts";
import { bigint, int, type Table } from "../schema.ts";
import type { Migration } from "./migration.ts";

const MESSAGE_IDS: Table = {
  name: "mongooseim_message_ids",
  columns: {
    /** The low byte of the ids. */
    node_num: int(),
    /** Microseconds since 1970, the part above that byte: no id above it has been given out. */
    up_to: bigint(),
  },
  primaryKey: ["node_num"],
};

export const messageIds: Migration = {
  id: 14,
  name: "message_ids",
  statements: ({ dialect, tables }) =>
    tables.has(MESSAGE_IDS.name) ? [] : createTable(dialect, MESSAGE_IDS).map((sql) => ({ sql })),
};
