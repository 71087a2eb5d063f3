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
