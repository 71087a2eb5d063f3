// XEP-0160: many messages of one sender for those who are not there. Each is acknowledged when it is stored, and none
// waits for the one before to be.
import { describe, expect, vi } from "vitest";
import { NS_SM } from "../../core/ns.ts";
import type { Client } from "../support/client.ts";
import { HeldWrites } from "../support/held-writes.ts";
import { stage } from "../support/story.ts";

const chat = (to: string, id: string) => `<message to="${to}" id="${id}" type="chat"><body>${id}</body></message>`;
const ids = (n: number, from = 0) => Array.from({ length: n }, (_, i) => `m${from + i}`);
const messages = (elements: Awaited<ReturnType<Client["settles"]>>) =>
  elements.filter(({ name }) => name === "message").map(({ attrs }) => attrs["id"]);

async function given(client: Client): Promise<(string | undefined)[]> {
  client.says("<presence/>");
  return messages(await client.settles());
}

/** Asks how many stanzas are handled, and does not wait for the answer. */
const asks = (client: Client): void => client.sendsRaw(`<r xmlns='${NS_SM}'/>`);
const acknowledged = async (client: Client): Promise<number> =>
  Number((await client.skipsTo((e) => e.name === "a")).attrs["h"]);

describe.each([true, false])("while the database takes its time with one (accounts are remembered: %s)", (cached) => {
  const { story } = stage({ modules: { mod_cache_users: cached ? {} : null, mod_offline: {} } });

  story(
    "what the sender says to others goes on, and what is for the same account is stored together",
    { alice: 1, bob: 0, carol: 1, dave: 0 },
    async ({ alice, bob, carol, dave, server }) => {
      await alice.managesStream();
      for (const to of [bob, dave]) alice.says(chat(to.bare, "known"));
      await alice.settled();
      const writes = HeldWrites.of(server, "offline_message", "mod_offline");
      alice.says(chat(bob.bare, "m0"));
      await writes.next();
      for (const id of ids(40, 1)) alice.says(chat(bob.bare, id));
      alice.says(chat(carol.bare, "hello"));
      alice.says(chat(dave.bare, "d0"));
      await carol.skipsTo((e) => e.attrs["id"] === "hello");
      // What is for another account is being stored, and none of it is acknowledged.
      asks(alice);
      await expect.poll(() => writes.count).toBe(2);
      await Bun.sleep(50);
      expect(alice.waiting.length).toBe(0);
      writes.one();
      await expect.poll(() => writes.count).toBe(2);
      writes.one();
      await Bun.sleep(50);
      // The first is, and nothing of what follows: that is one write.
      expect(alice.waiting.length).toBe(0);
      writes.one();
      expect(await acknowledged(alice)).toBe(45);
      expect(writes.count).toBe(0);
      writes.open();
      expect(await given(await bob.comes())).toEqual(["known", ...ids(41)]);
      expect(await given(await dave.comes())).toEqual(["known", "d0"]);
    },
  );

  story(
    "an addressee who comes has what was said before first, in order, whether it was stored or not",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      alice.says(chat(bob.bare, "known"));
      await alice.settled();
      const writes = HeldWrites.of(server, "offline_message", "mod_offline");
      alice.says(chat(bob.bare, "m0"));
      await writes.next();
      for (const id of ids(5, 1)) alice.says(chat(bob.bare, id));
      await Bun.sleep(20);
      const his = await bob.comes("pc");
      expect(await given(his)).toEqual(["known"]);
      for (const id of ids(3, 6)) alice.says(chat(bob.bare, id));
      alice.says(chat(`${bob.bare}/pc`, "m9"));
      expect(messages(await his.settles())).toEqual([]);
      writes.open();
      const got: (string | undefined)[] = [];
      while (got.length < 10) got.push((await his.next()).attrs["id"]);
      expect(got).toEqual(ids(10));
      await alice.receivesNothing();
      expect(await given(await bob.comes())).toEqual([]);
    },
  );

  story("an iq waits until they are stored", { alice: 1, bob: 0 }, async ({ alice, bob, server }) => {
    alice.says(chat(bob.bare, "known"));
    await alice.settled();
    const writes = HeldWrites.of(server, "offline_message", "mod_offline");
    for (const id of ids(3)) alice.says(chat(bob.bare, id));
    await writes.next();
    const settled = alice.settled().then(() => "answered");
    expect(await Promise.race([settled, Bun.sleep(100)])).toBeUndefined();
    writes.open();
    expect(await settled).toBe("answered");
    expect(await given(await bob.comes())).toEqual(["known", ...ids(3)]);
  });

  story(
    "a sender who is gone before they are stored has sent them all the same",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      alice.says(chat(bob.bare, "known"));
      await alice.settled();
      const writes = HeldWrites.of(server, "offline_message", "mod_offline");
      for (const id of ids(4)) alice.says(chat(bob.bare, id));
      await writes.next();
      await Bun.sleep(20);
      await alice.breaks();
      await Bun.sleep(20);
      writes.open();
      const his = await bob.comes();
      his.says("<presence/>");
      const got: (string | undefined)[] = [];
      while (got.length < 5) {
        const e = await his.next();
        if (e.name === "message") got.push(e.attrs["id"]);
      }
      expect(got).toEqual(["known", ...ids(4)]);
    },
  );
});

