// Stories on a server's database in place of the embedded store: TEST_STORIES_DB=pgsql or mysql, with TEST_PGSQL or
// TEST_MYSQL saying where it is. There the requests of a pool overtake each other, which SQLite's one thread hides.
import { moduleSchemas } from "../../cmd/server.ts";
import type { Toml } from "./story-server.ts";

type Dialect = "pgsql" | "mysql";
type Table = { [key: string]: Toml };

/** Where stories keep everything; undefined: in the embedded store. */
export const STORIES_DB = dialectOf(process.env["TEST_STORIES_DB"]);

/** The method that the accounts of stories have. */
export const STORIES_AUTH = STORIES_DB === undefined ? "internal" : "rdbms";

function dialectOf(word: string | undefined): Dialect | undefined {
  if (word === undefined || word === "pgsql" || word === "mysql") return word;
  throw new Error(`TEST_STORIES_DB is "${word}": it must be "pgsql" or "mysql"`);
}

/** A database of one server of a test, on the service of its kind. */
export class OwnDatabase {
  private constructor(
    private readonly dialect: Dialect,
    private readonly name: string,
    /** `outgoing_pools` that leads to it. */
    readonly pools: Table,
  ) {}

  static async create(dialect: Dialect): Promise<OwnDatabase> {
    const { mysqlOptions, pgsqlOptions } = await import("../storage/db_each.ts");
    const { host = "", port = 0, username, password } = dialect === "pgsql" ? pgsqlOptions() : mysqlOptions();
    const database = `test_${crypto.randomUUID().replaceAll("-", "")}`;
    const connection = { driver: dialect, host, port, username, password: `${password}`, database };
    await onService(dialect, `CREATE DATABASE ${database}`);
    return new OwnDatabase(dialect, database, { rdbms: { default: { workers: 4, connection } } });
  }

  async drop(): Promise<void> {
    await onService(this.dialect, `DROP DATABASE ${this.name}${this.dialect === "pgsql" ? " WITH (FORCE)" : ""}`);
  }
}

async function onService(dialect: Dialect, sql: string): Promise<void> {
  const { openEmptyDatabase } = await import("../storage/db_each.ts");
  const db = await openEmptyDatabase(dialect);
  try {
    await db.execute(sql);
  } finally {
    await db.close();
  }
}

/**
 * A configuration with the same features, of which every one that can keeps what it has in the database of `pools`, and
 * so do accounts. What names a back end of its own has it.
 */
export function inDatabase(config: Table, pools: Table): Table {
  const own = tables(config["host_config"]).map((host) => inSql(host));
  return { ...inSql(config), outgoing_pools: pools, ...(own.length > 0 ? { host_config: own } : {}) };
}

/** The same for the whole file, or for a host type's part of it. */
function inSql(config: Table): Table {
  const { auth, modules, listen } = config;
  return {
    ...config,
    ...(isTable(auth) ? { auth: sqlAccounts(auth) } : {}),
    ...(isTable(modules) ? { modules: sqlModules(modules) } : {}),
    ...(isTable(listen) ? { listen: { ...listen, c2s: tables(listen["c2s"]).map(sqlListener) } } : {}),
  };
}

function sqlModules(modules: Table): Table {
  const schemas = moduleSchemas();
  const all = Object.entries(modules).map(([name, options]) => {
    if (!isTable(options) || "backend" in options) return [name, options] as const;
    const kept = { ...options, backend: "rdbms" };
    return [name, schemas[name]?.safeParse(kept).success ? kept : options] as const;
  });
  return Object.fromEntries(all);
}

function sqlAccounts({ internal, ...auth }: Table): Table {
  const methods = internalToSql(auth["methods"]);
  return { ...auth, ...(methods === undefined ? {} : { methods }), ...(internal === undefined ? {} : { rdbms: {} }) };
}

function sqlListener(listener: Table): Table {
  const allowed = internalToSql(listener["allowed_auth_methods"]);
  return allowed === undefined ? listener : { ...listener, allowed_auth_methods: allowed };
}

const internalToSql = (methods: Toml | undefined): Toml | undefined =>
  Array.isArray(methods) ? methods.map((method) => (method === "internal" ? "rdbms" : method)) : undefined;

const isTable = (value: Toml | undefined): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const tables = (value: Toml | undefined): Table[] => (Array.isArray(value) ? value.filter(isTable) : []);
