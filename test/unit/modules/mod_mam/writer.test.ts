// The writer of an archive beside a database that refuses: who is told, what is tried again.
import { expect, test } from "vitest";
import { parseJid } from "../../../../core/jid.ts";
import { type Db, type SqlValue, StorageError, type StorageErrorCode } from "../../../../core/storage/db.ts";
import { MamStore } from "../../../../modules/mod_mam/store.ts";
import { ArchiveWriter } from "../../../../modules/mod_mam/writer.ts";

/** Holds numbers; refuses what `refuses` names an error for, all of a statement with it. */
function world(refuses: (n: number) => StorageErrorCode | undefined, options: { enabled?: boolean } = {}) {
  const held: number[] = [];
  const statements: number[] = [];
  const dropped: number[] = [];
  let flushed = 0;
  const db = {
    async insertMany(_table: string, _columns: readonly string[], rows: readonly (readonly SqlValue[])[]) {
      statements.push(rows.length);
      await Promise.resolve();
      for (const [n] of rows) {
        const code = refuses(n as number);
        if (code !== undefined) throw new StorageError(code, `refused: ${n}`);
      }
      held.push(...rows.map(([n]) => n as number));
    },
  } as unknown as Db;
  const writer = new ArchiveWriter(
    db,
    "t",
    ["n"],
    { enabled: options.enabled ?? true, batch_size: 30, flush_interval: 2000, pool_size: 8 },
    {
      flushed: (n) => {
        flushed += n;
      },
      dropped: (n) => dropped.push(n),
    },
  );
  /** Writes so many in one turn; says which of them were told of an error. */
  const write = async (count: number): Promise<number[]> => {
    const told = Array.from({ length: count }, (_, n) =>
      writer.write([n], n).then(
        () => undefined,
        () => n,
      ),
    );
    return (await Promise.all(told)).filter((n) => n !== undefined);
  };
  return { held, statements, dropped, write, writer, flushed: () => flushed };
}

test("what the table cannot hold is not kept, and nobody is told: alone, without batches, and in company", async () => {
  const refuses = (n: number) => (n === 0 ? "constraint" : undefined);
  const alone = world(refuses);
  expect(await alone.write(1)).toEqual([]);
  const single = world(refuses, { enabled: false });
  expect(await single.write(3)).toEqual([]);
  const company = world(refuses);
  expect(await company.write(4)).toEqual([]);
  expect([alone.held, single.held, company.held]).toEqual([[], [1, 2], [1, 2, 3]]);
  expect([alone.dropped, single.dropped, company.dropped]).toEqual([[1], [1], [1]]);
  expect(company.flushed()).toBe(3);
  expect(company.writer.waiting).toBe(0);
});

test("one that cannot be held makes no other part of a large batch be written twice", async () => {
  const { write, held, statements, dropped } = world((n) => (n === 1700 ? "constraint" : undefined));
  expect(await write(2500)).toEqual([]);
  expect(held.length).toBe(2499);
  expect(new Set(held).size).toBe(2499);
  // Three parts, and the second one halved until it is alone.
  expect(statements.length).toBeLessThanOrEqual(3 + 2 * Math.ceil(Math.log2(1000)));
  expect(dropped).toEqual([1]);
});

test.each(["unavailable", "syntax", "full", "timeout"] as const)(
  "an error of the whole (%s) is told to all, and tried once",
  async (code) => {
    const { write, held, statements, dropped, writer } = world(() => code);
    expect(await write(5)).toEqual([0, 1, 2, 3, 4]);
    expect([held, statements, dropped]).toEqual([[], [5], [5]]);
    expect(writer.waiting).toBe(0);
  },
);

test("a database that goes away while one that is refused is looked for: what is left is told", async () => {
  const { write, held, dropped } = world((n) => (n === 1 ? "constraint" : n === 3 ? "unavailable" : undefined));
  // All share the promise of their batch: one that is kept may come again.
  expect(await write(5)).toEqual([0, 1, 2, 3, 4]);
  expect(held).toEqual([0]);
  expect(dropped).toEqual([1, 3]);
});

