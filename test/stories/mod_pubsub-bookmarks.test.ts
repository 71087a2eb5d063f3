// XEP-0402 with XEP-0048, XEP-0049 and XEP-0411: bookmarks are the same wherever a client looks for them.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import { type Fields, freshNode, NS_EVENT, NS_PUBSUB, Pubsub, retractEvent, wantsEvents } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const NATIVE = "urn:xmpp:bookmarks:1";
const LEGACY = "storage:bookmarks";
const NS_INFO = "http://jabber.org/protocol/disco#info";
const { story } = stage({ modules: { mod_caps: {}, mod_pubsub: {} } });
/** What clients send with every bookmark (XEP-0402 §4.3). */
const OPTIONS: Fields = {
  persist_items: "true",
  max_items: "max",
  send_last_published_item: "never",
  access_model: "whitelist",
};
const PLAY = "theplay@conference.shakespeare.lit";
const ORCHARD = "orchard@conference.shakespeare.lit";
const native = (inside: string, attributes = "") => `<conference xmlns="${NATIVE}"${attributes}>${inside}</conference>`;
const legacy = (jid: string, inside: string, attributes = "") =>
  `<conference jid="${jid}"${attributes}>${inside}</conference>`;
const storage = (inside: string) => `<storage xmlns="${LEGACY}">${inside}</storage>`;

async function privately(c: Client, element: string): Promise<void> {
  c.says(`<iq type="set" id="priv"><query xmlns="jabber:iq:private">${element}</query></iq>`);
  await c.skipsTo((e) => e.name === "iq" && e.attrs["id"] === "priv" && e.attrs["type"] === "result");
}
async function privateBookmarks(c: Client): Promise<XElement> {
  c.says(`<iq type="get" id="priv"><query xmlns="jabber:iq:private">${storage("")}</query></iq>`);
  const answer = await c.hears(`<iq type="result" id="priv"/>`);
  return childOf(childOf(answer, "query", "jabber:iq:private")!, "storage", LEGACY)!;
}
async function legacyItem(own: Pubsub): Promise<XElement> {
  const answer = await own.gets("get", `<items node="${LEGACY}"/>`);
  const items = childrenOf(childOf(childOf(answer, "pubsub", NS_PUBSUB)!, "items", NS_PUBSUB)!);
  expect(items.length).toBe(1);
  return childOf(items[0], "storage", LEGACY)!;
}
async function nativeItems(own: Pubsub): Promise<Record<string, XElement>> {
  const answer = await own.gets("get", `<items node="${NATIVE}"/>`);
  const items = childrenOf(childOf(childOf(answer, "pubsub", NS_PUBSUB)!, "items", NS_PUBSUB)!);
  return Object.fromEntries(items.map((i) => [i.attrs["id"], childOf(i, "conference", NATIVE)!]));
}
const rooms = (element: XElement) => childrenOf(element).flatMap((e) => e.attrs["jid"] ?? []);
const textOf = (e: XElement | undefined) => e?.children.join("");

