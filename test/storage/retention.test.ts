// [retention] on the stores that take part in it: what a clean-up costs, and that nothing goes that is young enough.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Config, formatProblem, parseConfig } from "../../core/config/index.ts";
import { Log, MemorySink } from "../../core/log/index.ts";
import { idsAt } from "../../core/message-id.ts";
import { Registry } from "../../core/metrics/registry.ts";
import type { Retained, RetentionKind, RunningModule } from "../../core/module.ts";
import { type Cleaned, Retention } from "../../core/retention/cleaner.ts";
import type { Db, SqlValue, Statement } from "../../core/storage/db.ts";
import { openStorage } from "../../core/storage/index.ts";
import { Bin } from "../../modules/mod_inbox/bin.ts";
import mam from "../../modules/mod_mam/index.ts";
import { COLUMNS } from "../../modules/mod_mam/sql/archive.ts";
import { MamStore, type PmArchive } from "../../modules/mod_mam/store.ts";
import { OfflineStore } from "../../modules/mod_offline/store.ts";
import { allSteps } from "../support/steps.ts";
import { mysqlOptions, onEachDatabase, pgsqlOptions, type TestDatabase } from "./db_each.ts";

const DAY = 86_400_000;
const NOW = 1_790_000_000_000;
const KINDS = ["archive", "offline", "inbox_bin"] as const;
type Kind = (typeof KINDS)[number];
const silent = { flushed() {}, dropped() {}, unfit() {} };

/** A row: whose, and of what time in microseconds since 1970. */
interface Aged {
  readonly domain: string;
  readonly user: number;
  readonly at: number;
}

