// In which order an addressee who comes has what was said while some of it was still being stored.
import { describe, expect, vi } from "vitest";
import type { OfflineStore } from "../../modules/mod_offline/store.ts";
import type { Client } from "../support/client.ts";
import { HeldWrites } from "../support/held-writes.ts";
import { childOf, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const MARKERS = "urn:xmpp:chat-markers:0";
const chat = (to: string, id: string) => `<message to="${to}" id="${id}" type="chat"><body>${id}</body></message>`;
const mark = (to: string, id: string, more = "") =>
  `<message to="${to}" id="mark-${id}"><displayed xmlns="${MARKERS}" id="${id}"/>${more}</message>`;

/** The messages that a client has so far. */
const messages = async (client: Client): Promise<XElement[]> =>
  (await client.settles()).filter(({ name }) => name === "message");
const messagesOf = ({ waiting }: Client): XElement[] => waiting.filter(({ name }) => name === "message");
/** What a message is: its body, or what it marks. */
const said = (e: XElement): string | undefined =>
  childOf(e, "displayed", MARKERS)?.attrs["id"] ?? childOf(e, "body")?.children.join("");

describe("where two may wait", () => {
  const { story } = stage({ modules: { mod_cache_users: {}, mod_offline: { max_user_messages: 2 } } });

  story(
    "one that finds no room does not let what follows overtake the one before, which is still being stored",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      alice.says(chat(bob.bare, "known"));
      await alice.settled();
      const writes = HeldWrites.of(server, "offline_message", "mod_offline");
      for (const id of ["m0", "m1"]) alice.says(chat(bob.bare, id));
      expect((await alice.next()).attrs).toMatchObject({ id: "m1", type: "error" });
      const his = await bob.comes();
      his.says("<presence/>");
      expect((await messages(his)).map(said)).toEqual(["known"]);
      alice.says(chat(bob.bare, "m2"));
      await Bun.sleep(50);
      writes.open();
      await alice.settled();
      expect((await messages(his)).map(said)).toEqual(["m0", "m2"]);
    },
  );
});

describe("when many have been stored at once for somebody who has come meanwhile", () => {
  const { story } = stage({ modules: { mod_cache_users: {}, mod_offline: {} } });

  story("they are looked for together", { alice: 1, bob: 0 }, async ({ alice, bob, server }) => {
    alice.says(chat(bob.bare, "known"));
    await alice.settled();
    const writes = HeldWrites.of(server, "offline_message", "mod_offline");
    const ids = Array.from({ length: 200 }, (_, n) => `m${n}`);
    for (const id of ids) alice.says(chat(bob.bare, id));
    await writes.next();
    await Bun.sleep(100);
    const his = await bob.comes();
    his.says("<presence/>");
    expect((await messages(his)).map(said)).toEqual(["known"]);
    const store = server.node.hostOf("localhost")!.modules.get("mod_offline")!.ctx.store as OfflineStore;
    const looks = vi.spyOn(store, "popMessages");
    try {
      writes.open();
      await alice.settled();
      expect((await messages(his)).map(said)).toEqual(ids);
      // Of two batches; a page may be full.
      expect(looks.mock.calls.length).toBeLessThan(10);
    } finally {
      looks.mockRestore();
    }
  });
});

describe("with chat markers", () => {
  const { story } = stage({
    modules: {
      mod_cache_users: {},
      mod_smart_markers: { backend: "rdbms" },
      mod_offline: {},
      mod_offline_chatmarkers: {},
    },
  });

  story("a marker comes after the messages that were sent before it", { alice: 1, bob: 0 }, async (scene) => {
    const { alice, bob, server } = scene;
    alice.says(chat(bob.bare, "known"));
    await alice.settled();
    const writes = HeldWrites.of(server, "offline_message", "mod_offline");
    alice.says(chat(bob.bare, "m0"));
    await writes.next();
    alice.says(mark(bob.bare, "his"));
    await Bun.sleep(100);
    const his = await bob.comes();
    his.says("<presence/>");
    const before = await messages(his);
    writes.open();
    await alice.settled();
    expect([...before, ...(await messages(his))].map(said)).toEqual(["known", "m0", "his"]);
  });

  story(
    "one that is not to be kept comes as a message, whatever was kept before",
    { alice: 1, bob: 0 },
    async (scene) => {
      const { alice, bob } = scene;
      alice.says(mark(bob.bare, "1"));
      alice.says(mark(bob.bare, "2", `<no-permanent-store xmlns="urn:xmpp:hints"/>`));
      await alice.settled();
      const his = await bob.comes();
      his.says("<presence/>");
      expect((await messages(his)).map(said).toSorted()).toEqual(["1", "2"]);
    },
  );
});

describe("whose stream is managed (XEP-0198)", () => {
  const { story } = stage({ modules: { mod_cache_users: {}, mod_offline: {} } });

  story("a sender of many to nobody is told of each, and his stream goes on", { alice: 1 }, async (scene) => {
    const { alice, server } = scene;
    await alice.managesStream();
    const { auth } = server.node.hostOf("localhost")!;
    const known = Promise.withResolvers<boolean>();
    const asked = vi.spyOn(auth, "exists").mockReturnValue(known.promise);
    for (let n = 0; n < 150; n++) alice.says(chat("nobody@localhost", `m${n}`));
    await expect.poll(() => asked.mock.calls.length).toBe(150);
    known.resolve(false);
    await alice.takes((e) => e.attrs["id"] === "m149");
    expect(messagesOf(alice).length).toBe(149);
    await alice.settles();
    await alice.receivesNothing();
    asked.mockRestore();
  });

  story(
    "a sender is told of many that could not be stored at once, and his stream goes on",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      await alice.managesStream();
      alice.says(chat(bob.bare, "known"));
      await alice.settled();
      const writes = HeldWrites.of(server, "offline_message", "mod_offline");
      alice.says(chat(bob.bare, "m0"));
      await writes.next();
      for (let n = 1; n < 150; n++) alice.says(chat(bob.bare, `m${n}`));
      await Bun.sleep(100);
      let told = false;
      const failing = (async () => {
        for (; !told; await Bun.sleep(1)) if (writes.count > 0) writes.fail();
      })();
      try {
        await alice.takes((e) => e.attrs["id"] === "m149");
      } finally {
        told = true;
        await failing;
        writes.open();
      }
      expect(messagesOf(alice).length).toBe(149);
      await alice.settles();
      await alice.receivesNothing();
    },
    { logs: ["offline_write_failed"] },
  );
});
