// The order of an archive is the order in which its owner got the messages, whoever sent them (XEP-0313 §3.1): a client that
// has one and asks for what is newer misses nothing.
import { expect } from "vitest";
import { asks } from "../support/archive.ts";
import { find } from "../support/match.ts";
import { stage } from "../support/story.ts";

const EACH = 120;

const { story } = stage({ modules: { mod_mam: { pm: {} }, mod_inbox: {} } });

story(
  "messages of several sessions are received in the order in which they are archived",
  { alice: 2, carol: 1, bob: 1, dave: 1 },
  async ({ alice: [one, two], carol, bob, dave }) => {
    const senders = [one, two, carol];
    for (let i = 0; i < EACH; i++)
      for (const [n, sender] of senders.entries()) {
        // What some of them write to somebody else in between is another write.
        if ((i + n) % 7 === 0) sender.says(`<message to="${dave.full}" type="chat"><body>x</body></message>`);
        sender.says(`<message to="${bob.bare}" type="chat" id="${n}-${i}"><body>hello</body></message>`);
      }
    const live: (string | undefined)[] = [];
    while (live.length < EACH * senders.length) live.push(find(await bob.next(), "stanza-id")?.attrs["id"]);
    await dave.settles();
    const archived: string[] = [];
    for (let complete = false; !complete; ) {
      const after = archived.length === 0 ? "" : `<after>${archived.at(-1)}</after>`;
      const page = await asks(bob, { rsm: `<max>50</max>${after}` });
      archived.push(...page.ids);
      ({ complete } = page);
    }
    expect(archived).toEqual(live);
  },
);
