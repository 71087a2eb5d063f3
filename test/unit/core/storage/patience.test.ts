// What is common to all servers: bounds, deadlines, the circuit, tries after a conflict.
import { afterEach, describe, expect, test } from "vitest";
import { StorageError } from "../../../../core/storage/db.ts";
import { Patience, type PatienceOptions, type ServerChange } from "../../../../core/storage/patience.ts";

const gone = (): StorageError => new StorageError("unavailable", "connection refused");
const errorOf = (cause: unknown): StorageError =>
  cause instanceof StorageError ? cause : new StorageError("syntax", String(cause));

describe("patience with a server", () => {
  let alive = true;
  let probes = 0;
  let drops = 0;
  let changes: ServerChange[] = [];
  let open: Patience | undefined;

  function patience(options: PatienceOptions = {}): Patience {
    [alive, probes, drops, changes] = [true, 0, 0, []];
    const server = {
      errorOf,
      probe: () => {
        probes++;
        return alive ? Promise.resolve() : Promise.reject(gone());
      },
      drop: () => {
        drops++;
      },
    };
    open = new Patience(server, { ...options, changed: (change) => changes.push(change) });
    return open;
  }
  afterEach(() => {
    open?.close();
    open?.end();
  });

  const broken = (it: Patience): Promise<unknown> => it.run(1, () => Promise.reject(gone())).catch((e: unknown) => e);

  test("one broken connection to a server that lives changes nothing: what was on it is done on another", async () => {
    const it = patience();
    let tries = 0;
    const asked = it.run(1, async () => {
      if (++tries < 3) throw gone();
      return 7;
    });
    expect(await asked).toBe(7);
    expect([probes, drops, changes]).toEqual([2, 0, []]);
  });

  test("what meets no server again and again is told, although there seems to be one", async () => {
    const it = patience({ graceMs: 300 });
    let tries = 0;
    const started = performance.now();
    const asked = it.run(1, async () => {
      tries++;
      throw gone();
    });
    await expect(asked).rejects.toMatchObject({ code: "unavailable", maybeDone: false });
    expect(performance.now() - started).toBeLessThan(600);
    // Pauses grow.
    expect(tries).toBeGreaterThan(2);
    expect(tries).toBeLessThan(8);
    expect([drops, changes, it.stats().queued]).toEqual([0, [], 0]);
  });

  test("a server that is away for a moment is waited for, by what it was asked before and meanwhile, in order", async () => {
    const it = patience();
    const done: string[] = [];
    const ask = (name: string) => it.run(1, async () => (alive ? done.push(name) : Promise.reject(gone())));
    alive = false;
    const before = ask("before");
    await expect.poll(() => it.stats().up).toBe(false);
    const meanwhile = ["a", "b", "c"].map(ask);
    await Bun.sleep(300);
    expect([done, it.stats().queued]).toEqual([[], 4]);
    alive = true;
    await Promise.all([before, ...meanwhile]);
    expect(done.filter((name) => name !== "before")).toEqual(["a", "b", "c"]);
    expect([done.length, it.stats().queued, it.stats().up]).toEqual([4, 0, true]);
  });

  test("what may have been done is not done again, not for a moment's absence either", async () => {
    const it = patience();
    let tries = 0;
    alive = false;
    const sent = it.run(1, (attempt) => {
      tries++;
      attempt.mayBeDone = true;
      return Promise.reject(gone());
    });
    await expect(sent).rejects.toMatchObject({ maybeDone: true });
    alive = true;
    await expect.poll(() => it.stats().up).toBe(true);
    expect(tries).toBe(1);
  });

  test("a caller does not wait beyond its own time for a server that is away", async () => {
    const it = patience({ callTimeoutMs: 200 });
    alive = false;
    const started = performance.now();
    const asked = Array.from({ length: 3 }, () => it.run(1, () => Promise.reject(gone())).catch((e: unknown) => e));
    for (const error of await Promise.all(asked))
      expect(error).toMatchObject({ code: "unavailable", maybeDone: false });
    expect(performance.now() - started).toBeLessThan(500);
    expect(it.stats().queued).toBe(0);
  });

  test("one that is closed tells those who wait for a server", async () => {
    const it = patience();
    alive = false;
    const asked = it.run(1, () => Promise.reject(gone()));
    await expect.poll(() => it.stats().up).toBe(false);
    await Promise.all([expect(asked).rejects.toMatchObject({ message: /is closed/ }), it.close()]);
  });

  test("a server that is away for longer is not waited for: requests are refused at once, and the log is told once", async () => {
    const it = patience({ graceMs: 50 });
    alive = false;
    await broken(it);
    await Bun.sleep(60);
    let asked = 0;
    const started = performance.now();
    for (let i = 0; i < 100; i++) {
      const refused = it.run(1, async () => ++asked);
      await expect(refused).rejects.toMatchObject({ code: "unavailable", message: /connection refused/ });
    }
    expect(performance.now() - started).toBeLessThan(100);
    expect(asked).toBe(0);
    expect(it.stats().up).toBe(false);
    expect(drops).toBe(1);
    expect(changes).toMatchObject([{ up: false, error: { message: "connection refused" } }]);
  });

  test("it is back when a probe is answered", async () => {
    const it = patience({ maxPauseMs: 100, graceMs: 0 });
    alive = false;
    await broken(it);
    await Bun.sleep(250);
    alive = true;
    await expect.poll(() => it.stats().up, { timeout: 1000 }).toBe(true);
    expect(await it.run(1, async () => 7)).toBe(7);
    expect(probes).toBeGreaterThan(2);
    expect(changes[1].up).toBe(true);
    expect(changes[1].awayMs).toBeGreaterThan(200);
  });

  test("what was on its way when the server was lost may have been done, what was not was not", async () => {
    const it = patience({ graceMs: 0 });
    const never = new Promise<number>(() => {});
    const sent = it.run(1, (attempt) => {
      attempt.mayBeDone = true;
      return never;
    });
    const waiting = it.run(1, () => never);
    alive = false;
    await broken(it);
    await expect(sent).rejects.toMatchObject({ code: "unavailable", maybeDone: true });
    await expect(waiting).rejects.toMatchObject({ code: "unavailable", maybeDone: false });
  });

  test("a silent server is probed after two seconds, and lost when the probe fails", async () => {
    const it = patience({ graceMs: 0 });
    alive = false;
    const started = performance.now();
    await expect(it.run(1, () => new Promise(() => {}))).rejects.toMatchObject({ code: "unavailable" });
    expect(performance.now() - started).toBeGreaterThan(1900);
    expect(performance.now() - started).toBeLessThan(3500);
  });

  test("a process that was held up does not take the server for silent", async () => {
    const it = patience();
    let answer: (n: number) => void = () => {};
    const asked = it.run(
      1,
      () =>
        new Promise<number>((resolve) => {
          answer = resolve;
        }),
    );
    await Bun.sleep(300);
    const until = performance.now() + 3000;
    while (performance.now() < until);
    await Bun.sleep(600);
    expect(probes).toBe(0);
    answer(7);
    expect(await asked).toBe(7);
  });

  test("a caller waits for call_timeout and no longer, and the server is not lost for it", async () => {
    const it = patience({ callTimeoutMs: 300 });
    await expect(it.run(1, () => new Promise(() => {}))).rejects.toMatchObject({ message: "no answer within 300 ms" });
    expect(it.stats()).toMatchObject({ up: true, queued: 0 });
  });

  test("a silent server is found out also when nobody waits for as long as two seconds", async () => {
    const it = patience({ callTimeoutMs: 300 });
    alive = false;
    await expect(it.run(1, () => new Promise(() => {}))).rejects.toMatchObject({ message: "no answer within 300 ms" });
    await expect.poll(() => it.stats().up).toBe(false);
    expect(changes).toMatchObject([{ up: false }]);
  });

  test("one slow request among others that are answered makes nobody look for the server", async () => {
    const it = patience({ callTimeoutMs: 300 });
    const slow = expect(it.run(1, () => new Promise(() => {}))).rejects.toMatchObject({ code: "unavailable" });
    await Bun.sleep(100);
    await it.run(1, async () => 1);
    await slow;
    expect([probes, it.stats().up]).toEqual([0, true]);
  });

  test("past the bounds requests are refused at once; one that alone is larger is not", async () => {
    const it = patience({ maxRequests: 2, maxRows: 10 });
    const { promise, resolve } = Promise.withResolvers<number>();
    const first = it.run(11, () => promise);
    await expect(it.run(1, async () => 1)).rejects.toMatchObject({ code: "unavailable" });
    resolve(1);
    await first;
    const many = [1, 2, 3].map(() => it.run(1, async () => 1));
    expect((await Promise.allSettled(many)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
    ]);
  });

  test("a conflict is tried again, five times at most; an answer that was lost is not", async () => {
    const it = patience();
    let tries = 0;
    const won = it.run(1, async () => {
      if (++tries < 4) throw new StorageError("conflict", "serialisation failure");
      return tries;
    });
    expect(await won).toBe(4);
    tries = 0;
    const lost = it.run(1, async () => {
      tries++;
      throw new StorageError("conflict", "serialisation failure");
    });
    await expect(lost).rejects.toMatchObject({ code: "conflict", maybeDone: false });
    expect(tries).toBe(5);
    tries = 0;
    const unsure = it.run(1, async (attempt) => {
      tries++;
      attempt.mayBeDone = true;
      throw gone();
    });
    await expect(unsure).rejects.toMatchObject({ code: "unavailable", maybeDone: true });
    expect(tries).toBe(1);
  });

  test("one that is closed refuses", async () => {
    const it = patience();
    it.close();
    await expect(it.run(1, async () => 1)).rejects.toMatchObject({ code: "unavailable", message: /is closed/ });
  });
});
