// XEP-0191: JIDs are blocked and let go, and what becomes of their stanzas meanwhile.
import { afterAll, beforeAll, describe, expect } from "vitest";
import { z } from "zod";
import { parseJid } from "../../core/jid.ts";
import { defineModule } from "../../core/module.ts";
import { xml } from "../../core/xml/markup.ts";
import type { Client } from "../support/client.ts";
import { childrenOf, find } from "../support/match.ts";
import {
  asks,
  blockingPush,
  blocks,
  counters,
  hasBlocked,
  isTurnedAway,
  item,
  NS_BLOCKING,
  NS_PRIVACY,
  NS_STANZAS,
  ofJid,
  pushOf,
  reaches,
  refusalOf,
  uses,
  writesList,
} from "../support/privacy.ts";
import { covering, stage } from "../support/story.ts";

// mod_privacy comes with it.
const of = stage({ modules: { mod_blocking: {} } });
const { story } = of;
const covers = covering("mod_blocking_SUITE");

/** What the user is told who writes to somebody he has blocked (§3.3). */
const blockedError = (stanza: string, id: string, from: string) =>
  `<${stanza} type="error" id="${id}" from="${from}"><error type="cancel"><not-acceptable xmlns="${NS_STANZAS}"/><blocked xmlns="${NS_BLOCKING}:errors"/></error></${stanza}>`;