/** A database whose statements end when the test says so; what it was given, and what is committed, as [id, owner]. */
function slow(dialect: "sqlite" | "pgsql", options: { enabled?: boolean; places?: number } = {}) {
  const begun: { rows: (readonly SqlValue[])[]; end(error?: unknown): void }[] = [];
  const insertMany = (_table: string, _columns: readonly string[], rows: (readonly SqlValue[])[]) =>
    new Promise<void>((resolve, reject) => {
      begun.push({ rows, end: (error) => (error === undefined ? resolve() : reject(error)) });
    });
  const writer = new ArchiveWriter(
    { dialect, insertMany } as unknown as Db,
    "t",
    ["id", "owner"],
    { enabled: options.enabled ?? true, batch_size: 2, flush_interval: 2000, pool_size: options.places ?? 8 },
    { flushed: () => undefined, dropped: () => undefined },
  );
  const write = (id: number, owner: number) => writer.write([id, owner], owner).catch(() => "told");
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
  return { begun, write, turn, writer, ids: () => begun.map(({ rows }) => rows.map(([id]) => id)) };
}

test.each([true, false])(
  "what is of one owner is committed in its order, in batches (%s) or alone",
  async (enabled) => {
    const { begun, write, turn, writer, ids } = slow("pgsql", { enabled });
    const ends = [write(1, 7)];
    await turn();
    // Others go beside it, with batches when there are so many; his own wait, and go together.
    ends.push(write(2, 7), write(3, 8), write(4, 9), write(5, 7));
    await turn();
    expect(ids()).toEqual(enabled ? [[1], [3, 4]] : [[1], [3], [4]]);
    ends.push(write(6, 8));
    await turn();
    let synced = false;
    const sync = writer.sync().then(() => {
      synced = true;
    });
    for (const one of begun.slice(1)) one.end();
    await turn();
    expect(ids().at(-1)).toEqual([6]);
    expect(ids().flat()).not.toContain(2);
    // One that is lost holds up nobody.
    begun[0].end(new StorageError("unavailable", "away"));
    await turn();
    expect(ids().at(-1)).toEqual([2, 5]);
    expect(synced).toBe(false);
    for (const one of begun) one.end();
    expect(await Promise.all(ends)).toEqual(["told", undefined, undefined, undefined, undefined, undefined]);
    await sync;
    expect(writer.waiting).toBe(0);
    // Nothing of them is under way any more.
    const last = write(7, 7);
    await turn();
    expect(ids().at(-1)).toEqual([7]);
    begun.at(-1)?.end();
    await last;
  },
);

test("an owner who comes while others fill every place goes with the next of them", async () => {
  const { begun, write, turn } = slow("pgsql", { places: 1 });
  const ends = [write(1, 7)];
  await turn();
  ends.push(write(2, 7), write(3, 8));
  await turn();
  expect(begun).toHaveLength(1);
  begun[0].end();
  await turn();
  expect(begun[1].rows.map(([id]) => id)).toEqual([2, 3]);
  ends.push(write(4, 8), write(5, 7));
  begun[1].end();
  await turn();
  expect(begun[2].rows.map(([id]) => id)).toEqual([4, 5]);
  begun[2].end(new StorageError("unavailable", "away"));
  expect(await Promise.all(ends)).toEqual([undefined, undefined, undefined, "told", "told"]);
});

test("the parts of one batch are committed in their order; SQLite is given all at once, and has it in order", async () => {
  for (const [dialect, first] of [
    ["pgsql", [1000]],
    ["sqlite", [1000, 500]],
  ] as const) {
    const { begun, write, turn } = slow(dialect);
    const all = Array.from({ length: 1500 }, (_, id) => write(id, id % 3));
    await turn();
    expect(begun.map(({ rows }) => rows.length)).toEqual(first);
    for (let i = 0; i < 2; i++) {
      begun[i].end();
      await turn();
    }
    await Promise.all(all);
  }
});

test("an owner whose number cannot be had: it is told, and counted as a message that was not kept", async () => {
  const away = () => Promise.reject(new StorageError("unavailable", "away"));
  const db = { dialect: "pgsql", query: away, insertNew: away } as unknown as Db;
  const dropped: [number, unknown][] = [];
  const observer = {
    flushed: () => undefined,
    dropped: (n: number, error: unknown) => dropped.push([n, error]),
    unfit: () => undefined,
  };
  const { sql } = new MamStore(db).sql({ cache_users: true }, observer, () => 0);
  const from = parseJid("romeo@localhost/orchard");
  const rest = {
    direction: "out",
    stanza: "<message/>",
    searchBody: "",
    originId: undefined,
    groupchat: false,
  } as const;
  const kept = sql.archive({ id: 256n, owner: from.bare, from, remote: from, ...rest });
  await expect(kept).rejects.toThrow("away");
  expect(dropped).toEqual([[1, expect.any(StorageError)]]);
});
