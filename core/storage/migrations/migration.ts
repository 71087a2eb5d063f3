// What a migration is.
import type { Dialect, Statement } from "../db.ts";

/** What a database holds before a migration. */
export interface Existing {
  dialect: Dialect;
  /** Columns by table. */
  tables: ReadonlyMap<string, ReadonlySet<string>>;
  /** Named types (PostgreSQL). */
  types: ReadonlySet<string>;
}

export interface Migration {
  /** Order and identity; never changed once released. */
  id: number;
  name: string;
  /** The statements to run; none when the database has it all. */
  statements(existing: Existing): Statement[];
}
