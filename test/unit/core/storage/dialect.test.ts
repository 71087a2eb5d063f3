import { expect, test } from "vitest";
import { DIALECTS, escapeLike, Statements } from "../../../../core/storage/dialect.ts";
import { numberPlaceholders } from "../../../../core/storage/placeholders.ts";

test.each([
  ["sqlite", "INSERT INTO t (k, v, w) VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v, w = excluded.w"],
  ["pgsql", "INSERT INTO t (k, v, w) VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v, w = excluded.w"],
  ["mysql", "INSERT INTO t (k, v, w) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v), w = VALUES(w)"],
] as const)("%s updates a row that exists", (dialect, sql) => {
  expect(DIALECTS[dialect].upsert("t", ["k"], ["v", "w"])).toBe(sql);
});

test.each([
  ["sqlite", "INSERT INTO t (k) VALUES (?) ON CONFLICT (k) DO NOTHING"],
  ["pgsql", "INSERT INTO t (k) VALUES (?) ON CONFLICT (k) DO NOTHING"],
  ["mysql", "INSERT INTO t (k) VALUES (?) ON DUPLICATE KEY UPDATE k = k"],
] as const)("%s leaves a row that exists when there is nothing to update", (dialect, sql) => {
  expect(DIALECTS[dialect].upsert("t", ["k"], [])).toBe(sql);
});

test.each([
  ["sqlite", "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT DO NOTHING"],
  ["pgsql", "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT DO NOTHING"],
  ["mysql", "INSERT INTO t (a, b) VALUES (?, ?) ON DUPLICATE KEY UPDATE a = a"],
] as const)("%s inserts a row only when it is new", (dialect, sql) => {
  expect(DIALECTS[dialect].insertNew("t", ["a", "b"])).toBe(sql);
});

test("statements of the same columns in other places are not mixed up", () => {
  const statements = new Statements(DIALECTS.sqlite);
  expect(statements.upsert("t", ["a"], ["b"])).not.toBe(statements.upsert("t", ["a", "b"], []));
  expect(statements.upsert("t", ["a"], ["b"])).toBe(statements.upsert("t", ["a"], ["b"]));
});

test("the wildcards of LIKE are escaped as MongooseIM escapes them", () => {
  expect(escapeLike("100%_$a")).toBe("100$%$_$$a");
});

test.each([
  ["SELECT ? WHERE a = ?", "SELECT $1 WHERE a = $2"],
  ["SELECT 'what?', ?", "SELECT 'what?', $1"],
  ["SELECT 'it''s ?', ?", "SELECT 'it''s ?', $1"],
  ["SELECT E'it\\'s ?', ?", "SELECT E'it\\'s ?', $1"],
  ['SELECT "a?""b?" FROM t WHERE c = ?', 'SELECT "a?""b?" FROM t WHERE c = $1'],
  ["SELECT ? -- why?\n, ?", "SELECT $1 -- why?\n, $2"],
  ["SELECT /* why? */ ?", "SELECT /* why? */ $1"],
  ["SELECT $$what?$$, $a$it's ?$a$, ?", "SELECT $$what?$$, $a$it's ?$a$, $1"],
  ["SELECT 1", "SELECT 1"],
])("%j has its placeholders numbered", (sql, numbered) => {
  expect(numberPlaceholders(sql)).toBe(numbered);
});
