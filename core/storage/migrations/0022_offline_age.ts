// An index of our own: the messages of a domain that wait longest, for [retention]. Without it each batch would read all
// that wait. MySQL, which has no CREATE INDEX that may be run twice, does without.
import type { Migration } from "./migration.ts";

export const offlineAge: Migration = {
  id: 22,
  name: "offline_age",
  statements: ({ dialect }) =>
    dialect === "mysql"
      ? []
      : [{ sql: "CREATE INDEX IF NOT EXISTS i_offline_message_age ON offline_message (server, timestamp)" }],
};
