// XEP-0160: messages wait for who is not there.
import { describe, expect } from "vitest";
import { childOf, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const { story } = stage();
const messages = (came: XElement[]): string[] => came.filter((e) => e.name === "message").map((e) => e.attrs["id"]);

story(
  "XEP-0160 §2: messages come at the next log-in, in order, with the time they were sent (XEP-0203), and once",
  { romeo: 1, juliet: 0 },
  async ({ romeo, juliet }) => {
    const before = Date.now();
    for (const n of [1, 2, 3])
      romeo.says(`<message to="${juliet.bare}" type="chat" id="m${n}"><body>${n}</body></message>`);
    await romeo.receivesNothing();
    const her = await juliet.comes();
    her.sends`<presence/>`;
    const came = (await her.settles()).filter((e) => e.name === "message");
    expect(came.map((e) => e.attrs["id"])).toEqual(["m1", "m2", "m3"]);
    for (const e of came) {
      expect(e.attrs).toMatchObject({ from: romeo.full, to: juliet.bare, type: "chat" });
      const delay = childOf(e, "delay", "urn:xmpp:delay")!;
      expect(delay.attrs["from"]).toBe("localhost");
      expect(Date.parse(delay.attrs["stamp"])).toBeGreaterThanOrEqual(before - 1);
    }
    await her.leaves();
    const again = await juliet.comes();
    again.sends`<presence/>`;
    expect(messages(await again.settles())).toEqual([]);
    romeo.tally.assertions++;
  },
  { covers: ["offline_SUITE:offline_message_is_stored_and_delivered_at_login"] },
);

const kept: [title: string, attributes: string, inner: string, yes: boolean, covers: string][] = [
  ["a normal message is kept", "", "<body>b</body>", true, ""],
  ["an error is not kept", `type="error"`, "<body>b</body>", false, "error_message_is_not_stored"],
  ["a headline is not kept", `type="headline"`, "<body>b</body>", false, "headline_message_is_not_stored"],
  ["a groupchat message is not kept", `type="groupchat"`, "<body>b</body>", false, "groupchat_message_is_not_stored"],
  [
    "a chat state alone is not kept",
    `type="chat"`,
    `<composing xmlns="http://jabber.org/protocol/chatstates"/>`,
    false,
    "",
  ],
  [
    "XEP-0334: a message marked no-store is not kept",
    `type="chat"`,
    `<body>b</body><no-store xmlns="urn:xmpp:hints"/>`,
    false,
    "",
  ],
];
for (const [title, attributes, inner, yes, covers] of kept) {
  story(
    `XEP-0160 §3: ${title}`,
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      romeo.says(`<message to="${juliet.bare}" id="m" ${attributes}>${inner}</message>`);
      await romeo.settles();
      const her = await juliet.comes();
      her.sends`<presence/>`;
      expect(messages(await her.settles())).toEqual(yes ? ["m"] : []);
      romeo.tally.assertions++;
    },
    { covers: covers === "" ? [] : [`offline_SUITE:${covers}`] },
  );
}

story(
  "XEP-0160 §2: nothing comes while the priority is negative",
  { romeo: 1, juliet: 0 },
  async ({ romeo, juliet }) => {
    romeo.says(`<message to="${juliet.bare}" type="chat" id="m"><body>b</body></message>`);
    await romeo.receivesNothing();
    const her = await juliet.comes();
    await her.comesOnline(-1);
    await her.receivesNothing();
    her.sends`<presence/>`;
    await her.receives`<presence from="${her.full}"/><message id="m"/>`;
  },
);

story(
  "XEP-0023: what has expired does not come",
  { romeo: 1, juliet: 0 },
  async ({ romeo, juliet }) => {
    romeo.says(
      `<message to="${juliet.bare}" type="chat" id="short"><body>b</body><x xmlns="jabber:x:expire" seconds="1"/></message>`,
    );
    romeo.says(
      `<message to="${juliet.bare}" type="chat" id="long"><body>b</body><x xmlns="jabber:x:expire" seconds="600"/></message>`,
    );
    await romeo.receivesNothing();
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const her = await juliet.comes();
    her.sends`<presence/>`;
    expect(messages(await her.settles())).toEqual(["long"]);
  },
  { slow: true, covers: ["offline_SUITE:expired_messages_are_not_delivered"] },
);

story(
  "XEP-0160 §4: the account says that it keeps messages",
  { romeo: 1 },
  async ({ romeo }) => {
    romeo.sends`<iq type="get" id="d" to="${romeo.bare}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`;
    expect(JSON.stringify(await romeo.receives`<iq type="result" id="d"/>`)).toContain(`"msgoffline"`);
  },
  { covers: ["offline_SUITE:disco_info_sm"] },
);

story("two sessions that come at once get each message once", { romeo: 1, juliet: 0 }, async ({ romeo, juliet }) => {
  for (let n = 0; n < 20; n++)
    romeo.says(`<message to="${juliet.bare}" type="chat" id="m${n}"><body>${n}</body></message>`);
  await romeo.receivesNothing();
  const [a, b] = [await juliet.comes(), await juliet.comes()];
  a.sends`<presence/>`;
  b.sends`<presence/>`;
  await a.settled();
  const all = [...messages(await a.settles()), ...messages(await b.settles())];
  expect(all.sort()).toEqual(Array.from({ length: 20 }, (_, n) => `m${n}`).sort());
});

describe("a limit of 2", () => {
  const { story } = stage({
    access: { few: [{ acl: "all", value: 2 }] },
    modules: { mod_offline: { access_max_user_messages: "few" } },
  });
  story(
    "XEP-0160 §2: what is too much is sent back",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      for (const n of [1, 2, 3])
        romeo.says(`<message to="${juliet.bare}" type="chat" id="m${n}"><body>${n}</body></message>`);
      await romeo.receives`<message type="error" id="m3" from="${juliet.bare}"><error type="wait"><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
      const her = await juliet.comes();
      her.sends`<presence/>`;
      expect(messages(await her.settles())).toEqual(["m1", "m2"]);
    },
    { covers: ["offline_SUITE:max_offline_messages_reached"] },
  );
});

describe("store_groupchat_messages", () => {
  const { story } = stage({ modules: { mod_offline: { store_groupchat_messages: true } } });
  story(
    "groupchat messages are kept when the configuration says so",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      romeo.says(`<message to="${juliet.bare}" type="groupchat" id="m"><body>b</body></message>`);
      await romeo.receivesNothing();
      const her = await juliet.comes();
      her.sends`<presence/>`;
      expect(messages(await her.settles())).toEqual(["m"]);
    },
    { covers: ["offline_SUITE:groupchat_message_is_stored"] },
  );
});

describe("without mod_offline", () => {
  const { story } = stage({ modules: { mod_offline: null } });
  story(
    "RFC 6121 §8.5.2.2.1: the sender is told",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      romeo.says(`<message to="${juliet.bare}" type="chat" id="m"><body>b</body></message>`);
      await romeo.receives`<message type="error" id="m" from="${juliet.bare}"><error><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
    },
    { covers: ["offline_stub_SUITE:without_mod_offline_stub"] },
  );
});
