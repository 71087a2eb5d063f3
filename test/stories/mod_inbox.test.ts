// erlang-solutions.com:xmpp:inbox:0: a user's conversations, and what he has not read of them.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { InboxStore } from "../../modules/mod_inbox/store.ts";
import {
  fieldsOf,
  hasInbox,
  inboxOf,
  marks,
  NS_CONVERSATION,
  NS_INBOX,
  refused,
  request,
  writes,
  writesAndIsRead,
  writesToEach,
} from "../support/inbox.ts";
import { childOf, childrenOf } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const suite = covering("inbox_SUITE");

const storeOf = (server: StoryServer) =>
  server.node.hostOf("localhost")?.modules.get("mod_inbox")?.ctx.store as InboxStore;

describe.each(["rdbms", "rdbms_async"])("backend = %s", (backend) => {
  const { story } = stage({ modules: { mod_inbox: { backend, boxes: ["other"] } } });

  story(
    "the server says that it keeps inboxes",
    { alice: 1 },
    async ({ alice }) => {
      alice.says(`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`);
      const iq = await alice.receives`<iq type="result" id="d"/>`;
      expect(childrenOf(childrenOf(iq)[0]).map((e) => e.attrs["var"])).toContain(NS_INBOX);
    },
    suite("disco_service"),
  );

  story(
    "the form says what can be asked",
    { alice: 1 },
    async ({ alice }) => {
      alice.says(`<iq type="get" id="f"><query xmlns="${NS_INBOX}"/></iq>`);
      const iq = await alice.receives`<iq type="result" id="f"/>`;
      expect(childrenOf(iq)[0].name).toBe("query");
      const boxes = ["all", "inbox", "archive", "bin", "other"];
      expect(fieldsOf(iq)).toEqual([
        { name: "FORM_TYPE", type: "hidden", value: NS_INBOX, options: [] },
        { name: "start", type: "text-single", value: undefined, options: [] },
        { name: "end", type: "text-single", value: undefined, options: [] },
        { name: "hidden_read", type: "text-single", value: "false", options: [] },
        { name: "order", type: "list-single", value: "desc", options: ["asc", "desc"] },
        { name: "box", type: "list-single", value: "all", options: boxes },
        { name: "archive", type: "boolean", value: "false", options: [] },
      ]);
    },
    suite("returns_valid_form"),
  );

  story(
    "a form that makes no sense is refused, with the first wrong field",
    { alice: 1 },
    async ({ alice }) => {
      for (const name of ["order", "start", "end", "hidden_read", "unknown_field"]) {
        const iq = request({ form: { [name]: "invalid" } });
        await refused(alice, iq, "bad-request", `field=${name}`, "value=invalid");
      }
      const both = request({ form: { end: "invalid", start: "invalid" } });
      await refused(alice, both, "bad-request", "field=end", "value=invalid");
      await refused(alice, request({ form: { FORM_TYPE: NS_CONVERSATION } }), "bad-request", "field=FORM_TYPE");
      await refused(alice, request({ form: { box: "nowhere" } }), "bad-request", "field=box");
      await refused(alice, request({ form: { box: "x".repeat(5000) } }), "bad-request", "field=box");
      await refused(alice, `<iq type="set" id="inbox"><query xmlns="${NS_INBOX}"/></iq>`, "bad-request");
    },
    suite(
      "returns_error_when_bad_form_field_order_sent",
      "returns_error_when_bad_form_field_start_sent",
      "returns_error_when_bad_form_field_end_sent",
      "returns_error_when_bad_form_field_hidden_read_sent",
      "returns_error_when_first_bad_form_field_encountered",
      "returns_error_when_unknown_field_sent",
    ),
  );

  story(
    "a reset needs the JID of a conversation",
    { alice: 1 },
    async ({ alice }) => {
      const reset = (jid: string) => `<iq type="set" id="r"><reset xmlns="${NS_CONVERSATION}"${jid}/></iq>`;
      await refused(alice, reset(""), "bad-request", "jid", "jid-required");
      await refused(alice, reset(` jid="$@/"`), "bad-request", "jid", "invalid-jid");
    },
    suite("returns_error_when_no_reset_field_jid", "returns_error_when_bad_reset_field_jid"),
  );

  story(
    "without conversations the inbox is empty",
    { kate: 1 },
    async ({ kate }) => {
      expect(await inboxOf(kate)).toMatchObject({ entries: [], count: 0, unread: 0, active: 0 });
    },
    suite("user_has_empty_inbox", "total_unread_count_and_active_convs_are_zero_at_no_activity"),
  );

  story(
    "a message is in the inbox of both sides",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writes(alice, bob, "Hello");
      for (const asked of [{}, { id: "q1" }, { id: "q2", queryid: "mine" }]) {
        const [entry] = (await hasInbox(alice, [{ unread: 0, from: alice, to: bob, body: "Hello" }], asked)).entries;
        expect(entry).toMatchObject({ box: "inbox", archive: "false", read: "true", mute: "0" });
        const inbox = await hasInbox(bob, [{ unread: 1, from: alice, to: bob, body: "Hello" }], asked);
        expect(inbox.entries[0]).toMatchObject({ box: "inbox", archive: "false", read: "false", mute: "0" });
        expect(inbox).toMatchObject({ unread: 1, active: 1 });
      }
    },
    suite(
      "msg_sent_stored_in_inbox",
      "msg_sent_stored_in_inbox_iq_id_as_queryid_fallback",
      "msg_sent_stored_in_inbox_queryid",
    ),
  );

  story("the message keeps the namespace that it was sent with", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    alice.says(
      `<message xmlns="jabber:client" to="${bob.full}" type="chat"><body>a &gt; b</body><x xmlns="urn:x"/></message>`,
    );
    await bob.receives`<message><body>a &gt; b</body></message>`;
    for (const who of [alice, bob]) {
      const [{ message }] = (await inboxOf(who)).entries;
      expect(message.ns).toBe("jabber:client");
      expect(childOf(message, "x", "urn:x")).toBeDefined();
    }
  });

  story(
    "what is not to be stored is not, what is to be stored is",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const hint = (name: string) => `<${name} xmlns="urn:xmpp:hints"/>`;
      alice.says(`<message to="${bob.full}" type="chat"><body>test</body>${hint("no-store")}</message>`);
      await bob.receives`<message><body>test</body></message>`;
      await hasInbox(bob, []);
      await hasInbox(alice, []);
      alice.says(`<message to="${bob.full}" id="s">${hint("store")}</message>`);
      await bob.receives`<message id="s"/>`;
      await hasInbox(bob, [{ unread: 1, from: alice, to: bob, body: "" }]);
      await hasInbox(alice, [{ unread: 0, from: alice, to: bob, body: "" }]);
    },
    suite("msg_with_no_store_is_not_stored_in_inbox", "msg_with_store_hint_is_always_stored"),
  );

  story(
    "carbon copies are no messages of their own",
    { alice: 2, bob: 2 },
    async ({ alice: [alice, other], bob: [bob, second] }) => {
      for (const client of [alice, other, bob, second]) {
        client.says(`<iq type="set" id="c"><enable xmlns="urn:xmpp:carbons:2"/></iq>`);
        await client.receives`<iq type="result" id="c"/>`;
      }
      await writes(alice, bob, "Hello");
      await other.skipsTo((e) => childOf(e, "sent", "urn:xmpp:carbons:2") !== undefined);
      await second.settles();
      await hasInbox(alice, [{ unread: 0, from: alice, to: bob, body: "Hello" }]);
      await hasInbox(bob, [{ unread: 1, from: alice, to: bob, body: "Hello" }]);
    },
    suite("carbons_are_not_stored"),
  );

  story(
    "each conversation has its entry, the newest first",
    { alice: 1, bob: 1, kate: 1 },
    async ({ alice, bob, kate }) => {
      const [withKate, withBob] = await writesToEach(alice, [bob, kate]);
      await hasInbox(alice, [withKate, withBob]);
      await hasInbox(kate, [{ ...withKate, unread: 1 }]);
      await hasInbox(bob, [{ ...withBob, unread: 1 }]);
      await hasInbox(alice, [withBob, withKate], { form: { order: "asc" } });
    },
    suite("user_has_two_conversations", "order_by_timestamp_ascending"),
  );

  story(
    "those without unread messages can be left out",
    { alice: 1, bob: 1, kate: 1 },
    async ({ alice, bob, kate }) => {
      await writesToEach(alice, [bob, kate]);
      expect((await inboxOf(alice, { form: { hidden_read: "false" } })).count).toBe(2);
      expect((await inboxOf(alice, { form: { hidden_read: "true" } })).count).toBe(0);
      expect((await inboxOf(bob, { form: { hidden_read: "true" } })).count).toBe(1);
    },
    suite("user_has_only_unread_messages_or_only_read"),
  );

  story(
    "a user who is away finds the message in his inbox",
    { alice: 1, bob: 0 },
    async ({ alice, bob }) => {
      alice.says(`<message to="${bob.bare}" type="chat"><body>test</body></message>`);
      await alice.settled();
      const back = await bob.comes();
      back.says("<presence/>");
      await back.skipsTo((e) => e.name === "message");
      await back.settles();
      await hasInbox(alice, [{ unread: 0, from: alice, to: bob.bare, body: "test" }]);
      await hasInbox(back, [{ unread: 1, from: alice, to: bob.bare, body: "test" }]);
    },
    suite("msg_sent_to_offline_user"),
  );

  story(
    "a conversation with nobody is the sender's alone",
    { alice: 1 },
    async ({ alice, server, door }) => {
      const name = `nobody-${door}`;
      const nobody = `${name}@localhost`;
      alice.says(`<message to="${nobody}" type="chat"><body>test2</body></message>`);
      await alice.receives`<message type="error" from="${nobody}"><error><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
      await hasInbox(alice, [{ unread: 0, from: alice, to: nobody, body: "test2" }]);
      // Whoever gets the name finds nothing of it.
      await server.addAccount(name, "localhost", "secret");
      const key = { user: parseBareJid(nobody), remote: alice.bare };
      expect(await storeOf(server).getEntryProperties(key)).toBeUndefined();
    },
    suite("msg_sent_to_not_existing_user"),
  );

  story(
    "messages are counted until they are read",
    { kate: 1, mike: 1 },
    async ({ kate, mike }) => {
      await writes(kate, mike, "Hello");
      await writes(kate, mike, "How are you");
      await hasInbox(mike, [{ unread: 2, from: kate, to: mike, body: "How are you" }]);
      await hasInbox(kate, [{ unread: 0, from: kate, to: mike, body: "How are you" }]);
    },
    suite("user_has_two_unread_messages"),
  );

  story(
    "other resources of the sender change nothing",
    { kate: 2, mike: 1 },
    async ({ kate: [kate, second], mike }) => {
      second.says("<presence><priority>100</priority></presence>");
      await kate.receives`<presence from="${second.full}"/>`;
      await second.settles();
      await writes(kate, mike, "Hello");
      await writes(kate, mike, "How are you");
      await hasInbox(mike, [{ unread: 2, from: kate, to: mike, body: "How are you" }]);
      await hasInbox(kate, [{ unread: 0, from: kate, to: mike, body: "How are you" }]);
    },
    suite("other_resources_do_not_interfere"),
  );

  story(
    "who has displayed the last message has read it all",
    { kate: 1, mike: 1 },
    async ({ kate, mike }) => {
      const message = await writes(kate, mike, "Hi mike");
      await hasInbox(mike, [{ unread: 1, from: kate, to: mike, body: "Hi mike" }]);
      marks(mike, kate, message.attrs["id"]);
      await hasInbox(mike, [{ unread: 0, from: kate, to: mike, body: "Hi mike" }]);
      await kate.receives`<message from="${mike.full}"/>`;
      // The mark is no message.
      await hasInbox(kate, [{ unread: 0, from: kate, to: mike, body: "Hi mike" }]);
    },
    suite("reset_unread_counter_with_reset_chat_marker"),
  );

  story(
    "a reset tells nobody",
    { kate: 1, mike: 1 },
    async ({ kate, mike }) => {
      await writes(kate, mike, "Hi mike");
      await hasInbox(mike, [{ unread: 1, from: kate, to: mike, body: "Hi mike" }]);
      mike.says(`<iq type="set" id="r"><reset xmlns="${NS_CONVERSATION}" jid="${kate.bare}"/></iq>`);
      await mike.receives`<iq type="result" id="r"><reset xmlns="${NS_CONVERSATION}"/></iq>`;
      await hasInbox(mike, [{ unread: 0, from: kate, to: mike, body: "Hi mike" }]);
      await kate.receivesNothing();
    },
    suite("reset_unread_counter_with_reset_stanza"),
  );

  story(
    "what was read is left out until there is something new",
    { kate: 1, mike: 1, alice: 1 },
    async ({ kate, mike, alice }) => {
      const unread = async () => (await inboxOf(mike, { form: { hidden_read: "true" } })).count;
      const message = await writes(kate, mike, "Test");
      expect(await unread()).toBe(1);
      marks(mike, kate, message.attrs["id"]);
      expect(await unread()).toBe(0);
      await writes(alice, mike, "Test");
      expect(await unread()).toBe(1);
      expect((await inboxOf(mike, { form: { hidden_read: "false" } })).count).toBe(2);
    },
    suite("reset_unread_counter_and_show_only_unread"),
  );

  story(
    "the end of an inbox says how much is unread",
    { kate: 1, mike: 1, alice: 1 },
    async ({ kate, mike, alice }) => {
      await writesAndIsRead(kate, mike, "Test");
      expect(await inboxOf(mike)).toMatchObject({ count: 1, unread: 0, active: 0 });
      await writes(alice, mike, "Test");
      await writes(alice, mike, "Test");
      await writes(kate, mike, "Test");
      expect(await inboxOf(mike)).toMatchObject({ count: 2, unread: 3, active: 2 });
    },
    suite(
      "check_total_unread_count_and_active_conv_count",
      "check_total_unread_count_when_there_are_no_active_conversations",
    ),
  );

  story(
    "a mark of another message, or of another kind, leaves everything unread",
    { kate: 1, mike: 1 },
    async ({ kate, mike }) => {
      const message = await writes(kate, mike, "okey dockey");
      const unread = [{ unread: 1, from: kate, to: mike, body: "okey dockey" }];
      await hasInbox(mike, unread);
      marks(mike, kate, "badId");
      await hasInbox(mike, unread);
      for (const kind of ["received", "acknowledged"]) {
        marks(mike, kate, message.attrs["id"], kind);
        await hasInbox(mike, unread);
      }
      await kate.settles();
      await hasInbox(kate, [], { form: { hidden_read: "true" } });
    },
    suite("try_to_reset_unread_counter_with_bad_marker", "non_reset_marker_should_not_affect_inbox"),
  );

  story("an answer marks the conversation as read", { kate: 1, mike: 1 }, async ({ kate, mike }) => {
    await writes(kate, mike, "Are you there?");
    await writes(mike, kate, "I am");
    await hasInbox(mike, [{ unread: 0, from: mike, to: kate, body: "I am" }]);
    await hasInbox(kate, [{ unread: 1, from: mike, to: kate, body: "I am" }]);
  });

  story("what one tells oneself is read", { kate: 1 }, async ({ kate }) => {
    kate.says(`<message type="chat"><body>Buy milk</body></message>`);
    await kate.receives`<message><body>Buy milk</body></message>`;
    await hasInbox(kate, [{ unread: 0, from: kate, to: kate.bare, body: "Buy milk" }]);
  });

  story(
    "a new message has a later time",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await writes(alice, bob, "Hello Bob");
      const [first] = (await hasInbox(bob, [{ unread: 1, from: alice, to: bob, body: "Hello Bob" }])).entries;
      await writes(alice, bob, "Are you there?");
      const [second] = (await hasInbox(bob, [{ unread: 2, from: alice, to: bob, body: "Are you there?" }])).entries;
      expect(second.stamp > first.stamp).toBe(true);
    },
    suite("timestamp_is_updated_on_new_message"),
  );

  story(
    "conversations of a time",
    { alice: 1, bob: 1, kate: 1 },
    async ({ alice, bob, kate }) => {
      const before = new Date(Date.now() - 1000).toISOString();
      const [withKate, withBob] = await writesToEach(alice, [bob, kate]);
      await hasInbox(alice, [withBob], { form: { start: before, end: withBob.after } });
      await hasInbox(alice, [withKate], { form: { start: withBob.after } });
      await hasInbox(alice, [withBob], { form: { end: withBob.after } });
    },
    suite("get_by_timestamp_range", "get_with_start_timestamp", "get_with_end_timestamp"),
  );

  story("nobody sees or changes another's inbox", { alice: 1, bob: 1, eve: 1 }, async ({ alice, bob, eve }) => {
    await writes(alice, bob, "Secret");
    const to = (iq: string) => iq.replace("<iq ", `<iq to="${bob.bare}" `);
    await refused(eve, to(request()), "forbidden");
    await refused(eve, to(`<iq type="set" id="e"><empty-bin xmlns="${NS_INBOX}"/></iq>`), "forbidden");
    const entry = `<query xmlns="${NS_CONVERSATION}" jid="${alice.bare}" complete="true">`;
    await refused(eve, to(`<iq type="get" id="e">${entry}</query></iq>`), "forbidden");
    await refused(eve, `<iq type="get" id="e">${entry}</query></iq>`, "item-not-found");
    await refused(eve, to(`<iq type="set" id="e">${entry}<read>true</read></query></iq>`), "forbidden");
    await refused(eve, `<iq type="set" id="e">${entry}<read>true</read></query></iq>`, "item-not-found");
    await bob.receivesNothing();
    await hasInbox(bob, [{ unread: 1, from: alice, to: bob, body: "Secret" }]);
    await hasInbox(eve, []);
  });
});

describe("max_result_limit", () => {
  const { story } = stage({ modules: { mod_inbox: { max_result_limit: 2 } } });

  story(
    "a page has no more entries than the server and the client want",
    { alice: 1, bob: 1, kate: 1, mike: 1 },
    async ({ alice, bob, kate, mike }) => {
      for (const writer of [alice, kate, mike]) await writes(writer, bob, "Test");
      expect((await inboxOf(bob)).entries.map((e) => e.from)).toEqual([mike.full, kate.full]);
      expect((await inboxOf(bob, { page: { max: "1" } })).entries.map((e) => e.from)).toEqual([mike.full]);
      expect((await inboxOf(bob, { page: { max: "3" } })).count).toBe(2);
      expect((await inboxOf(bob, { page: { max: "0" } })).count).toBe(0);
    },
    suite("inbox_result_cannot_exceed_configured_limit", "should_apply_lower_limit_when_both_provided"),
  );
});

describe("reset_markers", () => {
  const { story } = stage({ modules: { mod_inbox: { reset_markers: ["received", "acknowledged"] } } });

  story("the markers that count are a matter of configuration", { kate: 1, mike: 1 }, async ({ kate, mike }) => {
    const { id } = (await writes(kate, mike, "Test")).attrs;
    marks(mike, kate, id);
    expect((await inboxOf(mike)).unread).toBe(1);
    marks(mike, kate, id, "received");
    expect((await inboxOf(mike)).unread).toBe(0);
  });
});

describe("max_user_conversations", () => {
  const { story } = stage({ modules: { mod_inbox: { max_user_conversations: 2 } } });

  story(
    "an inbox has no more than so many; the oldest gives way",
    { bob: 1, alice: 1, kate: 1, mike: 1 },
    async (cast) => {
      const { bob, alice, kate, mike, server } = cast;
      for (const writer of [alice, kate, mike]) await writes(writer, bob, "Test");
      await expect.poll(async () => (await inboxOf(bob)).entries.map((e) => e.from)).toEqual([mike.full, kate.full]);
      await writes(alice, bob, "Again");
      await expect.poll(async () => (await inboxOf(bob)).entries.map((e) => e.from)).toEqual([alice.full, mike.full]);
      // An administrator can see that something is gone, once in a while.
      expect(server.logged).toContainEqual(
        expect.objectContaining({ level: "warning", what: "inbox_trimmed", entries: 1 }),
      );
    },
  );
});
