// XEP-0441: what a user wants archived.
import { describe, expect } from "vitest";
import { asks, NS_MAM } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { show } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("mam_SUITE");
const stored = (backend: string) => ({ modules: { mod_mam: { user_prefs_store: backend, pm: {} } } });

/** The defaults and the lists of MongooseIM's cases; what of Bob's and Kate's messages is archived. Bob is a friend. */
type Case = readonly [byDefault: string, always: string, never: string, bob: boolean, kate: boolean];
const CASES: readonly Case[] = [
  ["roster", "", "", true, false],
  ["roster", "bob", "", true, false],
  ["roster", "kate", "", true, true],
  ["roster", "kate bob", "", true, true],
  ["roster", "", "bob", false, false],
  ["roster", "", "kate", true, false],
  ["roster", "", "bob kate", false, false],
  ["never", "", "", false, false],
  ["never", "bob", "", true, false],
  ["never", "kate", "", false, true],
  ["never", "kate bob", "", true, true],
  ["never", "", "bob", false, false],
  ["never", "", "kate", false, false],
  ["never", "", "bob kate", false, false],
  ["always", "", "", true, true],
  ["always", "bob", "", true, true],
  ["always", "kate", "", true, true],
  ["always", "kate bob", "", true, true],
  ["always", "", "bob", false, true],
  ["always", "", "kate", true, false],
  ["always", "", "bob kate", false, false],
];

const list = (jids: readonly string[], between = ""): string => jids.map((jid) => `<jid>${jid}</jid>`).join(between);
function prefs(byDefault: string, always: readonly string[], never: readonly string[], between = "", ns = NS_MAM) {
  return `<prefs xmlns="${ns}" default="${byDefault}"><always>${list(always, between)}</always><never>${list(never, between)}</never></prefs>`;
}
/** Sets, and reads again: both answers say what was set. */
async function sets(client: Client, payload: string, saying = payload): Promise<void> {
  const ns = /xmlns="([^"]*)"/.exec(payload)?.[1];
  client.says(`<iq type="set" id="set">${payload}</iq>`);
  const set = await client.hears(`<iq type="result" id="set">${saying}</iq>`);
  client.says(`<iq type="get" id="get"><prefs xmlns="${ns}"/></iq>`);
  const got = await client.hears(`<iq type="result" id="get">${saying}</iq>`);
  expect(show(got).replace('id="get"', "")).toBe(show(set).replace('id="set"', ""));
}

