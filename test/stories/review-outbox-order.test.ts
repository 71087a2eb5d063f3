// What a client has sent and what still waits for the archive: acknowledgements (XEP-0198), the end of the stream, and
// what must not overtake it. The archive is a gate here, which the story opens.
import { describe, expect } from "vitest";
import { HeldWrites } from "../support/held-writes.ts";
import { stage } from "../support/story.ts";

const NS_SM = "urn:xmpp:sm:3";
const modules = { modules: { mod_mam: { pm: {} }, mod_csi: null } };
const chat = (to: string, id: string, more = "") =>
  `<message xmlns="jabber:client" to="${to}" id="${id}" type="chat"><body>${id}</body>${more}</message>`;

describe("acknowledgements", () => {
  const { story } = stage(modules);

  story(
    "do not count what was sent before they were turned on",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const writes = HeldWrites.of(server);
      alice.sendsRaw(chat(bob.full, "early"));
      alice.sendsRaw(`<enable xmlns='${NS_SM}'/>`);
      alice.sendsRaw(chat(bob.full, "late"));
      await writes.next();
      writes.open();
      await alice.receives`<enabled xmlns="${NS_SM}"/>`;
      await bob.hears("<message id='early'/>");
      await bob.hears("<message id='late'/>");
      alice.sendsRaw(`<r xmlns='${NS_SM}'/>`);
      await alice.receives`<a xmlns="${NS_SM}" h="1"/>`;
    },
  );

  story(
    "do not count a message in the place of one that waits",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await alice.managesStream();
      const writes = HeldWrites.of(server);
      alice.sendsRaw(chat(bob.full, "first"));
      await writes.next();
      alice.sendsRaw(chat("@nobody", "malformed"));
      await alice.receives`<message type="error" id="malformed"/>`;
      await alice.breaks();
      const [session] = server.node.sessionsOf({ text: alice.bare } as never);
      expect((session as { sm?: { handled: number } }).sm?.handled).toBe(0);
      writes.open();
      await bob.hears("<message id='first'/>");
      expect((session as { sm?: { handled: number } }).sm?.handled).toBe(2);
    },
  );

  story("come to a client that never stops sending", { alice: 1, bob: 1 }, async ({ alice, bob, server }) => {
    // Both archives are known from now on: what goes into them is one write.
    alice.sendsRaw(chat(bob.full, "0"));
    await bob.hears("<message id='0'/>");
    await alice.managesStream();
    const writes = HeldWrites.of(server);
    alice.sendsRaw(chat(bob.full, "1"));
    alice.sendsRaw(`<r xmlns='${NS_SM}'/>`);
    await writes.next();
    alice.sendsRaw(chat(bob.full, "2"));
    writes.one();
    await writes.next();
    // The second is not written yet.
    await alice.receives`<a xmlns="${NS_SM}" h="1"/>`;
    writes.open();
    for (const id of ["1", "2"]) await bob.hears(`<message id='${id}'/>`);
  });

  story(
    "wait for the write, and come when it failed",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await alice.managesStream();
      const writes = HeldWrites.of(server);
      alice.sendsRaw(chat(bob.full, "lost"));
      alice.sendsRaw(`<r xmlns='${NS_SM}'/>`);
      await writes.next();
      writes.fail();
      writes.open();
      await alice.receives`<message type="error" id="lost"/>`;
      await alice.receives`<a xmlns="${NS_SM}" h="1"/>`;
      await bob.receivesNothing();
    },
    { logs: ["archive_write_failed", "stanza_commit_failed"] },
  );
});

describe("the end of a stream", () => {
  const { story } = stage(modules);

  story(
    "comes after what was sent before it, and after the errors of that",
    { alice: 1, bob: 1 },
    async ({ alice, bob, befriend, server }) => {
      await befriend(alice, bob);
      const writes = HeldWrites.of(server);
      alice.sendsRaw(chat(bob.full, "lost"));
      await writes.next();
      alice.sendsRaw(chat(bob.full, "last"));
      const left = alice.leaves();
      writes.fail();
      await writes.next();
      writes.open();
      await left;
      await alice.receives`<message type="error" id="lost"/>`;
      await bob.hears("<message id='last'/>");
      await bob.receives`<presence type="unavailable" from="${alice.full}"/>`;
    },
    { logs: ["archive_write_failed", "stanza_commit_failed"] },
  );

  story("has no presence come after it that waited", { alice: 1, bob: 1 }, async ({ alice, bob, befriend, server }) => {
    await befriend(alice, bob);
    const writes = HeldWrites.of(server);
    alice.sendsRaw(chat(bob.full, "last"));
    alice.sendsRaw("<presence xmlns='jabber:client'><show>dnd</show></presence>");
    await writes.next();
    await alice.breaks();
    writes.open();
    await bob.hears("<message id='last'/>");
    const [about] = [await bob.skipsTo((e) => e.name === "presence" && e.attrs["type"] === "unavailable")];
    expect(about.attrs["from"]).toBe(alice.full);
    await bob.receivesNothing();
  });

  story("of a replaced session leaves no presence", { alice: 1, bob: 1 }, async (scene) => {
    const { alice, bob, befriend, server, another, door } = scene;
    await befriend(alice, bob);
    const writes = HeldWrites.of(server);
    alice.sendsRaw(chat(bob.full, "last"));
    alice.sendsRaw("<presence xmlns='jabber:client'><status>ghost</status></presence>");
    await writes.next();
    await another(alice).logsIn(server.target(door), alice.resource);
    writes.open();
    await bob.receives`<presence type="unavailable" from="${alice.full}"/><message id="last"/>`;
    await bob.receivesNothing();
  });
});
