// Presence and messages that several features edit, copy or hold on their way.
import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childrenOf, textOf, type XElement } from "../support/match.ts";
import { activates, blocks, item, ofJid, reaches } from "../support/privacy.ts";
import { Pubsub, wantsEvents } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({
  modules: {
    mod_caps: {},
    mod_pubsub: {},
    mod_vcard: {},
    mod_privacy: {},
    mod_blocking: {},
    mod_amp: {},
    mod_csi: { buffer_max: 40 },
    mod_offline: {},
    mod_smart_markers: { backend: "rdbms" },
    mod_offline_chatmarkers: {},
  },
});
const UPDATE = "vcard-temp:x:update";

function all(e: XElement, name: string): XElement[] {
  return [...(e.name === name ? [e] : []), ...childrenOf(e).flatMap((c) => all(c, name))];
}
async function hasAvatar(c: Client): Promise<string> {
  const bytes = Buffer.from(`picture of ${c.bare}`);
  c.says(
    `<iq type="set" id="v"><vCard xmlns="vcard-temp"><PHOTO><TYPE>image/png</TYPE><BINVAL>${bytes.toString("base64")}</BINVAL></PHOTO></vCard></iq>`,
  );
  await c.skipsTo((e) => e.name === "iq" && e.attrs["id"] === "v");
  return createHash("sha1").update(bytes).digest("hex");
}

story(
  "XEP-0398 §4: the hash is there once, in whatever way presence is sent",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    const hash = await hasAvatar(romeo);
    await romeo.settles();
    await juliet.settles();
    const empty = `<x xmlns="${UPDATE}"/>`;
    for (const [attributes, inside] of [
      ["", ""],
      ["", empty],
      [` to="${romeo.bare}"`, ""],
      [` to="${romeo.bare}"`, empty],
      [` type="available"`, ""],
      [` type="available"`, empty],
      [` to="${juliet.bare}"`, empty],
      [` to="${juliet.full}"`, empty],
      [` to="${romeo.full}"`, empty],
    ]) {
      romeo.says(`<presence${attributes}>${inside}<status>s</status></presence>`);
      const seen = attributes.includes(romeo.full) ? romeo : juliet;
      const shown = await seen.skipsTo((e) => e.name === "presence" && e.attrs["from"] === romeo.full);
      expect([attributes, inside, all(shown, "photo").map(textOf), all(shown, "x").length]).toEqual([
        attributes,
        inside,
        [hash],
        1,
      ]);
    }
    romeo.tally.assertions++;
    // And to who comes later.
    juliet.says(`<presence type="unavailable"/>`);
    await juliet.settles();
    romeo.says(`<presence to="${romeo.bare}">${empty}</presence>`);
    await romeo.settles();
    juliet.says("<presence/>");
    const shown = await juliet.skipsTo((e) => e.name === "presence" && e.attrs["from"] === romeo.full);
    expect(all(shown, "photo").map(textOf)).toEqual([hash]);
    expect(all(shown, "x").length).toBe(1);
  },
);

story(
  "XEP-0490, XEP-0280, XEP-0160: what is taken out of a message is in no copy of it and not in what is stored",
  { romeo: 2, juliet: 0, kate: 1 },
  async ({ romeo: [laptop, phone], juliet, kate }) => {
    await phone.enables("carbons");
    const displayed = `<displayed xmlns="urn:xmpp:mds:displayed:0"><stanza-id xmlns="urn:xmpp:sid:0" by="${laptop.bare}" id="1"/></displayed>`;
    for (const to of [juliet.bare, kate.bare]) {
      laptop.says(`<message to="${to}" type="chat" id="d"><body>x</body>${displayed}</message>`);
      const copy = await phone.hears(`<message from="${laptop.bare}"/>`);
      expect(all(copy, "displayed")).toEqual([]);
    }
    expect(all(await kate.hears(`<message id="d"/>`), "displayed")).toEqual([]);
    const hers = await juliet.comes();
    hers.says("<presence/>");
    expect(all(await hers.skipsTo((e) => e.name === "message"), "displayed")).toEqual([]);
    // An error gives nothing of it back to others either.
    laptop.says(`<message to="nobody@localhost" type="chat" id="e"><body>x</body>${displayed}</message>`);
    await laptop.hears(`<message type="error" id="e"/>`);
  },
);

