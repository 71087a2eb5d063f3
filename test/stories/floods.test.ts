// Clients that ask for much, within what the protocol lets them: memory stays bounded, and others are served meanwhile.
// Attacks on streams and sockets are test/fault/flood.ts.
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { parseJid } from "../../core/jid.ts";
import { xml } from "../../core/xml/markup.ts";
import type { Client } from "../support/client.ts";
import { childOf, childrenOf, find, type XElement } from "../support/match.ts";
import { publish, Talk } from "../support/pubsub-talk.ts";
import { type Scene, stage } from "../support/story.ts";

const NS_DISCO = "http://jabber.org/protocol/disco#info";
const NS_COMMANDS = "http://jabber.org/protocol/commands";
/** Room for the largest request that a client can make where stanzas may be large. */
const ROOMY = 2 ** 20;
const { story } = stage({
  listen: { c2s: [{ port: 0, ip_address: "127.0.0.1", max_stanza_size: ROOMY }] },
  modules: {
    mod_adhoc: {},
    mod_blocking: {},
    mod_caps: {},
    mod_invites: { account_access: "all" },
    mod_privacy: {},
    mod_pubsub: {},
  },
});
/** Bytes by which live objects may grow from one attack to the same one again. */
const MOST_GROWTH = 24 * 1024 * 1024;
/** Milliseconds that others may wait: the machine has the attacker on it too. */
const MOST_WAIT = 2_000;

const heap = (): number => {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
};

/** Runs an attack twice, while others ask the server for a sign of life; the second time nothing more is kept. */
async function attack(others: Client, run: (time: number) => Promise<void>): Promise<void> {
  let over = false;
  let longest = 0;
  const served = (async () => {
    while (!over) {
      const begun = performance.now();
      await others.settles();
      longest = Math.max(longest, performance.now() - begun);
      await Bun.sleep(20);
    }
  })();
  try {
    await run(0);
    const first = heap();
    await run(1);
    expect(heap() - first).toBeLessThan(MOST_GROWTH);
  } finally {
    over = true;
    await served;
  }
  expect(longest).toBeGreaterThan(0);
  expect(longest).toBeLessThan(MOST_WAIT);
  others.tally.assertions++;
}

/** Sends many, waiting now and then for what was sent. */
async function pours(c: Client, n: number, stanza: (i: number) => string, pause = 500): Promise<void> {
  for (let i = 0; i < n; i++) {
    c.says(stanza(i));
    if (i % pause === pause - 1) await c.settles();
  }
  await c.settles();
}

const caps = (features: readonly string[]): string =>
  createHash("sha1")
    .update(
      `client/pc//<${[...features]
        .sort()
        .map((f) => `${f}<`)
        .join("")}`,
    )
    .digest("base64");
const withHash = (ver: string): string =>
  `<presence><c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="urn:flood" ver="${ver}"/></presence>`;
const isQuestion = (e: XElement): boolean => e.name === "iq" && childOf(e, "query", NS_DISCO) !== undefined;

/** Answers the server's question for features; false when it does not ask. */
async function answers(c: Client, features: readonly string[]): Promise<boolean> {
  const question = (await c.settles()).find(isQuestion);
  if (question === undefined) return false;
  const { id, from } = question.attrs;
  const list = features.map((f) => `<feature var="${f}"/>`).join("");
  c.says(
    `<iq type="result" id="${id}" to="${from}"><query xmlns="${NS_DISCO}"><identity category="client" type="pc"/>${list}</query></iq>`,
  );
  return true;
}

const TCP = { door: "tcp" } as const;

story(
  "features without end: an answer that is too long says nothing",
  { eve: 1, romeo: 1 },
  async ({ eve, romeo }) => {
    const features = Array.from({ length: 8_000 }, (_, i) => `urn:flood:${i}+notify`);
    await attack(romeo, async (time) => {
      for (const n of [1000, 1001, 8_000]) {
        const some = features.slice(0, n);
        eve.says(withHash(`${time}${caps(some)}`));
        if (await answers(eve, some)) await eve.settles();
      }
    });
    // And one that fits is taken, whatever came before.
    await new Talk(eve, undefined).publishes("urn:flood:1", "1");
    const wanted = ["urn:flood:1+notify"];
    eve.says(withHash(caps(wanted)));
    expect(await answers(eve, wanted)).toBe(true);
    const event = await eve.skipsTo((e) => e.name === "message");
    expect(find(event, "items")!.attrs["node"]).toBe("urn:flood:1");
  },
  TCP,
);

story(
  "hashes without end: one question at a time, and nothing is kept of what is not answered",
  { eve: 3, romeo: 1 },
  async ({ eve, romeo }) => {
    await attack(romeo, async (time) => {
      for (let round = 0; round < 20; round++) {
        for (const [k, c] of eve.entries()) {
          for (let i = 0; i < 50; i++) c.says(withHash(Buffer.from(`${time}.${round}.${k}.${i}`).toString("base64")));
        }
        for (const c of eve) expect((await c.settles()).filter(isQuestion).length).toBeLessThan(3);
      }
    });
  },
  TCP,
);

