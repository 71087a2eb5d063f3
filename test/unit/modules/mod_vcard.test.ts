import { beforeEach, describe, expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import type { ModuleContext, PersonalStore } from "../../../core/module.ts";
import { parseElement } from "../../../core/xml/tree.ts";
import { fromElement } from "../../../modules/mod_vcard/graphql.ts";
import modVcard, { readVcard, storeVcard, updateVcard } from "../../../modules/mod_vcard/index.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";
import { runner } from "./operations.ts";

const CARD =
  "<vCard xmlns='vcard-temp'><FN>Romeo M.</FN><N><FAMILY>Montague</FAMILY></N><NICKNAME>Rómeo</NICKNAME><ADR><HOME/><LOCALITY>Verona</LOCALITY></ADR></vCard>";
const get = (to?: string) => `<iq type='get' id='vc'${to ? ` to='${to}'` : ""}><vCard xmlns='vcard-temp'/></iq>`;
const set = (card: string, to?: string) => `<iq type='set' id='vs'${to ? ` to='${to}'` : ""}>${card}</iq>`;
const condition = (client: FakeClient) => /<error[^>]*><([\w-]+)/.exec(client.received()[0] ?? "")?.[1];

let server: FakeServer;
let ctx: ModuleContext;
let romeo: FakeClient;
beforeEach(async () => {
  server = new FakeServer({ users: ["juliet"] });
  ctx = await server.startModule(modVcard);
  romeo = server.connect("romeo@localhost/orchard");
});

test("XEP-0054: what the owner sets, everybody reads", async () => {
  const told: string[] = [];
  server.hook({ vcard_set: ({ jid }) => void told.push(jid.text) });
  await romeo.sends(set(CARD));
  romeo.hears("<iq from='romeo@localhost' id='vs' to='romeo@localhost/orchard' type='result'/>");
  expect(told).toEqual(["romeo@localhost"]);
  const juliet = server.connect("juliet@localhost/balcony");
  await juliet.sends(get("romeo@localhost"));
  juliet.hears(`<iq from='romeo@localhost' id='vc' to='juliet@localhost/balcony' type='result'>${CARD}</iq>`);
});

test.each([
  ["one's own missing vCard", get(), "item-not-found"],
  ["another's missing vCard", get("juliet@localhost"), "item-not-found"],
  ["setting another's vCard", set(CARD, "juliet@localhost"), "not-allowed"],
  ["a field with what is no character", set("<vCard xmlns='vcard-temp'><FN>\u{FFFFE}</FN></vCard>"), "bad-request"],
  [
    "a vCard of too many bytes",
    set(`<vCard xmlns='vcard-temp'><FN>${"x".repeat(262_144)}</FN></vCard>`),
    "policy-violation",
  ],
  ["something else of the namespace", set("<card xmlns='vcard-temp'/>"), "bad-request"],
])("%s is answered with an error", async (_what, iq, error) => {
  await romeo.sends(iq);
  expect(condition(romeo)).toBe(error);
});

test("what is refused changes nothing", async () => {
  await romeo.sends(set(CARD), set("<vCard xmlns='vcard-temp'><FN>\u{FFFFE}</FN></vCard>"), get());
  expect(romeo.received().at(-1)).toContain("Romeo M.");
});

test("a prefix that was declared around the vCard is kept", async () => {
  await romeo.sends("<iq type='set' id='s' xmlns:p='p:ns'><vCard xmlns='vcard-temp'><p:x/></vCard></iq>");
  const stored = await server.db.query<{ vcard: string }>("SELECT vcard FROM vcard");
  expect(stored[0].vcard).toContain('xmlns:p="p:ns"');
});

test("other features read and store vCards, with the user's bounds", async () => {
  const told: unknown[] = [];
  server.hook({ vcard_set: ({ jid, derived }) => void told.push([jid.text, derived]) });
  const jid = parseBareJid("romeo@localhost");
  expect(await readVcard(server.host, jid)).toBeUndefined();
  expect(await storeVcard(server.host, jid, parseElement(CARD))).toBe(true);
  expect(await updateVcard(server.host, jid, () => undefined)).toBe(true);
  expect(await updateVcard(server.host, jid, (before) => before)).toBe(true);
  expect((await readVcard(server.host, jid))?.getChildText("FN")).toBe("Romeo M.");
  expect(await server.host.hooks.fold("set_vcard", false, { jid, vcard: parseElement(CARD) })).toBe(true);
  expect(told).toEqual([
    [jid.text, undefined],
    [jid.text, true],
    [jid.text, undefined],
  ]);
  const big = parseElement(`<vCard xmlns='vcard-temp'><FN>${"x".repeat(262_144)}</FN></vCard>`);
  await expect(storeVcard(server.host, jid, big)).rejects.toThrow("policy-violation");
  await expect(updateVcard(server.host, jid, () => big)).rejects.toThrow("policy-violation");
  expect(await storeVcard(new FakeServer().host, jid, big)).toBe(false);
  expect(await updateVcard(new FakeServer().host, jid, () => big)).toBe(false);
});

test("the server has a vCard", async () => {
  await romeo.sends(get("localhost"));
  expect(romeo.received()[0]).toContain("<FN>MongooseIM</FN>");
});

test("the fields that can be searched for are kept beside, as written and in lower case", async () => {
  await romeo.sends(set(CARD));
  const [row] = await server.db.query<Record<string, string>>("SELECT * FROM vcard_search");
  expect(row).toMatchObject({
    server: "localhost",
    lusername: "romeo",
    fn: "Romeo M.",
    lfn: "romeo m.",
    family: "Montague",
  });
  expect([row["lnickname"], row["llocality"], row["email"]]).toEqual(["rómeo", "verona", ""]);
});

test("an account's vCard goes with it, and is in its personal data before", async () => {
  await romeo.sends(set(CARD));
  const jid = parseBareJid("romeo@localhost");
  const data = () => (ctx.store as PersonalStore).personalData(jid);
  expect((await data())[0].rows[0][1]).toContain("Romeo M.");
  await server.removeUser(jid);
  expect((await data())[0].rows).toEqual([]);
  expect(await server.db.query("SELECT * FROM vcard_search")).toEqual([]);
});

test("an anonymous user's vCard goes with his session", async () => {
  await romeo.sends(set(CARD));
  await server.host.hooks.notify("anonymous_purge", { jid: parseBareJid("romeo@localhost") });
  expect(await server.db.query("SELECT * FROM vcard")).toEqual([]);
});

test("the LDAP back end is said not to be there", async () => {
  const other = new FakeServer();
  await other.startModule(modVcard, { backend: "ldap" });
  expect(other.logged.join()).toContain("ldap");
});

test("the defaults of the LDAP options are there without them", () => {
  const config = ctx.config as { ldap: { uids: unknown; search_fields: unknown[]; vcard_map: unknown[] } };
  expect(config.ldap.uids).toEqual([{ attr: "uid", format: "%u" }]);
  expect([config.ldap.search_fields.length, config.ldap.vcard_map.length]).toEqual([12, 20]);
});

describe("the operations", () => {
  const INPUT = {
    formattedName: "Romeo M.",
    nameComponents: { family: "Montague", givenName: "Romeo" },
    nickname: ["R", "Ro"],
    birthday: ["1583-01-01"],
    address: [{ tags: ["HOME", "PREF"], street: "Via Arche", country: "IT" }],
    label: [{ tags: ["WORK"], line: ["one", "two"] }],
    telephone: [{ tags: ["CELL"], number: "123" }],
    email: [{ tags: ["INTERNET"], userId: "r@m.it" }],
    geo: [{ lat: "45.4", lon: "10.9" }],
    photo: [{ type: "image/png", binValue: "AAAA" }],
    logo: [{ extValue: "https://m.it/logo" }],
    agent: [{ vcard: { formattedName: "Balthasar", nameComponents: { givenName: "B" } } }],
    org: [{ orgname: "Montague", orgunit: ["Youth", "Fencing"] }],
    categories: [{ keyword: ["lovers"] }],
    sortString: ["Montague"],
    sound: [{ phonetic: "ro-me-o" }],
    class: [{ tags: ["PUBLIC"] }],
    key: [{ type: "pgp", credential: "XYZ" }],
  };
  const FIELDS = `{ formattedName nameComponents { family givenName } nickname birthday
    address { tags street country } label { tags line } telephone { tags number } email { tags userId } geo { lat lon }
    photo { ... on ImageData { type binValue } } logo { ... on External { extValue } }
    agent { ... on AgentVcard { vcard { formattedName nameComponents { givenName } } } }
    org { orgname orgunit } categories { keyword } sortString sound { ... on Phonetic { phonetic } }
    class { tags } key { type credential } }`;

  test("setVcard and getVcard agree on every kind of field", async () => {
    const { run } = runner(server, modVcard, ctx);
    const mutation = `mutation M($v: VcardInput!) { vcard { setVcard(user: "romeo@localhost", vcard: $v) ${FIELDS} } }`;
    expect(await run(mutation, { v: INPUT })).toEqual({ vcard: { setVcard: INPUT } });
    expect(await run(`{ vcard { getVcard(user: "romeo@localhost") ${FIELDS} } }`)).toEqual({
      vcard: { getVcard: INPUT },
    });
  });

  test("a client reads what an operation has set", async () => {
    const { run } = runner(server, modVcard, ctx, "romeo@localhost");
    await run("mutation M($v: VcardInput!) { vcard { setVcard(vcard: $v) { formattedName } } }", {
      v: { formattedName: "R & M", nameComponents: { family: "M" } },
    });
    await romeo.sends(get());
    romeo.hears(
      "<iq from='romeo@localhost' id='vc' to='romeo@localhost/orchard' type='result'><vCard xmlns='vcard-temp'><FN>R &amp; M</FN><N><FAMILY>M</FAMILY></N></vCard></iq>",
    );
  });

  test.each([
    ["nobody@localhost", "user_not_found"],
    ["romeo@elsewhere", "user_not_found"],
    ["romeo@localhost", "vcard_not_found"],
  ])("getVcard of %s is refused with %s", async (user, code) => {
    const { run } = runner(server, modVcard, ctx);
    expect(await run(`{ vcard { getVcard(user: "${user}") { formattedName } } }`)).toEqual([code]);
  });

  test("setVcard of too many bytes is refused", async () => {
    const { run } = runner(server, modVcard, ctx, "romeo@localhost");
    const card = { formattedName: "x".repeat(262_144), nameComponents: {} };
    expect(
      await run("mutation M($v: VcardInput!) { vcard { setVcard(vcard: $v) { formattedName } } }", { v: card }),
    ).toEqual(["internal"]);
  });

  test("a sort string that MongooseIM stored is read", () => {
    expect(fromElement(parseElement("<vCard xmlns='vcard-temp'><SOR>Montague</SOR></vCard>"))).toEqual({
      sortString: ["Montague"],
    });
  });
});
