// The store of inboxes, on every database.
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type BareJid, parseBareJid } from "../../core/jid.ts";
import { parseDateTime } from "../../core/operations/scalars.ts";
import { type Db, StorageError } from "../../core/storage/db.ts";
import type { EntryKey } from "../../modules/mod_inbox/entry.ts";
import { InboxStore } from "../../modules/mod_inbox/store.ts";
import { whole } from "../support/personal.ts";
import { allSteps } from "../support/steps.ts";
import { onEachDatabase } from "./db_each.ts";

const alice = parseBareJid("alice@localhost");
const bob = parseBareJid("bob@localhost");
const carol = parseBareJid("carol@example.org");
const MINUTE = 60_000_000;

const key = (user: BareJid, remote: BareJid): EntryKey => ({ user, remote: remote.text });
const message = (msgId: string | undefined, body = `body of ${msgId}`) => ({
  msgId,
  content: `<message id='${msgId}'><body>${body}</body></message>`,
});

onEachDatabase("inboxes", ({ open, dialect }) => {
  let db: Db;
  let store: InboxStore;
  beforeAll(async () => {
    db = await open();
  });
  afterAll(() => db?.close());

  describe.each(["what a turn brings", "what comes during a write"])("%s is written together", (way) => {
    const opened = (): InboxStore => {
      const store = new InboxStore(db);
      store.events.failed = (error) => {
        throw error;
      };
      if (way !== "what a turn brings") store.gather(3);
      return store;
    };
    beforeEach(async () => {
      await db.execute("DELETE FROM inbox");
      store = opened();
    });
    const entries = async (user: BareJid, box?: string) =>
      (await store.getInbox(user, { order: "asc", ...(box === undefined ? {} : { box }) })).map(
        ({ remote, unread, content, timestamp }) => [
          remote,
          unread,
          /<body>(.*)<\/body>/.exec(content)?.[1],
          timestamp,
        ],
      );

    test("messages are counted until the owner writes himself", async () => {
      await store.setInboxIncrUnread(key(alice, bob), message("1"), 1);
      await store.setInboxIncrUnread(key(alice, bob), message("2"), 2);
      expect(await entries(alice)).toEqual([[bob.text, 2, "body of 2", 2]]);
      await store.setInbox(key(alice, bob), message("3"), 3);
      expect(await entries(alice)).toEqual([[bob.text, 0, "body of 3", 3]]);
      // At once, and in order.
      void store.setInboxIncrUnread(key(alice, bob), message("4"), 4);
      void store.setInbox(key(alice, bob), message("5"), 5);
      void store.setInboxIncrUnread(key(alice, bob), message("6"), 6);
      await store.setInboxIncrUnread(key(alice, bob), message("7"), 7);
      expect(await entries(alice)).toEqual([[bob.text, 2, "body of 7", 7]]);
    });

    test("a promise that resolved is in the database", async () => {
      await Promise.all([
        store.setInbox(key(alice, bob), message("1"), 1),
        store.setInboxIncrUnread(key(bob, alice), message("1"), 2),
      ]);
      expect(await db.query("SELECT luser, unread_count FROM inbox ORDER BY luser")).toMatchObject([
        { unread_count: 0 },
        { unread_count: 1 },
      ]);
      expect(store.waiting).toBe(0);
    });

    test("what is older hides nothing that is newer, and is counted; a clock may be set back", async () => {
      const late = 100 * MINUTE;
      await store.setInboxIncrUnread(key(alice, bob), message("new"), late);
      await store.setInboxIncrUnread(key(alice, bob), message("old"), late - 1);
      expect(await entries(alice)).toEqual([[bob.text, 2, "body of new", late]]);
      // Another server's, which has not seen what came since.
      await store.setInbox(key(alice, bob), message("own"), late - 2);
      expect(await entries(alice)).toEqual([[bob.text, 2, "body of new", late]]);
      await store.setInboxIncrUnread(key(alice, bob), message("back"), late - 2 * MINUTE);
      expect(await entries(alice)).toEqual([[bob.text, 3, "body of back", late - 2 * MINUTE]]);
    });

    test("two servers lose no count", async () => {
      const other = opened();
      const all: Promise<void>[] = [];
      for (let i = 1; i <= 200; i++) {
        all.push(store.setInboxIncrUnread(key(alice, bob), message(`a${i}`), 2 * i));
        all.push(other.setInboxIncrUnread(key(alice, bob), message(`b${i}`), 2 * i + 1));
        if (i % 20 === 0) await Bun.sleep(1);
      }
      await Promise.all(all);
      expect(await entries(alice)).toEqual([[bob.text, 400, "body of b200", 401]]);
    });

    test("many at once", async () => {
      const users = Array.from({ length: 150 }, (_, i) => parseBareJid(`user${i}@localhost`));
      await Promise.all(users.map((user, i) => store.setInboxIncrUnread(key(user, alice), message(`m${i}`), i + 1)));
      await Promise.all(users.map((user, i) => store.setInbox(key(user, alice), message(`n${i}`), i + 1000)));
      for (const i of [0, 63, 64, 149])
        expect(await entries(users[i])).toEqual([[alice.text, 0, `body of n${i}`, i + 1000]]);
    });

    test("only the last message can be marked", async () => {
      await store.setInboxIncrUnread(key(alice, bob), message("1"), 1);
      await store.setInboxIncrUnread(key(alice, bob), message("2"), 2);
      await store.resetUnread(key(alice, bob), "1");
      expect(await store.getInboxUnread(key(alice, bob))).toBe(2);
      await store.resetUnread(key(alice, bob), "2");
      expect(await store.getInboxUnread(key(alice, bob))).toBe(0);
      void store.setInboxIncrUnread(key(alice, bob), message("3"), 3);
      void store.resetUnread(key(alice, bob), "3");
      await store.setInboxIncrUnread(key(alice, bob), message("4"), 4);
      expect(await store.getInboxUnread(key(alice, bob))).toBe(1);
      // One without an id.
      await store.setInboxIncrUnread(key(alice, carol), message(undefined), 5);
      await store.resetUnread(key(alice, carol), "");
      await store.resetUnread(key(alice, carol), "undefined");
      expect(await store.getInboxUnread(key(alice, carol))).toBe(1);
    });

    test("properties", async () => {
      const k = key(alice, bob);
      expect(await store.getEntryProperties(k)).toBeUndefined();
      expect(await store.setEntryProperties(k, { read: true })).toBeUndefined();
      await store.setInboxIncrUnread(k, message("1"), 1);
      expect(await store.getEntryProperties(k)).toEqual({ box: "inbox", unread: 1, mutedUntil: 0 });
      expect(await store.setEntryProperties(k, { read: false })).toMatchObject({ unread: 1 });
      expect(
        await store.setEntryProperties(k, { read: true, box: "other", mutedUntil: 9_000_000_000_000_000 }),
      ).toEqual({
        box: "other",
        unread: 0,
        mutedUntil: 9_000_000_000_000_000,
      });
      // What is there already.
      expect(await store.setEntryProperties(k, { box: "other" })).toMatchObject({ box: "other" });
      expect(await store.setEntryProperties(k, { read: false })).toMatchObject({ unread: 1, box: "other" });
      expect(await store.getFullEntry(k)).toMatchObject({ remote: bob.text, timestamp: 1, box: "other" });
    });

    test("a message brings an entry back from the archive, and from no other box", async () => {
      const back: string[] = [];
      store.events.unarchived = ({ user, remote }) => back.push(`${user.text} ${remote}`);
      const put = (from: BareJid, at: number) => store.setInboxIncrUnread(key(alice, from), message(`${at}`), at);
      for (const [i, from] of [bob, carol].entries()) await put(from, i + 1);
      await store.setEntryProperties(key(alice, bob), { box: "archive" });
      await store.setEntryProperties(key(alice, carol), { box: "other" });
      await Promise.all([put(bob, 11), put(carol, 12)]);
      expect(back).toEqual([`${alice.text} ${bob.text}`]);
      await put(bob, 13);
      expect(back).toHaveLength(1);
      expect((await entries(alice, "inbox")).map(([remote]) => remote)).toEqual([bob.text]);
      expect((await entries(alice, "other")).map(([remote]) => remote)).toEqual([carol.text]);
      // Archived before this server was started.
      await store.setEntryProperties(key(alice, bob), { box: "archive" });
      const next = opened();
      next.events.unarchived = ({ remote }) => back.push(remote);
      await next.setInbox(key(alice, bob), message("own"), 14);
      expect(back).toHaveLength(2);
    });

    test("pages, filters and orders", async () => {
      const others = ["b", "c", "d", "e"].map((name) => parseBareJid(`${name}@localhost`));
      // Two of the same time.
      for (const [i, at] of [1, 2, 2, 3].entries()) {
        await store.setInboxIncrUnread(key(alice, others[i]), message(`${i}`), at);
      }
      await store.setInboxIncrUnread(key(bob, alice), message("another's"), 2);
      await store.setEntryProperties(key(alice, others[3]), { box: "bin" });
      await store.setEntryProperties(key(alice, others[0]), { box: "archive", read: true });
      const names = async (query: Partial<Parameters<InboxStore["getInbox"]>[1]>) =>
        (await store.getInbox(alice, { order: "asc", ...query })).map(({ remote }) => remote[0]).join("");
      expect(await names({})).toBe("bcd");
      expect(await names({ box: "all" })).toBe("bcde");
      expect(await names({ box: "all", order: "desc" })).toBe("edcb");
      expect(await names({ box: "bin" })).toBe("e");
      expect(await names({ unreadOnly: true })).toBe("cd");
      expect(await names({ start: 2 })).toBe("cd");
      expect(await names({ end: 1 })).toBe("b");
      const place = { timestamp: 2, remote: others[1].text };
      expect(await names({ box: "all", after: place })).toBe("de");
      expect(await names({ box: "all", before: place })).toBe("b");
      expect(await names({ box: "all", order: "desc", after: place })).toBe("b");
      expect(await names({ box: "all", order: "desc", before: place })).toBe("ed");
      expect(await names({ box: "all", order: "desc", before: place, limit: 1 })).toBe("d");
      expect(await names({ box: "all", before: "end", limit: 2 })).toBe("de");
      expect(await names({ limit: 0 })).toBe("");
    });

    test("times that no message can have bound a query all the same", async () => {
      await store.setInboxIncrUnread(key(alice, bob), message("1"), 1_700_000_000_000_000);
      const found = async (bounds: { start?: number; end?: number }) =>
        (await store.getInbox(alice, { order: "asc", ...bounds })).length;
      const [first, last] = ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-14:00"].map(parseDateTime);
      expect(await found({ start: first, end: last })).toBe(1);
      expect(await found({ end: first })).toBe(0);
      expect(await found({ start: last })).toBe(0);
      const place = { timestamp: Number.MAX_SAFE_INTEGER, remote: bob.text };
      expect(await store.getInbox(alice, { order: "desc", after: place })).toHaveLength(1);
      expect(await store.getInbox(alice, { order: "asc", after: place })).toEqual([]);
    });

    test("what the columns do not hold is left out, and nothing else with it", async () => {
      const long = { user: alice, remote: `${"x".repeat(250)}@localhost` };
      await Promise.all([
        store.setInboxIncrUnread(long, message("1"), 1),
        store.setInboxIncrUnread(key(alice, bob), message("i".repeat(300), "🙂 <&gt;"), 2),
        store.setInboxIncrUnread(key(alice, carol), message("big", "x".repeat(100_000)), 3),
      ]);
      await store.resetUnread(key(alice, bob), "i".repeat(300));
      const [first, second] = await entries(alice);
      expect(first).toEqual([bob.text, 1, "🙂 <&gt;", 2]);
      expect(second.slice(0, 2)).toEqual([carol.text, 1]);
      // MySQL's column ends before.
      expect(String(second[2]).length).toBe(dialect === "mysql" ? "undefined".length : 100_000);
    });

    test("a conversation that is over goes, or goes into the bin", async () => {
      for (const toBin of [true, false]) {
        for (const k of [key(alice, bob), key(alice, carol)]) await store.setInboxIncrUnread(k, message("1"), 1);
        await store.removeInboxRow(key(alice, bob), toBin);
        void store.setInboxIncrUnread(key(alice, carol), message("out"), 2);
        await store.removeInboxRow(key(alice, carol), toBin);
        expect(await entries(alice)).toEqual([]);
        const thrown = [
          [bob.text, 1, "body of 1", 1],
          [carol.text, 2, "body of out", 2],
        ];
        expect(await entries(alice, "bin")).toEqual(toBin ? thrown : []);
        expect(await store.bin.emptyOfUser(alice, 10)).toBe(toBin ? 2 : 0);
      }
    });

    test("of an age that no message can have, there is nothing", async () => {
      await store.setInbox(key(alice, bob), message("1"), 1000);
      await store.setEntryProperties(key(alice, bob), { box: "bin" });
      // 2,147,483,647 days ago, which no column of a database can say.
      const before = -1.8e20;
      expect(await store.bin.emptyOfUser(alice, before)).toBe(0);
      expect(await store.bin.emptyOfDomain("localhost", before)).toBe(0);
      expect(await store.bin.domains(before)).toEqual([]);
      expect(await allSteps(store.bin.deleteBefore("localhost", before, 10))).toBe(0);
      expect(await store.bin.countBefore("localhost", before)).toBe(0);
      expect(await entries(alice, "bin")).toHaveLength(1);
    });

    test("bins are emptied by user, by domain, and by age", async () => {
      const dave = parseBareJid("dave@localhost");
      for (const [i, user] of [alice, bob, carol, dave].entries()) {
        await store.setInboxIncrUnread(key(user, parseBareJid("r@r")), message("1"), (i + 1) * 1000);
        await store.setInboxIncrUnread(key(user, parseBareJid("kept@r")), message("1"), (i + 1) * 1000);
        await store.setEntryProperties(key(user, parseBareJid("r@r")), { box: "bin" });
      }
      const left = async () => (await db.query("SELECT luser FROM inbox WHERE box = 'bin'")).length;
      expect((await store.bin.domains(10_000)).sort()).toEqual(["example.org", "localhost"]);
      expect(await store.bin.domains(1000)).toEqual([]);
      expect(await store.bin.emptyOfUser(alice, 1000)).toBe(0);
      expect(await store.bin.emptyOfUser(alice, 1001)).toBe(1);
      expect(await store.bin.countBefore("localhost", 4)).toBe(1);
      const steps: number[] = [];
      for await (const n of store.bin.deleteBefore("localhost", 9, 1)) if (n > 0) steps.push(n);
      expect(steps).toEqual([1, 1]);
      expect(await allSteps(store.bin.deleteBefore("localhost", 9, 10))).toBe(0);
      expect(await left()).toBe(1);
      expect(await store.bin.emptyOfDomain("example.org", 10_000)).toBe(1);
      expect(await left()).toBe(0);
      expect(await db.query("SELECT luser FROM inbox")).toHaveLength(4);
    });

    test("an account and a domain leave nothing of theirs", async () => {
      const users = Array.from({ length: 8 }, (_, i) => parseBareJid(`user${i}@localhost`));
      const put = (user: BareJid, remote: BareJid) => store.setInboxIncrUnread(key(user, remote), message("1"), 1);
      await Promise.all(users.flatMap((user) => [put(user, alice), put(user, carol)]));
      await Promise.all([put(carol, users[0]), put(parseBareJid("user0@other.org"), carol)]);
      void put(users[1], bob);
      await store.removeUser(users[1]);
      expect(await entries(users[1])).toEqual([]);
      expect(await entries(users[0])).toHaveLength(2);
      store.deleteLimit = 3;
      void put(users[2], bob);
      await store.removeDomain("localhost");
      expect(await db.query("SELECT lserver FROM inbox WHERE lserver = 'localhost'")).toEqual([]);
      expect(await db.query("SELECT lserver FROM inbox")).toHaveLength(2);
    });

    test("what is kept about a user", async () => {
      await store.setInboxIncrUnread(key(alice, bob), message("1"), 1_000_001);
      await store.setInbox(key(alice, carol), message("2"), 2_000_000);
      await store.setEntryProperties(key(alice, carol), { box: "bin" });
      expect(await whole(store.personalData(alice))).toEqual([
        {
          name: "inbox",
          columns: ["jid", "content", "unread_count", "timestamp"],
          rows: [
            [bob.text, message("1").content, "1", "1970-01-01T00:00:01.000001Z"],
            [carol.text, message("2").content, "0", "1970-01-01T00:00:02.000000Z"],
          ],
        },
      ]);
      expect((await whole(store.personalData(bob)))[0].rows).toEqual([]);
    });

    test("an inbox is bounded: the conversations without a message for longest go", async () => {
      store.bound(40, (error) => {
        throw error;
      });
      for (let i = 0; i < 60; i++)
        await store.setInboxIncrUnread({ user: alice, remote: `s${i}@x` }, message("1"), i + 1);
      await store.setInboxIncrUnread(key(bob, alice), message("1"), 1);
      await expect.poll(async () => (await entries(alice)).length).toBeLessThanOrEqual(40);
      const left = (await entries(alice)).map(([remote]) => remote);
      expect(left).toContain("s59@x");
      expect(left).not.toContain("s0@x");
      expect(left.length).toBeGreaterThan(36);
      expect(await entries(bob)).toHaveLength(1);
    });

    test("an inbox is what has happened, whatever happens", async () => {
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const run = ++runs;
          const users = ["a", "b", "c"].map((name) => parseBareJid(`${name}${run}@${way.length}.localhost`));
          const model = new Model();
          let at = 1_000_000_000;
          const ids: string[] = [];
          for (const [what, i, j, n] of steps) {
            const [me, other] = [users[i], users[(i + 1 + j) % 3]];
            switch (what) {
              case "send": {
                const id = `${ids.length}`;
                ids.push(id);
                void store.setInbox(key(me, other), message(id), ++at);
                void store.setInboxIncrUnread(key(other, me), message(id), ++at);
                model.sent(me, other, id);
                break;
              }
              case "mark":
                void store.resetUnread(key(me, other), ids.at(-1 - n) ?? "none");
                model.marked(me, other, ids.at(-1 - n) ?? "none");
                break;
              case "read":
                await store.setEntryProperties(key(me, other), { read: n % 2 === 0 });
                model.read(me, other, n % 2 === 0);
                break;
              case "move":
                await store.setEntryProperties(key(me, other), { box: BOXES[n] });
                model.moved(me, other, BOXES[n]);
                break;
              case "end":
                void store.removeInboxRow(key(me, other), n % 2 === 0);
                model.ended(me, other, n % 2 === 0);
                break;
              case "empty":
                await store.bin.emptyOfUser(me, Number.MAX_SAFE_INTEGER);
                model.emptied(me);
                break;
              default:
                await Bun.sleep(0);
            }
          }
          for (const user of users) {
            const found = (await store.getInbox(user, { order: "asc", box: "all" })).map(
              ({ remote, unread, box, content }) => ({ remote, unread, box, id: /id='(.*?)'/.exec(content)?.[1] }),
            );
            expect(found).toEqual(model.of(user));
          }
        }),
        { numRuns: 40 },
      );
    }, 60_000);
  });

  describe("one that the database cannot take", () => {
    /** No time that column `timestamp` holds. */
    const noTime = dialect === "sqlite" ? Number.NaN : 1e300;
    const others = ["a", "b", "c", "d"].map((name) => parseBareJid(`${name}@localhost`));
    let failed: string[];
    const inbox = async () =>
      (await store.getInbox(alice, { order: "asc" })).map(({ remote, unread }) => `${remote} ${unread}`);
    beforeEach(async () => {
      await db.execute("DELETE FROM inbox");
      store = new InboxStore(db);
      store.gather(1);
      failed = [];
      store.events.failed = (error, entries) =>
        failed.push(`${entries} ${error instanceof StorageError ? error.code : error}`);
    });
    const put = (other: BareJid, at: number) => store.setInboxIncrUnread(key(alice, other), message("1", "x"), at);

    test("is lost, is told, and keeps no other out", async () => {
      await Promise.all(others.map((other, i) => put(other, i === 1 ? noTime : i + 1)));
      expect(failed).toEqual(["1 constraint"]);
      expect(await inbox()).toEqual(["a@localhost 1", "c@localhost 1", "d@localhost 1"]);
      expect(store.waiting).toBe(0);
    });

    test("nor what is to be done before", async () => {
      await put(others[0], 1);
      await put(others[1], 2);
      const read = store.resetUnread(key(alice, others[0]), "1");
      const removed = store.removeInboxRow(key(alice, others[1]), false);
      await Promise.all([read, removed, put(others[2], noTime), put(others[3], 3)]);
      expect(failed).toEqual(["1 constraint"]);
      expect(await inbox()).toEqual(["a@localhost 0", "d@localhost 1"]);
    });

    test("and the database goes away meanwhile: no more is asked of it, and the promises are kept", async () => {
      const { transaction } = db;
      let asked = 0;
      // Parts of 32, 16, 8, 4 and 2 are refused; then the first is written, and the second is refused alone.
      const found = 7;
      db.transaction = (statements) =>
        ++asked > found ? Promise.reject(new StorageError("unavailable", "away")) : transaction.call(db, statements);
      const more = Array.from({ length: 30 }, (_, i) => parseBareJid(`more${i}@localhost`));
      await Promise.all([put(others[0], 1), put(others[1], noTime), ...more.map((other) => put(other, 2))]);
      db.transaction = transaction;
      expect(asked).toBe(found + 1);
      expect(failed).toEqual(["1 constraint", "30 unavailable"]);
      expect(await inbox()).toEqual(["a@localhost 1"]);
      expect(store.waiting).toBe(0);
    });
  });
});

