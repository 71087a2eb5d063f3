// GraphQL category stanza: the newest messages of a user's archive, for administrators and for users.
import { describe, expect } from "vitest";
import { talk, writes } from "../support/archive.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_stanza_SUITE", { door: "tcp" });
const GET = "stanza.getLastMessages";
const MAM = { modules: { mod_mam: { pm: {} } } };

interface Row {
  sender: string;
  timestamp: string;
  stanza_id: string;
  stanza: string;
}
interface Payload {
  stanzas: Row[];
  limit: number;
}
const bodies = ({ stanzas }: Payload): (string | undefined)[] =>
  stanzas.map(({ stanza }) => /<body>([^<]*)<\/body>/.exec(stanza)?.[1]);

describe("archives", () => {
  const { story } = stage({ general: { hosts: ["localhost", "verona.example"] }, ...MAM });

  story(
    "are read by administrators: who wrote, when, and what",
    { alice: 1, bob: 1 },
    async ({ alice, bob, graphql }) => {
      writes(alice, bob, "Hi!");
      await bob.receives`<message><body>Hi!</body></message>`;
      for (const face of await graphql.administrators()) {
        for (const caller of [alice.full, alice.bare, bob.full]) {
          const found = (await face.calls(GET, { caller })).value as Payload;
          expect(found).toMatchObject({ limit: 50, stanzas: [{ sender: alice.full }] });
          const [row] = found.stanzas;
          expect(row.stanza_id).toMatch(/^[0-9A-V]+$/);
          expect(Math.abs(Date.parse(row.timestamp) - Date.now())).toBeLessThan(60_000);
          expect(row.stanza).toMatch(/^<message [^>]*>/);
          expect(bodies(found)).toEqual(["Hi!"]);
        }
      }
    },
    covers("admin_get_last_messages"),
  );

  story(
    "are read in part: with somebody, so many, until a time",
    { alice: 1, bob: 1, kate: 1 },
    async ({ alice, bob, kate, graphql }) => {
      await talk(alice, bob, 3);
      writes(kate, alice, "from Kate");
      await alice.receives`<message><body>from Kate</body></message>`;
      const caller = alice.full;
      for (const face of await graphql.administrators()) {
        const get = async (args: object) => (await face.calls(GET, { caller, ...args })).value as Payload;
        const all = await get({});
        expect(bodies(all)).toEqual(["Message #1", "Message #2", "Message #3", "from Kate"]);
        expect(bodies(await get({ with: bob.bare }))).toEqual(["Message #1", "Message #2", "Message #3"]);
        expect(bodies(await get({ with: kate.full }))).toEqual(["from Kate"]);
        const one = await get({ limit: 1 });
        expect([bodies(one), one.limit]).toEqual([["from Kate"], 1]);
        expect((await get({ limit: 1000 })).limit).toBe(50);
        expect(await get({ before: all.stanzas[1].timestamp })).toEqual({
          limit: 50,
          stanzas: all.stanzas.slice(0, 2),
        });
        expect((await get({ before: "1969-12-31T23:59:59Z" })).stanzas).toEqual([]);
      }
      const nothing = (await graphql.admin.calls(GET, { caller, limit: null })).value as Payload;
      expect(nothing.limit).toBe(50);
      expect(nothing.stanzas).toHaveLength(4);
    },
    covers(
      "admin_get_last_messages_with",
      "admin_get_last_messages_limit",
      "admin_get_last_messages_limit_null",
      "admin_get_last_messages_limit_enforced",
      "admin_get_last_messages_before",
    ),
  );

  story(
    "of nobody are not there, and those of other domains not to be read",
    { alice: 0 },
    async ({ graphql, account }) => {
      for (const face of await graphql.administrators()) {
        (await face.calls(GET, { caller: "maybemaybebutnot@localhost" })).fails("unknown_user", "User does not exist");
      }
      const outside = (await account("mercutio", "verona.example")).bare;
      (await (await graphql.domainAdmin()).calls(GET, { caller: outside })).isUnauthorized();
    },
    covers("admin_get_last_messages_for_unknown_user", "domain_admin_get_last_messages_no_permission"),
  );

  story(
    "are read by their owners",
    { alice: 1, bob: 1 },
    async ({ alice, bob, graphql }) => {
      writes(alice, bob, "Hi!");
      await bob.receives`<message><body>Hi!</body></message>`;
      for (const user of [alice, bob]) {
        const found = (await graphql.user(user).calls(GET)).value as Payload;
        expect(found).toMatchObject({ limit: 50, stanzas: [{ sender: alice.full }] });
        expect(bodies(found)).toEqual(["Hi!"]);
      }
    },
    covers("user_get_last_messages"),
  );
});

describe.each([
  ["without mod_mam", {}],
  ["without archives of users", { modules: { mod_mam: {} } }],
])("%s", (_what, changes) => {
  const { story } = stage(changes);
  story(
    "there is nothing to read",
    { alice: 0 },
    async ({ alice, graphql }) => {
      (await graphql.admin.calls(GET, { caller: alice.bare })).lacks(["mod_mam_pm"]);
      (await graphql.user(alice).calls(GET)).lacks(["mod_mam_pm"]);
    },
    covers("admin_get_last_messages_no_mam", "user_get_last_messages_no_mam"),
  );
});
