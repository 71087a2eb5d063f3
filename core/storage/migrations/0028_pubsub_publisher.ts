// An index of our own: items that somebody has published in others' nodes, for his removal and for what he is told that is
// kept about him. SQLite and PostgreSQL leave those in the publisher's own nodes out, which are nearly all: publishing to
// them costs no more than before. MySQL has no such indexes.
import { addIndex } from "../ddl.ts";
import type { Migration } from "./migration.ts";

/** Which items the index has; a statement has to say it in the same words to be served by it. */
export const PUBLISHED_ELSEWHERE = "(publisher_domain <> service_domain OR publisher_user <> service_user)";

/** On MySQL 1000 bytes at most. */
const INDEX = {
  name: "i_mongooseim_pubsub_item_publisher",
  columns: ["publisher_domain", "publisher_user"],
  where: PUBLISHED_ELSEWHERE,
};

export const pubsubPublisher: Migration = {
  id: 28,
  name: "pubsub_publisher",
  statements: ({ dialect, indexes }) => addIndex(dialect, "pubsub_item", INDEX, indexes).map((sql) => ({ sql })),
};
