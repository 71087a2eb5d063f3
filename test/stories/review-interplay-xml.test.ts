// XML that features copy, store and write again: prefixes from around a payload, quotes and brackets in names, languages,
// and the namespace of stanzas on a WebSocket.
import { expect } from "vitest";
import type { Client } from "../support/client.ts";
import { show, textOf, type XElement } from "../support/match.ts";
import { Pubsub } from "../support/pubsub.ts";
import { stage } from "../support/story.ts";

const { story } = stage({
  modules: {
    mod_privacy: {},
    mod_blocking: {},
    mod_caps: {},
    mod_pubsub: {},
    mod_amp: {},
    mod_smart_markers: { backend: "rdbms" },
    mod_csi: {},
    mod_adhoc: {},
    mod_roster: { versioning: true, store_current_id: true },
  },
});

/** An element for a client whose door is known: the namespace of clients and a prefix are declared at the top. */
const outer = (c: Client, name: string, attrs: string, inside: string) =>
  c.sendsRaw(`<${name} xmlns='jabber:client' xmlns:p='urn:prefix' ${attrs}>${inside}</${name}>`);

const NASTY = `a&amp;b&lt;c&gt;"'é漢😀`;
const NODE = `urn:n&amp;&lt;&gt;&quot;&apos;é漢😀`;

function find(e: XElement, name: string): XElement | undefined {
  if (e.name === name) return e;
  for (const c of e.children) {
    if (typeof c === "string") continue;
    const found = find(c, name);
    if (found) return found;
  }
  return undefined;
}

story("an error repeats a payload whose prefix was declared at the stanza", { romeo: 1 }, async ({ romeo }) => {
  outer(romeo, "message", `to='nobody@localhost' type='chat' id='m'`, "<body>x</body><p:foo/>");
  const m = await romeo.hears(`<message type="error" id="m"/>`);
  expect(find(m, "foo")?.ns ?? "urn:prefix").toBe("urn:prefix");
  outer(romeo, "iq", `to='localhost' type='get' id='i'`, "<p:foo p:a='1'/>");
  await romeo.hears(`<iq type="error" id="i"/>`);
  outer(romeo, "iq", `to='nobody@localhost' type='get' id='i'`, "<p:foo p:a='1'/>");
  await romeo.hears(`<iq type="error" id="i"/>`);
  outer(romeo, "iq", `to='a@b@c' type='get' id='i'`, "<p:foo p:a='1'/>");
  await romeo.hears(`<iq type="error" id="i"/>`);
  await romeo.receivesNothing();
});

story(
  "what is stored and copied keeps its prefix",
  { romeo: 2, juliet: 1 },
  async ({ romeo: [laptop, phone], juliet, account }) => {
    await phone.enables("carbons");
    outer(juliet, "message", `to='${laptop.full}' type='chat' id='m'`, "<body>x</body><p:foo/>");
    await laptop.hears(`<message id="m"><foo xmlns="urn:prefix"/></message>`);
    expect(find(await phone.hears(`<message from="${laptop.bare}"/>`), "foo")?.ns).toBe("urn:prefix");
    outer(laptop, "message", `to='${juliet.full}' type='chat' id='m'`, "<body>x</body><p:foo/>");
    await juliet.hears(`<message id="m"><foo xmlns="urn:prefix"/></message>`);
    expect(find(await phone.hears(`<message from="${laptop.bare}"/>`), "foo")?.ns).toBe("urn:prefix");
    const absent = await account("absent");
    outer(juliet, "message", `to='${absent.bare}' type='chat' id='m'`, "<body>x</body><p:foo/>");
    await juliet.settled();
    const c = await absent.comes();
    c.says("<presence/>");
    expect(find(await c.skipsTo((e) => e.name === "message"), "foo")?.ns).toBe("urn:prefix");
    // stored elements
    outer(laptop, "iq", "type='set' id='s'", `<query xmlns='jabber:iq:private'><p:mine><p:x/></p:mine></query>`);
    await laptop.hears(`<iq type="result" id="s"/>`);
    outer(laptop, "iq", "type='get' id='s'", `<query xmlns='jabber:iq:private'><p:mine/></query>`);
    expect(find(await laptop.hears(`<iq type="result" id="s"/>`), "x")?.ns).toBe("urn:prefix");
    outer(laptop, "iq", "type='set' id='s'", `<vCard xmlns='vcard-temp'><FN>${NASTY}</FN><p:x/></vCard>`);
    await laptop.hears(`<iq type="result" id="s"/>`);
    outer(laptop, "iq", "type='get' id='s'", `<vCard xmlns='vcard-temp'/>`);
    expect(find(await laptop.hears(`<iq type="result" id="s"/>`), "x")?.ns).toBe("urn:prefix");
    outer(
      laptop,
      "iq",
      "type='set' id='s'",
      `<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:q'><item id='1'><p:x p:y='2'/></item></publish></pubsub>`,
    );
    await laptop.hears(`<iq type="result" id="s"/>`);
    outer(
      laptop,
      "iq",
      "type='get' id='s'",
      `<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:q'/></pubsub>`,
    );
    expect(find(await laptop.hears(`<iq type="result" id="s"/>`), "x")?.ns).toBe("urn:prefix");
    await phone.settles();
    outer(laptop, "presence", "", "<p:x/>");
    expect(find(await phone.hears(`<presence from="${laptop.full}"/>`), "x")?.ns).toBe("urn:prefix");
  },
);