onEachDatabase("retention", (database: TestDatabase) => {
  let db: Db;
  /** What the stores have asked for. */
  let asked: Statement[] = [];
  let requests = 0;
  let stores: Record<Kind, Retained>;
  let rows = 0;

  beforeAll(async () => {
    // Counters of rows are a connection's.
    db = await single(await database.open());
    const watched = watch(db, (statements) => {
      requests++;
      asked.push(...statements);
    });
    const archives = new MamStore(watched);
    archives.pm = { backend: archives.sql({ cache_users: true }, silent).sql } as unknown as PmArchive;
    stores = {
      archive: mam.retention!.archive!(archives),
      offline: new OfflineStore(watched),
      inbox_bin: new Bin(watched, { settled: () => undefined, gone() {} }),
    };
  });

  const opened: Db[] = [];
  afterAll(async () => {
    for (const each of opened) await each.close();
  });

  async function single(several: Db): Promise<Db> {
    if (database.dialect === "sqlite") return several;
    const name = database.dialect === "pgsql" ? "current_database()" : "database()";
    const [{ at }] = await several.query<{ at: string }>(`SELECT ${name} AS at`);
    const one = await (database.dialect === "pgsql"
      ? openStorage({ pgsql: { ...pgsqlOptions(at), poolSize: 1 } })
      : openStorage({ mysql: { ...mysqlOptions(at), poolSize: 1 } }));
    opened.push(one);
    return one;
  }

  async function insert(kind: Kind, some: readonly Aged[]): Promise<void> {
    if (kind === "offline") {
      const columns = ["timestamp", "expire", "server", "username", "from_jid", "packet", "permanent_fields"];
      const values = some.map(({ domain, user, at }) => [at, null, domain, `u${user}`, "a@b/c", "<message/>", null]);
      return db.insertMany("offline_message", columns, values);
    }
    if (kind === "inbox_bin") {
      const columns = ["luser", "lserver", "remote_bare_jid", "box", "content", "timestamp", "unread_count"];
      const values = some.flatMap(({ domain, user, at }) =>
        // Beside each entry of the bin one of the same time that is not in the bin: it stays.
        ["bin", "inbox"].map((box) => [`u${user}`, domain, `${box}${rows++}@x`, box, new Uint8Array([1]), at, 0]),
      );
      return db.insertMany("inbox", columns, values);
    }
    const numbers = new Map<string, number>();
    for (const { domain, user } of some) {
      const key = { server: domain, user_name: `u${user}` };
      if (numbers.has(`${user}@${domain}`)) continue;
      await db.insertNew("mam_server_user", key);
      const sql = "SELECT id FROM mam_server_user WHERE server = ? AND user_name = ?";
      const [{ id }] = await db.query<{ id: number }>(sql, [domain, key.user_name]);
      numbers.set(`${user}@${domain}`, Number(id));
    }
    const seen = new Map<number, bigint>();
    const values = some.map(({ domain, user, at }): SqlValue[] => {
      // Of any node; two of the same microsecond are of two nodes.
      const n = (seen.get(at) ?? -1n) + 1n;
      seen.set(at, n);
      const id = idsAt(at).lowest + n;
      return [id, numbers.get(`${user}@${domain}`)!, "a@b/c", "a@b", "c", "I", new Uint8Array([1]), "", null, false];
    });
    return db.insertMany("mam_message", COLUMNS, values);
  }

  /** The times of a domain's rows, in order. */
  async function left(kind: Kind, domain: string): Promise<number[]> {
    const sql = {
      archive:
        "SELECT m.id AS at FROM mam_message m JOIN mam_server_user u ON u.id = m.user_id WHERE u.server = ? ORDER BY m.id",
      offline: "SELECT timestamp AS at FROM offline_message WHERE server = ? ORDER BY timestamp",
      inbox_bin: "SELECT timestamp AS at FROM inbox WHERE box = 'bin' AND lserver = ? ORDER BY timestamp",
    }[kind];
    const found = await db.query<{ at: number | bigint | string }>(sql, [domain]);
    return found.map(({ at }) => (kind === "archive" ? Number(BigInt(at) >> 8n) : Number(at)));
  }

  describe.each(KINDS)("%s", (kind) => {
    const domain = `${kind.replace("_", "-")}.example`;
    const other = `other.${domain}`;
    const USERS = 300;
    const EACH = 20;
    const before = NOW - 30 * DAY;

    beforeAll(async () => {
      // Of each user's messages a half is old; what others' domain has is as old.
      const all: Aged[] = [];
      for (let user = 0; user < USERS; user++) {
        for (let i = 0; i < EACH; i++) {
          const at = (before + (i - EACH / 2) * 1000) * 1000 + user;
          all.push({ domain, user, at }, { domain: other, user, at });
        }
      }
      await insert(kind, all);
    }, 60_000);

    const OLD = (USERS * EACH) / 2;
    // Of inboxes what is not in the bin is looked at too.
    const HERE = USERS * EACH * (kind === "inbox_bin" ? 2 : 1);

    test("what a clean-up reads grows with the rows, and not with the batches", async () => {
      const rest = await left(kind, other);
      const counted = await rowsRead(database.dialect, db, async () => {
        expect(await stores[kind].countBefore(domain, before)).toBe(OLD);
      });
      const steps: number[] = [];
      [asked, requests] = [[], 0];
      const read = await rowsRead(database.dialect, db, async () => {
        for await (const n of stores[kind].deleteBefore(domain, before, 20)) steps.push(n);
      });
      expect(steps.reduce((a, b) => a + b)).toBe(OLD);
      expect(Math.max(...steps)).toBe(20);
      // Whichever index is taken: each row is found, looked at and deleted, a few reads each; a batch of twenty that
      // read the domain would make it 150 times as much.
      if (read !== undefined) expect(read).toBeLessThan(8 * HERE);
      if (counted !== undefined) expect(counted).toBeLessThan(4 * HERE);
      expect(requests).toBeLessThan(2 * steps.length + 2 * USERS);
      if (database.dialect === "sqlite") await expectIndexed(db, asked);
      expect(await left(kind, other)).toEqual(rest);
      expect((await left(kind, domain)).every((at) => at >= before * 1000)).toBe(true);
      expect(await left(kind, domain)).toHaveLength(OLD);
    });

    test("one that finds nothing looks at each row once or twice, of an archive at the oldest message alone", async () => {
      const read = await rowsRead(database.dialect, db, async () => {
        expect(await allSteps(stores[kind].deleteBefore(other, before - 40 * DAY, 500))).toBe(0);
      });
      if (read !== undefined) expect(read).toBeLessThan(kind === "archive" ? 5 * USERS : 3 * HERE);
    });

    test("no transaction takes more than a hundred rows, whatever the batch", async () => {
      const steps: number[] = [];
      for await (const n of stores[kind].deleteBefore(domain, NOW, 10_000)) steps.push(n);
      expect(steps.reduce((a, b) => a + b)).toBe(OLD);
      expect(Math.max(...steps)).toBe(100);
    });
  });

  describe("nothing goes that is younger than its limit", () => {
    /** Ages in days; undefined: not said here. */
    const age = fc.constantFrom(undefined, 1, 2, 30, "infinity" as const);
    /** Of a row: microseconds beside the limit, whichever that is. */
    const beside = fc.constantFrom(-DAY * 1000, -1001, -1000, -999, -1, 0, 1, 999, 1000, DAY * 1000);
    const domainOf = fc.constantFrom("a", "b", "c");
    let run = 0;

    test.each(KINDS)(
      "%s",
      async (kind) => {
        await fc.assert(
          fc.asyncProperty(
            fc.record({ all: age, host: age, own: age }),
            fc.array(fc.record({ domain: domainOf, user: fc.nat({ max: 3 }), beside }), { maxLength: 40 }),
            fc.record({
              after: fc.integer({ min: 1, max: 6 }),
              by: fc.constantFrom(0, 0, 1, 1000, DAY, 40 * DAY),
            }),
            fc.integer({ min: 1, max: 9 }),
            async (ages, some, back, batch) => {
              const [a, b, c] = ["a", "b", "c"].map((name) => `${name}${run}.${database.dialect}.example`);
              run++;
              const names: Record<string, string> = { a, b, c };
              // a has a table of its own, a host type of its own has b, and c has what holds for all.
              const limits: Record<string, number> = {
                [a]: limit(ages.own, ages.all),
                [b]: limit(ages.host, ages.all),
                [c]: limit(ages.all),
              };
              const written = some.map(({ domain, user, beside: micros }): Aged => {
                const name = names[domain];
                const days = limits[name] === Number.POSITIVE_INFINITY ? 100 : limits[name];
                return { domain: name, user, at: (NOW - days * DAY) * 1000 + micros };
              });
              await insert(kind, written);
              const config = configOf(kind, [a, b, c], ages, batch);
              const clock = { now: NOW };
              let steps = 0;
              const at: { left?: Map<string, number[]> } = {};
              const everything = async () => {
                const found = new Map<string, number[]>();
                for (const name of [a, b, c]) found.set(name, await left(kind, name));
                return found;
              };
              const store: Retained = {
                countBefore: (...args) => stores[kind].countBefore(...args),
                async *deleteBefore(...args) {
                  for await (const n of stores[kind].deleteBefore(...args)) {
                    if (++steps === back.after && back.by > 0) {
                      clock.now -= back.by;
                      at.left = await everything();
                    }
                    yield n;
                  }
                },
              };
              const retention = cleaner(config, kind, store, clock);
              const before = await everything();
              const told = await retention.pass({ dryRun: true });
              expect(await everything()).toEqual(before);
              const done = await retention.pass({ dryRun: false });
              const after = await everything();
              const young = (from: Map<string, number[]>) =>
                [...from].map(([name, times]) => [
                  name,
                  times.filter((t) => t >= (clock.now - limits[name] * DAY) * 1000),
                ]);
              if (at.left === undefined) {
                expect([...after]).toEqual(young(before));
                expect(counts(done)).toEqual(counts(told));
              } else {
                // What was there when the clock was set back, and is young by it, stays.
                const stays = young(at.left);
                expect(young(after)).toEqual(stays);
              }
            },
          ),
          { numRuns: 25 },
        );
      },
      60_000,
    );
  });
});

