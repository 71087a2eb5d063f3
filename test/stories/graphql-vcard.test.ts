// GraphQL category vcard: XEP-0054's vCards as the schema has them, for administrators and for users.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import type { Answer } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_vcard_SUITE", { door: "tcp" });
const HOSTS = { general: { hosts: ["localhost", "verona.example"] } };
const NO_DOMAIN = /^User's domain does not exist$/;
const NO_USER = /^Given user does not exist$/;
const NO_VCARD = /^Vcard for user not found$/;
const [GET, SET] = ["vcard.getVcard", "vcard.setVcard"];

/** Values without those fields that are null. */
function filled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(filled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([key, inner]) => [key, filled(inner)]),
  );
}
const holds = (answer: Answer, vcard: unknown) => expect(filled(answer.value)).toEqual(vcard);

const image = (of: string) => [
  { type: "image/jpeg", binValue: `VGVzdA==${of}` },
  { extValue: `https://x.example/${of}` },
];
const HEAD = {
  formattedName: "TestName",
  nameComponents: {
    family: "familyName",
    givenName: "givenName",
    middleName: "middleName",
    prefix: "prefix",
    suffix: "suffix",
  },
  nickname: ["NicknameTest", "SecondNickname"],
  photo: image("photo"),
};
const ADDRESS = {
  tags: ["HOME", "WORK"],
  pobox: "poboxTest",
  extadd: "extaddTest",
  street: "TESTSTREET123",
  locality: "LOCALITY123",
  region: "REGION777",
  country: "COUNTRY123",
};
const COMPLETE = {
  ...HEAD,
  birthday: ["birthdayTest", "SecondBirthday"],
  address: [
    { ...ADDRESS, pcode: "PcodeTest" },
    { ...ADDRESS, tags: ["HOME", "WORK", "POSTAL"], street: "Second", pcode: "PcodeSecond" },
  ],
  label: [
    { tags: ["WORK", "HOME"], line: ["LineTest", "AAA"] },
    { tags: ["POSTAL", "WORK"], line: ["LineTest2", "AAA"] },
  ],
  telephone: [
    { tags: ["HOME", "BBS"], number: "590190190" },
    { tags: ["WORK", "BBS"], number: "590190191" },
  ],
  email: [
    { tags: ["PREF"], userId: "userIDTest" },
    { tags: ["PREF", "HOME"], userId: "userIDTest2" },
  ],
  jabberId: ["JabberId", "JabberIDSecond"],
  mailer: ["MailerTest", "MailerSecond"],
  timeZone: ["TimeZoneTest", "TimeZoneSecond"],
  geo: [
    { lat: "LatitudeTest", lon: "LongitudeTest" },
    { lat: "LatitudeTest2", lon: "LongitudeTest2" },
  ],
  title: ["TitleTest", "SecondTest"],
  role: ["roleTest", "SecondRole"],
  logo: image("logo"),
  agent: [{ vcard: HEAD }, { extValue: "TESTVALUE" }, { vcard: HEAD }],
  org: [
    { orgname: "TESTNAME", orgunit: ["test1", "TEST2"] },
    { orgname: "TESTNAME123", orgunit: ["test1"] },
  ],
  categories: [{ keyword: ["KeywordTest"] }, { keyword: ["KeywordTest", "Keyword2"] }],
  note: ["NoteTest", "NOTE2"],
  prodId: ["ProdIdTest", "ProdTEST2"],
  rev: ["revTest", "RevTest2"],
  sortString: ["sortStringTest", "String2"],
  sound: [{ binValue: "TestBinValue" }, { phonetic: "PhoneticTest" }, { extValue: "ExtValueTest" }],
  uid: ["UidTest", "UID2"],
  url: ["UrlTest", "URL2"],
  desc: ["DescTest", "DESC2"],
  class: [{ tags: ["CONFIDENTIAL", "PRIVATE"] }, { tags: ["CONFIDENTIAL"] }],
  key: [
    { type: "TYPETEST1", credential: "TESTCREDENTIAL1" },
    { type: "TYPETEST2", credential: "TESTCREDENTIAL2" },
  ],
};
const INCOMPLETE = { formattedName: "TestName", nameComponents: {}, address: [ADDRESS] };

async function writes(client: Client, fields: string): Promise<void> {
  client.says(`<iq type="set" id="v"><vCard xmlns="vcard-temp">${fields}</vCard></iq>`);
  await client.hears(`<iq type="result" id="v"/>`);
}
const MAILS =
  "<VERSION>3.0</VERSION><FN>TESTNAME</FN><EMAIL><USERID>TESTEMAIL</USERID><HOME/><WORK/></EMAIL>" +
  "<EMAIL><USERID>TESTEMAIL2</USERID><HOME/></EMAIL>";
const WITH_MAILS = {
  formattedName: "TESTNAME",
  email: [
    { userId: "TESTEMAIL", tags: ["HOME", "WORK"] },
    { userId: "TESTEMAIL2", tags: ["HOME"] },
  ],
};

