// Tokens of clients in fast_auth_token: our own rows, and those that MongooseIM left.
import { beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { FastTokenStore, MAX_CLIENTS, type Owner, type Token } from "../../modules/mod_fast_auth_token/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770";

onEachDatabase("fast_auth_token", (database: TestDatabase) => {
  let db: Db;
  let store: FastTokenStore;
  const owner = (local: string, agent = AGENT, domain = "fast.example"): Owner => ({
    jid: makeBare(local, domain),
    agent,
  });
  const token = (text: string, more: Partial<Token> = {}): Token => ({
    text,
    expires: 1_900_000_000,
    count: 0,
    mechanism: 18,
    ...more,
  });

  beforeAll(async () => {
    db = await database.open();
    store = new FastTokenStore(db);
  });

  test("a token is given, adopted, counted, replaced and forgotten", async () => {
    const romeo = owner("romeo");
    expect(await store.read(romeo)).toBeUndefined();
    await store.give(romeo, token("one"));
    expect(await store.read(romeo)).toEqual({ current: undefined, fresh: token("one") });

    expect(await store.adopt(romeo, token("another"), 3)).toBe(false);
    expect(await store.adopt(romeo, token("one"), 3)).toBe(true);
    expect(await store.read(romeo)).toEqual({ current: token("one", { count: 3 }), fresh: undefined });
    expect(await store.adopt(romeo, token("one"), 4)).toBe(false);

    expect(await store.countUp(romeo, token("one"), 3)).toBe(false);
    expect(await store.countUp(romeo, token("two"), 9)).toBe(false);
    expect(await store.countUp(romeo, token("one"), 4)).toBe(true);

    await store.give(romeo, token("two", { mechanism: 1 }));
    await store.give(romeo, token("three"));
    expect(await store.read(romeo)).toEqual({ current: token("one", { count: 4 }), fresh: token("three") });

    await store.forget(romeo);
    expect(await store.read(romeo)).toBeUndefined();
  });

  test("of those who use a token with the same count at the same time one succeeds", async () => {
    const race = owner("race");
    await store.give(race, token("t"));
    const adopted = await Promise.all([1, 2, 3, 4].map(() => store.adopt(race, token("t"), 1)));
    expect(adopted.filter(Boolean)).toHaveLength(1);
    const counted = await Promise.all([1, 2, 3, 4].map(() => store.countUp(race, token("t"), 2)));
    expect(counted.filter(Boolean)).toHaveLength(1);
  });

  test("reads what MongooseIM wrote", async () => {
    await db.execute(
      "INSERT INTO fast_auth_token (server, username, user_agent_id, current_token, current_expire, current_count, current_mech_id, new_token, new_expire, new_count, new_mech_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      ["fast.example", "mim", AGENT, "current", 1_700_000_000, 2, 1, "new", 1_700_000_001, 0, 12],
    );
    expect(await store.read(owner("mim"))).toEqual({
      current: { text: "current", expires: 1_700_000_000, count: 2, mechanism: 1 },
      fresh: { text: "new", expires: 1_700_000_001, count: 0, mechanism: 12 },
    });
  });

  test("clients and accounts do not see each other's tokens", async () => {
    await store.give(owner("alice", "a"), token("a"));
    await store.give(owner("alice", "b"), token("b"));
    await store.give(owner("bob", "a"), token("c"));
    await store.give(owner("alice", "a", "other.example"), token("d"));
    await store.forget(owner("alice", "a"));
    const left = [owner("alice", "a"), owner("alice", "b"), owner("bob", "a"), owner("alice", "a", "other.example")];
    expect(await Promise.all(left.map(async (o) => (await store.read(o))?.fresh?.text))).toEqual([
      undefined,
      "b",
      "c",
      "d",
    ]);
  });

  test("more clients than an account may have: those whose tokens end first go", async () => {
    const agents = Array.from({ length: MAX_CLIENTS }, (_, n) => `agent-${n}`);
    for (const [n, agent] of agents.entries()) {
      await store.give(owner("many", agent), token(agent, { expires: 1_900_000_000 + ((n + 7) % MAX_CLIENTS) }));
    }
    // One that has tokens takes nobody's place.
    await store.give(owner("many", "agent-3"), token("again", { expires: 2_000_000_000 }));
    expect(await store.read(owner("many", `agent-${MAX_CLIENTS - 7}`))).toBeDefined();
    await store.give(owner("many", "one more"), token("one more"));
    expect(await store.read(owner("many", `agent-${MAX_CLIENTS - 7}`))).toBeUndefined();
    const [{ n }] = await db.query<{ n: number }>("SELECT count(*) AS n FROM fast_auth_token WHERE username = 'many'");
    expect(Number(n)).toBe(MAX_CLIENTS);
  });

  test("a user's and a domain's removal take theirs; the export tells no secrets", async () => {
    await store.give(owner("gone", "x"), token("secret", { expires: 1_900_000_000 }));
    await store.give(owner("gone2", "x"), token("stays"));
    expect(await store.personalData(makeBare("gone", "fast.example"))).toEqual([
      {
        name: "fast_auth_token",
        columns: ["user_agent_id", "current_expire", "new_expire"],
        rows: [["x", "", "2030-03-17T17:46:40.000Z"]],
      },
    ]);
    await store.removeUser(makeBare("gone", "fast.example"));
    expect(await store.read(owner("gone", "x"))).toBeUndefined();
    expect(await store.read(owner("gone2", "x"))).toBeDefined();
    await store.give(owner("u", "x", "removed.example"), token("t"));
    await store.removeDomain("removed.example");
    expect(await store.read(owner("u", "x", "removed.example"))).toBeUndefined();
    expect(await store.read(owner("gone2", "x"))).toBeDefined();
  });
});
