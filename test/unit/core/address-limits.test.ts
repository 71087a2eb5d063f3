import { expect, test } from "vitest";
import { AddressLimits } from "../../../core/address-limits.ts";

function limits() {
  const clock = { now: 1_800_000_000_000 };
  return { clock, limits: new AddressLimits(() => clock.now) };
}

test("an address connects so many times a minute", () => {
  const { clock, limits: l } = limits();
  const connect = (address: string): boolean => l.connects(address, 2);
  expect([connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.2")]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  clock.now += 60_000;
  expect(connect("192.0.2.1")).toBe(true);
});

test("an IPv6 /64 is one address", () => {
  const { limits: l } = limits();
  expect([l.connects("2001:db8::1", 1), l.connects("2001:db8::2", 1), l.connects("2001:db8:0:1::2", 1)]).toEqual([
    true,
    false,
    true,
  ]);
});

test.each(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""])("%j has no bound", (address) => {
  const { limits: l } = limits();
  for (let i = 0; i < 5; i++) {
    expect(l.connects(address, 1)).toBe(true);
    l.fails(address);
  }
  expect(l.isBarred(address, 1)).toBe(false);
});

test("an address is barred when so many log-ins have failed, until the minute ends", () => {
  const { clock, limits: l } = limits();
  l.fails("192.0.2.1");
  expect(l.isBarred("192.0.2.1", 2)).toBe(false);
  l.fails("192.0.2.1");
  expect([l.isBarred("192.0.2.1", 2), l.isBarred("192.0.2.1", 3), l.isBarred("192.0.2.2", 2)]).toEqual([
    true,
    false,
    false,
  ]);
  expect(l.isBarred("192.0.2.1", Number.POSITIVE_INFINITY)).toBe(false);
  clock.now += 60_000;
  expect(l.isBarred("192.0.2.1", 2)).toBe(false);
});

test("what is counted has a bound", () => {
  const { limits: l } = limits();
  for (let i = 0; i < 100_000; i++) l.connects(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 1);
  expect([l.connects("192.0.2.1", 1), l.connects("192.0.2.1", 1)]).toEqual([true, true]);
  expect(l.connects("10.0.0.0", 1)).toBe(false);
});
