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

  test("one broken connection to a server that lives changes nothing", async () => {
    const it = patience();
    await expect(it.run(1, () => Promise.reject(gone()))).rejects.toMatchObject({ code: "unavailable" });
    expect(await it.run(1, async () => 7)).toBe(7);
    expect([probes, drops, changes]).toEqual([1, 0, []]);
  });

  test("a server that does not answer a probe is lost: requests are refused at once, and the log is told once", async () => {
    const it = patience();
    alive = false;
    await broken(it);
    await Bun.sleep(1);
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
    const it = patience({ maxPauseMs: 100 });
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
    const it = patience();
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
    const it = patience();
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
