// The tables of MongooseIM 6.8. Those that a database of MongooseIM has already are left as they are.
import { createTable, createType } from "../ddl.ts";
import type { Column, Table } from "../schema.ts";
import type { Existing, Migration } from "./migration.ts";
import { ACCOUNTS } from "./tables_accounts.ts";
import { MESSAGES } from "./tables_messages.ts";
import { PUBSUB } from "./tables_pubsub.ts";
import { ROOMS } from "./tables_rooms.ts";
import { SERVICE } from "./tables_service.ts";

export const MONGOOSEIM_TABLES: readonly Table[] = [...ACCOUNTS, ...MESSAGES, ...ROOMS, ...PUBSUB, ...SERVICE];

export const mongooseimTables: Migration = {
  id: 1,
  name: "mongooseim_tables",
  statements(existing) {
    const missing = MONGOOSEIM_TABLES.filter(({ name }) => !existing.tables.has(name));
    const tables = missing.flatMap((table) => createTable(existing.dialect, table, existing.collations));
    return [...missingTypes(missing, existing), ...tables].map((sql) => ({ sql }));
  },
};

function missingTypes(tables: readonly Table[], existing: Existing): string[] {
  if (existing.dialect !== "pgsql") return [];
  const enums = new Map<string, Column>();
  for (const { columns } of tables)
    for (const column of Object.values(columns))
      if (column.type !== undefined && !existing.types.has(column.type)) enums.set(column.type, column);
  return [...enums.values()].map(createType);
}
