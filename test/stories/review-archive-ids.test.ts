// Ids that clients make up in the name of an archive, and messages that come to it a second time.
import { describe, expect } from "vitest";
import { asks } from "../support/archive.ts";
import { find, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS_SID = "urn:xmpp:sid:0";
const NO_STORE = '<no-store xmlns="urn:xmpp:hints"/>';
const forged = (by: string) => `<stanza-id xmlns="${NS_SID}" by="${by}" id="FORGED"/>`;
const ids = (e: XElement): string[] =>
  e.children.filter((c): c is XElement => typeof c !== "string" && c.name === "stanza-id").map((c) => c.attrs["id"]);

describe("without mod_stanzaid", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} }, mod_stanzaid: null } });

  story(
    "nobody gives a message the id of an archive, whether it is kept or not",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      for (const more of ["", NO_STORE]) {
        alice.says(`<message to="${bob.full}" type="chat"><body>Hi</body>${forged(bob.bare)}${more}</message>`);
        expect(ids(await bob.receives`<message><body>Hi</body></message>`)).not.toContain("FORGED");
      }
      alice.says(`<message to="${bob.full}" type="headline"><body>Hi</body>${forged("localhost")}</message>`);
      expect(ids(await bob.receives`<message><body>Hi</body></message>`)).toEqual([]);
    },
  );

  story(
    "no archive has an id in its own name that its owner did not get from it",
    { alice: 1, bob: 1 },
    async ({ alice, bob }) => {
      alice.says(
        `<message to="${bob.full}" type="chat"><body>Hi</body>${forged(bob.bare)}${forged(alice.bare)}</message>`,
      );
      await bob.receives`<message><body>Hi</body></message>`;
      const { messages } = await asks(bob);
      expect(messages.map(({ message }) => ids(message))).toEqual([[]]);
      const own = await asks(alice);
      expect(
        own.messages.flatMap(({ message }) =>
          message.children.filter(
            (c) => typeof c !== "string" && c.name === "stanza-id" && c.attrs["by"] === alice.bare,
          ),
        ),
      ).toEqual([]);
    },
  );
});

describe("a message that was held for a broken stream when the process ended", () => {
  const options = { modules: { mod_mam: { no_stanzaid_element: true, pm: {} }, mod_inbox: {}, mod_stanzaid: null } };
  const { story } = stage(options);

  story(
    "is in the archive and counted once when it is sent on, also where messages do not say their ids",
    { alice: 1, bob: 0 },
    async ({ alice, bob, server }) => {
      const first = await bob.comes();
      await first.comesOnline();
      alice.says(`<message to="${first.full}" type="chat" id="m"><body>Hi</body></message>`);
      await first.hears("<message id='m'/>");
      await first.leaves();
      // What a process that is killed leaves behind, as it was written for the client.
      const text = `<message from='${alice.full}' to='${first.full}' type='chat' id='m'><body>Hi</body></message>`;
      await server.node.pools.embedded.insertMany(
        "mongooseim_held_stanzas",
        ["server", "username", "stream_id", "stanza", "held_at"],
        [[bob.domain, bob.local, "stream", text, Date.now()]],
      );
      await server.restarts(options);
      const again = await bob.comes();
      again.sendsRaw("<presence xmlns='jabber:client'/>");
      await again.skipsTo((e) => e.name === "message" && e.attrs["id"] === "m");
      await again.settles();
      expect((await asks(again)).bodies).toEqual(["Hi"]);
      again.says("<iq type='set' id='box'><inbox xmlns='erlang-solutions.com:xmpp:inbox:0'/></iq>");
      const entry = await again.skipsTo((e) => find(e, "result") !== undefined);
      expect(find(entry, "result")?.attrs["unread"]).toBe("1");
    },
    { door: "tcp" },
  );
});
