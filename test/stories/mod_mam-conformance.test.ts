// XEP-0313, XEP-0059, XEP-0359, XEP-0334 as tables: one line for what clients may do, the odd included, and what they get.
import { describe, expect } from "vitest";
import { asks, NS_MAM, type Question, queryXml, talk, writes } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { childOf, find, textOf, type XElement } from "../support/match.ts";
import { activates, blocks, item, ofJid, refusalOf, uses, writesList } from "../support/privacy.ts";
import { stage } from "../support/story.ts";

const MAM = { mod_mam: { user_prefs_store: "rdbms", pm: {} }, mod_stanzaid: null };
const newest = { rsm: "<max>1</max><before/>" };
const count = async (client: Client): Promise<number> => (await asks(client, { rsm: "<max>0</max>" })).count ?? -1;

/** What a page of the messages 1 to 6 is: the first and the last of it, whether it is complete, the index. */
type Page = readonly [from: number, to: number, complete: boolean, index?: number] | string;
const EMPTY: Page = [0, 0, true];
const WRONG = "modify bad-request";
const MISSING = "cancel item-not-found";

/** XEP-0059: <3> and the like stand for ids. */
const PAGES: readonly (readonly [rsm: string, page: Page])[] = [
  ["", [1, 6, true, 0]],
  ["<max>4</max>", [1, 4, false, 0]],
  ["<max>6</max>", [1, 6, true, 0]],
  ["<max>2147483647</max>", [1, 6, true, 0]],
  ["<max>99999999999999999999</max>", [1, 6, true, 0]],
  ["<max>\n  2\n</max>", [1, 2, false, 0]],
  ["<max>0</max>", [0, 0, false]],
  ["<max>0</max><before/>", [0, 0, false]],
  ["<max>-1</max>", WRONG],
  ["<max>1.5</max>", WRONG],
  ["<max/>", WRONG],
  ["<max>2</max><after/>", [1, 2, false, 0]],
  ["<max>2</max><after><2></after>", [3, 4, false, 2]],
  ["<max>2</max><after><4></after>", [5, 6, true, 4]],
  ["<after><6></after>", EMPTY],
  ["<max>2</max><before/>", [5, 6, false, 4]],
  ["<max>2</max><before><5></before>", [3, 4, false, 2]],
  ["<max>2</max><before><3></before>", [1, 2, true, 0]],
  ["<before><1></before>", EMPTY],
  ["<after>AV25E9SCO50K</after>", MISSING],
  ["<after>0</after>", MISSING],
  ["<before>0</before>", MISSING],
  ["<after>7VVVVVVVVVVVV</after>", MISSING],
  ["<before>7VVVVVVVVVVVV</before>", MISSING],
  ["<max>0</max><after>7VVVVVVVVVVVV</after>", MISSING],
  ["<max>0</max><before>AV25E9SCO50K</before>", MISSING],
  ["<after><1></after><before><4></before>", WRONG],
  ["<after/><before/>", WRONG],
  ["<index>1</index><after><1></after>", WRONG],
  ["<max>2</max><index>0</index>", [1, 2, false, 0]],
  ["<max>2</max><index>4</index>", [5, 6, true, 4]],
  ["<index>6</index>", EMPTY],
  ["<index>2147483647</index>", EMPTY],
  ["<index>-1</index>", WRONG],
  ["<max>2</max><max>5</max>", [1, 2, false, 0]],
];

