// Which message a retraction takes back, and what is left of it.
import { beforeEach, describe, expect, test } from "vitest";
import { parseJid } from "../../../../core/jid.ts";
import { viewText } from "../../../../core/xml/framer.ts";
import type { Archived } from "../../../../modules/mod_mam/backend.ts";
import { type Asked, Retractions, retract, retractionFeatures } from "../../../../modules/mod_mam/retraction.ts";
import { ArchiveModel } from "../../../support/archive-model.ts";

const ROMEO = { local: "romeo", domain: "montague.example" };
const NOW = Date.UTC(2026, 10, 26, 9, 0, 0);
const RETRACT = "urn:xmpp:message-retract:1";
const FASTENED = "urn:xmpp:message-retract:0";
const BY_STANZA_ID = "urn:esl:message-retract-by-stanza-id:0";
const ORIGIN = (id: string) => `<origin-id xmlns='urn:xmpp:sid:0' id='${id}'/>`;

let archive: ArchiveModel;
let ids: bigint;
beforeEach(() => {
  archive = new ArchiveModel();
  ids = 100n;
});

/** A message in Romeo's archive: from him to Juliet unless told otherwise. */
function kept(given: { from?: string; to?: string; inner?: string; attrs?: string; origin?: string } = {}): Archived {
  const { from = "romeo@montague.example/orchard", to = "juliet@capulet.example/balcony", attrs = "" } = given;
  const sender = parseJid(from);
  const out = sender.bare.text === "romeo@montague.example";
  const message: Archived = {
    id: ids++,
    owner: ROMEO,
    remote: out ? parseJid(to) : sender,
    from: sender,
    direction: out ? "out" : "in",
    stanza: `<message from='${from}' to='${to}' ${attrs}>${given.inner ?? "<body>hi</body>"}</message>`,
    searchBody: "hi",
    originId: given.origin,
    groupchat: attrs.includes("groupchat"),
  };
  archive.rows.push(message);
  return message;
}

const fastened = (id: string, ns = FASTENED) =>
  `<apply-to xmlns='urn:xmpp:fasten:0' id='${id}'><retract xmlns='${ns}'/></apply-to>`;
const direct = (id: string) => `<retract xmlns='${RETRACT}' id='${id}'/>`;

/** A retraction as Romeo's archive sees it. */
function asks(inner: string, given: { from?: string; to?: string; attrs?: string } = {}): Promise<boolean> {
  const message = kept({ ...given, inner, attrs: `id='asking' type='chat' ${given.attrs ?? ""}` });
  const asked: Asked = {
    owner: ROMEO,
    remote: message.remote,
    direction: message.direction,
    from: message.from,
    message: viewText(message.stanza.toString()),
    id: message.id,
    archived: Promise.resolve(),
    now: NOW,
  };
  return retract(archive, asked);
}
const stanzaOf = ({ id }: Archived) => archive.rows.find((row) => row.id === id)?.stanza;

