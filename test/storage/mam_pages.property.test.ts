// Pages of long archives held against a naive model: what is remembered of ranks (modules/mod_mam/sql/ranks.ts) must
// never show, whatever is archived, deleted and asked meanwhile, and however much time goes by.
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type Db, type SqlValue, type Statement, StorageError } from "../../core/storage/db.ts";
import type { Page, PageFound } from "../../modules/mod_mam/backend.ts";
import { COLUMNS } from "../../modules/mod_mam/sql/archive.ts";
import { ArchiveWorld, idAt, type Look, type Spot, START_MS, type Step } from "../support/archive-world.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

/** How old the newest message of an archive is at first: at either side of what is young, and of what marks outlive. */
const TAILS = [0, 5_000, 11_000, 500_000, 700_000, 86_400_000];
const TIMES = [1, 900, 4_000, 10_001, 250_000, 300_001, 600_001, 3_600_001];

const pick = fc.nat({ max: 1_000_000 });
const near = fc.oneof({ weight: 3, arbitrary: fc.constant(0n) }, fc.constantFrom(-1n, 1n, 2n));
const anySpot: fc.Arbitrary<Spot> = fc.record({ ends: fc.boolean(), pick, near });
const someBound = fc.record({ ends: fc.boolean(), pick, near, open: fc.boolean() });
const bound = fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, someBound);
const whose = fc.nat({ max: 2 });
const server = fc.nat({ max: 1 });
const max = fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(1, 5, 20));
const look: fc.Arbitrary<Look> = fc
  .record({
    owner: whose,
    server,
    low: bound,
    high: bound,
    dir: fc.constantFrom<Page["dir"]>("after", "before"),
    at: fc.oneof(
      fc.constant(undefined),
      { weight: 4, arbitrary: fc.record({ ends: fc.constant(true), pick: fc.nat({ max: 3 }), near: fc.constant(0n) }) },
      { weight: 2, arbitrary: anySpot },
      fc.record({ index: fc.nat({ max: 1300 }) }),
    ),
    max,
    count: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
  })
  // Nothing but the count is asked for where no message is.
  .map((one) => (one.max === 0 ? { ...one, count: true } : one));
const beside = fc.array(look, { maxLength: 3 });
const looks: fc.Arbitrary<Step> = fc.record({
  what: fc.constant("look"),
  beside: fc.array(look, { minLength: 1, maxLength: 4 }),
});
const waits: fc.Arbitrary<Step> = fc.record({
  what: fc.constant("wait"),
  ms: fc.constantFrom(...TIMES),
  beside: fc.constant([]),
});
const archives: fc.Arbitrary<Step> = fc.record({
  what: fc.constant("archive"),
  owner: whose,
  server,
  ages: fc.array(fc.nat({ max: 99 }), { minLength: 1, maxLength: 40 }),
  beside,
});
const goes = { owner: whose, spot: anySpot, limit: fc.constantFrom(1, 40, 400, 5000), beside };
const changes: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ what: fc.constant("delete"), ...goes }),
  fc.record({ what: fc.constant("age"), ...goes }),
  fc.record({ what: fc.constant("replace"), owner: whose, pick, beside }),
);
/** The length of an archive: on either side of marks, and any other. */
const size = fc.oneof(fc.constantFrom(0, 1, 255, 256, 257, 512, 513, 768), {
  weight: 2,
  arbitrary: fc.integer({ min: 0, max: 1200 }),
});
const archive = fc.record({ size, tail: fc.constantFrom(...TAILS), seed: fc.nat() });

