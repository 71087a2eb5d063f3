// GraphQL category stanza: stanzas sent in a user's name, by administrators and by the user himself.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { type Answer, EventReader, type Face, type Graphql, type HttpFace } from "../support/graphql.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("graphql_stanza_SUITE", { door: "tcp" });
const { story } = stage({ general: { hosts: ["localhost", "verona.example"] } });
const [MESSAGE, HEADLINE, STANZA] = ["sendMessage", "sendMessageHeadLine", "sendStanza"].map((n) => `stanza.${n}`);
const SPOOFED = /^Sender's JID is different from the user's JID$/;
const globals = (graphql: Graphql): readonly Face[] => [graphql.admin, graphql.ctl];

/** The id that the answer gives. */
function idOf(answer: Answer): string {
  const { id } = answer.value as { id: string };
  expect(id.length).toBeGreaterThan(0);
  return id;
}

async function getsHeadlines(face: Face, from: Client, to: Client): Promise<void> {
  const addresses = { from: from.full, to: to.bare };
  const full = idOf(await face.calls(HEADLINE, { ...addresses, subject: "Welcome", body: "Hi!" }));
  await to.hears(
    `<message id="${full}" type="headline" from="${from.full}"><subject>Welcome</subject><body>Hi!</body></message>`,
  );
  const empty = idOf(await face.calls(HEADLINE, addresses));
  await to.hears(`<message id="${empty}" type="headline" from="${from.full}"/>`);
}

story(
  "administrators send messages and headlines",
  { alice: 1, bob: 1 },
  async ({ graphql, alice, bob, actor, server, door }) => {
    for (const face of await graphql.administrators()) {
      const id = idOf(await face.calls(MESSAGE, { from: alice.full, to: bob.bare, body: "Hi!" }));
      await bob.hears(`<message id="${id}" type="chat" from="${alice.full}"><body>Hi!</body></message>`);
      (await face.calls(MESSAGE, { from: alice.full, to: "test@", body: "Hi!" })).isNotCoerced(
        /^Input coercion failed for type JID with value <<"test@">>\. The reason it failed is: failed_to_parse_jid$/,
      );
      await getsHeadlines(face, alice, bob);
    }
    const bis = await (await actor("alice", "verona.example")).logsIn(server.target(door));
    const other = await graphql.domainAdmin();
    (await other.calls(MESSAGE, { from: bis.full, to: bob.bare, body: "Hi!" })).isUnauthorized();
    (await other.calls(HEADLINE, { from: bis.full, to: bob.bare, body: "Hi!" })).isUnauthorized();
    await bob.receivesNothing();
  },
  covers(
    "admin_send_message",
    "admin_send_message_to_unparsable_jid",
    "admin_send_message_headline",
    "domain_admin_send_message_no_permission",
  ),
);

story(
  "administrators send stanzas, those of a domain do not",
  { alice: 1, bob: 1 },
  async ({ graphql, alice, bob }) => {
    const chat = (from: string, more = "") =>
      `<message type='chat' from='${from}' to='${bob.bare}'${more}><body>Hi!</body></message>`;
    const other = await graphql.domainAdmin();
    for (const face of globals(graphql)) {
      const id = idOf(await face.calls(STANZA, { stanza: chat(alice.full) }));
      await bob.hears(`<message id="${id}" type="chat" from="${alice.full}"><body>Hi!</body></message>`);
      (await face.calls(STANZA, { stanza: chat(alice.full, " id='mine'") })).gives({ id: "mine" });
      await bob.hears(`<message id="mine" type="chat" from="${alice.full}"><body>Hi!</body></message>`);
      (await face.calls(STANZA, { stanza: chat("YeeeAH@localhost") })).fails("unknown_user", /^User does not exist$/);
      (await face.calls(STANZA, { stanza: chat("YeeeAH@oopsie") })).fails(
        "unknown_user",
        /^User's domain does not exist$/,
      );
      (await face.calls(STANZA, { stanza: `<message to='${bob.bare}'/>` })).fails("no_sender", "Missing sender JID");
      (await face.calls(STANZA, { stanza: `<message from='${alice.bare}'/>` })).fails(
        "no_recipient",
        "Missing recipient JID",
      );
    }
    for (const face of [...globals(graphql), other]) {
      (await face.calls(STANZA, { stanza: "<test" })).isNotCoerced(
        /^Input coercion failed for type XmlElement with value <<"<test">>\. The reason it failed is: <<"expected >">>$/,
      );
    }
    for (const from of [alice.full, "YeeeAH@localhost", "YeeeAH@oopsie"]) {
      (await other.calls(STANZA, { stanza: chat(from) })).isUnauthorized();
    }
    await bob.receivesNothing();
  },
  covers(
    "admin_send_stanza",
    "admin_send_unparsable_stanza",
    "admin_send_stanza_from_unknown_user",
    "admin_send_stanza_from_unknown_domain",
    "domain_admin_send_stanza",
    "domain_admin_send_stanza_from_unknown_user",
    "domain_admin_send_stanza_from_unknown_domain",
  ),
);