const { story } = stage({ modules: { mod_cache_users: null, mod_offline: {} } });

describe("while it is not known whether there is such an account", () => {
  story(
    "what the sender says to others goes on, and what is for that one keeps its order",
    { alice: 1, bob: 0, carol: 1 },
    async ({ alice, bob, carol, server }) => {
      const { auth } = server.node.hostOf("localhost")!;
      const answers: (() => void)[] = [];
      const spy = vi.spyOn(auth, "exists").mockImplementation(
        () =>
          new Promise((resolve) => {
            answers.push(() => resolve(true));
          }),
      );
      for (const id of ids(3)) alice.says(chat(bob.bare, id));
      alice.says(chat(carol.bare, "hello"));
      await carol.skipsTo((e) => e.attrs["id"] === "hello");
      // All are asked about at once, and the last is answered first.
      for (let given = 0; given < 3; given++) {
        await expect.poll(() => answers.length).toBeGreaterThan(0);
        answers.pop()?.();
        await Bun.sleep(10);
      }
      spy.mockRestore();
      await alice.receivesNothing();
      expect(await given(await bob.comes())).toEqual(ids(3));
    },
  );

  story(
    "and it cannot be found out, each is told once, and counts as handled",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      await alice.managesStream();
      const { auth } = server.node.hostOf("localhost")!;
      const spy = vi.spyOn(auth, "exists").mockRejectedValue(new Error("The test has it fail"));
      for (const id of ids(3)) alice.says(chat(bob.bare, id));
      asks(alice);
      const told = [await alice.next(), await alice.next(), await alice.next()];
      expect(told.map(({ attrs }) => `${attrs["type"]} ${attrs["id"]}`)).toEqual(ids(3).map((id) => `error ${id}`));
      expect(await acknowledged(alice)).toBe(3);
      spy.mockRestore();
      alice.says(chat(bob.bare, "m3"));
      await alice.settled();
      expect(await given(await bob.comes())).toEqual(["m3"]);
    },
    { logs: ["stanza_handler_failed"] },
  );
});

story(
  "those that cannot be stored are told, each once, and count as handled",
  { alice: 1, bob: 0 },
  async ({ alice, bob, server }) => {
    await alice.managesStream();
    alice.says(chat(bob.bare, "known"));
    await alice.settled();
    const writes = HeldWrites.of(server, "offline_message", "mod_offline");
    alice.says(chat(bob.bare, "m0"));
    await writes.next();
    for (const id of ids(3, 1)) alice.says(chat(bob.bare, id));
    asks(alice);
    await Bun.sleep(20);
    writes.fail();
    await expect.poll(() => writes.count).toBe(1);
    writes.one();
    writes.open();
    await alice.hears(
      `<message type="error" id="m0"><error type="wait"><internal-server-error xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
    );
    expect(await acknowledged(alice)).toBe(5);
    expect(await given(await bob.comes())).toEqual(["known", ...ids(3, 1)]);
  },
  { logs: ["offline_write_failed"] },
);

describe("where ten may wait", () => {
  const { story } = stage({ modules: { mod_cache_users: {}, mod_offline: { max_user_messages: 10 } } });

  story("of many at once the first ten are stored", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    for (const id of ids(14)) alice.says(chat(bob.bare, id));
    const refused = messages(await alice.settles());
    expect(refused).toEqual(ids(4, 10));
    expect(await given(await bob.comes())).toEqual(ids(10));
  });
});
