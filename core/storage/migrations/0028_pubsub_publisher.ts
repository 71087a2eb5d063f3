// An index of our own: items that somebody has published in others' nodes, for his removal and for what he is told that is
// kept about him. SQLite and PostgreSQL leave those in the publisher's own nodes out, which are nearly all: publishing to
// them costs no more than before. MySQL has no such indexes.
import type { Migration } from "./migration.ts";

const NAME = "i_mongooseim_pubsub_item_publisher";
/** On MySQL 1000 bytes at most. */
const COLUMNS = "pubsub_item (publisher_domain, publisher_user)";

/** Which items the index has; a statement has to say it in the same words to be served by it. */
export const PUBLISHED_ELSEWHERE = "(publisher_domain <> service_domain OR publisher_user <> service_user)";

export const pubsubPublisher: Migration = {
  id: 28,
  name: "pubsub_publisher",
  statements: ({ dialect, indexes }) => {
    if (dialect !== "mysql") {
      return [{ sql: `CREATE INDEX IF NOT EXISTS ${NAME} ON ${COLUMNS} WHERE ${PUBLISHED_ELSEWHERE}` }];
    }
    return indexes?.has(NAME) ? [] : [{ sql: `CREATE INDEX ${NAME} ON ${COLUMNS}` }];
  },
};
