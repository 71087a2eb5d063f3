// The tables as MongooseIM's own schema files make them: written from a list of columns, not from the server's
// declarations, so that the one is a check of the other.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type MongooseimDialect = "pgsql" | "mysql";

/** Versions whose schemas differ, and which lack what came later. */
export const VERSIONS = ["6.0", "6.2.0", "6.2.1", "6.3.2", "6.6", "6.8"] as const;
export type MongooseimVersion = (typeof VERSIONS)[number];

interface Row {
  table: string;
  column: string;
  type: string;
  nullable: boolean;
  default: string;
  keys: string;
  mysqlType: string;
  mysqlDefault: string;
  mysqlKeys: string;
}

const ROWS: readonly Row[] = readFileSync(join(import.meta.dirname, "../fixtures/mongooseim/sql-schema.tsv"), "utf8")
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [table, column, type, nullable, byDefault, keys, mysqlType, , mysqlDefault, mysqlKeys] = line.split("\t");
    return {
      table,
      column,
      type,
      nullable: nullable === "y",
      default: byDefault,
      keys,
      mysqlType,
      mysqlDefault,
      mysqlKeys,
    };
  });

/** What versions before did not have: tables, "table.column". */
const LATER: readonly (readonly [since: MongooseimVersion, ...names: string[]])[] = [
  ["6.2.0", "discovery_nodes"],
  ["6.2.1", "mam_message.is_groupchat"],
  ["6.3.2", "fast_auth_token"],
  ["6.6", "blocklist"],
  ["6.8", "pubsub_node", "pubsub_item", "pubsub_subscription"],
  ["6.8", "broadcast_jobs", "broadcast_jobs_ownership", "broadcast_worker_state"],
];

const isLater = (name: string, version: MongooseimVersion): boolean =>
  LATER.some(([since, ...names]) => names.includes(name) && VERSIONS.indexOf(since) > VERSIONS.indexOf(version));

/** Enum types of PostgreSQL that came with tables of 6.8. */
const LATE_TYPES = ["pubsub_node_access_model", "broadcast_state", "broadcast_recipient_group"];

/** The statements that make the schema of a version. */
export function mongooseimSchema(dialect: MongooseimDialect, version: MongooseimVersion = "6.8"): string[] {
  const tables = new Map<string, Row[]>();
  for (const row of ROWS) {
    if (row.table.startsWith("(") || isLater(row.table, version)) continue;
    if (isLater(`${row.table}.${row.column}`, version)) continue;
    const known = tables.get(row.table);
    if (known) known.push(row);
    else tables.set(row.table, [row]);
  }
  const types =
    dialect === "mysql"
      ? []
      : ROWS.filter(({ table }) => table === "(enum type)")
          .filter(({ column }) => version === "6.8" || !LATE_TYPES.includes(column))
          .map(({ column, type }) => `CREATE TYPE ${column} AS ENUM ${enumOf(type)}`);
  return [...types, ...[...tables].flatMap(([name, rows]) => createTable(dialect, version, name, rows))];
}

/** `enum(A|B)` of the list as SQL. */
const enumOf = (type: string): string => {
  const words = /enum\(([^)]*)\)/.exec(type)?.[1].split("|") ?? [];
  return `(${words.map((word) => `'${word}'`).join(", ")})`;
};

interface Key {
  kind: "PK" | "UNIQUE" | "INDEX" | "FK";
  name: string;
  where: string;
  columns: string[];
}

/** Before 6.2.1 these tables had indexes in place of a primary key. */
const OLD_KEYS: Readonly<Record<string, readonly Key[]>> = {
  rosterusers: [
    { kind: "UNIQUE", name: "i_rosteru_server_user_jid", where: "", columns: ["server", "username", "jid"] },
    { kind: "INDEX", name: "i_rosteru_server_user", where: "", columns: ["server", "username"] },
  ],
  rostergroups: [
    { kind: "INDEX", name: "i_rosterg_server_user_jid", where: "", columns: ["server", "username", "jid"] },
  ],
  discovery_nodes: [{ kind: "PK", name: "", where: "", columns: ["cluster_name", "node_name"] }],
};

