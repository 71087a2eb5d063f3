// XEP-0313 §4: what a query may ask for, and what it is answered with.
import { describe, expect } from "vitest";
import { asks, NS_MAM, type Question, queryXml, talk, writes } from "../support/archive.ts";
import { childOf, childrenOf, find, textOf, type XElement } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("mam_SUITE");
const MAM = { modules: { mod_mam: { pm: {} } } };

/** The fields of a form, by name: their types. */
function typesOf(answer: XElement): Record<string, string> {
  const x = find(answer, "x");
  const fields = x === undefined ? [] : childrenOf(x).filter((e) => e.name === "field");
  return Object.fromEntries(fields.map((e) => [e.attrs["var"], e.attrs["type"]]));
}

describe("a query", () => {
  const { story } = stage(MAM);

  story(
    "gives both sides what they wrote, with the id of the query",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      writes(alice, bob, "OH, HAI!");
      await bob.receives`<message from="${alice.full}"><body>OH, HAI!</body></message>`;
      for (const client of [alice, bob]) {
        const { messages, complete } = await asks(client, { queryid: "q1" });
        expect(messages).toMatchObject([{ body: "OH, HAI!", queryid: "q1" }]);
        expect(complete).toBe(true);
        const [{ envelope, message }] = messages;
        expect(envelope.attrs).toMatchObject({ from: client.bare, to: client.full });
        expect(message.attrs).toEqual({ from: alice.full, to: bob.bare, type: "chat" });
        // Once more, in the version before.
        const old = await asks(client, { queryid: "q2", ns: "urn:xmpp:mam:1" });
        expect(old.messages).toMatchObject([{ body: "OH, HAI!", queryid: "q2" }]);
      }
    },
    covers("easy_archive_request", "easy_archive_request_for_the_receiver"),
  );

  story(
    "finds what came from an archive nowhere else, however often it is asked",
    { alice: 1, bob: 2 },
    async ({ alice, bob: [laptop, phone] }) => {
      await phone.enables("carbons");
      alice.sends`<message to="${laptop.full}" type="chat"><body>OH, HAI!</body></message>`;
      await laptop.receives`<message><body>OH, HAI!</body></message>`;
      await phone.receives`<message from="${laptop.bare}"/>`;
      for (let i = 0; i < 3; i++) expect((await asks(laptop)).bodies).toEqual(["OH, HAI!"]);
      await phone.receivesNothing();
    },
    covers("filter_forwarded"),
  );

  story(
    "by JID finds a conversation, of an account or of one client",
    { alice: 1, bob: 2, kate: 1 },
    async ({ alice, bob: [laptop, phone], kate }) => {
      for (const [n, to] of [laptop, phone, kate].entries()) {
        alice.sends`<message to="${to.full}" type="chat"><body>${n}</body></message>`;
        await to.receives`<message><body>${n}</body></message>`;
      }
      const having = async (jid: string) => (await asks(alice, { fields: { with: jid } })).bodies;
      expect(await having(laptop.bare)).toEqual(["0", "1"]);
      expect(await having(phone.full)).toEqual(["1"]);
      expect(await having(kate.bare.toUpperCase().replace("LOCALHOST", "localhost"))).toEqual(["2"]);
      expect(await having("nobody@localhost")).toEqual([]);
    },
    covers("querying_for_all_messages_with_jid"),
  );

  story(
    "by JID goes on after a message of that conversation",
    { alice: 1, bob: 1, kate: 1 },
    async ({ alice, bob, kate }) => {
      for (const [from, to, body] of [
        [alice, bob, "Hi, Bob!"],
        [alice, bob, "Hi, Kate!"],
        [kate, alice, "Hi, Alice!"],
        [kate, alice, "How are you?"],
        [bob, alice, "I am busy now"],
      ] as const) {
        writes(from, to, body);
        await to.receives`<message><body>${body}</body></message>`;
      }
      const all = await asks(alice);
      expect(all.bodies).toHaveLength(5);
      const rsm = `<max>50</max><after>${all.ids[2]}</after>`;
      const later = await asks(alice, { fields: { with: kate.bare }, rsm });
      expect(later.bodies).toEqual(["How are you?"]);
    },
    covers("querying_for_all_messages_with_jid_after"),
  );

  story(
    "by ids gives those messages, or says that one is not there",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await talk(alice, bob, 12);
      const { ids } = await asks(alice);
      expect((await asks(alice, { fields: { ids: [ids[9], ids[4]] } })).ids).toEqual([ids[4], ids[9]]);
      const fields = { ids: [ids[1], ids[4]], simple: "true" };
      const rsm = `<max>10</max><after>${ids[0]}</after>`;
      expect(await asks(alice, { fields, rsm })).toMatchObject({
        ids: [ids[1], ids[4]],
        count: undefined,
        index: undefined,
      });
      const missing = await asks(alice, { fields: { ids: [ids[2], ids[11], "AV25E9SCO50K"] } });
      expect(missing).toMatchObject({ error: "cancel item-not-found", messages: [] });
    },
    covers(
      "query_messages_by_ids",
      "simple_query_messages_by_ids",
      "server_returns_item_not_found_for_ids_filter_with_nonexistent_id",
    ),
  );

  story(
    "by time gives what came then, the ends included",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await talk(alice, bob, 6);
      const { messages } = await asks(alice);
      const [start, end] = [messages[2].stamp, messages[3].stamp];
      const found = await asks(alice, { fields: { start, end } });
      expect(found.messages.map(({ stamp }) => stamp)).toEqual([start, end]);
      const past = { start: "2010-06-07T00:00:00Z", end: "2010-07-07T13:23:54Z" };
      expect(await asks(alice, { fields: past })).toMatchObject({ error: undefined, messages: [], count: 0 });
    },
    covers("range_archive_request", "range_archive_request_not_empty"),
  );

  story(
    "gives text as it was written, in whatever script",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const texts = [
        "Hi! this is an unicode character lol 😂",
        "this is another one no 🙅",
        "Zażółć gęślą jaźń &amp; &lt;x/&gt;",
      ];
      for (const text of texts) {
        writes(alice, bob, text);
        await bob.hears(`<message><body>${text}</body></message>`);
      }
      const read = texts.map((text) => text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"));
      expect((await asks(alice)).bodies).toEqual(read);
      expect((await asks(bob)).bodies).toEqual(read);
      const having = async (text: string) =>
        (await asks(alice, { fields: { "{urn:xmpp:fulltext:0}fulltext": text } })).bodies;
      expect(await having("lol")).toEqual([read[0]]);
      expect(await having("another")).toEqual([read[1]]);
      expect(await having("GĘŚLĄ")).toEqual([read[2]]);
    },
    covers("unicode_messages_can_be_extracted", "save_unicode_messages"),
  );

  story(
    "may have the fields that the form says",
    { alice: 1 },
    async ({ alice }) => {
      for (const ns of [NS_MAM, "urn:xmpp:mam:1"]) {
        alice.says(`<iq type="get" id="form"><query xmlns="${ns}"/></iq>`);
        const answer = await alice.hears('<iq type="result" id="form"/>');
        const value = find(answer, "value");
        expect(value && textOf(value)).toBe(ns);
        const types = typesOf(answer);
        expect(types).toMatchObject({ with: "jid-single", start: "text-single", end: "text-single" });
        if (ns !== NS_MAM) continue;
        expect(types).toMatchObject({
          "before-id": "text-single",
          "after-id": "text-single",
          "include-groupchat": "boolean",
          ids: "list-multi",
        });
        const validate = find(answer, "validate");
        expect(validate?.ns).toBe("http://jabber.org/protocol/xdata-validate");
        expect(validate && childOf(validate, "open")).toBeDefined();
      }
    },
    covers("query_get_request", "retrieve_form_fields", "retrieve_form_fields_extra_features"),
  );

  story("with a field that nobody knows is refused (§4.1.5)", { alice: 1 }, async ({ alice }) => {
    const { error } = await asks(alice, { fields: { "{urn:example}mood": "lonely" } });
    expect(error).toBe("cancel feature-not-implemented");
  });

  story("is for one's own archive alone", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    writes(bob, bob, "secret");
    await bob.receives`<message><body>secret</body></message>`;
    const [id] = (await asks(bob)).ids;
    const questions: Question[] = [
      {},
      { fields: { ids: id } },
      { rsm: `<after>${id}</after>` },
      { fields: { with: alice.bare } },
    ];
    for (const question of questions) {
      expect(await asks(alice, { ...question, to: bob.bare })).toMatchObject({ error: "auth forbidden", messages: [] });
    }
    for (const payload of ["query", "metadata", "prefs"]) {
      alice.says(`<iq type="get" id="g" to="${bob.bare}"><${payload} xmlns="${NS_MAM}"/></iq>`);
      await alice.hears('<iq type="error" id="g"><error type="auth"/></iq>');
    }
    // An id of another's archive says nothing in one's own.
    expect((await asks(alice, { fields: { ids: id } })).error).toBe("cancel item-not-found");
    expect((await asks(alice, { to: "nobody@localhost" })).error).toBe("cancel service-unavailable");
    expect((await asks(bob, { to: bob.bare.toUpperCase().replace("LOCALHOST", "localhost") })).bodies).toEqual([
      "secret",
    ]);
  });

  story(
    "that others would hear of does not reach them: no results go to other sessions or into the archive",
    { alice: 2, bob: 1 },
    async ({ alice: [laptop, phone], bob }) => {
      await phone.enables("carbons");
      writes(bob, laptop, "once");
      await laptop.receives`<message><body>once</body></message>`;
      await phone.receives`<message><body>once</body></message>`;
      // The answer of a session that breaks off is nobody else's.
      await phone.managesStream();
      phone.says(queryXml({}, "lost"));
      await phone.receives`<message from="${phone.bare}"/>`;
      await phone.receives`<iq type="result" id="lost"/>`;
      await phone.leaves();
      await laptop.receives`<presence type="unavailable" from="${phone.full}"/>`;
      await laptop.receivesNothing();
      expect((await asks(laptop)).bodies).toEqual(["once"]);
    },
  );
});

describe("too many queries", () => {
  const { story } = stage({
    ...MAM,
    shaper: { mam_shaper: { max_rate: 1 } },
    access: { mam_lookup_messages_shaper: [{ acl: "all", value: "mam_shaper" }] },
  });

  story(
    "wait for their turn, and are refused when it would be long in coming",
    { alice: 2 },
    async ({ alice: [laptop, phone] }) => {
      const clients = [laptop, phone];
      for (let n = 0; n < 6; n++) for (const client of clients) client.says(queryXml({ rsm: "<max>0</max>" }, `n${n}`));
      const started = Date.now();
      const types: string[] = [];
      for (let n = 0; n < 3; n++) for (const client of clients) types.push((await client.next()).attrs["type"]);
      expect(types.filter((type) => type === "result").length).toBeGreaterThan(1);
      expect(Date.now() - started).toBeGreaterThan(900);
      laptop.tally.assertions++;
    },
    { slow: true, door: "tcp" },
  );
});