describe("the message that is meant", () => {
  test("by its origin-id, as XEP-0424 had it first", async () => {
    const message = kept({ origin: "o1", inner: `<body>hi</body>${ORIGIN("o1")}`, attrs: "type='chat' id='m1'" });
    expect(await asks(fastened("o1"))).toBe(true);
    expect(stanzaOf(message)).toBe(
      "<message from='romeo@montague.example/orchard' to='juliet@capulet.example/balcony' type='chat' id='m1'>" +
        "<retracted xmlns='urn:xmpp:message-retract:0' stamp='2026-11-26T09:00:00.000Z'>" +
        "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/></retracted></message>",
    );
    expect(archive.rows[0].searchBody).toBe("");
  });

  test("by the id of the archive", async () => {
    const message = kept({ inner: `<body>hi</body>${ORIGIN("o&amp;1")}` });
    expect(await asks(fastened(message.id.toString(32).toUpperCase(), BY_STANZA_ID))).toBe(true);
    expect(stanzaOf(message)).toContain(
      `<retracted xmlns='${BY_STANZA_ID}' stamp='2026-11-26T09:00:00.000Z'>` +
        `<stanza-id xmlns='urn:xmpp:sid:0' id='34' by='romeo@montague.example'/>` +
        "<origin-id xmlns='urn:xmpp:sid:0' id='o&amp;1'/></retracted></message>",
    );
  });

  test.each([
    ["origin-id", { origin: "m1" }],
    ["id attribute", { attrs: "id='m1'" }],
  ])("by its %s, as XEP-0424 has it now", async (_, given) => {
    const older = kept(given);
    const newer = kept(given);
    expect(await asks(direct("m1"))).toBe(true);
    expect(stanzaOf(older)).toContain("<body>");
    expect(stanzaOf(newer)).toContain(
      `<retracted xmlns='${RETRACT}' stamp='2026-11-26T09:00:00.000Z' id='asking'/></message>`,
    );
  });

  test("with an id that has to be escaped, from another device, after the message was forgotten by most", async () => {
    const message = kept({ attrs: `id='a&amp;"&lt;'` });
    for (let i = 0; i < 40; i++) kept({ attrs: `id='n${i}'` });
    expect(await asks(direct("a&amp;&quot;&lt;"), { from: "romeo@montague.example/phone" })).toBe(true);
    expect(stanzaOf(message)).toContain(" id='a&amp;&quot;&lt;'><retracted ");
  });

  test("what the other party sent, by that party", async () => {
    const from = "juliet@capulet.example/balcony";
    const message = kept({ from, to: "romeo@montague.example", origin: "o1" });
    expect(await asks(fastened("o1"), { from: "juliet@capulet.example/phone", to: "romeo@montague.example" })).toBe(
      true,
    );
    expect(stanzaOf(message)).toContain("<retracted ");
  });

  test("one that is still on its way into the archive", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const asking = viewText(`<message type='chat' id='asking'>${fastened("o1")}</message>`);
    const juliet = parseJid("juliet@capulet.example");
    const from = parseJid("romeo@montague.example/orchard");
    const parts = { owner: ROMEO, remote: juliet, from, direction: "out", id: 500n, now: NOW } as const;
    const done = retract(archive, { ...parts, message: asking, archived: promise });
    const message = kept({ origin: "o1" });
    resolve();
    expect(await done).toBe(true);
    expect(stanzaOf(message)).toContain("<retracted ");
  });
});

