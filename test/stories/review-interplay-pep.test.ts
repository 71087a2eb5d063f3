// Personal eventing with capabilities, rosters, conversions and other clients at the same time.

import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childrenOf, textOf, type XElement } from "../support/match.ts";
import { capabilities, item, Pubsub, publishing, wantsEvents } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({
  listen: { c2s: [{ port: 0, ip_address: "127.0.0.1", max_stanza_size: 600_000 }] },
  modules: { mod_caps: {}, mod_pubsub: {}, mod_vcard: {}, mod_private: {} },
});
const NODE = "urn:interplay";
const NATIVE = "urn:xmpp:bookmarks:1";
const LEGACY = "storage:bookmarks";

function find(e: XElement, name: string): XElement | undefined {
  if (e.name === name) return e;
  for (const c of childrenOf(e)) {
    const found = find(c, name);
    if (found) return found;
  }
  return undefined;
}
function all(e: XElement, name: string): XElement[] {
  return [...(e.name === name ? [e] : []), ...childrenOf(e).flatMap((c) => all(c, name))];
}
const caps = (...nodes: string[]) => capabilities(nodes.flatMap((n) => [n, `${n}+notify`]));
const pause = (ms = 100) => new Promise((resolve) => setTimeout(resolve, ms));
async function came(c: Client): Promise<XElement[]> {
  await c.settled();
  await pause();
  return c.settles();
}
const answers = (c: Client, iq: XElement, query: string) =>
  c.says(`<iq type="result" id="${iq.attrs["id"]}" to="${iq.attrs["from"]}">${query}</iq>`);

story(
  "XEP-0115: the last of many capabilities in a row counts, whenever the answers come",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    for (const n of ["a", "b", "c"]) await own.publish(`${NODE}:${n}`, "1");
    const kinds = ["a", "b", "c"].map((n) => caps(`${NODE}:${n}`, `urn:kind:${romeo.local}`));
    for (const k of kinds) romeo.says(`<presence>${k.c}</presence>`);
    const events: XElement[] = [];
    for (let n = 0; n < 6; n++) {
      for (const e of await came(romeo)) {
        if (e.name === "message") events.push(e);
        if (e.name !== "iq") continue;
        const asked = find(e, "query")?.attrs["node"];
        const kind = kinds.find((k) => k.query.includes(`node="${asked}"`))!;
        answers(romeo, e, kind.query);
      }
    }
    expect(events.map((e) => find(e, "items")?.attrs["node"])).toEqual([`${NODE}:c`]);
    for (const n of ["a", "b"]) await own.publish(`${NODE}:${n}`, "2");
    await romeo.receivesNothing();
    own.asks("set", publishing(`${NODE}:c`, item("2")));
    await romeo.hears(`<message/><iq type="result"/>`);
  },
);

story("an answer that comes when the session is unavailable tells nothing", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  await own.publish(NODE, "1");
  const kind = caps(NODE, `urn:kind:late:${romeo.local}`);
  romeo.says(`<presence>${kind.c}</presence>`);
  const [iq] = (await came(romeo)).filter((e) => e.name === "iq");
  romeo.says(`<presence type="unavailable"/>`);
  await came(romeo);
  answers(romeo, iq, kind.query);
  expect(await came(romeo)).toEqual([]);
  await own.publish(NODE, "2");
  await romeo.receivesNothing();
  // Back again: the same hash, which may be known or not by now.
  romeo.says(`<presence>${kind.c}</presence>`);
  const back = await came(romeo);
  for (const e of back) if (e.name === "iq") answers(romeo, e, kind.query);
  const got = [...back, ...(await came(romeo))].filter((e) => e.name === "message");
  expect(got.map((e) => find(e, "item")?.attrs["id"])).toEqual(["2"]);
});