const limit = (...said: (number | "infinity" | undefined)[]): number => {
  const first = said.find((one) => one !== undefined) ?? "infinity";
  return first === "infinity" ? Number.POSITIVE_INFINITY : first;
};

const counts = (done: readonly Cleaned[]): Record<string, number> =>
  Object.fromEntries(done.map(({ domain, count }) => [domain, count]));

interface Ages {
  readonly all: number | "infinity" | undefined;
  readonly host: number | "infinity" | undefined;
  readonly own: number | "infinity" | undefined;
}

function configOf(kind: Kind, [a, b, c]: readonly string[], { all, host, own }: Ages, batch: number): Config {
  const says = (days: Ages["all"]): string => (days === undefined ? "" : `${kind} = ${JSON.stringify(days)}`);
  const text = `[general]
hosts = ["${a}", "${b}", "${c}"]
default_server_domain = "${a}"
[[host_config]]
host = "${b}"
[host_config.retention]
${says(host)}
[retention]
batch_size = ${batch}
pause = 1
${says(all)}
[[retention.domains]]
domain = "${a}"
${says(own)}
`;
  const { config, problems } = parseConfig(text, { file: "test.toml", modules: {} });
  if (!config) throw new Error(problems.map(formatProblem).join("\n"));
  return config;
}

