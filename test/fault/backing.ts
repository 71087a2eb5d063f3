// The database under the server of a test: the embedded store, or one of its own on a database server.

import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import type { Db } from "../../core/storage/db.ts";
import { openStorage } from "../../core/storage/index.ts";
import { auth, pool } from "../support/config-text.ts";

/** Gives the rows of a statement without parameters. */
export type Sql = (statement: string) => Promise<Record<string, unknown>[]>;

export interface Backing {
  readonly name: "embedded" | "pgsql" | "mysql";
  /** The sections of the configuration that lead to it. */
  readonly config: string;
  readonly stateDir: string;
  /** Asks the database, past the server. */
  readonly sql: Sql;
  /** Opens the database as the server has it; of the embedded store the server must be down. */
  open(): Promise<Db>;
  /** The names of all tables. */
  tables(): Promise<string[]>;
  /** Removes the database and the state directory. */
  leave(): Promise<void>;
}

export interface ServiceOptions {
  /** Where the server finds the database server, when that is not where it is. */
  readonly through?: { readonly host: string; readonly port: number };
  readonly workers?: number;
  /** Other options of the connection. */
  readonly more?: readonly string[];
}

const newStateDir = (): string => mkdtempSync(join(tmpdir(), "mongooseim-fault-"));
const removeDir = (dir: string): void => rmSync(dir, { recursive: true, force: true });
const names = (rows: readonly Record<string, unknown>[]): string[] => rows.map((row) => String(row["name"]));

export function embedded(): Backing {
  const stateDir = newStateDir();
  const sql: Sql = async (statement) => {
    const db = new Database(join(stateDir, "mongooseim.db"), { readonly: true });
    try {
      return db.query<Record<string, unknown>, []>(statement).all();
    } finally {
      db.close();
    }
  };
  return {
    name: "embedded",
    config: auth("internal", { plain: true }),
    stateDir,
    sql,
    open: () => openStorage({ stateDir }),
    tables: async () =>
      names(await sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")),
    leave: async () => removeDir(stateDir),
  };
}

/** @param url of a server where databases may be made */
export async function onService(
  kind: "pgsql" | "mysql",
  url: string,
  { through, workers, more }: ServiceOptions = {},
): Promise<Backing> {
  const { hostname: host, port, username, password } = new URL(url);
  const database = `fault_${crypto.randomUUID().replaceAll("-", "")}`;
  const maintenance = new SQL(url, { max: 1 });
  await maintenance.unsafe(`CREATE DATABASE ${database}`);
  const stateDir = newStateDir();
  const at = { host, port: Number(port), database, username, password };
  const db = new SQL(url.replace(/[^/]*$/, database), { max: 2 });
  const sql: Sql = async (statement) => [...(await db.unsafe(statement))];
  const schema = kind === "pgsql" ? "'public'" : "DATABASE()";
  return {
    name: kind,
    config: `${pool({ driver: kind, ...at, ...through, workers, more })}${auth("rdbms", { plain: true })}`,
    stateDir,
    sql,
    open: () => openStorage(kind === "pgsql" ? { pgsql: { ...at, poolSize: 2 } } : { mysql: { ...at, poolSize: 2 } }),
    tables: async () =>
      names(await sql(`SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ${schema}`)),
    leave: async () => {
      await db.close();
      await maintenance.unsafe(`DROP DATABASE ${database}${kind === "pgsql" ? " WITH (FORCE)" : ""}`);
      await maintenance.close();
      removeDir(stateDir);
    },
  };
}
