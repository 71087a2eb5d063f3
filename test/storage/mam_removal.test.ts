// What is being archived while an account or a domain is removed goes with it.
import { beforeAll, describe, expect, test } from "vitest";
import { parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import type { Archived, Owner } from "../../modules/mod_mam/backend.ts";
import { MamStore, type PmArchive } from "../../modules/mod_mam/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const silent = { flushed: () => undefined, dropped: () => undefined, unfit: () => undefined };
const MESSAGES = 40;

onEachDatabase("archiving and a removal", (database: TestDatabase) => {
  let db: Db;
  beforeAll(async () => {
    db = await database.open();
  });

  const open = () => {
    const store = new MamStore(db);
    const parts = store.sql({ cache_users: true }, silent, () => Date.now());
    store.opened({ ...parts, prefs: undefined } as unknown as PmArchive, parts.owners, { delete_domain_limit: 7 });
    return { ...parts, store };
  };
  const message = (owner: Owner, n: number): Archived => ({
    id: BigInt(n) << 8n,
    owner,
    from: parseJid("friend@elsewhere/pc"),
    remote: parseJid("friend@elsewhere/pc"),
    direction: "in",
    stanza: `<message><body>${n}</body></message>`,
    searchBody: "",
    originId: undefined,
    groupchat: false,
  });
  const rows = async (): Promise<number> => {
    const [{ n }] = await db.query<{ n: number | bigint }>("SELECT COUNT(*) AS n FROM mam_message");
    return Number(n);
  };

  describe.each(["account", "domain"] as const)("of the %s", (what) => {
    test.each([
      ["in the same turn, for an owner who is new", 0, false],
      ["in the same turn", 0, true],
      ["while they are being written", 1, true],
    ] as const)("messages that come %s", async (_, turns, known) => {
      const { store, sql } = open();
      const jid = parseJid(`one@${what}-${turns}-${known}.example`).bare;
      if (known) await sql.archive(message(jid, 1));
      const before = (await rows()) - (known ? 1 : 0);
      const written = Array.from({ length: MESSAGES }, (_unused, n) => sql.archive(message(jid, n + 2)));
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      await (what === "account" ? store.removeUser(jid) : store.removeDomain(jid.domain));
      await Promise.allSettled(written);
      expect((await sql.lookup(jid, {}, { dir: "after", max: 100, count: true })).messages).toEqual([]);
      expect(await rows()).toBe(before);
    });
  });
});