/** §4.1; `{}` is the form without FORM_TYPE. */
const FORMS: readonly (readonly [fields: Question["fields"], page: Page])[] = [
  [{ start: "2020-02-29T00:00:00Z" }, [1, 6, true, 0]],
  [{ start: "2020-01-01T00:00:00.1234567891234+14:00" }, [1, 6, true, 0]],
  [{ start: "1969-07-21T02:56:15Z", end: "9999-12-31T23:59:59Z" }, [1, 6, true, 0]],
  [{ start: "2030-01-01T00:00:00Z", end: "2020-01-01T00:00:00Z" }, EMPTY],
  [{ end: "1969-07-21T02:56:15Z" }, EMPTY],
  [{ start: "", end: "", with: "", ids: [] }, [1, 6, true, 0]],
  [{ start: "2021-02-29T00:00:00Z" }, WRONG],
  [{ start: "2021-04-31T00:00:00Z" }, WRONG],
  [{ start: "2021-01-01T25:00:00Z" }, WRONG],
  [{ start: "2021-01-01" }, WRONG],
  [{ end: "20210101T00:00:00" }, WRONG],
  [{ "include-groupchat": "maybe" }, WRONG],
  [{ FORM_TYPE: "urn:example" }, WRONG],
  [{ mood: "lonely" }, "cancel feature-not-implemented"],
  [{ with: "@localhost" }, "modify jid-malformed"],
  [{ with: "localhost" }, EMPTY],
  [{ ids: ["<2>", "<3>", "<3>"] }, [2, 3, true, 0]],
  [{ ids: ["<2>", "AV25E9SCO50K"] }, MISSING],
  [{ "after-id": "<1>", "before-id": "<4>" }, [2, 3, true, 0]],
  [{ "after-id": "<4>", "before-id": "<1>" }, EMPTY],
  [{ "after-id": "AV25E9SCO50K" }, MISSING],
  [{ "after-id": "7VVVVVVVVVVVV" }, MISSING],
  [{ ids: ["0", "7VVVVVVVVVVVV"] }, MISSING],
  [{ "from-id": "0", "to-id": "7VVVVVVVVVVVV" }, [1, 6, true, 0]],
  [{ ids: Array.from({ length: 501 }, (_, i) => `A${i}`) }, "modify policy-violation"],
];

describe("a query", () => {
  const { story } = stage({ modules: MAM });

  story("of any kind is answered as the XEPs say", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await talk(alice, bob, 6);
    const { ids } = await asks(alice);
    const named = (text: string): string => text.replace(/<(\d)>/g, (_, n: string) => ids[Number(n) - 1]);
    const check = async (question: Question, page: Page): Promise<void> => {
      const found = await asks(alice, question);
      const what = JSON.stringify(question);
      if (typeof page === "string") {
        expect(found.error, what).toBe(page);
        expect(found.messages, what).toEqual([]);
        return;
      }
      const [from, to, complete, index] = page;
      const wanted = from === 0 ? [] : ids.slice(from - 1, to);
      expect(found, what).toMatchObject({ error: undefined, ids: wanted, complete, index });
      expect([found.first, found.last], what).toEqual([wanted[0], wanted.at(-1)]);
      if (question.fields === undefined) expect(found.count, what).toBe(6);
    };
    for (const [rsm, page] of PAGES) await check({ rsm: named(rsm) }, page);
    for (const [fields = {}, page] of FORMS) {
      const named_ = Object.entries(fields).map(([k, v]) => [k, typeof v === "string" ? named(v) : v.map(named)]);
      await check({ fields: Object.fromEntries(named_) }, page);
    }
    const filters: Question["fields"][] = [{ with: bob.bare }, { simple: "true" }];
    for (const fields of filters) {
      await check({ fields, rsm: "<after>7VVVVVVVVVVVV</after>" }, MISSING);
      await check({ fields, rsm: "<before>7VVVVVVVVVVVV</before>" }, MISSING);
    }
    // §4.2.4: the order of sending alone is another.
    const page = { rsm: "<max>3</max><before/>", more: "<flip-page/>" };
    expect(await asks(alice, page)).toMatchObject({ ids: ids.slice(3).toReversed(), first: ids[3], last: ids[5] });
  });

  story("gets its queryid back, whatever it is (§4.2)", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await talk(alice, bob, 2);
    for (const queryid of ["", "q", "q".repeat(10_000), "&lt;a'&amp;é", "a&#10;b&#9;c"]) {
      const { messages } = await asks(alice, { queryid });
      const read = queryid.replace("&lt;", "<").replace("&amp;", "&").replace("&#10;", "\n").replace("&#9;", "\t");
      expect(messages.map((message) => message.queryid)).toEqual([read, read]);
    }
    const { messages } = await asks(alice);
    expect(messages.map((message) => message.queryid)).toEqual([undefined, undefined]);
  });

  story("among many is answered in its turn, and wholly (§4)", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await talk(alice, bob, 5);
    const size = (n: number): number => (n % 5) + 1;
    const idOf = (n: number): string => (n < 2 ? "same" : `q${n}`);
    const queries = Array.from({ length: 50 }, (_, n) =>
      queryXml({ queryid: idOf(n), rsm: `<max>${size(n)}</max>` }, `many-${n}`),
    );
    // In one write on a stream; a frame each on a WebSocket.
    for (const query of queries) alice.says(query);
    for (let n = 0; n < 50; n++) {
      for (let k = 0; k < size(n); k++) {
        const result = childOf(await alice.next(), "result", NS_MAM);
        expect(result?.attrs["queryid"]).toBe(idOf(n));
      }
      await alice.hears(`<iq type="result" id="many-${n}"/>`);
    }
  });
});