story(
  "directed presence does not change what a client wants",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    juliet.says(`<presence to="${romeo.bare}">${caps(NODE, "urn:directed").c}</presence>`);
    await juliet.settles();
    await romeo.settles();
    await new Pubsub(romeo, romeo.bare).publish(NODE, "1");
    await juliet.receivesNothing();
    await wantsEvents(juliet, NODE);
    await juliet.settles();
    await romeo.settles();
    juliet.says(`<presence to="${romeo.bare}"/>`);
    juliet.says(`<presence to="${romeo.bare}" type="unavailable"/>`);
    await juliet.settles();
    await romeo.settles();
    await new Pubsub(romeo, romeo.bare).publish(NODE, "2");
    await juliet.hears(`<message from="${romeo.bare}"/>`);
  },
);

story(
  "whose subscription ends gets no more, not by a subscription to the node either",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    const own = new Pubsub(romeo, romeo.bare);
    await own.create(NODE);
    await wantsEvents(juliet, NODE);
    await new Pubsub(juliet, romeo.bare).subscribe(NODE, juliet.bare);
    await romeo.settles();
    own.asks("set", publishing(NODE, item("1")));
    await juliet.hears(`<message from="${romeo.bare}"/>`);
    await romeo.settles();
    romeo.says(`<presence to="${juliet.bare}" type="unsubscribed"/>`);
    await romeo.settles();
    await juliet.settles();
    await own.publish(NODE, "2");
    await juliet.receivesNothing();
    await new Pubsub(juliet, romeo.bare).refused("get", `<items node="${NODE}"/>`, [
      "auth",
      "not-authorized",
      "presence-subscription-required",
    ]);
  },
);

story(
  "two clients make the same node at once: there is one, and both have published",
  { romeo: 2 },
  async ({ romeo: [laptop, phone] }) => {
    for (let n = 0; n < 10; n++) {
      const node = `${NODE}:race:${n}`;
      for (const c of [laptop, phone]) {
        new Pubsub(c, c.bare).asks(
          "set",
          publishing(node, item(c.resource), { max_items: "10", access_model: "whitelist" }),
        );
      }
      for (const c of [laptop, phone]) await c.hears(`<iq type="result"/>`);
      const ids = await new Pubsub(laptop, laptop.bare).items(node);
      expect(ids.toSorted()).toEqual(["laptop", "phone"]);
    }
  },
);

story(
  "retracting, configuring and deleting what is another's",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    await own.create(NODE, { publish_model: "open", access_model: "open", max_items: "10" });
    await own.publish(NODE, "his");
    await hers.publish(NODE, "hers");
    await hers.refused("set", `<retract node="${NODE}"><item id="his"/></retract>`, ["auth", "forbidden"]);
    await hers.refused("set", `<retract node="${NODE}"><item id="none"/></retract>`, ["auth", "forbidden"]);
    expect((await own.items(NODE)).toSorted()).toEqual(["hers", "his"]);
    await hers.retract(NODE, "hers");
    expect(await own.items(NODE)).toEqual(["his"]);
    // An item of the same id is not taken over from its publisher without a trace.
    await own.publish(NODE, "mine");
    await romeo.settles();
  },
);

story(
  "a big item to a client that does not read: nobody waits for it, it comes whole",
  { romeo: 1, juliet: 1, kate: 1 },
  async ({ romeo, juliet, kate, befriend, door }) => {
    if (door === "websocket") {
      await romeo.receivesNothing();
      return;
    }
    for (const c of [juliet, kate]) {
      await befriend(romeo, c);
      await wantsEvents(c, NODE);
    }
    await romeo.settles();
    const own = new Pubsub(romeo, romeo.bare);
    const text = "x".repeat(60_000);
    for (let n = 0; n < 20; n++) own.asks("set", publishing(NODE, item(`${n}`, `<big xmlns="urn:big">${text}</big>`)));
    for (let n = 0; n < 20; n++) await kate.hears(`<message from="${romeo.bare}"/>`);
    for (let n = 0; n < 20; n++) {
      const m = await juliet.hears(`<message from="${romeo.bare}"/>`);
      expect(textOf(find(m, "big")!).length).toBe(text.length);
    }
  },
);