onEachDatabase("pages of long archives and a model", (database: TestDatabase) => {
  let dbs: Db[];
  let runs = 0;
  beforeAll(async () => {
    const db = await database.open();
    // One process has SQLite's file.
    dbs = [db, database.dialect === "sqlite" ? db : await database.open()];
  });

  const newWorld = () => new ArchiveWorld(dbs, `r${runs++}.example`);
  const sizes = fc.tuple(archive, archive, archive);
  const steps = (weights: fc.WeightedArbitrary<Step>[]) =>
    fc.array(fc.oneof(...weights), { minLength: 5, maxLength: 60 });
  const weigh = (weight: number, arbitrary: fc.Arbitrary<Step>) => ({ weight, arbitrary });

  test("a page is the model's, whatever was asked, archived and deleted before", async () => {
    const walk = steps([weigh(10, looks), weigh(3, archives), weigh(2, waits), weigh(1, changes)]);
    await fc.assert(
      fc.asyncProperty(sizes, walk, async (filled, walked) => {
        const world = newWorld();
        await world.fill(filled);
        // One process: what is deleted, it has deleted.
        for (const step of walked) await world.step(alone(step));
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  test("two servers see at once what either archives", async () => {
    const walk = steps([weigh(10, looks), weigh(5, archives), weigh(2, waits)]);
    await fc.assert(
      fc.asyncProperty(sizes, walk, async (filled, walked) => {
        const world = newWorld();
        await world.fill(filled);
        for (const step of walked) await world.step(step);
      }),
      { numRuns: 30 },
    );
  }, 60_000);

  test("a walk through an archive from which another server deletes ends, and misses nothing that stays", async () => {
    const walk = fc.record({
      size: fc.integer({ min: 1, max: 900 }),
      seed: fc.nat(),
      before: fc.array(look, { maxLength: 6 }),
      filter: fc.record({ low: bound, high: fc.oneof(bound, someBound) }),
      dir: fc.constantFrom<Page["dir"]>("after", "before"),
      max: fc.integer({ min: 1, max: 60 }),
      deleted: fc.array(fc.record({ page: fc.nat({ max: 8 }), part: fc.double({ min: 0, max: 0.6, noNaN: true }) }), {
        maxLength: 3,
      }),
    });
    await fc.assert(
      fc.asyncProperty(walk, async ({ size, seed, before, filter: bounds, dir, max, deleted }) => {
        const world = newWorld();
        await world.fill([{ size, seed, tail: 86_400_000 }]);
        const mine = before.map((one) => ({ ...one, owner: 0, server: 0, count: true }));
        await world.check(mine);
        const all = world.ids(0);
        const { filter } = world.asked({ ...bounds, owner: 0, server: 0, dir, at: undefined, max, count: true });
        const seen: bigint[] = [];
        const { owner, model } = world.archives[0];
        const lookup = async (page: Page): Promise<PageFound> => {
          const found = await world.servers[0].sql.lookup(owner, filter, page);
          expect(found.offset).toBeGreaterThanOrEqual(0);
          expect(found.total).toBeGreaterThanOrEqual(found.messages.length);
          // Unless it passes over more than there is.
          if (found.messages.length > 0 || page.index === undefined)
            expect(found.total).toBeGreaterThanOrEqual(found.offset! + found.messages.length);
          return found;
        };
        for (let id: bigint | undefined, n = 0, complete = false; !complete; n++) {
          expect(n).toBeLessThanOrEqual(size / max + 1);
          for (const { page, part } of deleted)
            if (page === n) await world.delete(1, 0, all[Math.floor(part * all.length)], size);
          const found = await lookup({ dir, id, max, count: true });
          const ids = found.messages.map((one) => one.id);
          seen.push(...(dir === "after" ? ids : ids.toReversed()));
          complete = found.complete;
          id = seen.at(-1);
          if (id === undefined) expect(complete).toBe(true);
        }
        const order = dir === "after" ? seen : seen.toReversed();
        expect(order.every((id, i) => i === 0 || id > order[i - 1])).toBe(true);
        const found = new Set(seen);
        const left = model.left(owner, filter).map(({ id }) => id);
        expect(left.filter((id) => !found.has(id))).toEqual([]);
        // Figures of any page are of some archive, and right in time.
        for (const one of mine) await lookup(world.asked(one).page);
        world.clock += 3_600_001;
        await world.check(mine);
      }),
      {
        numRuns: 100,
        // The end of the last page is remembered, the end of the filter counted anew: fewer seem to be between them.
        examples: [
          [
            {
              size: 300,
              seed: 1,
              before: [],
              filter: { low: undefined, high: { ends: false, pick: 200, near: 0n, open: false } },
              dir: "after",
              max: 50,
              deleted: [{ page: 3, part: 0.4 }],
            },
          ],
        ],
      },
    );
  }, 60_000);

  describe.each([
    ["one owner's", (world: ArchiveWorld) => world.delete(0, 0, world.ids(0)[100], 5000)],
    ["what is too old", (world: ArchiveWorld) => world.age(world.ids(0)[100], 5000)],
  ] as const)("what is looked up while messages are deleted is not remembered: %s", (_, deletes) => {
    type Around = (sql: string, run: () => Promise<unknown>) => Promise<unknown>;
    const page = { owner: 0, server: 0, low: undefined, high: undefined, dir: "after", max: 20, count: true } as const;
    const pages: Look[] = [10, 250, 270, 300].map((pick) => ({ ...page, at: { ends: false, pick, near: 0n } }));

    /** Deletes a hundred messages of 600 while statements are run as is said. */
    async function whileDeleted(
      around: (world: ArchiveWorld) => Around,
      deletes: (world: ArchiveWorld) => Promise<void>,
    ) {
      let now: Around = (_, run) => run();
      const world = new ArchiveWorld([watched(dbs[0], (sql, run) => now(sql, run))], `r${runs++}.example`);
      await world.fill([{ size: 600, seed: 3, tail: 86_400_000 }]);
      await world.check(pages);
      world.clock += 3_600_001;
      now = around(world);
      await deletes(world);
      now = (_, run) => run();
      await world.check(pages);
    }
    test("before they go", async () => {
      const around =
        (world: ArchiveWorld): Around =>
        async (sql, run) => {
          if (sql.startsWith("DELETE")) await world.check(pages);
          return run();
        };
      await whileDeleted(around, deletes);
    });

    test("with an answer that is lost", async () => {
      const around =
        (world: ArchiveWorld): Around =>
        async (sql, run) => {
          if (!sql.startsWith("DELETE")) return run();
          await world.check(pages);
          await run();
          throw new StorageError("timeout", "no answer", { maybeDone: true });
        };
      await whileDeleted(around, async (world) => {
        const [{ owner, model }] = world.archives;
        const id = world.ids(0)[100];
        await expect(deletes(world)).rejects.toThrow("no answer");
        model.dropBefore(owner.domain, id);
      });
    });

    test("by one who has read ranks before, and his page after", async () => {
      const [reached, going] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const around = (): Around => async (sql, run) => {
        const rows = await run();
        if (/RECURSIVE|ROW_NUMBER/.test(sql)) {
          reached.resolve();
          await going.promise;
        }
        return rows;
      };
      await whileDeleted(around, async (world) => {
        const looking = world.begin(pages[0]);
        await reached.promise;
        await deletes(world);
        going.resolve();
        await looking;
      });
    });
  });

  describe("what is counted", () => {
    test("the total, from the newest message on that a page has shown, once that is old", async () => {
      const world = newWorld();
      await world.fill([{ size: 300, seed: 1, tail: 86_400_000 }]);
      const [{ owner }] = world.archives;
      const { ranks, owners, sql } = world.servers[0];
      const number = (await owners.find(owner))!;
      const newest = async () => ranks.place(await ranks.of(number), idAt(world.clock + 1000));
      const last = { dir: "before", max: 5, count: true } as const;
      await sql.lookup(owner, {}, last);
      const first = idAt(START_MS - 86_400_000);
      expect(await newest()).toEqual({ rank: 300, from: first + 1n });

      const ids = Array.from({ length: 10 }, (_, i) => idAt(START_MS, BigInt(i)));
      await world.write(0, 0, ids);
      await sql.lookup(owner, {}, last);
      expect(await newest()).toEqual({ rank: 300, from: first + 1n });
      // Not as long as marks are kept.
      const old = database.dialect === "sqlite" ? 10_001 : 0;
      world.clock += old;
      await sql.lookup(owner, {}, last);
      if (old > 0) expect(await newest()).toEqual({ rank: 310, from: ids[9] + 1n });
      world.clock += 600_001;
      await sql.lookup(owner, {}, last);
      expect(await newest()).toEqual({ rank: 310, from: ids[9] + 1n });
    });

    test("an archive with more marks than one statement looks for", async () => {
      const world = newWorld();
      const [db] = dbs;
      const [{ owner }] = world.archives;
      const span = 1024n;
      const oldest = idAt(START_MS - 86_400_000);
      await world.write(
        0,
        0,
        Array.from({ length: Number(span) }, (_, i) => oldest + BigInt(i)),
      );
      const { ranks, owners, sql } = world.servers[0];
      const number = (await owners.find(owner))!;
      const [, ...others] = COLUMNS;
      let length = span;
      for (; length < 131_072n; length *= 2n) {
        const double = `INSERT INTO mam_message (id, ${others}) SELECT id + ?, ${others} FROM mam_message WHERE user_id = ?`;
        await db.execute(double, [length, number]);
      }
      const { ids, newest } = await ranks.of(number);
      expect(ids).toEqual(Array.from({ length: Number(length) / 256 }, (_, i) => oldest + BigInt(i * 256)));
      expect(newest).toEqual({ id: oldest + length - 1n, rank: Number(length) - 1 });
      for (const at of [127_998n, 127_999n, 128_000n, 130_000n]) {
        const page = await sql.lookup(owner, {}, { dir: "after", id: oldest + at, max: 1, count: true });
        expect([page.offset, page.total, page.messages[0].id]).toEqual([
          Number(at) + 1,
          Number(length),
          oldest + at + 1n,
        ]);
      }
    });
  });
});

/** A database whose statements are run by what is given. */
function watched(db: Db, around: (sql: string, run: () => Promise<unknown>) => Promise<unknown>): Db {
  const watch =
    (call: "query" | "execute") =>
    (sql: string, params?: readonly SqlValue[]): Promise<unknown> =>
      around(sql, () => db[call](sql, params));
  return new Proxy(db, {
    get(target, name) {
      if (name === "query" || name === "execute") return watch(name);
      if (name === "transaction") {
        return (all: readonly Statement[]) => around(all[0]?.sql ?? "", () => db.transaction(all));
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** The same, of one server. */
const alone = (step: Step): Step => ({
  ...step,
  ...("server" in step && { server: 0 }),
  beside: step.beside.map((one) => ({ ...one, server: 0 })),
});
