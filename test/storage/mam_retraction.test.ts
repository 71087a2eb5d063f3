// Retractions on real databases: what they mean may be in a batch that another connection is still writing.
import { beforeAll, expect, test } from "vitest";
import { parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import { numberPlaceholders } from "../../core/storage/placeholders.ts";
import { viewText } from "../../core/xml/framer.ts";
import type { ArchiveBackend, Archived, Owner } from "../../modules/mod_mam/backend.ts";
import { Retractions } from "../../modules/mod_mam/retraction.ts";
import { searchForm } from "../../modules/mod_mam/search/form.ts";
import { MamStore } from "../../modules/mod_mam/store.ts";
import { accesses, noting } from "../support/statements.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const BASE = 458_240_000_000_000_000n;
const SILENT = { flushed() {}, dropped() {}, unfit: () => expect.unreachable("it has room for all") };
const JULIET = parseJid("juliet@capulet.example/balcony");

onEachDatabase("retractions", (database: TestDatabase) => {
  let db: Db;
  let archive: ArchiveBackend;
  beforeAll(async () => {
    db = await database.open();
    // Many batches at once, as small as they can be.
    const async_writer = { enabled: true, batch_size: 1, flush_interval: 0, pool_size: 8 };
    const search = searchForm(db, "like");
    archive = new MamStore(db).sql({ cache_users: true, async_writer }, SILENT, () => Date.now(), search).sql;
  });

  function message(owner: Owner, n: number, inner: string, originId?: string): Archived {
    const from = parseJid(`${owner.local}@${owner.domain}/orchard`);
    const stanza = `<message from='${from.text}' to='${JULIET.text}' id='m${n}' type='chat'>${inner}</message>`;
    const rest = { owner, from, remote: JULIET, direction: "out", groupchat: false } as const;
    return { ...rest, id: BASE + BigInt(n), stanza, searchBody: "secret", originId };
  }

  test.each([
    [
      "fastened",
      (n: number) =>
        `<apply-to xmlns='urn:xmpp:fasten:0' id='o${n}'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>`,
    ],
    ["by id", (n: number) => `<retract xmlns='urn:xmpp:message-retract:1' id='m${2 * n}'/>`],
  ])("%s find what is still being written, in the archive of somebody new too", async (name, retraction) => {
    const owner = { local: `romeo-${name.replace(" ", "-")}`, domain: "montague.example" };
    const waits: (Promise<unknown> | undefined)[] = [];
    const retractions = new Retractions(archive);
    for (let n = 0; n < 40; n++) {
      const meant = message(owner, 2 * n, "<body>secret</body>", name === "fastened" ? `o${n}` : undefined);
      waits.push(archive.archive(meant));
      const asking = message(owner, 2 * n + 1, retraction(n));
      const written = archive.archive({ ...asking, searchBody: "" });
      const stanza = viewText(asking.stanza.toString());
      retractions.after(stanza, asking, written, Date.now());
      waits.push(written, stanza.commit);
      if (n % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(waits);
    const { messages } = await archive.lookup(owner, {}, { dir: "after", max: 1000, count: false });
    expect(messages).toHaveLength(80);
    for (const [i, { stanza }] of messages.entries())
      expect(stanza, `message ${i}`).toMatch(i % 2 === 0 ? /^<message [^>]*><retracted / : /<retract /);
    const secret = { words: ["secret"] };
    expect((await archive.lookup(owner, secret, { dir: "after", max: 10, count: false })).messages).toEqual([]);
  });

  if (database.dialect !== "pgsql") return;
  test("of a message among many are found by the index of origin-ids", async () => {
    const owner = { local: "benvolio", domain: "montague.example" };
    const waits: Promise<unknown>[] = [];
    for (let n = 10_000; n < 15_000; n++)
      waits.push(archive.archive(message(owner, n, "<body>secret</body>", n === 10_007 ? "the one" : undefined)));
    await Promise.all(waits);
    await db.execute("ANALYZE mam_message");
    const noted = noting(db);
    const other = new MamStore(noted.db).sql({ cache_users: true }, SILENT, () => Date.now()).sql;
    const found = await other.byOriginId(owner, JULIET, "out", "the one");
    expect(found?.id).toBe(BASE + 10_007n);
    const [sql, params] = [...noted.statements].find(([text]) => text.includes("origin_id = ?")) ?? ["", []];
    const [{ how }] = await accesses(db, sql, params);
    expect(how).toContain("i_mam_message_username_jid_origin_id");
    // Whatever the ids are: so PostgreSQL plans a statement that it is asked often.
    const values = params.map((value) => (typeof value === "number" ? value : `'${value}'`)).join(", ");
    const often = `SET plan_cache_mode = force_generic_plan; PREPARE often AS ${numberPlaceholders(sql)}; EXPLAIN EXECUTE often (${values}); RESET plan_cache_mode; DEALLOCATE often`;
    expect(JSON.stringify(await db.query(often))).toContain("i_mam_message_username_jid_origin_id");
  });
});