story(
  "users send in their own name, and in no other",
  { alice: 1, bob: 1 },
  async ({ graphql, alice, bob }) => {
    const own = graphql.user(alice);
    for (const from of [alice.full, alice.bare, undefined]) {
      const args = { ...(from !== undefined && { from }), to: bob.bare, body: "Hi!" };
      const id = idOf(await own.calls(MESSAGE, args));
      await bob.hears(`<message id="${id}" type="chat" from="${from ?? alice.bare}"><body>Hi!</body></message>`);
    }
    await getsHeadlines(own, alice, bob);
    const chat = (attributes: string) =>
      `<message type='chat' to='${bob.bare}'${attributes}><body>Hi!</body></message>`;
    const id = idOf(await own.calls(STANZA, { stanza: chat(` from='${alice.full}'`) }));
    await bob.hears(`<message id="${id}" type="chat" from="${alice.full}"><body>Hi!</body></message>`);
    (await own.calls(STANZA, { stanza: chat(" id='mine'") })).gives({ id: "mine" });
    await bob.hears(`<message id="mine" type="chat" from="${alice.bare}"><body>Hi!</body></message>`);

    const spoofed = { from: bob.bare, to: bob.bare };
    (await own.calls(MESSAGE, { ...spoofed, body: "Hi!" })).fails("invalid_sender", SPOOFED);
    (await own.calls(HEADLINE, { ...spoofed, subject: "Welcome", body: "Hi!" })).fails("invalid_sender", SPOOFED);
    (await own.calls(STANZA, { stanza: chat(` from='${bob.full}'`) })).fails("invalid_sender", SPOOFED);
    await bob.receivesNothing();
    await alice.receivesNothing();
  },
  covers(
    "user_send_message",
    "user_send_message_without_from",
    "user_send_message_with_spoofed_from",
    "user_send_message_headline",
    "user_send_message_headline_with_spoofed_from",
    "user_send_stanza",
    "user_send_stanza_without_from_with_id",
    "user_send_stanza_with_spoofed_from",
  ),
);

async function begun(face: HttpFace, args = {}): Promise<EventReader> {
  const events = await face.subscribes("stanza.subscribeForMessages", args);
  if (events instanceof EventReader) return events;
  throw new Error(`The subscription was refused: ${JSON.stringify(events.body)}`);
}

