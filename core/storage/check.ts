// Compares the tables of a database, which MongooseIM may have made, with those that the server needs.
import type { Db, Dialect } from "./db.ts";
import { keyOf, readCharacters, readColumns, readKeys, readWithheld } from "./inspect.ts";
import { scriptOf } from "./mongooseim.ts";
import type { Column, Table } from "./schema.ts";

export interface SchemaProblem {
  table: string;
  /** Undefined when the whole table is missing, for a key, and for characters, where `table` has the names of all. */
  column?: string;
  kind: "missing" | "type" | "key" | "right" | "characters";
  /**
   * What there is and what there should be, for a type; the columns, for a key; all of it in words, for a right; the
   * character set, for characters.
   */
  detail?: string;
  /** The server can do without: it is told and passed over. */
  harmless?: true;
}

/** What a database lacks of the given tables, or has otherwise; more columns than needed are no problem. */
export async function checkSchema(db: Db, needed: readonly Table[]): Promise<SchemaProblem[]> {
  const found = await readColumns(db);
  const keys = await readKeys(db);
  return needed.flatMap((table) => {
    const present = found.get(table.name);
    if (present === undefined) return [{ table: table.name, kind: "missing" as const }];
    const columns = Object.entries(table.columns).flatMap(([name, column]) =>
      columnProblem(db.dialect, table.name, name, column, present.get(name)),
    );
    return [...columns, ...keyProblem(table, keys?.get(table.name), keys !== undefined)];
  });
}

function columnProblem(
  dialect: Dialect,
  table: string,
  name: string,
  column: Column,
  type: string | undefined,
): SchemaProblem[] {
  if (type === undefined) return [{ table, column: name, kind: "missing" }];
  // The embedded database is always of our making, and its columns take every type.
  if (dialect === "sqlite") return [];
  const wanted = TYPES[dialect](column);
  if (wanted.includes(type)) return [];
  return [{ table, column: name, kind: "type", detail: `${type} instead of ${wanted[0]}` }];
}

/** Tables whose keys the server does not lean on; MongooseIM gave them theirs in 6.2.1. */
const KEY_NOT_NEEDED: ReadonlySet<string> = new Set(["rostergroups", "discovery_nodes"]);

