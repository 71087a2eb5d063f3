import { expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import modCacheUsers, { AccountSegments } from "../../../modules/mod_cache_users.ts";
import { FakeServer } from "../../support/fake-server.ts";

const MINUTE = 60_000;

test("fifo: what is used does not stay longer", () => {
  const cache = new AccountSegments(2, false);
  cache.add("a");
  cache.rotate();
  expect(cache.has("a")).toBe(true);
  cache.rotate();
  expect(cache.has("a")).toBe(false);
});

test("lru: what is used stays", () => {
  const cache = new AccountSegments(2, true);
  cache.add("a");
  cache.add("b");
  cache.rotate();
  expect(cache.has("a")).toBe(true);
  cache.rotate();
  expect([cache.has("a"), cache.has("b")]).toEqual([true, false]);
});

test("a full segment is closed early", () => {
  const cache = new AccountSegments(2, false);
  for (let i = 0; i < 150_000; i++) cache.add(String(i));
  expect([cache.has("0"), cache.has("49999"), cache.has("50000"), cache.has("149999")]).toEqual([
    false,
    false,
    true,
    true,
  ]);
});

test("the segments rotate with time", async () => {
  const server = new FakeServer();
  await server.startModule(modCacheUsers, { number_of_segments: 2, time_to_live: 10 });
  const { accountCache } = server.host;
  accountCache!.add("romeo@localhost");
  server.clock.advance(19 * MINUTE);
  expect(accountCache!.has("romeo@localhost")).toBe(true);
  server.clock.advance(MINUTE);
  expect(accountCache!.has("romeo@localhost")).toBe(false);
  expect(server.metric("mod_cache_users", "user_cache_lookup_hits")).toBe(1);
  expect(server.metric("mod_cache_users", "user_cache_lookup_misses")).toBe(1);
  await server.stopModule("mod_cache_users");
  expect(server.host.accountCache).toBeUndefined();
});

test("never, with an infinite time to live", async () => {
  const server = new FakeServer();
  await server.startModule(modCacheUsers, { time_to_live: "infinity" });
  server.host.accountCache!.add("romeo@localhost");
  server.clock.advance(100_000 * MINUTE);
  expect(server.host.accountCache!.has("romeo@localhost")).toBe(true);
});

test("who is removed is forgotten, alone or with the domain", async () => {
  const server = new FakeServer({ domains: ["localhost", "second"], users: ["romeo"] });
  await server.startModule(modCacheUsers);
  const cache = server.host.accountCache!;
  for (const jid of ["romeo@localhost", "juliet@localhost", "romeo@second"]) cache.add(jid);
  await server.removeUser(parseBareJid("romeo@localhost"));
  expect([cache.has("romeo@localhost"), cache.has("juliet@localhost")]).toEqual([false, true]);
  await server.removeDomain("second");
  expect([cache.has("romeo@second"), cache.has("juliet@localhost")]).toEqual([false, true]);
  expect(cache.removals).toBe(2);
});
