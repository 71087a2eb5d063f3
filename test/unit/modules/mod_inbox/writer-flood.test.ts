// The writer of inboxes in a flood; the database answers when the test says so.
import { describe, expect, it } from "vitest";
import { parseJid } from "../../../../core/jid.ts";
import type { Db, Statement } from "../../../../core/storage/db.ts";
import type { EntryKey } from "../../../../modules/mod_inbox/entry.ts";
import { Writer } from "../../../../modules/mod_inbox/writer.ts";

interface Transaction {
  /** The entries that are written, as "user remote time", and "user remote read"; in order. */
  readonly done: readonly string[];
  answer(): void;
}

/** What a transaction does, from its statements. */
function told({ sql, params = [] }: Statement): string[] {
  if (sql.startsWith("UPDATE inbox SET unread_count")) return [`${params[0]} ${params[2]} read`];
  if (sql.startsWith("DELETE")) return [`${params[0]} ${params[2]} gone`];
  if (!sql.startsWith("INSERT")) return [];
  return Array.from({ length: params.length / 8 }, (_, i) => params.slice(i * 8, i * 8 + 8)).map(
    (row) => `${row[0]} ${row[2]} ${row[7]}`,
  );
}

function start(dialect: Db["dialect"] = "pgsql") {
  const transactions: Transaction[] = [];
  const failed: number[] = [];
  const transaction = (statements: readonly Statement[]): Promise<number[]> => {
    const { promise, resolve } = Promise.withResolvers<number[]>();
    transactions.push({ done: statements.flatMap(told), answer: () => resolve(statements.map(() => 0)) });
    return promise;
  };
  const db = { dialect, transaction } as Partial<Db> as Db;
  const writer = new Writer(db, { failed: (_, entries) => failed.push(entries) });
  if (dialect !== "sqlite") writer.gather(1);
  const put = (user: string, remote: string, timestamp: number, own = false): Promise<void> =>
    writer.put({
      ...entry(user, remote),
      ...{ own, unread: own ? 0 : 1, msgId: `m${timestamp}`, content: new Uint8Array(), timestamp, binned: false },
    });
  /** A message, which both inboxes hear of. */
  const message = (from: string, to: string, at: number) => Promise.all([put(from, to, at, true), put(to, from, at)]);
  const answerAll = async (): Promise<void> => {
    for (let i = 0; i < transactions.length; i++) {
      transactions[i].answer();
      await turn();
    }
  };
  return { writer, transactions, failed, put, message, answerAll };
}

const entry = (user: string, remote: string): EntryKey => ({
  user: parseJid(`${user}@example`).bare,
  remote: `${remote}@example`,
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("inboxes in a flood", () => {
  it.each(["pgsql", "sqlite"] as const)(
    "are written a thousand entries at a time, both ends together (%s)",
    async (dialect) => {
      const { message, put, transactions, answerAll } = start(dialect);
      const ends: number[] = [];
      // An odd one before: ends of a message are on both sides of every thousand.
      const waits = [put("odd", "one", 1).then(() => undefined)];
      for (let n = 0; n < 2600; n++) waits.push(message(`a${n}`, `b${n}`, n).then(() => void ends.push(n)));
      await turn();
      // The embedded store's thread does one after the other of what it is sent at once.
      expect(transactions.length).toBe(dialect === "sqlite" ? 6 : 1);
      transactions[0].answer();
      await turn();
      expect(ends.length).toBeGreaterThan(400);
      expect(ends.length).toBeLessThan(501);
      await answerAll();
      await Promise.all(waits);
      expect(transactions.map(({ done }) => done.length)).toEqual([1001, 1000, 1000, 1000, 1000, 200]);
      for (const { done } of transactions) {
        const users = new Set(done.map((line) => line.split(" ")[0]));
        for (const user of users) {
          const other = user.startsWith("a") ? user.replace("a", "b") : user.replace("b", "a");
          if (user !== "odd") expect(users.has(other), user).toBe(true);
        }
      }
    },
  );

  it("keep the order of what concerns an entry over several batches", async () => {
    const { writer, put, transactions, answerAll } = start();
    const waits = [put("romeo", "juliet", 1)];
    await turn();
    waits.push(put("romeo", "juliet", 2));
    for (let n = 0; n < 1500; n++) waits.push(put(`x${n}`, "nurse", n));
    waits.push(put("romeo", "juliet", 3), writer.read(entry("romeo", "juliet"), "m2"));
    for (let n = 1500; n < 3000; n++) waits.push(put(`x${n}`, "nurse", n));
    waits.push(writer.remove(entry("romeo", "juliet"), false), put("romeo", "juliet", 4));
    await answerAll();
    await Promise.all(waits);
    const romeo = transactions.flatMap(({ done }) => done.filter((line) => line.startsWith("romeo")));
    // It was not the last one that was read; what is removed comes back with the next message.
    expect(romeo.map((line) => line.split(" ")[2])).toEqual(["1", "2", "3", "gone", "4"]);
  });

  it("hear of no more than may wait, and of what comes later again", async () => {
    const { writer, put, transactions, failed, answerAll } = start();
    const waits = [put("first", "one", 0)];
    await turn();
    for (let n = 0; n < 110_000; n++) waits.push(put(`u${n}`, "friend", n));
    // A hundred batches, what opened one more, and what is being written.
    expect(writer.waiting).toBe(100_002);
    expect(failed.length).toBe(110_001 - 100_002);
    await answerAll();
    await Promise.all(waits);
    expect(writer.waiting).toBe(0);
    expect(transactions.every(({ done }) => done.length <= 1000)).toBe(true);
    const later = put("later", "one", 1);
    await turn();
    transactions.at(-1)?.answer();
    await later;
    expect(transactions.at(-1)?.done).toEqual(["later one@example 1"]);
  });

  it("forget a user in every batch that waits", async () => {
    const { writer, put, transactions, answerAll } = start();
    const waits = [put("first", "one", 0)];
    await turn();
    for (let n = 0; n < 2500; n++) waits.push(put(n % 100 === 0 ? "gone" : `u${n}`, `friend${n}`, n));
    const forgotten = writer.forget((user) => user === "gone@example");
    await answerAll();
    await forgotten;
    await Promise.all(waits);
    expect(transactions.flatMap(({ done }) => done).filter((line) => line.startsWith("gone"))).toEqual([]);
    expect(transactions.flatMap(({ done }) => done).length).toBe(2476);
  });
});
