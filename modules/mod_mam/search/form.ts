// How an archive's table is searched for words: MongooseIM's way, or with the database's index of words.
//
// With an index, every word is indexed with its archive's owner before it (`u12xhello`): a search reads what is noted of
// this word in this archive, however many archives have it, and neither stop words nor shortest words of a database
// apply. What an index names is compared with the words themselves, so that all databases find the same.

import { type Db, type Dialect, StorageError } from "../../../core/storage/db.ts";
import { escapeLike } from "../../../core/storage/dialect.ts";
import { mysqlIndex } from "./mysql.ts";
import { MAX_WORD } from "./normalise.ts";
import type { SearchMode } from "./option.ts";
import { pgsqlIndex } from "./pgsql.ts";
import { sqliteIndex } from "./sqlite.ts";
import { type ArchiveTable, type Condition, USERS, type WordIndex } from "./word-index.ts";

export type { SearchMode } from "./option.ts";
export { type ArchiveTable, type Condition, ROOMS, USERS } from "./word-index.ts";

/** What `prepare` needs of its surroundings. */
export interface Preparing {
  /** Waits, in milliseconds, so that others are served meanwhile. */
  pause(ms: number): Promise<void>;
  /** Told once when the index cannot be had: searches are right all the same, and slower. */
  failed(error: StorageError): void;
  /** False ends the work; it goes on from there at the next start. */
  running(): boolean;
}

/** A way to search. What is written beside a row is the database's business: nothing is to be done for it. */
export interface SearchForm {
  readonly mode: SearchMode;
  /**
   * Makes what the form needs, and indexes what is there already, bit by bit. Searches are right at any time; until this
   * resolves they read the text of the owner's whole archive.
   */
  prepare(with_: Preparing): Promise<void>;
  /**
   * The rows of an owner that have all the words, as `words()` gives them. The statement must ask for the owner too.
   * @param alias the table's name in the statement, where another table has a column `id` or `search_body`
   */
  where(owner: number, words: readonly string[], alias?: string): Condition;
}

/** Longest word that every database indexes whole, in characters; longer ones are compared only. */
const INDEXED_WORD = 60;
/** Milliseconds of rest after rows were indexed. */
const REST = 50;

/** The way that the option names, on a database. */
export function searchForm(db: Db, mode: SearchMode, at: ArchiveTable = USERS): SearchForm {
  return mode === "like" ? LIKE : new IndexedForm(db.dialect, indexOf(db, at));
}

function indexOf(db: Db, at: ArchiveTable): WordIndex {
  switch (db.dialect) {
    case "sqlite":
      return sqliteIndex(db, at);
    case "pgsql":
      return pgsqlIndex(db, at);
    case "mysql":
      return mysqlIndex(db, at);
  }
}

/** MongooseIM's way: every word anywhere in the text. */
const LIKE: SearchForm = {
  mode: "like",
  prepare: async () => {},
  where: (_owner, words, alias) => ({
    sql: words.map(() => `${prefix(alias)}search_body LIKE ? ESCAPE '$'`).join(" AND ") || "1 = 1",
    params: words.map((word) => `%${escapeLike(word)}%`),
  }),
};

class IndexedForm implements SearchForm {
  readonly mode = "index";
  readonly #text: (alias: string) => string;
  readonly #index: WordIndex;
  #complete = false;

  constructor(dialect: Dialect, index: WordIndex) {
    this.#text = SPACED[dialect];
    this.#index = index;
  }

  async prepare({ pause, failed, running }: Preparing): Promise<void> {
    try {
      let complete = await this.#index.create();
      while (!complete && this.#index.fill && running()) {
        complete = await this.#index.fill();
        await pause(REST);
      }
      this.#complete = complete;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      failed(error);
    }
  }

  where(owner: number, words: readonly string[], alias?: string): Condition {
    if (words.length === 0) return { sql: "1 = 1", params: [] };
    const text = this.#text(prefix(alias));
    const exact = words.map(() => `${text} LIKE ? ESCAPE '$'`).join(" AND ");
    const patterns = words.map((word) => `% ${escapeLike(word)}${word.length < MAX_WORD ? " " : ""}%`);
    const indexed = this.#complete ? words.filter((word) => word.length <= INDEXED_WORD) : [];
    if (indexed.length === 0) return { sql: exact, params: patterns };
    const { sql, params } = this.#index.candidates(owner, indexed, `${prefix(alias)}id`);
    return { sql: `${sql} AND ${exact}`, params: [...params, ...patterns] };
  }
}

/** The text with a space at both ends, compared letter by letter. */
const SPACED: Readonly<Record<Dialect, (alias: string) => string>> = {
  sqlite: (alias) => `' ' || ${alias}search_body || ' '`,
  pgsql: (alias) => `' ' || ${alias}search_body || ' '`,
  mysql: (alias) => `CONCAT(' ', ${alias}search_body, ' ') COLLATE utf8mb4_bin`,
};

const prefix = (alias: string | undefined): string => (alias === undefined ? "" : `${alias}.`);
