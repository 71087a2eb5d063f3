// What a migration is.
import type { Dialect, Statement } from "../db.ts";

/** What a database holds before a migration. */
export interface Existing {
  dialect: Dialect;
  /** Columns by table. */
  tables: ReadonlyMap<string, ReadonlySet<string>>;
  /** How a table compares texts, by its name (MySQL). */
  collations?: ReadonlyMap<string, string>;
  /** Unique keys by table, as `keyOf` writes them; undefined where they are ours in any case. */
  keys?: ReadonlyMap<string, ReadonlySet<string>>;
  /** The names of all indexes (MySQL, which cannot be told to make one only if it is not there). */
  indexes?: ReadonlySet<string>;
  /** Named types (PostgreSQL). */
  types: ReadonlySet<string>;
}

export interface Migration {
  /** Order and identity; never changed once released. */
  id: number;
  name: string;
  /**
   * The statements to run; none when the database has it all. On MySQL an interrupted run stays half done, and what this
   * gives then must make the rest.
   */
  statements(existing: Existing): Statement[];
}
