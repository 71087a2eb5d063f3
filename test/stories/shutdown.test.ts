// The end of the server, as its clients see it. Each story has a server of its own.
import { describe, expect } from "vitest";
import { stage } from "../support/story.ts";

for (const door of ["tcp", "websocket"] as const) {
  describe(`moving away, ${door}`, () => {
    const { story } = stage();

    story(
      "RFC 6120 §4.9.3.19: a server that stops can send its clients to another host",
      { romeo: 1 },
      async ({ romeo, server }) => {
        server.node.refuge = "other.example:5222";
        await server.close();
        const place = `<see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">other.example:5222</see-other-host>`;
        await romeo.hears(`<stream:error>${place}</stream:error>`);
        await romeo.receivesEnd();
      },
      { door },
    );
  });

  describe(`stopping, ${door}`, () => {
    const { story } = stage();

    story(
      "RFC 6120 §4.9.3.19: every stream is told system-shutdown, and nobody can come any more",
      { romeo: 1, juliet: 1 },
      async ({ romeo, juliet, stranger, server }) => {
        const early = await stranger().connects(server.target(door));
        await early.opens();
        await server.close();
        for (const c of [romeo, juliet, early]) await c.receivesStreamError("system-shutdown");
        const late = stranger().connects(server.target(door));
        await expect(late).rejects.toThrow();
      },
      { door, covers: ["shutdown_SUITE:shutdown", "shutdown_SUITE:client_tries_to_connect_before_listener_stop"] },
    );
  });
}
