// Messages that were stored, given to a client, and did not reach it.
import { describe, expect } from "vitest";
import { parseBareJid } from "../../core/jid.ts";
import type { Session } from "../../core/module.ts";
import { StorageError } from "../../core/storage/db.ts";
import type { OfflineStore } from "../../modules/mod_offline/store.ts";
import type { Client } from "../support/client.ts";
import { holdNext } from "../support/held-call.ts";
import { HeldWrites } from "../support/held-writes.ts";
import { childrenOf } from "../support/match.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const { story } = stage();
const chat = (to: string, id: string, more = ""): string =>
  `<message to="${to}" id="${id}" type="chat"><body>${id}</body>${more}</message>`;
const storeOf = (server: StoryServer) =>
  server.node.hostOf("localhost")?.modules.get("mod_offline")?.ctx.store as OfflineStore;

/** The messages that a client is given when it comes online: their ids, and when they say that they were stored. */
async function waiting(client: Client): Promise<string[]> {
  client.sends`<presence/>`;
  const given = (await client.settles()).filter((e) => e.name === "message");
  return given.map((e) => {
    const delays = childrenOf(e).filter((child) => child.ns === "urn:xmpp:delay");
    return [e.attrs["id"], ...delays.map((delay) => `${delay.attrs["from"]} ${delay.attrs["stamp"]}`)].join(" ");
  });
}

story(
  "they come to the next client as they were: in order, with the time that they were stored first (XEP-0203)",
  { alice: 1, bob: 0 },
  async ({ alice, bob }) => {
    const forged = `<delay xmlns="urn:xmpp:delay" from="localhost" stamp="1999-01-01T00:00:00Z"/>`;
    for (const id of ["m1", "m2", "m3"]) alice.says(chat(bob.bare, id, id === "m2" ? forged : ""));
    await alice.receivesNothing();
    const first = await bob.comes("pc");
    await first.managesStream();
    const given = await waiting(first);
    expect(given.map((one) => one.split(" ")[0])).toEqual(["m1", "m2", "m3"]);
    await first.breaks();
    await Bun.sleep(20);
    // The same resource: the broken stream is given up.
    const second = await bob.comes("pc");
    expect(await waiting(second)).toEqual(given);
  },
);

story(
  "they come before what was held back for a client that was inactive, and that before what comes later",
  { alice: 1, bob: 0 },
  async ({ alice, bob }) => {
    const first = await bob.comes("pc");
    await first.managesStream();
    expect(await waiting(first)).toEqual([]);
    for (const id of ["m1", "m2"]) alice.says(chat(bob.bare, id));
    await alice.receivesNothing();
    expect((await first.settles()).map((e) => e.attrs["id"])).toEqual(["m1", "m2"]);
    first.sendsRaw("<inactive xmlns='urn:xmpp:csi:0'/>");
    await first.settles();
    for (const id of ["m3", "m4"]) alice.says(chat(bob.bare, id));
    await alice.receivesNothing();
    await first.leaves();
    alice.says(chat(bob.bare, "m5"));
    await alice.receivesNothing();
    const given = await waiting(await bob.comes());
    expect(given.map((one) => one.split(" ")[0])).toEqual(["m1", "m2", "m3", "m4", "m5"]);
  },
);

describe("where each message asks whether there is such an account", () => {
  const { story: asking } = stage({ modules: { mod_cache_users: null } });
  asking(
    "what was held back for a client comes before what comes while its session ends",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      const first = await bob.comes("pc");
      await first.managesStream();
      expect(await waiting(first)).toEqual([]);
      alice.says(chat(bob.bare, "m1"));
      await alice.receivesNothing();
      await first.settles();
      first.sendsRaw("<inactive xmlns='urn:xmpp:csi:0'/>");
      await first.settles();
      for (const id of ["m2", "m3"]) alice.says(chat(bob.bare, id));
      await alice.receivesNothing();
      const writes = HeldWrites.of(server, "offline_message", "mod_offline");
      await first.leaves();
      await writes.next();
      // The database takes its time with the question, too: what was held back asks after it.
      const question = holdNext(server.db, "query");
      alice.says(chat(bob.bare, "m4"));
      await question.come;
      writes.open();
      await Bun.sleep(50);
      question.go();
      await alice.receivesNothing();
      const given = await waiting(await bob.comes());
      expect(given.map((one) => one.split(" ")[0])).toEqual(["m1", "m2", "m3", "m4"]);
    },
  );
});

