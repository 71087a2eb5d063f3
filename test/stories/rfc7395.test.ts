// RFC 7395: XMPP over WebSocket. What both doors have in common is in the other stories.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import type { WebSocketWire } from "../support/client-wire.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
const HANDSHAKE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};

const { story } = stage();

const url = (server: StoryServer, path = "/ws-xmpp") => `http://127.0.0.1:${server.target("websocket").port}${path}`;
const connected = (c: Client, server: StoryServer): Promise<Client> => c.connects(server.target("websocket"));

describe("the handshake", () => {
  story(
    "RFC 7395 §3.1: the server takes up the subprotocol xmpp",
    {},
    async ({ stranger, server }) => {
      const c = await connected(stranger(), server);
      expect((c.wire as WebSocketWire).protocol).toBe("xmpp");
      await c.opens("localhost");
      c.tally.assertions++;
    },
    { door: "websocket" },
  );

  story(
    "RFC 7395 §3.1: among several subprotocols xmpp is chosen",
    {},
    async ({ stranger, server }) => {
      const response = await fetch(url(server), {
        headers: { ...HANDSHAKE, "Sec-WebSocket-Protocol": "chat, xmpp" },
      }).catch((error: Error) => error);
      // fetch cannot go on after 101; that it got this far is in the status.
      if (response instanceof Response) expect(response.headers.get("sec-websocket-protocol")).toBe("xmpp");
      stranger().tally.assertions++;
    },
    { door: "websocket" },
  );

  for (const protocol of [undefined, "chat"]) {
    story(
      `RFC 7395 §3.1: ${protocol ?? "no"} subprotocol is refused with 400`,
      {},
      async ({ stranger, server }) => {
        const headers = { ...HANDSHAKE, ...(protocol && { "Sec-WebSocket-Protocol": protocol }) };
        expect((await fetch(url(server), { headers })).status).toBe(400);
        stranger().tally.assertions++;
      },
      { door: "websocket" },
    );
  }

  story(
    "a request that wants no WebSocket is told what it could want",
    {},
    async ({ stranger, server }) => {
      const response = await fetch(url(server));
      expect(response.status).toBe(426);
      expect(response.headers.get("upgrade")).toBe("websocket");
      stranger().tally.assertions++;
    },
    { door: "websocket" },
  );

  story(
    "another path is not found",
    {},
    async ({ stranger, server }) => {
      expect((await fetch(url(server, "/nothing"), { headers: HANDSHAKE })).status).toBe(404);
      stranger().tally.assertions++;
    },
    { door: "websocket" },
  );
});

