// Connections that nobody closes: the server must let go of them, and of what waits for them.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

const HERE = { port: 0, ip_address: "127.0.0.1", max_stanza_size: 65_536 };

describe("a client that keeps its side of the connection open", () => {
  const { story } = stage();

  story(
    "RFC 6120 §4.4: after the stream was closed the connection ends, whether the peer closes or not",
    { romeo: 1 },
    async ({ romeo, server }) => {
      // Closes the stream, and then reads on without ever closing the socket: half open is what Bun's client does.
      const listener = (server as unknown as { running: { listeners: { tcp: { connections: number }[] } } }).running
        .listeners.tcp[0];
      const before = listener.connections;
      romeo.sendsRaw("</stream:stream>");
      await new Promise((resolve) => setTimeout(resolve, 7_000));
      await romeo.losesConnection();
      expect(listener.connections).toBe(before - 1);
    },
    { door: "tcp" },
  );
});

describe("a client that stops in the middle of STARTTLS", () => {
  const { story } = stage({
    listen: { c2s: [{ ...HERE, state_timeout: 500, tls: { mode: "starttls_required", verify_mode: "none" } }] },
  });

  story(
    "is cut off when its time is over",
    {},
    async ({ stranger, server }) => {
      const c = await stranger().connects(server.target("tcp"));
      await c.opens();
      c.sendsRaw("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
      await c.receives`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`;
      const listener = (server as unknown as { running: { listeners: { tcp: { connections: number }[] } } }).running
        .listeners.tcp[0];
      await new Promise((resolve) => setTimeout(resolve, 9_000));
      expect(server.node.waiting.size).toBe(0);
      expect(listener.connections).toBe(0);
    },
    { door: "tcp" },
  );
});

/** A WebSocket client that does as little as can be: its socket can be left unread. */
async function rawWebSocket(port: number) {
  let received = "";
  let closed = false;
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, bytes) {
        received += bytes.latin1Slice();
      },
      close() {
        closed = true;
      },
      error() {},
    },
  });
  socket.write(
    "GET /ws-xmpp HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
  );
  const frame = (text: string): void => {
    const bytes = Buffer.from(text);
    const head = bytes.length < 126 ? [0x81, 0x80 | bytes.length] : [0x81, 0xfe, bytes.length >> 8, bytes.length & 255];
    socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(4), bytes]));
  };
  return { socket, frame, text: () => received, isClosed: () => closed };
}

describe("WebSocket", () => {
  const { story } = stage();
  const until = async (ready: () => boolean, ms: number) => {
    for (const end = Date.now() + ms; !ready() && Date.now() < end; ) await new Promise((r) => setTimeout(r, 20));
    return ready();
  };
  const OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

  story(
    "a client that answers no closing frame is let go",
    { romeo: 1 },
    async ({ romeo, server }) => {
      const raw = await rawWebSocket(server.target("websocket").port);
      expect(await until(() => raw.text().includes("101"), 1000)).toBe(true);
      raw.frame(OPEN);
      expect(await until(() => raw.text().includes("features"), 1000)).toBe(true);
      raw.frame("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
      expect(await until(raw.isClosed, 8_000)).toBe(true);
      await romeo.settled();
      romeo.tally.assertions++;
    },
    { door: "websocket" },
  );

  story(
    "a recipient that does not read holds its sender's acknowledgement back, but not for ever",
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet, server }) => {
      const raw = await rawWebSocket(server.target("websocket").port);
      expect(await until(() => raw.text().includes("101"), 1000)).toBe(true);
      raw.frame(OPEN);
      expect(await until(() => raw.text().includes("features"), 1000)).toBe(true);
      const auth = Buffer.from(`\0${juliet.local}\0juliet's secret`).toString("base64");
      raw.frame(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${auth}</auth>`);
      expect(await until(() => raw.text().includes("<success"), 1000)).toBe(true);
      raw.frame(OPEN);
      raw.frame(
        "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>",
      );
      expect(await until(() => raw.text().includes("<jid>"), 1000)).toBe(true);
      raw.socket.pause();
      await romeo.managesStream();
      const body = "x".repeat(60_000);
      for (let i = 0; i < 120; i++) romeo.says(`<message to="${juliet.bare}/x"><body>${body}</body></message>`);
      await new Promise((resolve) => setTimeout(resolve, 500));
      romeo.sendsRaw("<r xmlns='urn:xmpp:sm:3'/>");
      const early = await romeo.skipsTo((e) => e.name === "a");
      expect(Number(early.attrs["h"])).toBeLessThan(120);
      await new Promise((resolve) => setTimeout(resolve, 16_000));
      romeo.sendsRaw("<r xmlns='urn:xmpp:sm:3'/>");
      await romeo.skipsTo((e) => e.name === "a" && e.attrs["h"] === "120");
      romeo.tally.assertions++;
      raw.socket.terminate();
    },
    { door: "tcp" },
  );
});
