import { expect, test } from "vitest";
import { parseBareJid } from "../../../core/jid.ts";
import type { PersonalStore } from "../../../core/module.ts";
import modPrivate from "../../../modules/mod_private.ts";
import { FakeServer } from "../../support/fake-server.ts";

const set = (payload: string, to = "") =>
  `<iq type='set' id='s'${to}><query xmlns='jabber:iq:private'>${payload}</query></iq>`;
const get = (payload: string, to = "") =>
  `<iq type='get' id='g'${to}><query xmlns='jabber:iq:private'>${payload}</query></iq>`;
const NOTE = "<note xmlns='my:notes' n='1'>A &amp; <b>B</b></note>";

async function verona() {
  const server = new FakeServer({ users: ["juliet"] });
  const { store } = await server.startModule(modPrivate);
  return { server, romeo: server.connect("romeo@localhost/orchard"), store: store as PersonalStore };
}
const condition = (texts: string[]) => /<error[^>]*><([\w-]+)/.exec(texts[0])?.[1];

test("XEP-0049: what was stored comes back as it was", async () => {
  const { romeo } = await verona();
  await romeo.sends(set(NOTE));
  romeo.hears("<iq from='romeo@localhost' id='s' to='romeo@localhost/orchard' type='result'/>");
  await romeo.sends(get("<note xmlns='my:notes'/>"));
  romeo.hears(
    `<iq from='romeo@localhost' id='g' to='romeo@localhost/orchard' type='result'><query xmlns='jabber:iq:private'>${NOTE}</query></iq>`,
  );
});

test("a second element of the namespace replaces the first", async () => {
  const { romeo } = await verona();
  await romeo.sends(set(NOTE), set("<note xmlns='my:notes'>2</note>"), get("<note xmlns='my:notes'/>"));
  expect(romeo.received()[2]).toContain("<note xmlns='my:notes'>2</note></query>".replaceAll("'", '"'));
});

test("what was never stored comes back empty", async () => {
  const { romeo } = await verona();
  await romeo.sends(get("<a xmlns='some:ns'/>"));
  romeo.hears(
    "<iq from='romeo@localhost' id='g' to='romeo@localhost/orchard' type='result'><query xmlns='jabber:iq:private'><a xmlns='some:ns'/></query></iq>",
  );
});

test.each([
  ["an empty query", set(""), "bad-request"],
  ["an element without a namespace of its own", set("<a/>"), "bad-request"],
  ["a namespace that is reserved", set("<a xmlns='jabber:iq:roster'/>"), "not-acceptable"],
  ["a namespace that the table cannot hold", set(`<a xmlns='${"n".repeat(251)}'/>`), "not-acceptable"],
  ["another account", set(NOTE, " to='juliet@localhost'"), "forbidden"],
  ["reading another account", get(NOTE, " to='juliet@localhost'"), "forbidden"],
])("%s is answered with an error", async (_what, iq, error) => {
  const { romeo } = await verona();
  await romeo.sends(iq);
  expect(condition(romeo.received())).toBe(error);
});

test("a prefix that was declared around the element is kept", async () => {
  const { romeo, store } = await verona();
  await romeo.sends(
    "<iq type='set' id='s'><query xmlns='jabber:iq:private' xmlns:p='p:ns'><a xmlns='my:a'><p:b/></a></query></iq>",
  );
  const [{ rows }] = await store.personalData(parseBareJid("romeo@localhost"));
  expect(rows[0][1]).toContain("p:ns");
});

test("an account's elements go with it, and are in its personal data before", async () => {
  const { server, romeo, store } = await verona();
  await romeo.sends(set(NOTE));
  const jid = parseBareJid("romeo@localhost");
  expect((await store.personalData(jid))[0].rows.map((r) => r[0])).toEqual(["my:notes"]);
  await server.removeUser(jid);
  expect((await store.personalData(jid))[0].rows).toEqual([]);
});
