// Stored messages in offline_message: our own rows, and those that MongooseIM left.
import { beforeAll, describe, expect, test } from "vitest";
import { type BareJid, makeBare } from "../../core/jid.ts";
import { type Db, StorageError } from "../../core/storage/db.ts";
import { OfflineStore, type Waiting } from "../../modules/mod_offline/store.ts";
import { whole } from "../support/personal.ts";
import { allSteps } from "../support/steps.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

/** Microseconds. */
const NOW = 1_790_000_000_123_456;
const ALL = 1000;

onEachDatabase("offline messages", (database: TestDatabase) => {
  let db: Db;
  let store: OfflineStore;
  let users = 0;

  beforeAll(async () => {
    db = await database.open();
    store = new OfflineStore(db);
  });

  const newUser = (domain = "offline.example"): BareJid => makeBare(`juliet${++users}`, domain);
  const message = (body: string, more: Partial<Waiting> = {}): Omit<Waiting, "id"> => ({
    timestamp: NOW,
    expire: undefined,
    from: "romeo@example.com/garden",
    packet: `<message from='romeo@example.com/garden'><body>${body}</body></message>`,
    ...more,
  });
  const waiting = async (user: BareJid): Promise<Omit<Waiting, "id">[]> =>
    (await store.popMessages(user, 0, ALL)).map(({ id: _, ...rest }) => rest);

  test.each([
    ["plain", message("hello")],
    ["other scripts", message("Zażółć gęślą jaźń 🐎 שלום", { from: "żółć@例え.jp/馬" })],
    ["what SQL could mistake", message("'\\ ? $1 \" ; -- \n\t", { from: "o'brien@example.com/a?b" })],
    ["long", message("x".repeat(300_000))],
    ["expiring", message("soon", { expire: NOW + 1 })],
  ])("a message comes back as it was: %s", async (_, sent) => {
    const user = newUser();
    await store.writeMessages(user, sent);
    expect(await waiting(user)).toEqual([sent]);
  });

  test("messages written at the same time come in the order of writing", async () => {
    const user = newUser();
    const other = newUser();
    const bodies = Array.from({ length: 700 }, (_, i) => `message ${i}`);
    await Promise.all(
      bodies.flatMap((b) => [store.writeMessages(user, message(b)), store.writeMessages(other, message(b))]),
    );
    expect((await waiting(user)).map(({ packet }) => packet)).toEqual(bodies.map((b) => message(b).packet));
    expect(await waiting(other)).toHaveLength(700);
  });

  test("messages written one soon after the other come in the order of writing", async () => {
    const [user, other] = [newUser(), newUser()];
    const bodies = Array.from({ length: 60 }, (_, i) => `message ${i}`);
    const writes: Promise<void>[] = [];
    for (const b of bodies) {
      // More than one connection has work; each turn of the event loop is a commit of its own.
      writes.push(store.writeMessages(user, message(b)), store.writeMessages(other, message(b)));
      await new Promise(setImmediate);
    }
    await Promise.all(writes);
    for (const each of [user, other])
      expect((await waiting(each)).map(({ packet }) => packet)).toEqual(bodies.map((b) => message(b).packet));
  });

  test("pages follow each other without gap or repetition", async () => {
    const user = newUser();
    for (let i = 0; i < 7; i++) await store.writeMessages(user, message(`m${i}`));
    const seen: string[] = [];
    for (let after: number | bigint = 0; ; ) {
      const page = await store.popMessages(user, after, 3);
      if (page.length === 0) break;
      seen.push(...page.map(({ packet }) => packet));
      after = page[page.length - 1].id;
    }
    expect(seen).toEqual(Array.from({ length: 7 }, (_, i) => message(`m${i}`).packet));
  });

  test("only the messages named are deleted", async () => {
    const user = newUser();
    for (const body of ["a", "b", "c"]) await store.writeMessages(user, message(body));
    const [first, , third] = await store.popMessages(user, 0, ALL);
    await store.delete(user, [first.id, third.id]);
    expect(await waiting(user)).toEqual([message("b")]);
  });

  test("one user cannot delete another's messages", async () => {
    const user = newUser();
    await store.writeMessages(user, message("mine"));
    const [mine] = await store.popMessages(user, 0, ALL);
    await store.delete(newUser(), [mine.id]);
    expect(await waiting(user)).toHaveLength(1);
  });

  test("expired messages go, and those without an end stay", async () => {
    const user = newUser("expiry.example");
    await store.writeMessages(user, message("never"));
    await store.writeMessages(user, message("over", { expire: NOW - 1 }));
    await store.writeMessages(user, message("later", { expire: NOW + 1 }));
    expect(await store.deleteExpired("expiry.example", NOW)).toBe(1);
    expect((await waiting(user)).map(({ packet }) => packet)).toEqual([
      message("never").packet,
      message("later").packet,
    ]);
  });

  test("old messages go", async () => {
    const user = newUser("old.example");
    await store.writeMessages(user, message("old", { timestamp: NOW - 1000 }));
    await store.writeMessages(user, message("new"));
    expect(await store.deleteOlder("old.example", NOW)).toBe(1);
    expect(await waiting(user)).toEqual([message("new")]);
  });

  describe("more than go in one statement", () => {
    /** Rows of many users, all written at once. */
    const fill = (domain: string, n: number, more: Partial<Waiting>) =>
      Promise.all(
        Array.from({ length: n }, (_, i) => store.writeMessages(makeBare(`u${i % 50}`, domain), message("x", more))),
      );
    const left = (domain: string): Promise<number> => store.countBefore(domain, NOW);
    /** Rows that each statement has deleted. */
    async function statements(work: () => Promise<number>): Promise<{ n: number; each: number[] }> {
      const each: number[] = [];
      const execute = db.execute;
      db.execute = async (...args) => {
        const n = await execute.apply(db, args);
        each.push(n);
        return n;
      };
      try {
        return { n: await work(), each };
      } finally {
        Reflect.deleteProperty(db, "execute");
      }
    }

    test.each([
      ["deleteOlder", { timestamp: NOW - 1000 }],
      ["deleteExpired", { expire: NOW - 1 }],
    ] as const)("%s takes all, a batch at a time, and nothing of others", async (what, gone) => {
      const domain = `${what.toLowerCase()}.example`;
      await fill(domain, 20, {});
      await fill(domain, 6_200, gone);
      await fill(`other.${domain}`, 20, gone);
      await fill(domain, 20, { expire: NOW + 1000 });
      if (what === "deleteOlder") expect(await store.countBefore(domain, NOW / 1000)).toBe(6_200);
      const { n, each } = await statements(() => store[what](domain, NOW));
      expect(n).toBe(6_200);
      expect(Math.max(...each)).toBeLessThanOrEqual(5_000);
      expect(each.filter((rows) => rows > 0).length).toBeGreaterThan(1);
      expect(await left(domain)).toBe(40);
      expect(await left(`other.${domain}`)).toBe(20);
      expect(await store[what](domain, NOW)).toBe(0);
    });
  });

  test("of an age that no message can have, there is nothing", async () => {
    const user = newUser("young.example");
    await store.writeMessages(user, message("hello"));
    // 2,147,483,647 days ago, which no column of a database can say.
    const before = -1.8e20;
    expect(await store.deleteOlder("young.example", before)).toBe(0);
    expect(await allSteps(store.deleteBefore("young.example", before, 10))).toBe(0);
    expect(await store.countBefore("young.example", before)).toBe(0);
    expect(await waiting(user)).toHaveLength(1);
  });

  test("retention takes what is old of a domain, so many at a time", async () => {
    const user = newUser("aged.example");
    const other = newUser("young.example");
    for (const age of [1, 5, 3, 4, 2]) {
      await store.writeMessages(user, message(`aged ${age}`, { timestamp: NOW - age * 1_000_000 }));
    }
    await store.writeMessages(other, message("other", { timestamp: 1_000_000 }));
    // Older than two seconds: 3, 4 and 5, for the time is cut to milliseconds.
    const before = Math.floor((NOW - 2_000_000) / 1000);
    expect(await store.countBefore("aged.example", before)).toBe(3);
    const steps: number[] = [];
    for await (const n of store.deleteBefore("aged.example", before, 2)) if (n > 0) steps.push(n);
    expect(steps).toEqual([2, 1]);
    expect((await waiting(user)).map(({ packet }) => packet)).toEqual(
      [1, 2].map((age) => message(`aged ${age}`).packet),
    );
    expect(await store.countBefore("aged.example", before)).toBe(0);
    expect(await waiting(other)).toHaveLength(1);
  });

  test("a message that the table cannot hold fails alone", async () => {
    const user = newUser();
    // A localpart of 300 characters is a JID, and more than MongooseIM's column takes where the database counts.
    const long = message("long", { from: `${"r".repeat(300)}@example.com/x` });
    const results = await Promise.allSettled([
      store.writeMessages(user, message("before")),
      store.writeMessages(user, long),
      store.writeMessages(user, message("after")),
    ]);
    expect([results[0].status, results[2].status]).toEqual(["fulfilled", "fulfilled"]);
    const kept = (await waiting(user)).map(({ packet }) => packet);
    expect(kept).toContain(message("before").packet);
    expect(kept).toContain(message("after").packet);
    expect(kept.includes(long.packet)).toBe(results[1].status === "fulfilled");
  });

  describe("a batch", () => {
    /** No time that column `timestamp` holds. */
    const noTime = database.dialect === "sqlite" ? Number.NaN : 1e300;
    /** Gives the store a database that is away from a time on; what it was asked to insert, by the number of rows. */
    async function awayAfter<T>(inserts: number, work: () => Promise<T>): Promise<{ result: T; asked: number[] }> {
      const asked: number[] = [];
      const { insertMany } = db;
      db.insertMany = (table, columns, rows) => {
        asked.push(rows.length);
        if (asked.length > inserts) return Promise.reject(new StorageError("unavailable", "away"));
        return insertMany.call(db, table, columns, rows);
      };
      try {
        return { result: await work(), asked };
      } finally {
        db.insertMany = insertMany;
      }
    }
    const statuses = (results: readonly PromiseSettledResult<void>[]) =>
      results.map((r) => (r.status === "fulfilled" ? "stored" : (r.reason as StorageError).code));

    test("what no table can hold fails alone, whatever the database", async () => {
      const user = newUser();
      const sent = ["a", "b", "c"].map((body) => message(body, body === "b" ? { timestamp: noTime } : {}));
      const results = await Promise.allSettled(sent.map((m) => store.writeMessages(user, m)));
      expect(statuses(results)).toEqual(["stored", "constraint", "stored"]);
      expect(await waiting(user)).toEqual([sent[0], sent[2]]);
    });

    test("of a database that goes away while one that is refused is looked for no more is asked", async () => {
      const user = newUser();
      const sent = Array.from({ length: 100 }, (_, i) => message(`m${i}`, i === 1 ? { timestamp: noTime } : {}));
      const { result, asked } = await awayAfter(10, () =>
        Promise.allSettled(sent.map((m) => store.writeMessages(user, m))),
      );
      expect(asked).toEqual([100, 50, 25, 12, 6, 3, 1, 2, 1, 1, 3]);
      expect(statuses(result)).toEqual(["stored", "constraint", "stored", ...Array(97).fill("unavailable")]);
      expect(await waiting(user)).toEqual([sent[0], sent[2]]);
    });

    test("what was stored before the database went away is not said to have failed", async () => {
      const user = newUser();
      const sent = Array.from({ length: 1200 }, (_, i) => message(`m${i}`));
      const { result, asked } = await awayAfter(1, () =>
        Promise.allSettled(sent.map((m) => store.writeMessages(user, m))),
      );
      expect(asked).toEqual([500, 500]);
      expect(statuses(result)).toEqual([...Array(500).fill("stored"), ...Array(700).fill("unavailable")]);
      expect(await waiting(user)).toHaveLength(500);
    });
  });

  test.each(["account", "domain"] as const)("when the %s is removed its quota begins anew", async (what) => {
    const user = newUser(`going${users}.example`);
    for (let i = 0; i < 2; i++) {
      const place = await store.quota.take(user, 2);
      await store.writeMessages(user, message(String(i)));
      place?.(true);
    }
    expect(await store.quota.take(user, 2)).toBeUndefined();
    await (what === "account" ? store.removeUser(user) : store.removeDomain(user.domain));
    const places = [await store.quota.take(user, 2), await store.quota.take(user, 2), await store.quota.take(user, 2)];
    expect(places.map((place) => place !== undefined)).toEqual([true, true, false]);
  });

  describe("rows of MongooseIM", () => {
    test("are delivered", async () => {
      const user = newUser();
      const packet = "<message from='a@b/c' to='d@e' type='chat'><body>ż</body></message>";
      await db.insertNew("offline_message", {
        timestamp: NOW,
        expire: null,
        server: user.domain,
        username: user.local,
        from_jid: "a@b/c",
        packet,
        // Erlang's external form of an empty list.
        permanent_fields: new Uint8Array([131, 106]),
      });
      expect(await waiting(user)).toEqual([{ timestamp: NOW, expire: undefined, from: "a@b/c", packet }]);
    });

    test("are what we write too", async () => {
      const user = newUser();
      await store.writeMessages(user, message("x", { expire: NOW + 5 }));
      const columns = "timestamp, expire, from_jid, packet, permanent_fields";
      const rows = await db.query<{ packet: unknown }>(`SELECT ${columns} FROM offline_message WHERE username = ?`, [
        user.local,
      ]);
      // Bytes in MySQL.
      const asText = (packet: unknown) => (packet instanceof Uint8Array ? Buffer.from(packet).toString() : packet);
      expect(rows.map((row) => ({ ...row, packet: asText(row.packet) }))).toEqual([
        {
          timestamp: NOW,
          expire: NOW + 5,
          from_jid: "romeo@example.com/garden",
          packet: message("x").packet,
          permanent_fields: null,
        },
      ]);
    });
  });

  test("a quota counts what is stored", async () => {
    const user = newUser();
    const takes: boolean[] = [];
    for (let i = 0; i < 3; i++) {
      const place = await store.quota.take(user, 2);
      takes.push(place !== undefined);
      if (place === undefined) break;
      await store.writeMessages(user, message(`q${i}`));
      place(true);
    }
    expect(takes).toEqual([true, true, false]);
    const [first] = await store.popMessages(user, 0, ALL);
    await store.delete(user, [first.id]);
    expect(await store.quota.take(user, 2)).toBeDefined();
  });

  test("personal data has MongooseIM's columns, a row for each message", async () => {
    const user = newUser();
    for (let i = 0; i < 501; i++) void store.writeMessages(user, message(`m${i}`));
    await store.writeMessages(user, message("last"));
    const [data] = await whole(store.personalData(user));
    expect([data.name, ...data.columns]).toEqual(["offline", "timestamp", "from", "to", "packet"]);
    expect(data.rows).toHaveLength(502);
    expect(data.rows[0].slice(1)).toEqual(["romeo@example.com/garden", user.text, message("m0").packet]);
    expect(data.rows[0][0]).toBe("2026-09-21T14:13:20.123456Z");
  });
});
