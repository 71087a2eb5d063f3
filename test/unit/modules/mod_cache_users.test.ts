import { describe, expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import { Markup } from "../../../core/xml/markup.ts";
import modCacheUsers, { AccountSegments } from "../../../modules/mod_cache_users.ts";
import { FakeServer } from "../../support/fake-server.ts";
import { type StubNode, stubNode } from "../../support/stub-node.ts";

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

describe("in a node", () => {
  const asked = ({ db }: StubNode): number =>
    db.log.splice(0).filter((sql) => /SELECT 1 .*FROM users/.test(sql)).length;
  const send = async ({ node }: StubNode, to: string): Promise<void> => {
    const message = `<message to='${to}' type='chat'><body>Hi</body></message>`;
    await node.routeXml(parseBareJid("juliet@localhost"), parseBareJid(to), new Markup(message));
  };

  test("the database is asked once for an account that exists, each time for one that does not", async () => {
    const stub = await stubNode({ modules: [modCacheUsers], users: ["romeo"] });
    stub.db.log.splice(0);
    await send(stub, "romeo@localhost");
    await send(stub, "romeo@localhost");
    expect(asked(stub)).toBe(1);
    await send(stub, "nobody@localhost");
    await send(stub, "nobody@localhost");
    expect(asked(stub)).toBe(2);
    await stub.node.removeUser(parseBareJid("romeo@localhost"));
    stub.db.log.splice(0);
    await send(stub, "romeo@localhost");
    expect(asked(stub)).toBe(1);
    expect(stub.node.hostOf("localhost")!.counters.bounced).toBe(5);
    await stub.node.stop();
  });

  test("an answer that is older than a removal is not remembered", async () => {
    const stub = await stubNode({ modules: [modCacheUsers], users: ["romeo"] });
    const sent = send(stub, "romeo@localhost");
    stub.node.hostOf("localhost")!.accountCache!.remove("romeo@localhost");
    await sent;
    expect(stub.node.hostOf("localhost")!.accountCache!.has("romeo@localhost")).toBe(false);
    await stub.node.stop();
  });

  test("without the feature the database is asked each time", async () => {
    const stub = await stubNode({ users: ["romeo"] });
    stub.db.log.splice(0);
    await send(stub, "romeo@localhost");
    await send(stub, "romeo@localhost");
    expect(asked(stub)).toBe(2);
    await stub.node.stop();
  });
});