describe("preferences", () => {
  const { story } = stage(stored("rdbms"));

  story(
    "are set and read",
    { alice: 1 },
    async ({ alice }) => {
      alice.sends`<iq type="get" id="none"><prefs xmlns="${NS_MAM}"/></iq>`;
      await alice.hears(`<iq type="result" id="none">${prefs("always", [], [])}</iq>`);
      await sets(alice, prefs("roster", ["romeo@montague.net"], ["montague@montague.net"]));
      const both = ["romeo@montague.net", "montague@montague.net"];
      await sets(alice, prefs("roster", both, [], "\n"), prefs("roster", both.toSorted(), []));
    },
    covers("prefs_set_request", "prefs_set_cdata_request"),
  );

  story(
    "of every kind are set and read, in both versions of the protocol",
    { alice: 1, bob: 0, kate: 0 },
    async ({ alice, bob, kate }) => {
      const bare = (names: string) =>
        names
          .split(" ")
          .filter((name) => name !== "")
          .map((name) => (name === "bob" ? bob : kate).bare)
          .sort();
      for (const [byDefault, always, never] of CASES) {
        for (const ns of [NS_MAM, "urn:xmpp:mam:1"]) {
          await sets(alice, prefs(byDefault, bare(always), bare(never), "", ns));
        }
      }
    },
    covers("run_set_and_get_prefs_cases"),
  );

  for (const policy of ["always", "never", "roster"]) {
    story(
      `whose default is ${policy} are followed in both directions`,
      { alice: 1, bob: 1, kate: 1 },
      async ({ alice, bob, kate, befriend }) => {
        await befriend(alice, bob);
        const expected: string[] = [];
        for (const [n, [byDefault, always, never, bobs, kates]] of CASES.entries()) {
          if (byDefault !== policy) continue;
          const bare = (names: string) =>
            names
              .split(" ")
              .filter((name) => name !== "")
              .map((name) => (name === "bob" ? bob : kate).bare);
          alice.says(`<iq type="set" id="set">${prefs(byDefault, bare(always), bare(never))}</iq>`);
          await alice.hears('<iq type="result" id="set"/>');
          for (const [other, wanted] of [
            [bob, bobs],
            [kate, kates],
          ] as const) {
            for (const [from, to] of [
              [other, alice],
              [alice, other],
            ]) {
              const body = `${n} ${from.local} ${to.local}`;
              from.sends`<message to="${to.full}" type="chat"><body>${body}</body></message>`;
              await to.hears(`<message><body>${body}</body></message>`);
              if (wanted) expected.push(body);
            }
          }
        }
        expect((await asks(alice)).bodies).toEqual(expected);
      },
      covers(`messages_filtered_when_prefs_default_policy_is_${policy}`),
    );
  }

  story(
    "of an account that is not connected are followed too",
    { alice: 1, bob: 1 },
    async ({ alice, bob, another, server, door }) => {
      await sets(alice, prefs("roster", [], []));
      await alice.leaves();
      bob.sends`<message to="${alice.bare}" type="chat"><body>who is this?</body></message>`;
      await bob.receivesNothing();
      const back = await another(alice).logsIn(server.target(door));
      expect((await asks(back)).bodies).toEqual([]);
      // Nothing is told of what was not archived: the message waits for her all the same.
      back.sendsRaw("<presence xmlns='jabber:client'/>");
      await back.skipsTo((e) => e.name === "message");
    },
  );

  story(
    "for the roster are for everybody in it, with a subscription or without",
    { alice: 1, bob: 1 },
    async ({ alice, bob, another, server, door }) => {
      await sets(alice, prefs("roster", [], []));
      bob.sends`<message to="${alice.full}" type="chat"><body>a stranger</body></message>`;
      await alice.hears("<message><body>a stranger</body></message>");
      alice.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="${bob.bare}"/></query></iq>`;
      await alice.hears('<iq type="result" id="r"/><iq type="set"/>');
      bob.sends`<message to="${alice.full}" type="chat"><body>in the roster</body></message>`;
      await alice.hears("<message><body>in the roster</body></message>");
      expect((await asks(alice)).bodies).toEqual(["in the roster"]);
      await alice.leaves();
      bob.sends`<message to="${alice.bare}" type="chat"><body>while away</body></message>`;
      await bob.settled();
      const back = await another(alice).logsIn(server.target(door));
      expect((await asks(back)).bodies).toEqual(["in the roster", "while away"]);
    },
  );

  story("that make no sense are refused, and change nothing", { alice: 1 }, async ({ alice }) => {
    await sets(alice, prefs("never", ["juliet@localhost"], []));
    for (const [payload, error] of [
      [prefs("sometimes", [], []), "bad-request"],
      [prefs("always", ["@"], []), "jid-malformed"],
      [prefs("always", ["a@b"], ["a@b"]), "bad-request"],
      [
        prefs(
          "always",
          Array.from({ length: 1001 }, (_, i) => `u${i}@localhost`),
          [],
        ),
        "policy-violation",
      ],
    ]) {
      alice.says(`<iq type="set" id="bad">${payload}</iq>`);
      const answer = await alice.hears('<iq type="error" id="bad"/>');
      expect(show(answer)).toContain(`<${error} xmlns`);
    }
    alice.sends`<iq type="get" id="get"><prefs xmlns="${NS_MAM}"/></iq>`;
    await alice.hears(`<iq type="result" id="get">${prefs("never", ["juliet@localhost"], [])}</iq>`);
  });
});

describe("preferences in MongooseIM's other place", () => {
  const { story } = stage(stored("mnesia"));
  story("are set and read as well", { alice: 1 }, async ({ alice }) => {
    await sets(alice, prefs("never", ["romeo@montague.net"], []));
  });
});

describe("without preferences", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} } } });
  story("everybody has the default, and nobody can change it", { alice: 1 }, async ({ alice }) => {
    alice.sends`<iq type="get" id="get"><prefs xmlns="${NS_MAM}"/></iq>`;
    await alice.hears(`<iq type="result" id="get">${prefs("always", [], [])}</iq>`);
    alice.says(`<iq type="set" id="set">${prefs("never", [], [])}</iq>`);
    await alice.receives`<iq type="error" id="set"><error type="cancel"><feature-not-implemented xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
  });
});
