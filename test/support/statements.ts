// What a store asks of its database: a database that notes every statement, and how each of them would be carried out.
import { Database } from "bun:sqlite";
import type { Db, SqlValue, Statement } from "../../core/storage/db.ts";

/** The database, and the statements that it is given from now on, one of each text. */
export function noting(db: Db): { db: Db; statements: Map<string, readonly SqlValue[]> } {
  const statements = new Map<string, readonly SqlValue[]>();
  const note = ({ sql, params = [] }: Statement): void => {
    if (!statements.has(sql)) statements.set(sql, params);
  };
  const noted: Db = {
    dialect: db.dialect,
    query: (sql, params = []) => {
      note({ sql, params });
      return db.query(sql, params);
    },
    scan: (sql, params = []) => {
      note({ sql, params });
      return db.scan(sql, params);
    },
    execute: (sql, params = []) => {
      note({ sql, params });
      return db.execute(sql, params);
    },
    transaction: (all) => {
      for (const one of all) note(one);
      return db.transaction(all);
    },
    // By a whole key.
    upsert: (table, keys, values) => db.upsert(table, keys, values),
    insertNew: (table, row) => db.insertNew(table, row),
    insertMany: (table, columns, rows) => db.insertMany(table, columns, rows),
    stats: () => db.stats(),
    close: () => db.close(),
  };
  return { db: noted, statements };
}

/** How a statement gets at the rows of a table. */
export interface Access {
  /** Name or alias. */
  readonly table: string;
  /** What the database says. */
  readonly how: string;
  /** Columns that lead to the rows through an index; none when all rows are read. */
  readonly by: readonly string[];
}

/** How a statement would be carried out. PostgreSQL must have been told not to read whole tables where it need not. */
export function accesses(db: Db, sql: string, params: readonly SqlValue[]): Promise<Access[]> {
  return { sqlite: sqliteAccesses, pgsql: pgsqlAccesses, mysql: mysqlAccesses }[db.dialect](db, sql, params);
}

/** Whether a name is that of something that the statement makes itself. */
const isOwn = (sql: string, name: string): boolean =>
  new RegExp(`\\)\\s+(AS\\s+)?${name}\\b|WITH\\s+(RECURSIVE\\s+)?${name}\\b`).test(sql);

/** Beside the server's own connection, which takes what is no SELECT for a write. */
async function sqliteAccesses(db: Db, sql: string): Promise<Access[]> {
  const [{ file }] = await db.query<{ file: string }>("SELECT file FROM pragma_database_list WHERE name = 'main'");
  const beside = new Database(file, { readonly: true });
  const rows = beside.query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${sql}`).all();
  beside.close();
  return rows.flatMap(({ detail: how }) => {
    const [, verb, table] = /^(SCAN|SEARCH) (\w+)/.exec(how) ?? [];
    if (verb === undefined || /CONSTANT ROW/.test(how) || isOwn(sql, table)) return [];
    // Columns that are compared for less or more lead nowhere by themselves.
    const by = [...how.matchAll(/(\w+)=\?/g)].map(([, column]) => column);
    return [{ table, how, by }];
  });
}

interface PgsqlPlan {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Index Cond"?: string;
  Plans?: PgsqlPlan[];
}

async function pgsqlAccesses(db: Db, sql: string, params: readonly SqlValue[]): Promise<Access[]> {
  const [row] = await db.query<{ "QUERY PLAN": unknown }>(`EXPLAIN (FORMAT JSON) ${sql}`, params);
  const told = row["QUERY PLAN"];
  const [{ Plan: root }] = (typeof told === "string" ? JSON.parse(told) : told) as [{ Plan: PgsqlPlan }];
  const leading = await db.query<{ index: string; first: string }>(
    `SELECT i.indexrelid::regclass::text AS index, a.attname::text AS first FROM pg_index i
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]`,
  );
  const found: Access[] = [];
  const walk = (plan: PgsqlPlan, relation: string | undefined): void => {
    const table = plan["Relation Name"] ?? relation;
    if (/^(Seq|Index|Index Only|Bitmap Index) Scan$/.test(plan["Node Type"]) && table !== undefined) {
      const condition = plan["Index Cond"] ?? "";
      const by = [...condition.matchAll(/(\w+)\)?(?:::\w+)? = /g)].map(([, column]) => column);
      // Without its first column an index is read from end to end.
      const first = leading.find(({ index }) => index === plan["Index Name"])?.first;
      const how = `${plan["Node Type"]} ${plan["Index Name"] ?? ""} ${condition}`;
      found.push({ table, how, by: first !== undefined && by.includes(first) ? by : [] });
    }
    for (const child of plan.Plans ?? []) walk(child, table);
  };
  walk(root, undefined);
  return found;
}

async function mysqlAccesses(db: Db, sql: string, params: readonly SqlValue[]): Promise<Access[]> {
  const [{ EXPLAIN: told }] = await db.query<{ EXPLAIN: string }>(`EXPLAIN FORMAT=JSON ${sql}`, params);
  // Not parsed: MariaDB does not escape the quotation marks in conditions.
  return told
    .split('"table_name": ')
    .slice(1)
    .flatMap((text) => {
      const table = /^"([^"]*)"/.exec(text)?.[1] ?? "";
      const type = /"access_type": "(\w+)"/.exec(text)?.[1];
      // What a query makes itself, and rows that were looked up to make the plan.
      if (table.startsWith("<") || type === undefined) return [];
      const by = /"used_key_parts": \[([^\]]*)\]/.exec(text)?.[1].match(/\w+/g) ?? [];
      const rows = /"rows(?:_examined_per_scan)?": (\d+)/.exec(text)?.[1];
      const how = `${type} ${/"key": "(\w+)"/.exec(text)?.[1]} ${rows} rows`;
      return [{ table, how, by: type === "ALL" || type === "index" ? [] : by }];
    });
}
