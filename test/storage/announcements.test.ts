// Standing announcements and who has got them: mongooseim_announcements, mongooseim_announced.
import { beforeAll, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import { AnnouncementStore } from "../../modules/mod_service_admin/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

onEachDatabase("announcements", (database: TestDatabase) => {
  let store: AnnouncementStore;
  let domains = 0;

  beforeAll(async () => {
    store = new AnnouncementStore(await database.open());
  });
  const newDomain = () => `d${++domains}.example`;
  const of = async (domain: string) => (await store.all()).filter((one) => one.domain === domain);

  test("are one of a kind in a domain, and come back as they were set", async () => {
    const [domain, other] = [newDomain(), newDomain()];
    const body = "Ż '; -- ?\n🐎";
    await store.set(domain, "motd", { body: "old", setAt: 1 });
    await store.set(domain, "motd", { body, setAt: Date.parse("2026-11-26T06:00:00.123Z") });
    await store.set(domain, "welcome", { body: "w", setAt: 2 });
    await store.set(other, "motd", { body: "o", setAt: 3 });
    expect((await of(domain)).sort((a, b) => a.kind.localeCompare(b.kind))).toEqual([
      { domain, kind: "motd", announcement: { body, setAt: Date.parse("2026-11-26T06:00:00.123Z") } },
      { domain, kind: "welcome", announcement: { body: "w", setAt: 2 } },
    ]);
    await store.delete(domain, "motd");
    expect((await of(domain)).map(({ kind }) => kind)).toEqual(["welcome"]);
    expect(await of(other)).toHaveLength(1);
  });

  test("are noted for each user: the message of the day and the welcome apart", async () => {
    const domain = newDomain();
    const [romeo, juliet] = [makeBare("romeo", domain), makeBare("juliet", domain)];
    expect(await store.announced(romeo)).toEqual({ motdAt: 0, welcomeDue: false });
    await store.setWelcomeDue(romeo, true);
    await store.sawMotd(domain, ["romeo", "juliet"], 1_764_000_000_123);
    expect(await store.announced(romeo)).toEqual({ motdAt: 1_764_000_000_123, welcomeDue: true });
    await store.setWelcomeDue(romeo, false);
    expect(await store.announced(romeo)).toEqual({ motdAt: 1_764_000_000_123, welcomeDue: false });
    expect(await store.announced(juliet)).toEqual({ motdAt: 1_764_000_000_123, welcomeDue: false });
    await store.sawMotd(domain, [], 5);
  });

  test("go with the user and with the domain, and are personal data before", async () => {
    const domain = newDomain();
    const [romeo, juliet] = [makeBare("romeo", domain), makeBare("juliet", domain)];
    await store.set(domain, "motd", { body: "m", setAt: 1 });
    await store.sawMotd(domain, ["romeo", "juliet"], 7);
    await store.setWelcomeDue(romeo, true);
    expect(await store.personalData(romeo)).toEqual([
      { name: "announced", columns: ["jid", "motd_at", "welcome_due"], rows: [[romeo.text, "7", "true"]] },
    ]);
    await store.removeUser(romeo);
    expect((await store.personalData(romeo))[0].rows).toEqual([]);
    expect(await store.announced(juliet)).toMatchObject({ motdAt: 7 });
    expect(await of(domain)).toHaveLength(1);
    await store.removeDomain(domain);
    expect(await of(domain)).toEqual([]);
    expect(await store.announced(juliet)).toMatchObject({ motdAt: 0 });
  });
});
