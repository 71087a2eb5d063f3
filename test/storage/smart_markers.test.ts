// The stores of chat markers, on every database.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeBare, parseBareJid } from "../../core/jid.ts";
import type { HostType } from "../../core/module.ts";
import { type Db, type Dialect, StorageError } from "../../core/storage/db.ts";
import { OfflineMarkerStore } from "../../modules/mod_offline_chatmarkers/store.ts";
import { keptMarkers } from "../../modules/mod_smart_markers/index.ts";
import { MarkerStore, type MarkerType, type Sent } from "../../modules/mod_smart_markers/store.ts";
import { holdNext } from "../support/held-call.ts";
import { onEachDatabase } from "./db_each.ts";

const alice = parseBareJid("alice@localhost");
const bob = parseBareJid("bob@localhost");
const eve = parseBareJid("eve@example.org");
const room = parseBareJid("garden@muclight.localhost");
const NONE = Number.POSITIVE_INFINITY;

const mark = (at: number, id: string, more: Partial<Sent> = {}): Sent => ({
  user: alice,
  to: bob.text,
  thread: "",
  type: "displayed" as MarkerType,
  id,
  timestamp: at,
  ...more,
});

/** No time that column `timestamp` holds. */
const noTime = (dialect: Dialect): number => (dialect === "sqlite" ? Number.NaN : 1e300);

