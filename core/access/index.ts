// Access classes and access rules.
export type { AccessClause, AccessConfig, AccessJid, AclConfig, AclEntry } from "./access.ts";
export { Access } from "./access.ts";
