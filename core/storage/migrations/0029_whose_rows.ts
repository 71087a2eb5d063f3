// Indexes of our own, so that what is about one user does not read the rows of all: who has changed others' items last
// (his removal), whose item is kept ready as the last one of a node, which services have a node of a name and which nodes
// are in a collection, for whom a user name is kept, and which invitations have ended. SQLite and PostgreSQL leave out the
// items that nobody else has changed and the invitations that keep no name, which are nearly all: writing those costs no
// more than before. MySQL has no such indexes.
import { addIndex } from "../ddl.ts";
import type { Index } from "../schema.ts";
import type { Migration } from "./migration.ts";

/** Which items the index has; a statement has to say it in the same words to be served by it. */
export const CHANGED_BY_ANOTHER = "(modified_luser <> created_luser OR modified_lserver <> created_lserver)";
/** Which invitations the index has. */
export const KEEPS_A_NAME = "account <> ''";

/** On MySQL of 2000 bytes at most. */
const INDEXES: readonly (Index & { readonly table: string })[] = [
  {
    name: "i_mongooseim_pubsub_items_changed",
    table: "pubsub_items",
    columns: ["modified_luser", "modified_lserver"],
    where: CHANGED_BY_ANOTHER,
  },
  {
    name: "i_mongooseim_pubsub_last_item_of",
    table: "pubsub_last_item",
    columns: ["created_luser", "created_lserver"],
  },
  { name: "i_mongooseim_pubsub_nodes_name", table: "pubsub_nodes", columns: ["name", "p_key"] },
  {
    name: "i_mongooseim_pubsub_node_collections_parent",
    table: "pubsub_node_collections",
    columns: ["parent_name", "name"],
  },
  {
    name: "i_mongooseim_invites_account",
    table: "mongooseim_invites",
    columns: ["server", "account"],
    where: KEEPS_A_NAME,
  },
  { name: "i_mongooseim_invites_end", table: "mongooseim_invites", columns: ["expires_at"] },
];

export const whoseRows: Migration = {
  id: 29,
  name: "whose_rows",
  statements: ({ dialect, indexes }) =>
    INDEXES.flatMap((index) => addIndex(dialect, index.table, index, indexes)).map((sql) => ({ sql })),
};
