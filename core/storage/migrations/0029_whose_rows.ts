// Indexes of our own, so that what is about one user does not read the rows of all: who has changed others' items last
// (his removal), whose item is kept ready as the last one of a node, which services have a node of a name and which nodes
// are in a collection, for whom a user name is kept, and which invitations have ended. SQLite and PostgreSQL leave out the
// items that nobody else has changed and the invitations that keep no name, which are nearly all: writing those costs no
// more than before. MySQL has no such indexes.
import type { Migration } from "./migration.ts";

/** Which items the index has; a statement has to say it in the same words to be served by it. */
export const CHANGED_BY_ANOTHER = "(modified_luser <> created_luser OR modified_lserver <> created_lserver)";
/** Which invitations the index has. */
export const KEEPS_A_NAME = "account <> ''";

interface Index {
  readonly name: string;
  /** On MySQL 2000 bytes at most. */
  readonly on: string;
  readonly where?: string;
}

const INDEXES: readonly Index[] = [
  {
    name: "i_mongooseim_pubsub_items_changed",
    on: "pubsub_items (modified_luser, modified_lserver)",
    where: CHANGED_BY_ANOTHER,
  },
  { name: "i_mongooseim_pubsub_last_item_of", on: "pubsub_last_item (created_luser, created_lserver)" },
  { name: "i_mongooseim_pubsub_nodes_name", on: "pubsub_nodes (name, p_key)" },
  { name: "i_mongooseim_pubsub_node_collections_parent", on: "pubsub_node_collections (parent_name, name)" },
  { name: "i_mongooseim_invites_account", on: "mongooseim_invites (server, account)", where: KEEPS_A_NAME },
  { name: "i_mongooseim_invites_end", on: "mongooseim_invites (expires_at)" },
];

export const whoseRows: Migration = {
  id: 29,
  name: "whose_rows",
  statements: ({ dialect, indexes }) =>
    dialect === "mysql"
      ? INDEXES.filter(({ name }) => !indexes?.has(name)).map(({ name, on }) => ({
          sql: `CREATE INDEX ${name} ON ${on}`,
        }))
      : INDEXES.map(({ name, on, where }) => ({
          sql: `CREATE INDEX IF NOT EXISTS ${name} ON ${on}${where === undefined ? "" : ` WHERE ${where}`}`,
        })),
};
