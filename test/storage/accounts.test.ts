// The `users` table: our own rows, and those that MongooseIM left.
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { type HostAuth, openHostAuth, PasswordHasher } from "../../core/auth/index.ts";
import { UserStore } from "../../core/auth/store.ts";
import { auth } from "../../core/config/auth.ts";
import type { Db } from "../../core/storage/db.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("accounts", (database: TestDatabase) => {
  let db: Db;
  let store: UserStore;

  beforeAll(async () => {
    db = await database.open();
    store = new UserStore(db);
  });

  const hostAuth = (password: Record<string, unknown> = {}): HostAuth =>
    openHostAuth("localhost", auth().parse({ methods: ["rdbms"], rdbms: {}, password }), {
      hasher: new PasswordHasher(),
      saltSecret: new Uint8Array(32),
      random: (n) => crypto.getRandomValues(new Uint8Array(n)),
      sleep: (ms) => Bun.sleep(ms),
      online: () => false,
      internalDb: db,
      rdbms: db,
    });
  /** A row as MongooseIM writes it. */
  const row = (username: string, password: string, details: string | null): Promise<number> =>
    db.execute("INSERT INTO users (server, username, password, pass_details) VALUES (?, ?, ?, ?)", [
      "old.example",
      username,
      password,
      details,
    ]);

  test.each([
    ["romeo", "s3cret"],
    ["żółć.馬", "пароль 🐎"],
    ["o'brien", "back\\slash ' \" $1 ? \n"],
    ["x".repeat(250), "p".repeat(10_000)],
  ])("a plain password comes back as it was (%#)", async (local, plain) => {
    expect(await store.create(local, "plain.example", { plain })).toBe(true);
    expect(await store.credentials(local, "plain.example")).toEqual({ plain });
  });

  test("SCRAM keys of all five hash functions come back as they were", async () => {
    const keys = { salt: bytes(1), storedKey: bytes(2), serverKey: bytes(3), iterations: 4096 };
    const scram = { sha: keys, sha224: keys, sha256: keys, sha384: keys, sha512: keys };
    await store.create("romeo", "scram.example", { scram });
    expect(await store.credentials("romeo", "scram.example")).toEqual({ scram });
    expect(await store.credentials("romeo", "scram.example", "sha256")).toEqual({ scram: { sha256: keys } });
  });

  test("a row's password is empty beside SCRAM keys, and its pass_details NULL beside a plain one", async () => {
    const keys = { salt: bytes(1), storedKey: bytes(2), serverKey: bytes(3), iterations: 4096 };
    await store.create("juliet", "columns.example", { scram: { sha: keys } });
    const read = () => db.query("SELECT password, pass_details FROM users WHERE server = 'columns.example'");
    const text = `===SHA1===${keys.salt.toBase64()}|${keys.storedKey.toBase64()}|${keys.serverKey.toBase64()}`;
    expect(await read()).toEqual([{ password: "", pass_details: `==MULTI_SCRAM==,4096,${text}` }]);
    await store.setCredentials("juliet", "columns.example", { plain: "open" });
    expect(await read()).toEqual([{ password: "open", pass_details: null }]);
  });

  test.each([
    ["plain", "wherefore", null],
    ["all-hashes", "", multiScram("wherefore", ["sha1", "sha224", "sha256", "sha384", "sha512"])],
    ["one-hash", "", multiScram("wherefore", ["sha512"])],
    ["ancient", "", ancientScram("wherefore")],
  ])("a user with MongooseIM's %s row logs in", async (username, password, details) => {
    await row(username, password, details);
    expect(await hostAuth().authenticate(username, "old.example", "wherefore")).toBe("rdbms");
    expect(await hostAuth().authenticate(username, "old.example", "therefore")).toBeUndefined();
  });

  test("an empty plain password lets nobody in", async () => {
    await row("empty", "", null);
    expect(await hostAuth().authenticate("empty", "old.example", "")).toBeUndefined();
  });

  test("a damaged row lets nobody in and breaks nothing", async () => {
    await row("damaged", "", "==NEWER_SCRAM==,1,x");
    expect(await hostAuth().authenticate("damaged", "old.example", "x")).toBeUndefined();
    expect(await hostAuth().exists("damaged", "old.example")).toBe(true);
  });

  test("of twenty who register the same name, one gets it", async () => {
    const host = hostAuth({ format: "plain" });
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => host.create("race", "race.example", `p${i}`)),
    );
    expect(results.filter((result) => result === "ok")).toHaveLength(1);
    expect(results.filter((result) => result === "exists")).toHaveLength(19);
    const winner = results.indexOf("ok");
    expect(await store.credentials("race", "race.example")).toEqual({ plain: `p${winner}` });
  });

  test("setting the password that is set already succeeds", async () => {
    await store.create("same", "same.example", { plain: "p" });
    expect(await store.setCredentials("same", "same.example", { plain: "p" })).toBe(true);
  });

  test("a password of nobody cannot be set", async () => {
    expect(await store.setCredentials("nobody", "same.example", { plain: "p" })).toBe(false);
  });

  describe("lists", () => {
    const names = ["a%b", "a_b", "a$b", "axb", "ab", "b", "Ünder", "🐎"];
    beforeAll(async () => {
      for (const name of names) await store.create(name, "list.example", { plain: "p" });
      await store.create("elsewhere", "other.example", { plain: "p" });
    });

    test("hold the users of one domain", async () => {
      expect((await store.list("list.example", {})).toSorted()).toEqual(names.toSorted());
      expect(await store.count("list.example")).toBe(names.length);
    });

    test.each([
      ["a", ["a%b", "a_b", "a$b", "axb", "ab"]],
      ["a%", ["a%b"]],
      ["a_", ["a_b"]],
      ["a$", ["a$b"]],
      ["%", []],
      ["Ü", ["Ünder"]],
    ])("with prefix %s hold what begins so and nothing else", async (prefix, expected) => {
      expect((await store.list("list.example", { prefix })).toSorted()).toEqual(expected.toSorted());
      expect(await store.count("list.example", prefix)).toBe(expected.length);
    });

    test("in pages hold everyone once", async () => {
      const pages = [0, 3, 6, 9].map((offset) => store.list("list.example", { limit: 3, offset }));
      expect((await Promise.all(pages)).flat().toSorted()).toEqual(names.toSorted());
    });
  });

  test("removing a user leaves the others", async () => {
    await store.create("leaver", "remove.example", { plain: "p" });
    await store.create("stayer", "remove.example", { plain: "p" });
    expect(await store.remove("leaver", "remove.example")).toBe(true);
    expect(await store.remove("leaver", "remove.example")).toBe(false);
    expect(await store.list("remove.example", {})).toEqual(["stayer"]);
  });

  test("removing a domain leaves the others", async () => {
    await store.create("romeo", "gone.example", { plain: "p" });
    await store.create("romeo", "stays.example", { plain: "p" });
    await store.removeDomain("gone.example");
    expect(await store.count("gone.example")).toBe(0);
    expect(await store.exists("romeo", "stays.example")).toBe(true);
  });

  test("a user's record tells the kind of the password and not the password", async () => {
    await store.create("record", "record.example", { plain: "p" });
    const user = await store.user("record", "record.example");
    expect(user).toMatchObject({ username: "record", server: "record.example", password: "plain" });
    expect(user?.created_at).toMatch(/^20\d\d-\d\d-\d\d/);
  });

  test("a snapshot has no account made after it, and goes on after a name", async () => {
    const domain = "snapshot.example";
    for (const name of ["b", "a", "c", "late"]) await store.create(name, domain, { plain: "x" });
    await db.execute("UPDATE users SET created_at = '2037-01-01 00:00:00' WHERE server = ? AND username = ?", [
      domain,
      "late",
    ]);
    const until = Date.now() + 60_000;
    expect(await store.snapshot(domain, { limit: 10, after: "", until })).toEqual(["a", "b", "c"]);
    expect(await store.snapshot(domain, { limit: 1, after: "a", until })).toEqual(["b"]);
    expect(await store.snapshot(domain, { limit: 10, after: "", until: Date.parse("2037-01-01T00:00:00Z") })).toEqual([
      "a",
      "b",
      "c",
      "late",
    ]);
    expect(await store.snapshot(domain, { limit: 10, after: "", until: Date.parse("2020-01-01T00:00:00Z") })).toEqual(
      [],
    );
  });

  test("an estimate is a number or absent", async () => {
    const estimate = await store.estimate();
    expect(estimate === undefined || estimate >= 0).toBe(true);
  });

  // MySQL keeps for a day what it has told; MariaDB does not.
  if (database.dialect === "mysql") {
    test("an estimate follows the table", async () => {
      const before = (await store.estimate()) ?? 0;
      const rows = Array.from({ length: 3000 }, (_, i) => [`estimated${i}`, "estimate.example", "x"]);
      await db.insertMany("users", ["username", "server", "password"], rows);
      await expect.poll(async () => (await store.estimate()) ?? 0, { timeout: 15_000 }).toBeGreaterThan(before + 1000);
    }, 20_000);
  }
});

