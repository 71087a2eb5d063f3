// Who is blocked, and every other feature: nothing reaches him by another way, and nothing of his.
import { expect } from "vitest";
import type { Client } from "../support/client.ts";
import { EventReader } from "../support/graphql.ts";
import { blocks, NS_STANZAS, reaches, refusalOf } from "../support/privacy.ts";
import { capabilities, item, Pubsub, publishing, wantsEvents } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({
  modules: {
    mod_privacy: {},
    mod_blocking: {},
    mod_caps: {},
    mod_pubsub: {},
    mod_amp: {},
    mod_csi: {},
    mod_offline: {},
    mod_vcard: {},
    mod_last: {},
  },
});
const PLACE = "http://jabber.org/protocol/geoloc";
const CARBONS = `<iq type="set" id="c"><enable xmlns="urn:xmpp:carbons:2"/></iq>`;

/** The client comes online with these interests; the messages that it gets. */
async function newestFor(c: Client, ...nodes: string[]): Promise<string[]> {
  const caps = capabilities(nodes.flatMap((n) => [n, `${n}+notify`]));
  c.says(`<presence>${caps.c}</presence>`);
  await c.settled();
  const first = await c.settles();
  for (const { name, attrs } of first) {
    if (name === "iq") c.says(`<iq type="result" id="${attrs["id"]}" to="${attrs["from"]}">${caps.query}</iq>`);
  }
  await c.settled();
  // What is read from the database comes a little later.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return [...first, ...(await c.settles())].filter((e) => e.name === "message").map((e) => e.attrs["from"] ?? "");
}

story(
  "XEP-0191 §3.3: what is published while the owner is away does not reach whom he has blocked",
  { romeo: 1, juliet: 1, kate: 1 },
  async ({ romeo, juliet, kate, befriend }) => {
    await befriend(romeo, juliet);
    await befriend(romeo, kate);
    const own = new Pubsub(romeo, romeo.bare);
    await own.create(PLACE, { access_model: "open", publish_model: "open" });
    await wantsEvents(juliet, PLACE);
    await wantsEvents(kate, PLACE);
    await romeo.settles();
    await blocks(romeo, "block", juliet.bare);
    await juliet.settles();
    await romeo.leaves();
    await kate.settles();
    await juliet.settles();
    new Pubsub(kate, romeo.bare).asks("set", publishing(PLACE, item("here")));
    await kate.hears(`<message from="${romeo.bare}"/><iq type="result" from="${romeo.bare}"/>`);
    await juliet.receivesNothing();
  },
);

story(
  "nor does the newest item, when he comes",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend, another, server, door }) => {
    await befriend(romeo, juliet);
    await new Pubsub(romeo, romeo.bare).publish(PLACE, "here");
    const tablet = await another(juliet).logsIn(server.target(door), "tablet");
    expect(await newestFor(tablet, PLACE)).toEqual([romeo.bare]);
    await romeo.settles();
    await blocks(romeo, "block", juliet.bare);
    await romeo.leaves();
    await juliet.settles();
    const phone = await another(juliet).logsIn(server.target(door), "phone");
    expect(await newestFor(phone, PLACE)).toEqual([]);
  },
);

story(
  "XEP-0163 §4.3.4: whose subscription was taken back gets no newest items, though he did not hear of it",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend, another, server, door }) => {
    await befriend(romeo, juliet);
    await new Pubsub(romeo, romeo.bare).publish(PLACE, "here");
    await blocks(juliet, "block", romeo.bare);
    await romeo.settles();
    romeo.says(`<presence to="${juliet.bare}" type="unsubscribed"/>`);
    await romeo.settles();
    await blocks(juliet, "unblock", romeo.bare);
    const phone = await another(juliet).logsIn(server.target(door), "phone");
    expect(await newestFor(phone, PLACE)).toEqual([]);
  },
);

story(
  "a blocked user is told the same of everything he asks of the account",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    await new Pubsub(romeo, romeo.bare).publish(PLACE, "here", { access_model: "open" });
    await blocks(romeo, "block", juliet.bare);
    await juliet.settles();
    const requests = [
      `<vCard xmlns="vcard-temp"/>`,
      `<query xmlns="jabber:iq:last"/>`,
      `<ping xmlns="urn:xmpp:ping"/>`,
      `<query xmlns="http://jabber.org/protocol/disco#info"/>`,
      `<query xmlns="http://jabber.org/protocol/disco#items"/>`,
      `<query xmlns="urn:unknown"/>`,
      `<pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="${PLACE}"/></pubsub>`,
    ];
    for (const payload of requests) {
      for (const to of [romeo.bare, romeo.full, `${romeo.bare}/nobody`]) {
        juliet.says(`<iq type="get" id="x" to="${to}">${payload}</iq>`);
        await juliet.hears(refusalOf("iq", "x", to));
      }
    }
    await romeo.receivesNothing();
  },
);

story(
  "XEP-0280: no copies of what a blocked user sends; of what comes from others there are",
  { romeo: 2, juliet: 1, kate: 1 },
  async ({ romeo: [laptop, phone], juliet, kate }) => {
    phone.says(CARBONS);
    await phone.hears(`<iq type="result" id="c"/>`);
    await blocks(laptop, "block", juliet.bare);
    await phone.settles();
    juliet.says(`<message to="${laptop.full}" type="chat" id="m"><body>Hi</body></message>`);
    await juliet.hears(refusalOf("message", "m", laptop.full));
    await phone.receivesNothing();
    await laptop.receivesNothing();
    laptop.says(`<message to="${juliet.bare}" type="chat" id="n"><body>Hi</body></message>`);
    await laptop.hears(`<message type="error" id="n"/>`);
    await phone.receivesNothing();
    await reaches(kate, laptop);
    await phone.hears(`<message from="${laptop.bare}"/>`);
  },
);

