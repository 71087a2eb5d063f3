// esl:xmpp:smart-markers:0: where the two sides of a conversation have come to.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, type XElement } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";

const NS = "esl:xmpp:smart-markers:0";
const MARKERS = "urn:xmpp:chat-markers:0";
const suite = covering("smart_markers_SUITE");

/** `writer` says something, and the other marks it as displayed. */
async function answeredByMark(writer: Client, reader: Client, id: string, thread?: string): Promise<void> {
  const inThread = thread === undefined ? "" : `<thread>${thread}</thread>`;
  writer.says(`<message to="${reader.full}" type="chat" id="${id}">${inThread}<body>Hello!</body></message>`);
  await reader.receives`<message id="${id}"/>`;
  reader.says(`<message to="${writer.full}">${inThread}<displayed xmlns="${MARKERS}" id="${id}"/></message>`);
  const mark = await writer.receives`<message from="${reader.full}"/>`;
  expect(childOf(mark, "displayed", MARKERS)?.attrs["id"]).toBe(id);
}

async function fetched(c: Client, attributes: string): Promise<XElement[]> {
  c.says(`<iq type="get" id="f"><query xmlns="${NS}" ${attributes}/></iq>`);
  const query = childOf(await c.receives`<iq type="result" id="f" from="${c.bare}"/>`, "query", NS)!;
  return childrenOf(query);
}
const told = async (c: Client, attributes: string) =>
  (await fetched(c, attributes)).map(({ attrs: { from, id, type, thread } }) => ({ from, id, type, thread }));