describe("the list", () => {
  story(
    "XEP-0191 §3.1: the server says that it blocks",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="get" id="d" to="localhost"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`;
      const query = find(await romeo.receives`<iq type="result" id="d"/>`, "query");
      expect(query ? childrenOf(query).map((e) => e.attrs["var"]) : []).toContain(NS_BLOCKING);
    },
    covers("discovering_support"),
  );

  story(
    "XEP-0191 §3.2-§3.5: is empty, grows, shrinks, is emptied",
    { romeo: 1 },
    async ({ romeo, server, account }) => {
      const [bob, kate, mike] = await Promise.all(["bob", "kate", "mike"].map((name) => account(name)));
      const grown = counters(server);
      await hasBlocked(romeo);
      expect(grown()).toMatchObject({ get_count: 1 });
      await blocks(romeo, "block", mike.bare);
      expect(grown()).toMatchObject({ set_count: 1, push_item_count: 1 });
      await hasBlocked(romeo, mike.bare);
      await blocks(romeo, "block", bob.bare, kate.bare, mike.bare);
      await hasBlocked(romeo, mike.bare, bob.bare, kate.bare);
      await blocks(romeo, "unblock", bob.bare);
      await hasBlocked(romeo, mike.bare, kate.bare);
      await blocks(romeo, "unblock", kate.bare, mike.bare);
      await hasBlocked(romeo);
      await blocks(romeo, "block", bob.bare, kate.bare);
      await blocks(romeo, "unblock");
      await hasBlocked(romeo);
    },
    covers(
      "get_block_list",
      "add_user_to_blocklist",
      "add_another_user_to_blocklist",
      "add_many_users_to_blocklist",
      "remove_user_from_blocklist",
      "remove_many_user_from_blocklist",
      "clear_blocklist",
    ),
  );

  story(
    "white space between items is nothing, and the answer comes before the push",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sends`<iq type="set" id="b"><block xmlns="${NS_BLOCKING}"><item jid="${juliet.bare}"/>\n</block></iq>`;
      await romeo.receives`<iq type="result" id="b"/>`;
      await romeo.hears(blockingPush(romeo, "block", juliet.bare));
    },
    covers("add_user_to_blocklist_with_white_spaces"),
  );

  story(
    "XEP-0191 §3.3: nobody is nobody to block",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sends`<iq type="set" id="b"><block xmlns="${NS_BLOCKING}"/></iq>`;
      await romeo.receives`<iq type="error" id="b"><error type="modify"><bad-request xmlns="${NS_STANZAS}"/></error></iq>`;
      await hasBlocked(romeo);
    },
    covers("invalid_block_request"),
  );

  story(
    "XEP-0191 §3.3: all sessions are told",
    { romeo: 2, juliet: 2 },
    async ({ romeo: [laptop, phone], juliet: [hers], server }) => {
      const grown = counters(server);
      await blocks(laptop, "block", hers.bare);
      await phone.hears(blockingPush(phone, "block", hers.bare));
      expect(grown()).toMatchObject({ push_item_count: 2 });
      await hers.receivesNothing();
    },
    covers("block_push_sent"),
  );
});

describe("what is blocked", () => {
  story(
    "XEP-0191 §3.3: messages come back, as if nobody were there",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      await blocks(romeo, "block", juliet.bare);
      const grown = counters(server);
      juliet.sends`<message to="${romeo.full}" type="chat" id="m"><body>Hi!</body></message>`;
      await juliet.hears(refusalOf("message", "m", romeo.full));
      expect(grown()).toEqual({ check_packet_count: 2, check_packet_blocked_count: 1 });
      await romeo.receivesNothing();
      for (const to of [romeo.full, romeo.bare]) {
        juliet.sends`<iq to="${to}" type="get" id="i"><query xmlns="jabber:iq:last"/></iq>`;
        await juliet.hears(refusalOf("iq", "i", to));
        juliet.sends`<iq to="${to}" type="result" id="i"/>`;
        juliet.sends`<presence to="${to}"/>`;
        juliet.sends`<presence to="${to}" type="probe"/>`;
      }
      await juliet.receivesNothing();
      await romeo.receivesNothing();
    },
    covers("messages_from_blocked_user_dont_arrive"),
  );

  story(
    "XEP-0191 §3.4: messages come again from who is let go",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      await blocks(romeo, "block", juliet.bare);
      await blocks(romeo, "unblock", juliet.bare);
      const grown = counters(server);
      await reaches(juliet, romeo, romeo.bare);
      expect(grown()).toEqual({ check_packet_count: 2 });
    },
    covers("messages_from_unblocked_user_arrive_again"),
  );

  story(
    "XEP-0191 §4: a bare JID is all its resources",
    { romeo: 1, juliet: 3 },
    async ({ romeo, juliet }) => {
      await blocks(romeo, "block", juliet[0].bare);
      for (const hers of juliet) await isTurnedAway(hers, romeo);
    },
    covers("messages_from_any_blocked_resource_dont_arrive"),
  );

  story(
    "others are not concerned",
    { romeo: 1, juliet: 1, kate: 1 },
    async ({ romeo, juliet, kate }) => {
      await blocks(romeo, "block", juliet.bare);
      await isTurnedAway(juliet, romeo);
      await reaches(kate, romeo, romeo.bare);
    },
    covers("blocking_doesnt_interfere"),
  );

  story(
    "XEP-0191 §3.3: it is blocked for all sessions, both ways",
    { romeo: 2, juliet: 1 },
    async ({ romeo: [laptop, phone], juliet, server }) => {
      await blocks(laptop, "block", juliet.bare);
      await phone.hears(blockingPush(phone, "block", juliet.bare));
      for (const his of [laptop, phone]) {
        const grown = counters(server);
        his.sends`<message to="${juliet.full}" type="chat" id="m"><body>I blocked you!</body></message>`;
        await his.hears(blockedError("message", "m", juliet.full));
        expect(grown()).toEqual({ check_packet_count: 1, check_packet_blocked_count: 1 });
        await juliet.receivesNothing();
        await isTurnedAway(juliet, his);
      }
      laptop.sends`<iq to="${juliet.full}" type="get" id="i"><query xmlns="jabber:iq:version"/></iq>`;
      await laptop.hears(blockedError("iq", "i", juliet.full));
    },
    covers("blocking_propagates_to_resources", "blocker_cant_send_to_blockee"),
  );

  story(
    "XEP-0191 §3.3, §3.4: who sees the user's presence sees him go and come",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(juliet, romeo);
      romeo.sends`<presence><status>here</status></presence>`;
      for (const c of [romeo, juliet]) await c.hears(`<presence from="${romeo.full}"/>`);
      await blocks(romeo, "block", juliet.bare);
      await juliet.receives`<presence from="${romeo.full}" type="unavailable"/>`;
      romeo.sends`<presence><status>still here</status></presence>`;
      await romeo.receives`<presence from="${romeo.full}"/>`;
      await juliet.receivesNothing();
      await blocks(romeo, "unblock", juliet.bare);
      await juliet.receives`<presence from="${romeo.full}" type="{none}"><status>still here</status></presence>`;
      await blocks(romeo, "block", juliet.bare);
      await juliet.receives`<presence from="${romeo.full}" type="unavailable"/>`;
      await blocks(romeo, "unblock");
      await juliet.receives`<presence from="${romeo.full}" type="{none}"/>`;
    },
    covers("notify_blockee"),
  );

  story(
    "XEP-0191 §4: a resource that is blocked sees the user go, the others see him stay",
    { romeo: 1, juliet: 2 },
    async ({ romeo, juliet: [laptop, phone], befriend }) => {
      await befriend(laptop, romeo);
      await phone.settles();
      await blocks(romeo, "block", phone.full);
      await phone.receives`<presence from="${romeo.full}" type="unavailable"/>`;
      romeo.sends`<presence><show>dnd</show></presence>`;
      for (const c of [romeo, laptop]) await c.hears(`<presence from="${romeo.full}"><show>dnd</show></presence>`);
      await phone.receivesNothing();
      await isTurnedAway(phone, romeo);
      await reaches(laptop, romeo);
      await blocks(romeo, "unblock", phone.full);
      await phone.receives`<presence from="${romeo.full}" type="{none}"><show>dnd</show></presence>`;
      await laptop.receivesNothing();
    },
  );

  story(
    "XEP-0191 §3.3: who does not see the user's presence learns nothing",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      await blocks(romeo, "block", juliet.bare);
      await blocks(romeo, "unblock");
      await juliet.receivesNothing();
    },
  );

  story(
    "a request to block that is for somebody else goes to him",
    { romeo: 1, juliet: 1, kate: 1 },
    async ({ romeo, juliet, kate }) => {
      const block = `<block xmlns="${NS_BLOCKING}"><item jid="${kate.bare}"/></block>`;
      romeo.says(`<iq type="set" id="x" to="${juliet.full}">${block}</iq>`);
      await juliet.hears(`<iq type="set" id="x" from="${romeo.full}">${block}</iq>`);
      await romeo.receivesNothing();
      romeo.says(`<iq type="set" id="y" to="${juliet.bare}">${block}</iq>`);
      await romeo.hears(`<iq type="error" id="y"><error type="auth"><forbidden xmlns="${NS_STANZAS}"/></error></iq>`);
      await hasBlocked(juliet);
    },
    covers("iq_with_to_attribute_is_treated_as_regular_one"),
  );

  story(
    "an answer that nobody has asked for does no harm",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      for (const [from, to, type] of [
        [romeo, juliet, "error"],
        [juliet, romeo, "result"],
      ] as const) {
        from.says(`<iq type="${type}" id="x" to="${to.bare}"><query xmlns="${NS_BLOCKING}"/></iq>`);
        await reaches(from, to, to.bare);
      }
    },
    covers("iq_reply_doesnt_crash_user_process"),
  );
});

describe("what is sent in the user's name", () => {
  story(
    "over GraphQL is judged by his default list, be he there or not",
    { romeo: 1, juliet: 1, kate: 1 },
    async ({ romeo, juliet, kate, graphql }) => {
      await blocks(romeo, "block", juliet.bare);
      const says = async (to: Client) =>
        (await graphql.user(romeo).calls("stanza.sendMessage", { to: to.bare, body: "from the web" })).data;
      for (const leave of [false, true]) {
        if (leave) await romeo.leaves();
        await says(juliet);
        await juliet.receivesNothing();
        await says(kate);
        await kate.receives`<message type="chat"><body>from the web</body></message>`;
      }
    },
  );
});

describe("over log-ins", () => {
  story(
    "what is blocked stays so, and what is let go as well",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, another, server, door }) => {
      const comesAgain = async (resource: string) =>
        (await another(romeo).logsIn(server.target(door), resource)).comesOnline();
      await blocks(romeo, "block", juliet.bare);
      await romeo.leaves();
      // While he is away nothing is stored for him.
      juliet.sends`<message to="${romeo.bare}" type="chat" id="m"><body>Hey, are you there?</body></message>`;
      await juliet.hears(refusalOf("message", "m", romeo.bare));
      const second = await comesAgain("second");
      await second.receivesNothing();
      await isTurnedAway(juliet, second);
      await reaches(second, second);
      await blocks(second, "unblock", juliet.bare);
      await second.leaves();
      const third = await comesAgain("third");
      await reaches(juliet, third, third.bare);
      await blocks(third, "block", juliet.bare);
      await third.leaves();
      const fourth = await comesAgain("fourth");
      await blocks(fourth, "unblock");
      await fourth.leaves();
      await reaches(await comesAgain("fifth"), juliet);
    },
    covers("messages_after_relogin", "messages_arrive_after_unblock_and_relogin", "clear_list_relogin"),
  );

  story(
    "many are blocked and let go, some of them twice",
    { romeo: 1, bob: 1, kate: 1, mike: 1, john: 1 },
    async ({ romeo, bob, kate, mike, john, another, server, door }) => {
      await blocks(romeo, "block", bob.bare, kate.bare);
      await blocks(romeo, "block", kate.bare, mike.bare);
      await romeo.leaves();
      const second = await (await another(romeo).logsIn(server.target(door), "second")).comesOnline();
      await blocks(second, "unblock", mike.bare);
      await blocks(second, "unblock", mike.bare, john.bare);
      await blocks(second, "unblock", bob.bare, john.bare);
      await second.leaves();
      const third = await (await another(romeo).logsIn(server.target(door), "third")).comesOnline();
      await reaches(third, mike);
      third.sends`<message to="${kate.bare}" type="chat" id="m"><body>Can't stop</body></message>`;
      await third.hears(blockedError("message", "m", kate.bare));
      await kate.receivesNothing();
      await reaches(third, bob);
      await hasBlocked(third, kate.bare);
    },
    covers("blocking_and_relogin_many"),
  );
});

