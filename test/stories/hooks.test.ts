// What features see of a message on its way, and what they may change of it; requests of the server to a client.
import { expect } from "vitest";
import type { HookHandlers } from "../../core/hooks.ts";
import { parseFullJid } from "../../core/jid.ts";
import type { Stanza } from "../../core/stanza.ts";
import { xml } from "../../core/xml/markup.ts";
import { childrenOf } from "../support/match.ts";
import { stage } from "../support/story.ts";
import type { StoryServer } from "../support/story-server.ts";

const { story } = stage();

/** While `act` is done, handlers of a feature made for it are called. */
async function watching(
  server: StoryServer,
  handlers: HookHandlers<undefined>,
  act: () => Promise<void>,
): Promise<void> {
  const { hooks } = server.node.hostOf("localhost")!;
  hooks.add("mod_story", handlers, undefined);
  try {
    await act();
  } finally {
    hooks.remove("mod_story");
  }
}

/** Sees a message where it is sent, routed and received. */
function seeing(seen: [where: string, stanza: Stanza][]): HookHandlers<undefined> {
  const note = (where: string) => (stanza: Stanza) => {
    if (stanza.name === "message") seen.push([where, stanza]);
  };
  return {
    user_send_packet: { at: 5, run: note("sent") },
    filter_local_packet: { at: 50, run: note("routed") },
    user_receive_packet: { at: 50, run: note("received") },
  };
}

story(
  "a message is one and the same from its sender to its recipient",
  { alice: 1, bob: 1 },
  async ({ alice, bob, server }) => {
    const seen: [string, Stanza][] = [];
    await watching(server, seeing(seen), async () => {
      alice.sends`<message to="${bob.full}" type="chat"><body>hej</body></message>`;
      await bob.receives`<message type="chat" from="${alice.full}"><body>hej</body></message>`;
    });
    expect(seen.map(([where]) => where)).toEqual(["sent", "routed", "received"]);
    const [[, first]] = seen;
    for (const [, stanza] of seen) {
      expect(stanza).toBe(first);
      expect([stanza.from.text, stanza.to.text]).toEqual([alice.full, bob.full]);
      expect(stanza.origin).toBe(server.node.session(parseFullJid(alice.full)));
    }
  },
  { covers: ["acc_e2e_SUITE:one_message"] },
);

story(
  "what a filter changes of a message is what arrives, copies included",
  { alice: 1, bob: 2 },
  async ({ alice, bob: [laptop, phone], server }) => {
    await phone.enables("carbons");
    const seen: [string, Stanza][] = [];
    const alter: HookHandlers<undefined> = {
      ...seeing(seen),
      filter_local_packet: {
        at: 60,
        type: "chat",
        run: (stanza) => {
          stanza.removeChild(stanza.find("body", "jabber:client"));
          stanza.append(xml`<body>bye</body>`);
        },
      },
    };
    await watching(server, alter, async () => {
      alice.sends`<message to="${laptop.full}" type="chat" id="m"><body>hi</body></message>`;
      const got = await laptop.receives`<message id="m" from="${alice.full}"/>`;
      expect(childrenOf(got).filter((e) => e.name === "body")).toHaveLength(1);
      expect(JSON.stringify(got)).toContain("bye");
      const copy = JSON.stringify(await phone.receives`<message from="${laptop.bare}"/>`);
      expect(copy).toContain("bye");
      expect(copy).not.toContain('"hi"');
    });
  },
  { covers: ["acc_e2e_SUITE:message_altered_by_filter_local_packet_hook"] },
);

const QUERY = xml`<query xmlns='cooltestns'/>`;

story("the server asks a client, and has its answer", { alice: 1 }, async ({ alice, server }) => {
  const answer = server.node.session(parseFullJid(alice.full))!.request("get", QUERY, 5000);
  const asked = await alice.receives`<iq type="get" from="localhost"><query xmlns="cooltestns"/></iq>`;
  alice.sends`<iq type="result" id="${asked.attrs["id"]}" to="localhost"><query xmlns="cooltestns">42</query></iq>`;
  expect((await answer)?.type).toBe("result");
});

story(
  "the server asks a client, which does not answer in time; what comes later is nobody's",
  { alice: 1 },
  async ({ alice, server }) => {
    const answer = server.node.session(parseFullJid(alice.full))!.request("get", QUERY, 300);
    const asked = await alice.receives`<iq type="get" from="localhost"><query xmlns="cooltestns"/></iq>`;
    expect(await answer).toBeUndefined();
    alice.sends`<iq type="result" id="${asked.attrs["id"]}" to="localhost"/>`;
    await alice.receivesNothing();
  },
  { covers: ["local_iq_SUITE:process_iq_timeout"] },
);