/** A message to bob of a type with something in it: whether alice's archive and bob's have it. */
const MESSAGES: readonly (readonly [type: string, inside: string, kept: boolean])[] = [
  ["chat", "<body>x</body>", true],
  ["normal", "<body>x</body>", true],
  ["", "<body>x</body>", true],
  ["unheard-of", "<body>x</body>", true],
  ["chat", "<body/>", true],
  ["headline", "<body>x</body>", false],
  ["error", "<body>x</body><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", false],
  ["chat", "<subject>x</subject>", false],
  ["chat", '<active xmlns="http://jabber.org/protocol/chatstates"/>', false],
  ["chat", '<encrypted xmlns="urn:example"/>', false],
  ["chat", '<encrypted xmlns="urn:example"/><store xmlns="urn:xmpp:hints"/>', true],
  ["headline", '<body>x</body><store xmlns="urn:xmpp:hints"/>', false],
  ["chat", '<body>x</body><no-store xmlns="urn:xmpp:hints"/>', false],
  ["chat", '<body>x</body><no-permanent-store xmlns="urn:xmpp:hints"/>', false],
  ["chat", '<body>x</body><h:no-store xmlns:h="urn:xmpp:hints"/>', false],
  ["chat", '<body>x</body><store xmlns="urn:xmpp:hints"/><no-store xmlns="urn:xmpp:hints"/>', false],
  ["chat", '<body>x</body><no-copy xmlns="urn:xmpp:hints"/>', true],
  [
    "chat",
    `<result xmlns="${NS_MAM}" id="x"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client"><body>x</body></message></forwarded></result>`,
    false,
  ],
];

