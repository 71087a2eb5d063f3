// Tables of our own: standing announcements of a domain (XEP-0133 §4.24, §4.27), and who has got them.
import { createTable } from "../ddl.ts";
import { bigint, int, type Table, text, varchar } from "../schema.ts";
import type { Migration } from "./migration.ts";

const ANNOUNCEMENTS: readonly Table[] = [
  {
    name: "mongooseim_announcements",
    columns: {
      server: varchar(250),
      /** "motd" or "welcome". */
      kind: varchar(16),
      body: text({ mysql: "mediumtext" }),
      /** Milliseconds since 1970: tells one message of the day from the next. */
      set_at: bigint(),
    },
    primaryKey: ["server", "kind"],
  },
  {
    name: "mongooseim_announced",
    columns: {
      server: varchar(250),
      username: varchar(250),
      /** `set_at` of the last message of the day that the user got. */
      motd_at: bigint({ default: 0 }),
      /** 1 for a new user who has not got the welcome message. */
      welcome_due: int({ default: 0 }),
    },
    primaryKey: ["server", "username"],
  },
];

export const announcements: Migration = {
  id: 10,
  name: "announcements",
  statements: ({ dialect, tables }) =>
    ANNOUNCEMENTS.filter((table) => !tables.has(table.name))
      .flatMap((table) => createTable(dialect, table))
      .map((sql) => ({ sql })),
};
