// `mongooseimctl schema`: the embedded database, and what there is to say of others. (Those of MongooseIM are in
// test/storage/mongooseim_schema.test.ts.)

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStorage } from "../../../../core/storage/index.ts";
import { MIGRATIONS } from "../../../../core/storage/migrations/index.ts";
import { migrate } from "../../../../core/storage/migrations/runner.ts";
import { openSqlite } from "../../../../core/storage/sqlite/client.ts";
import { type World, world } from "./world.ts";

let w: World;
beforeEach(() => {
  w = world();
});
afterEach(() => w.close());

const file = (): string => join(w.stateDir, "mongooseim.db");

async function olderDatabase(): Promise<void> {
  const db = await openSqlite({ file: file() });
  await migrate(db, { migrations: MIGRATIONS.filter(({ id }) => id <= 2) });
  await db.close();
}

test("a database that is not there yet is made when the server starts", async () => {
  const line = `embedded database (${file()}): not there yet, made when the server starts\n`;
  expect(await w.run("schema", "check")).toEqual([0, line, ""]);
  expect(await w.run("schema", "upgrade")).toEqual([0, line, ""]);
});

test("an older database is told, its statements printed, and it is brought up to date", async () => {
  await olderDatabase();
  const [code, out] = await w.run("schema", "check");
  expect(code).toBe(4);
  expect(out).toMatch(
    /: not up to date; tables of MongooseIM 6\.8\n {2}\d+ statements would be run, see schema upgrade --dry-run\n$/,
  );
  const [dry, printed] = await w.run("schema", "upgrade", "--dry-run");
  expect(dry).toBe(0);
  expect(printed).toMatch(/^-- embedded database \(.*\)\nCREATE TABLE IF NOT EXISTS mongooseim_pubsub_config \(.*;\n/);
  expect(printed).toContain("INSERT INTO mongooseim_migrations (id, name) VALUES (4, 'pep');\n");
  expect((await w.run("schema", "check"))[0]).toBe(4);
  const [done, steps] = await w.run("schema", "upgrade");
  expect([done, steps.includes("embedded database: step 4, pep, done\n")]).toEqual([0, true]);
  expect(await w.run("schema", "check")).toEqual([0, expect.stringContaining(": up to date; "), ""]);
  expect(await w.run("schema", "upgrade")).toEqual([0, "embedded database: up to date\n", ""]);
});

test("what is printed can be run by hand", async () => {
  await olderDatabase();
  const [, printed] = await w.run("schema", "upgrade", "--dry-run");
  const db = await openSqlite({ file: file() });
  for (const line of printed.split("\n")) if (line.endsWith(";")) await db.execute(line.slice(0, -1));
  await db.close();
  expect((await w.run("schema", "check"))[0]).toBe(0);
});

test("a database that a server uses is left to it", async () => {
  const db = await openStorage({ stateDir: w.stateDir });
  expect(await w.run("schema", "upgrade")).toEqual([
    0,
    `embedded database (${file()}): in use by a server, which saw to it when it started\n`,
    "",
  ]);
  await db.close();
});

test("a database that cannot be used, or reached, ends with 1, and the others are seen to", async () => {
  await olderDatabase();
  const db = await openSqlite({ file: file() });
  await db.execute("DROP TABLE users");
  await db.close();
  expect(await w.run("schema", "check")).toEqual([
    1,
    expect.stringMatching(/: cannot be used; tables of MongooseIM 6\.8\n {2}users is missing\n$/),
    "",
  ]);
  const config = join(w.stateDir, "mongooseim.toml");
  writeFileSync(
    config,
    `[general]
  hosts = ["localhost"]
  default_server_domain = "localhost"
[outgoing_pools.rdbms.default.connection]
  driver = "pgsql"
  host = "127.0.0.1"
  port = 1
  database = "x"
  username = "x"
  password = "x"
`,
  );
  const [code, , err] = await w.run("schema", "upgrade", "--config", config);
  expect(code).toBe(1);
  expect(err).toMatch(/embedded database \(.*\): Cannot use database: users is missing\n/);
  expect(err).toMatch(/outgoing_pools\.rdbms\.default \(127\.0\.0\.1:1\/x\): Cannot reach PostgreSQL/);
});

test("a configuration that is wrong, or not there, ends with 1", async () => {
  const [code, , err] = await w.run("schema", "check", "--config", "/nonexistent.toml");
  expect([code, err]).toEqual([1, expect.stringContaining('Cannot read "/nonexistent.toml"')]);
  const config = join(w.stateDir, "mongooseim.toml");
  writeFileSync(config, "[general]\n  hosts = 5\n");
  expect((await w.run("schema", "upgrade", "--config", config))[0]).toBe(1);
});

test("schema alone shows what it can do", async () => {
  const [code, , err] = await w.run("schema");
  expect([code, err]).toEqual([2, expect.stringMatching(/check[\s\S]*upgrade/)]);
});
