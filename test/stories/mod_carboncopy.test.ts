// XEP-0280: what one session sends or receives, the others that asked for it get too.
import { expect } from "vitest";
import type { Client } from "../support/client.ts";
import { find, textOf } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS = "urn:xmpp:carbons:2";
const { story } = stage();

/** `c` gets a copy of a message with this body. */
async function copied(c: Client, kind: "sent" | "received", body: string): Promise<void> {
  const copy = await c.hears(
    `<message from="${c.bare}" to="${c.full}"><${kind} xmlns="${NS}">{any}</${kind}></message>`,
  );
  expect(textOf(find(copy, "body")!)).toBe(body);
}

story(
  "XEP-0280 §3: the server says that it can",
  { romeo: 1 },
  async ({ romeo }) => {
    romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`;
    const info = await romeo.receives`<iq type="result" id="d"/>`;
    expect(JSON.stringify(info)).toContain(NS);
  },
  { covers: ["carboncopy_SUITE:discovering_support"] },
);

story(
  "XEP-0280 §4: carbons are turned on",
  { romeo: 1 },
  async ({ romeo }) => {
    await romeo.enables("carbons");
  },
  { covers: ["carboncopy_SUITE:enabling_carbons"] },
);

story(
  "XEP-0280 §5: and off, and then nothing is copied",
  { romeo: 1, juliet: 2 },
  async ({ romeo, juliet: [laptop, phone] }) => {
    await phone.enables("carbons");
    phone.sends`<iq type="set" id="off"><disable xmlns="${NS}"/></iq>`;
    await phone.receives`<iq type="result" id="off"/>`;
    romeo.sends`<message to="${laptop.full}" type="chat"><body>Hi</body></message>`;
    await laptop.receives`<message from="${romeo.full}"/>`;
    await phone.receivesNothing();
  },
  { covers: ["carboncopy_SUITE:disabling_carbons"] },
);

story(
  "XEP-0280 §7: a chat message for a full JID is copied to those who asked, and to no others",
  { romeo: 1, juliet: 3 },
  async ({ romeo, juliet: [laptop, phone, tablet] }) => {
    await phone.enables("carbons");
    romeo.sends`<message to="${laptop.full}" type="chat" id="m"><body>For the laptop</body></message>`;
    await laptop.receives`<message from="${romeo.full}" id="m"/>`;
    await phone.receives`
    <message from="${laptop.bare}" to="${phone.full}" type="chat">
      <received xmlns="${NS}"><forwarded xmlns="urn:xmpp:forward:0">
        <message xmlns="jabber:client" from="${romeo.full}" to="${laptop.full}" type="chat" id="m"><body>For the laptop</body></message>
      </forwarded></received>
    </message>`;
    await tablet.receivesNothing();
    await laptop.receivesNothing();
    await romeo.receivesNothing();
  },
  {
    covers: [
      "carboncopy_SUITE:chat_message_is_carbon_copied",
      "carboncopy_SUITE:non_enabled_clients_dont_get_received_carbons",
      "carboncopy_SUITE:prop_forward_received_chat_messages",
    ],
  },
);

story(
  "XEP-0280 §8: a chat message that one session sends is copied to the others that asked",
  { romeo: 1, juliet: 3 },
  async ({ romeo, juliet: [laptop, phone, tablet] }) => {
    await phone.enables("carbons");
    laptop.sends`<message to="${romeo.bare}" type="chat" id="m"><body>From the laptop</body></message>`;
    await romeo.receives`<message from="${laptop.full}" id="m"/>`;
    await phone.receives`
    <message from="${laptop.bare}" to="${phone.full}" type="chat">
      <sent xmlns="${NS}"><forwarded xmlns="urn:xmpp:forward:0">
        <message xmlns="jabber:client" from="${laptop.full}" to="${romeo.bare}" type="chat" id="m"><body>From the laptop</body></message>
      </forwarded></sent>
    </message>`;
    await tablet.receivesNothing();
    await laptop.receivesNothing();
  },
  {
    covers: [
      "carboncopy_SUITE:non_enabled_clients_dont_get_sent_carbons",
      "carboncopy_SUITE:prop_forward_sent_chat_messages",
    ],
  },
);

story(
  "XEP-0280 §11: who sends does not get a copy, even if it is the only one that asked",
  { romeo: 1, juliet: 2 },
  async ({ romeo, juliet: [laptop, phone] }) => {
    await laptop.enables("carbons");
    laptop.sends`<message to="${romeo.bare}" type="chat"><body>Hi</body></message>`;
    await romeo.receives`<message from="${laptop.full}"/>`;
    await laptop.receivesNothing();
    await phone.receivesNothing();
  },
  { covers: ["carboncopy_SUITE:enabled_single_resource_doesnt_get_carbons"] },
);

story(
  "XEP-0280 §7: a message for the account reaches each session once",
  { romeo: 1, juliet: 2 },
  async ({ romeo, juliet: [laptop, phone] }) => {
    for (const c of [laptop, phone]) await c.enables("carbons");
    romeo.sends`<message to="${laptop.bare}" type="chat"><body>To both</body></message>`;
    for (const c of [laptop, phone]) {
      await c.receives`<message from="${romeo.full}" to="${c.bare}"><body>To both</body></message>`;
      await c.receivesNothing();
    }
  },
  { covers: ["carboncopy_SUITE:prop_normal_routing_to_bare_jid"] },
);

story(
  "XEP-0280 §7: a session of lower priority gets a copy of what the other got by the account",
  { romeo: 1, juliet: 2 },
  async ({ romeo, juliet: [laptop, phone] }) => {
    laptop.sends`<presence><priority>9</priority></presence>`;
    await phone.receives`<presence from="${laptop.full}"/>`;
    await laptop.receives`<presence from="${laptop.full}"/>`;
    await phone.enables("carbons");
    romeo.sends`<message to="${laptop.bare}" type="chat"><body>To the best</body></message>`;
    await laptop.receives`<message from="${romeo.full}"/>`;
    await copied(phone, "received", "To the best");
  },
);

const eligible: [title: string, type: string, inner: string, copied: boolean, covers: string][] = [
  [
    "a normal message with a body is copied",
    "normal",
    "<body>b</body>",
    true,
    "normal_message_with_body_is_carbon_copied",
  ],
  [
    "a receipt is copied",
    "normal",
    `<received xmlns="urn:xmpp:receipts" id="1"/>`,
    true,
    "normal_message_with_receipt_is_carbon_copied",
  ],
  [
    "a chat state is copied",
    "normal",
    `<active xmlns="http://jabber.org/protocol/chatstates"/>`,
    true,
    "normal_message_with_csn_is_carbon_copied",
  ],
  [
    "a chat marker is copied",
    "normal",
    `<markable xmlns="urn:xmpp:chat-markers:0"/>`,
    true,
    "normal_message_with_chat_marker_is_carbon_copied",
  ],
  ["a groupchat message is not copied", "groupchat", "<body>b</body>", false, "group_chat_is_not_carbon_copied"],
  ["a headline is not copied", "headline", "<body>b</body>", false, ""],
  ["an error is not copied", "error", "<body>b</body>", false, ""],
  [
    "a private message is not copied",
    "chat",
    `<body>b</body><private xmlns="${NS}"/><no-copy xmlns="urn:xmpp:hints"/>`,
    false,
    "avoiding_carbons",
  ],
  ["a message of another kind is not copied", "normal", `<x xmlns="urn:own"/>`, false, ""],
];
for (const [title, type, inner, yes, covers] of eligible) {
  story(
    `XEP-0280 §6.1: ${title}`,
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone] }) => {
      await phone.enables("carbons");
      romeo.says(`<message to="${laptop.full}" type="${type}">${inner}</message>`);
      await laptop.receives`<message from="${romeo.full}"/>`;
      if (yes) await phone.receives`<message><received xmlns="${NS}">{any}</received></message>`;
      await phone.receivesNothing();
    },
    { covers: covers === "" ? [] : [`carboncopy_SUITE:${covers}`] },
  );
}

story(
  "XEP-0280 §6: who has gone unavailable gets no copies",
  { romeo: 1, juliet: 2 },
  async ({ romeo, juliet: [laptop, phone] }) => {
    await phone.enables("carbons");
    phone.sends`<presence type="unavailable"/>`;
    await laptop.receives`<presence type="unavailable" from="${phone.full}"/>`;
    await phone.settles();
    romeo.sends`<message to="${laptop.full}" type="chat"><body>Hi</body></message>`;
    await laptop.receives`<message from="${romeo.full}"/>`;
    await phone.receivesNothing();
  },
  { covers: ["carboncopy_SUITE:unavailable_resources_dont_get_carbons"] },
);

story(
  "XEP-0280 §11: a forged copy is not copied further, and comes from its real sender",
  { romeo: 1, juliet: 2 },
  async ({ romeo, juliet: [laptop, phone] }) => {
    await phone.enables("carbons");
    romeo.sends`<message to="${laptop.full}" type="chat"><body>b</body><received xmlns="${NS}"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" from="nurse@localhost"><body>Lies</body></message></forwarded></received></message>`;
    await laptop.receives`<message from="${romeo.full}"/>`;
    await phone.receivesNothing();
  },
);
