// What users reported, in mongooseim_abuse_reports.
import { beforeAll, beforeEach, expect, test } from "vitest";
import { makeBare, parseJid } from "../../core/jid.ts";
import type { Db } from "../../core/storage/db.ts";
import type { Report } from "../../modules/mod_spam_reporting/report.ts";
import { ReportStore } from "../../modules/mod_spam_reporting/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const DOMAIN = "report.example";
const ROMEO = makeBare("romeo", DOMAIN);
const JULIET = makeBare("juliet", DOMAIN);
const report = (reported: string, more: Partial<Report> = {}): Report => ({
  reported: parseJid(reported),
  reason: "urn:xmpp:reporting:spam",
  text: "",
  stanzaIds: [],
  toOrigin: false,
  toThirdParties: false,
  ...more,
});

onEachDatabase("abuse reports", (database: TestDatabase) => {
  let db: Db;
  let store: ReportStore;
  beforeAll(async () => {
    db = await database.open();
    store = new ReportStore(db);
  });
  beforeEach(async () => {
    await db.execute("DELETE FROM mongooseim_abuse_reports");
  });
  const list = (filter = {}, domain = DOMAIN) => store.list(domain, filter, 100, 0);

  test("come back as they were, the newest first", async () => {
    const stanzaIds = [
      { by: "romeo@report.example", id: "28482-98726" },
      { by: "żółć@x", id: "'\"\\" },
    ];
    await store.add(ROMEO, [report("spam@elsewhere/x", { text: "Zażółć 🐎", stanzaIds, toOrigin: true })], 1000);
    await store.add(JULIET, [report("elsewhere", { reason: "urn:other", toThirdParties: true })], 2000);
    expect(await list()).toEqual([
      {
        id: expect.stringMatching(/^\d+$/),
        reporter: "juliet@report.example",
        reported: "elsewhere",
        reason: "urn:other",
        text: "",
        stanzaIds: [],
        toOrigin: false,
        toThirdParties: true,
        at: 2000,
      },
      {
        id: expect.stringMatching(/^\d+$/),
        reporter: "romeo@report.example",
        reported: "spam@elsewhere/x",
        reason: "urn:xmpp:reporting:spam",
        text: "Zażółć 🐎",
        stanzaIds,
        toOrigin: true,
        toThirdParties: false,
        at: 1000,
      },
    ]);
  });

  test("are found by who reports and who is reported, and counted so", async () => {
    await store.add(ROMEO, [report("a@x"), report("b@x")], 1);
    await store.add(JULIET, [report("a@x")], 2);
    expect((await list({ reporter: ROMEO })).map((r) => r.reported)).toEqual(["b@x", "a@x"]);
    expect(await list({ reported: "a@x" })).toHaveLength(2);
    expect(await list({ reporter: JULIET, reported: "b@x" })).toEqual([]);
    expect(await list({ reporter: makeBare("romeo", "other.example") })).toEqual([]);
    expect(await list({}, "other.example")).toEqual([]);
    expect([await store.count(DOMAIN), await store.count(DOMAIN, { reporter: ROMEO })]).toEqual([3, 2]);
    expect((await store.list(DOMAIN, {}, 1, 1)).map((r) => r.reported)).toEqual(["b@x"]);
  });

  test("are deleted one by one, by the domain they are of, and by age", async () => {
    await store.add(ROMEO, [report("a@x")], 1000);
    await store.add(ROMEO, [report("b@x")], 2000);
    const [{ id }] = await list();
    expect(await store.remove("other.example", BigInt(id))).toBe(false);
    expect(await store.remove(DOMAIN, BigInt(id))).toBe(true);
    expect(await store.remove(DOMAIN, BigInt(id))).toBe(false);
    expect(await store.removeOld("other.example", 5000)).toBe(0);
    expect(await store.removeOld(DOMAIN, 1000)).toBe(0);
    expect(await store.removeOld(DOMAIN, 1001)).toBe(1);
    expect(await list()).toEqual([]);
  });
});