story(
  "a client that is inactive, resumed or away gets it as well",
  { romeo: 1, juliet: 1 },
  async ({ romeo, juliet, befriend }) => {
    await befriend(romeo, juliet);
    romeo.says(`<inactive xmlns="urn:xmpp:csi:0"/>`);
    await romeo.settles();
    outer(juliet, "presence", "", "<p:x/>");
    outer(juliet, "message", `to='${romeo.bare}' type='headline' id='m'`, "<body>x</body><p:foo/>");
    await juliet.settles();
    romeo.says(`<active xmlns="urn:xmpp:csi:0"/>`);
    await romeo.hears(`<presence><x xmlns="urn:prefix"/></presence><message><foo xmlns="urn:prefix"/></message>`);
  },
);

story("nodes, items and names of all characters come back as they were", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  await own.publish(NODE, NODE, undefined, `<x xmlns="urn:x&amp;&lt;&quot;" a="${NODE}">${NODE}</x>`);
  const got = await own.gets("get", `<items node="${NODE}"/>`);
  const x = find(got, "x")!;
  expect(x.attrs["a"]).toBe(`urn:n&<>"'é漢😀`);
  expect(textOf(x)).toBe(`urn:n&<>"'é漢😀`);
  expect(find(got, "item")?.attrs["id"]).toBe(`urn:n&<>"'é漢😀`);
  romeo.says(`<iq type="get" id="d" to="${romeo.bare}"><query xmlns="http://jabber.org/protocol/disco#items"/></iq>`);
  expect(show(await romeo.hears(`<iq type="result" id="d"/>`))).toContain("漢");
  romeo.says(
    `<iq type="get" id="d" to="${romeo.bare}"><query xmlns="http://jabber.org/protocol/disco#info" node="${NODE}"/></iq>`,
  );
  await romeo.hears(`<iq type="result" id="d"/>`);
  await own.configure(NODE, { title: NODE, description: NODE });
  expect((await own.configuration(NODE))["title"]).toEqual([`urn:n&<>"'é漢😀`]);
  await own.retract(NODE, NODE);
  expect(await own.items(NODE)).toEqual([]);
  await own.refused("get", `<items node="${NODE}x"/>`, ["cancel", "item-not-found"]);
  await own.remove(NODE);
  romeo.says(
    `<iq type="set" id="r"><query xmlns="jabber:iq:roster"><item jid="x@y" name="${NODE}"><group>${NODE}</group></item></query></iq>`,
  );
  await romeo.hears(`<iq type="result" id="r"/><iq type="set"/>`);
  romeo.says(`<iq type="get" id="r"><query xmlns="jabber:iq:roster"/></iq>`);
  expect(find(await romeo.hears(`<iq type="result" id="r"/>`), "item")?.attrs["name"]).toBe(`urn:n&<>"'é漢😀`);
  romeo.says(
    `<iq type="set" id="p"><query xmlns="jabber:iq:privacy"><list name="${NODE}"><item type="group" value="${NODE}" action="deny" order="1"><message/></item></list></query></iq>`,
  );
  await romeo.hears(`<iq type="result" id="p"/><iq type="set"/>`);
  romeo.says(`<iq type="get" id="p"><query xmlns="jabber:iq:privacy"><list name="${NODE}"/></query></iq>`);
  expect(find(await romeo.hears(`<iq type="result" id="p"/>`), "item")?.attrs["value"]).toBe(`urn:n&<>"'é漢😀`);
  romeo.says(`<presence type="unavailable"><status>${NODE}</status></presence>`);
  await romeo.settles();
  romeo.says(`<iq type="get" id="l" to="${romeo.bare}"><query xmlns="jabber:iq:last"/></iq>`);
  await romeo.hears(`<iq type="result" id="l"/>`);
});