story(
  "messages to oneself: each session once, no copy beside it, whatever is switched on",
  { romeo: 3 },
  async ({ romeo: [laptop, phone, tablet] }) => {
    for (const c of [laptop, phone, tablet]) await c.enables("carbons");
    laptop.says(`<message to="${laptop.bare}" type="chat" id="a"><body>x</body></message>`);
    for (const c of [laptop, phone, tablet]) await c.hears(`<message id="a" from="${laptop.full}"/>`);
    laptop.says(`<message to="${phone.full}" type="chat" id="b"><body>x</body></message>`);
    await phone.hears(`<message id="b" from="${laptop.full}"/>`);
    await tablet.hears(`<message from="${laptop.bare}"/>`);
    laptop.says(`<message to="${laptop.full}" type="chat" id="c"><body>x</body></message>`);
    await laptop.hears(`<message id="c"/>`);
    for (const c of [phone, tablet]) await c.hears(`<message from="${laptop.bare}"/>`);
    for (const c of [laptop, phone, tablet]) await c.receivesNothing();
  },
);

story(
  "who blocks his own domain, his own server or himself can still take it back",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet }) => {
    await blocks(laptop, "block", laptop.domain, laptop.bare, phone.full);
    await phone.settles();
    await reaches(phone, laptop);
    await reaches(laptop, phone, phone.full);
    laptop.says(`<presence><show>away</show></presence>`);
    await phone.hears(`<presence from="${laptop.full}"><show>away</show></presence>`);
    await laptop.hears(`<presence from="${laptop.full}"/>`);
    await new Pubsub(laptop, laptop.bare).publish("urn:own", "1");
    juliet.says(`<presence to="${laptop.bare}" type="subscribe"/>`);
    await juliet.settles();
    await laptop.receivesNothing();
    await blocks(phone, "unblock");
    await laptop.settles();
    await reaches(juliet, laptop);
  },
);

story(
  "XEP-0191 §3.4: who is let go gets the newest items again when he comes, and events at once",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    await wantsEvents(juliet, "urn:node");
    await romeo.settles();
    const own = new Pubsub(romeo, romeo.bare);
    await own.publish("urn:node", "1");
    await juliet.hears(`<message from="${romeo.bare}"/>`);
    await blocks(romeo, "block", juliet.bare);
    await juliet.hears(`<presence type="unavailable" from="${romeo.full}"/>`);
    await own.publish("urn:node", "2");
    await juliet.receivesNothing();
    await blocks(romeo, "unblock", juliet.bare);
    await juliet.hears(`<presence from="${romeo.full}"/>`);
    await own.publish("urn:node", "3");
    await juliet.hears(`<message from="${romeo.bare}"/>`);
  },
);

story(
  "XEP-0352, XEP-0198: an inactive client that breaks off and resumes has all events and messages, in order, once",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend, another, server, door }) => {
    await befriend(romeo, juliet);
    await wantsEvents(romeo, "urn:node");
    await juliet.settles();
    await romeo.managesStream();
    romeo.says(`<inactive xmlns="urn:xmpp:csi:0"/>`);
    await romeo.settled();
    const hers = new Pubsub(juliet, juliet.bare);
    for (let n = 0; n < 3; n++) {
      juliet.says(`<message to="${romeo.full}" type="chat" id="m${n}"><body>${n}</body></message>`);
      await hers.publish("urn:node", `i${n}`);
    }
    await romeo.breaks();
    juliet.says(`<message to="${romeo.full}" type="chat" id="m3"><body>3</body></message>`);
    await hers.publish("urn:node", "i3");
    const again = another(romeo);
    await again.connects(server.target(door));
    await again.opens();
    await again.authenticates();
    again.sendsRaw(`<resume xmlns='urn:xmpp:sm:3' previd='${romeo.resumeId}' h='${romeo.received}'/>`);
    await again.skipsTo((e) => e.name === "resumed");
    again.managed = true;
    await again.settled();
    const names = again.waiting.map((e) => all(e, "item")[0]?.attrs["id"] ?? e.attrs["id"]);
    expect(names).toEqual(["m0", "i0", "m1", "i1", "m2", "i2", "m3", "i3"]);
  },
);

