// XEP-0424 in archives: what its author retracts is replaced in both archives, and nothing else is.
import { describe, expect } from "vitest";
import { type Archived, asks, writes } from "../support/archive.ts";
import type { Client } from "../support/client.ts";
import { childrenOf, find, type XElement } from "../support/match.ts";
import { covering, stage } from "../support/story.ts";

const covers = covering("mam_SUITE");
const modules = (pm: Record<string, boolean>) => ({ modules: { mod_mam: { pm } } });
const FASTEN = "urn:xmpp:fasten:0";
const RETRACT = "urn:xmpp:message-retract:1";
const FASTENED = "urn:xmpp:message-retract:0";
const BY_STANZA_ID = "urn:esl:message-retract-by-stanza-id:0";

const origin = (id: string): string => `<origin-id xmlns="urn:xmpp:sid:0" id="${id}"/>`;
const fastened = (id: string | undefined, ns = FASTENED): string =>
  `<apply-to xmlns="${FASTEN}"${id === undefined ? "" : ` id="${id}"`}><retract xmlns="${ns}"/></apply-to>`;
const direct = (id: string): string =>
  `<retract xmlns="${RETRACT}" id="${id}"/><fallback xmlns="urn:xmpp:fallback:0" for="${RETRACT}"/><body>/me retracted</body>`;

/** Alice has written to Bob. */
async function hasWritten(alice: Client, bob: Client, more = origin("orig-id-1"), id = "m1"): Promise<void> {
  alice.sends`<message to="${bob.bare}" type="chat" id="${id}"><body>OH, HAI!</body>${raw(more)}</message>`;
  await bob.hears(`<message id="${id}"><body>OH, HAI!</body></message>`);
}
/** One sends a message with some markup to the other, who hears it. */
async function says(from: Client, to: Client, inner: string, id = "r1"): Promise<XElement> {
  from.says(`<message to="${to.bare}" type="chat" id="${id}">${inner}</message>`);
  return to.skipsTo((e) => e.attrs["id"] === id);
}
const raw = (markup: string) => ({ toString: () => markup });
const children = ({ message }: Archived): string[] =>
  childrenOf(message)
    .map((child) => child.name)
    .filter((name) => name !== "stanza-id");

