// A table of our own: invitations to become somebody's contact or to make an account (XEP-0379, XEP-0401, XEP-0445).
import { createTable } from "../ddl.ts";
import { bigint, bigserial, boolean, int, type Table, varchar } from "../schema.ts";
import type { Migration } from "./migration.ts";

const INVITES: Table = {
  name: "mongooseim_invites",
  columns: {
    id: bigserial({ mysql: "bigint unsigned" }),
    /** SHA-256 of the token, hexadecimal: who reads the table cannot use the invitations. */
    token_hash: varchar(64),
    /** Who invites; without a user name, an administrator. */
    server: varchar(250),
    username: varchar(250),
    /** "roster" or "account". */
    kind: varchar(10),
    /** The user name that is kept for the invited, "" for any. */
    account: varchar(250),
    /** Whether an account can be made with it. */
    may_register: boolean(),
    /** Whether the new account and who invites become contacts. */
    subscribe: boolean(),
    uses_left: int(),
    /** Milliseconds since 1970. */
    created_at: bigint(),
    expires_at: bigint(),
  },
  primaryKey: ["id"],
  indexes: [
    { name: "i_mongooseim_invites_token", columns: ["token_hash"], unique: true },
    { name: "i_mongooseim_invites_user", columns: ["server", "username"] },
  ],
};

export const invites: Migration = {
  id: 7,
  name: "invites",
  statements: ({ dialect, tables }) =>
    tables.has(INVITES.name) ? [] : createTable(dialect, INVITES).map((sql) => ({ sql })),
};
