// outgoing_pools.rdbms: which pool serves whom, what each option does, and what a server does with several.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { databasesElsewhere, openPools } from "../../cmd/rdbms.ts";
import { moduleSchemas, type RunningServer, startServer } from "../../cmd/server.ts";
import { type Config, formatProblem, parseConfig } from "../../core/config/index.ts";
import { makeBare } from "../../core/jid.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import { renderMetrics } from "../../core/node-metrics.ts";
import type { Db } from "../../core/storage/db.ts";
import { openPgsql } from "../../core/storage/pgsql.ts";
import { DEFAULT_TAG, Pools } from "../../core/storage/pools.ts";
import { MemoryDb } from "../support/memory-db.ts";
import { mongooseimSchema } from "../support/mongooseim-ddl.ts";
import { pgsqlOptions } from "./db_each.ts";

function configOf(changes: Record<string, unknown>): Config {
  const text = stringify({
    general: { hosts: ["one.example", "two.example"], default_server_domain: "one.example" },
    auth: { methods: ["rdbms"], password: { format: "plain" }, rdbms: {} },
    modules: { mod_private: { backend: "rdbms" } },
    ...changes,
  });
  const { config, problems } = parseConfig(text, { file: "pools.toml", modules: moduleSchemas() });
  if (!config) throw new Error(problems.map(formatProblem).join("\n"));
  return config;
}

describe("which pool serves whom", () => {
  const pool = (tag: string, hostType?: string) => ({
    tag,
    hostType,
    driver: "pgsql",
    place: "",
    workers: 1,
    db: new MemoryDb() as Db,
    calls: {},
  });
  const [global, own, other] = [pool(DEFAULT_TAG), pool(DEFAULT_TAG, "two.example"), pool("domains")];
  const embedded = new MemoryDb() as Db;
  const pools = new Pools(embedded, [global, own, other]);
  const hostTypes = ["one.example", "two.example"];

  test("a host type's own pool goes before the server's of the same tag", () => {
    expect(pools.db("rdbms", "two.example")).toBe(own.db);
    expect(pools.db("rdbms_async", "two.example")).toBe(own.db);
    expect(pools.db("rdbms", "one.example")).toBe(global.db);
    expect(pools.db("rdbms")).toBe(global.db);
  });

  test("other back ends, and rdbms where there is no pool, are the embedded store", () => {
    expect(pools.db("mnesia", "two.example")).toBe(embedded);
    expect(pools.db(undefined)).toBe(embedded);
    expect(new Pools(embedded, [own]).db("rdbms", "one.example")).toBe(embedded);
  });

  test("services.service_domain_db.db_pool", () => {
    expect(pools.named("global", hostTypes)).toBe(global.db);
    expect(pools.named("two.example", hostTypes)).toBe(own.db);
    expect(pools.named("domains", hostTypes)).toBe(other.db);
    expect(pools.named("one.example", hostTypes)).toBeUndefined();
    expect(pools.named("nowhere", hostTypes)).toBeUndefined();
  });
});

describe("pools of files", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "pools-"));
  const log = new Log({ sink: new MemorySink(), level: "info" });
  afterAll(() => rmSync(stateDir, { recursive: true }));

  test("two pools on one file share it; a host type has its own", async () => {
    const file = (database: string) => ({ connection: { driver: "sqlite", database } });
    const config = configOf({
      outgoing_pools: { rdbms: { default: file("a.db"), more: file("a.db") } },
      host_config: [{ host: "two.example", outgoing_pools: { rdbms: { default: file("b.db") } } }],
    });
    const pools = await openPools(config, { stateDir, log });
    expect(pools.get("more")?.db).toBe(pools.get("default")?.db);
    expect(pools.databases().size).toBe(3);
    await pools
      .db("rdbms", "two.example")
      .upsert("last", { server: "two.example", username: "u" }, { seconds: 1, state: "" });
    expect(await pools.db("rdbms").query("SELECT 1 FROM last")).toEqual([]);
    await pools.close();
    expect([existsSync(join(stateDir, "a.db")), existsSync(join(stateDir, "b.db"))]).toEqual([true, true]);
  });

  test("the embedded store's own file, however it is written, is the embedded store", async () => {
    for (const database of [
      "mongooseim.db",
      "./mongooseim.db",
      "x/../mongooseim.db",
      join(stateDir, "mongooseim.db"),
    ]) {
      const rdbms = { default: { connection: { driver: "sqlite", database } } };
      const pools = await openPools(configOf({ outgoing_pools: { rdbms } }), { stateDir, log });
      expect(pools.db("rdbms"), database).toBe(pools.db("mnesia"));
      await pools.close();
    }
  });

  test("what backups do not have is named: they look into no other directory", () => {
    const named = (database: string) => {
      const rdbms = { default: { connection: { driver: "sqlite", database } } };
      return databasesElsewhere(configOf({ outgoing_pools: { rdbms } })).map((e) => e.database);
    };
    for (const database of ["a.db", "./a.db", "b/../a.db"]) expect(named(database), database).toEqual([]);
    for (const database of ["b/a.db", "../a.db", "/srv/a.db"]) expect(named(database), database).toEqual([database]);
  });

  test("a db_pool that is nowhere ends the start with one line", async () => {
    const config = configOf({ services: { service_domain_db: { db_pool: "nowhere" } } });
    await expect(openPools(config, { stateDir, log })).rejects.toThrow(
      /^Cannot use "nowhere" as services\.service_domain_db\.db_pool: /,
    );
    // Nothing was left open: the file can be had again.
    await (await openPools(configOf({}), { stateDir, log })).close();
  });
});

