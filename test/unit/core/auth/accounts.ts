// A host type's accounts for tests: real configuration, real hashing, an in-memory database.
import { randomBytes } from "node:crypto";
import { type AuthWorld, type HostAuth, openHostAuth, PasswordHasher } from "../../../../core/auth/index.ts";
import { auth } from "../../../../core/config/auth.ts";
import { MemoryDb } from "./memory-db.ts";

export interface Accounts {
  auth: HostAuth;
  db: MemoryDb;
  /** "local@domain" of users with a live session. */
  online: Set<string>;
}

/** `section` is the `auth` section as the file would have it. Few rounds, or every test waits for the hashing. */
export function accounts(
  section: Record<string, unknown> = { internal: {} },
  { iterations = 64, ...world }: Partial<AuthWorld> & { iterations?: number } = {},
): Accounts {
  const db = new MemoryDb();
  const online = new Set<string>();
  const password = { scram_iterations: iterations, ...(section.password as object) };
  const host = openHostAuth("localhost", auth().parse({ ...section, password }), {
    hasher: new PasswordHasher(),
    saltSecret: new Uint8Array(32).fill(9),
    random: (n) => new Uint8Array(randomBytes(n)),
    sleep: async () => {},
    online: (local, domain) => online.has(`${local}@${domain}`),
    internalDb: db,
    rdbms: db,
    ...world,
  });
  return { auth: host, db, online };
}