story("bookmarks of all characters are the same at each place", { romeo: 1 }, async ({ romeo }) => {
  const own = new Pubsub(romeo, romeo.bare);
  const room = "rôom{}é@muc.localhost";
  await own.publish(
    "urn:xmpp:bookmarks:1",
    "room@muc.localhost",
    { access_model: "whitelist", persist_items: "true", max_items: "max" },
    `<conference xmlns="urn:xmpp:bookmarks:1" name="${NODE}" autojoin="true"><nick>${NASTY}</nick><password>${NASTY}</password><extensions><q:e xmlns:q="urn:q" a="${NODE}"/></extensions></conference>`,
  );
  romeo.says(
    `<iq type="get" id="b"><query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"/></query></iq>`,
  );
  const storage = find(await romeo.hears(`<iq type="result" id="b"/>`), "storage")!;
  expect(find(storage, "conference")?.attrs["name"]).toBe(`urn:n&<>"'é漢😀`);
  expect(textOf(find(storage, "nick")!)).toBe(`a&b<c>"'é漢😀`);
  expect(find(storage, "e")?.ns).toBe("urn:q");
  romeo.sendsRaw(
    `<iq xmlns='jabber:client' xmlns:z='urn:z' type="set" id="b"><query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"><conference jid="${room}" name="${NODE}"><nick>n</nick><extensions><z:e/></extensions></conference><url name="${NODE}" url="http://x/?a=1&amp;b=2"/></storage></query></iq>`,
  );
  await romeo.hears(`<iq type="result" id="b"/>`);
  const got = await own.gets("get", `<items node="urn:xmpp:bookmarks:1"/>`);
  expect(find(got, "conference")?.attrs["name"]).toBe(`urn:n&<>"'é漢😀`);
  expect(find(got, "e")?.ns).toBe("urn:z");
  const old = await own.gets("get", `<items node="storage:bookmarks"/>`);
  expect(find(old, "url")?.attrs["url"]).toBe("http://x/?a=1&b=2");
  expect(find(old, "e")?.ns).toBe("urn:z");
});

for (const id of [`a>b`, ` xmlns=`, `x' xmlns='y`])
  story(
    `XEP-0198 §5: a stream that is resumed at the other door reads what waited (${id})`,
    { juliet: 1 },
    async ({ juliet, actor, another, server, door }) => {
      const other = door === "tcp" ? "websocket" : "tcp";
      const romeo = await (await actor("romeo")).logsIn(server.target(door));
      await romeo.managesStream();
      await romeo.breaks();
      // What somebody writes may declare the namespace after an attribute like this, or not at all.
      juliet.sendsRaw(
        `<message id="${id}" xmlns="jabber:client" to="${romeo.full}" type="chat"><body>Hi</body></message>`,
      );
      if (door === "tcp")
        juliet.sendsRaw(`<message id="${id}" to="${romeo.full}" type="chat"><body>Hi</body></message>`);
      await juliet.settled();
      const again = another(romeo);
      await again.connects(server.target(other));
      await again.opens();
      await again.authenticates();
      again.sendsRaw(`<resume xmlns='urn:xmpp:sm:3' previd='${romeo.resumeId}' h='0'/>`);
      await again.skipsTo((e) => e.name === "resumed");
      for (let n = door === "tcp" ? 2 : 1; n > 0; n--) {
        const m = await again.hears(`<message from="${juliet.full}"/>`);
        expect([m.ns, m.attrs["id"]]).toEqual(["jabber:client", id]);
      }
    },
  );
