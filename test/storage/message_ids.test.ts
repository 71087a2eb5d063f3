// Ids of messages: unique over nodes, restarts and clocks that are set back, on each database.
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Log, MemorySink } from "../../core/log/index.ts";
import { MessageIds } from "../../core/message-ids.ts";
import type { Db } from "../../core/storage/db.ts";
import { DIALECTS } from "../../core/storage/dialect.ts";
import { MessageIdStore } from "../../core/storage/message-ids.ts";
import { onEachDatabase } from "./db_each.ts";

const HOUR = 3_600_000;

onEachDatabase("message ids", (database) => {
  let db: Db;
  let store: MessageIdStore;
  let clock: number;
  let timers: { at: number; run: () => void }[] = [];
  const running: MessageIds[] = [];
  const sink = new MemorySink();

  beforeAll(async () => {
    db = await database.open();
  });
  beforeEach(async () => {
    clock = Date.now();
    timers = [];
    store = new MessageIdStore(db, "test-ids");
    await db.execute("DELETE FROM mongooseim_message_ids");
    await db.execute("DELETE FROM discovery_nodes");
  });
  afterEach(async () => {
    for (const ids of running.splice(0)) await ids.stop();
  });

  async function node(name: string, shared = true): Promise<MessageIds> {
    const ids = new MessageIds({
      store,
      shared,
      node: name,
      log: new Log({ sink, level: "info", format: "json" }),
      now: () => clock,
      token: () => crypto.randomUUID(),
      after: (ms, run) => {
        const timer = { at: clock + ms, run };
        timers.push(timer);
        return () => {
          timers = timers.filter((t) => t !== timer);
        };
      },
    });
    await ids.start();
    running.push(ids);
    return ids;
  }
  /** As kill -9 does: nothing is written, nothing given back. */
  function kill(ids: MessageIds): void {
    running.splice(running.indexOf(ids), 1);
    timers = [];
  }
  async function passes(ms: number): Promise<void> {
    clock += ms;
    const due = timers.filter(({ at }) => at <= clock);
    timers = timers.filter(({ at }) => at > clock);
    for (const { run } of due) run();
    // What they began is done when the database has answered it and what came after it; a server keeps no order.
    for (let i = 0; i < 8; i++) {
      await db.query("SELECT 1 AS n");
      while (db.stats().queued > 0) await Bun.sleep(1);
    }
    await Bun.sleep(20);
  }
  const take = (ids: MessageIds, count = 100): bigint[] => Array.from({ length: count }, () => ids.next());
  const micros = (id: bigint): number => Number(id >> 8n);
  const byte = (id: bigint): number => Number(id & 255n);

  test("an id is the time in microseconds above the number of the node, and each is larger than the one before", async () => {
    const ids = await node("a", false);
    const taken = take(ids);
    expect(byte(taken[0])).toBe(1);
    expect(micros(taken[0])).toBeGreaterThanOrEqual(clock * 1000);
    expect(micros(taken[99]) - clock * 1000).toBeLessThan(1000);
    for (let i = 1; i < taken.length; i++) expect(taken[i] > taken[i - 1]).toBe(true);
  });

  test("a clock that is set back while the server runs gives no id twice and none that is smaller", async () => {
    const ids = await node("a", false);
    const before = take(ids).at(-1) as bigint;
    clock -= HOUR;
    const after = take(ids);
    expect(after[0] > before).toBe(true);
    clock += HOUR + 1000;
    expect(micros(ids.next())).toBe(clock * 1000);
  });

  test.each(["after an orderly end", "after kill -9"])(
    "a clock that is set back between two starts, %s",
    async (end) => {
      const first = await node("a", false);
      take(first);
      await passes(5000);
      const before = take(first).at(-1) as bigint;
      if (end === "after kill -9") kill(first);
      else await first.stop();
      clock -= HOUR;
      const second = await node("a", false);
      expect(second.next() > before).toBe(true);
      expect(sink.lines.some((line) => line.includes("clock_behind_message_ids"))).toBe(true);
    },
  );

  test("an orderly end leaves no gap: the next ids are of the clock", async () => {
    const first = await node("a", false);
    take(first);
    await first.stop();
    clock += 50;
    expect(micros((await node("a", false)).next())).toBe(clock * 1000);
  });

  test("after kill -9 ids are ahead of the clock by ten seconds at most", async () => {
    kill(await node("a", false));
    const ahead = micros((await node("a", false)).next()) - clock * 1000;
    expect(ahead).toBeLessThanOrEqual(10_000_001);
  });

  test("two nodes on one database have different numbers, also when they start at the same moment", async () => {
    const nodes = await Promise.all(["a", "b", "c", "d"].map((name) => node(name)));
    expect(nodes.map(({ nodeNumber }) => nodeNumber).sort()).toEqual([1, 2, 3, 4]);
    const ids = nodes.flatMap((it) => take(it));
    expect(new Set(ids).size).toBe(400);
  });

  test("a node that was killed has its number again; one that ended gave it back", async () => {
    const [a, b] = [await node("a"), await node("b")];
    kill(b);
    expect((await node("b")).nodeNumber).toBe(2);
    await a.stop();
    expect((await node("c")).nodeNumber).toBe(1);
  });

  test("whoever takes over a number goes on where the other was, also with a slower clock", async () => {
    const first = await node("a");
    const before = take(first).at(-1) as bigint;
    await first.stop();
    clock -= HOUR;
    const second = await node("b");
    expect(second.nodeNumber).toBe(1);
    expect(second.next() > before).toBe(true);
  });

  test("a claim that was not renewed for an hour is taken over; whoever had it takes another", async () => {
    const stale = await node("a");
    const unix = DIALECTS[db.dialect].unixSeconds;
    await db.execute(`UPDATE discovery_nodes SET updated_timestamp = ${unix} - 3599`);
    expect((await node("b")).nodeNumber).toBe(2);
    await db.execute(`UPDATE discovery_nodes SET updated_timestamp = ${unix} - 3601 WHERE node_num = 1`);
    const third = await node("c");
    expect(third.nodeNumber).toBe(1);
    const before = third.next();
    await passes(60_000);
    expect(stale.nodeNumber).toBe(3);
    expect(new Set([...take(stale), ...take(third), before]).size).toBe(201);
  });

  test("claims are renewed", async () => {
    await node("a");
    const stamp = async () =>
      (await db.query<{ t: number }>("SELECT updated_timestamp AS t FROM discovery_nodes"))[0].t;
    const before = await stamp();
    await passes(60_000);
    expect(await stamp()).toBeGreaterThan(before);
  });

  test("two with the same name (a copy of a state directory) end with different numbers", async () => {
    const original = await node("a");
    const copy = await node("a");
    expect(original.nodeNumber).toBe(copy.nodeNumber);
    await passes(60_000);
    await passes(60_000);
    expect(new Set([original.nodeNumber, copy.nodeNumber]).size).toBe(2);
  });

  test("numbers of MongooseIM's own nodes are not taken", async () => {
    const now = (await db.query<{ n: number }>(`SELECT ${DIALECTS[db.dialect].unixSeconds} AS n`))[0].n;
    const row = { cluster_name: "mongooseim-0.3", node_name: "mongooseim@erlang", node_num: 1, updated_timestamp: now };
    await db.insertNew("discovery_nodes", row);
    expect((await node("a")).nodeNumber).toBe(2);
  });

  test("while the database is away ids go on, and the mark is moved when it is back", async () => {
    const ids = await node("a", false);
    const real = store.setMark.bind(store);
    store.setMark = () => Promise.reject(new Error("away"));
    await passes(30_000);
    const before = take(ids).at(-1) as bigint;
    await passes(30_000);
    store.setMark = real;
    take(ids);
    await passes(5000);
    kill(ids);
    clock -= HOUR;
    expect((await node("a", false)).next() > before).toBe(true);
  });
});
