// Access classes and access rules.
export type { AccessClause, AccessConfig, AccessJid, AclConfig, AclEntry } from "./access.ts";
export { Access, mergeAccess, mergeAcl } from "./access.ts";