onEachDatabase("smart markers", ({ open, dialect }) => {
  let db: Db;
  let store: MarkerStore;
  beforeAll(async () => {
    db = await open();
  });
  afterAll(() => db?.close());
  beforeEach(async () => {
    await db.execute("DELETE FROM smart_markers");
    store = new MarkerStore(db);
  });
  const ids = async (from = alice, to = bob, thread = "", after = 0) =>
    (await store.getConversation(from, to, thread, after)).map((m) => m.id);

  test("who reads what was sent waits for what is being written for somebody else", async () => {
    const ctx = { store, config: { async_writer: { pool_size: 1 } } };
    const host = { modules: new Map([["mod_smart_markers", { ctx }]]) } as unknown as HostType;
    await store.later([mark(1, "a"), mark(1, "e", { user: eve })], NONE);
    const held = holdNext(db, "transaction");
    const first = keptMarkers(host);
    await held.come;
    const of = { to: bob.text, thread: "", type: "displayed", id: "e", user: eve } as const;
    const second = keptMarkers(host).then((markers) => markers?.timeOf(of));
    await Bun.sleep(50);
    held.go();
    expect(await second).toBe(1);
    await first;
  });

  describe.each(["write", "later"] as const)("%s", (way) => {
    const put = async (markers: Sent[], max = NONE): Promise<boolean> => {
      const room = await store[way](markers, max);
      await store.flush(2);
      return room;
    };

    test("of each kind, conversation and thread the newest is kept", async () => {
      await put([mark(1, "a"), mark(2, "b")]);
      await put([mark(3, "c"), mark(4, "r", { type: "received" }), mark(5, "t", { thread: "T" })]);
      await put([mark(6, "e", { to: eve.text }), mark(7, "x", { user: bob, to: alice.text })]);
      expect(await store.getConversation(alice, bob, "")).toEqual([
        { from: alice.text, to: bob.text, thread: "", type: "displayed", id: "c", timestamp: 3 },
        { from: alice.text, to: bob.text, thread: "", type: "received", id: "r", timestamp: 4 },
      ]);
      expect(await ids(alice, bob, "T")).toEqual(["t"]);
      expect(await ids(alice, eve)).toEqual(["e"]);
      expect(await ids(bob, alice)).toEqual(["x"]);
      expect(await ids(eve, alice)).toEqual([]);
    });

    test("an older one does not replace a newer one, one of the same time does", async () => {
      await put([mark(5, "new")]);
      await put([mark(4, "old")]);
      expect(await ids()).toEqual(["new"]);
      await put([mark(5, "same")]);
      expect(await ids()).toEqual(["same"]);
    });

    test("only those after a time", async () => {
      await put([mark(5, "a"), mark(6, "b", { type: "received" })]);
      expect(await ids(alice, bob, "", 5)).toEqual(["b"]);
    });

    test("a user may not have more than so many, and the old ones still move", async () => {
      expect(await put([mark(1, "1", { thread: "1" }), mark(2, "2", { thread: "2" })], 2)).toBe(true);
      expect(await put([mark(3, "3", { thread: "3" })], 2)).toBe(false);
      expect(await ids(alice, bob, "3")).toEqual([]);
      expect(await put([mark(4, "4", { thread: "2" })], 2)).toBe(true);
      expect(await ids(alice, bob, "2")).toEqual(["4"]);
      expect(await put([mark(5, "b", { user: bob, to: alice.text })], 2)).toBe(true);
      // Another process does not know what this one has counted.
      store = new MarkerStore(db);
      expect(await put([mark(6, "5", { thread: "5" })], 2)).toBe(false);
    });

    test("any text fits", async () => {
      const odd = { id: "❤'\"\\%_$", thread: "ü".repeat(125), to: "é@localhost" };
      await put([mark(1, odd.id, odd)]);
      expect(await ids(alice, parseBareJid(odd.to), odd.thread)).toEqual([odd.id]);
    });
  });

  test("all of a room, and who sent which", async () => {
    await store.write([mark(1, "a", { to: room.text }), mark(2, "b", { user: bob, to: room.text })], NONE);
    expect((await store.getMarkersTo(room, "")).map((m) => [m.from, m.id])).toEqual([
      ["alice@localhost", "a"],
      ["bob@localhost", "b"],
    ]);
    expect(await store.getMarkersTo(room, "", 1)).toHaveLength(1);
    expect(await store.timeOf({ to: room.text, thread: "", type: "displayed", id: "b" })).toBe(2);
    expect(await store.timeOf({ user: alice, to: room.text, thread: "", type: "displayed", id: "b" })).toBeUndefined();
    expect(await store.timeOf({ to: room.text, thread: "T", type: "displayed", id: "b" })).toBeUndefined();
    expect(await store.newest({ user: alice, to: room.text, thread: "", type: "displayed" })).toBe(1);
    expect(await store.newest({ user: bob, to: room.text, thread: "", type: "displayed" })).toBe(2);
    expect(await store.newest({ user: bob, to: room.text, thread: "", type: "received" })).toBeUndefined();
    await store.forgetIn(room, bob);
    expect((await store.getMarkersTo(room, "")).map((m) => m.from)).toEqual([alice.text]);
    await store.forgetRoom(room);
    expect(await store.getMarkersTo(room, "")).toEqual([]);
  });

  test("a removed user leaves nothing: what he sent, and what others sent to him", async () => {
    await store.write(
      [mark(1, "a"), mark(2, "b", { user: bob, to: alice.text }), mark(3, "e", { to: eve.text })],
      NONE,
    );
    await store.later([mark(4, "w", { thread: "T" }), mark(5, "e2", { user: eve, to: alice.text })], NONE);
    await store.removeUser(bob);
    await store.flush(1);
    expect(await ids()).toEqual([]);
    expect(await ids(alice, bob, "T")).toEqual([]);
    expect(await ids(bob, alice)).toEqual([]);
    expect(await ids(alice, eve)).toEqual(["e"]);
    expect(await ids(eve, alice)).toEqual(["e2"]);
  });

  test("a removed domain leaves nothing, another one all", async () => {
    const other = parseBareJid("bob@localhost.example.org");
    await store.write([mark(1, "a"), mark(2, "e", { user: eve, to: alice.text })], NONE);
    await store.write([mark(3, "o", { user: eve, to: other.text })], NONE);
    await store.removeDomain("localhost");
    expect(await ids()).toEqual([]);
    expect(await ids(eve, alice)).toEqual([]);
    expect(await ids(eve, other)).toEqual(["o"]);
  });

  describe.each([
    ["removeUser", () => store.removeUser(alice)],
    ["removeUser of whom it was sent to", () => store.removeUser(bob)],
    ["removeDomain", () => store.removeDomain("localhost")],
    ["forgetIn", () => store.forgetIn(bob, alice)],
    ["forgetRoom", () => store.forgetRoom(bob)],
  ])("%s", (_, remove) => {
    const carol = parseBareJid("carol@example.com");
    const other = mark(1, "other", { user: eve, to: carol.text });

    test.each(["write", "later"] as const)("in the turn of a %s leaves nothing", async (way) => {
      const writes = [store[way]([mark(1, "a")], 5), store[way]([other], 5)];
      await remove();
      expect(await Promise.all(writes)).toEqual([true, true]);
      await store.flush(2);
      expect(await ids()).toEqual([]);
      expect(await ids(eve, carol)).toEqual(["other"]);
    });

    test.each([
      ["write", "execute"],
      ["write", "query"],
      ["write", "insertNew"],
      ["later", "query"],
    ] as const)("while a %s waits for a %s leaves nothing", async (way, method) => {
      const held = holdNext(db, method);
      const write = store[way]([mark(1, "a")], 5);
      await held.come;
      const removed = remove();
      await store[way]([other], 5);
      held.go();
      expect(await write).toBe(true);
      await removed;
      await store.flush(2);
      expect(await ids()).toEqual([]);
      expect(await ids(eve, carol)).toEqual(["other"]);
    });

    test("while a flush is under way leaves nothing", async () => {
      await store.later([mark(1, "a"), other], 5);
      const held = holdNext(db, "transaction");
      const flushed = store.flush(1);
      await held.come;
      const removed = remove();
      held.go();
      await flushed;
      await removed;
      expect(await ids()).toEqual([]);
      expect(await ids(eve, carol)).toEqual(["other"]);
    });

    test("after a write that failed leaves nothing", async () => {
      await store.write([mark(1, "a")], 5);
      const held = holdNext(db, "execute");
      const write = store.write([mark(2, "b")], 5);
      await held.come;
      const removed = remove();
      held.fail();
      await expect(write).rejects.toThrow();
      await removed;
      expect(await ids()).toEqual([]);
    });
  });

  test("what a user has is his to take along", async () => {
    await store.write([mark(1_000_000, "a", { thread: "T" }), mark(2, "b", { user: bob, to: alice.text })], NONE);
    expect(await store.personalData(alice)).toEqual([
      {
        name: "smart_markers",
        columns: ["to", "thread", "type", "id", "timestamp"],
        rows: [["bob@localhost", "T", "displayed", "a", "1970-01-01T00:00:01.000000Z"]],
      },
    ]);
  });

  describe("one that the database cannot take", () => {
    let dropped: string[];
    beforeEach(() => {
      dropped = [];
      store.unfit = (error, { id }) => dropped.push(`${id} ${error instanceof StorageError && error.code}`);
    });

    test.each([1, 2])("is lost, is told, and keeps no other out: %i at once", async (writers) => {
      const many = Array.from({ length: 20 }, (_, i) => mark(i + 1, `m${i}`, { thread: String(i) }));
      await store.later([...many.slice(0, 7), mark(noTime(dialect), "bad"), ...many.slice(7)], NONE);
      await store.flush(writers);
      expect(dropped).toEqual(["bad constraint"]);
      expect(store.waiting).toBe(0);
      expect(await ids()).toEqual([]);
      for (const { thread, id } of many) expect(await ids(alice, bob, thread)).toEqual([id]);
      await store.flush(writers);
      expect(dropped).toHaveLength(1);
    });

    test("moves no marker that was there, and the others move", async () => {
      await store.write([mark(1, "old"), mark(2, "other", { thread: "T" })], NONE);
      await store.later([mark(noTime(dialect), "bad"), mark(3, "new", { thread: "T" })], NONE);
      await store.flush(1);
      expect(await ids()).toEqual(["old"]);
      expect(await ids(alice, bob, "T")).toEqual(["new"]);
      expect(dropped).toEqual(["bad constraint"]);
    });

    test("is not one that a database which is away does not answer", async () => {
      await store.later([mark(1, "a"), mark(2, "b", { thread: "T" })], NONE);
      const away = new StorageError("unavailable", "away");
      const { transaction } = db;
      db.transaction = () => Promise.reject(away);
      await expect(store.flush(2)).rejects.toBe(away);
      db.transaction = transaction;
      expect(store.waiting).toBe(2);
      expect(dropped).toEqual([]);
      await store.flush(2);
      expect([await ids(), await ids(alice, bob, "T")]).toEqual([["a"], ["b"]]);
    });

    test("of a user whose name is a JID's, and more than PostgreSQL's column takes", async () => {
      const long = makeBare("r".repeat(300), "localhost");
      await store.later([mark(1, "long", { user: long }), mark(2, "a")], NONE);
      await store.flush(1);
      expect(await ids()).toEqual(["a"]);
      expect(dropped).toEqual(dialect === "pgsql" ? ["long constraint"] : []);
      expect(await ids(long)).toEqual(dialect === "pgsql" ? [] : ["long"]);
      expect(store.waiting).toBe(0);
    });
  });

  test("many at once, in several transactions", async () => {
    const many = Array.from({ length: 300 }, (_, i) => mark(i, `m${i}`, { thread: String(i % 100) }));
    await store.later(many, NONE);
    await store.flush(4);
    expect(store.waiting).toBe(0);
    expect(await ids(alice, bob, "7")).toEqual(["m207"]);
    await store.flush(4);
  });
});