describe("retraction", () => {
  const { story } = stage(modules({}));

  story(
    "by its origin-id leaves a tombstone in both archives, and the retraction",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await hasWritten(alice, bob);
      const heard = await says(alice, bob, fastened("orig-id-1"));
      expect(find(heard, "apply-to")?.attrs["id"]).toBe("orig-id-1");
      for (const client of [alice, bob]) {
        const { messages } = await asks(client);
        expect(messages.map(children)).toEqual([["retracted"], ["apply-to"]]);
        const [{ message }] = messages;
        expect(message.attrs).toMatchObject({ from: alice.full, to: bob.bare, type: "chat", id: "m1" });
        const retracted = find(message, "retracted");
        expect(retracted?.attrs["stamp"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
        expect(find(message, "origin-id")?.attrs["id"]).toBe("orig-id-1");
      }
    },
    covers("retract_message"),
  );

  story("by its id leaves a tombstone that names the retraction", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await hasWritten(alice, bob, "");
    await says(alice, bob, direct("m1"), "asking");
    for (const client of [alice, bob]) {
      const { messages } = await asks(client);
      expect(messages.map(children)).toEqual([["retracted"], ["retract", "fallback", "body"]]);
      expect(find(messages[0].message, "retracted")?.attrs["id"]).toBe("asking");
    }
  });

  story("by its id finds what was written long before", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await hasWritten(alice, bob, "");
    for (let n = 1; n <= 250; n++) writes(alice, bob, `later ${n}`);
    await says(alice, bob, direct("m1"), "asking");
    for (const client of [alice, bob]) {
      const { messages } = await asks(client, { rsm: "<max>2</max>" });
      expect(messages.map(children)).toEqual([["retracted"], ["body"]]);
    }
  });

  story(
    "of a message that there is not changes nothing, and is kept",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await hasWritten(alice, bob);
      await says(alice, bob, fastened("wrong-id"));
      for (const client of [alice, bob]) {
        const { messages } = await asks(client);
        expect(messages.map(children)).toEqual([["body", "origin-id"], ["apply-to"]]);
      }
    },
    covers("retract_wrong_message"),
  );

  story(
    "that does not say of what is not even kept",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await hasWritten(alice, bob);
      await says(alice, bob, fastened(undefined));
      for (const client of [alice, bob]) expect((await asks(client)).bodies).toEqual(["OH, HAI!"]);
    },
    covers("ignore_bad_retraction"),
  );

  story(
    "by anybody but the author changes nothing, whatever it names",
    { alice: 1, bob: 1, mallory: 1 },
    async ({ alice, bob, mallory }) => {
      await hasWritten(alice, bob);
      const inAlices = (await asks(alice)).ids[0];
      const inBobs = (await asks(bob)).ids[0];
      const retractions = [
        fastened("orig-id-1"),
        direct("m1"),
        direct("orig-id-1"),
        fastened(inAlices, BY_STANZA_ID),
        fastened(inBobs, BY_STANZA_ID),
      ];
      let n = 0;
      for (const inner of retractions) {
        await says(bob, alice, inner, `b${++n}`);
        await says(mallory, alice, inner, `b${++n}`);
        await says(mallory, bob, inner, `b${++n}`);
      }
      for (const client of [alice, bob]) {
        const { messages } = await asks(client);
        expect(children(messages[0])).toEqual(["body", "origin-id"]);
        expect(messages.filter((m) => children(m).includes("retracted"))).toEqual([]);
      }
    },
  );

  story("in another conversation changes nothing", { alice: 1, bob: 1, carol: 1 }, async ({ alice, bob, carol }) => {
    await hasWritten(alice, bob);
    const [id] = (await asks(alice)).ids;
    for (const [n, inner] of [fastened("orig-id-1"), direct("m1"), fastened(id, BY_STANZA_ID)].entries())
      await says(alice, carol, inner, `c${n}`);
    for (const client of [alice, bob]) expect(children((await asks(client)).messages[0])).toContain("body");
  });

  story("from another device of the author is heeded", { alice: 2, bob: 1 }, async ({ alice: [one, other], bob }) => {
    await hasWritten(one, bob);
    await says(other, bob, fastened("orig-id-1"));
    expect(children((await asks(bob)).messages[0])).toEqual(["retracted"]);
    expect(children((await asks(other)).messages[0])).toEqual(["retracted"]);
  });

  story(
    "right behind its message finds it, though neither is written yet",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      const stanzas: string[] = [];
      for (let n = 0; n < 20; n++)
        stanzas.push(
          `<message to="${bob.bare}" type="chat" id="m${n}"><body>oops ${n}</body>${origin(`o${n}`)}</message>`,
          `<message to="${bob.bare}" type="chat" id="r${n}">${fastened(`o${n}`)}</message>`,
        );
      for (const stanza of stanzas) alice.says(stanza);
      await bob.skipsTo((e) => e.attrs["id"] === "r19");
      for (const client of [alice, bob]) {
        const { messages } = await asks(client);
        expect(messages.map(children)).toEqual(
          Array(20)
            .fill([["retracted"], ["apply-to"]])
            .flat(),
        );
      }
    },
  );

  story("of the same message twice leaves the first tombstone", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await hasWritten(alice, bob, "");
    await says(alice, bob, direct("m1"), "first");
    await says(alice, bob, direct("m1"), "second");
    for (const client of [alice, bob]) {
      const [{ message }] = (await asks(client)).messages;
      expect(find(message, "retracted")?.attrs["id"]).toBe("first");
    }
  });

  story("by an id that XML can write in two ways finds it", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    for (const id of ["a>b", "a&gt;b", "a&apos;b", "żółć&#x1F602;", "a&#10;b"]) {
      alice.says(`<message to="${bob.bare}" type="chat" id="${id}"><body>meant</body></message>`);
      await bob.hears("<message><body>meant</body></message>");
      await says(alice, bob, direct(id.replace(">", "&gt;")), "asking");
      for (const client of [alice, bob]) {
        const { messages } = await asks(client, { rsm: "<max>2</max><before/>" });
        expect(messages.map(children), id).toEqual([["retracted"], ["retract", "fallback", "body"]]);
        expect(messages[0].message.attrs["id"]).toBe(find(messages[1].message, "retract")?.attrs["id"]);
      }
    }
  });

  story("of a retraction changes nothing: it is kept (XEP-0424 §5)", { alice: 1, bob: 1 }, async ({ alice, bob }) => {
    await hasWritten(alice, bob);
    await says(alice, bob, direct("m1"), "first");
    await says(alice, bob, `${fastened("orig-id-1")}${origin("second's")}<body>/me retracted</body>`, "second");
    for (const inner of [direct("first"), direct("second"), fastened("second's")]) await says(alice, bob, inner);
    for (const client of [alice, bob]) {
      const kept = (await asks(client)).messages.map(children).map(([first]) => first);
      expect(kept).toEqual(["retracted", "retract", "apply-to", "retract", "retract", "apply-to"]);
    }
  });

  story("to an account that is offline is heeded", { alice: 1, bob: 0 }, async ({ alice, bob }) => {
    writes(alice, bob, "OH, HAI!", origin("orig-id-1"));
    alice.says(`<message to="${bob.bare}" type="chat">${fastened("orig-id-1")}</message>`);
    expect((await asks(alice)).messages.map(children)).toEqual([["retracted"], ["apply-to"]]);
    const client = await bob.comes();
    expect((await asks(client)).messages.map(children)).toEqual([["retracted"], ["apply-to"]]);
  });
});