describe("urn:xmpp:bookmarks:1#compat", () => {
  story("the account says that it converts", { romeo: 1 }, async ({ romeo }) => {
    romeo.says(`<iq type="get" id="d" to="${romeo.bare}"><query xmlns="${NS_INFO}"/></iq>`);
    const query = childOf(await romeo.hears(`<iq type="result" id="d"/>`), "query", NS_INFO)!;
    expect(childrenOf(query).map((e) => e.attrs["var"])).toEqual(
      expect.arrayContaining([`${NATIVE}#compat`, `${NATIVE}#compat-pep`, "urn:xmpp:bookmarks-conversion:0"]),
    );
  });

  story("XEP-0402 §5.3.1: what is published is in the old places too", { romeo: 1 }, async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const extensions = `<extensions><state xmlns="http://myclient.example/bookmark/state" minimized="true"/></extensions>`;
    await own.publish(NATIVE, PLAY, OPTIONS, native(`<nick>JC</nick>${extensions}`, ` name="The Play's" autojoin="1"`));
    await own.publish(NATIVE, ORCHARD, OPTIONS, native("<password>secret</password>"));
    for (const element of [await privateBookmarks(romeo), await legacyItem(own)]) {
      expect(rooms(element)).toEqual([PLAY, ORCHARD]);
      const [play, orchard] = childrenOf(element);
      expect(play.attrs).toMatchObject({ name: "The Play's", autojoin: "true" });
      expect(textOf(childOf(play, "nick", LEGACY))).toBe("JC");
      const inside = childrenOf(childOf(play, "extensions", LEGACY)!);
      expect(inside.map((e) => [e.name, e.ns])).toEqual([["state", "http://myclient.example/bookmark/state"]]);
      expect(orchard.attrs).toMatchObject({ autojoin: "false" });
      expect(textOf(childOf(orchard, "password", LEGACY))).toBe("secret");
    }
    await own.retract(NATIVE, PLAY, "true");
    for (const element of [await privateBookmarks(romeo), await legacyItem(own)]) {
      expect(rooms(element)).toEqual([ORCHARD]);
    }
    expect(await own.configuration(LEGACY)).toMatchObject({ access_model: ["whitelist"] });
  });

  story(
    "XEP-0402 §5.3.2: what an old client writes privately becomes items; only what is different is told",
    { romeo: 2 },
    async ({ romeo: [old, modern] }) => {
      const own = new Pubsub(modern, modern.bare);
      await wantsEvents(modern, NATIVE);
      await old.settles();
      const extensions = `<extensions><state xmlns="urn:state"/></extensions>`;
      const kept = native(`<nick>JC</nick>${extensions}`, ` name="Play" autojoin="true"`);
      await own.publish(NATIVE, PLAY, OPTIONS, kept).catch(() => undefined);
      await own.publish(NATIVE, ORCHARD, OPTIONS, native("")).catch(() => undefined);
      await modern.settles();
      const url = `<url name="Works" url="http://shakespeare.lit/"/>`;
      const same = legacy(PLAY, "<nick>JC</nick>", ` name="Play" autojoin="1"`);
      const fresh = legacy("garden@rooms.lit", "", ` name="Garden"`);
      await privately(old, storage(url + same + fresh));
      await modern.hears(
        `<message from="${modern.bare}" type="headline"><event xmlns="${NS_EVENT}"><items node="${NATIVE}"><item id="garden@rooms.lit"><conference xmlns="${NATIVE}" name="Garden" autojoin="false"/></item></items></event></message>${retractEvent(modern.bare, NATIVE, ORCHARD)}`,
      );
      await modern.receivesNothing();
      const items = await nativeItems(own);
      expect(Object.keys(items).sort()).toEqual(["garden@rooms.lit", PLAY].sort());
      // The old client knows of no extensions: it has not taken them out.
      expect(childOf(items[PLAY], "extensions", NATIVE)).toBeDefined();
      expect(rooms(await legacyItem(own)).sort()).toEqual(["garden@rooms.lit", PLAY].sort());
      // Bookmarks of pages stay when a modern client writes.
      await own.retract(NATIVE, PLAY);
      const element = await privateBookmarks(old);
      expect(childrenOf(element).map((e) => e.name)).toEqual(["conference", "url"]);
    },
  );

  story("XEP-0048: what is published in one item becomes many, and private", { romeo: 1 }, async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    const rooms2 = legacy(PLAY, "<nick>JC</nick>", ` autojoin="true"`) + legacy(ORCHARD, "") + legacy("@@", "");
    await own.publish(LEGACY, "current", { access_model: "whitelist", persist_items: "true" }, storage(rooms2));
    const items = await nativeItems(own);
    expect(Object.keys(items)).toEqual([PLAY, ORCHARD]);
    expect(items[PLAY].attrs["autojoin"]).toBe("true");
    expect(rooms(await privateBookmarks(romeo))).toEqual([PLAY, ORCHARD]);
    expect(await own.configuration(NATIVE)).toMatchObject({
      access_model: ["whitelist"],
      max_items: ["max"],
      send_last_published_item: ["never"],
    });
  });

  story(
    "XEP-0411: bookmarks from before are there for the first modern client, and none is lost when it publishes",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, server }) => {
      const { writePrivate } = await import("../../modules/mod_private.ts");
      const { parseBareJid } = await import("../../core/jid.ts");
      const host = server.node.hostOf("localhost")!;
      for (const c of [romeo, juliet]) {
        await writePrivate(host, parseBareJid(c.bare), LEGACY, storage(legacy(PLAY, "", ` name="Play"`)));
      }
      expect(Object.keys(await nativeItems(new Pubsub(romeo, romeo.bare)))).toEqual([PLAY]);
      const hers = new Pubsub(juliet, juliet.bare);
      await hers.publish(NATIVE, ORCHARD, OPTIONS, native(""));
      expect(Object.keys(await nativeItems(hers))).toEqual([PLAY, ORCHARD]);
      expect(rooms(await privateBookmarks(juliet))).toEqual([PLAY, ORCHARD]);
    },
  );

  story(
    "XEP-0411 §5: bookmarks are not copied to where others can read them, and are nobody else's",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      const [own, hers] = [new Pubsub(romeo, romeo.bare), new Pubsub(juliet, romeo.bare)];
      await own.create(NATIVE, { access_model: "open" });
      await privately(romeo, storage(legacy(PLAY, "")));
      expect(await hers.items(NATIVE)).toEqual([]);
      await hers.refused("get", `<items node="${LEGACY}"/>`, ["cancel", "item-not-found"]);
      const other = new Pubsub(juliet, juliet.bare);
      await other.publish(NATIVE, PLAY, OPTIONS, native(""));
      for (const node of [NATIVE, LEGACY]) {
        const closed = ["cancel", "not-allowed", "closed-node"] as const;
        await new Pubsub(romeo, juliet.bare).refused("get", `<items node="${node}"/>`, closed);
      }
    },
  );

  story("a node that is deleted takes the bookmarks with it", { romeo: 1 }, async ({ romeo }) => {
    const own = new Pubsub(romeo, romeo.bare);
    await own.publish(NATIVE, PLAY, OPTIONS, native(""));
    await own.remove(NATIVE);
    await romeo.settled();
    await own.publish(freshNode(), "x");
    expect(rooms(await privateBookmarks(romeo))).toEqual([]);
  });
});