const BOXES = ["inbox", "archive", "bin", "other"];
const step = fc.tuple(
  fc.constantFrom("send", "send", "send", "mark", "mark", "read", "move", "end", "empty", "wait"),
  fc.nat(2),
  fc.nat(1),
  fc.nat(3),
);

interface Known {
  unread: number;
  box: string;
  id: string;
  order: number;
}

/** An inbox as it is described, kept in the plainest way. */
class Model {
  private readonly entries = new Map<string, Map<string, Known>>();
  private order = 0;

  private inbox(user: BareJid): Map<string, Known> {
    const inbox = this.entries.get(user.text) ?? new Map<string, Known>();
    this.entries.set(user.text, inbox);
    return inbox;
  }

  private put(user: BareJid, other: BareJid, id: string, unread: (before: number) => number): void {
    const before = this.inbox(user).get(other.text);
    const box = before === undefined || before.box === "archive" ? "inbox" : before.box;
    this.inbox(user).set(other.text, { unread: unread(before?.unread ?? 0), box, id, order: ++this.order });
  }

  sent(from: BareJid, to: BareJid, id: string): void {
    this.put(from, to, id, () => 0);
    this.put(to, from, id, (n) => n + 1);
  }

  marked(user: BareJid, other: BareJid, id: string): void {
    const entry = this.inbox(user).get(other.text);
    if (entry?.id === id) entry.unread = 0;
  }

  read(user: BareJid, other: BareJid, read: boolean): void {
    const entry = this.inbox(user).get(other.text);
    if (entry !== undefined) entry.unread = read ? 0 : Math.max(1, entry.unread);
  }

  moved(user: BareJid, other: BareJid, box: string): void {
    const entry = this.inbox(user).get(other.text);
    if (entry !== undefined) entry.box = box;
  }

  ended(user: BareJid, other: BareJid, toBin: boolean): void {
    if (toBin) this.moved(user, other, "bin");
    else this.inbox(user).delete(other.text);
  }

  emptied(user: BareJid): void {
    for (const [remote, { box }] of this.inbox(user)) if (box === "bin") this.inbox(user).delete(remote);
  }

  of(user: BareJid) {
    const found = [...this.inbox(user)].sort(([, a], [, b]) => a.order - b.order);
    return found.map(([remote, { unread, box, id }]) => ({ remote, unread, box, id }));
  }
}
