import { expect, test } from "vitest";
import { HasherBusyError, PasswordHasher } from "../../../../core/auth/index.ts";

const salt = new Uint8Array(16);
const derive = (hasher: PasswordHasher, password = "x") => hasher.derive("sha256", password, salt, 1);

test("two hashes run and the rest wait", async () => {
  const hasher = new PasswordHasher();
  const all = [1, 2, 3, 4, 5].map(() => derive(hasher));
  expect([hasher.running, hasher.waiting]).toEqual([2, 3]);
  await Promise.all(all);
  expect([hasher.running, hasher.waiting]).toEqual([0, 0]);
});

test("first come, first served", async () => {
  const hasher = new PasswordHasher({ concurrency: 1 });
  const order: number[] = [];
  await Promise.all([1, 2, 3, 4].map((n) => derive(hasher).then(() => order.push(n))));
  expect(order).toEqual([1, 2, 3, 4]);
});

test("a full queue refuses instead of growing", async () => {
  const hasher = new PasswordHasher({ concurrency: 1, maxWaiting: 1 });
  const accepted = [derive(hasher), derive(hasher)];
  await expect(derive(hasher)).rejects.toThrow(HasherBusyError);
  await Promise.all(accepted);
  await derive(hasher);
});

test("a hash that fails gives its place on", async () => {
  const hasher = new PasswordHasher({ concurrency: 1 });
  const bad = hasher.derive("sha256", "x", salt, -1);
  const good = derive(hasher);
  await expect(bad).rejects.toThrow();
  await good;
  expect(hasher.running).toBe(0);
});

test("5,000 log-ins at once let a timer through", async () => {
  const hasher = new PasswordHasher();
  let late = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    late = Math.max(late, performance.now() - last - 5);
    last = performance.now();
  }, 5);
  await Promise.all(Array.from({ length: 5000 }, (_, i) => derive(hasher, `${i}`)));
  clearInterval(timer);
  expect(late).toBeLessThan(500);
});
