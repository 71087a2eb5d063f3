// The option that says how archives are searched.

import { enumOf, own } from "../../../core/config/types.ts";

/** The option's values. */
export type SearchMode = "like" | "index";

/** `search_index`: of mod_mam, and of `pm` and `muc`. */
export const searchIndex = () =>
  own(enumOf("like", "index")).describe(
    'How text is searched for: "like" reads the text of the whole archive of a user as MongooseIM does, and finds ' +
      'parts of words ("cat" finds "cats"); "index" keeps an index in the database (SQLite FTS5, PostgreSQL tsvector, ' +
      "MySQL FULLTEXT) and finds whole words only, in long archives faster; every message then costs more to write",
  );