describe("with mod_vcard", () => {
  const { story } = stage(HOSTS);

  story(
    "administrators set vCards, complete and not",
    { alice: 1 },
    async ({ graphql, alice, account }) => {
      const user = alice.bare;
      for (const face of await graphql.administrators()) {
        for (const vcard of [COMPLETE, INCOMPLETE]) {
          holds(await face.calls(SET, { user, vcard }), vcard);
          holds(await face.calls(GET, { user }), vcard);
        }
      }
      alice.sends`<iq type="get" id="g"><vCard xmlns="vcard-temp"/></iq>`;
      await alice.hears(
        `<iq type="result" id="g"><vCard xmlns="vcard-temp"><FN>TestName</FN><N/><ADR><HOME/><WORK/><POBOX>poboxTest</POBOX><EXTADD>extaddTest</EXTADD><STREET>TESTSTREET123</STREET><LOCALITY>LOCALITY123</LOCALITY><REGION>REGION777</REGION><CTRY>COUNTRY123</CTRY></ADR></vCard></iq>`,
      );
      for (const face of [graphql.admin, graphql.ctl]) {
        const set = (whose: string) => face.calls(SET, { user: whose, vcard: COMPLETE });
        (await set("eddie@otherhost")).fails("user_not_found", NO_DOMAIN);
        (await set("eddie@localhost")).fails("user_not_found", NO_USER);
      }
      const other = await graphql.domainAdmin();
      const outside = (await account("mercutio", "verona.example")).bare;
      for (const whose of ["eddie@otherhost", outside]) {
        (await other.calls(SET, { user: whose, vcard: COMPLETE })).isUnauthorized();
      }
    },
    covers(
      "admin_set_vcard",
      "admin_set_vcard_incomplete_fields",
      "admin_set_vcard_no_host",
      "domain_admin_set_vcard_no_host",
      "domain_admin_set_vcard_no_permission",
    ),
  );

  story(
    "administrators get vCards",
    { alice: 1, bob: 0 },
    async ({ graphql, alice, bob, account }) => {
      await writes(
        alice,
        "<ADR><POBOX>TESTPobox</POBOX><EXTADD>TESTExtadd</EXTADD><STREET>TESTStreet</STREET><LOCALITY>TESTLocality</LOCALITY>" +
          "<REGION>TESTRegion</REGION><PCODE>TESTPCODE</PCODE><CTRY>TESTCTRY</CTRY><HOME/><WORK/></ADR>",
      );
      for (const face of await graphql.administrators()) {
        holds(await face.calls(GET, { user: alice.bare }), {
          address: [
            {
              pobox: "TESTPobox",
              extadd: "TESTExtadd",
              street: "TESTStreet",
              locality: "TESTLocality",
              region: "TESTRegion",
              pcode: "TESTPCODE",
              country: "TESTCTRY",
              tags: ["HOME", "WORK"],
            },
          ],
        });
        (await face.calls(GET, { user: bob.bare })).fails("vcard_not_found", NO_VCARD);
      }
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(GET, { user: "eddie@otherhost" })).fails("user_not_found", NO_DOMAIN);
        (await face.calls(GET, { user: "eddie@localhost" })).fails("user_not_found", NO_USER);
      }
      const other = await graphql.domainAdmin();
      const outside = (await account("mercutio", "verona.example")).bare;
      for (const user of ["eddie@otherhost", outside]) (await other.calls(GET, { user })).isUnauthorized();
    },
    covers(
      "admin_get_vcard",
      "admin_get_vcard_no_vcard",
      "admin_get_vcard_no_host",
      "domain_admin_get_vcard_no_host",
      "domain_admin_get_vcard_no_permission",
    ),
  );

  story(
    "users set their own and see anybody's",
    { alice: 1, bob: 1, kate: 0 },
    async ({ graphql, alice, bob, kate }) => {
      const own = graphql.user(alice);
      (await own.calls(GET)).fails("vcard_not_found", NO_VCARD);
      holds(await own.calls(SET, { vcard: COMPLETE }), COMPLETE);
      holds(await own.calls(GET), COMPLETE);
      await writes(alice, MAILS);
      holds(await own.calls(GET), WITH_MAILS);
      await writes(bob, MAILS);
      holds(await own.calls(GET, { user: bob.bare }), WITH_MAILS);
      (await own.calls(GET, { user: kate.bare })).fails("vcard_not_found", NO_VCARD);
      (await own.calls(GET, { user: "eddie@otherhost" })).fails("user_not_found", NO_DOMAIN);
      (await own.calls(GET, { user: "eddie@localhost" })).fails("user_not_found", NO_USER);
    },
    covers(
      "user_set_vcard",
      "user_get_their_vcard",
      "user_get_their_vcard_no_vcard",
      "user_get_others_vcard",
      "user_get_others_vcard_no_user",
      "user_get_others_vcard_no_vcard",
    ),
  );
});

describe("without mod_vcard", () => {
  const { story } = stage({ ...HOSTS, modules: { mod_vcard: null } });

  story(
    "there are no vCards",
    { alice: 0, bob: 0 },
    async ({ graphql, alice, bob }) => {
      for (const face of [graphql.admin, graphql.ctl]) {
        (await face.calls(SET, { user: alice.bare, vcard: COMPLETE })).lacks(["mod_vcard"]);
        (await face.calls(GET, { user: alice.bare })).lacks(["mod_vcard"]);
      }
      const own = graphql.user(alice);
      (await own.calls(SET, { vcard: COMPLETE })).lacks(["mod_vcard"]);
      (await own.calls(GET, { user: bob.bare })).lacks(["mod_vcard"]);
      (await own.calls(GET)).fails("vcard_not_configured_error");
    },
    covers(
      "user_set_vcard_not_configured",
      "user_get_their_vcard_not_configured",
      "user_get_others_vcard_not_configured",
      "admin_set_vcard_not_configured",
      "admin_get_vcard_not_configured",
    ),
  );
});