story(
  "XEP-0060 §7.1.5: publish-options that do not fit what is there change nothing",
  { romeo: 1 },
  async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    await own.publish(NODE, "1", { access_model: "whitelist", max_items: "5" });
    await own.refused("set", publishing(NODE, item("2"), { access_model: "open" }), [
      "cancel",
      "conflict",
      "precondition-not-met",
    ]);
    expect(await own.items(NODE)).toEqual(["1"]);
    expect((await own.configuration(NODE))["access_model"]).toEqual(["whitelist"]);
    await own.publish(NODE, "3", { access_model: "whitelist" });
  },
);

const picture = (text: string) => {
  const bytes = Buffer.from(text);
  return { base64: bytes.toString("base64"), hash: createHash("sha1").update(bytes).digest("hex") };
};
const vcardSet = (p: ReturnType<typeof picture>, fn: string) =>
  `<iq type="set" id="v"><vCard xmlns="vcard-temp"><FN>${fn}</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>${p.base64}</BINVAL></PHOTO></vCard></iq>`;

story(
  "XEP-0398: two clients that set an avatar at once, each in its way, end with one",
  { romeo: 2 },
  async ({ romeo: [laptop, phone] }) => {
    const own = new Pubsub(laptop, laptop.bare);
    for (let n = 0; n < 5; n++) {
      const [a, b] = [picture(`a${n}`), picture(`b${n}`)];
      phone.says(vcardSet(b, "Romeo"));
      own.asks(
        "set",
        publishing("urn:xmpp:avatar:data", item(a.hash, `<data xmlns="urn:xmpp:avatar:data">${a.base64}</data>`), {
          access_model: "open",
        }),
      );
      own.asks(
        "set",
        publishing(
          "urn:xmpp:avatar:metadata",
          item(
            a.hash,
            `<metadata xmlns="urn:xmpp:avatar:metadata"><info id="${a.hash}" bytes="2" type="image/png"/></metadata>`,
          ),
          { access_model: "open" },
        ),
      );
      await came(laptop);
      await came(phone);
      const metadata = await own.gets("get", `<items node="urn:xmpp:avatar:metadata" max_items="1"/>`);
      const hash = find(metadata, "info")!.attrs["id"];
      laptop.says(`<iq type="get" id="v"><vCard xmlns="vcard-temp"/></iq>`);
      const vcard = await laptop.hears(`<iq type="result" id="v"/>`);
      const bytes = Buffer.from(textOf(find(vcard, "BINVAL")!), "base64");
      expect(createHash("sha1").update(bytes).digest("hex")).toBe(hash);
      expect(textOf(find(vcard, "FN")!)).toBe("Romeo");
      phone.says(`<presence/>`);
      const shown = await laptop.hears(`<presence from="${phone.full}"/>`);
      expect(textOf(find(shown, "photo")!)).toBe(hash);
      await phone.settles();
      await laptop.settles();
    }
  },
);

story(
  "XEP-0398 §4: a resumed session has the hash of the avatar of now",
  { romeo: 1 },
  async ({ romeo, another, server, door }) => {
    await romeo.managesStream();
    romeo.says(vcardSet(picture("one"), "R"));
    await romeo.skipsTo((e) => e.name === "iq");
    await romeo.breaks();
    const other = await another(romeo).logsIn(server.target(door), "other");
    other.says(vcardSet(picture("two"), "R"));
    await other.skipsTo((e) => e.name === "iq");
    const again = another(romeo);
    await again.connects(server.target(door));
    await again.opens();
    await again.authenticates();
    again.sendsRaw(`<resume xmlns='urn:xmpp:sm:3' previd='${romeo.resumeId}' h='0'/>`);
    await again.skipsTo((e) => e.name === "resumed");
    again.managed = true;
    await again.settles();
    again.says("<presence><status>back</status></presence>");
    const shown = await again.hears(`<presence from="${romeo.full}"/>`);
    expect(textOf(find(shown, "photo")!)).toBe(picture("two").hash);
  },
);

