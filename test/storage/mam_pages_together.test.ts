// Pages that are asked for at the same time: each gets its own, whatever shares a statement with it.
import { beforeAll, expect, test } from "vitest";
import { parseJid } from "../../core/jid.ts";
import { type Db, type SqlValue, StorageError } from "../../core/storage/db.ts";
import type { Owner, Page } from "../../modules/mod_mam/backend.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const OWNERS = 12;
const EACH = 700;
const HOUR_IDS = (3_600_000n * 1000n) << 8n;
const silent = { flushed: () => undefined, dropped: () => undefined, unfit: () => undefined };

onEachDatabase("pages that are read together", (database: TestDatabase) => {
  let db: Db;
  const clock = Date.now();
  const newest = (BigInt(clock) * 1000n) << 8n;
  /** Some are young, so that they are counted each time. */
  const idOf = (i: number): bigint => newest - HOUR_IDS + (BigInt(i) * HOUR_IDS) / BigInt(EACH);
  const owner = (n: number): Owner => ({ local: `together${n}`, domain: "localhost" });
  let read = 0;
  let failure: StorageError | undefined;
  let held: Promise<void> | undefined;

  const open = () => {
    const query = async (sql: string, params: readonly SqlValue[] = []) => {
      if (sql.includes("from_jid")) read++;
      await held;
      if (failure !== undefined) throw failure;
      return db.query(sql, params);
    };
    const watched = new Proxy(db, {
      get(target, key) {
        if (key === "query") return query;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return new MamStore(watched).sql({ cache_users: true }, silent, () => clock).sql;
  };

  beforeAll(async () => {
    db = await database.open();
    const sql = open();
    const writes: Promise<void>[] = [];
    for (let n = 0; n < OWNERS; n++)
      for (let i = 0; i < EACH; i++)
        writes.push(
          sql.archive({
            id: idOf(i),
            owner: owner(n),
            from: parseJid("friend@localhost/pc"),
            remote: parseJid("friend@localhost/pc"),
            direction: "in",
            stanza: `<message><body>${n} ${i}</body></message>`,
            searchBody: "",
            originId: undefined,
            groupchat: false,
          }),
        );
    await Promise.all(writes);
  });

  /** What XEP-0059 wants of a page, by counting on fingers. */
  function expected({ dir, id, max }: Page, from: number) {
    const ids = Array.from({ length: EACH - from }, (_, i) => from + i);
    const left = ids.filter((i) => id === undefined || (dir === "after" ? idOf(i) > id : idOf(i) < id));
    const page = dir === "after" ? left.slice(0, max) : left.slice(Math.max(0, left.length - max));
    return { page, total: ids.length, offset: page.length === 0 ? undefined : page[0] - from };
  }

  test("are each archive's own, with its counts", async () => {
    const sql = open();
    const asked = Array.from({ length: 400 }, (_, k) => {
      const from = k % 3 === 0 ? (k * 7) % EACH : 0;
      const id = k % 4 === 0 ? undefined : idOf((k * 131) % EACH);
      const page: Page = {
        dir: k % 2 === 0 ? "after" : "before",
        id,
        max: [0, 3, 10, 22][(k >> 2) % 4],
        count: k % 5 !== 0,
      };
      // Of some archives there is nothing.
      return { n: k % (OWNERS + 1), from, page };
    });
    // What is known of ranks is read first.
    await Promise.all(asked.map(({ n }) => sql.lookup(owner(n), {}, { dir: "after", max: 1, count: true })));
    read = 0;
    const found = await Promise.all(
      asked.map(({ n, from, page }) => sql.lookup(owner(n), from === 0 ? {} : { fromId: idOf(from) }, page)),
    );
    for (const [k, { n, from, page }] of asked.entries()) {
      const { messages, total, offset } = found[k];
      const right = n === OWNERS ? { page: [], total: 0, offset: undefined } : expected(page, from);
      expect(messages.map(({ id }) => id)).toEqual(right.page.map(idOf));
      expect(messages.map(({ stanza }) => stanza)).toEqual(
        right.page.map((i) => `<message><body>${n} ${i}</body></message>`),
      );
      if (page.count || n === OWNERS) expect(total).toBe(right.total);
      if (page.count && right.offset !== undefined) expect(offset).toBe(right.offset);
    }
    if (db.dialect === "pgsql") expect(read).toBeLessThan(60);
  });

  test("fail together, and the next are answered", async () => {
    const sql = open();
    const page: Page = { dir: "before", max: 5, count: false };
    const ask = () => Promise.allSettled(Array.from({ length: 80 }, (_, k) => sql.lookup(owner(k % OWNERS), {}, page)));
    await ask();
    failure = new StorageError("unavailable", "it is away");
    expect((await ask()).every(({ status }) => status === "rejected")).toBe(true);
    failure = undefined;
    expect((await ask()).every(({ status }) => status === "fulfilled")).toBe(true);
  });

  test("wait in bounds while the database is slow", async () => {
    const sql = open();
    const page: Page = { dir: "before", max: 1, count: false };
    await sql.lookup(owner(0), {}, page);
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    const all = Promise.allSettled(Array.from({ length: 12_000 }, () => sql.lookup(owner(0), {}, page)));
    await Bun.sleep(20);
    held = undefined;
    resolve();
    const refused = (await all).filter(({ status }) => status === "rejected").length;
    if (db.dialect === "pgsql") expect([refused > 1000, refused <= 2000]).toEqual([true, true]);
  });
});
