// A table of our own: accounts that are gone and whose data is still being removed. A removal that was cut short goes on
// at the next start, before anybody can take the name.
import { createTable } from "../ddl.ts";
import { bigint, type Table, varchar } from "../schema.ts";
import type { Migration } from "./migration.ts";

export const REMOVALS: Table = {
  name: "mongooseim_removals",
  columns: {
    server: varchar(250),
    username: varchar(250),
    /** Milliseconds since 1970. */
    began_at: bigint(),
  },
  primaryKey: ["server", "username"],
};

export const removals: Migration = {
  id: 11,
  name: "removals",
  statements: ({ dialect, tables }) =>
    tables.has(REMOVALS.name) ? [] : createTable(dialect, REMOVALS).map((sql) => ({ sql })),
};