onEachDatabase("offline markers", ({ open }) => {
  let db: Db;
  let store: OfflineMarkerStore;
  beforeAll(async () => {
    db = await open();
    store = new OfflineMarkerStore(db);
  });
  afterAll(() => db?.close());
  beforeEach(() => db.execute("DELETE FROM offline_markers"));

  test("a thread is noted once, with its first time", async () => {
    for (const since of [5, 6]) expect(await store.maybeStore(alice, { thread: "", room: "", since }, 2)).toBe(true);
    expect(await store.maybeStore(alice, { thread: "T", room: "", since: 4 }, 2)).toBe(true);
    expect(await store.get(alice)).toEqual([
      { thread: "T", room: "", since: 4 },
      { thread: "", room: "", since: 5 },
    ]);
    expect(await store.maybeStore(alice, { thread: "", room: room.text, since: 7 }, 2)).toBe(false);
    expect(await store.get(bob)).toEqual([]);
    await store.forget(alice, { thread: "T", room: "", since: 4 });
    expect(await store.get(alice)).toHaveLength(1);
  });

  test("the time is the earliest, whichever of two that came at once is noted first", async () => {
    const at = (since: number) => store.maybeStore(alice, { thread: "", room: "", since }, 1);
    expect([await at(6), await at(5)]).toEqual([true, true]);
    expect(await store.get(alice)).toEqual([{ thread: "", room: "", since: 5 }]);
    await db.execute("DELETE FROM offline_markers");
    expect(await Promise.all([9, 8, 4, 7, 6].map(at))).toEqual([true, true, true, true, true]);
    expect(await store.get(alice)).toEqual([{ thread: "", room: "", since: 4 }]);
  });

  test("users, domains and rooms are removed", async () => {
    const none = { thread: "", room: "", since: 1 };
    for (const jid of [alice, bob, eve]) await store.maybeStore(jid, none, 9);
    await store.maybeStore(eve, { thread: "", room: room.text, since: 1 }, 9);
    await store.removeUser(alice);
    expect(await store.get(alice)).toEqual([]);
    expect(await store.get(bob)).toHaveLength(1);
    await store.forgetRoom(room);
    expect(await store.get(eve)).toEqual([none]);
    await store.removeDomain("localhost");
    expect(await store.get(bob)).toEqual([]);
    expect(await store.personalData(eve)).toEqual([
      {
        name: "offline_markers",
        columns: ["thread", "room", "since"],
        rows: [["", "", "1970-01-01T00:00:00.000001Z"]],
      },
    ]);
  });
});