/** Tables and sequences, of those that are ours to use, that PostgreSQL keeps from the user; one problem for all. */
export async function checkRights(db: Db, needed: readonly Table[]): Promise<SchemaProblem[]> {
  const names = new Set(needed.map(({ name }) => name));
  const withheld = (await readWithheld(db)).filter(({ t }) => names.has(t) || t.startsWith("mongooseim_"));
  if (withheld.length === 0) return [];
  const [{ s, u }] = withheld;
  const table = [...new Set(withheld.map(({ t }) => t))].join(", ");
  const rights = [
    { verb: "read and write", names: withheld.filter(({ q }) => q === "").map(({ t }) => t) },
    { verb: "use", names: withheld.filter(({ q }) => q !== "").map(({ q }) => q) },
  ].flatMap(({ verb, names: all }) => (all.length > 0 ? [`${verb} ${all.join(", ")}`] : []));
  const cure = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${s} TO ${u}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${s} TO ${u}`;
  return [{ table, kind: "right", detail: `user ${u} may not ${rights.join(" and ")} (let their owner run ${cure})` }];
}

/** Texts that cannot hold all of Unicode: who has such a name is refused there, and such a message is not kept. */
export async function checkCharacters(db: Db, needed: readonly Table[]): Promise<SchemaProblem[]> {
  const sets = new Map<string, Set<string>>();
  for (const { s, t, c } of await readCharacters(db)) {
    const kind = needed.find(({ name }) => name === t)?.columns[c]?.kind;
    // What is of one letter or one of some words is ASCII.
    if (t !== "" && (kind === undefined || kind === "char" || kind === "enum")) continue;
    sets.set(s, (sets.get(s) ?? new Set()).add(t));
  }
  return [...sets].map(([detail, tables]) => ({
    table: [...tables].sort().join(", "),
    kind: "characters",
    detail,
    harmless: true,
  }));
}

/** A row is found and replaced by its key: a unique index serves as well as a primary key. */
function keyProblem(
  { name, primaryKey }: Table,
  keys: ReadonlySet<string> | undefined,
  told: boolean,
): SchemaProblem[] {
  if (!told || primaryKey === undefined || keys?.has(keyOf(primaryKey))) return [];
  const problem: SchemaProblem = { table: name, kind: "key", detail: primaryKey.join(", ") };
  return [KEY_NOT_NEEDED.has(name) ? { ...problem, harmless: true } : problem];
}

// --- Types: those that serve, the usual one first --------------------------------------------------------------------------

const PGSQL_TEXT = ["character varying", "text", "character", "name"];
const PGSQL_NUMBERS = ["smallint", "integer", "bigint"];
const MYSQL_TEXT = ["varchar", "text", "char", "mediumtext", "longtext", "tinytext"];
const MYSQL_BYTES = ["varbinary", "blob", "mediumblob", "longblob", "tinyblob", "binary"];
const MYSQL_NUMBERS = ["tinyint", "smallint", "mediumint", "int", "bigint"];

/** A list with one of its words first. */
const first = (word: string, words: readonly string[]): string[] => [word, ...words.filter((w) => w !== word)];
/** Numbers as wide as needed. */
const from = (word: string, words: readonly string[]): readonly string[] => words.slice(words.indexOf(word));

function pgsqlTypes({ kind, type }: Column): readonly string[] {
  switch (kind) {
    case "varchar":
      return PGSQL_TEXT;
    case "text":
      return first("text", PGSQL_TEXT);
    case "char":
      return first("character", PGSQL_TEXT);
    case "enum":
      return [...(type === undefined ? [] : [type]), ...PGSQL_TEXT];
    case "bytes":
      return ["bytea"];
    case "smallint":
      return from("smallint", PGSQL_NUMBERS);
    case "int":
    case "serial":
      return from("integer", PGSQL_NUMBERS);
    case "bigint":
    case "bigserial":
      return ["bigint"];
    case "boolean":
      return ["boolean"];
    case "timestamp":
      return ["timestamp without time zone", "timestamp with time zone"];
    case "timestamptz":
      return ["timestamp with time zone", "timestamp without time zone"];
    case "json":
      return ["json", "jsonb"];
  }
}

function mysqlTypes(column: Column): readonly string[] {
  const { kind } = column;
  const usual = mysqlType(column);
  switch (kind) {
    case "varchar":
    case "text":
    case "char":
    case "enum":
      // Drivers give text for both.
      return first(usual, MYSQL_BYTES.includes(usual) ? [...MYSQL_BYTES, ...MYSQL_TEXT] : MYSQL_TEXT);
    case "bytes":
      return first(usual, MYSQL_BYTES);
    case "smallint":
    case "int":
    case "serial":
    case "bigint":
    case "bigserial":
      return from(usual, MYSQL_NUMBERS);
    case "boolean":
      return ["tinyint", "smallint", "int", "bit"];
    case "timestamp":
    case "timestamptz":
      return ["timestamp", "datetime"];
    case "json":
      // MariaDB keeps JSON as text.
      return ["json", ...MYSQL_TEXT];
  }
}

const MYSQL_USUAL: Readonly<Record<string, string>> = { bytes: "blob", serial: "int", bigserial: "bigint" };

/** The word of a column's type that `information_schema` shows. */
function mysqlType({ kind, mysql }: Column): string {
  if (mysql === undefined) return MYSQL_USUAL[kind] ?? kind;
  if (mysql.includes("character set binary")) return "varbinary";
  return mysql === "serial" ? "bigint" : (/^[a-z]+/.exec(mysql)?.[0] ?? mysql);
}

const TYPES: Readonly<Record<Exclude<Dialect, "sqlite">, (column: Column) => readonly string[]>> = {
  pgsql: pgsqlTypes,
  mysql: mysqlTypes,
};

/** A problem in words, with the file of MongooseIM that would have prevented it. */
export function describeProblem(dialect: Dialect, { table, column, kind, detail }: SchemaProblem): string {
  const what = {
    missing: `${column === undefined ? table : `${table}.${column}`} is missing`,
    type: `${table}.${column} is ${detail}`,
    key: `${table} has no unique key (${detail})`,
    right: detail ?? "",
    characters:
      table === ""
        ? `the database has no characters but those of ${detail} (only a new one, with ENCODING UTF8, has more)`
        : `${table} have no characters but those of ${detail} (ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4)`,
  }[kind];
  if (kind === "right" || kind === "characters") return what;
  const script = scriptOf(dialect, table, kind === "missing" ? column : undefined, kind === "key");
  return script === undefined ? what : `${what} (see MongooseIM's ${script})`;
}
