// An inbox of many conversations, asked for by clients that do not read all of it at once.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { InboxStore } from "../../modules/mod_inbox/store.ts";
import type { Client } from "../support/client.ts";
import { inboxOf, refused, request, writes } from "../support/inbox.ts";
import { childOf, find, textOf } from "../support/match.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const START = 1_700_000_000_000_000;
const friend = (i: number): string => `friend${i}@localhost`;

const storeOf = (server: StoryServer) =>
  server.node.hostOf("localhost")?.modules.get("mod_inbox")?.ctx.store as InboxStore;

/** Friends have written to a client: so many, so much each. */
async function fill(server: StoryServer, client: Client, many: number, size = 10): Promise<void> {
  const user = parseBareJid(client.bare);
  const said = "x".repeat(size);
  const put = (i: number): Promise<void> => {
    const content = `<message from='${friend(i)}' to='${client.bare}' id='${i}'><body>${said}</body></message>`;
    return storeOf(server).setInboxIncrUnread({ user, remote: friend(i) }, { msgId: `${i}`, content }, START + i);
  };
  await Promise.all(Array.from({ length: many }, (_, i) => put(i)));
}
const names = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => friend(from + i));

describe("a large inbox", () => {
  const { story } = stage({ modules: { mod_inbox: {} } });

  story("comes whole, in order, and in pages of any size", { alice: 1 }, async ({ alice, server }) => {
    await fill(server, alice, 450);
    const asked = async (page: Record<string, string>, form: Record<string, string> = { order: "asc" }) => {
      const { entries, count, unread, ...ends } = await inboxOf(alice, { form, page });
      expect([count, unread]).toEqual([entries.length, entries.length]);
      return { from: entries.map((e) => e.from), ...ends };
    };
    const all = await asked({});
    expect(all.from).toEqual(names(450));
    expect((await asked({}, {})).from).toEqual(names(450).reverse());
    expect((await asked({ max: "100" })).from).toEqual(names(100));
    const part = await asked({ max: "330" });
    expect(part.from).toEqual(names(330));
    expect((await asked({ max: "330", after: part.last! })).from).toEqual(names(120, 330));
    expect((await asked({ before: part.last! })).from).toEqual(names(329));
    expect((await asked({ before: part.last!, max: "250" })).from).toEqual(names(250, 79));
    const end = await asked({ before: "", max: "250" });
    expect(end.from).toEqual(names(250, 200));
    expect(end.last).toBe(all.last);
    expect((await asked({ before: end.first!, max: "150" })).from).toEqual(names(150, 50));
    expect((await asked({ max: "0" })).from).toEqual([]);
  });

  story("has places for addresses that are none", { alice: 1 }, async ({ alice, server }) => {
    const user = parseBareJid(alice.bare);
    // Allowed by RFC 6122, and forbidden by RFC 7622: MongooseIM may have stored it.
    const others = ["\u2665@localhost", "bob@localhost", "b ob"];
    for (const [i, remote] of others.entries()) {
      const content = `<message from='friend@localhost' to='${alice.bare}' id='${i}'><body>Hi</body></message>`;
      await storeOf(server).setInboxIncrUnread({ user, remote }, { msgId: `${i}`, content }, START + i);
    }
    const found: string[] = [];
    for (let page: Record<string, string> = { max: "1" }; ; ) {
      const { entries, last } = await inboxOf(alice, { form: { order: "asc" }, page });
      found.push(...entries.map((e) => e.message.attrs["id"]));
      if (last === undefined) break;
      page = { max: "1", after: last };
    }
    expect(found).toEqual(["0", "1", "2"]);
    for (const after of ["1/AA==", "1/gA==", "1/", "1", "/YQ==", "99999999999999999/YQ=="]) {
      await refused(alice, request({ page: { after } }), "bad-request");
    }
  });

  story("comes to a client that acknowledges late", { alice: 1 }, async ({ alice, server }) => {
    await fill(server, alice, 450);
    await alice.managesStream();
    expect((await inboxOf(alice)).count).toBe(450);
  });

  story(
    "is not kept in memory for a client that acknowledges nothing: its stream goes on, and cannot be resumed",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server, another }) => {
      await fill(server, alice, 450, 60_000);
      await alice.managesStream();
      expect((await inboxOf(alice)).count).toBe(450);
      await writes(bob, alice, "Hello");
      const session = server.node.sessionsOf(parseBareJid(alice.bare))[0];
      expect(session.sm!.unacked().reduce((n, { bytes }) => n + bytes.length, 0)).toBeLessThan(20_000_000);
      await alice.breaks();
      const next = await another(alice).connects(server.target("tcp"));
      await next.opens();
      await next.authenticates();
      next.sendsRaw(`<resume xmlns='urn:xmpp:sm:3' h='0' previd='${alice.resumeId}'/>`);
      expect((await next.next()).name).toBe("failed");
      await next.binds();
      next.says("<presence/>");
      // The old session may still be on its way out.
      const stored = await next.skipsTo((e) => e.name === "message");
      expect(textOf(childOf(stored, "body")!)).toBe("Hello");
    },
    { door: "tcp" },
  );

  story(
    "is not read before the client takes it, and has what happens meanwhile",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await fill(server, alice, 700, 60_000);
      const { promise: read, resolve } = Promise.withResolvers<void>();
      const store = storeOf(server);
      const { inParts } = store;
      let parts = 0;
      store.inParts = async function* (...asked) {
        for await (const part of inParts.apply(store, asked)) {
          parts++;
          yield part;
        }
        resolve();
      };
      alice.wire.pause();
      alice.says(request({ form: { order: "desc" } }));
      await expect.poll(() => parts).toBeGreaterThan(0);
      await bob.settles();
      expect(parts).toBeLessThan(7);
      // The oldest, which is still to come, is the newest now.
      const user = parseBareJid(alice.bare);
      const content = `<message from='${friend(0)}' to='${alice.bare}' id='again'><body>Again</body></message>`;
      await store.setInboxIncrUnread({ user, remote: friend(0) }, { msgId: "again", content }, START + 1_000_000);
      alice.wire.resume();
      const given: string[] = [];
      for (;;) {
        const e = await alice.next();
        if (e.name === "iq") break;
        given.push(`${find(e, "message")?.attrs["id"]} ${childOf(e, "result")?.attrs["unread"]}`);
      }
      expect(given).toHaveLength(700);
      expect(given.slice(-2)).toEqual(["1 1", "again 2"]);
      await read;
      alice.tally.assertions++;
    },
    { door: "tcp" },
  );

  story(
    "is read no further when the client is gone",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await fill(server, alice, 700, 60_000);
      const store = storeOf(server);
      const { inParts } = store;
      let [parts, ended] = [0, false];
      store.inParts = async function* (...asked) {
        try {
          for await (const part of inParts.apply(store, asked)) {
            parts++;
            yield part;
          }
        } finally {
          ended = true;
        }
      };
      alice.wire.pause();
      alice.says(request());
      await expect.poll(() => parts).toBeGreaterThan(0);
      alice.wire.cut();
      await expect.poll(() => ended, { timeout: 5000 }).toBe(true);
      expect(parts).toBeLessThan(7);
      bob.tally.assertions++;
    },
    { door: "tcp" },
  );
});