function cleaner(config: Config, kind: RetentionKind, store: Retained, clock: { now: number }): Retention {
  const module = { def: { name: "mod_x", retention: { [kind]: () => store } }, ctx: {} } as unknown as RunningModule;
  const modules = new Map([["mod_x", module]]);
  return new Retention({
    config: config.retention,
    hosts: () => config.hostTypes.map((name) => ({ name, config: config.forHostType(name), modules })),
    domainsOf: (hostType) => [hostType],
    stats: () => [],
    now: () => clock.now,
    steady: () => performance.now(),
    after: () => () => {},
    sleep: async () => {},
    registry: new Registry(),
    log: new Log({ sink: new MemorySink(), level: "error" }),
  });
}

/** Rows that the server has read of tables and indexes meanwhile; undefined where it does not say. */
async function rowsRead(dialect: Db["dialect"], db: Db, run: () => Promise<void>): Promise<number | undefined> {
  const sum = async (sql: string): Promise<number> => {
    const rows = await db.query<{ n?: SqlValue; Value?: SqlValue }>(sql);
    return rows.reduce((all, { n, Value }) => all + Number(n ?? Value ?? 0), 0);
  };
  const count = async (): Promise<number> => {
    if (dialect === "mysql") return sum("SHOW SESSION STATUS LIKE 'Handler_read%'");
    await db.query("SELECT pg_stat_force_next_flush()");
    return (
      (await sum("SELECT seq_tup_read AS n FROM pg_stat_user_tables")) +
      (await sum("SELECT idx_tup_read AS n FROM pg_stat_user_indexes"))
    );
  };
  if (dialect === "sqlite") {
    await run();
    return undefined;
  }
  const before = await count();
  await run();
  return (await count()) - before;
}

/** Each statement finds its rows by an index, in the order in which it wants them. */
async function expectIndexed(db: Db, statements: readonly Statement[]): Promise<void> {
  for (const [sql, params] of new Map(statements.map(({ sql, params }) => [sql, params]))) {
    const explained = `EXPLAIN QUERY PLAN ${sql.replace(/^DELETE/, "SELECT 1")}`;
    const plan = await db.query<{ detail: string }>(explained, params);
    const dear = plan.filter(({ detail }) => /TEMP B-TREE|^SCAN (?!(old|o\d+)\b)/.test(detail));
    expect({ sql, dear }).toEqual({ sql, dear: [] });
  }
}

/** Tells of every request. */
function watch(db: Db, tell: (statements: readonly Statement[]) => void): Db {
  return new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== "query" && name !== "execute" && name !== "transaction") return value.bind(target);
      return (first: string | readonly Statement[], params?: readonly SqlValue[]) => {
        tell(typeof first === "string" ? [{ sql: first, ...(params && { params }) }] : first);
        return value.call(target, first, params);
      };
    },
  });
}
