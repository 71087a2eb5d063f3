// XEP-0334 and the small extensions of messages: what waits for its addressee, what is copied to the other sessions,
// and that nothing of it is changed on the way.
import { expect } from "vitest";
import { find, parseTemplate, show, type XElement } from "../support/match.ts";
import { stage } from "../support/story.ts";

const { story } = stage();

const HINTS = "urn:xmpp:hints";
const BODY = "<body>Wherefore art thou?</body>";
const hint = (name: string): string => `<${name} xmlns="${HINTS}"/>`;

interface Row {
  title: string;
  inner: string;
  /** Waits for an addressee who is not there. */
  stored: boolean;
  /** Copied to the other sessions (XEP-0280). */
  copied: boolean;
  type?: "chat" | "normal";
}

const rows: Row[] = [
  { title: "XEP-0085: a chat state alone", inner: state("composing"), stored: false, copied: true },
  {
    title: "XEP-0085: a chat state alone, of type normal",
    inner: state("paused"),
    stored: false,
    copied: true,
    type: "normal",
  },
  { title: "XEP-0085: a chat state with a body", inner: BODY + state("active"), stored: true, copied: true },
  {
    title: "XEP-0184: a request for a receipt",
    inner: `${BODY}<request xmlns="urn:xmpp:receipts"/>`,
    stored: true,
    copied: true,
  },
  {
    title: "XEP-0184: a receipt",
    inner: `<received xmlns="urn:xmpp:receipts" id="1"/>`,
    stored: true,
    copied: true,
    type: "normal",
  },
  {
    title: "XEP-0308: a correction",
    inner: `${BODY}<replace xmlns="urn:xmpp:message-correct:0" id="1"/>`,
    stored: true,
    copied: true,
  },
  {
    title: "XEP-0333: a message that may be marked",
    inner: `${BODY}<markable xmlns="urn:xmpp:chat-markers:0"/>`,
    stored: true,
    copied: true,
  },
  {
    title: "XEP-0333: a marker",
    inner: `<displayed xmlns="urn:xmpp:chat-markers:0" id="1"/>`,
    stored: true,
    copied: true,
    type: "normal",
  },
  {
    title: "XEP-0424: a retraction",
    inner: `<retract xmlns="urn:xmpp:message-retract:1" id="1"/>${hint("store")}`,
    stored: true,
    copied: true,
  },
  {
    title: "XEP-0424: a retraction without a hint",
    inner: `<retract xmlns="urn:xmpp:message-retract:1" id="1"/>`,
    stored: true,
    copied: true,
  },
  {
    title: "XEP-0444: reactions",
    inner: `<reactions xmlns="urn:xmpp:reactions:0" id="1"><reaction>❤</reaction></reactions>${hint("store")}`,
    stored: true,
    copied: true,
  },
  {
    title: "XEP-0461: a reply",
    inner: `${BODY}<reply xmlns="urn:xmpp:reply:0" to="juliet@localhost/x" id="1"/>`,
    stored: true,
    copied: true,
  },
  {
    title: "XEP-0334: store, with nothing but a chat state",
    inner: state("active") + hint("store"),
    stored: true,
    copied: true,
  },
  { title: "XEP-0334: no-store", inner: BODY + hint("no-store"), stored: false, copied: true },
  { title: "XEP-0334: no-store beats store", inner: hint("store") + hint("no-store"), stored: false, copied: true },
  {
    title: "XEP-0334: no-permanent-store may wait for its addressee",
    inner: BODY + hint("no-permanent-store"),
    stored: true,
    copied: true,
  },
  { title: "XEP-0334: no-copy", inner: BODY + hint("no-copy"), stored: true, copied: false },
  {
    title: "a payload that nobody here knows, of type normal",
    inner: `<x xmlns="urn:example:x"/>`,
    stored: true,
    copied: false,
    type: "normal",
  },
];

function state(name: string): string {
  return `<${name} xmlns="http://jabber.org/protocol/chatstates"/>`;
}

/** What the sender wrote inside, as the recipient has it: without what servers add. */
const inside = (message: XElement): string[] =>
  message.children
    .filter((c): c is XElement => typeof c !== "string" && c.name !== "stanza-id" && c.name !== "delay")
    .map((c) => show(c));
const written = (row: Row): string[] => inside(parseTemplate(`<message>${row.inner}</message>`)[0]);
const message = (row: Row, to: string): string =>
  `<message to="${to}" id="m" type="${row.type ?? "chat"}">${row.inner}</message>`;

for (const row of rows) {
  story(
    `${row.title}: arrives as it was sent, ${row.copied ? "is" : "is not"} copied`,
    { romeo: 2, juliet: 2 },
    async ({ romeo: [his, hisOther], juliet: [hers, hersOther] }) => {
      await hisOther.enables("carbons");
      await hersOther.enables("carbons");
      his.says(message(row, hers.full));
      expect(inside(await hers.receives`<message id="m"/>`)).toEqual(written(row));
      for (const [copy, name] of [
        [hisOther, "sent"],
        [hersOther, "received"],
      ] as const) {
        if (!row.copied) await copy.receivesNothing();
        else {
          const forwarded = find(find(await copy.receives`<message/>`, name)!, "message")!;
          expect(inside(forwarded)).toEqual(written(row));
        }
      }
    },
  );

  story(
    `${row.title}: ${row.stored ? "waits" : "does not wait"} for who is not there`,
    { romeo: 1, juliet: 0 },
    async ({ romeo, juliet }) => {
      romeo.says(message(row, juliet.bare));
      if (row.stored) await romeo.receivesNothing();
      else await romeo.receives`<message type="error" id="m"/>`;
      const her = await juliet.comes();
      her.sends`<presence/>`;
      const came = (await her.settles()).filter((e) => e.name === "message");
      expect(came.map(inside)).toEqual(row.stored ? [written(row)] : []);
      romeo.tally.assertions++;
    },
  );
}