async function refused(c: Client, iq: string, condition: string): Promise<void> {
  c.says(iq);
  await c.hears(
    `<iq type="error" id="f"><error><${condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
  );
}

describe.each(["rdbms", "rdbms_async"])("backend = %s", (backend) => {
  const { story } = stage({ modules: { mod_smart_markers: { backend, max_user_markers: 4 } } });

  story(
    "a request that makes no sense is refused",
    { alice: 1 },
    async ({ alice }) => {
      const get = (attributes: string) => `<iq type="get" id="f"><query xmlns="${NS}" ${attributes}/></iq>`;
      await refused(alice, `<iq type="set" id="f"><query xmlns="${NS}"/></iq>`, "service-unavailable");
      await refused(alice, get(`peer="/@"`), "bad-request");
      await refused(alice, get(""), "bad-request");
      await refused(alice, get(`peer="peer@localhost" after="baddate"`), "bad-request");
      await refused(alice, `<iq type="get" id="f"><other xmlns="${NS}" peer="peer@localhost"/></iq>`, "bad-request");
    },
    suite("error_set_iq", "error_bad_peer", "error_no_peer_given", "error_bad_timestamp"),
  );

  story(
    "both sides of a conversation are told where each of them is",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const before = Date.now();
      await answeredByMark(alice, bob, "a1");
      await answeredByMark(bob, alice, "b1");
      for (const [who, peer] of [
        [alice, bob],
        [bob, alice],
      ]) {
        const markers = await fetched(who, `peer="${peer.bare}"`);
        expect(markers.map((m) => m.attrs["from"]).toSorted()).toEqual([alice.bare, bob.bare].toSorted());
        for (const { attrs } of markers) {
          expect(attrs["id"]).toBe(attrs["from"] === bob.bare ? "a1" : "b1");
          expect(attrs["type"]).toBe("displayed");
          expect(attrs["thread"]).toBeUndefined();
          expect(Date.parse(attrs["timestamp"])).toBeGreaterThanOrEqual(before);
        }
      }
    },
    suite("marker_is_stored", "marker_can_be_fetched"),
  );

  story("nobody else is told", { alice: 1, bob: 1, eve: 1 }, async ({ alice, bob, eve }) => {
    await answeredByMark(alice, bob, "a1");
    for (const peer of [alice.bare, bob.bare, bob.full]) expect(await told(eve, `peer="${peer}"`)).toEqual([]);
    await refused(
      eve,
      `<iq type="get" id="f" to="${bob.bare}"><query xmlns="${NS}" peer="${alice.bare}"/></iq>`,
      "forbidden",
    );
    // What she marks is hers, whatever it says about others.
    eve.says(`<message to="${bob.full}"><displayed xmlns="${MARKERS}" id="e1"/></message>`);
    await bob.receives`<message from="${eve.full}"/>`;
    expect(await told(alice, `peer="${bob.bare}"`)).toEqual([{ from: bob.bare, id: "a1", type: "displayed" }]);
  });

  story(
    "each thread has its own",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await answeredByMark(alice, bob, "m1");
      await answeredByMark(alice, bob, "t1", "some-thread-id");
      expect(await told(bob, `peer="${alice.bare}" thread="some-thread-id"`)).toEqual([
        { from: bob.bare, id: "t1", type: "displayed", thread: "some-thread-id" },
      ]);
      expect(await told(bob, `peer="${alice.bare}"`)).toEqual([{ from: bob.bare, id: "m1", type: "displayed" }]);
    },
    suite("marker_for_thread_can_be_fetched"),
  );

  story(
    "only what was sent after a time",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const before = new Date(Date.now() - 1000).toISOString();
      const later = new Date(Date.now() + 60_000).toISOString();
      await answeredByMark(alice, bob, "m1");
      await answeredByMark(alice, bob, "m2");
      await answeredByMark(alice, bob, "t1", "T");
      const ids = async (attributes: string) =>
        (await told(bob, `peer="${alice.bare}" ${attributes}`)).map((m) => m.id);
      expect(await ids(`after="${before}"`)).toEqual(["m2"]);
      expect(await ids(`after="${before}" thread="T"`)).toEqual(["t1"]);
      expect(await ids(`after="${later}"`)).toEqual([]);
      expect(await ids(`after="${later}" thread="T"`)).toEqual([]);
    },
    suite("marker_after_timestamp_can_be_fetched", "marker_after_timestamp_for_threadid_can_be_fetched"),
  );

  story(
    "a removed user's markers are gone",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      await answeredByMark(alice, bob, "a1");
      expect(await told(alice, `peer="${bob.bare}"`)).toHaveLength(1);
      const jid = server.node.sessions.of(bob.bare)[0].jid.bare;
      expect(await server.node.removeUser(jid)).toBe(true);
      expect(await told(alice, `peer="${bob.bare}"`)).toEqual([]);
    },
    suite("remove_markers_when_removed_user"),
  );

  story(
    "the same marker twice in a message is one, and nothing to complain about",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      const logged = server.logged.length;
      const mark = `<displayed xmlns="${MARKERS}" id="m1"/>`;
      bob.says(`<message to="${alice.full}">${mark}${mark}</message>`);
      await alice.receives`<message from="${bob.full}"/>`;
      expect(await told(bob, `peer="${alice.bare}"`)).toEqual([{ from: bob.bare, id: "m1", type: "displayed" }]);
      expect(server.logged.slice(logged).filter(({ level }) => level !== "info")).toEqual([]);
    },
    suite("repeated_markers_produce_no_warnings"),
  );

  story("every kind of marker is kept, a request for markers is none", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    bob.says(`<message to="${alice.full}"><body>b</body><markable xmlns="${MARKERS}"/></message>`);
    await alice.receives`<message/>`;
    expect(await told(bob, `peer="${alice.bare}"`)).toEqual([]);
    const marks = ["received", "displayed", "acknowledged"].map((k) => `<${k} xmlns="${MARKERS}" id="${k}"/>`).join("");
    bob.says(`<message to="${alice.full}">${marks}</message>`);
    await alice.receives`<message/>`;
    expect((await told(alice, `peer="${bob.bare}"`)).map((m) => m.type).toSorted()).toEqual([
      "acknowledged",
      "displayed",
      "received",
    ]);
  });

  story(
    "XEP-0334: a marker that must not be stored is delivered only",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      for (const hint of ["no-store", "no-permanent-store"]) {
        bob.says(
          `<message to="${alice.full}"><displayed xmlns="${MARKERS}" id="m"/><${hint} xmlns="urn:xmpp:hints"/></message>`,
        );
        await alice.receives`<message from="${bob.full}"/>`;
      }
      expect(await told(bob, `peer="${alice.bare}"`)).toEqual([]);
    },
  );

  story("a user has a bounded number of markers", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    const mark = (id: string, thread: string): void =>
      bob.says(
        `<message id="x" to="${alice.full}"><thread>${thread}</thread><displayed xmlns="${MARKERS}" id="${id}"/></message>`,
      );
    const error = (condition: string) =>
      bob.hears(
        `<message type="error" id="x"><error><${condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
      );
    for (const thread of ["1", "2", "3", "4"]) {
      mark(thread, thread);
      await alice.receives`<message/>`;
      expect(await told(bob, `peer="${alice.bare}" thread="${thread}"`)).toHaveLength(1);
    }
    mark("5", "5");
    await error("resource-constraint");
    await alice.receivesNothing();
    mark("6", "4");
    await alice.receives`<message/>`;
    expect((await told(bob, `peer="${alice.bare}" thread="4"`)).map((m) => m.id)).toEqual(["6"]);
    mark("7", "x".repeat(251));
    await error("policy-violation");
  });
});

describe.each(["rdbms", "rdbms_async"])("keep_private, backend = %s", (backend) => {
  const { story } = stage({ modules: { mod_smart_markers: { backend, keep_private: true } } });

  story(
    "a marker is its sender's own affair",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      alice.says(`<message to="${bob.full}" type="chat" id="m1"><body>Hello!</body></message>`);
      await bob.receives`<message id="m1"/>`;
      bob.says(`<message to="${alice.full}"><displayed xmlns="${MARKERS}" id="m1"/></message>`);
      await alice.receivesNothing();
      expect(await told(alice, `peer="${bob.bare}"`)).toEqual([]);
      expect(await told(bob, `peer="${alice.bare}"`)).toEqual([{ from: bob.bare, id: "m1", type: "displayed" }]);
    },
    suite("marker_is_not_routed_nor_fetchable"),
  );

  story("a message that says more arrives without its marker", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    bob.says(
      `<message to="${alice.full}" type="chat"><body>Yes</body><displayed xmlns="${MARKERS}" id="m1"/><markable xmlns="${MARKERS}"/></message>`,
    );
    const got = await alice.receives`<message><body>Yes</body></message>`;
    expect(childOf(got, "displayed", MARKERS)).toBeUndefined();
    expect(childOf(got, "markable", MARKERS)).toBeDefined();
  });
});