describe.skipIf(process.env["TEST_PGSQL"] === undefined)("pools of PostgreSQL", () => {
  const names = ["main", "two", "domains"].map((name) => `pools_${name}_${crypto.randomUUID().replaceAll("-", "")}`);
  const [main, two, domains] = names;
  const stateDir = mkdtempSync(join(tmpdir(), "pools-"));
  let maintenance: Db;
  let server: RunningServer | undefined;

  beforeAll(async () => {
    maintenance = await openPgsql({ ...pgsqlOptions(), statementTimeoutMs: 30_000 });
    for (const name of names) await maintenance.execute(`CREATE DATABASE ${name}`);
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });
  afterAll(async () => {
    for (const name of names) await maintenance.execute(`DROP DATABASE ${name} WITH (FORCE)`);
    await maintenance.close();
    rmSync(stateDir, { recursive: true });
  });

  const connection = (database: string, more: Record<string, unknown> = {}) => {
    const { host, port, username, password = "" } = pgsqlOptions();
    return { driver: "pgsql", host, port, username, password, database, ...more };
  };
  let sink = new MemorySink();
  const start = async (changes: Record<string, unknown>): Promise<RunningServer> => {
    sink = new MemorySink();
    const log = new Log({ sink, level: "info", format: "json" });
    server = await startServer(configOf(changes), { stateDir, databasePatienceMs: 0 }, log);
    return server;
  };
  const rows = async (database: string, sql: string): Promise<object[]> => {
    const db = await openPgsql(pgsqlOptions(database));
    const found = await db.query(sql);
    await db.close();
    return found;
  };

  test("accounts and features of a host type are in its own database, domains in that of db_pool", async () => {
    const { node } = await start({
      general: { hosts: ["one.example", "two.example"], host_types: ["dynamic"], default_server_domain: "one.example" },
      services: { service_domain_db: { db_pool: "domains" } },
      outgoing_pools: {
        rdbms: {
          default: { workers: 2, connection: connection(main) },
          domains: { workers: 1, connection: connection(domains) },
        },
      },
      host_config: [
        { host: "two.example", outgoing_pools: { rdbms: { default: { workers: 2, connection: connection(two) } } } },
      ],
    });
    expect(await node.hostOf("one.example")?.auth.create("u", "one.example", "secret")).toBe("ok");
    expect(await node.hostOf("two.example")?.auth.create("u", "two.example", "secret")).toBe("ok");
    expect(await node.domains.add("new.example", "dynamic")).toMatchObject({ domain: "new.example" });
    expect(await rows(main, "SELECT server FROM users")).toEqual([{ server: "one.example" }]);
    expect(await rows(two, "SELECT server FROM users")).toEqual([{ server: "two.example" }]);
    expect(await rows(domains, "SELECT domain FROM domain_settings")).toEqual([{ domain: "new.example" }]);
    const metrics = renderMetrics(node);
    expect(metrics).toContain('wpool_global_queue_lengths_total{pool_tag="default",pool_type="rdbms"} 0');
    expect(metrics).toContain('wpool_global_queue_lengths_total{pool_tag="domains",pool_type="rdbms"} 0');
    expect(metrics).toMatch(/wpool_queue_lengths_total\{.*host_type="two.example".*\} 0/);
    expect(metrics).toMatch(/wpool_rdbms_stats_recv_oct\{.*host_type="two.example".*\} [1-9]/);
    expect(metrics).toMatch(/mongoose_rdbms_pgsql_count\{function="execute"\} [1-9]/);
    expect(metrics.match(/storage_up\{.*\} 1/g)).toHaveLength(4);
  });

  test("scope host_type: a pool for each host type, which need not be asked for by anything", async () => {
    const { node } = await start({
      outgoing_pools: {
        rdbms: {
          default: { scope: "host_type", workers: 1, connection: connection(main) },
          idle: { workers: 1, connection: connection(main) },
        },
      },
    });
    expect(node.pools.all.map(({ tag, hostType }) => [tag, hostType])).toEqual([
      ["idle", undefined],
      ["default", "one.example"],
      ["default", "two.example"],
    ]);
    expect(node.db("rdbms", "one.example")).not.toBe(node.db("rdbms", "two.example"));
    expect(node.db("rdbms").dialect).toBe("sqlite");
  });

  test("a setting that the server does not know ends the start, and is not waited for", async () => {
    const rdbms = { default: { connection: connection(main, { driver: "cockroachdb" }) } };
    const log = new Log({ sink, level: "info", format: "json" });
    const opened = openPools(configOf({ outgoing_pools: { rdbms } }), { stateDir, log, patienceMs: 2000 });
    const started = performance.now();
    await expect(opened).rejects.toThrow("serial_normalization");
    expect(performance.now() - started).toBeLessThan(1500);
  });

  test("max_worker_queue_len bounds what waits, call_timeout how long, query_timeout what runs", async () => {
    const { node } = await start({
      outgoing_pools: {
        rdbms: {
          default: { workers: 2, max_worker_queue_len: 3, call_timeout: 600, connection: connection(main) },
          slow: { workers: 1, connection: connection(main, { query_timeout: 200 }) },
        },
      },
    });
    const sleep = (db: Db, seconds: number) => db.query("SELECT CAST(pg_sleep(?) AS text) AS s", [seconds]);
    const db = node.db("rdbms");
    const asked = await Promise.allSettled(Array.from({ length: 9 }, () => sleep(db, 0.01)));
    expect(asked.map(({ status }) => status === "fulfilled")).toEqual([...Array(8).fill(true), false]);
    const started = performance.now();
    await expect(sleep(db, 3)).rejects.toMatchObject({ code: "unavailable", message: "no answer within 600 ms" });
    expect(performance.now() - started).toBeLessThan(1500);
    const slow = node.pools.get("slow")?.db as Db;
    await expect(sleep(slow, 3)).rejects.toMatchObject({ code: "timeout" });
  });

  test("an account is removed through a pool in which hardly anything may wait", async () => {
    const { node } = await start({
      outgoing_pools: {
        rdbms: { default: { workers: 1, max_worker_queue_len: 1, connection: connection(main) } },
      },
    });
    const auth = node.hostOf("one.example")!.auth;
    expect(await auth.create("leaving", "one.example", "secret")).toBe("ok");
    expect(await node.removeUser(makeBare("leaving", "one.example"))).toBe(true);
    expect(sink.lines.join()).not.toContain("user_data_not_removed");
    expect(await auth.create("leaving", "one.example", "secret")).toBe("ok");
  });

  test("what is done to a database of MongooseIM is told before it is done, and to a new one it is not", async () => {
    const name = `pools_old_${crypto.randomUUID().replaceAll("-", "")}`;
    await maintenance.execute(`CREATE DATABASE ${name}`);
    names.push(name);
    const old = await openPgsql(pgsqlOptions(name));
    for (const sql of mongooseimSchema("pgsql", "6.0")) await old.execute(sql);
    await old.close();
    const pool = (database: string) => ({ workers: 1, connection: connection(database) });
    await start({ outgoing_pools: { rdbms: { default: pool(name), main: pool(main) } } });
    const { host, port } = pgsqlOptions();
    const told = sink.lines.map((line) => JSON.parse(line)).filter(({ what }) => what === "database_upgrade");
    expect(new Set(told.map(({ database }) => database))).toEqual(new Set([`${host}:${port}/${name}`]));
    expect(told).toContainEqual(expect.objectContaining({ step: 16, name: "mongooseim_columns", level: "warning" }));
    expect(told).not.toContainEqual(expect.objectContaining({ name: "mongooseim_keys" }));
    await server?.close();
    await start({ outgoing_pools: { rdbms: { default: pool(name) } } });
    expect(sink.lines.join()).not.toContain("database_upgrade");
  });

  test("what is longer than timers can wait is as long as they can, and not at once", async () => {
    const forever = {
      query_timeout: 99_999_999_999,
      keepalive_interval: 99_999_999,
      max_start_interval: 99_999_999_999,
    };
    const { node } = await start({
      outgoing_pools: {
        rdbms: { default: { workers: 2, call_timeout: 99_999_999_999, connection: connection(main, forever) } },
      },
    });
    const db = node.db("rdbms");
    expect(await db.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    const { sent } = db.stats().wire!;
    const before = sent.count;
    expect(before).toBeGreaterThan(0);
    await Bun.sleep(200);
    expect(sent.count).toBe(before);
  });
});
