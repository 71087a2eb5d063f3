// A connection that is lost while something is being committed: nobody knows whether it was done. What is archived and what
// is stored for later are there once all the same, and their senders, who would send them again, are told of no error.
import { beforeAll, describe, expect, test } from "vitest";
import { type BareJid, makeBare } from "../../core/jid.ts";
import { type Db, type SqlValue, StorageError } from "../../core/storage/db.ts";
import { InboxStore } from "../../modules/mod_inbox/store.ts";
import { COLUMNS } from "../../modules/mod_mam/sql/archive.ts";
import { ArchiveWriter } from "../../modules/mod_mam/writer.ts";
import { OfflineStore } from "../../modules/mod_offline/store.ts";
import { OfflineMarkerStore } from "../../modules/mod_offline_chatmarkers/store.ts";
import { MarkerStore } from "../../modules/mod_smart_markers/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const lost = () => new StorageError("unavailable", "the connection was given up", { maybeDone: true });

/** What becomes of requests whose answers are lost, one after the other; later ones are answered. */
type Fate = "done" | "undone";

/** Requests that commit; stores that this is about delete by `execute` too. */
const WRITES: readonly (keyof Db)[] = ["insertMany", "transaction"];
const ALL: readonly (keyof Db)[] = [...WRITES, "execute", "insertNew"];

/** The database through such a connection. `late` is waited for before it is known that an answer is lost. */
function losing(db: Db, fates: readonly Fate[], late?: () => Promise<void>, writes = WRITES): Db {
  const left = [...fates];
  const through = <A extends unknown[], R>(request: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      const fate = left.shift();
      if (fate === undefined) return request(...args);
      if (fate === "done") await request(...args);
      await late?.();
      throw lost();
    };
  };
  return new Proxy(db, {
    get(target, name: keyof Db) {
      const value = target[name];
      if (typeof value !== "function") return value;
      const request = (value as (...args: unknown[]) => Promise<unknown>).bind(target);
      return writes.includes(name) ? through(request) : request;
    },
  });
}

const FATES: readonly (readonly Fate[])[] = [
  ["done"],
  ["undone"],
  ["done", "done"],
  ["undone", "done"],
  ["undone", "undone"],
];

