import fc from "fast-check";
import { expect, test } from "vitest";
import { Shaper } from "../../../core/shaper.ts";

test("a second's worth passes at once", () => {
  const shaper = new Shaper(1000);
  expect(shaper.take(1000, 0)).toBe(0);
});

test("what is beyond waits as long as it takes to fill", () => {
  const shaper = new Shaper(1000);
  expect(shaper.take(1500, 0)).toBe(500);
});

test("after the pause it asked for it goes on", () => {
  const shaper = new Shaper(1000);
  shaper.take(1500, 0);
  expect(shaper.take(0, 500)).toBe(0);
});

test("debts add up", () => {
  const shaper = new Shaper(1000);
  shaper.take(2000, 0);
  expect(shaper.take(1000, 500)).toBe(1500);
});

test("rest does not store more than one second", () => {
  const shaper = new Shaper(1000);
  shaper.take(1, 0);
  expect(shaper.take(2000, 3_600_000)).toBe(1000);
});

test("rate 0 is no limit", () => {
  expect(new Shaper(0).take(1e9, 0)).toBe(0);
});

test("a clock that is set back gives no tokens, and fills the bucket again from there", () => {
  const shaper = new Shaper(1000);
  shaper.take(1000, 3_605_000);
  expect(shaper.take(500, 5000)).toBe(500);
  expect(shaper.take(0, 5500)).toBe(0);
  expect(shaper.take(1000, 6500)).toBe(0);
});

test("a lower rate holds from the next take", () => {
  const shaper = new Shaper(1000);
  shaper.setRate(100);
  expect(shaper.take(200, 0)).toBe(1000);
});

test("who obeys the pauses never gets through more than a burst and the rate", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.array(fc.integer({ min: 1, max: 1e5 })), (rate, sizes) => {
      const shaper = new Shaper(rate);
      let now = 0;
      let passed = 0;
      for (const size of sizes) {
        now += shaper.take(size, now);
        passed += size;
        expect(passed).toBeLessThanOrEqual(rate + (rate * now) / 1000 + 0.001);
      }
    }),
  );
});