story(
  "presence without end",
  { eve: 1, romeo: 2, juliet: 1 },
  async ({ eve, romeo, juliet, befriend }) => {
    await befriend(eve, juliet);
    await attack(romeo[0], (time) =>
      pours(
        eve,
        1_000,
        (i) => `<presence><show>${i % 2 === 0 ? "away" : "dnd"}</show><status>${time}.${i}</status></presence>`,
      ),
    );
    const last = (await juliet.settles()).filter((e) => e.name === "presence").at(-1)!;
    expect(find(last, "status")!.children).toEqual(["1.999"]);
  },
  TCP,
);

story(
  "publications without end",
  { eve: 1, romeo: 1 },
  async ({ eve, romeo }) => {
    await attack(romeo, (time) =>
      pours(eve, 500, (i) => `<iq type="set" id="p${i}">${publish("urn:flood:loop", `${time}.${i}`)}</iq>`, 200),
    );
    const talk = new Talk(eve, undefined);
    expect(await talk.items("urn:flood:loop", "1.499")).toEqual(["1.499"]);
  },
  TCP,
);

story(
  "blocks of five thousand addresses",
  { eve: 1, romeo: 1, juliet: 1 },
  async ({ eve, romeo, juliet }) => {
    const talk = new Talk(eve, undefined);
    const list = (n: number): string => Array.from({ length: n }, (_, i) => `<item jid="c${i}@localhost"/>`).join("");
    const block = (n: number): string => `<block xmlns="urn:xmpp:blocking">${list(n)}</block>`;
    const kept = async (): Promise<number> => {
      const answer = await talk.gets("get", `<blocklist xmlns="urn:xmpp:blocking"/>`);
      return childrenOf(find(answer, "blocklist")!).length;
    };
    await attack(romeo, async () => {
      await talk.refused("set", block(5_001), "policy-violation");
      expect(await kept()).toBe(0);
      await talk.gets("set", block(5_000));
      expect(await kept()).toBe(5_000);
      await talk.refused(
        "set",
        `<block xmlns="urn:xmpp:blocking"><item jid="more@localhost"/></block>`,
        "policy-violation",
      );
      // A long list is in the way of nobody's messages.
      for (let i = 0; i < 200; i++)
        juliet.says(`<message to="${eve.bare}" type="chat" id="m"><body>${i}</body></message>`);
      await juliet.settles();
      await eve.skipsTo((e) => e.name === "message" && find(e, "body")!.children[0] === "199");
      await talk.gets("set", `<unblock xmlns="urn:xmpp:blocking"/>`);
      expect(await kept()).toBe(0);
    });
  },
  TCP,
);

story(
  "commands that are begun and not gone on with",
  { eve: 1, romeo: 1 },
  async ({ eve, romeo }) => {
    const begin = `<command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#create-account"/>`;
    const talk = new Talk(eve, "localhost");
    const first = find(await talk.gets("set", begin), "command")!.attrs["sessionid"];
    await attack(romeo, () => pours(eve, 2_000, (i) => `<iq type="set" id="c${i}" to="localhost">${begin}</iq>`));
    const gone = `<command xmlns="${NS_COMMANDS}" node="urn:xmpp:invite#create-account" sessionid="${first}" action="cancel"/>`;
    const answer = await talk.asks("set", gone);
    expect(answer.attrs["type"]).toBe("error");
    const latest = find(await talk.gets("set", begin), "command")!.attrs["sessionid"];
    await talk.gets("set", gone.replace(first, latest));
  },
  TCP,
);

story(
  "requests for a subscription from everywhere: a thousand wait, the rest is turned away",
  { juliet: 0, romeo: 1 },
  async ({ juliet, romeo, server }: Scene & { juliet: { bare: string; comes(): Promise<Client> }; romeo: Client }) => {
    const to = parseJid(juliet.bare);
    await attack(romeo, async (time) => {
      for (let i = 0; i < 700; i++) {
        const from = parseJid(`c${time}.${i}@elsewhere.example`);
        await server.node.routeXml(from, to, xml`<presence type='subscribe'/>`);
      }
    });
    const hers = await juliet.comes();
    hers.sends`<presence/>`;
    const asked = (await hers.settles()).filter((e) => e.attrs["type"] === "subscribe");
    expect(asked).toHaveLength(1000);
    // One is answered: there is room for another.
    hers.says(`<presence type="unsubscribed" to="${asked[0].attrs["from"]}"/>`);
    await hers.settles();
    await server.node.routeXml(parseJid("late@elsewhere.example"), to, xml`<presence type='subscribe'/>`);
    await hers.receives`<presence type="subscribe" from="late@elsewhere.example"/>`;
  },
  TCP,
);