onEachDatabase("an answer that is lost", (database: TestDatabase) => {
  let db: Db;
  let owners = 0;
  beforeAll(async () => {
    db = await database.open();
  });

  describe("of messages that are archived", () => {
    const row = (id: number, owner: number, body = `message ${id}`): SqlValue[] => [
      id,
      owner,
      "juliet@example.org/pda",
      "romeo@example.org",
      "",
      "I",
      new TextEncoder().encode(`<message><body>${body}</body></message>`),
      body,
      null,
      false,
    ];
    const dropped: number[] = [];
    const writerTo = (to: Db) =>
      new ArchiveWriter(
        to,
        "mam_message",
        COLUMNS,
        { enabled: true, batch_size: 30, flush_interval: 2000, pool_size: 8 },
        { flushed: () => undefined, dropped: (n) => dropped.push(n) },
      );
    const kept = async (owner: number) =>
      (await db.query<{ id: number }>("SELECT id FROM mam_message WHERE user_id = ? ORDER BY id", [owner])).map(
        ({ id }) => Number(id),
      );

    test.each(FATES)("%s, %s: each is there once, and its sender is told that it is", async (...fates) => {
      const owner = 9000 + ++owners;
      const writer = writerTo(losing(db, fates.filter(Boolean)));
      const ids = Array.from({ length: 300 }, (_, n) => n + 1);
      await Promise.all(ids.map((id) => writer.write(row(id, owner), owner)));
      expect(await kept(owner)).toEqual(ids);
      expect([dropped.splice(0), writer.waiting]).toEqual([[], 0]);
    });

    test("one among them that the table cannot hold takes no other along", async () => {
      const owner = 9000 + ++owners;
      const writer = writerTo(losing(db, ["undone"]));
      const ids = [1, 2, 3, 4, 5, 6, 7];
      const bad = row(4, owner).with(0, null);
      await Promise.all(ids.map((id) => writer.write(id === 4 ? bad : row(id, owner), owner)));
      expect(await kept(owner)).toEqual(ids.filter((id) => id !== 4));
      expect(dropped.splice(0)).toEqual([1]);
    });

    test("time after time: the senders are told", async () => {
      const owner = 9000 + ++owners;
      const writer = writerTo(losing(db, ["undone", "undone", "undone"]));
      await expect(writer.write(row(1, owner), owner)).rejects.toMatchObject({ maybeDone: true });
      expect([await kept(owner), dropped.splice(0)]).toEqual([[], [1]]);
    });
  });

  describe("of messages that are stored for later", () => {
    const NOW = 1_790_000_000_123_456;
    const user = (): BareJid => makeBare(`nurse${++owners}`, "offline.example");
    const message = (n: number) => ({
      timestamp: NOW + n,
      expire: undefined,
      from: "romeo@example.com/garden",
      packet: `<message from='romeo@example.com/garden'><body>wéll ${n} '</body></message>`,
    });
    const bodies = async (store: OfflineStore, whose: BareJid) =>
      (await store.popMessages(whose, 0, 1000)).map(({ packet }) => packet);

    test.each(FATES)("%s, %s: each is there once, in its order", async (...fates) => {
      const store = new OfflineStore(losing(db, fates.filter(Boolean)));
      const [one, other] = [user(), user()];
      const all = Array.from({ length: 20 }, (_, n) => message(n));
      await Promise.all(all.flatMap((m) => [store.writeMessages(one, m), store.writeMessages(other, m)]));
      for (const whose of [one, other]) expect(await bodies(store, whose)).toEqual(all.map(({ packet }) => packet));
    });

    test.each(FATES)(
      "%s, %s: one that is taken out before it is known that it is stored is not stored again",
      async (...fates) => {
        const whose = user();
        let taken: Promise<string[]> | undefined;
        const takesAll = async (store: OfflineStore): Promise<string[]> => {
          const found = await store.popMessages(whose, 0, 100);
          await store.delete(
            whose,
            found.map(({ id }) => id),
          );
          return found.map(({ packet }) => packet);
        };
        // Its addressee comes, and his messages are read over another connection, before anybody knows of the loss.
        const late = async (): Promise<void> => {
          taken ??= takesAll(store);
          await Bun.sleep(50);
        };
        const store: OfflineStore = new OfflineStore(losing(db, fates.filter(Boolean), late));
        await store.writeMessages(whose, message(1));
        const early = await taken;
        expect(early).toHaveLength(fates[0] === "done" ? 1 : 0);
        expect([...(early ?? []), ...(await takesAll(store))]).toEqual([message(1).packet]);
      },
    );

    test("time after time: the sender is told", async () => {
      const store = new OfflineStore(losing(db, ["undone", "undone", "undone"]));
      await expect(store.writeMessages(user(), message(1))).rejects.toMatchObject({ maybeDone: true });
    });
  });

  describe("of what inboxes are told", () => {
    const failed: number[] = [];
    const storeOn = (to: Db): InboxStore => {
      const store = new InboxStore(to);
      store.events.failed = (_error, entries) => void failed.push(entries);
      return store;
    };
    const one = () => makeBare(`nurse${++owners}`, "inbox.example");
    let time = 1_790_000_000_000_000;
    const message = (msgId: string) => ({ msgId, content: `<message id='${msgId}'><body>wéll</body></message>` });
    const told = async (whose: BareJid, store: InboxStore) =>
      (await store.getInbox(whose, { order: "asc" })).map(({ remote, unread }) => `${remote} ${unread}`);

    test.each(FATES)("%s, %s: each message is counted once", async (...fates) => {
      const [nurse, juliet] = [one(), one()];
      const before = storeOn(db);
      await before.setInboxIncrUnread({ user: juliet, remote: nurse.text }, message("0"), ++time);
      const store = storeOn(losing(db, fates.filter(Boolean)));
      const both = (id: string) => [
        store.setInbox({ user: nurse, remote: juliet.text }, message(id), ++time),
        store.setInboxIncrUnread({ user: juliet, remote: nurse.text }, message(id), ++time),
      ];
      await Promise.all(both("1"));
      await Promise.all(both("2"));
      expect(await told(juliet, before)).toEqual([`${nurse.text} 3`]);
      expect(await told(nurse, before)).toEqual([`${juliet.text} 0`]);
      expect(failed.splice(0)).toEqual([]);
    });

    test.each(FATES)("%s, %s: what was read, and what is over, is so", async (...fates) => {
      const [nurse, juliet, romeo] = [one(), one(), one()];
      const before = storeOn(db);
      for (const { text } of [nurse, romeo]) {
        await before.setInboxIncrUnread({ user: juliet, remote: text }, message("0"), ++time);
      }
      const store = storeOn(losing(db, fates.filter(Boolean)));
      await Promise.all([
        store.resetUnread({ user: juliet, remote: nurse.text }, "0"),
        store.removeInboxRow({ user: juliet, remote: romeo.text }, false),
      ]);
      expect(await told(juliet, before)).toEqual([`${nurse.text} 0`]);
      expect(failed.splice(0)).toEqual([]);
    });

    test("of a message that is older than what another server has written", async () => {
      const [nurse, juliet] = [one(), one()];
      const other = storeOn(db);
      const key = { user: juliet, remote: nurse.text };
      for (const fate of ["done", "undone"] as const) {
        await other.setInboxIncrUnread(key, message("newer"), time + 1000);
        await storeOn(losing(db, [fate])).setInboxIncrUnread(key, message("older"), ++time);
      }
      // It cannot be told whether it was counted: rather once too often than not at all.
      expect(Number((await other.getEntryProperties(key))?.unread)).toBeGreaterThanOrEqual(4);
    });

    test("time after time: it is told", async () => {
      const [nurse, juliet] = [one(), one()];
      const store = storeOn(losing(db, ["undone", "undone", "undone"]));
      await store.setInboxIncrUnread({ user: juliet, remote: nurse.text }, message("1"), ++time);
      expect(failed.splice(0)).toEqual([1]);
    });
  });

  describe("of chat markers", () => {
    const NOW = 1_790_000_000_000_000;
    const one = () => makeBare(`nurse${++owners}`, "markers.example");

    test.each(FATES)("%s, %s: each is kept, and its sender is told that it is", async (...fates) => {
      const [nurse, juliet] = [one(), one()];
      const sent = (id: string, timestamp: number) =>
        ({ user: nurse, to: juliet.text, thread: "", type: "displayed", id, timestamp }) as const;
      for (const [n, id] of ["first", "second"].entries()) {
        const store = new MarkerStore(losing(db, fates.filter(Boolean), undefined, ALL));
        expect(await store.write([sent(id, NOW + n)], 1)).toBe(true);
        expect(await store.getConversation(nurse, juliet, "")).toMatchObject([{ id, timestamp: NOW + n }]);
      }
    });

    test.each(FATES)("%s, %s: it is noted once for who is away that there are some", async (...fates) => {
      const nurse = one();
      for (const since of [NOW + 1, NOW, NOW + 2]) {
        const store = new OfflineMarkerStore(losing(db, fates.filter(Boolean), undefined, ALL));
        expect(await store.maybeStore(nurse, { thread: "", room: "", since }, 1)).toBe(true);
      }
      expect(await new OfflineMarkerStore(db).get(nurse)).toEqual([{ thread: "", room: "", since: NOW }]);
    });
  });
});
