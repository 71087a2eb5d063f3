// XEP-0016 §2.9-§2.14: what lists do to messages, presence and requests.
import { expect } from "vitest";
import type { Client } from "../support/client.ts";
import {
  activates,
  asks,
  counters,
  isTurnedAway,
  item,
  NS_STANZAS,
  ofGroup,
  ofJid,
  ofSubscription,
  pushOf,
  reaches,
  refusalOf,
  uses,
  writesList,
} from "../support/privacy.ts";
import { covering, stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_privacy: {}, mod_amp: {} } });
const covers = covering("privacy_SUITE");

story(
  "XEP-0016 §2.9: messages of a JID are turned away, his own still go there",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, server }) => {
    await reaches(juliet, romeo);
    await activates(romeo, "deny_client_message", item(1, "deny", ofJid(juliet.bare), "message"));
    const grown = counters(server);
    juliet.sends`<message to="${romeo.full}" type="chat" id="m"><body>Hi, blocker!</body></message>`;
    await juliet.hears(refusalOf("message", "m", romeo.full));
    expect(grown()).toEqual({ check_packet_count: 2, check_packet_denied_count: 1 });
    await romeo.receivesNothing();
    grown();
    await reaches(romeo, juliet);
    expect(grown()).toEqual({ check_packet_count: 2 });
    await isTurnedAway(juliet, romeo, romeo.bare);
  },
  covers("block_jid_message"),
);

