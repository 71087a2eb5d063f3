// A table of our own: what users reported when they blocked somebody (XEP-0377).
import { createTable } from "../ddl.ts";
import { bigint, bigserial, boolean, type Table, text, varchar } from "../schema.ts";
import type { Migration } from "./migration.ts";

const ABUSE_REPORTS: Table = {
  name: "mongooseim_abuse_reports",
  columns: {
    id: bigserial({ mysql: "bigint unsigned" }),
    /** Who reports. */
    server: varchar(250),
    username: varchar(250),
    reported: text(),
    reason: varchar(250),
    message: text(),
    /** JSON: pairs of `by` and `id` of the stanzas that are reported. */
    stanza_ids: text(),
    to_origin: boolean(),
    to_third_parties: boolean(),
    /** Milliseconds since 1970. */
    reported_at: bigint(),
  },
  primaryKey: ["id"],
  indexes: [{ name: "i_mongooseim_abuse_reports_user", columns: ["server", "username"] }],
};

export const abuseReports: Migration = {
  id: 8,
  name: "abuse_reports",
  statements: ({ dialect, tables }) =>
    tables.has(ABUSE_REPORTS.name) ? [] : createTable(dialect, ABUSE_REPORTS).map((sql) => ({ sql })),
};
