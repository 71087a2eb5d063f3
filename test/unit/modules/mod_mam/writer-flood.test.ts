// The writer of an archive in a flood, and in what order it sends and tells; the database answers when the test says so.
import { describe, expect, it } from "vitest";
import type { Db, SqlValue } from "../../../../core/storage/db.ts";
import { ArchiveWriter, type WriterOptions } from "../../../../modules/mod_mam/writer.ts";
import { Random } from "../../../fuzz/random.ts";

interface Insert {
  /** The rows: owner and number. */
  readonly rows: readonly (readonly [owner: number, n: number])[];
  answer(): void;
}

function start(options: Partial<WriterOptions> = {}) {
  const inserts: Insert[] = [];
  const dropped: number[] = [];
  const insertMany = (_table: string, _columns: readonly string[], rows: readonly (readonly SqlValue[])[]) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    inserts.push({
      rows: rows.map(([owner, n]) => [Number(owner), Number(n)] as const),
      answer: resolve,
    });
    return promise;
  };
  const db = { dialect: "pgsql", insertMany } as Partial<Db> as Db;
  const writer = new ArchiveWriter(
    db,
    "mam_message",
    ["user_id", "id"],
    { enabled: true, batch_size: 30, flush_interval: 2000, pool_size: 2, ...options },
    { flushed: () => undefined, dropped: (messages) => dropped.push(messages) },
  );
  return { writer, inserts, dropped, write: (owner: number, n = 0) => writer.write([owner, n], owner) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const sizes = (inserts: readonly Insert[]): number[] => inserts.map(({ rows }) => rows.length);

describe("a flood", () => {
  it("is written a thousand at a time, and who waits is told when his part is written", async () => {
    const { write, writer, inserts } = start();
    const first = write(1);
    await turn();
    const ends: number[] = [];
    const flood = Array.from({ length: 2500 }, (_, n) => write(1, n + 1).then(() => ends.push(n)));
    expect(sizes(inserts)).toEqual([1]);
    inserts[0].answer();
    await first;
    await turn();
    expect(sizes(inserts)).toEqual([1, 1000]);
    expect(ends).toEqual([]);
    inserts[1].answer();
    await turn();
    expect(sizes(inserts)).toEqual([1, 1000, 1000]);
    expect(ends.length).toBe(1000);
    expect(writer.waiting).toBe(1500);
    inserts[2].answer();
    await turn();
    inserts[3].answer();
    await Promise.all(flood);
    expect(sizes(inserts)).toEqual([1, 1000, 1000, 500]);
    expect(inserts.flatMap(({ rows }) => rows.map(([, n]) => n))).toEqual(Array.from({ length: 2501 }, (_, n) => n));
    expect(writer.waiting).toBe(0);
  });

  it("of one owner holds up no others as long as there is a place for them", async () => {
    const { write, inserts } = start();
    const all = Array.from({ length: 11_001 }, (_, n) => write(1, n));
    await turn();
    expect(sizes(inserts)).toEqual([1000]);
    const other = write(2);
    await turn();
    // Too little for a batch of its own beside another, until that has come to its end.
    expect(sizes(inserts)).toEqual([1000]);
    inserts[0].answer();
    await turn();
    expect(inserts.slice(1).map(({ rows }) => rows.length)).toEqual([1, 1000]);
    inserts[1].answer();
    await other;
    for (let at = 2; at < 13; at++) {
      inserts[at].answer();
      await turn();
    }
    await Promise.all(all);
  });

  it("is refused when it is too large, and taken again when there is room", async () => {
    const { write, writer, inserts, dropped } = start();
    const taken = Array.from({ length: 200_000 }, (_, n) => write(n % 7, n));
    await expect(write(1)).rejects.toMatchObject({ code: "unavailable" });
    expect(dropped).toEqual([1]);
    for (let at = 0; writer.waiting > 0; at++) {
      await turn();
      inserts[at].answer();
      await turn();
    }
    await Promise.all(taken);
    const more = write(1);
    await turn();
    inserts[inserts.length - 1].answer();
    await more;
  });
});

it("sends what comes next before those who waited go on", async () => {
  const { write, inserts } = start();
  let sentBefore = -1;
  const first = write(1).then(() => {
    sentBefore = inserts.length;
  });
  await turn();
  const second = write(1, 1);
  inserts[0].answer();
  await first;
  expect(sentBefore).toBe(2);
  inserts[1].answer();
  await second;
});

it("keeps the order of an owner's messages, of which no two batches that are under way have any", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const r = new Random(seed);
    const { write, writer, inserts } = start({
      pool_size: 1 + r.below(4),
      batch_size: r.below(5),
      enabled: r.below(4) > 0,
    });
    const under = new Set<Insert>();
    let seen = 0;
    const committed = new Map<number, number>();
    const look = (): void => {
      for (; seen < inserts.length; seen++) {
        const owners = new Set(inserts[seen].rows.map(([owner]) => owner));
        for (const other of under)
          for (const [owner] of other.rows) expect(owners.has(owner), `seed ${seed}`).toBe(false);
        under.add(inserts[seen]);
      }
    };
    const told: Promise<void>[] = [];
    const next = new Map<number, number>();
    for (let step = 0; step < 400 || writer.waiting > 0; step++) {
      if (step < 400) {
        for (let k = r.below(12); k > 0; k--) {
          const owner = r.below(8);
          const n = next.get(owner) ?? 0;
          next.set(owner, n + 1);
          told.push(write(owner, n));
        }
      }
      if (r.once(3)) await turn();
      look();
      const answered = [...under][r.below(Math.max(1, under.size))];
      if (answered !== undefined) {
        for (const [owner, n] of answered.rows) {
          expect(n, `seed ${seed}`).toBe(committed.get(owner) ?? 0);
          committed.set(owner, n + 1);
        }
        under.delete(answered);
        answered.answer();
        await turn();
      } else await turn();
    }
    await Promise.all(told);
    expect(committed).toEqual(next);
  }
});
