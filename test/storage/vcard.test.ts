// vCards in vcard and vcard_search: our own rows, and those that MongooseIM left.
import { beforeAll, describe, expect, test } from "vitest";
import { makeBare } from "../../core/jid.ts";
import type { Element } from "../../core/stanza.ts";
import type { Db } from "../../core/storage/db.ts";
import { viewText } from "../../core/xml/framer.ts";
import { folded } from "../../modules/mod_vcard/fields.ts";
import { VcardStore } from "../../modules/mod_vcard/store.ts";
import { onEachDatabase, type TestDatabase } from "./db_each.ts";

const vcard = (inner: string): Element => viewText(`<vCard xmlns='vcard-temp'>${inner}</vCard>`).element;

onEachDatabase("vCards", (database: TestDatabase) => {
  let db: Db;
  let store: VcardStore;
  let users = 0;

  beforeAll(async () => {
    db = await database.open();
    store = new VcardStore(db);
  });
  const newUser = (domain = "vcard.example") => makeBare(`juliet${++users}`, domain);
  const search = (columns: string, user: ReturnType<typeof makeBare>): Promise<object[]> =>
    db.query(`SELECT ${columns} FROM vcard_search WHERE server = ? AND lusername = ?`, [user.domain, user.local]);

  test.each([
    ["empty", ""],
    ["in other scripts", "<FN>Żaneta 馬 🐎</FN><NICKNAME>שלום</NICKNAME>"],
    ["with what SQL could mistake", "<FN>'\\ ? $1 ; --</FN>"],
    ["with a picture", `<PHOTO><TYPE>image/png</TYPE><BINVAL>${"QUJD".repeat(20_000)}</BINVAL></PHOTO>`],
  ])("comes back as it was, %s", async (_, inner) => {
    const user = newUser();
    const card = vcard(inner);
    await store.setVcard(user, card);
    expect(await store.getVcard(user)).toBe(card.toString());
  });

  test("is absent for who has set none", async () => {
    expect(await store.getVcard(newUser())).toBeUndefined();
  });

  test("is replaced, in the search too", async () => {
    const user = newUser();
    await store.setVcard(user, vcard("<FN>Old</FN><EMAIL><USERID>a@b</USERID></EMAIL>"));
    await store.setVcard(user, vcard("<FN>New</FN>"));
    expect(await store.getVcard(user)).toContain("New");
    expect(await search("fn, lfn, email, lemail", user)).toEqual([{ fn: "New", lfn: "new", email: "", lemail: "" }]);
  });

  test("fills the columns of the search, as written and in lower case", async () => {
    const user = newUser();
    await store.setVcard(
      user,
      vcard(`<FN>Juliet C.</FN><N><FAMILY>Capulet</FAMILY><GIVEN>Juliet</GIVEN><MIDDLE>Ża</MIDDLE></N>
        <NICKNAME>JC 🌹</NICKNAME><BDAY>1580-07-31</BDAY><ADR><CTRY>Italia</CTRY><LOCALITY>Verona</LOCALITY></ADR>
        <EMAIL><USERID>Juliet@Example.com</USERID></EMAIL><ORG><ORGNAME>House</ORGNAME><ORGUNIT>Capulet</ORGUNIT></ORG>`),
    );
    const [row] = await search("*", user);
    expect(row).toEqual({
      username: user.local,
      lusername: user.local,
      server: user.domain,
      fn: "Juliet C.",
      lfn: "juliet c.",
      family: "Capulet",
      lfamily: "capulet",
      given: "Juliet",
      lgiven: "juliet",
      middle: "Ża",
      lmiddle: "ża",
      nickname: "JC 🌹",
      lnickname: "jc 🌹",
      bday: "1580-07-31",
      lbday: "1580-07-31",
      ctry: "Italia",
      lctry: "italia",
      locality: "Verona",
      llocality: "verona",
      email: "Juliet@Example.com",
      lemail: "juliet@example.com",
      orgname: "House",
      lorgname: "house",
      orgunit: "Capulet",
      lorgunit: "capulet",
    });
  });

  test("is stored though a field is longer than an index takes", async () => {
    const user = newUser();
    const name = Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(0x4e00 + ((i * 7919) % 20_000))).join("");
    await store.setVcard(user, vcard(`<FN>${name}</FN>`));
    expect(await search("fn", user)).toEqual([{ fn: name }]);
  });

  test("is one of those that were set at the same time, and so is its row in the search", async () => {
    const user = newUser();
    await Promise.all(Array.from({ length: 30 }, (_, i) => store.setVcard(user, vcard(`<FN>n${i}</FN>`))));
    const [{ fn }] = (await search("fn", user)) as { fn: string }[];
    expect(await store.getVcard(user)).toContain(`<FN>${fn}</FN>`);
  });

  test("of MongooseIM is read", async () => {
    const user = newUser();
    const text = '<vCard xmlns="vcard-temp"><FN>Ż</FN></vCard>';
    await db.execute("INSERT INTO vcard (username, server, vcard) VALUES (?, ?, ?)", [user.local, user.domain, text]);
    expect(await store.getVcard(user)).toBe(text);
  });

  test("is personal data, with MongooseIM's columns", async () => {
    const user = newUser();
    const card = vcard("<FN>J</FN>");
    await store.setVcard(user, card);
    expect(await store.personalData(user)).toEqual([
      { name: "vcard", columns: ["jid", "vcard"], rows: [[user.text, card.toString()]] },
    ]);
  });

  describe("a search", () => {
    const found = async (domain: string, ...conditions: [string, string][]) => {
      const asked = conditions.map(([column, text]) => ({
        column,
        text: folded(text.replace(/\*$/, "")),
        beginning: text.endsWith("*"),
      }));
      return (await store.search(domain, asked, Number.POSITIVE_INFINITY)).map((row) => row.username);
    };

    test("compares folded text, whole or its beginning, by every condition, in one domain", async () => {
      const [a, b, c] = [newUser("s.example"), newUser("s.example"), newUser("other.example")];
      await store.setVcard(a, vcard("<FN>Straße ŻÓŁW</FN><N><GIVEN>Ann</GIVEN></N>"));
      await store.setVcard(b, vcard("<FN>strasse żółty</FN><N><GIVEN>Bob</GIVEN></N>"));
      await store.setVcard(c, vcard("<FN>Straße ŻÓŁW</FN>"));
      expect(await found("s.example", ["fn", "STRASSE żółw"])).toEqual([a.local]);
      expect(await found("s.example", ["fn", "straße żó*"])).toEqual([a.local, b.local]);
      expect(await found("s.example", ["fn", "straße żó*"], ["given", "bob"])).toEqual([b.local]);
      expect(await found("s.example", ["username", a.local.toUpperCase()])).toEqual([a.local]);
      expect(await found("other.example", ["fn", "*"])).toEqual([c.local]);
    });

    test("takes what SQL could mistake as it is", async () => {
      const [a, b] = [newUser("q.example"), newUser("q.example")];
      await store.setVcard(a, vcard("<FN>100%_$ '; --\\</FN>"));
      await store.setVcard(b, vcard("<FN>100 percent</FN>"));
      expect(await found("q.example", ["fn", "100%_$ '; --\\"])).toEqual([a.local]);
      expect(await found("q.example", ["fn", "100%_$*"])).toEqual([a.local]);
      expect(await found("q.example", ["fn", "100_*"])).toEqual([]);
      expect(await found("q.example", ["fn", "%"])).toEqual([]);
    });

    test("gives the columns as written, and no more rows than asked for", async () => {
      const users = [newUser("l.example"), newUser("l.example"), newUser("l.example")];
      for (const user of users) await store.setVcard(user, vcard("<FN>Same</FN><EMAIL>A@b</EMAIL>"));
      const rows = await store.search("l.example", [{ column: "fn", text: "same", beginning: false }], 2);
      expect(rows.map((row) => row.username)).toEqual(users.slice(0, 2).map((user) => user.local));
      expect(rows[0]).toMatchObject({ server: "l.example", fn: "Same", email: "A@b", given: "" });
      expect(await store.search("l.example", [{ column: "fn", text: "same", beginning: false }], 0)).toEqual([]);
    });

    test("does not find who is gone, nor those of a removed domain", async () => {
      const [a, b] = [newUser("g.example"), newUser("g.example")];
      for (const user of [a, b]) await store.setVcard(user, vcard("<FN>Gone</FN>"));
      await store.removeUser(a);
      expect(await found("g.example", ["fn", "gone"])).toEqual([b.local]);
      await store.removeDomain("g.example");
      expect(await found("g.example", ["fn", "gone"])).toEqual([]);
      expect(await store.getVcard(b)).toBeUndefined();
    });
  });
});