describe("nothing is changed", () => {
  const juliet = { from: "juliet@capulet.example/balcony", to: "romeo@montague.example/orchard" };
  const changesNothing = async (ask: () => Promise<boolean>) => {
    const before = archive.rows.map((row) => row.stanza);
    expect(await ask()).toBe(false);
    expect(archive.rows.slice(0, before.length).map((row) => row.stanza)).toEqual(before);
  };

  test.each([
    ["origin-id", fastened("o1")],
    ["id", direct("o1")],
    ["id of the archive", fastened("34", BY_STANZA_ID)],
  ])("by somebody who is not the author, by %s", async (_, inner) => {
    kept({ origin: "o1", attrs: "id='o1'" });
    await changesNothing(() => asks(inner, juliet));
    await changesNothing(() => asks(inner, { ...juliet, from: "romeo@capulet.example/orchard" }));
  });

  test.each([
    ["origin-id", fastened("o1")],
    ["id", direct("o1")],
    ["id of the archive", fastened("34", BY_STANZA_ID)],
  ])("in another conversation, by %s", async (_, inner) => {
    kept({ origin: "o1", attrs: "id='o1'" });
    await changesNothing(() => asks(inner, { to: "nurse@capulet.example" }));
  });

  test("by another occupant of the room through whom private messages come", async () => {
    const x = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
    const mercutio = { from: "verona@rooms.example/mercutio", to: "romeo@montague.example" };
    const message = kept({ ...mercutio, origin: "o1", inner: `<body>hi</body>${x}` });
    await changesNothing(() => asks(fastened("o1"), { ...mercutio, from: "verona@rooms.example/tybalt" }));
    expect(await asks(fastened("o1"), mercutio)).toBe(true);
    expect(stanzaOf(message)).toContain("<retracted ");
  });

  test("by another occupant in a room", async () => {
    const groupchat = { attrs: "type='groupchat'", to: "romeo@montague.example" };
    kept({ ...groupchat, from: "verona@rooms.example/mercutio", origin: "o1" });
    const message = viewText(`<message type='groupchat' id='asking'>${fastened("o1")}</message>`);
    const from = parseJid("verona@rooms.example/tybalt");
    const asked = { owner: ROMEO, remote: from, from, direction: "in", id: 500n, now: NOW } as const;
    await changesNothing(() => retract(archive, { ...asked, message, archived: Promise.resolve() }));
  });

  test.each([
    ["no id", "<apply-to xmlns='urn:xmpp:fasten:0'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>"],
    ["an empty id", direct("")],
    ["an unknown id", fastened("nothing")],
    ["an id that no archive gives", fastened("34!", BY_STANZA_ID)],
    ["an id beyond 64 bits", fastened("VVVVVVVVVVVVV", BY_STANZA_ID)],
    ["another namespace", fastened("o1", "urn:example:x")],
  ])("for %s", async (_, inner) => {
    kept({ origin: "o1" });
    await changesNothing(() => asks(inner));
  });

  test("when it is a tombstone already", async () => {
    kept({ origin: "o1" });
    expect(await asks(fastened("o1"))).toBe(true);
    await changesNothing(() => asks(fastened("o1")));
  });

  test("by a message that means itself", () => changesNothing(() => asks(direct("asking"))));

  test("when the write failed", async () => {
    kept({ origin: "o1" });
    const message = viewText(`<message type='chat'>${fastened("o1")}</message>`);
    const from = parseJid("romeo@montague.example/orchard");
    const remote = parseJid("juliet@capulet.example");
    const asked = { owner: ROMEO, remote, from, direction: "out", id: 500n, now: NOW } as const;
    await expect(retract(archive, { ...asked, message, archived: Promise.reject(new Error("full")) })).rejects.toThrow(
      "full",
    );
    expect(archive.rows[0].stanza).toContain("<body>");
  });
});

test("many of one account are looked after one at a time, and hold up nobody else's", async () => {
  class Slow extends ArchiveModel {
    readonly asked: string[] = [];
    readonly answers: (() => void)[] = [];
    override async byOriginId(...of: Parameters<ArchiveModel["byOriginId"]>) {
      this.asked.push(of[3]);
      await new Promise<void>((resolve) => this.answers.push(resolve));
      return super.byOriginId(...of);
    }
  }
  const slow = new Slow();
  archive = slow;
  const retractions = new Retractions(slow);
  const commits = ["romeo 1", "romeo 2", "romeo 3", "mercutio 1"].map((id) => {
    const message = kept({ from: `${id.split(" ")[0]}@montague.example/x`, inner: fastened(id) });
    const stanza = viewText(message.stanza.toString());
    retractions.after(stanza, message, Promise.resolve(), NOW);
    return stanza.commit;
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  expect(slow.asked).toEqual(["romeo 1", "mercutio 1"]);
  slow.answers[0]();
  await turn();
  expect(slow.asked).toEqual(["romeo 1", "mercutio 1", "romeo 2"]);
  for (let n = 1; n < 4; n++) {
    slow.answers[n]();
    await turn();
  }
  await Promise.all(commits);
});

test("tombstones are announced where there are any", () => {
  expect(retractionFeatures(true)).toEqual([
    ...[RETRACT, FASTENED, BY_STANZA_ID],
    ...[`${RETRACT}#tombstone`, `${FASTENED}#tombstone`],
  ]);
  expect(retractionFeatures(false)).toEqual([RETRACT, FASTENED, BY_STANZA_ID]);
});
