// One archive, two servers on its database: numbers of owners, and pages that are read while messages come and go.
import { beforeAll, describe, expect, test } from "vitest";
import { parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import type { Archived, Owner } from "../../modules/mod_mam/backend.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const HOUR = 3_600_000;
const silent = { flushed: () => undefined, dropped: () => undefined, unfit: () => undefined };

onEachDatabase("an archive that two servers share", (database: TestDatabase) => {
  let db: Db;
  let clock = Date.now();
  beforeAll(async () => {
    db = await database.open();
  });

  const open = () => {
    const store = new MamStore(db);
    const parts = store.sql({ cache_users: true }, silent, () => clock);
    return { ...parts, store };
  };
  const message = (owner: Owner, id: bigint): Archived => ({
    id,
    owner,
    from: parseJid("friend@localhost/pc"),
    remote: parseJid("friend@localhost/pc"),
    direction: "in",
    stanza: `<message><body>${id}</body></message>`,
    searchBody: "",
    originId: undefined,
    groupchat: false,
  });
  const all = { dir: "after", max: 5000, count: true } as const;

  describe("an account that was removed on one server and made anew", () => {
    test("gets what the other archives", async () => {
      const [one, other] = [open(), open()];
      const owner = { local: "again", domain: "localhost" };
      await other.sql.archive(message(owner, 1n));
      const jid = parseJid("again@localhost").bare;
      await one.store.removeUser(jid);
      await one.sql.archive(message(owner, 2n));
      clock += HOUR;
      await other.sql.archive(message(owner, 3n));
      const { messages } = await one.sql.lookup(owner, {}, all);
      expect(messages.map(({ id }) => id)).toEqual([2n, 3n]);
    });
  });

  describe("pages that are read", () => {
    const base = (): bigint => (BigInt(clock) * 1000n) << 8n;

    test.each(["after", "before"] as const)(
      "%s one another, while messages come and go, skip and repeat none",
      async (dir) => {
        const [one, other] = [open(), open()];
        const owner = { local: `pages-${dir}`, domain: "localhost" };
        // Old enough that ranks are remembered.
        const first = base() - ((BigInt(2 * HOUR) * 1000n) << 8n);
        const given: bigint[] = Array.from({ length: 3000 }, (_, i) => first + BigInt(i) * 256n);
        await Promise.all(given.map((id) => one.sql.archive(message(owner, id))));
        const number = (await one.owners.find(owner))!;
        // Marks of both are made before what comes.
        for (const { sql } of [one, other]) await sql.lookup(owner, {}, { dir, max: 10, count: true });

        let deletedBelow = first;
        let newest = base();
        let going = true;
        const change = async (): Promise<void> => {
          for (let i = 1; going; i++) {
            newest += 256n;
            await one.sql.archive(message(owner, newest));
            if (i % 5 !== 0 || i > 60) continue;
            deletedBelow = first + BigInt(i * 20) * 256n;
            await one.sql.deleteOf(number, deletedBelow, 1000);
          }
        };
        const changing = change();
        const seen: bigint[] = [];
        for (let id: bigint | undefined; ; ) {
          const page = await one.sql.lookup(owner, { toId: base() }, { dir, id, max: 50, count: true });
          if (page.messages.length === 0) break;
          const ids = page.messages.map((found) => found.id);
          seen.push(...(dir === "after" ? ids : ids.toReversed()));
          expect(page.offset).toBeGreaterThanOrEqual(0);
          expect(page.offset! + ids.length).toBeLessThanOrEqual(page.total!);
          if (page.complete) break;
          id = dir === "after" ? ids.at(-1) : ids[0];
        }
        going = false;
        await changing;
        const order = dir === "after" ? seen : seen.toReversed();
        expect(order.every((id, i) => i === 0 || id > order[i - 1])).toBe(true);
        const found = new Set(seen);
        expect(given.filter((id) => id >= deletedBelow && !found.has(id))).toEqual([]);

        // And counts are right at once on the server that deleted, in time on the other.
        clock += HOUR;
        for (const { sql } of [one, other]) {
          const left = given.filter((id) => id >= deletedBelow);
          const page = await sql.lookup(
            owner,
            { toId: first + 3000n * 256n },
            { dir: "after", id: left[99], max: 10, count: true },
          );
          expect([page.total, page.offset, page.messages[0].id]).toEqual([left.length, 100, left[100]]);
        }
      },
    );
  });
});
