// Sequence numbers of refresh tokens in auth_token: our own rows, and those that MongooseIM left.
import { beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { TokenStore } from "../../modules/mod_auth_token/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("auth_token", (database: TestDatabase) => {
  let db: Db;
  let store: TokenStore;
  const user = (local: string, domain = "tokens.example") => makeBare(local, domain);

  beforeAll(async () => {
    db = await database.open();
    store = new TokenStore(db);
  });

  test("the first number stays until it is revoked", async () => {
    expect(await store.validSequence(user("romeo"))).toBeUndefined();
    expect(await store.sequence(user("romeo"), 1_700_000_000)).toBe(1_700_000_000);
    expect(await store.sequence(user("romeo"), 1_800_000_000)).toBe(1_700_000_000);
    expect(await store.revoke(user("romeo"))).toBe(true);
    expect(await store.validSequence(user("romeo"))).toBe(1_700_000_001);
    expect(await store.revoke(user("juliet"))).toBe(false);
  });

  test("many that ask at the same time get the same number", async () => {
    const numbers = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => store.sequence(user("race"), n)));
    expect(new Set(numbers).size).toBe(1);
    expect(await store.validSequence(user("race"))).toBe(numbers[0]);
  });

  test("reads and counts up what MongooseIM wrote", async () => {
    await db.execute("INSERT INTO auth_token (owner, seq_no) VALUES (?, ?)", ["mim@tokens.example", 3]);
    expect(await store.sequence(user("mim"), 99)).toBe(3);
    await store.revoke(user("mim"));
    expect(await store.validSequence(user("mim"))).toBe(4);
  });

  test("a domain's removal keeps the domains that look alike", async () => {
    const domains = ["a_b.example", "axb.example", "sub.a_b.example", "a_b.example.org"];
    for (const domain of domains) await store.sequence(user("u", domain), 1);
    await store.removeDomain("a_b.example");
    const left = await Promise.all(domains.map((domain) => store.validSequence(user("u", domain))));
    expect(left).toEqual([undefined, 1, 1, 1]);
  });
});
