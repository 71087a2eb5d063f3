// The wheel: what waits runs in its turn of a quarter of a second, never before its time.

import { describe, expect, test } from "vitest";
import { Wheel } from "../../../core/wheel.ts";

class Clock {
  time = 1_000_000;
  readonly errors: unknown[] = [];
  readonly wheel = new Wheel(
    () => this.time,
    (error) => this.errors.push(error),
  );
  readonly ran: string[] = [];

  after(ms: number, name: string): () => void {
    return this.wheel.after(ms, () => this.ran.push(name));
  }
  /** Moves the clock in steps of the wheel's turn. */
  pass(ms: number, step = 250): this {
    for (const end = this.time + ms; this.time < end; ) {
      this.time = Math.min(end, this.time + step);
      this.wheel.turn();
    }
    return this;
  }
}

describe("what waits", () => {
  test.each([0, 1, 249, 250, 251, 1000, 30_000])("for %i ms runs then or within a quarter of a second", (ms) => {
    for (const offset of [0, 1, 100, 249]) {
      const clock = new Clock();
      clock.time += offset;
      const start = clock.time;
      let at = 0;
      clock.wheel.after(ms, () => {
        at = clock.time;
      });
      clock.pass(ms + 500, 10);
      expect(at - start).toBeGreaterThanOrEqual(ms);
      expect(at - start).toBeLessThanOrEqual(ms + 260);
    }
  });

  test("runs once", () => {
    const clock = new Clock();
    clock.after(100, "a");
    expect(clock.pass(5000).ran).toEqual(["a"]);
  });

  test("runs in the order of time", () => {
    const clock = new Clock();
    clock.after(2000, "late");
    clock.after(500, "early");
    clock.after(500, "early too");
    expect(clock.pass(3000).ran).toEqual(["early", "early too", "late"]);
  });

  test("does not run when it was cancelled", () => {
    const clock = new Clock();
    const cancel = clock.after(500, "a");
    clock.after(500, "b");
    cancel();
    expect(clock.pass(1000).ran).toEqual(["b"]);
  });

  test("may be cancelled twice, and after it ran", () => {
    const clock = new Clock();
    const cancel = clock.after(500, "a");
    clock.pass(1000);
    cancel();
    cancel();
    expect(clock.ran).toEqual(["a"]);
  });

  test("may be cancelled by what runs before it in the same turn", () => {
    const clock = new Clock();
    let cancel = (): void => {};
    clock.wheel.after(500, () => cancel());
    cancel = clock.after(500, "b");
    expect(clock.pass(1000).ran).toEqual([]);
  });

  test("may wait again, and does not run in the same turn", () => {
    const clock = new Clock();
    let runs = 0;
    const again = (): void => {
      runs++;
      clock.wheel.after(0, again);
    };
    clock.wheel.after(0, again);
    clock.pass(250);
    expect(runs).toBe(1);
    clock.pass(1000);
    expect(runs).toBe(5);
  });
});

test("an error of one does not keep the others from running", () => {
  const clock = new Clock();
  clock.wheel.after(100, () => {
    throw new Error("broken");
  });
  clock.after(100, "b");
  clock.pass(500);
  expect([clock.ran, String(clock.errors[0]), clock.errors.length]).toEqual([["b"], "Error: broken", 1]);
});

test("after a long time without a turn everything that is due runs, in order", () => {
  const clock = new Clock();
  for (const ms of [60_000, 1000, 30_000, 7_200_000]) clock.after(ms, String(ms));
  clock.time += 3_600_000;
  clock.wheel.turn();
  expect(clock.ran).toEqual(["1000", "30000", "60000"]);
  clock.pass(3_700_000, 10_000);
  expect(clock.ran.at(-1)).toBe("7200000");
});

test("stop forgets what waits", () => {
  const clock = new Clock();
  clock.after(500, "a");
  clock.wheel.stop();
  expect(clock.pass(1000).ran).toEqual([]);
});

test("start turns it by itself until stop", async () => {
  const ran: string[] = [];
  const wheel = new Wheel(
    () => performance.now(),
    () => {},
  );
  wheel.start();
  wheel.start();
  await new Promise<void>((resolve) => {
    wheel.after(10, () => {
      ran.push("a");
      resolve();
    });
  });
  wheel.stop();
  wheel.after(0, () => ran.push("b"));
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(ran).toEqual(["a"]);
});
