// Invitations in mongooseim_invites.
import { beforeAll, beforeEach, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { InviteStore, type NewInvite } from "../../modules/mod_invites/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const DOMAIN = "invite.example";
const invite = (more: Partial<NewInvite> = {}): NewInvite => ({
  domain: DOMAIN,
  inviter: "romeo",
  kind: "roster",
  account: "",
  mayRegister: false,
  subscribe: true,
  uses: 1,
  createdAt: 1000,
  expiresAt: 2000,
  ...more,
});

onEachDatabase("invitations", (database: TestDatabase) => {
  let db: Db;
  let store: InviteStore;
  beforeAll(async () => {
    db = await database.open();
    store = new InviteStore(db);
  });
  beforeEach(async () => {
    await db.execute("DELETE FROM mongooseim_invites");
  });

  test("are found by their token, in their domain and time", async () => {
    const made = await store.add("token", invite({ kind: "account", account: "juliet", mayRegister: true, uses: 3 }));
    expect(made).toEqual({
      ...invite({ kind: "account", account: "juliet", mayRegister: true, uses: 3 }),
      id: expect.stringMatching(/^\d+$/),
    });
    expect(await store.find(DOMAIN, "token", 1999)).toEqual(made);
    expect(await store.find(DOMAIN, "token", 2000)).toBeUndefined();
    expect(await store.find(DOMAIN, "Token", 1500)).toBeUndefined();
    expect(await store.find("other.example", "token", 1500)).toBeUndefined();
  });

  test("are kept without their token", async () => {
    await store.add("a secret token", invite());
    expect(JSON.stringify(await db.query("SELECT * FROM mongooseim_invites"), bigints)).not.toContain("secret");
  });

  test("of two that have the same token there is one", async () => {
    await store.add("token", invite());
    await expect(store.add("token", invite())).rejects.toThrow();
  });

  test("are used as often as they allow, however many want to at once", async () => {
    const { id } = await store.add("token", invite({ uses: 3 }));
    const taken = await Promise.all(Array.from({ length: 10 }, () => store.take(id)));
    expect(taken.filter(Boolean)).toHaveLength(3);
    expect(await store.find(DOMAIN, "token", 1500)).toBeUndefined();
    await store.giveBack(id);
    expect(await store.find(DOMAIN, "token", 1500)).toMatchObject({ id, uses: 1 });
  });

  test("keep a user name while they can be used", async () => {
    const { id } = await store.add("token", invite({ account: "juliet" }));
    expect(await store.isReserved(DOMAIN, "juliet", 1500)).toBe(true);
    expect(await store.isReserved(DOMAIN, "juliet", 1500, id)).toBe(false);
    expect(await store.isReserved(DOMAIN, "juliet", 2000)).toBe(false);
    expect(await store.isReserved("other.example", "juliet", 1500)).toBe(false);
    expect(await store.isReserved(DOMAIN, "romeo", 1500)).toBe(false);
  });

  test("of two that keep the same user name the first counts", async () => {
    const [first, second] = [
      await store.add("1", invite({ account: "juliet" })),
      await store.add("2", invite({ account: "juliet" })),
    ];
    expect(await store.isReserved(DOMAIN, "juliet", 1500, first.id)).toBe(false);
    expect(await store.isReserved(DOMAIN, "juliet", 1500, second.id)).toBe(true);
  });

  test("are counted, listed and removed for each user", async () => {
    await store.add("1", invite());
    const second = await store.add("2", invite());
    await store.add("3", invite({ inviter: "juliet" }));
    await store.add("4", invite({ inviter: "", kind: "account" }));
    await store.add("old", invite({ expiresAt: 1400 }));
    const names = async (inviter?: string) => (await store.list(DOMAIN, inviter, 1500, 10, 0)).map((i) => i.inviter);
    expect(await store.count(makeBare("romeo", DOMAIN), 1500)).toBe(2);
    expect(await names()).toEqual(["", "juliet", "romeo", "romeo"]);
    expect(await names("romeo")).toEqual(["romeo", "romeo"]);
    expect((await store.list(DOMAIN, undefined, 1500, 1, 1)).map((i) => i.inviter)).toEqual(["juliet"]);
    expect(await store.remove(DOMAIN, BigInt(second.id), "juliet")).toBe(false);
    expect(await store.remove("other.example", BigInt(second.id))).toBe(false);
    expect(await store.remove(DOMAIN, BigInt(second.id), "romeo")).toBe(true);
    expect(await names("romeo")).toEqual(["romeo"]);
  });

  test("are gone when nobody can use them", async () => {
    await store.add("old", invite({ expiresAt: 1500 }));
    const used = await store.add("used", invite());
    await store.take(used.id);
    const others = await store.add("others", invite({ inviter: "juliet" }));
    await store.take(others.id);
    await store.add("good", invite());
    await store.removeUseless(makeBare("romeo", DOMAIN), 1500);
    const left = async () => (await db.query("SELECT id FROM mongooseim_invites")).length;
    expect(await left()).toBe(2);
    expect(await store.find(DOMAIN, "good", 1500)).toBeDefined();
    await store.removeUseless(undefined, 2000);
    expect(await left()).toBe(0);
  });
});

const bigints = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
