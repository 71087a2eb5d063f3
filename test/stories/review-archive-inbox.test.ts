// The inbox of a message that the archive could not take, or takes its time with.
import { describe, expect } from "vitest";
import type { Client } from "../support/client.ts";
import { HeldWrites } from "../support/held-writes.ts";
import { find } from "../support/match.ts";
import { stage } from "../support/story.ts";

const NS = "erlang-solutions.com:xmpp:inbox:0";
const logs = ["archive_write_failed", "stanza_commit_failed"];
const text = (to: string, id: string) => `<message to="${to}" id="${id}" type="chat"><body>${id}</body></message>`;

/** The entries of a client's inbox: the id of the last message and how many are unread. */
async function inbox(client: Client): Promise<string[]> {
  client.says(`<iq type="set" id="box"><inbox xmlns="${NS}"/></iq>`);
  const entries: string[] = [];
  for (;;) {
    const e = await client.next();
    client.tally.assertions++;
    if (e.name === "iq") return entries;
    const message = find(find(e, "forwarded")!, "message");
    entries.push(`${message?.attrs["id"]} ${find(e, "result")?.attrs["unread"]}`);
  }
}

describe("an inbox beside an archive", () => {
  const { story } = stage({ modules: { mod_mam: { pm: {} }, mod_inbox: {} } });

  story(
    "has no message that was not kept: it was not delivered, and is sent again",
    { alice: 1, bob: 1 },
    async ({ alice, bob, server }) => {
      alice.says(text(bob.full, "before"));
      await bob.hears("<message id='before'/>");
      const writes = HeldWrites.of(server);
      alice.says(text(bob.full, "again"));
      await writes.next();
      writes.fail();
      writes.open();
      await alice.hears("<message type='error' id='again'/>");
      expect(await inbox(bob)).toEqual(["before 1"]);
      expect(await inbox(alice)).toEqual(["before 0"]);
      alice.says(text(bob.full, "again"));
      await bob.hears("<message id='again'/>");
      expect(await inbox(bob)).toEqual(["again 2"]);
      expect(await inbox(alice)).toEqual(["again 0"]);
    },
    { logs },
  );

  story("has a message when its addressee is given it", { alice: 1, bob: 1 }, async ({ alice, bob, server }) => {
    const writes = HeldWrites.of(server);
    for (const id of ["1", "2", "3"]) alice.says(text(bob.full, id));
    await writes.next();
    expect(await inbox(bob)).toEqual([]);
    writes.open();
    for (const id of ["1", "2", "3"]) await bob.hears(`<message id='${id}'/>`);
    expect(await inbox(bob)).toEqual(["3 3"]);
    expect(await inbox(alice)).toEqual(["3 0"]);
  });
});