function bytes(fill: number): Uint8Array {
  return new Uint8Array(20).fill(fill);
}

const MARKS: Record<string, string> = {
  sha1: "===SHA1===",
  sha224: "==SHA224==",
  sha256: "==SHA256==",
  sha384: "==SHA384==",
  sha512: "==SHA512==",
};

/** RFC 5802 §3, computed apart from the server's own code. */
function scramKeys(
  hash: string,
  password: string,
  salt: Buffer,
  iterations: number,
): { stored: string; server: string } {
  const salted = pbkdf2Sync(password, salt, iterations, createHash(hash).digest().length, hash);
  const keyed = (text: string) => createHmac(hash, salted).update(text).digest();
  return {
    stored: createHash(hash).update(keyed("Client Key")).digest("base64"),
    server: keyed("Server Key").toString("base64"),
  };
}

/** `pass_details` as MongooseIM writes it now: each hash function has a salt of its own. */
function multiScram(password: string, hashes: readonly string[]): string {
  const parts = hashes.map((hash, i) => {
    const salt = Buffer.alloc(16, i + 1);
    const { stored, server } = scramKeys(hash, password, salt, 1000);
    return `${MARKS[hash]}${salt.toString("base64")}|${stored}|${server}`;
  });
  return `==MULTI_SCRAM==,1000,${parts.join(",")}`;
}

/** As MongooseIM wrote it up to 3.6.2. */
function ancientScram(password: string): string {
  const salt = Buffer.alloc(16, 9);
  const { stored, server } = scramKeys("sha1", password, salt, 1000);
  return `==SCRAM==,${stored},${server},${salt.toString("base64")},1000`;
}
