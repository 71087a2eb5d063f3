// XEP-0084 avatars, and their conversion from and to vCards (XEP-0153) by XEP-0398.
import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { PepStore } from "../../modules/mod_pubsub/store.ts";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import { follows, item, NS_PUBSUB, Pubsub, publishing, wantsEvents } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({ modules: { mod_caps: {}, mod_pubsub: {} } });
const METADATA = "urn:xmpp:avatar:metadata";
const DATA = "urn:xmpp:avatar:data";
const UPDATE = "vcard-temp:x:update";
const OPEN = { access_model: "open" };
const image = (name: string) => {
  const bytes = Buffer.from(`a picture of ${name}`);
  return { base64: bytes.toString("base64"), hash: createHash("sha1").update(bytes).digest("hex"), size: bytes.length };
};
type Image = ReturnType<typeof image>;
const data = ({ base64 }: Image) => `<data xmlns="${DATA}">${base64}</data>`;
const metadata = (...infos: string[]) => `<metadata xmlns="${METADATA}">${infos.join("")}</metadata>`;
const info = ({ hash, size }: Image, more = "") => `<info id="${hash}" bytes="${size}" type="image/png"${more}/>`;

async function publishesAvatar(c: Client, picture: Image, options: Record<string, string> = OPEN): Promise<void> {
  const own = new Pubsub(c, c.bare);
  await own.publish(DATA, picture.hash, options, data(picture));
  const elsewhere = info(picture, ` url="http://example.org/a.png"`);
  await own.publish(METADATA, picture.hash, options, metadata(elsewhere, info(picture)));
}
async function vcardOf(c: Client, jid: string): Promise<XElement> {
  c.says(`<iq type="get" id="v" to="${jid}"><vCard xmlns="vcard-temp"/></iq>`);
  return childOf(await c.hears(`<iq type="result" id="v"/>`), "vCard", "vcard-temp")!;
}
async function setsVcard(c: Client, inside: string): Promise<void> {
  c.says(`<iq type="set" id="v"><vCard xmlns="vcard-temp">${inside}</vCard></iq>`);
  await c.skipsTo((e) => e.name === "iq" && e.attrs["id"] === "v" && e.attrs["type"] === "result");
}
const photoOf = (vcard: XElement) => {
  const photo = childOf(vcard, "PHOTO", "vcard-temp");
  return photo && childOf(photo, "BINVAL", "vcard-temp")?.children.join("");
};
const photo = ({ base64 }: Image) => `<PHOTO><TYPE>image/jpeg</TYPE><BINVAL>${base64}</BINVAL></PHOTO>`;
const stamped = (c: Client, hash: string) =>
  `<presence from="${c.full}"><x xmlns="${UPDATE}"><photo>${hash}</photo></x></presence>`;

story(
  "XEP-0398 §4: an avatar that is set while a session's first presence looks for it is the one that is shown",
  { romeo: 2 },
  async ({ romeo: [laptop, phone], another, server, door }) => {
    await publishesAvatar(laptop, image("Romeo before"));
    await phone.settles();
    const tablet = await another(laptop).logsIn(server.target(door), "tablet");
    const store = server.node.hosts.get("localhost")!.modules.get("mod_pubsub")!.ctx.store as PepStore;
    const come = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const newestOpen = store.newestOpen.bind(store);
    store.newestOpen = async (service, name) => {
      const found = await newestOpen(service, name);
      come.resolve();
      await gate.promise;
      return found;
    };
    tablet.says("<presence/>");
    await come.promise;
    Reflect.deleteProperty(store, "newestOpen");
    await setsVcard(phone, photo(image("Romeo now")));
    gate.resolve();
    await laptop.skipsTo((e) => e.name === "presence" && e.attrs["from"] === tablet.full);
    tablet.says("<presence><show>away</show></presence>");
    await laptop.hears(stamped(tablet, image("Romeo now").hash));
    for (const c of [laptop, phone, tablet]) await c.settles();
  },
);