describe("with privacy lists", () => {
  story(
    "XEP-0191 §5: the default list is the block list, and keeps what else it says",
    { romeo: 1, juliet: 1, kate: 1 },
    async ({ romeo, juliet, kate }) => {
      await writesList(romeo, "public", item(5, "deny", ofJid(kate.bare)), item(9, "deny", ofJid("x@y"), "message"));
      await hasBlocked(romeo);
      await uses(romeo, "default", "public");
      await hasBlocked(romeo, kate.bare);
      await blocks(romeo, "block", juliet.bare);
      await romeo.hears(pushOf(romeo, "public"));
      await hasBlocked(romeo, kate.bare, juliet.bare);
      await isTurnedAway(juliet, romeo);
      await isTurnedAway(kate, romeo);
      const id = asks(romeo, "get", "");
      await romeo.hears(
        `<iq type="result" id="${id}"><query xmlns="${NS_PRIVACY}"><default name="public"/><list name="public"/></query></iq>`,
      );
      await blocks(romeo, "unblock");
      await romeo.hears(pushOf(romeo, "public"));
      await hasBlocked(romeo);
      const get = asks(romeo, "get", `<list name="public"/>`);
      await romeo.hears(
        `<iq type="result" id="${get}"><query xmlns="${NS_PRIVACY}"><list name="public">${item(9, "deny", ofJid("x@y"), "message")}</list></query></iq>`,
      );
    },
  );

  story(
    "XEP-0191 §5: a session with an active list of its own hears from whom the block list blocks",
    { romeo: 2, juliet: 1 },
    async ({ romeo: [laptop, phone], juliet }) => {
      await writesList(phone, "all", item(1, "allow"));
      await laptop.hears(pushOf(laptop, "all"));
      await uses(phone, "active", "all");
      await blocks(laptop, "block", juliet.bare);
      await phone.receives`${blockingPush(phone, "block", juliet.bare)}${pushOf(phone, "blocking")}`;
      await reaches(juliet, phone);
      await isTurnedAway(juliet, laptop);
    },
  );
});

