// Keys that MongooseIM's tables lack and that the server leans on. In its MySQL schema nothing keeps a domain from being
// there twice: MongooseIM looks before it inserts.
import { keyOf } from "../inspect.ts";
import type { Migration } from "./migration.ts";

const KEYS = [{ table: "domain_settings", columns: ["domain"] }] as const;

export const mongooseimKeys: Migration = {
  id: 17,
  name: "mongooseim_keys",
  statements: ({ tables, keys }) =>
    KEYS.flatMap(({ table, columns }) => {
      if (keys === undefined || !tables.has(table) || keys.get(table)?.has(keyOf(columns))) return [];
      return [{ sql: `CREATE UNIQUE INDEX i_mongooseim_${table} ON ${table} (${columns.join(", ")})` }];
    }),
};
