// mod_offline_chatmarkers: of many markers that were sent to somebody who is away, the newest come.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { childOf, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const MARKERS = "urn:xmpp:chat-markers:0";

const mark = (to: string, kind: string, id: string, thread?: string, more = ""): string =>
  `<message to="${to}">${thread === undefined ? "" : `<thread>${thread}</thread>`}<${kind} xmlns="${MARKERS}" id="${id}"/>${more}</message>`;

/** What a client gets when it comes: bodies, or markers as kind, id and thread. */
async function waiting(c: Client): Promise<string[]> {
  c.sends`<presence/>`;
  const said = (e: XElement): string => {
    const kind = ["received", "displayed", "acknowledged"].find((k) => childOf(e, k, MARKERS) !== undefined);
    if (kind === undefined) return JSON.stringify(childOf(e, "body")?.children);
    expect(e.attrs["type"]).toBeUndefined();
    expect(childOf(e, "delay", "urn:xmpp:delay")).toBeDefined();
    const thread = childOf(e, "thread");
    return `${e.attrs["from"]} ${kind} ${childOf(e, kind, MARKERS)!.attrs["id"]} ${thread?.children[0] ?? "-"}`;
  };
  return (await c.settles()).filter((e) => e.name === "message").map(said);
}

describe.each([
  ["rdbms", {}],
  ["rdbms_async", {}],
  // Where messages wait for something else before they come to somebody who is not there.
  ["rdbms", { mod_mam: { pm: {} } }],
])("markers in backend %s with %j", (backend, more) => {
  const { story } = stage({
    modules: {
      ...more,
      mod_smart_markers: { backend },
      mod_offline: { store_groupchat_messages: true },
      mod_offline_chatmarkers: { store_groupchat_messages: true, max_user_threads: 3 },
    },
  });

  story(
    "of each kind and thread the newest comes, after the messages, and once",
    { alice: 1, bob: 0 },
    async ({ alice, bob }) => {
      alice.says(mark(bob.bare, "received", "123"));
      alice.says(mark(bob.bare, "received", "321"));
      alice.says(mark(bob.bare, "received", "322", "t1"));
      alice.says(mark(bob.bare, "received", "323", "t1"));
      alice.says(mark(bob.bare, "displayed", "319"));
      alice.says(`<message to="${bob.bare}" type="chat"><body>msgtxt</body></message>`);
      await alice.receivesNothing();
      const his = await bob.comes();
      const [first, ...markers] = await waiting(his);
      expect(first).toBe('["msgtxt"]');
      expect(markers.toSorted()).toEqual([
        `${alice.bare} displayed 319 -`,
        `${alice.bare} received 321 -`,
        `${alice.bare} received 323 t1`,
      ]);
      await his.leaves();
      expect(await waiting(await bob.comes())).toEqual([]);
    },
    { covers: ["offline_SUITE:one2one_chatmarker_is_overriden_and_only_unique_markers_are_delivered"] },
  );

  story("the newest comes, whatever they waited for", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    for (const id of ["1", "2"]) {
      alice.says(`<message to="${bob.bare}" type="chat"><body>text ${id}</body></message>`);
      for (const sent of [`${id}1`, `${id}2`, `${id}3`]) alice.says(mark(bob.bare, "displayed", sent));
    }
    await alice.receivesNothing();
    expect(await waiting(await bob.comes())).toEqual(['["text 1"]', '["text 2"]', `${alice.bare} displayed 23 -`]);
  });

  story("each sender's marker comes", { alice: 1, eve: 1, bob: 0 }, async ({ alice, eve, bob }) => {
    alice.says(mark(bob.bare, "displayed", "a"));
    eve.says(mark(bob.bare, "displayed", "e"));
    await alice.receivesNothing();
    await eve.receivesNothing();
    expect((await waiting(await bob.comes())).toSorted()).toEqual(
      [`${alice.bare} displayed a -`, `${eve.bare} displayed e -`].toSorted(),
    );
  });

  story("what is more than a marker is stored as a message", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    alice.says(mark(bob.bare, "displayed", "a", undefined, "<body>b1</body>"));
    alice.says(mark(bob.bare, "displayed", "b", undefined, "<body>b2</body>"));
    await alice.receivesNothing();
    const his = await bob.comes();
    his.sends`<presence/>`;
    const got = (await his.settles()).filter((e) => e.name === "message");
    expect(got.map((e) => childOf(e, "body")!.children)).toEqual([["b1"], ["b2"]]);
  });

  story("XEP-0334: no-store is not kept, and its sender is told", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    alice.says(mark(bob.bare, "displayed", "a", undefined, `<no-store xmlns="urn:xmpp:hints"/>`));
    await alice.receives`<message type="error"/>`;
    expect(await waiting(await bob.comes())).toEqual([]);
  });

  story("the number of threads that wait is bounded", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    for (const thread of ["1", "2", "3"]) alice.says(mark(bob.bare, "displayed", "a", thread));
    await alice.receivesNothing();
    alice.says(mark(bob.bare, "displayed", "b", "4"));
    await alice.receives`<message type="error"><error><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`;
    alice.says(mark(bob.bare, "displayed", "c", "3"));
    await alice.receivesNothing();
    expect((await waiting(await bob.comes())).at(-1)).toBe(`${alice.bare} displayed c 3`);
  });

  story("nothing comes while the priority is negative", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    alice.says(mark(bob.bare, "displayed", "a"));
    await alice.receivesNothing();
    const his = await bob.comes();
    await his.comesOnline(-1);
    await his.receivesNothing();
    expect(await waiting(his)).toEqual([`${alice.bare} displayed a -`]);
  });
});