describe("a message", () => {
  const { story } = stage({ modules: MAM });

  story("of any kind is kept or not, as the XEPs say", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    for (const [type, inside, kept] of MESSAGES) {
      const before = [await count(alice), await count(bob)];
      const attr = type === "" ? "" : ` type="${type}"`;
      alice.says(`<message to="${bob.full}"${attr}>${inside}</message>`);
      expect((await bob.next()).name, inside).toBe("message");
      const grown = [(await count(alice)) - before[0], (await count(bob)) - before[1]];
      expect(grown, `${type} ${inside}`).toEqual(kept ? [1, 1] : [0, 0]);
    }
  });

  story(
    "is kept once, wherever its sender sends it",
    { alice: 2, dave: 0 },
    async ({ alice: [laptop, phone], dave }) => {
      const own = [laptop.bare, laptop.full, phone.full, `${laptop.bare}/gone`];
      const kept: string[] = [];
      for (const to of [...own, "localhost", dave.bare, "nobody@localhost", "x@remote.example/y"]) {
        laptop.says(`<message to="${to}" type="chat"><body>${to}</body></message>`);
        await laptop.settled();
        await laptop.settles();
        await phone.settles();
        kept.push(to);
        expect((await asks(laptop)).bodies).toEqual(kept);
      }
      expect((await asks(laptop, { fields: { with: laptop.bare } })).bodies).toEqual(own);
      expect((await asks(laptop, { fields: { with: "localhost" } })).bodies).toEqual(["localhost"]);
      expect((await asks(laptop, { fields: { with: "x@remote.example" } })).bodies).toEqual(["x@remote.example/y"]);
    },
  );

  story(
    "is given back as it was written, names and languages included",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const texts = (e: XElement): (string | undefined)[][] =>
        e.children
          .filter((c): c is XElement => typeof c !== "string" && c.name === "body")
          .map((c) => [c.attrs["xml:lang"], textOf(c)]);
      for (const inside of [
        `<body xml:lang="en">hi</body><body xml:lang="pl">cześć</body><body>?</body>`,
        `<body>&#x1F602;a\tb&#13;&#10;</body>`,
        `<body><![CDATA[<b>&amp;]] > ]]></body>`,
        `<body>1</body><q:x xmlns:q="urn:q" q:a="&apos;&quot;&#10;>"><q:y><z xmlns=""/></q:y></q:x>`,
        `<body>2</body><x xmlns="urn:x"><body xmlns="jabber:client">no</body></x>`,
      ]) {
        alice.says(`<message xml:lang="fr" to="${bob.bare}" type="chat" id="&lt;'&gt;">${inside}</message>`);
        const came = await bob.next();
        for (const client of [alice, bob]) {
          const { message } = (await asks(client, newest)).messages[0];
          expect(message.attrs).toEqual(came.attrs);
          expect(texts(message)).toEqual(texts(came));
          const [x, y] = [childOf(message, "x", "urn:x"), childOf(came, "x", "urn:x")];
          expect(x).toEqual(y);
          expect(find(message, "y")).toEqual(find(came, "y"));
        }
      }
    },
  );

  story("has no id but the archive's in its name (XEP-0359 §4)", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    const sid = (name: string, attrs: string): string => `<${name} ${attrs} id="F"/>`;
    for (const inside of [
      sid("stanza-id", `xmlns="urn:xmpp:sid:0" by="${bob.bare}"`),
      sid("s:stanza-id", `xmlns:s="urn:xmpp:sid:0" by="${bob.bare.toUpperCase()}"`),
      sid("stanza-id", `xmlns="urn:xmpp:sid:0" by="${alice.bare}"`),
      sid("stanza-id", `xmlns="urn:xmpp:sid:0" by="localhost"`),
    ]) {
      alice.says(`<message to="${bob.bare}" type="chat"><body>x</body>${inside}</message>`);
      const came = await bob.next();
      const { ids } = await asks(bob, newest);
      const said = came.children.filter((c): c is XElement => typeof c !== "string" && c.name === "stanza-id");
      expect(said.map(({ attrs }) => [attrs["by"], attrs["id"]])).toEqual([[bob.bare, ids[0]]]);
    }
    const room = sid("stanza-id", `xmlns="urn:xmpp:sid:0" by="room@muc.localhost"`);
    const origin = sid("origin-id", `xmlns="urn:xmpp:sid:0"`);
    alice.says(`<message to="${bob.bare}" type="chat"><body>x</body>${room}${origin}</message>`);
    await bob.hears(`<message><body>x</body>${room}${origin}</message>`);
    alice.says(`<iq type="get" id="i" to="${alice.bare}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`);
    const info = await alice.hears('<iq type="result" id="i"/>');
    const features = find(info, "query")?.children.map((c) => (typeof c === "string" ? "" : c.attrs["var"]));
    expect(features).toContain("urn:xmpp:sid:0");
  });

  story(
    "is retracted by its author alone, also where both gave one id",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const origin = '<origin-id xmlns="urn:xmpp:sid:0" id="same"/>';
      writes(alice, bob, "hers", origin);
      await bob.hears("<message><body>hers</body></message>");
      writes(bob, alice, "his", origin);
      await alice.hears("<message><body>his</body></message>");
      bob.says(
        `<message to="${alice.bare}" type="chat" id="r"><body>gone</body><retract xmlns="urn:xmpp:message-retract:1" id="same"/></message>`,
      );
      await alice.hears("<message><body>gone</body></message>");
      for (const client of [alice, bob]) {
        const { messages } = await asks(client);
        expect(messages.map(({ body }) => body)).toEqual(["hers", "", "gone"]);
        expect(childOf(messages[1].message, "retracted", "urn:xmpp:message-retract:1")?.attrs["id"]).toBe("r");
      }
    },
  );
});

