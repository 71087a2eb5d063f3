import { expect, test } from "vitest";
import { viewText } from "../../../core/xml/framer.ts";
import modCarboncopy from "../../../modules/mod_carboncopy.ts";
import { type FakeClient, FakeServer } from "../../support/fake-server.ts";

const ENABLE = "<iq type='set' id='cc'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
const DISABLE = "<iq type='set' id='cc'><disable xmlns='urn:xmpp:carbons:2'/></iq>";

async function verona() {
  const server = new FakeServer();
  await server.startModule(modCarboncopy);
  const online = (jid: string, priority = 0): FakeClient => {
    const client = server.connect(jid);
    client.setPresence(viewText("<presence/>"), priority);
    return client;
  };
  const [laptop, phone, juliet] = [
    online("romeo@localhost/laptop"),
    online("romeo@localhost/phone"),
    online("juliet@localhost/balcony"),
  ];
  const enable = async (...clients: FakeClient[]) => {
    for (const client of clients) {
      await client.sends(ENABLE);
      client.received();
    }
  };
  return { server, online, laptop, phone, juliet, enable };
}
const carbon = (kind: string, message: string, to = "romeo@localhost/phone") =>
  `<message from='romeo@localhost' to='${to}' type='chat'><${kind} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>${message}</forwarded></${kind}></message>`;

test("XEP-0280: enabling is answered with an empty result", async () => {
  const { phone } = await verona();
  await phone.sends(ENABLE);
  phone.hears("<iq from='romeo@localhost' id='cc' to='romeo@localhost/phone' type='result'/>");
});

test("a message that one session sends is copied to the other one that asked for it", async () => {
  const { laptop, phone, juliet, enable } = await verona();
  await enable(phone);
  await laptop.sends("<message to='juliet@localhost/balcony' type='chat' id='c2'><body>Hello</body></message>");
  phone.hears(
    carbon(
      "sent",
      "<message xmlns='jabber:client' from='romeo@localhost/laptop' to='juliet@localhost/balcony' type='chat' id='c2'><body>Hello</body></message>",
    ),
  );
  laptop.hears();
  expect(juliet.received()).toHaveLength(1);
});

test("a message to one session is copied to the other one that asked for it", async () => {
  const { laptop, phone, juliet, enable } = await verona();
  await enable(laptop, phone);
  await juliet.sends("<message to='romeo@localhost/laptop' type='chat' id='c1'><body>Hello</body></message>");
  const message =
    "<message from='juliet@localhost/balcony' to='romeo@localhost/laptop' type='chat' id='c1'><body>Hello</body></message>";
  laptop.hears(message);
  phone.hears(carbon("received", message));
});

test("RFC 6121 §8.5.2.1.1: sessions that get a message to the account itself get no copy of it", async () => {
  const { laptop, phone, juliet, enable } = await verona();
  await enable(laptop, phone);
  await juliet.sends("<message to='romeo@localhost' type='chat'><body>Hello</body></message>");
  const message =
    "<message from='juliet@localhost/balcony' to='romeo@localhost' type='chat'><body>Hello</body></message>";
  laptop.hears(message);
  phone.hears(message);
});

test("a session of negative priority gets one copy of a message to the account", async () => {
  const { online, laptop, phone, juliet, enable } = await verona();
  const tablet = online("romeo@localhost/tablet", -1);
  await enable(laptop, phone, tablet);
  await juliet.sends("<message to='romeo@localhost' type='chat'><body>Hello</body></message>");
  tablet.hears(
    carbon(
      "received",
      "<message from='juliet@localhost/balcony' to='romeo@localhost' type='chat'><body>Hello</body></message>",
      "romeo@localhost/tablet",
    ),
  );
});

test.each([
  ["asked for none", ""],
  ["took it back", DISABLE],
])("a session that %s gets no copies", async (_what, then) => {
  const { laptop, phone, enable } = await verona();
  if (then) {
    await enable(phone);
    await phone.sends(then);
    phone.received();
  }
  await laptop.sends("<message to='juliet@localhost' type='chat'><body>Hello</body></message>");
  phone.hears();
});

test("a session that became unavailable has to ask again", async () => {
  const { server, laptop, phone, enable } = await verona();
  await enable(phone);
  await server.host.hooks.notify("unset_presence", { session: phone, status: "" });
  await laptop.sends("<message to='juliet@localhost' type='chat'><body>Hello</body></message>");
  phone.hears();
});

test.each([
  ["chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", true],
  ["normal", "<body>x</body>", true],
  ["normal", "<received xmlns='urn:xmpp:receipts' id='1'/>", true],
  ["normal", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true],
  ["normal", "<active xmlns='http://jabber.org/protocol/chatstates'/>", true],
  ["normal", "<x xmlns='some:thing'/>", false],
  ["groupchat", "<body>x</body>", false],
  ["headline", "<body>x</body>", false],
  ["error", "<body>x</body>", false],
  ["chat", "<body>x</body><private xmlns='urn:xmpp:carbons:2'/>", false],
  ["chat", "<body>x</body><no-copy xmlns='urn:xmpp:hints'/>", false],
  ["chat", "<received xmlns='urn:xmpp:carbons:2'/>", false],
])("§6.1: a message of type %s with %s is copied: %s", async (type, payload, copied) => {
  const { laptop, phone, enable } = await verona();
  await enable(phone);
  await laptop.sends(`<message to='juliet@localhost' type='${type}'>${payload}</message>`);
  expect(phone.received()).toHaveLength(copied ? 1 : 0);
});

test("a private message from a room is copied when it is sent, not when it is received: each occupant gets it", async () => {
  const { server, laptop, phone, enable } = await verona();
  await enable(phone);
  const pm = "<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>";
  await server.receivesFrom(`<message from='room@muc/nick' to='romeo@localhost/laptop' type='chat'>${pm}</message>`);
  expect(laptop.received()).toHaveLength(1);
  phone.hears();
  await laptop.sends(`<message to='room@muc/nick' type='chat'>${pm}</message>`);
  expect(phone.received()).toHaveLength(1);
});

test("a message to one's own other session is not copied back to its sender", async () => {
  const { laptop, phone, enable } = await verona();
  await enable(laptop, phone);
  await laptop.sends("<message to='romeo@localhost/phone' type='chat'><body>x</body></message>");
  expect(phone.received()).toHaveLength(1);
  laptop.hears();
});
