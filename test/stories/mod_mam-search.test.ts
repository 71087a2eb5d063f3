// XEP-0431: archives are searched for text; MongooseIM's way by default, or with an index of words.
import { describe, expect } from "vitest";
import { asks, NS_MAM, writes } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { childrenOf, find } from "../support/match.ts";
import { covering, type Stage, stage } from "../support/story.ts";

const covers = covering("mam_SUITE");
const modules = (pm: Record<string, boolean | string>) => ({ modules: { mod_mam: { pm } } });
const NS_FULLTEXT = "urn:xmpp:fulltext:0";
const CLARK = `{${NS_FULLTEXT}}fulltext`;

const CATS = [
  "Hi there! My cat's name is John",
  "Also my bike broke down so I'm unable to return him home",
  "Cats are awesome by the way",
] as const;
const SHIPS = [
  "Anchors of the old harbour rust in silence.",
  "Sails, masts and ropes; the harbour smells of tar: what a morning!",
  "No rope holds a ship for ever",
  "The harbour master counts masts - and sails - twice",
  "SAILS? HARBOUR! MASTS...",
  "sails masts",
] as const;

/** Alice writes to Bob, who has it all when this is done. */
async function writesAll(alice: Client, bob: Client, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) {
    writes(alice, bob, body);
    await bob.skipsTo((e) => find(e, "body") !== undefined);
  }
}
/** Bodies that a search of an archive finds, oldest first. */
const finds = async (client: Client, text: string, field = CLARK): Promise<readonly string[]> =>
  (await asks(client, { fields: { [field]: text } })).bodies;
/** The fields of the form for queries, by name. */
async function fieldsOf(client: Client): Promise<Record<string, string | undefined>> {
  client.tally.assertions++;
  client.says(`<iq type="get" id="form"><query xmlns="${NS_MAM}"/></iq>`);
  const reply = await client.next();
  const form = find(reply, "x");
  if (form === undefined) throw new Error("there is no form");
  return Object.fromEntries(childrenOf(form).map((field) => [field.attrs["var"], field.attrs["type"]]));
}
async function featuresOf(client: Client): Promise<(string | undefined)[]> {
  client.tally.assertions++;
  client.says(
    `<iq type="get" id="disco" to="${client.bare}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`,
  );
  const query = find(await client.next(), "query");
  return query === undefined ? [] : childrenOf(query).map((feature) => feature.attrs["var"]);
}