story("the account says that it converts", { romeo: 1 }, async ({ romeo }) => {
  romeo.says(`<iq type="get" id="d"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`);
  const query = childOf(
    await romeo.hears(`<iq type="result" id="d"/>`),
    "query",
    "http://jabber.org/protocol/disco#info",
  );
  expect(childrenOf(query!).map((e) => e.attrs["var"])).toContain("urn:xmpp:pep-vcard-conversion:0");
});

story(
  "XEP-0084 §3: contacts hear of an avatar and fetch it",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
    const picture = image("Romeo");
    await romeo.comesOnline();
    await wantsEvents(juliet, METADATA);
    await follows(juliet, romeo);
    await own.publish(DATA, picture.hash, undefined, data(picture));
    await juliet.receivesNothing();
    await own.publish(METADATA, picture.hash, undefined, metadata(info(picture)));
    const event = await juliet.hears(`<message from="${romeo.bare}" type="headline"/>`);
    const told = childrenOf(childrenOf(childrenOf(event)[0])[0])[0];
    expect(told.attrs["id"]).toBe(picture.hash);
    const answer = await hers.gets("get", `<items node="${DATA}"><item id="${picture.hash}"/></items>`);
    const got = childrenOf(childOf(childOf(answer, "pubsub", NS_PUBSUB)!, "items", NS_PUBSUB)!)[0];
    expect(childOf(got, "data", DATA)!.children.join("")).toBe(picture.base64);
    // For contacts only: the vCard is everybody's.
    romeo.says(`<iq type="get" id="v"><vCard xmlns="vcard-temp"/></iq>`);
    await romeo.hears(`<iq type="error" id="v"/>`);
  },
  { silent: true },
);

story(
  "XEP-0398 §3.1: an open avatar is in the vCard, beside what was there, and goes from there",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const [first, second] = [image("young Romeo"), image("old Romeo")];
    await setsVcard(romeo, "<FN>Romeo Montague</FN>");
    await publishesAvatar(romeo, first);
    let vcard = await vcardOf(juliet, romeo.bare);
    expect(childOf(vcard, "FN", "vcard-temp")?.children).toEqual(["Romeo Montague"]);
    expect(photoOf(vcard)).toBe(first.base64);
    await publishesAvatar(romeo, second);
    expect(photoOf(await vcardOf(juliet, romeo.bare))).toBe(second.base64);
    await new Pubsub(romeo, romeo.bare).publish(METADATA, "none", undefined, metadata());
    vcard = await vcardOf(juliet, romeo.bare);
    expect(photoOf(vcard)).toBeUndefined();
    expect(childOf(vcard, "FN", "vcard-temp")).toBeDefined();
  },
);

story("XEP-0398 §3.1: an image that is not what its id says is not taken", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  const [picture, forged] = [image("Romeo"), image("Paris")];
  await setsVcard(romeo, "<FN>Romeo</FN>");
  await own.publish(DATA, picture.hash, OPEN, data(forged));
  await own.publish(METADATA, picture.hash, OPEN, metadata(info(picture)));
  await own.publish(METADATA, forged.hash, OPEN, metadata(info(forged)));
  expect(photoOf(await vcardOf(romeo, romeo.bare))).toBeUndefined();
});

