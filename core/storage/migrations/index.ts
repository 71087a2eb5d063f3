// All migrations, in order.
import { mongooseimTables } from "./0001_mongooseim.ts";
import { heldStanzas } from "./0002_held_stanzas.ts";
import { pep } from "./0004_pep.ts";
import { invites } from "./0007_invites.ts";
import { abuseReports } from "./0008_abuse_reports.ts";
import { announcements } from "./0010_announcements.ts";
import { removals } from "./0011_removals.ts";
import { messageIds } from "./0014_message_ids.ts";
import { mongooseimColumns } from "./0016_mongooseim_columns.ts";
import { mongooseimKeys } from "./0017_mongooseim_keys.ts";
import { offlineAge } from "./0022_offline_age.ts";
import { archiveIndex } from "./0027_archive_index.ts";
import { pubsubPublisher } from "./0028_pubsub_publisher.ts";
import { whoseRows } from "./0029_whose_rows.ts";
import type { Migration } from "./migration.ts";

export const MIGRATIONS: readonly Migration[] = [
  mongooseimTables,
  heldStanzas,
  pep,
  invites,
  abuseReports,
  announcements,
  removals,
  messageIds,
  mongooseimColumns,
  mongooseimKeys,
  offlineAge,
  archiveIndex,
  pubsubPublisher,
  whoseRows,
];