/** What both ways have in common: whole words, in any order. */
function wholeWords(story: Stage["story"]): void {
  story(
    "all the words of a query, in any order and case, are in what is found",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAll(alice, bob, SHIPS);
      for (const client of [alice, bob]) {
        expect(await finds(client, "MASTS harBour Sails")).toEqual([SHIPS[1], SHIPS[3], SHIPS[4]]);
        expect(await finds(client, "sails, masts!")).toEqual([SHIPS[1], SHIPS[3], SHIPS[4], SHIPS[5]]);
        expect(await finds(client, "the ever")).toEqual([]);
        expect(await finds(client, "anchors", "full-text-search")).toEqual([SHIPS[0]]);
      }
    },
    covers("long_text_search_request"),
  );

  story(
    "a search is part of a query like any other: with, pages, count",
    { alice: 1, bob: 1, carol: 1 },
    async ({ alice, bob, carol }) => {
      await writesAll(alice, bob, ["cat one", "dog two", "cat three", "cat four"]);
      await writesAll(alice, carol, ["cat five"]);
      const page = await asks(alice, { fields: { [CLARK]: "cat", with: bob.bare }, rsm: "<max>2</max>" });
      expect(page).toMatchObject({ bodies: ["cat one", "cat three"], count: 3, index: 0, complete: false });
      const rest = await asks(alice, {
        fields: { [CLARK]: "cat", with: bob.bare },
        rsm: `<max>2</max><after>${page.last}</after>`,
      });
      expect(rest).toMatchObject({ bodies: ["cat four"], count: 3, index: 2, complete: true });
      expect(await finds(alice, "cat")).toEqual(["cat one", "cat three", "cat four", "cat five"]);
      // Of what Alice has written to Carol, Bob finds nothing.
      expect(await finds(bob, "five")).toEqual([]);
    },
  );

  story(
    "words of every script, what databases mistake, and words that are no word for them",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const bodies = [
        "Zażółć gęślą JAŹŃ",
        "Привет, мир",
        "你好 世界",
        "the 50% of a_b $x",
        "it's 'or' 1=1 -- \"",
        "lol 😂",
      ];
      await writesAll(
        alice,
        bob,
        bodies.map((body) => body.replaceAll('"', "&quot;")),
      );
      for (const [text, n] of [
        ["zażółć", 0],
        ["ПРИВЕТ мир", 1],
        ["世界", 2],
        ["the a_b", 3],
        ["50%", 3],
        ["its OR 1", 4],
        ["lol", 5],
      ] as const)
        expect(await finds(alice, text), text).toEqual([bodies[n]]);
      for (const text of ["zazolc", "a%b", "axb", "its' AND '1'='1"])
        expect(await finds(alice, text), text).toEqual([]);
      // No word at all asks for nothing in particular.
      expect(await finds(alice, "?!")).toEqual(bodies);
    },
  );

  story("a retracted message is not found any more", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    writes(alice, bob, "secret plan", `<origin-id xmlns="urn:xmpp:sid:0" id="o1"/>`);
    await bob.hears("<message><body>secret plan</body></message>");
    expect(await finds(bob, "secret")).toEqual(["secret plan"]);
    alice.sends`<message to="${bob.bare}" type="chat" id="r1"><apply-to xmlns="urn:xmpp:fasten:0" id="o1"><retract xmlns="urn:xmpp:message-retract:0"/></apply-to></message>`;
    await bob.hears(`<message id="r1"/>`);
    for (const client of [alice, bob]) expect(await finds(client, "secret")).toEqual([]);
  });
}

describe("as MongooseIM does", () => {
  const { story } = stage(modules({}));
  wholeWords(story);

  story(
    "what has a word in it, or as a part of one, is found",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAll(alice, bob, CATS);
      expect(await finds(alice, "cat", "full-text-search")).toEqual([CATS[0], CATS[2]]);
      expect(await finds(alice, "bike", "fulltext")).toEqual([CATS[1]]);
      expect(await finds(alice, "bike")).toEqual([CATS[1]]);
    },
    covers("easy_text_search_request"),
  );

  story(
    "the form and the account say that it can be searched",
    { alice: 1 },
    async ({ alice }) => {
      expect(await fieldsOf(alice)).toMatchObject({ [CLARK]: "text-single" });
      expect(await featuresOf(alice)).toContain(NS_FULLTEXT);
    },
    covers("text_search_is_available"),
  );
});

describe("with an index of words", () => {
  const own = stage(modules({ search_index: "index" }));
  wholeWords(own.story);

  own.story("whole words are found, parts of words are not", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await writesAll(alice, bob, CATS);
    expect(await finds(alice, "cat")).toEqual([]);
    expect(await finds(alice, "cats")).toEqual([CATS[0], CATS[2]]);
    expect(await finds(alice, "my BIKE")).toEqual([CATS[1]]);
  });
});

describe("without full_text_search", () => {
  const { story } = stage(modules({ full_text_search: false }));

  story(
    "neither form nor account offer searches",
    { alice: 1 },
    async ({ alice }) => {
      const names = Object.keys(await fieldsOf(alice));
      expect(names).toContain("with");
      expect(names.filter((name) => /full-?text/.test(name))).toEqual([]);
      expect(await featuresOf(alice)).not.toContain(NS_FULLTEXT);
    },
    covers("text_search_is_not_available"),
  );

  story(
    "a search is refused, and other queries are answered",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writesAll(alice, bob, ["cat"]);
      for (const field of ["fulltext", "full-text-search", CLARK]) {
        const { error, bodies } = await asks(bob, { fields: { [field]: "this IQ is expected to fail" } });
        expect([error, bodies]).toEqual(["cancel feature-not-implemented", []]);
      }
      expect((await asks(bob)).bodies).toEqual(["cat"]);
    },
    covers("text_search_query_fails_if_disabled"),
  );
});