describe("in rooms", () => {
  // Stands in for a room: whoever writes there is heard by everybody, under the name he gives.
  const room = defineModule({
    name: "mod_story_room",
    xeps: [],
    config: z.strictObject({ members: z.array(z.string()).default([]) }),
    services: [
      {
        address: () => "rooms.@HOST@",
        iq: () => undefined,
        async stanza(stanza, { server }) {
          heard.push(`${stanza.type} ${stanza.from.text}`);
          if (stanza.type !== "groupchat") return;
          const [nick, to] = (stanza.childText("body") ?? "").split(" ");
          const from = parseJid(`${stanza.to.text}/${nick}`);
          const message = xml`<message type='groupchat' id='room'><body>Hello</body></message>`;
          await server.routeXml(from, parseJid(to), message);
        },
      },
    ],
  });
  const heard: string[] = [];
  const host = () => of.server.node.hostOf("localhost");
  beforeAll(() => host()?.startModule(room, {}));
  afterAll(() => host()?.stopModule("mod_story_room"));

  story(
    "an occupant is blocked by his name in the room, and the room is not told",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const says = (nick: string) =>
        juliet.says(
          `<message to="capulet@rooms.localhost" type="groupchat"><body>${nick} ${romeo.full}</body></message>`,
        );
      // mod_muc has a nickname there, mod_muc_light the occupant's bare JID.
      for (const nick of [juliet.local, juliet.bare]) {
        says(nick);
        await romeo.hears(`<message from="capulet@rooms.localhost/${nick}" type="groupchat"/>`);
        await blocks(romeo, "block", `rooms.localhost/${nick}`);
        heard.length = 0;
        const grown = counters(server);
        says(nick);
        await romeo.receivesNothing();
        expect(grown()).toMatchObject({ check_packet_blocked_count: 1 });
        expect(heard).toEqual([`groupchat ${juliet.full}`]);
        says("somebody.else");
        await romeo.hears(`<message from="capulet@rooms.localhost/somebody.else" type="groupchat"/>`);
      }
    },
    covers("messages_from_blocked_user_dont_arrive_muc", "messages_from_blocked_user_dont_arrive_muc_light"),
  );
});