describe("framing", () => {
  story(
    "RFC 7395 §3.3: every message of the server is one element that declares its namespaces",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      // The client's reader accepts nothing else: here are all kinds of elements.
      romeo.sends`<message to="${juliet.full}" id="1"><body>Hi</body></message>`;
      await juliet.receives`<message id="1" from="${romeo.full}"/>`;
      romeo.sends`<iq type="get" id="2" to="${juliet.full}"><ping xmlns="urn:xmpp:ping"/></iq>`;
      await juliet.receives`<iq id="2"><ping xmlns="urn:xmpp:ping"/></iq>`;
      juliet.sends`<iq type="result" id="2" to="${romeo.full}"/>`;
      await romeo.receives`<iq id="2" type="result" from="${juliet.full}"/>`;
      await juliet.managesStream();
      await juliet.receivesNothing();
    },
    { door: "websocket" },
  );

  story(
    "RFC 7395 §3.3.3: a stanza that came over TCP is whole here",
    { juliet: 1 },
    async ({ juliet, actor, server }) => {
      const c = await (await actor("romeo")).logsIn(server.target("tcp"));
      c.sends`<message to="${juliet.full}" id="1"><body>Hi</body><x xmlns="urn:x"><y/></x></message>`;
      c.sends`<message to='${juliet.full}' id='2'/>`;
      await juliet.receives`<message id="1" from="${c.full}"><body>Hi</body><x xmlns="urn:x"><y/></x></message>`;
      await juliet.receives`<message id="2"/>`;
      juliet.sends`<message to="${c.full}" id="3"><body>Ho</body></message>`;
      await c.receives`<message id="3" from="${juliet.full}"><body>Ho</body></message>`;
    },
    { door: "websocket" },
  );

  const bad: [title: string, message: string, condition: string][] = [
    [
      "two elements in one message",
      "<message xmlns='jabber:client'/><message xmlns='jabber:client'/>",
      "not-well-formed",
    ],
    ["half an element", "<message xmlns='jabber:client'><body>", "not-well-formed"],
    ["text", "hello", "not-well-formed"],
    ["an end tag", "</message>", "not-well-formed"],
    [
      "the header of a TCP stream",
      "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='localhost'>",
      "not-well-formed",
    ],
    ["an element that does not say its namespace", "<message/>", "invalid-namespace"],
    ["an unknown element of framing", `<reopen xmlns='${NS_FRAMING}'/>`, "invalid-xml"],
    ["a second <open/>", `<open xmlns='${NS_FRAMING}' to='localhost' version='1.0'/>`, "bad-format"],
  ];
  for (const [title, message, condition] of bad) {
    story(
      `RFC 7395 §3.3: ${title} is ${condition}`,
      { romeo: 1 },
      async ({ romeo }) => {
        romeo.sendsRaw(message);
        await romeo.receivesStreamError(condition);
        expect(romeo.closeCode).toBe(1000);
      },
      { door: "websocket" },
    );
  }

  story(
    "RFC 7395 §3.4: an element before <open/> is not-authorized",
    {},
    async ({ stranger, server }) => {
      const c = await connected(stranger(), server);
      c.sendsRaw("<message xmlns='jabber:client'/>");
      await c.receivesStreamError("not-authorized");
    },
    { door: "websocket" },
  );

  story(
    "a binary message that holds an element is read as one",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sendsRaw(Buffer.from(`<message xmlns='jabber:client' to='${juliet.full}' id='1'><body>é</body></message>`));
      await juliet.receives`<message id="1"><body>é</body></message>`;
    },
    { door: "websocket" },
  );

  story(
    "a binary message that is not UTF-8 is not-well-formed",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sendsRaw(
        Buffer.concat([
          Buffer.from("<message xmlns='jabber:client'><body>"),
          Buffer.of(0xff),
          Buffer.from("</body></message>"),
        ]),
      );
      await romeo.receivesStreamError("not-well-formed");
    },
    { door: "websocket" },
  );

  story(
    "a message of many megabytes closes the connection",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet }) => {
      romeo.sendsRaw("x".repeat(3_000_000));
      await romeo.losesConnection();
      await juliet.receivesNothing();
    },
    { door: "websocket" },
  );

  story(
    "many messages at once are answered in order",
    { romeo: 1 },
    async ({ romeo }) => {
      for (let i = 0; i < 200; i++) {
        romeo.says(
          `<iq type="get" id="${i}"><query xmlns="jabber:iq:${i % 2 ? "roster" : "private"}"><a xmlns="urn:a"/></query></iq>`,
        );
      }
      for (let i = 0; i < 200; i++) await romeo.hears(`<iq id="${i}"/>`);
    },
    { door: "websocket" },
  );
});

describe("the end", () => {
  story(
    "RFC 7395 §3.6: <close/> is answered with <close/>, then the WebSocket ends with 1000",
    { romeo: 1 },
    async ({ romeo }) => {
      romeo.sendsRaw(`<close xmlns='${NS_FRAMING}'/>`);
      await romeo.receivesEnd();
      expect(romeo.closeCode).toBe(1000);
    },
    { door: "websocket" },
  );

  story(
    "RFC 7395 §3.6: a WebSocket that is closed without <close/> ends the session too",
    { romeo: 1, juliet: 1 },
    async ({ romeo, juliet, befriend }) => {
      await befriend(romeo, juliet);
      romeo.wire.end();
      await juliet.receives`<presence type="unavailable" from="${romeo.full}"/>`;
    },
    { door: "websocket" },
  );
});

describe("wss", () => {
  const { story } = stage({
    listen: {
      http: [
        {
          port: 0,
          ip_address: "127.0.0.1",
          tls: { verify_mode: "none" },
          handlers: { mongoose_websocket_handler: [{ host: "_", path: "/ws-xmpp" }] },
        },
      ],
    },
  });

  story(
    "RFC 7395 §3.9: over TLS the stream is taken for encrypted",
    { juliet: 1 },
    async ({ juliet, server }) => {
      expect([...server.node.sessions].find((s) => s.jid.text === juliet.full)?.secure).toBe(true);
      await juliet.receivesNothing();
    },
    { door: "websocket" },
  );
});