story(
  "messages to a user are followed, by himself and by administrators, and go their way",
  { alice: 1, bob: 1, kate: 1 },
  async ({ graphql, alice, bob, kate, account }) => {
    const own = await graphql.domainAdmin();
    const streams = [
      await begun(graphql.user(bob)),
      await begun(graphql.admin, { caller: bob.bare }),
      await begun(own, { caller: bob.bare }),
    ];
    alice.sends`<presence to="${bob.bare}"/>`;
    alice.sends`<message to="${kate.bare}" type="chat" id="1"><body>Not for him</body></message>`;
    alice.sends`<message to="${bob.bare}" type="chat" id="m"><body>Hi &amp; bye!</body></message>`;
    for (const stream of streams) {
      expect(await stream.value()).toEqual({
        sender: alice.full,
        stanza_id: "m",
        stanza: expect.stringMatching(/^<message .*<body>Hi &amp; bye!<\/body>.*<\/message>$/),
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      });
    }
    await bob.hears(`<presence from="${alice.full}"/>`);
    await bob.hears(`<message id="m" type="chat" from="${alice.full}"><body>Hi &amp; bye!</body></message>`);
    await kate.hears(`<message id="1" type="chat" from="${alice.full}"><body>Not for him</body></message>`);
    const long = "0".repeat(2000);
    alice.sends`<message to="${bob.bare}" type="chat"><body>${long}</body></message>`;
    for (const stream of streams) {
      expect(await stream.value()).toMatchObject({ stanza: expect.stringContaining(long) });
    }
    for (const stream of streams) await stream.stop();

    const unknown = { caller: "baduser@localhost" };
    const refused = await graphql.admin.subscribes("stanza.subscribeForMessages", unknown);
    (refused as Answer).fails("unknown_user", /^User does not exist$/);
    const outside = { caller: (await account("mercutio", "verona.example")).bare };
    const foreign = await own.subscribes("stanza.subscribeForMessages", outside);
    (foreign as Answer).isUnauthorized();
  },
  covers("admin_subscribe_for_messages", "admin_subscribe_for_messages_to_unknown_user", "user_subscribe_for_messages"),
);

story(
  "following ends with the account, and costs nothing afterwards",
  { alice: 1, bob: 0 },
  async ({ graphql, alice, bob, server }) => {
    const filters = () => server.node.hostOf("localhost")?.hooks.filterLocal.length;
    const before = filters();
    const stream = await begun(graphql.user(bob));
    const other = await begun(graphql.user(bob));
    expect(filters()).toBe((before ?? 0) + 1);
    await other.stop();
    alice.sends`<message to="${bob.bare}" type="chat"><body>Are you there?</body></message>`;
    expect(await stream.value()).toMatchObject({ sender: alice.full });
    (await graphql.admin.calls("account.removeUser", { user: bob.bare })).includes({ jid: bob.bare });
    expect(await stream.next()).toBeUndefined();
    await expect.poll(filters).toBe(before);
  },
  { door: "tcp" },
);

describe("a stanza of a user", () => {
  story(
    "that is none is refused",
    { alice: 0 },
    async ({ graphql, alice }) => {
      const own = graphql.user(alice);
      (await own.calls(STANZA, { stanza: "<hello to='bob@localhost'/>" })).fails("bad_stanza");
      (await own.calls(STANZA, { stanza: "<message/>" })).fails("no_recipient");
      (await own.calls(STANZA)).fails("no_stanza");
    },
    { door: "tcp" },
  );
});

story(
  "what people write to each other is not in the log, at any level",
  { alice: 1, bob: 1 },
  async ({ graphql, alice, bob, server }) => {
    server.log.level = "debug";
    const words = "Meet me at the balcony";
    const wants = { from: alice.bare, to: bob.bare };
    await graphql.admin.calls(MESSAGE, { ...wants, body: words });
    await graphql.ctl.calls(HEADLINE, { ...wants, subject: words, body: words });
    const stanza = `<message from='${alice.bare}' to='${bob.bare}' type='chat'><body>${words}</body></message>`;
    await graphql.admin.calls(STANZA, { stanza });
    await alice.sends`<message to='${bob.bare}'><body>${words}</body></message>`;
    const kept = `<diary xmlns='urn:example:diary'>${words}</diary>`;
    await graphql.admin.calls("private.setPrivate", { user: alice.bare, elementString: kept });
    for (let i = 0; i < 4; i++) await bob.hears(`<message><body>${words}</body></message>`);
    expect(server.logged.filter(({ what }) => what === "operation").length).toBeGreaterThanOrEqual(4);
    expect(server.logged.filter((line) => JSON.stringify(line).includes("balcony"))).toEqual([]);
  },
);