story(
  "they come before what follows when a broken stream has too many of them to wait for its client",
  { alice: 1, bob: 0 },
  async ({ alice, bob }) => {
    const first = await bob.comes("pc");
    await first.managesStream();
    expect(await waiting(first)).toEqual([]);
    await first.breaks();
    const ids = Array.from({ length: 150 }, (_, i) => `m${i}`);
    for (const id of ids) alice.says(chat(bob.bare, id));
    await alice.receivesNothing();
    const given = await waiting(await bob.comes());
    expect(given.map((one) => one.split(" ")[0])).toEqual(ids);
  },
);

story(
  "who has sent a message that is stored is not told of what happens to it later",
  { alice: 1, bob: 0 },
  async ({ alice, bob, server }) => {
    const writes = HeldWrites.of(server, "offline_message", "mod_offline");
    alice.says(chat(bob.bare, "m1"));
    await writes.next();
    const his = await bob.comes();
    expect(await waiting(his)).toEqual([]);
    const store = storeOf(server);
    store.popMessages = () => Promise.reject(new StorageError("unavailable", "The test has it fail"));
    writes.open();
    await alice.receivesNothing();
    Reflect.deleteProperty(store, "popMessages");
    expect(await waiting(await bob.comes())).toEqual([expect.stringMatching(/^m1 localhost /)]);
  },
  { logs: ["offline_delivery_failed"] },
);

describe.each([
  ["a client without stream management", false],
  ["a client with stream management", true],
])("%s that reads nothing and is gone in the middle", (_, managed) => {
  story(
    "leaves what it was not sent to the next one: what is deleted is not in the server's memory alone",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      const many = 90;
      const ids = Array.from({ length: many }, (_, n) => `m${n}`);
      const size = 60_000;
      for (const id of ids) alice.says(chat(bob.bare, id, `<data xmlns="test:data">${"x".repeat(size)}</data>`));
      await alice.receivesNothing();
      const first = await bob.comes("pc");
      if (managed) await first.managesStream();
      const [session] = server.node.sessionsOf(parseBareJid(bob.bare));
      first.wire.pause();
      first.sends`<presence/>`;
      // What the kernel has no room for waits in the server, which goes no further.
      await expect.poll(() => session.unread, { timeout: 5000 }).toBeGreaterThan(256 * 1024);
      await Bun.sleep(100);
      first.wire.cut();
      await expect.poll(() => server.node.sessionsOf(parseBareJid(bob.bare)).some((s) => !s.detached)).toBe(false);
      const second = await bob.comes("pc");
      const given = (await waiting(second)).map((one) => one.split(" ")[0]);
      expect(new Set(given)).toEqual(new Set(ids));
      expect(given).toHaveLength(many);
      expect(await waiting(await bob.comes("pc2"))).toEqual([]);
    },
    { door: "tcp" },
  );
});

/** Has the server take a client for one that leaves something unread. */
function leavesUnread(session: Session): () => void {
  Object.defineProperty(session, "unread", { get: () => 1, configurable: true });
  return () => void Reflect.deleteProperty(session, "unread");
}

story(
  "a client that reads slowly what was stored for it does not hold up who has written to it",
  { alice: 1, bob: 0, carol: 1 },
  async ({ alice, bob, carol, server }) => {
    const writes = HeldWrites.of(server, "offline_message", "mod_offline");
    alice.says(chat(bob.bare, "m1"));
    await writes.next();
    const his = await bob.comes();
    const [session] = server.node.sessionsOf(parseBareJid(bob.bare));
    const reads = leavesUnread(session);
    expect(await waiting(his)).toEqual([]);
    writes.open();
    await his.skipsTo((e) => e.attrs["id"] === "m1");
    alice.says(chat(carol.bare, "m2"));
    await carol.skipsTo((e) => e.attrs["id"] === "m2");
    reads();
  },
);

story(
  "nor does it hold up the end of somebody's account",
  { alice: 1, bob: 0 },
  async ({ alice, bob, account, server }) => {
    const gone = await account("gone");
    alice.says(chat(bob.bare, "m1"));
    await alice.receivesNothing();
    const his = await bob.comes();
    const [session] = server.node.sessionsOf(parseBareJid(bob.bare));
    const reads = leavesUnread(session);
    his.sends`<presence/>`;
    await his.skipsTo((e) => e.attrs["id"] === "m1");
    const begun = performance.now();
    expect(await server.node.removeUser(parseBareJid(gone.bare))).toBe(true);
    expect(performance.now() - begun).toBeLessThan(1500);
    reads();
    await his.settles();
    // It is deleted when the client has read it.
    await expect.poll(() => storeOf(server).popMessages(parseBareJid(bob.bare), 0, 10)).toEqual([]);
  },
);