story(
  "XEP-0016 §2.9: messages of a group are turned away",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await reaches(juliet, romeo);
    romeo.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="${juliet.bare}" name="Jule"><group>ignored</group></item></query></iq>`;
    await romeo.receives`<iq type="result" id="r"/><iq type="set"><query xmlns="jabber:iq:roster"><item jid="${juliet.bare}" name="Jule" subscription="none"><group>ignored</group></item></query></iq>`;
    await activates(romeo, "deny_group_message", item(1, "deny", ofGroup("ignored"), "message"));
    await isTurnedAway(juliet, romeo);
    // §2.2: what becomes of the group counts from then on.
    romeo.sends`<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="${juliet.bare}"><group>Friends</group></item></query></iq>`;
    await romeo.receives`<iq type="result" id="r"/><iq type="set"/>`;
    await reaches(juliet, romeo);
  },
  covers("block_group_message"),
);

story(
  "XEP-0016 §2.9: messages of those without a subscription are turned away",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await reaches(juliet, romeo);
    romeo.sends`<presence to="${juliet.bare}" type="unsubscribe"/>`;
    await romeo.settles();
    await activates(romeo, "deny_unsubscribed_message", item(1, "deny", ofSubscription("none"), "message"));
    await isTurnedAway(juliet, romeo);
  },
  covers("block_subscription_message"),
);

/** One asks for the other's presence and gets it. */
async function subscribes(one: Client, other: Client): Promise<void> {
  one.sends`<presence to="${other.bare}" type="subscribe"/>`;
  await other.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "subscribe");
  other.sends`<presence to="${one.bare}" type="subscribed"/>`;
  await other.settles();
  await one.settles();
  await other.settles();
}

story(
  "XEP-0016 §2.9: only those whose presence the user has, or who have his, may write",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const fallThrough = item(2, "deny", {}, "message");
    await activates(romeo, "to", item(1, "allow", ofSubscription("to"), "message"), fallThrough);
    await activates(juliet, "from", item(1, "allow", ofSubscription("from"), "message"), fallThrough);
    await isTurnedAway(juliet, romeo);
    await isTurnedAway(romeo, juliet);
    await subscribes(romeo, juliet);
    await reaches(juliet, romeo);
    await reaches(romeo, juliet);
  },
  covers("allow_subscription_to_from_message"),
);

story(
  "XEP-0016 §2.9: only those whose presence the user has, and who have his, may write",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await subscribes(romeo, juliet);
    const items = [item(1, "allow", ofSubscription("both"), "message"), item(2, "deny", {}, "message")];
    await activates(romeo, "both", ...items);
    await activates(juliet, "both", ...items);
    await isTurnedAway(juliet, romeo);
    await isTurnedAway(romeo, juliet);
    await subscribes(juliet, romeo);
    await reaches(juliet, romeo);
    await reaches(romeo, juliet);
  },
  covers("allow_subscription_both_message"),
);

story(
  "XEP-0016 §2.9: nobody's messages come through",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await reaches(juliet, romeo);
    await activates(romeo, "deny_all_message", item(1, "deny", {}, "message"));
    await isTurnedAway(juliet, romeo);
  },
  covers("block_all_message"),
);

story(
  "XEP-0016 §2.10: presence of a JID is not shown, and it learns nothing of that",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    juliet.sends`<presence to="${romeo.bare}"/>`;
    await romeo.receives`<presence from="${juliet.full}"/>`;
    await activates(romeo, "deny_client_presence_in", item(1, "deny", ofJid(juliet.bare), "presence-in"));
    juliet.sends`<presence to="${romeo.bare}"/>`;
    juliet.sends`<presence to="${romeo.full}"/>`;
    await romeo.receivesNothing();
    await juliet.receivesNothing();
  },
  covers("block_jid_presence_in"),
);

story(
  "XEP-0016 §2.11: presence for a JID does not leave, and its sender is told",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    romeo.sends`<presence to="${juliet.bare}"/>`;
    await juliet.receives`<presence from="${romeo.full}"/>`;
    await activates(romeo, "deny_client_presence_out", item(1, "deny", ofJid(juliet.bare), "presence-out"));
    await juliet.receives`<presence from="${romeo.full}" type="unavailable"/>`;
    romeo.sends`<presence to="${juliet.bare}"/>`;
    await romeo.receives`<presence from="${juliet.bare}" type="error"><error type="cancel"><not-acceptable xmlns="${NS_STANZAS}"/></error></presence>`;
    await juliet.receivesNothing();
  },
  covers("block_jid_presence_out"),
);

story(
  "XEP-0016 §2.12: requests are turned away, other iq stanzas go without a word",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await activates(romeo, "deny_server_iq", item(1, "deny", ofJid("localhost"), "iq"));
    for (const type of ["get", "set"]) {
      for (const to of [romeo.full, romeo.bare]) {
        juliet.sends`<iq type="${type}" id="v" to="${to}"><query xmlns="jabber:iq:version"/></iq>`;
        await juliet.hears(refusalOf("iq", "v", to));
      }
    }
    juliet.sends`<iq type="result" id="v" to="${romeo.full}"><query xmlns="jabber:iq:version"/></iq>`;
    await romeo.receivesNothing();
    await juliet.receivesNothing();
    // The user's own server is out of the list's reach.
    romeo.sends`<iq type="get" id="own" to="localhost"><query xmlns="jabber:iq:version"/></iq>`;
    await romeo.receives`<iq type="result" id="own"/>`;
  },
  covers("block_jid_iq"),
);

story(
  "XEP-0016 §2.13: nothing comes from a JID and nothing goes there",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await activates(romeo, "deny_jid_all", item(1, "deny", ofJid(juliet.bare)), item(2, "deny", ofJid("localhost")));
    await isTurnedAway(juliet, romeo);
    juliet.sends`<presence to="${romeo.bare}"/>`;
    await juliet.receivesNothing();
    romeo.sends`<presence to="${juliet.bare}"/>`;
    await romeo.receives`<presence type="error"><error type="cancel"><not-acceptable xmlns="${NS_STANZAS}"/></error></presence>`;
    romeo.sends`<message to="${juliet.full}" id="m"><body>Hi</body></message>`;
    await romeo.hears(refusalOf("message", "m", juliet.full, "not-acceptable"));
    const id = asks(romeo, "set", `<list name="deny_client">${item(1, "deny", ofJid(juliet.bare))}</list>`);
    await romeo.hears(`<iq type="result" id="${id}"/>`);
    await romeo.hears(pushOf(romeo, "deny_client"));
    await juliet.receivesNothing();
    await romeo.receivesNothing();
  },
  covers("block_jid_all"),
);

story(
  "XEP-0016 §2.9: a list about messages is about nothing else",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    await reaches(juliet, romeo);
    await activates(romeo, "deny_client_message", item(1, "deny", ofJid(juliet.bare), "message"));
    await isTurnedAway(juliet, romeo);
    juliet.sends`<presence to="${romeo.full}"/>`;
    await romeo.receives`<presence from="${juliet.full}"/>`;
  },
  covers("block_jid_message_but_not_presence"),
);

story(
  "XEP-0016 §2.11: who may not see the user any more sees him go, when a list is chosen and when it is edited",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(juliet, romeo);
    const hide = item(1, "deny", ofJid(juliet.bare), "presence-out");
    await writesList(romeo, "deny_juliet_presence_out", hide);
    await juliet.receivesNothing();
    await uses(romeo, "active", "deny_juliet_presence_out");
    await juliet.receives`<presence from="${romeo.full}" type="unavailable"/>`;
    romeo.sends`<presence><show>dnd</show></presence>`;
    await romeo.receives`<presence from="${romeo.full}"><show>dnd</show></presence>`;
    await juliet.receivesNothing();

    await activates(romeo, "noop_list", item(1, "deny", ofJid("geralt@localhost")));
    romeo.sends`<presence/>`;
    await romeo.receives`<presence from="${romeo.full}"/>`;
    await juliet.receives`<presence from="${romeo.full}"/>`;
    await writesList(romeo, "noop_list", hide);
    await juliet.receives`<presence from="${romeo.full}" type="unavailable"/>`;
  },
  covers("newly_blocked_presense_jid_by_new_list", "newly_blocked_presense_jid_by_list_change"),
);

story(
  "XEP-0016 §2.1: a list does not hide the user from himself",
  { romeo: 2 },
  async ({ romeo: [laptop, phone] }) => {
    const items = ["from", "to", "none"].map((s, i) => item(i + 1, "deny", ofSubscription(s), "presence-out"));
    await activates(laptop, "deny_not_both_presence_out", ...items);
    await laptop.receivesNothing();
    await phone.hears(pushOf(phone, "deny_not_both_presence_out"));
    await phone.receivesNothing();
    laptop.sends`<presence><show>away</show></presence>`;
    for (const c of [laptop, phone]) await c.hears(`<presence from="${laptop.full}"><show>away</show></presence>`);
  },
  covers("newly_blocked_presence_not_notify_self"),
);

story(
  "XEP-0126 §3.1: a user comes online unseen, and shows himself later",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend, another, server, door }) => {
    await befriend(juliet, romeo);
    await writesList(romeo, "invisible", item(1, "deny", {}, "presence-out"));
    await romeo.leaves();
    await juliet.receives`<presence from="${romeo.full}" type="unavailable"/>`;
    const again = await another(romeo).logsIn(server.target(door), "unseen");
    await uses(again, "active", "invisible");
    again.sends`<presence/>`;
    await again.receives`<presence from="${again.full}"/><presence from="${juliet.full}"/>`;
    await juliet.receivesNothing();
    // His probes do not give him away, and neither do hers.
    juliet.sends`<presence to="${again.bare}" type="probe"/>`;
    await juliet.receivesNothing();
    await uses(again, "active");
    again.sends`<presence/>`;
    await again.receives`<presence from="${again.full}"/>`;
    await juliet.receives`<presence from="${again.full}"/>`;
  },
);

story(
  "XEP-0016 §2.2: without a session the default list applies, and to sessions that have chosen none",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, another, server, door }) => {
    await writesList(romeo, "deny_client", item(1, "deny", ofJid(juliet.bare)));
    await uses(romeo, "default", "deny_client");
    await romeo.leaves();
    juliet.sends`<message to="${romeo.bare}" type="chat" id="m"><body>Anybody home?</body></message>`;
    await juliet.hears(refusalOf("message", "m", romeo.bare));
    juliet.sends`<iq to="${romeo.bare}" type="get" id="i"><query xmlns="jabber:iq:last"/></iq>`;
    await juliet.hears(refusalOf("iq", "i", romeo.bare));
    juliet.sends`<presence to="${romeo.bare}" type="subscribe"/>`;
    await juliet.receives`<iq type="set"/>`;
    const again = await (await another(romeo).logsIn(server.target(door), "later")).comesOnline();
    await again.receivesNothing();
    await isTurnedAway(juliet, again);
    await isTurnedAway(juliet, again, again.bare);
    await writesList(again, "all", item(1, "allow"));
    await uses(again, "active", "all");
    await reaches(juliet, again);
  },
);

story(
  "XEP-0016 §2.2: each session has its list; a message to all of them is turned away when all of them do",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet }) => {
    await writesList(laptop, "deny", item(1, "deny", ofJid(juliet.bare)));
    await phone.hears(pushOf(phone, "deny"));
    await uses(laptop, "active", "deny");
    await reaches(juliet, phone, phone.bare);
    await laptop.receivesNothing();
    await juliet.receivesNothing();
    await uses(phone, "active", "deny");
    await isTurnedAway(juliet, laptop, laptop.bare);
    await phone.receivesNothing();
  },
);

story(
  "a message that waits is dropped when its sender was blocked since, and he does not learn that the user is back",
  { romeo: 1, juliet: 1, kate: 1 },
  async ({ romeo, juliet, kate, another, server, door }) => {
    await writesList(romeo, "deny", item(1, "deny", ofJid(juliet.bare)));
    await romeo.leaves();
    for (const [i, c] of [juliet, kate].entries()) {
      c.sends`<message to="${romeo.bare}" type="chat" id="stored${i}"><body>Anybody home?</body></message>`;
      await c.settled();
    }
    const again = await another(romeo).logsIn(server.target(door), "again");
    await uses(again, "default", "deny");
    again.sends`<presence/>`;
    await again.receives`<message from="${kate.full}" id="stored1"/>`;
    await again.receives`<presence from="${again.full}"/>`;
    await again.receivesNothing();
    await juliet.receivesNothing();
  },
);

story(
  "XEP-0198: a list stays with a stream that is resumed",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, another, server, door }) => {
    await activates(romeo, "deny", item(1, "deny", ofJid(juliet.bare), "message"));
    await romeo.managesStream();
    await romeo.breaks();
    juliet.sends`<message to="${romeo.bare}" type="chat" id="m"><body>Lost?</body></message>`;
    await juliet.hears(refusalOf("message", "m", romeo.bare));
    const again = another(romeo);
    await again.connects(server.target(door));
    await again.opens();
    await again.authenticates();
    again.sendsRaw(`<resume xmlns="urn:xmpp:sm:3" h="0" previd="${romeo.resumeId}"/>`);
    await again.skipsTo((e) => e.name === "resumed");
    juliet.sends`<message to="${romeo.full}" type="chat" id="n"><body>Back?</body></message>`;
    await juliet.hears(refusalOf("message", "n", romeo.full));
  },
);

story(
  "XEP-0079: a sender who wants to know is told that his message was turned away",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const amp = "http://jabber.org/protocol/amp";
    const sends = async (to: string) => {
      const rule = `<rule condition="deliver" value="none" action="notify"/>`;
      juliet.says(
        `<message to="${to}" type="chat" id="amp"><body>Filtered</body><amp xmlns="${amp}">${rule}</amp></message>`,
      );
      await juliet.receives`<message from="localhost" type="{none}"><amp xmlns="${amp}" status="notify" from="${juliet.full}" to="${to}">${rule}</amp></message>`;
      await juliet.hears(refusalOf("message", "amp", to));
      await juliet.receivesNothing();
    };
    await activates(romeo, "deny_all_message", item(1, "deny", {}, "message"));
    await sends(romeo.full);
    await romeo.receivesNothing();
    await uses(romeo, "default", "deny_all_message");
    await romeo.leaves();
    await sends(romeo.bare);
  },
  {
    covers: [
      "amp_big_SUITE:notify_deliver_to_online_user_recipient_privacy_test",
      "amp_big_SUITE:notify_deliver_to_offline_user_recipient_privacy_test",
    ],
  },
);
