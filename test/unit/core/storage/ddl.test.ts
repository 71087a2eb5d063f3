import { describe, expect, test } from "vitest";
import type { Dialect } from "../../../../core/storage/db.ts";
import { createTable, createType } from "../../../../core/storage/ddl.ts";
import { MONGOOSEIM_TABLES } from "../../../../core/storage/migrations/0001_mongooseim.ts";
import {
  bigint,
  boolean,
  NOW,
  oneOf,
  serial,
  type Table,
  text,
  timestamp,
  varchar,
} from "../../../../core/storage/schema.ts";

const create = (dialect: Dialect, table: Partial<Table>) => createTable(dialect, { name: "t", columns: {}, ...table });
const named = (name: string) => MONGOOSEIM_TABLES.find((table) => table.name === name) as Table;

describe("a column", () => {
  const column = (dialect: Dialect, c: Table["columns"][string]) =>
    create(dialect, { columns: { c } })[0].replace(/^.*\n {2}|\n\).*$/g, "");

  test.each([
    ["sqlite", varchar(250), "c TEXT NOT NULL"],
    ["pgsql", varchar(250), "c varchar(250) NOT NULL"],
    ["mysql", varchar(250, { mysql: "varbinary(250)" }), "c varbinary(250) NOT NULL"],
    ["pgsql", varchar(undefined, { nullable: true }), "c varchar"],
    ["mysql", text({ nullable: true }), "c text NULL"],
    ["sqlite", timestamp({ default: NOW }), "c TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"],
    ["pgsql", timestamp({ default: NOW }), "c timestamp NOT NULL DEFAULT now()"],
    ["sqlite", boolean({ default: false }), "c INTEGER NOT NULL DEFAULT 0"],
    ["pgsql", boolean({ default: false }), "c boolean NOT NULL DEFAULT FALSE"],
    ["pgsql", varchar(64, { default: "it's" }), "c varchar(64) NOT NULL DEFAULT 'it''s'"],
    ["sqlite", oneOf("e", ["I", "O"]), "c TEXT NOT NULL CHECK (c IN ('I', 'O'))"],
    ["pgsql", oneOf("e", ["I", "O"]), "c e NOT NULL"],
    ["mysql", oneOf("e", ["I", "O"]), "c enum('I', 'O') NOT NULL"],
    ["sqlite", serial(), "c INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"],
    ["pgsql", serial(), "c serial NOT NULL"],
    ["mysql", serial(), "c int unsigned NOT NULL auto_increment"],
  ] as const)("in %s (%#)", (dialect, declared, sql) => {
    expect(column(dialect, declared)).toBe(sql);
  });
});

test("an enum has a type of its own in PostgreSQL", () => {
  expect(createType(oneOf("mam_direction", ["I", "O"]))).toBe("CREATE TYPE mam_direction AS ENUM ('I', 'O')");
});

test("a counted column is SQLite's key, and the declared key is unique", () => {
  const [table, ...indexes] = createTable("sqlite", named("muc_light_rooms"));
  expect(table).toContain("id INTEGER PRIMARY KEY AUTOINCREMENT");
  expect(table).toContain("UNIQUE (lserver, luser)");
  expect(indexes).toEqual([]);
});

test("SQLite has no index that is the beginning of another", () => {
  const indexes = [
    { name: "i_a", columns: ["a"] },
    { name: "i_b", columns: ["b"] },
    { name: "u_a", columns: ["a"], unique: true },
  ];
  const table = { columns: { a: bigint(), b: bigint() }, primaryKey: ["a", "b"], indexes };
  expect(create("sqlite", table).slice(1)).toEqual([
    "CREATE INDEX IF NOT EXISTS i_b ON t (b)",
    "CREATE UNIQUE INDEX IF NOT EXISTS u_a ON t (a)",
  ]);
  expect(create("pgsql", table)).toHaveLength(4);
});

test("an index may hold some of the rows", () => {
  expect(createTable("pgsql", named("inbox"))).toContain(
    "CREATE INDEX IF NOT EXISTS i_inbox_box ON inbox (box) WHERE box = 'bin'",
  );
});

test("a MySQL table has its own keys and its indexes inside", () => {
  const [sql, ...more] = createTable("mysql", named("vcard"));
  expect(sql).toContain("PRIMARY KEY (username, server)");
  expect(sql).toMatch(/\) CHARACTER SET utf8mb4 .* ENGINE=InnoDB ROW_FORMAT=DYNAMIC$/);
  expect(createTable("mysql", named("last"))[0]).toContain("INDEX i_last_server_seconds (server, seconds)");
  expect(more).toEqual([]);
});

test("a MySQL archive is partitioned", () => {
  expect(createTable("mysql", named("mam_message"))[0]).toMatch(/PARTITION BY HASH\(user_id\) PARTITIONS 32$/);
});

test("keys and indexes name columns that the table has", () => {
  const wrong = MONGOOSEIM_TABLES.flatMap(({ name, columns, mysql, ...keys }) =>
    [keys, mysql ?? {}].flatMap(({ primaryKey = [], indexes = [], foreignKeys = [] }) =>
      [...primaryKey, ...indexes.flatMap((i) => i.columns), ...foreignKeys.flatMap((f) => f.columns)]
        .filter((column) => !(column.replace(/\(\d+\)$/, "") in columns))
        .map((column) => `${name}.${column}`),
    ),
  );
  expect(wrong).toEqual([]);
});

test("a table stands after those that it refers to", () => {
  const order = MONGOOSEIM_TABLES.map(({ name }) => name);
  for (const { name, foreignKeys = [] } of MONGOOSEIM_TABLES)
    for (const { table } of foreignKeys) expect(order.indexOf(table)).toBeLessThan(order.indexOf(name));
});

test("MongooseIM 6.8 has 47 tables that are not for its tests", () => {
  expect(new Set(MONGOOSEIM_TABLES.map(({ name }) => name)).size).toBe(47);
});
