import { expect, test } from "vitest";
import { externalId } from "../../../core/message-id.ts";
import { viewText } from "../../../core/xml/framer.ts";
import modStanzaid from "../../../modules/mod_stanzaid.ts";
import { FakeServer } from "../../support/fake-server.ts";

async function verona() {
  const server = new FakeServer();
  await server.startModule(modStanzaid);
  const romeo = server.connect("romeo@localhost/orchard");
  const juliet = server.connect("juliet@localhost/balcony");
  juliet.setPresence(viewText("<presence/>"), 0);
  return { romeo, juliet };
}

test("an id is shown as MongooseIM shows it: node 1 archived a message at 00:58:22.801147 under CO6IV5AQ1UO1", () => {
  const microseconds = BigInt(Date.parse("2026-11-22T00:58:22.801Z")) * 1000n + 147n;
  expect(externalId(microseconds * 256n + 1n)).toBe("CO6IV5AQ1UO1");
});

test("XEP-0359: a message to an account gets an id by that account", async () => {
  const { romeo, juliet } = await verona();
  await romeo.sends("<message to='juliet@localhost' type='chat'><body>Hi</body></message>");
  juliet.hears(
    "<message from='romeo@localhost/orchard' to='juliet@localhost' type='chat'><body>Hi</body><stanza-id by='juliet@localhost' id='{any}' xmlns='urn:xmpp:sid:0'/></message>",
  );
});

test("an id that somebody else gave in the account's or its server's name is taken out, others stay", async () => {
  const { romeo, juliet } = await verona();
  const id = (by: string) => `<stanza-id xmlns='urn:xmpp:sid:0' by='${by}' id='fake'/>`;
  await romeo.sends(
    `<message to='juliet@localhost/balcony'>${id("juliet@localhost")}${id("room@muc")}${id("localhost")}<body>Hi</body></message>`,
  );
  juliet.hears(
    `<message from='romeo@localhost/orchard' to='juliet@localhost/balcony'>${id("room@muc")}<body>Hi</body><stanza-id by='juliet@localhost' id='{any}' xmlns='urn:xmpp:sid:0'/></message>`,
  );
});

test.each(["error", "headline", "groupchat"])("a message of type %s gets none", async (type) => {
  const { romeo, juliet } = await verona();
  await romeo.sends(`<message to='juliet@localhost/balcony' type='${type}'><body>Hi</body></message>`);
  expect(juliet.received().join()).not.toContain("stanza-id");
});
