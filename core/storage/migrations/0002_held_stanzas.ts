// A table of our own: messages that wait for a client whose stream is broken and may still be resumed (XEP-0198).
// Their senders were told that they are handled, so they must survive the process.
import { createTable } from "../ddl.ts";
import { bigint, bigserial, type Table, text, varchar } from "../schema.ts";
import type { Migration } from "./migration.ts";

const HELD_STANZAS: Table = {
  name: "mongooseim_held_stanzas",
  columns: {
    id: bigserial({ mysql: "bigint unsigned" }),
    server: varchar(250),
    username: varchar(250),
    stream_id: varchar(64),
    stanza: text({ mysql: "mediumtext" }),
    held_at: bigint(),
  },
  primaryKey: ["id"],
  indexes: [
    { name: "i_mongooseim_held_stanzas_stream", columns: ["stream_id"] },
    { name: "i_mongooseim_held_stanzas_user", columns: ["server", "username"] },
  ],
};

export const heldStanzas: Migration = {
  id: 2,
  name: "held_stanzas",
  statements: ({ dialect, tables }) =>
    tables.has(HELD_STANZAS.name) ? [] : createTable(dialect, HELD_STANZAS).map((sql) => ({ sql })),
};
