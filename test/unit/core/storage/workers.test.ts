// Which connection a request gets, and what happens to connections that are dead.
import { describe, expect, test } from "vitest";
import { type Strategy, Workers } from "../../../../core/storage/workers.ts";

interface Wire {
  id: number;
  closed: "at once" | "in order" | undefined;
}

function pool(count: number, strategy: Strategy, depth = 4, answerMs = Number.POSITIVE_INFINITY) {
  const wires: Wire[] = [];
  const workers = new Workers<Wire>({
    count,
    strategy,
    depth,
    answerMs,
    broken: (error) => error === "broken",
    readOnly: (error) => error === "read-only",
    full: (error) => error === "full",
    open: () => {
      const wire: Wire = { id: wires.length, closed: undefined };
      wires.push(wire);
      return wire;
    },
    close: async (wire, atOnce) => {
      wire.closed ??= atOnce ? "at once" : "in order";
    },
  });
  /** Starts a request that lasts until it is told; says on which connection it runs. */
  const starts = (alone = false) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const job = { on: undefined as number | undefined, ends: () => Promise.resolve(), alone };
    const work = async (wire: Wire): Promise<void> => {
      job.on = wire.id;
      await promise;
    };
    const done = alone ? workers.alone(1, work) : workers.run(work);
    // Not every test waits for it.
    done.catch(() => undefined);
    job.ends = async () => {
      resolve();
      await done;
    };
    return job;
  };
  return { workers, wires, starts };
}