story(
  "XEP-0333: markers from who is blocked since are not shown, those of others are",
  { romeo: 0, juliet: 1, kate: 1 },
  async ({ romeo, juliet, kate }) => {
    for (const c of [juliet, kate]) {
      c.says(
        `<message to="${romeo.bare}" type="chat" id="m"><displayed xmlns="urn:xmpp:chat-markers:0" id="1"/></message>`,
      );
      await c.settles();
    }
    const his = await romeo.comes();
    await blocks(his, "block", juliet.bare);
    his.says("<presence/>");
    await his.skipsTo((e) => e.name === "message" && e.attrs["from"]?.startsWith(kate.bare) === true);
    await his.skipsTo((e) => e.name === "presence");
    await his.receivesNothing();
  },
);

story(
  "XEP-0186-like absence: directed presence, a block and its end, and the session's end are told once each",
  { romeo: 1, juliet: 1, kate: 1 },
  async ({ romeo, juliet, kate, befriend }) => {
    await befriend(romeo, kate);
    romeo.says(`<presence to="${juliet.bare}"/>`);
    await juliet.hears(`<presence from="${romeo.full}"/>`);
    await blocks(romeo, "block", juliet.bare);
    await juliet.hears(`<presence from="${romeo.full}" type="unavailable"/>`);
    romeo.says(`<presence to="${juliet.bare}"/>`);
    await romeo.settles();
    await juliet.receivesNothing();
    await blocks(romeo, "unblock", juliet.bare);
    await juliet.hears(`<presence from="${romeo.full}" type="{none}"/>`);
    await romeo.leaves();
    await juliet.hears(`<presence from="${romeo.full}" type="unavailable"/>`);
    await kate.hears(`<presence from="${romeo.full}" type="unavailable"/>`);
    await juliet.receivesNothing();
  },
);

story(
  "XEP-0126: a session that hides from somebody is in no list of resources that he gets, and not what was last active",
  { romeo: 2, juliet: 1, kate: 1 },
  async ({ romeo: [laptop, phone], juliet, kate, befriend }) => {
    await befriend(laptop, juliet);
    await befriend(laptop, kate);
    await phone.settles();
    const resources = async (c: Client) => {
      c.says(`<iq type="get" id="i" to="${laptop.bare}"><query xmlns="http://jabber.org/protocol/disco#items"/></iq>`);
      const answer = await c.skipsTo((e) => e.attrs["id"] === "i");
      c.tally.assertions++;
      return all(answer, "item")
        .map((e) => e.attrs["jid"])
        .toSorted();
    };
    await activates(phone, "hidden", item(1, "deny", ofJid(juliet.bare), "presence-out"));
    await laptop.settles();
    expect(await resources(juliet)).toEqual([laptop.full]);
    expect(await resources(kate)).toEqual([laptop.full, phone.full]);
    expect(await resources(laptop)).toEqual([laptop.full, phone.full]);
    await laptop.leaves();
    for (const [c, online] of [
      [juliet, false],
      [kate, true],
    ] as const) {
      await new Promise((resolve) => setTimeout(resolve, 600));
      c.says(`<iq type="get" id="l" to="${laptop.bare}"><query xmlns="jabber:iq:last"/></iq>`);
      const answer = await c.skipsTo((e) => e.attrs["id"] === "l");
      expect([c.local, all(answer, "query")[0]?.children.length === 0]).toEqual([c.local, online]);
    }
  },
);