describe("a message that its addressee turns away", () => {
  const { story } = stage({ modules: { ...MAM, mod_privacy: {}, mod_blocking: {}, mod_offline: {} } });

  story(
    "is not in his archive (§6.1)",
    { alice: 1, bob: 1, carol: 1 },
    async ({ alice, bob, carol, another, server, door }) => {
      await blocks(bob, "block", alice.bare);
      for (const to of [bob.bare, bob.full]) {
        alice.says(`<message to="${to}" type="chat" id="m"><body>blocked</body></message>`);
        await alice.hears(refusalOf("message", "m", to));
      }
      writes(carol, bob, "Hi");
      await bob.hears("<message><body>Hi</body></message>");
      expect((await asks(bob)).bodies).toEqual(["Hi"]);
      // What he cannot send to her was not said either.
      bob.says(`<message to="${alice.bare}" type="chat" id="m"><body>to the blocked</body></message>`);
      await bob.hears('<message type="error" id="m"/>');
      expect((await asks(bob)).bodies).toEqual(["Hi"]);
      await bob.leaves();
      alice.says(`<message to="${bob.bare}" type="chat" id="m"><body>blocked, away</body></message>`);
      await alice.hears(refusalOf("message", "m", bob.bare));
      writes(carol, bob, "later");
      await carol.settled();
      const again = await another(bob).logsIn(server.target(door));
      expect((await asks(again)).bodies).toEqual(["Hi", "later"]);
      expect((await asks(alice)).bodies).toEqual(["blocked", "blocked", "blocked, away"]);
    },
  );

  story("and that one of his clients takes is in it", { alice: 1, bob: 2 }, async ({ alice, bob: [laptop, phone] }) => {
    const denied = item(1, "deny", ofJid(alice.bare), "message");
    await activates(laptop, "quiet", denied);
    writes(alice, laptop, "for the phone");
    await phone.skipsTo((e) => e.name === "message");
    expect((await asks(phone)).bodies).toEqual(["for the phone"]);
    await phone.settles();
    await uses(phone, "active", "quiet");
    alice.says(`<message to="${laptop.bare}" type="chat" id="m"><body>for nobody</body></message>`);
    await alice.hears(refusalOf("message", "m", laptop.bare));
    expect((await asks(phone)).bodies).toEqual(["for the phone"]);
  });

  story("by his default list, but not by his client's own, is in it", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await writesList(bob, "quiet", item(1, "deny", ofJid(alice.bare), "message"));
    await writesList(bob, "open", item(1, "allow", {}));
    await uses(bob, "default", "quiet");
    await uses(bob, "active", "open");
    writes(alice, bob, "Hi");
    await bob.hears("<message><body>Hi</body></message>");
    expect((await asks(bob)).bodies).toEqual(["Hi"]);
  });
});