describe("the workers of a pool", () => {
  test.each<Strategy>(["best_worker", "random_worker", "next_worker", "available_worker", "next_available_worker"])(
    "%s: those with nothing to do come first",
    (strategy) => {
      const { starts } = pool(3, strategy);
      expect(new Set([starts(), starts(), starts()].map(({ on }) => on)).size).toBe(3);
    },
  );

  test("what is on a connection that is given up in order goes on there, and ends it", async () => {
    const { workers, wires, starts } = pool(2, "best_worker", 2);
    const [shared, alone] = [starts(), starts(true)];
    await Bun.sleep(1050);
    workers.renew();
    expect(wires.map(({ closed }) => closed)).toEqual([undefined, undefined]);
    const next = starts();
    expect(next.on).toBe(2);
    await alone.ends();
    expect(wires.map(({ closed }) => closed)).toEqual([undefined, "in order", undefined]);
    // One that is dropped with all others is as well.
    workers.drop();
    expect(wires.map(({ closed }) => closed)).toEqual(["at once", "in order", "at once"]);
    await Promise.all([shared.ends(), next.ends()]);
    expect([wires.length, workers.open]).toEqual([3, 0]);
  });

  test("best_worker: the one with the fewest requests; past the depth of all, requests wait", async () => {
    const { starts } = pool(2, "best_worker", 2);
    const [a, b, c, d, e] = [starts(), starts(), starts(), starts(), starts()];
    expect([a.on, b.on, c.on, d.on, e.on]).toEqual([0, 1, 0, 1, undefined]);
    await b.ends();
    expect(e.on).toBe(1);
  });

  test("next_worker: one after the other", async () => {
    const { starts } = pool(3, "next_worker");
    const on: (number | undefined)[] = [];
    for (let i = 0; i < 6; i++) {
      const job = starts();
      on.push(job.on);
      await job.ends();
    }
    expect(on).toEqual([0, 1, 2, 0, 1, 2]);
  });

  test("available_worker: a request waits for a connection that has nothing else to do", async () => {
    const { starts } = pool(2, "available_worker");
    const [a, b, c] = [starts(), starts(), starts()];
    expect([a.on, b.on, c.on]).toEqual([0, 1, undefined]);
    await a.ends();
    expect(c.on).toBe(0);
  });

  test("a transaction has a connection for itself, and nothing that came later overtakes it", async () => {
    const { starts } = pool(1, "best_worker");
    const first = starts();
    const transaction = starts(true);
    const later = starts();
    expect([first.on, transaction.on, later.on]).toEqual([0, undefined, undefined]);
    await first.ends();
    expect([transaction.on, later.on]).toEqual([0, undefined]);
    await transaction.ends();
    expect(later.on).toBe(0);
  });

  test("a connection that is silent for too long is ended and replaced, others are not", async () => {
    const { workers, wires, starts } = pool(2, "best_worker", 4, 50);
    const [silent, other] = [starts(), starts()];
    await Bun.sleep(40);
    await other.ends();
    const fresh = starts();
    expect(fresh.on).toBe(1);
    await Bun.sleep(20);
    workers.look(performance.now());
    expect(wires.map(({ closed }) => closed)).toEqual(["at once", undefined]);
    await silent.ends();
    expect(starts().on).toBe(2);
  });

  test.each([
    ["is silent for too long", (workers: Workers<Wire>) => workers.look(performance.now() + 100)],
    ["is dropped with all others", (workers: Workers<Wire>) => workers.drop()],
  ])("what was on a connection that %s fails, and takes no room", async (_, gives) => {
    const { workers } = pool(1, "best_worker", 1, 50);
    // As of a library that forgets it.
    const forgotten = workers.run(() => new Promise(() => undefined));
    const next = workers.run(() => Promise.resolve("done"));
    gives(workers);
    await expect(forgotten).rejects.toMatchObject({ code: "unavailable" });
    expect(await next).toBe("done");
  });

  test("a connection that broke is replaced for what comes next; a mere error is none of its business", async () => {
    const { workers, wires, starts } = pool(1, "best_worker");
    await expect(workers.run(() => Promise.reject("an error"))).rejects.toBe("an error");
    expect(starts().on).toBe(0);
    await expect(workers.run(() => Promise.reject("broken"))).rejects.toBe("broken");
    expect(wires[0].closed).toBe("at once");
    expect(starts().on).toBe(1);
  });

  test("connections to a server that takes no writes are given up, in order, and not more often than once a second", async () => {
    const { workers, wires, starts } = pool(2, "best_worker");
    const refuse = () => expect(workers.run(() => Promise.reject("read-only"))).rejects.toBe("read-only");
    const [a, b] = [starts(), starts()];
    await b.ends();
    await refuse();
    expect(wires.map(({ closed }) => closed)).toEqual([undefined, undefined]);
    await Bun.sleep(1050);
    await refuse();
    // On the other is something yet.
    expect(wires.map(({ closed }) => closed)).toEqual([undefined, "in order"]);
    expect(starts().on).toBe(2);
    await a.ends();
    expect(wires[0].closed).toBe("in order");
    await refuse();
    expect(wires[2].closed).toBeUndefined();
  });

  describe("a connection for which the server has no room", () => {
    const refuse = (workers: Workers<Wire>) => expect(workers.run(() => Promise.reject("full"))).rejects.toBe("full");

    test("is left alone for a second, and what it would have done waits for the others", async () => {
      const { workers, starts } = pool(2, "best_worker", 1);
      await refuse(workers);
      const [a, b] = [starts(), starts()];
      expect([a.on, b.on]).toEqual([1, undefined]);
      await a.ends();
      expect(b.on).toBe(1);
      await Bun.sleep(1050);
      const c = starts();
      expect(c.on).toBe(0);
      await c.ends();
      expect(starts().on).toBe(0);
    });

    test("is tried again while the others are long at something", async () => {
      const { workers, starts } = pool(2, "best_worker", 1);
      await refuse(workers);
      const [long, waits] = [starts(true), starts()];
      workers.look(performance.now());
      expect([long.on, waits.on]).toEqual([1, undefined]);
      await Bun.sleep(1050);
      workers.look(performance.now());
      expect(waits.on).toBe(0);
      await Promise.all([long.ends(), waits.ends()]);
    });

    test("is tried when there is no other", async () => {
      const { workers, starts } = pool(2, "best_worker", 1);
      await refuse(workers);
      await refuse(workers);
      const a = starts();
      expect(a.on).toBe(0);
      await a.ends();
      // It has room again.
      expect(starts().on).toBe(0);
    });
  });

  test("the end waits for what runs and what waits", async () => {
    const { workers, wires, starts } = pool(1, "available_worker");
    const [a, b] = [starts(), starts()];
    let ended = false;
    const end = workers.end(5000).then(() => {
      ended = true;
    });
    await Bun.sleep(20);
    expect(ended).toBe(false);
    await a.ends();
    await b.ends();
    await end;
    expect(wires[0].closed).toBe("in order");
  });
});