const conference = (jid: string, ns = "") => `<conference${ns} jid="${jid}" name="${jid}"/>`;
const storage = (...rooms: string[]) =>
  `<storage xmlns="${LEGACY}">${rooms.map((r) => conference(r)).join("")}</storage>`;
const privately = (...rooms: string[]) =>
  `<iq type="set" id="p"><query xmlns="jabber:iq:private">${storage(...rooms)}</query></iq>`;
const PRIVATE = { access_model: "whitelist", persist_items: "true", max_items: "max" };

async function everywhere(c: Client): Promise<string[][]> {
  const own = new Pubsub(c, c.bare);
  const native = (await own.items(NATIVE)).toSorted();
  const old = all(await own.gets("get", `<items node="${LEGACY}"/>`), "conference")
    .map((e) => e.attrs["jid"] ?? "")
    .toSorted();
  c.says(`<iq type="get" id="p"><query xmlns="jabber:iq:private"><storage xmlns="${LEGACY}"/></query></iq>`);
  const priv = all(await c.hears(`<iq type="result" id="p"/>`), "conference")
    .map((e) => e.attrs["jid"] ?? "")
    .toSorted();
  return [native, old, priv];
}

story(
  "XEP-0402: clients that write bookmarks in each form at once; afterwards all forms agree and nothing circles",
  { romeo: 2 },
  async ({ romeo: [laptop, phone] }) => {
    const own = new Pubsub(laptop, laptop.bare);
    phone.says(privately("a@r", "b@r"));
    await phone.hears(`<iq type="result" id="p"/>`);
    for (let n = 0; n < 5; n++) {
      phone.says(privately("a@r", `p${n}@r`));
      own.asks("set", publishing(NATIVE, item(`n${n}@r`, `<conference xmlns="${NATIVE}" name="n"/>`), PRIVATE));
      own.asks(
        "set",
        publishing(LEGACY, item("current", storage("a@r", `l${n}@r`)), {
          access_model: "whitelist",
          persist_items: "true",
        }),
      );
      await came(phone);
      await came(laptop);
      const [native, old, priv] = await everywhere(laptop);
      expect(old).toEqual(native);
      expect(priv).toEqual(native);
      expect(native).toContain("a@r");
    }
    // Nothing is still going on.
    await pause();
    await laptop.receivesNothing();
  },
);

story("bookmarks that private storage has no room for are still bookmarks", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  for (let n = 0; n < 100; n++)
    romeo.says(`<iq type="set" id="q${n}"><query xmlns="jabber:iq:private"><x xmlns="urn:fill:${n}"/></query></iq>`);
  await romeo.settles();
  await own.publish(NATIVE, "a@r", PRIVATE, `<conference xmlns="${NATIVE}" name="n"/>`);
  await own.publish(NATIVE, "b@r", PRIVATE, `<conference xmlns="${NATIVE}" name="n"/>`);
  expect((await own.items(NATIVE)).toSorted()).toEqual(["a@r", "b@r"]);
  const old = all(await own.gets("get", `<items node="${LEGACY}"/>`), "conference").map((e) => e.attrs["jid"]);
  expect(old.toSorted()).toEqual(["a@r", "b@r"]);
});

story(
  "XEP-0490: what was read is published with the prefix that it leaned on, and not to the other side",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet }) => {
    await wantsEvents(phone, "urn:xmpp:mds:displayed:0");
    await laptop.settles();
    laptop.sendsRaw(
      `<message xmlns='jabber:client' xmlns:m='urn:xmpp:mds:displayed:0' xmlns:s='urn:xmpp:sid:0' to='${juliet.bare}' type='chat' id='d'><body>x</body><m:displayed><s:stanza-id by='${laptop.bare}' id='1&amp;2'/></m:displayed></message>`,
    );
    const m = await juliet.hears(`<message id="d"/>`);
    expect(find(m, "displayed")).toBeUndefined();
    const event = await phone.hears(`<message from="${laptop.bare}"/>`);
    expect(find(event, "stanza-id")).toMatchObject({ ns: "urn:xmpp:sid:0", attrs: { id: "1&2" } });
  },
);