story("errors between two who block each other go nowhere", { romeo: 1, juliet: 1 }, async ({ romeo, juliet }) => {
  await blocks(romeo, "block", juliet.bare);
  await blocks(juliet, "block", romeo.bare);
  for (const [a, b] of [
    [romeo, juliet],
    [juliet, romeo],
  ]) {
    for (const to of [a.full, a.bare]) {
      b.says(
        `<message to="${to}" type="error" id="e"><error type="cancel"><gone xmlns="${NS_STANZAS}"/></error></message>`,
      );
      b.says(`<iq to="${to}" type="error" id="e"/>`);
      b.says(`<presence to="${to}" type="error" id="e"/>`);
    }
  }
  await romeo.receivesNothing();
  await juliet.receivesNothing();
});

story(
  "XEP-0191 §4: a domain, and a resource at a domain; the server itself and one's own sessions stay",
  { romeo: 2, juliet: 2 },
  async ({ romeo: [laptop, phone], juliet: [hers, other] }) => {
    await blocks(laptop, "block", `${hers.domain}/${hers.resource}`);
    await phone.settles();
    hers.says(`<message to="${phone.full}" type="chat" id="m"><body>Hi</body></message>`);
    await hers.hears(refusalOf("message", "m", phone.full));
    await reaches(other, phone);
    await blocks(laptop, "block", hers.domain);
    await phone.settles();
    for (const c of [hers, other]) {
      c.says(`<message to="${phone.full}" type="chat" id="m"><body>Hi</body></message>`);
      await c.hears(refusalOf("message", "m", phone.full));
    }
    await reaches(phone, laptop);
    await reaches(laptop, laptop);
    laptop.says(
      `<iq type="get" id="d" to="${laptop.domain}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`,
    );
    await laptop.hears(`<iq type="result" id="d"/>`);
    laptop.says(
      `<iq type="get" id="d" to="${laptop.bare}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`,
    );
    await laptop.hears(`<iq type="result" id="d"/>`);
    await blocks(laptop, "unblock");
  },
);

story(
  "XEP-0191 §3.3: who was shown presence directly sees it go, and learns nothing by a probe",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    romeo.says(`<presence to="${juliet.full}"/>`);
    await juliet.hears(`<presence from="${romeo.full}"/>`);
    await blocks(romeo, "block", juliet.bare);
    await juliet.hears(`<presence from="${romeo.full}" type="unavailable"/>`);
    for (const to of [romeo.bare, romeo.full]) juliet.says(`<presence to="${to}" type="probe"/>`);
    await juliet.receivesNothing();
    await romeo.leaves();
    await juliet.receivesNothing();
  },
);

story(
  "a request that waited from before is not shown while its sender is blocked",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, another, server, door }) => {
    juliet.says(`<presence to="${romeo.bare}" type="subscribe"/>`);
    await romeo.hears(`<presence type="subscribe"/>`);
    await juliet.settles();
    await blocks(romeo, "block", juliet.bare);
    const second = await (await another(romeo).logsIn(server.target(door), "second")).comesOnline();
    await second.hears(`<presence from="${romeo.full}"/>`);
    await second.receivesNothing();
    await blocks(second, "unblock", juliet.bare);
    const third = await (await another(romeo).logsIn(server.target(door), "third")).comesOnline();
    await third.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "subscribe");
  },
);

story(
  "XEP-0160: what was stored from one who is blocked since does not come, and he learns nothing",
  { romeo: 0, juliet: 1, kate: 1 },
  async ({ romeo, juliet, kate }) => {
    for (const c of [juliet, kate]) {
      c.says(`<message to="${romeo.bare}" type="chat" id="m"><body>${c.bare}</body></message>`);
      await c.settled();
    }
    const his = await romeo.comes("laptop");
    await blocks(his, "block", juliet.bare);
    his.says(`<presence/>`);
    await his.skipsTo((e) => e.name === "message" && e.attrs["from"] === kate.full);
    await his.skipsTo((e) => e.name === "presence");
    await his.receivesNothing();
    await juliet.receivesNothing();
  },
);

story(
  "XEP-0352: one who is blocked is turned away from an inactive client too",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    romeo.says(`<inactive xmlns="urn:xmpp:csi:0"/>`);
    await blocks(romeo, "block", juliet.bare);
    await juliet.settles();
    juliet.says(`<message to="${romeo.full}" type="chat" id="m"><body>Hi</body></message>`);
    await juliet.hears(refusalOf("message", "m", romeo.full));
    juliet.says(`<presence><show>away</show></presence>`);
    await juliet.settles();
    romeo.says(`<active xmlns="urn:xmpp:csi:0"/>`);
    await romeo.receivesNothing();
  },
);

story(
  "who follows a user's messages over GraphQL is not shown those of whom he has blocked",
  { romeo: 1, juliet: 1, kate: 1 },
  async ({ romeo, juliet, kate, graphql }) => {
    await blocks(romeo, "block", juliet.bare);
    for (const leave of [false, true]) {
      if (leave) await romeo.leaves();
      const events = await graphql.user(romeo).subscribes("stanza.subscribeForMessages", {});
      if (!(events instanceof EventReader)) throw new Error("The subscription was refused");
      for (const c of [juliet, kate]) {
        c.says(`<message to="${romeo.bare}" type="chat" id="m"><body>from ${c.local}</body></message>`);
        await c.settled();
        await c.settles();
      }
      expect(await events.value()).toMatchObject({ sender: kate.full });
      await events.stop();
      await juliet.settles();
    }
  },
);