describe("with one id for both archives", () => {
  const { story } = stage(modules({ same_mam_id_for_peers: true }));
  story(
    "a retraction names its message by it",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await hasWritten(alice, bob);
      const [id] = (await asks(alice)).ids;
      await says(alice, bob, fastened(id, BY_STANZA_ID));
      for (const client of [alice, bob]) {
        const { messages } = await asks(client);
        expect(messages.map(children)).toEqual([["retracted"], ["apply-to"]]);
        expect(find(messages[0].message, "stanza-id")?.attrs).toMatchObject({ id, by: client.bare });
        expect(find(messages[0].message, "origin-id")?.attrs["id"]).toBe("orig-id-1");
      }
    },
    covers("retract_message_on_stanza_id"),
  );
});

describe("without message_retraction", () => {
  const { story } = stage(modules({ message_retraction: false }));
  story(
    "a retraction is kept, and what it is about",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      await hasWritten(alice, bob);
      await says(alice, bob, fastened("orig-id-1"));
      for (const client of [alice, bob])
        expect((await asks(client)).messages.map(children)).toEqual([["body", "origin-id"], ["apply-to"]]);
    },
    covers("retract_message"),
  );
});

describe.each([
  [true, {}],
  [false, { message_retraction: false }],
])("with message_retraction %s", (tombstones, options) => {
  const { story } = stage(modules(options));
  story("server and account say so", { alice: 1 }, async ({ alice }) => {
    for (const to of [alice.domain, alice.bare]) {
      alice.says(`<iq type="get" id="disco" to="${to}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`);
      alice.tally.assertions++;
      const query = find(await alice.next(), "query");
      const features = query === undefined ? [] : childrenOf(query).map((feature) => feature.attrs["var"]);
      for (const ns of [RETRACT, FASTENED]) {
        expect(features).toContain(ns);
        expect(features.includes(`${ns}#tombstone`)).toBe(tombstones);
      }
    }
  });
});