function createTable(
  dialect: MongooseimDialect,
  version: MongooseimVersion,
  name: string,
  rows: readonly Row[],
): string[] {
  const columns = rows.filter(({ column }) => !column.startsWith("("));
  const options = rows.find(({ column }) => column === "(table options)");
  const isOld = VERSIONS.indexOf(version) < VERSIONS.indexOf("6.2.1");
  const old = isOld ? OLD_KEYS[name] : undefined;
  const keys = old ?? keysOf(dialect, columns);
  // One of the columns has a name that MySQL reads as a type.
  const quoted = (column: string): string => (dialect === "mysql" ? `\`${column}\`` : column);
  const lines = columns.map(
    (row) => `${quoted(row.column)} ${dialect === "pgsql" ? pgsqlColumn(row) : mysqlColumn(row)}`,
  );
  const after: string[] = [];
  for (const key of keys) {
    const list = dialect === "mysql" ? prefixes(key.columns, columns) : key.columns.join(", ");
    if (key.kind === "PK") lines.push(`PRIMARY KEY (${list})`);
    // A column that counts needs its key in the table.
    else if (key.kind === "UNIQUE" && (key.name === "" || dialect === "mysql")) {
      lines.push(`UNIQUE ${dialect === "mysql" ? `INDEX ${key.name} ` : ""}(${list})`);
    } else if (key.kind === "FK") {
      const references = key.name === "pubsub_node" ? key.columns.join(", ") : "id";
      // MySQL's parser takes those that stand with their column and does nothing.
      if (dialect === "pgsql") lines.push(`FOREIGN KEY (${list}) REFERENCES ${key.name}(${references}) ${key.where}`);
    } else {
      const unique = key.kind === "UNIQUE" ? "UNIQUE " : "";
      const where = dialect === "pgsql" ? key.where : "";
      after.push(`CREATE ${unique}INDEX ${key.name} ON ${name} (${list}) ${where}`.trimEnd());
    }
  }
  const end = dialect === "mysql" ? (options?.mysqlType ?? "") : "";
  return [`CREATE TABLE ${name} (\n  ${lines.join(",\n  ")}\n) ${end}`.trimEnd(), ...after];
}

/** Keys from the list's words: `PK#1/2; INDEX name#3/3 WHERE (...); FK table ON DELETE CASCADE`. */
function keysOf(dialect: MongooseimDialect, columns: readonly Row[]): Key[] {
  const found = new Map<string, Key & { places: [number, string][]; own: boolean }>();
  for (const row of columns) {
    const own = dialect === "mysql" && row.mysqlKeys !== "";
    for (const word of (own ? row.mysqlKeys : row.keys).split("; ")) {
      const match = /^(PK|UNIQUE|INDEX|FK)(?: (\w+))?( ON DELETE CASCADE| WHERE \(.*\))?(?:#(\d+)\/\d+)?$/.exec(word);
      if (match === null) continue;
      const [, kind, name = "", where = "", place] = match;
      const id = `${kind} ${name}`;
      const known = found.get(id);
      const here: [number, string] = [Number(place ?? 1), row.column];
      // Of two primary keys the one that the list says for this database alone.
      if (known !== undefined && place === undefined && kind === "PK") {
        if (own) found.set(id, { ...known, places: [here], own });
      } else if (known) known.places.push(here);
      else found.set(id, { kind: kind as Key["kind"], name, where, columns: [], places: [here], own });
    }
  }
  return [...found.values()].map(({ places, ...key }) => ({
    ...key,
    columns: places.sort(([a], [b]) => a - b).map(([, column]) => column),
  }));
}

function pgsqlColumn(row: Row): string {
  const type = row.type.replace(/ enum\(.*$/, "");
  const byDefault = row.default === "" || row.default === "sequence" ? "" : ` DEFAULT ${row.default}`;
  return `${type}${row.nullable ? "" : " NOT NULL"}${byDefault}`;
}

function mysqlColumn(row: Row): string {
  const type = row.mysqlType || row.type.replace(/^integer$/, "int").replace(/^bytea$/, "blob");
  const usual = row.default === "" || row.default === "sequence" ? "" : ` DEFAULT ${row.default}`;
  const counter = row.mysqlDefault === "auto_increment";
  const byDefault = counter ? " AUTO_INCREMENT" : row.mysqlDefault ? ` DEFAULT ${row.mysqlDefault}` : usual;
  return `${type} ${row.nullable ? "NULL" : "NOT NULL"}${byDefault}`;
}

/** MySQL's keys have 3072 bytes, four for a character: longer ones take the beginnings of their columns. */
function prefixes(names: readonly string[], columns: readonly Row[]): string {
  const size = (name: string): number => {
    const row = columns.find(({ column }) => column === name);
    const type = row?.mysqlType || row?.type || "";
    if (/binary/.test(type)) return Number(/\((\d+)\)/.exec(type)?.[1] ?? 0) / 4;
    if (type === "text") return 250;
    return /char/.test(type) ? Number(/\((\d+)\)/.exec(type)?.[1] ?? 0) : 0;
  };
  const total = names.reduce((sum, name) => sum + size(name), 0);
  const texts = names.filter((name) => size(name) > 0).length;
  const most = Math.floor(768 / Math.max(1, texts));
  return names.map((name) => (total > 768 && size(name) > most ? `${name}(${most})` : name)).join(", ");
}
