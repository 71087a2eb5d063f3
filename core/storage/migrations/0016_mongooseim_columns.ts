// Columns that MongooseIM's tables have got since 6.0. Rows and other columns stay as they are; whole tables that came since
// are made by the first migration. (Keys that changed are left: see check.ts.)
import { addColumn } from "../ddl.ts";
import { MONGOOSEIM_TABLES } from "./0001_mongooseim.ts";
import type { Migration } from "./migration.ts";

/** With the values that MongooseIM's own scripts give to rows that are there. */
const ADDED = [{ table: "mam_message", column: "is_groupchat", value: false }] as const;

export const mongooseimColumns: Migration = {
  id: 16,
  name: "mongooseim_columns",
  statements: ({ dialect, tables }) =>
    ADDED.flatMap(({ table: name, column, value }) => {
      const present = tables.get(name);
      const table = MONGOOSEIM_TABLES.find((t) => t.name === name);
      if (table === undefined || present === undefined || present.has(column)) return [];
      return [{ sql: addColumn(dialect, name, column, { ...table.columns[column], default: value }) }];
    }),
};