story(
  "XEP-0398 §3.2: a vCard's photo becomes data and metadata, once",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet }) => {
    const picture = image("Romeo in Mantua");
    const hers = new Pubsub(juliet, romeo.bare);
    await romeo.comesOnline();
    await wantsEvents(juliet, METADATA);
    await follows(juliet, romeo);
    await setsVcard(romeo, photo(picture));
    const event = await juliet.hears(`<message from="${romeo.bare}" type="headline"/>`);
    const told = childrenOf(childrenOf(childrenOf(event)[0])[0])[0];
    expect(told.attrs["id"]).toBe(picture.hash);
    const [described] = childrenOf(childOf(told, "metadata", METADATA)!);
    expect(described.attrs).toMatchObject({ id: picture.hash, type: "image/jpeg", bytes: String(picture.size) });
    const answer = await hers.gets("get", `<items node="${DATA}"><item id="${picture.hash}"/></items>`);
    const got = childrenOf(childOf(childOf(answer, "pubsub", NS_PUBSUB)!, "items", NS_PUBSUB)!)[0];
    expect(childOf(got, "data", DATA)!.children.join("")).toBe(picture.base64);
    await setsVcard(romeo, `<FN>Romeo</FN>${photo(picture)}`);
    await juliet.receivesNothing();
    // One more that is published the modern way is the vCard's.
    const next = image("Romeo at last");
    await publishesAvatar(romeo, next);
    expect(photoOf(await vcardOf(romeo, romeo.bare))).toBe(next.base64);
  },
  { silent: true },
);

story(
  "XEP-0398 §4: the hash is in the presence, broadcast and directed, of clients that do not know it",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, another, server }) => {
    const [picture, next] = [image("Romeo"), image("Romeo, later")];
    romeo.sends`<presence/>`;
    const plain = await romeo.hears(`<presence from="${romeo.full}"/>`);
    expect(childrenOf(plain)).toEqual([]);
    await publishesAvatar(romeo, picture);
    romeo.sends`<presence/>`;
    await romeo.hears(stamped(romeo, picture.hash));
    romeo.sends`<presence to="${juliet.full}"/>`;
    await juliet.hears(stamped(romeo, picture.hash));
    romeo.says(`<presence><x xmlns="${UPDATE}"/></presence>`);
    const [one] = childrenOf(await romeo.hears(stamped(romeo, picture.hash)));
    expect(childrenOf(one).length).toBe(1);
    romeo.says(`<presence><x xmlns="${UPDATE}"><photo>outdated</photo></x></presence>`);
    expect(childrenOf(await romeo.hears(stamped(romeo, picture.hash))).length).toBe(1);
    romeo.says(`<presence><x xmlns="${UPDATE}"><photo/></x></presence>`);
    await romeo.hears(`<presence from="${romeo.full}"><x xmlns="${UPDATE}"><photo/></x></presence>`);
    // A session that comes later, and one that has seen the old one.
    const phone = await another(romeo).logsIn(server.target("tcp"));
    phone.sends`<presence/>`;
    await phone.skipsTo((e) => e.name === "presence" && e.attrs["from"] === phone.full && childrenOf(e).length === 1);
    await romeo.settles();
    await setsVcard(romeo, photo(next));
    romeo.sends`<presence/>`;
    await romeo.hears(stamped(romeo, next.hash));
  },
  { silent: true },
);

story("a private avatar is in nobody's presence", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  const picture = image("shy Romeo");
  await own.gets("set", publishing(DATA, item(picture.hash, data(picture))));
  await own.gets("set", publishing(METADATA, item(picture.hash, metadata(info(picture)))));
  romeo.sends`<presence/>`;
  expect(childrenOf(await romeo.hears(`<presence from="${romeo.full}"/>`))).toEqual([]);
});

story("nobody else changes a vCard, whatever he may publish", { romeo: 1, paris: 1 }, async ({ romeo, paris }) => {
  const [own, his] = [new Pubsub(romeo, romeo.bare), new Pubsub(paris, romeo.bare)];
  const [picture, forged] = [image("Romeo"), image("Paris")];
  for (const node of [DATA, METADATA]) await own.create(node, { ...OPEN, publish_model: "open", max_items: "max" });
  await publishesAvatar(romeo, picture, {});
  await his.publish(DATA, forged.hash, undefined, data(forged));
  await his.publish(METADATA, forged.hash, undefined, metadata(info(forged)));
  await his.publish(METADATA, "none", undefined, metadata());
  expect(photoOf(await vcardOf(paris, romeo.bare))).toBe(picture.base64);
});
