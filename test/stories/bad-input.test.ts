// What requests with bad input have brought to light (test/fuzz/requests.ts, and reading): each is refused, and changes
// nothing.
import { describe, expect } from "vitest";
import { childrenOf, find } from "../support/match.ts";
import { create, form, owner, pubsub, subscribe, Talk } from "../support/pubsub-talk.ts";
import { stage } from "../support/story.ts";

const { story } = stage({
  general: { registration_timeout: "infinity" },
  modules: { mod_privacy: {}, mod_amp: {}, mod_caps: {}, mod_pubsub: {}, mod_pubsub_old: {} },
});
/** What every object of JavaScript has, and no protocol. */
const INHERITED = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty"];

story("a name that every object has is no option of a subscription", { juliet: 1 }, async ({ juliet }) => {
  const talk = new Talk(juliet, "pubsub.localhost");
  const node = `${juliet.local}-node`;
  await talk.gets("set", create(node));
  for (const name of INHERITED) {
    await talk.refused("set", subscribe(node, juliet.full, { [name]: "1" }), "bad-request", "invalid-options");
    await talk.refused(
      "set",
      owner(`<configure node="${node}">${form("node_config", { [name]: "1" })}</configure>`),
      "bad-request",
    );
  }
  expect(await talk.subscriptions()).toEqual([]);
  await talk.gets("set", subscribe(node, juliet.full));
  for (const name of INHERITED) {
    const options = form("subscribe_options", { [name]: "1" });
    await talk.refused(
      "set",
      pubsub(`<options node="${node}" jid="${juliet.full}">${options}</options>`),
      "bad-request",
      "invalid-options",
    );
  }
});

story("a name that every object has is no kind of stanza in a privacy list", { juliet: 1 }, async ({ juliet }) => {
  for (const name of INHERITED.filter((n) => n !== "__proto__")) {
    juliet.sends`<iq type="set" id="p"><query xmlns="jabber:iq:privacy"><list name="l"><item action="deny" order="1"><${name}/></item></list></query></iq>`;
    await juliet.receives`<iq type="error" id="p"><error type="modify"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`;
  }
  juliet.sends`<iq type="get" id="n"><query xmlns="jabber:iq:privacy"/></iq>`;
  await juliet.receives`<iq type="result" id="n"><query xmlns="jabber:iq:privacy"/></iq>`;
});

story(
  "a name that every object has is no condition of a rule (XEP-0079)",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    for (const name of INHERITED) {
      romeo.sends`<message to="${juliet.bare}" id="a" type="chat"><body>x</body><amp xmlns="http://jabber.org/protocol/amp"><rule action="drop" condition="${name}" value="x"/></amp></message>`;
      await romeo.receives`<message type="error" id="a"><error><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
    }
    await juliet.receivesNothing();
  },
);

story("a user name is no longer than the tables hold", { juliet: 1 }, async ({ juliet }) => {
  const register = (n: number): string =>
    `<query xmlns="jabber:iq:register"><username>${"x".repeat(n)}</username><password>secret</password></query>`;
  const talk = new Talk(juliet, "localhost");
  await talk.refused("set", register(251), "not-allowed");
  await talk.refused("set", register(1023), "not-allowed");
  await talk.refused("set", register(1024), "jid-malformed");
});

story("more bookmarks than are copied stay where they are", { juliet: 1 }, async ({ juliet }) => {
  const talk = new Talk(juliet, undefined);
  const stored = (n: number): string =>
    `<query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks">${Array.from({ length: n }, (_, i) => `<conference jid="r${i}@c.example"/>`).join("")}</storage></query>`;
  await talk.gets("set", stored(2));
  expect(await talk.items("urn:xmpp:bookmarks:1")).toHaveLength(2);
  await talk.gets("set", stored(1001));
  expect(await talk.items("urn:xmpp:bookmarks:1")).toHaveLength(2);
  const kept = await talk.gets("get", `<query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"/></query>`);
  expect(childrenOf(find(kept, "storage")!)).toHaveLength(1001);
});

describe("prefixes", () => {
  const { story } = stage();

  story(
    "Namespaces in XML §2.1: a payload means the same however its prefix is written",
    { romeo: 1 },
    async (cast) => {
      const { romeo } = cast;
      romeo.sends`<iq type="set" id="1"><r:query xmlns:r="jabber:iq:roster"><r:item jid="juliet@localhost" name="J"><r:group>Friends</r:group></r:item></r:query></iq>`;
      await romeo.skipsTo((e) => e.attrs["id"] === "1" && e.attrs["type"] === "result");
      romeo.sends`<iq type="get" id="2"><query xmlns="jabber:iq:roster"/></iq>`;
      await romeo.receives`<iq type="result" id="2"><query xmlns="jabber:iq:roster"><item jid="juliet@localhost" name="J" subscription="none"><group>Friends</group></item></query></iq>`;
      romeo.sends`<iq type="set" id="3"><p:query xmlns:p="jabber:iq:private"><x:note xmlns:x="urn:test:note"><x:text>dear</x:text></x:note></p:query></iq>`;
      await romeo.receives`<iq type="result" id="3"/>`;
      romeo.sends`<iq type="get" id="4"><query xmlns="jabber:iq:private"><note xmlns="urn:test:note"/></query></iq>`;
      await romeo.receives`<iq type="result" id="4"><query xmlns="jabber:iq:private"><note xmlns="urn:test:note"><text>dear</text></note></query></iq>`;
    },
  );
});
